/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox changed: the list that diff shows and apply lands, from the layers.
 *
 * A path is in it once, relative to the workspace ("." is itself); the list is sorted
 * by bytes, so a directory stands before what is in it. What was copied up and is as it
 * was is not in it. A directory that is gone is one change, whatever was in it; of one that is
 * new, all that is in it. Times are compared only where something else has changed too.
 *
 * Contents are compared with the host's as it is now; who wants to know whether the host
 * changed meanwhile compares before.ctime_ns (store.h, "created").
 *
 * Hostile: paths, link targets and names of xattrs are any bytes. Xattrs are user.*,
 * security.capability and POSIX ACLs; overlayfs's own are not, and what it has escaped
 * (user.overlay.overlay.X) has its own name here.
 */
#ifndef PURPLE_WORKSPACE_CHANGE_H
#define PURPLE_WORKSPACE_CHANGE_H

#include <stdint.h>

#include "base/arena.h"
#include "workspace/flags.h"
#include "workspace/layer.h"

enum change_kind {
	CHANGE_NONE, /* never in a list */
	CHANGE_ADDED,
	CHANGE_MODIFIED, /* content or link target; perhaps more */
	CHANGE_DELETED,
	CHANGE_TYPE,	   /* a file became a directory, a link a file, … */
	CHANGE_META,	   /* only mode, owner or xattrs */
	CHANGE_UNREADABLE, /* struct change.error: nobody knows what is there */
	CHANGE_KINDS
};
extern const char *const change_kind_names[CHANGE_KINDS]; /* "added", …; for the CLI's JSON */

/* What of it is different. Of what is new or of another type, all. */
enum {
	CHANGE_CONTENT = 1 << 0,
	CHANGE_MODE = 1 << 1,
	CHANGE_OWNER = 1 << 2,
	CHANGE_XATTRS = 1 << 3,
	CHANGE_TARGET = 1 << 4,
	CHANGE_DEVICE = 1 << 5,
	CHANGE_TIME = 1 << 6 /* mtime; never alone */
};

struct change_file {
	uint32_t mode; /* with its type; 0: nothing is there */
	uint32_t uid, gid, nlink;
	uint64_t size, dev, ino, rdev;
	int64_t mtime_ns, ctime_ns;
	const char *target; /* of a symbolic link; else NULL */
};

struct change {
	const char *path;
	enum change_kind kind;
	unsigned what;
	int error;	/* CHANGE_UNREADABLE: a positive errno */
	unsigned layer; /* index in the stack, if after.mode: where layer_open() finds it */
	struct change_file before, after;
	const char *renamed_from; /* of what was added: a path that is gone, and like it … */
	unsigned similarity;	  /* … by so many percent; 100: the same content */
	const char *renamed_to;	  /* of a file that is gone: where it went, by that */
	const char *link_to;	  /* the same inode as this path, changed or not, inside */
	const char *const *xattrs;
	unsigned xattrs_count; /* names of those that differ */
	const struct flag *flag;
};

struct changes {
	struct change *items;
	size_t count;
	struct arena memory;
};

/*
 * Fill @c, which changes_free() frees whether this failed or not. A change that cannot be
 * read is none of the errors, but CHANGE_UNREADABLE.
 */
int changes_read(struct changes *c, const struct layer_stack *s, struct err *e);
void changes_free(struct changes *c);
#define _cleanup_changes_ _cleanup_(changes_free)

/* The path for layer_open(): "" for ".". */
const char *change_path(const struct change *c);

/*
 * Open the file as it is inside, or as it is on the host, for reading. A descriptor or
 * -errno; -ESTALE if it is another by now.
 */
int change_open_after(const struct change *c, const struct layer_stack *s);
int change_open_before(const struct change *c, const struct layer_stack *s);

/* Do two regular files have the same content? 1, 0 or -errno. Holes take no time. */
int change_same_content(int a, int b);

/* changes_read()'s last steps; change_links.c */
int changes_find_links(struct changes *c);
int changes_find_renames(struct changes *c, const struct layer_stack *s);

#endif
