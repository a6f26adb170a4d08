/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of policy keys: the one place that knows a key's name, type,
 * bounds, default, command-line option and meaning. Parsing, overriding,
 * `purple profile explain`, the man page purple-policy(5) and the options of
 * `purple run` all come from it.
 */
#ifndef PURPLE_POLICY_KEYS_H
#define PURPLE_POLICY_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

enum key_type {
	KEY_TEXT,     /* struct policy_str */
	KEY_PATH,     /* struct policy_str: a path, see check_path() */
	KEY_BOOL,     /* bool */
	KEY_ENUM,     /* int: an index into .names */
	KEY_COUNT,    /* struct policy_num */
	KEY_SIZE,     /* struct policy_num, bytes: 512M */
	KEY_RATE,     /* struct policy_num, bytes per second: 50MBps */
	KEY_CORES,    /* struct policy_num, thousandths: 1.5 */
	KEY_LIST,     /* struct policy_strs, each item passes .check */
	KEY_BINDS,    /* struct policy_binds */
	KEY_OVERLAYS, /* struct policy_overlays */
	KEY_SYSRULES, /* struct policy_sysrules */
	KEY_ENVS,     /* struct policy_envs: a map */
	KEY_EXTENDS,  /* no field: the profile to start from */
	KEY_SUBTREE,  /* no field: accepted whatever it is */
	KEY_TYPES
};

enum key_status {
	KEY_ENFORCED,
	KEY_NO_EFFECT, /* from older policy files: accepted with a warning */
};

/*
 * Is @text a good item of a list? 0 and perhaps another spelling in *ret
 * (allocated in @a), or -EINVAL and what is wrong in @why. A text in @why
 * with 0 is a warning.
 */
struct check_why {
	char text[320];
};
typedef int key_check(struct arena *a, const char *text, const char **ret, struct check_why *why);

struct policy_key {
	const char *path;	  /* "resources.pids_limit" */
	uint8_t type;		  /* enum key_type */
	uint8_t status;		  /* enum key_status */
	uint16_t offset;	  /* in struct policy */
	uint64_t min, max;	  /* of a number, in its unit */
	const char *fallback;	  /* the default, as one would write it; NULL: none */
	const char *const *names; /* KEY_ENUM: what it may be, NULL-terminated */
	key_check *check;	  /* KEY_LIST */
	const char *form;	  /* what a value or an item looks like, for help */
	const char *option;	  /* of `purple run`, without the dashes; NULL: none */
	const char *help;	  /* one or two sentences */
	/*
	 * What nothing enforces yet and a plan therefore refuses: the values of a
	 * KEY_BOOL or KEY_ENUM with blanks between them, else NOT_YET_ANY. NULL: nothing.
	 */
	const char *not_yet;
	const char *aliases[2]; /* other names that are accepted */
};

#define NOT_YET_ANY "any"

extern const struct policy_key policy_keys[];
extern const size_t policy_keys_count;

/* By dotted path or alias; NULL if unknown. */
const struct policy_key *policy_key(const char *path);

/* The most similar key for "did you mean", or NULL if none is near. */
const struct policy_key *policy_key_nearest(const char *path);

/* True if @name is the first part of some key: "resources". */
bool policy_section(const char *name);

/* The most similar section or key of the top level, or NULL. */
const char *policy_section_nearest(const char *name);

/* The entry of a NULL-terminated list nearest to @text, or NULL. */
const char *names_nearest(const char *const *names, const char *text);
int names_index(const char *const *names, const char *text); /* -1: not in it */

/* What the type is called: "a size such as 512M". */
const char *policy_key_type_text(const struct policy_key *k);

/* "Not supported yet: review, scratch"; "" if all of the key is. */
void policy_key_not_yet(const struct policy_key *k, char *buf, size_t size);

/* The bounds of a number as one would write them, "1M to 64G"; "" for other types. */
void policy_key_range(const struct policy_key *k, char *buf, size_t size);

#endif
