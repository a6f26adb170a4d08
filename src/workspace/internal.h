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

/* copy_file.c: copy.base and copy.ops, read and written in order. */

enum copy_kind {
	COPY_FILE, /* copy.base: as it was copied; of a directory, when all was in it */
	COPY_DIR,
	COPY_PRUNE,    /* copy.ops: a file that is as it was: remove it */
	COPY_LEAVE,    /* a directory that is: remove it if nothing is left in it */
	COPY_WHITEOUT, /* it is gone */
	COPY_KINDS
};

struct copy_record {
	uint64_t ino;
	int64_t ctime_ns;
	uint16_t length; /* of the path behind it */
	uint8_t kind;	 /* enum copy_kind */
	uint8_t pad[5];
};

struct copy_file {
	int fd;
	size_t at, len; /* of @room: read, or filled */
	char room[65536];
};

int copy_file_make(struct copy_file *f, int dir, const char *name);
int copy_file_put(struct copy_file *f, struct copy_record *record, const char *path);
int copy_file_close(struct copy_file *f); /* writes what is left: its error is one of writing */
int copy_file_open(struct copy_file *f, int dir, const char *name);
/* The next one, and its path of PATH_MAX bytes. 1, 0: the end; -EBADMSG, -errno. */
int copy_file_get(struct copy_file *f, struct copy_record *record, char *path);

/* change.c */

enum { XATTR_NAME_ROOM = 256 }; /* XATTR_NAME_MAX and its end */

/*
 * The name that an xattr of a layer, or of the host, has inside, perhaps in @room; or NULL: it
 * is none of the sandbox's.
 */
const char *xattr_inside_name(const char *name, bool layer, char room[XATTR_NAME_ROOM]);

#endif
