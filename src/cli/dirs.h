/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Purple's own files are: helper programs and shipped profiles relative
 * to the running program, profiles of the administrator and of the user, the
 * cache. For the static launcher too: fixed buffers, no allocation, no stdio.
 */
#ifndef PURPLE_CLI_DIRS_H
#define PURPLE_CLI_DIRS_H

#include <limits.h>

#include "policy/policy.h"

struct dirs {
	char prefix[PATH_MAX];	   /* above bin/ and libexec/purple/ of this program */
	char shipped[PATH_MAX];	   /* PREFIX/share/purple/profiles */
	char user[PATH_MAX];	   /* $XDG_CONFIG_HOME/purple/profiles; "" without HOME */
	char cache[PATH_MAX];	   /* compiled plans; "" if there is no place for them */
	struct policy_dirs policy; /* points into this struct */
};

/*
 * 0, or -errno: -ENOENT when /proc/self/exe cannot be read (no /proc),
 * -ENAMETOOLONG. A relative XDG_… or HOME is ignored, as the XDG base
 * directory specification says.
 */
int dirs_init(struct dirs *d);

/* PREFIX/libexec/purple/@program. False if it does not fit. */
bool dirs_program(const struct dirs *d, const char *program, char *ret, size_t size);

#endif
