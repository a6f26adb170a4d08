/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be written in a protected workspace: the plan's patterns held against paths, and
 * what git makes of directories. A path is canonical and relative to the workspace.
 *
 * A git directory is as ".git" is, whatever its name: git takes settings and hooks from any
 * that has "refs" and "objects", or a "commondir", also a bare one or one that a ".git" file
 * points to. So where "refs" or "commondir" stands, "config" and "hooks" are protected as
 * those of ".git" are, and where those stand already, "refs" and "commondir" cannot be made.
 * Links to what is protected, and directories that would become or cease to be so by a move,
 * are refused as well.
 *
 * What the settings of git become is looked at (gitconfig.h), if they are written as git
 * writes them: "config.lock" is moved to "config". To remove those of a nested repository
 * plants nothing, and is free; those of the workspace's own stay.
 *
 * The tree is looked at without following links, below @top, which must be what the sandbox
 * sees as its workspace. It must not change meanwhile but by what is asked about here.
 */
#ifndef PURPLE_WORKSPACE_GUARD_H
#define PURPLE_WORKSPACE_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/pattern.h"

enum { GUARD_RULES_MAX = 256, GUARD_WALK_MAX = 8192, GUARD_DEPTH_MAX = 32 };

struct guard {
	struct {
		struct path_pattern pattern;
		bool negated;
	} rules[GUARD_RULES_MAX];
	unsigned count;
	int top; /* O_PATH; the caller's */
	/* While a move is looked at: what will be below @to is now below @from. */
	const char *from, *to;
};

enum guard_verdict {
	GUARD_FREE,
	GUARD_REFUSED,
	GUARD_SETTINGS /* of git: their content decides */
};

/* Add a pattern, with a '!' before it or not; it stays the caller's. 0, -EINVAL or -E2BIG. */
int guard_add(struct guard *g, const char *pattern);

/* May @path be made, as a file of @type (S_IFREG …), or written if it is there? */
enum guard_verdict guard_write(struct guard *g, const char *path, mode_t type);
enum guard_verdict guard_remove(struct guard *g, const char *path);
/* @from, which is of @type, becomes @to. GUARD_SETTINGS: only in the same directory. */
enum guard_verdict guard_move(struct guard *g, const char *from, const char *to, mode_t type);

/* Is this a file that is protected under a name at the top? For other names of it. */
bool guard_is_protected_file(struct guard *g, dev_t device, ino_t inode);

#endif
