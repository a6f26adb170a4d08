/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of workspace/. */
#ifndef PURPLE_WORKSPACE_INTERNAL_H
#define PURPLE_WORKSPACE_INTERNAL_H

#include <stdbool.h>

#include "workspace/store.h"

/* store.c */
bool store_name_ok(const char *name); /* [a-z0-9][a-z0-9._-]{0,63}(:[1-8])? */
int store_open_entry(int all, const char *name);
/* What the layer @l of @m is called where others share it. */
void store_format_shared(char path[STORE_LAYER_PATH], const struct store_meta *m,
			 const struct store_layer *l);

/* store_attributes.c */

/*
 * Owner, mode, xattrs and mtime of what is open as @from (for reading) to @to; @overlay:
 * what overlayfs has noted, too. 0, or -errno.
 */
int store_copy_attributes(int from, int to, bool overlay);

/* store_meta.c */
struct store_meta;
/* store_write(), but nobody waits for the disk. */
int store_write_new(int dir, const struct store_meta *m);

/* store_remove.c */

/* Remove the store @name if nobody holds it and nobody waits for it. -EEXIST: else; @live: held. */
int store_sweep_one(int all, const char *name, bool *live);
/* As store_each(), of all names in @dir. */
void store_each_entry(int dir, bool (*each)(void *data, const char *name), void *data);

/* change.c */

enum { XATTR_NAME_ROOM = 256 }; /* XATTR_NAME_MAX and its end */

/*
 * The name that an xattr of a layer, or of the host, has inside, perhaps in @room; or NULL: it
 * is none of the sandbox's.
 */
const char *xattr_inside_name(const char *name, bool layer, char room[XATTR_NAME_ROOM]);

#endif
