/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox did to its workspace, where it may not do it at once: on disk,
 * a directory for each sandbox in STATE/workspaces (STATE: see struct dirs),
 * mode 0700, named as the sandbox is (or by its id, if it was given no name). Of the
 * sandbox NAME's other directories (filesystem.overlays) NAME:1, NAME:2, …
 *
 *	meta       struct store_meta as text: key=value lines, control characters,
 *	           '%' and bytes above 0x7e as %XX, then a checksum; replaced by
 *	           rename(2), so it is always one or the other, and whole
 *	created    empty; its ctime is when the workspace was last known to be as
 *	           the layers' lower directory: what has a ctime not below it was
 *	           changed by somebody else (to the grain of the file system's clock)
 *	layers/N   an overlay's upper directory each, N decimal from 1. A layer's
 *	           parent is what was below it: another layer, or 0, the workspace.
 *	           Their roots have the workspace's mode and owner, as the layer below
 *	           left them. Only the one on top is ever written. What the meta does not
 *	           name was left by a command that was killed.
 *	work/      the overlay's own, of no interest
 *	copy.base  STORE_COPY: the layer on top is a copy of the whole workspace yet; of
 *	           each file in it, when it was copied, inode and ctime; see copy.h
 *	copy.ops   what makes a layer of it
 *	journal    of an apply that is under way, and
 *	landed     what an earlier one left on the host; see journal.h
 *
 * Layers are made by overlayfs(5) with userxattr: whiteouts are character
 * devices 0:0, opaque directories have the xattr user.overlay.opaque=y; there
 * are no redirects and no metacopies. Owners are those that files would have in
 * the workspace: as root they go through an id-mapped mount.
 *
 * Beside the stores is .shared/TREE-N: layer N of the store whose tree is TREE, in which
 * others stand since it was forked. A store's own layer N is in the one place or, once
 * others share it, in the other, so that a fork is a rename(2) and no meta of the parent's
 * has to change with it. A shared layer is never written, and is removed when no meta
 * names it any more: none is counted, so no count can be wrong. While some store's meta is
 * rubbish none is removed.
 *
 * Locks: the supervisor holds flock(LOCK_EX) on the directory while the sandbox
 * lives, and who changes the store (apply, discard, rollback) while he does. A
 * reader takes LOCK_SH if it wants what does not change; to read what a live
 * sandbox has done so far it takes none. So:
 *
 * Who moves layers to .shared, or removes some of them, holds LOCK_EX on the directory of
 * all stores, for moments: store_lock_shared(). Who removes a store takes it once between
 * the meta and the layers, so that no fork is half done with it. It comes after a store's.
 *
 *	locked                     a live sandbox's, or somebody is at work
 *	unlocked, mode=review      waits for a person
 *	unlocked, mode=scratch     left by a supervisor that was killed: store_sweep()
 *	unlocked, no meta          likewise: it was being made, or removed
 *	unlocked, rubbish in meta  for a person to look at; `purple discard` removes it
 *
 * What lies in the layers was made inside: names, modes, links, xattrs and
 * contents are hostile. What lies beside them is ours. Everything is by
 * descriptor. For the static launcher too: no malloc, no stdio but snprintf.
 * Returns 0 or -errno.
 */
#ifndef PURPLE_WORKSPACE_STORE_H
#define PURPLE_WORKSPACE_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define STORE_META "meta"
#define STORE_CREATED "created"
#define STORE_LAYERS "layers"
#define STORE_WORK "work"
#define STORE_COPY_BASE "copy.base"
#define STORE_JOURNAL "journal"
#define STORE_SHARED ".shared"

enum {
	STORE_VERSION = 1,
	STORE_NAME_MAX = 66, /* as SANDBOX_NAME_MAX, and ":8" */
	STORE_LABEL_MAX = 64,
	STORE_ID_LEN = 12,     /* as SANDBOX_ID_LEN */
	STORE_LAYERS_MAX = 480 /* overlayfs takes 500: OVL_MAX_STACK, fs/overlayfs/params.h */
};

enum store_mode { STORE_REVIEW, STORE_SCRATCH, STORE_MODES };
extern const char *const store_mode_names[STORE_MODES]; /* "review", "scratch" */

enum store_form { STORE_OVERLAY, STORE_COPY, STORE_FORMS };
extern const char *const store_form_names[STORE_FORMS]; /* "overlay", "copy" */

struct store_layer {
	uint32_t number, parent;	 /* parent < number; 0: the workspace */
	char label[STORE_LABEL_MAX + 1]; /* of a snapshot, whose last layer this is; "" */
	uint64_t created_ns;		 /* that snapshot, CLOCK_REALTIME; 0: none, or unknown */
	/* Another store's, of which this one is a fork: .shared/TREE-NUMBER. "": our own. */
	char tree[STORE_ID_LEN + 1];
	uint32_t tree_number;
};

struct store_meta {
	char name[STORE_NAME_MAX + 1];
	char id[STORE_ID_LEN + 1];
	enum store_mode mode;
	enum store_form form;
	char path[PATH_MAX]; /* the workspace, absolute and canonical */
	uint64_t dev, ino;   /* of it: another directory at that path is not it */
	uint64_t created_ns; /* CLOCK_REALTIME, for people; see the file "created" */
	uint32_t uid, gid;   /* owner of the workspace */
	uint32_t mode_bits;  /* 07777 of it */
	uint32_t top;	     /* the layer that is written */
	uint64_t base_ns;    /* store_base(); 0: the file "created" says */
	/* What our layers are called in .shared: the first id that it had. "": still @id. */
	char tree[STORE_ID_LEN + 1];
	unsigned layers_count; /* ascending by number */
	struct store_layer layers[STORE_LAYERS_MAX];
};

/*
 * STATE/workspaces, made (0700) if @make: a descriptor, or -errno: -ENOENT when
 * there is none; -EPERM when it is not ours alone (owner, mode, a link).
 */
int store_open_all(const char *state, bool make);

/*
 * Make the store @m->name, with one empty layer (m->top = 1), and
 * lock it. Sets created_ns. A descriptor of the directory, whose lock goes with the last
 * process that holds it; -EEXIST with @e set if the name has one already.
 */
int store_make(int all, struct store_meta *m, struct err *e);

/*
 * The name of the store of @name's overlay @n, from 1 to STORE_PARTS_MAX; with @n 0 the
 * sandbox's own, which @name may be such a name of. Also for one that is not there.
 */
enum { STORE_PARTS_MAX = 8 };
void store_part(const char *name, unsigned n, char ret[STORE_NAME_MAX + 1]);

/* Open the store @name, or of the sandbox whose id it is. Not locked. -ENOENT. */
int store_open(int all, const char *name);

/* Lock it, without waiting. -EWOULDBLOCK: a live sandbox's. -ESTALE: it was removed meanwhile. */
int store_lock(int dir, bool exclusive);
/* Exclusively, after some tenths of a second at most: whoever sweeps has it for moments. */
int store_lock_soon(int dir);
/* Does somebody hold it exclusively? */
bool store_is_live(int dir);

/* -EBADMSG: rubbish, or not of this version; -ENOENT. @m is large: not for the stack. */
int store_read(int dir, struct store_meta *m);
int store_write(int dir, const struct store_meta *m); /* who does holds the lock */
/*
 * What store_make() wrote may be lost in a power failure until this, or until the kernel
 * has written it by itself (30 s): a start does not wait for the disk.
 */
int store_sync(int dir);

/* What the layer @number of @m is (NULL: there is none), and the one labelled @label. */
const struct store_layer *store_layer(const struct store_meta *m, uint32_t number);
const struct store_layer *store_labelled(const struct store_meta *m, const char *label);

/*
 * The layers from @number down to the workspace, newest first, in @ret; how many.
 * -EBADMSG: a parent is missing.
 */
int store_stack(const struct store_meta *m, uint32_t number, uint32_t ret[STORE_LAYERS_MAX]);

/* O_RDONLY on the directory of layer @number of @m. Its root may be read by its owner only. */
int store_open_layer(int dir, const struct store_meta *m, uint32_t number);
/*
 * Its path, from the directory of all stores if *@shared, else from the store's own. It
 * stays there while the lock is held, and if *@shared as long as the meta names it.
 */
enum { STORE_LAYER_PATH = 48 };
int store_layer_path(int dir, const struct store_meta *m, uint32_t number,
		     char path[STORE_LAYER_PATH], bool *shared);
/*
 * An empty layer on top of @parent, which becomes m->top; its root is as the parent's. The
 * meta is not written. -ENOSPC: there are STORE_LAYERS_MAX.
 */
int store_add_layer(int dir, struct store_meta *m, uint32_t parent);

/*
 * The ctime, in ns, that what is still as the sandbox found it on the host is older than.
 * -errno.
 */
int store_base(int dir, const struct store_meta *m, int64_t *ns);

/* The lock for .shared; waits at most some seconds: then -EBUSY. Close it. */
int store_lock_shared(int all);
/* Is there something that store_sweep_shared() may find? */
bool store_has_shared(int all);
/* Remove the shared layers that no meta names. It takes the lock, or does nothing. */
void store_sweep_shared(int all);

/*
 * Remove the store @name, which is open and locked by us as @dir, with all that is
 * in it, whatever was done to it inside. Closes @dir.
 */
int store_remove(int all, const char *name, int dir);
/*
 * Before the layers of an ended sandbox are mounted again: the kernel does not take a work
 * directory with which there was a volatile overlay, which might be torn after a crash. Ours
 * are as any directory after a crash: what was not written yet is missing.
 */
int store_renew_work(int dir);
/* Remove all that is in @dir, and its layers: the part of store_remove() that takes time. */
int store_empty(int dir);

/*
 * Remove @name below @dir and all that is in it, whatever it is. No recursion, and a
 * bounded number of open files: trees may be deeper than any path is long.
 */
int store_remove_tree(int dir, const char *name);

/*
 * Remove what killed supervisors left that nobody waits for, looking at no more
 * than @most stores (0: all). Returns how many were removed.
 */
unsigned store_sweep(int all, unsigned most);

/* The names of all stores, one after the other, to @each; stops when it returns false. */
void store_each(int all, bool (*each)(void *data, const char *name), void *data);

#endif
