/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May a git directory's settings become these? git-config(1) has settings that name programs
 * which git then runs (core.pager, alias, filter, …); those must stay as they are. What
 * everyday commands write, branches, remotes, submodules, names, is listed in gitconfig.c;
 * a setting that is not is as if it were dangerous.
 *
 * Reads foreign bytes. It knows less of the syntax than git does, and takes what it does not
 * know for no. Pure, no malloc.
 */
#ifndef PURPLE_WORKSPACE_GITCONFIG_H
#define PURPLE_WORKSPACE_GITCONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum { GITCONFIG_MAX = 256 * 1024 };

/*
 * @dir: of the settings, relative to the workspace, "" for its top: core.worktree must not
 * lead out of that. NULL if they may; else what is wrong, a constant string.
 */
const char *gitconfig_refuses(const char *was, size_t was_len, const char *now, size_t now_len,
			      const char *dir);

#endif
