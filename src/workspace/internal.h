/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of workspace/. */
#ifndef PURPLE_WORKSPACE_INTERNAL_H
#define PURPLE_WORKSPACE_INTERNAL_H

#include <stdbool.h>

/* store.c */
bool store_name_ok(const char *name); /* [a-z0-9][a-z0-9._-]{0,63} */
int store_open_entry(int all, const char *name);

/* store_remove.c */

/*
 * Remove @name below @dir and all that is in it, whatever it is. No recursion, and a
 * bounded number of open files: trees may be deeper than any path is long.
 */
int store_remove_tree(int dir, const char *name);
/* Remove the store @name if nobody holds it and nobody waits for it. -EEXIST: else; @live: held. */
int store_sweep_one(int all, const char *name, bool *live);

/* change.c */

enum { XATTR_NAME_ROOM = 256 }; /* XATTR_NAME_MAX and its end */

/*
 * The name that an xattr of a layer, or of the host, has inside, perhaps in @room; or NULL: it
 * is none of the sandbox's.
 */
const char *xattr_inside_name(const char *name, bool layer, char room[XATTR_NAME_ROOM]);

#endif
