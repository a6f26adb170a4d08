/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"

enum option_kind { OPTION_FLAG, OPTION_VALUE, OPTION_LIST };

static const struct run_option {
	const char *name, *key;
	enum option_kind kind;
	const char *help;
} policy_options[] = {
#include "options.inc"
};

/* The options that are no policy keys. */
enum own_option { OWN_PROFILE, OWN_DIR, OWN_SET, OWN_BEST_EFFORT, OWN_NO_CACHE, OWN_REPORT,
		  OWN_JSON, OWN_HELP };

static const struct {
	const char *name, *letter;
	enum own_option id;
	bool value;
	const char *help;
} own_options[] = {
	{ "--profile", "-p", OWN_PROFILE, true, "a profile's name, or a policy file (with a /)" },
	{ "--dir", "-w", OWN_DIR, true, "the workspace; default: the current directory" },
	{ "--set", NULL, OWN_SET, true, "KEY=VALUE: override any policy key; KEY+=ITEM adds" },
	{ "--best-effort", NULL, OWN_BEST_EFFORT, false,
	  "go without layers that are missing here, as named downgrades" },
	{ "--no-cache", NULL, OWN_NO_CACHE, false, "compile the policy anew, and do not keep it" },
	{ "--report", NULL, OWN_REPORT, true, "write how it ended as JSON to a file, or fd:N" },
	{ "--json", NULL, OWN_JSON, false, "plan: print JSON" },
	{ "--help", "-h", OWN_HELP, false, "this text" },
};

static int usage_error(struct err *e, const char *fmt, const char *option)
{
	/* The formats are ours, each with one %s. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	err_set(e, EPROTO, "usage", fmt, option);
#pragma GCC diagnostic pop
	err_remedy(e, "`purple run --help` lists the options; the command follows after --");
	return -EPROTO;
}

static int add_override(struct run_options *o, const char *origin, const char *key,
			const char *op, const char *value, struct err *e)
{
	size_t n = strlen(key) + strlen(op) + strlen(value) + 1;
	char *text;

	if (o->overrides_count == RUN_OVERRIDES_MAX)
		return usage_error(e, "too many options at %s", origin);
	text = malloc(n);
	if (!text)
		return err_set(e, ENOMEM, "usage", "%s", origin);
	stpcpy(stpcpy(stpcpy(text, key), op), value);
	o->overrides[2 * o->overrides_count] = origin;
	o->overrides[2 * o->overrides_count++ + 1] = text;
	return 0;
}

static void take_own(struct run_options *o, enum own_option id, const char *value)
{
	switch (id) {
	case OWN_PROFILE:
		o->profile = value;
		break;
	case OWN_DIR:
		o->workspace = value;
		break;
	case OWN_REPORT:
		o->report = value;
		break;
	case OWN_BEST_EFFORT:
		o->best_effort = true;
		break;
	case OWN_NO_CACHE:
		o->no_cache = true;
		break;
	case OWN_JSON:
		o->json = true;
		break;
	case OWN_HELP:
		o->help = true;
		break;
	case OWN_SET:
		break;
	}
}

/* The option of policy_options[] that @name (of length @n) spells, or NULL. */
static const struct run_option *find_policy_option(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(policy_options); i++)
		if (strlen(policy_options[i].name) == n &&
		    memcmp(policy_options[i].name, name, n) == 0)
			return &policy_options[i];
	return NULL;
}

/* One word of argv that starts with '-'. @i is moved past its value. */
static int parse_one(int argc, char **argv, int *i, struct run_options *o, struct err *e)
{
	const char *word = argv[*i], *equals = strchrnul(word, '=');
	const struct run_option *p;
	const char *value;
	size_t n = (size_t)(equals - word);

	for (size_t k = 0; k < ARRAY_SIZE(own_options); k++) {
		bool is_short = own_options[k].letter && streq(word, own_options[k].letter);

		if (!is_short && (strlen(own_options[k].name) != n ||
				  memcmp(own_options[k].name, word, n) != 0))
			continue;
		if (!own_options[k].value && *equals == '=')
			return usage_error(e, "%s takes no value", own_options[k].name);
		value = *equals == '=' && !is_short ? equals + 1 :
			own_options[k].value	    ? argv[++*i] :
						      "";
		if (own_options[k].value && (*i >= argc || *value == '\0'))
			return usage_error(e, "%s needs a value", word);
		if (own_options[k].id == OWN_SET)
			return add_override(o, "--set", value, "", "", e);
		take_own(o, own_options[k].id, value);
		return 0;
	}
	p = n > 2 && word[1] == '-' ? find_policy_option(word + 2, n - 2) : NULL;
	if (!p)
		return usage_error(e, "unknown option %s", word);
	if (*equals == '=')
		value = equals + 1;
	else
		value = p->kind == OPTION_FLAG ? "true" : argv[++*i];
	if (*i >= argc)
		return usage_error(e, "%s needs a value", word);
	/* What diagnostics call it: without the value. */
	if (*equals == '=') {
		word = strndup(word, n);
		if (!word)
			return err_set(e, ENOMEM, "usage", "--%s", p->name);
	}
	return add_override(o, word, p->key, p->kind == OPTION_LIST ? "+=" : "=", value, e);
}

int run_options_parse(int argc, char **argv, struct run_options *o, struct err *e)
{
	int i = 1, r;

	memset(o, 0, sizeof(*o));
	o->profile = "default";
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (streq(argv[i], "--")) {
			i++;
			break;
		}
		r = parse_one(argc, argv, &i, o, e);
		if (r < 0)
			return r;
	}
	o->command = argv + i;
	return 0;
}

static void put_option(int fd, const char *letter, const char *name, const char *help)
{
	enum { COLUMN = 26 };
	struct buf b = BUF_INIT(4096);

	buf_puts(&b, "  ");
	buf_puts(&b, letter ? letter : "");
	buf_puts(&b, letter ? ", " : "");
	buf_puts(&b, name);
	do
		buf_puts(&b, " ");
	while (b.len < COLUMN);
	buf_puts(&b, help);
	buf_puts(&b, "\n");
	if (!b.failed)
		write_full(fd, b.data, b.len);
	buf_free(&b);
}

void run_options_help(int fd)
{
	char name[64];

	for (size_t i = 0; i < ARRAY_SIZE(own_options); i++)
		put_option(fd, own_options[i].letter, own_options[i].name, own_options[i].help);
	write_full(fd, "\nEach of these sets one policy key (`purple profile explain`):\n", 63);
	for (size_t i = 0; i < ARRAY_SIZE(policy_options); i++) {
		stpcpy(stpcpy(name, "--"), policy_options[i].name);
		put_option(fd, NULL, name, policy_options[i].help);
	}
}
