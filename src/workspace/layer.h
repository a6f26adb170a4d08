/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what overlayfs's layers say about the directory below them: only what lies
 * in the layers is walked, so that the cost is that of the changes and never that of
 * the tree. Of the host's directory those entries are looked at that a layer has too,
 * and of directories that were replaced (opaque ones) all.
 *
 * Layers are hostile: made inside. Everything is opened by descriptor, beneath its
 * layer, on its file system, without following a link; nothing but a directory is
 * opened at all. What cannot be read (no permission, a path of more than PATH_MAX
 * bytes, a redirect or a metacopy, which no layer of ours has) is an item with an
 * error, and never as if nothing were there.
 *
 * Whiteouts: character devices 0:0, and empty files with the xattr overlay.whiteout.
 * Opaque directories: overlay.opaque=y. Xattrs of both kinds, trusted.* (seen by root
 * only) and user.*. Source: Documentation/filesystems/overlayfs.rst.
 *
 * The tree may change while it is read, if the sandbox lives: each item is then of
 * some moment.
 *
 * Memory: the paths of all directories in the layers, and the names of one directory
 * at a time; more than LAYER_MEMORY_MAX together is -E2BIG.
 */
#ifndef PURPLE_WORKSPACE_LAYER_H
#define PURPLE_WORKSPACE_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/err.h"

enum { LAYER_MEMORY_MAX = 512 << 20, LAYERS_MAX = 500 };

struct layer_stack {
	int host;		 /* the lower directory: the workspace */
	const int *layers;	 /* newest first; descriptors, O_RDONLY */
	unsigned count;		 /* at most LAYERS_MAX */
	const char *const *only; /* paths to narrow to, relative and canonical; NULL: all */
	size_t only_count;
};

struct layer_item {
	const char *path; /* relative to the workspace; "" is itself. Of the walk: copy it */
	int error;	  /* a positive errno: it could not be read; the rest says what is known */
	unsigned layer;	  /* index of the layer that has it, if @is */
	bool was, is;	  /* there: on the host; inside */
	struct stat before, after;
};

/*
 * Calls @each for every path that a layer says something about, directories before
 * what is in them, the names of one directory by their bytes; files that were copied
 * up and are still the same, too. A directory that is gone is one item, whatever was
 * in it. Ends early with what @each returns if that is negative (it sets the error).
 */
int layer_walk(const struct layer_stack *s, int (*each)(void *data, const struct layer_item *item),
	       void *data, struct err *e);

/*
 * Open the regular file @path, or the directory, beneath @root for reading: a
 * descriptor, or -errno. -EINVAL: neither of them. Never waits (a FIFO).
 */
int layer_open(int root, const char *path);

/* O_PATH on whatever it is. */
int layer_open_path(int root, const char *path);

/* Is @path one of @only, or below one, or above one (@above)? */
bool layer_wanted(const struct layer_stack *s, const char *path, bool above);

#endif
