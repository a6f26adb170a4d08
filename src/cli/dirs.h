/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are: Purple's own files relative to /proc/self/exe, and the
 * caller's directories from the environment. Used by the static launcher and
 * by every command: no allocation, no stdio, one small block.
 *
 * Layout: PREFIX/bin/purple, PREFIX/libexec/purple/purple-NAME,
 * PREFIX/share/purple/profiles. Directories need not exist. The caller's
 * directories follow the XDG base directory specification: a variable that is
 * not an absolute path counts as unset.
 */
#ifndef PURPLE_CLI_DIRS_H
#define PURPLE_CLI_DIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

enum { DIRS_ROOM = 4096 }; /* bytes for all paths together */

struct dirs {
	const char *prefix;  /* PREFIX; "" for the root directory */
	const char *libexec; /* PREFIX/libexec/purple */
	const char *init;    /* the purple-init program */
	const char *config;  /* the parent of purple/profiles; NULL: no home */
	const char *cache;   /* plans; as root /var/cache/purple; NULL: no home */
	/*
	 * State of live sandboxes: as root /run/purple, else $XDG_RUNTIME_DIR/purple,
	 * else purple/run in the user's state directory; NULL: no home.
	 */
	const char *runtime;
	bool runtime_stays; /* it is the last of these: what lies in it outlives the session */
	/* What outlives a boot, the audit trail: as root /var/lib/purple. NULL: no home. */
	const char *state;
	struct policy_dirs policy;
	size_t used;
	char room[DIRS_ROOM]; /* what the pointers point into */
};

/*
 * 0, or -errno: -ENOENT when the program lies in neither bin nor
 * libexec/purple, -ENAMETOOLONG. @d must stay where it is.
 */
int dirs_init(struct dirs *d);

/* The path of one of our programs, "purple-init". False if it does not fit into @ret. */
bool dirs_program(const struct dirs *d, const char *program, char *ret, size_t size);

#endif
