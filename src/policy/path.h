/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as a policy writes them: compared, not resolved. Without memory of its own,
 * for the static programs too.
 */
#ifndef PURPLE_POLICY_PATH_H
#define PURPLE_POLICY_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum { PATH_NORMAL_MAX = 4096 + 16 };

/* Variables of a path, and what path_normal() takes them for at its start. */
enum { PATH_VARIABLES = 6 };
struct path_variable {
	const char *name, *normal; /* normal NULL: nowhere in particular */
};
extern const struct path_variable path_variables[PATH_VARIABLES];

/* Which of them @s starts with; -1: none. */
int path_variable(const char *s);

/*
 * A path as it is compared: no double or trailing slash, no "/./", a leading
 * ${HOME} as "~", ${WORKSPACE} as ".", ${XDG_…_HOME} as its default, /var/run
 * as /run. Compares only: plan/ resolves the written text. False if too long.
 */
bool path_normal(const char *path, char *ret, size_t size);

/* @path is @top or lies below it; both normal. */
bool path_below(const char *path, const char *top);

/* A normal path as it is below the caller's home: "~/x" for "/home/u/x"; false if it is not. */
bool path_to_home(const char *path, char ret[PATH_NORMAL_MAX]);

#endif
