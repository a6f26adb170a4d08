/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of paths, as gitignore(5) has them, without its '!' and '#'. Of a path
 * relative to some directory; what a pattern is anchored at is that directory.
 *
 *	.env  *.pem	without a '/' but at the end: at any depth
 *	/x  ./x  a/x	with one: at the top only
 *	**	as a component: any number of directories, none too; at the end all
 *		that is in a directory
 *	*  ?	any characters, one, within a component; a leading '.' is none apart
 *	[a-z] [!a-z]	one of these characters, or none of them
 *	\x	the character x
 *	x/	directories only
 *
 * Bytes, not characters: names need not be UTF-8. No malloc, no recursion; the time is
 * at most the product of both lengths, whatever they are: neither is ours.
 */
#ifndef PURPLE_BASE_PATTERN_H
#define PURPLE_BASE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum { PATH_PATTERN_MAX = 255 };

struct path_pattern {
	const char *text; /* without the '/' at both ends; the caller's string */
	size_t len;
	bool anchored; /* it matches from the top only */
	bool dirs;     /* directories only */
	bool fold;     /* to be set: upper and lower case of ASCII are the same */
};

/*
 * Fill @p, which points into @text. 0, or -EINVAL, and @why (if not NULL) a constant
 * string of what is wrong.
 */
int path_pattern_compile(struct path_pattern *p, const char *text, const char **why);

/* Does it match @path ("a/b", "" never) itself? What lies in a directory is no part of it. */
bool path_pattern_match(const struct path_pattern *p, const char *path, bool is_dir);

/* The same for @path or any directory that it lies in. */
bool path_pattern_covers(const struct path_pattern *p, const char *path, bool is_dir);

#endif
