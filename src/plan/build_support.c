/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that are understood and checked, but that nothing enforces yet: those
 * with .not_yet in the table of keys.c. A policy that uses one is refused here,
 * by name, so that nobody relies on a limit that is not there. When a mechanism
 * arrives, its mark in the table goes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "plan/builder.h"
#include "policy/keys.h"

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (; *words != '\0'; words += strcspn(words, " "), words += *words == ' ')
		if (strcspn(words, " ") == n && memcmp(words, word, n) == 0)
			return true;
	return false;
}

/* The word that a switch or a choice is at, if that is refused; else NULL. */
static const char *refused_word(const struct policy *p, const struct policy_key *k, const char *is)
{
	bool given = policy_where(p, k->path).file || !k->fallback || !streq(k->fallback, is);

	return given && has_word(k->not_yet, is) ? is : NULL;
}

/* Does @p ask for what key @k does not do? "", or the refused word; NULL: no. */
static const char *asked(const struct policy *p, const struct policy_key *k)
{
	const char *field = (const char *)p + k->offset;
	bool some = false;

	switch (k->type) {
	case KEY_BOOL:
		return refused_word(p, k, *(const bool *)field ? "true" : "false");
	case KEY_ENUM:
		return refused_word(p, k, k->names[*(const int *)(const void *)field]);
	case KEY_TEXT:
	case KEY_PATH:
		some = ((const struct policy_str *)(const void *)field)->s != NULL;
		break;
	case KEY_COUNT:
	case KEY_SIZE:
	case KEY_RATE:
	case KEY_CORES:
		some = ((const struct policy_num *)(const void *)field)->set;
		break;
	case KEY_LIST:
		some = ((const struct policy_strs *)(const void *)field)->count > 0;
		break;
	default: /* no key of another type is marked: test_build sees to that */
		break;
	}
	return some ? "" : NULL;
}

/* The rest of a section that its own switch has turned off: nobody relies on it. */
static bool is_off(const struct policy *p, const struct policy_key *k)
{
	if (str_after(k->path, "network."))
		return p->network.isolated;
	/* Where to write and what, without a word on whether: it was meant. */
	return str_after(k->path, "audit.") && !p->audit.enabled &&
	       policy_where(p, "audit.enabled").file;
}

int build_refuse_unsupported(struct builder *b)
{
	for (size_t i = 0; i < policy_keys_count; i++) {
		const struct policy_key *k = &policy_keys[i];
		const char *word = k->not_yet && !is_off(b->policy, k) ? asked(b->policy, k) : NULL;
		char what[128];
		int r;

		if (!word)
			continue;
		snprintf(what, sizeof(what), "%s%s%s", k->path, *word ? ": " : "", word);
		r = builder_lack(b, what, "not supported yet", "take the key out of the policy");
		if (r < 0)
			return r;
	}
	return 0;
}
