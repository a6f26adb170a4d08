/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was done against what was announced (`purple intent`): rules in YAML, which
 * share/purple/intent.yaml explains. A rule names types of events, the field of them
 * that counts, and the kind of expectation ("host", "write", "exec") that this is held
 * against. An expectation is "KIND:PATTERN".
 */
#ifndef PURPLE_CLI_INTENT_RULES_H
#define PURPLE_CLI_INTENT_RULES_H

#include "base/arena.h"
#include "cli/trail_reader.h"

enum { INTENT_RULES_MAX = 64 };

struct intent_rule {
	const char *name, *kind, *message;
	const char *const *events, *const *access, *const *except; /* NULL at the end */
	int field;						   /* enum event_field */
	bool always; /* also where the intent expects nothing of this kind */
};

struct intent_rules {
	struct intent_rule items[INTENT_RULES_MAX];
	size_t count;
	struct arena memory;
};

/* From a file. Its faults are printed, each with its place, before this returns an error. */
int intent_rules_load(struct intent_rules *r, const char *path, struct err *e);
void intent_rules_free(struct intent_rules *r);

/*
 * The first rule that @l falls under, or NULL. @value, of @size bytes: what is to be
 * announced: the field's text, of a host with its port behind it.
 */
const struct intent_rule *intent_rule_find(const struct intent_rules *r, const struct trail_line *l,
					   char *value, size_t size);

/* Is it among what the rule never marks? */
bool intent_excepted(const struct intent_rule *rule, const struct trail_line *l);

/* Does the expectation "KIND:PATTERN" fit @value of @kind? */
bool intent_expected(const char *expectation, const char *kind, const char *value);

/* "*" within a part between slashes, "**" over them, "?" one byte. */
bool intent_glob(const char *pattern, const char *text);

#endif
