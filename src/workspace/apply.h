/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lands what a sandbox changed in the workspace: `purple apply`.
 *
 * A path of the host that somebody else has changed since the sandbox began (store.h,
 * "created") is a conflict: it is never overwritten and never removed, nor is a directory
 * in which there is one. What was left there by an earlier apply (journal.h, STORE_LANDED)
 * is no such change. A directory on the way to it that was moved there is one.
 *
 * Every new file is made beside the one that it is for, with its content, owner, mode,
 * xattrs and mtime, under a name that nobody can guess; a directory with all that is in it.
 * When all are there and on disk, each gets its name by one renameat2(2): a new one if
 * nobody has the name, one that replaces by changing places with the old one, which must
 * turn out to be the one that was expected, or they change places again. What is deleted
 * gets a name of ours, is looked at, and only then removed. A directory's own mode, owner
 * and xattrs are changed in place. All is in the journal first. Files are made durable
 * before they get their names.
 *
 * Paths of the host are opened from the workspace's descriptor with openat2(2), beneath it,
 * on its file system, without following a link. Everything in the layers is hostile.
 * Sockets and devices are not applied; set-id bits and file capabilities only if asked for.
 */
#ifndef PURPLE_WORKSPACE_APPLY_H
#define PURPLE_WORKSPACE_APPLY_H

#include "base/arena.h"
#include "base/buf.h"
#include "workspace/change.h"
#include "workspace/journal.h"
#include "workspace/store.h"

enum apply_state {
	APPLY_LEFT,	/* nobody asked for it, or for the directory it is in */
	APPLY_WANTED,	/* is to be applied */
	APPLY_CONFLICT, /* the host's was changed meanwhile */
	APPLY_REFUSED,	/* is not applied: @why */
	APPLY_LANDED,
	APPLY_FAILED, /* the host would not have it: @why */
	APPLY_STATES
};
extern const char *const apply_state_names[APPLY_STATES];

struct apply_item {
	enum apply_state state;
	bool barred;		/* not even if something in it is wanted */
	const char *why;	/* half a sentence, or NULL */
	const char *where;	/* another path that is the reason, or NULL */
	int error;		/* a positive errno, or 0 */
	const struct buf *text; /* instead of the content inside: some of its hunks; or NULL */

	/* Of apply_check() and apply_land(). */
	uint64_t tree;		 /* of a directory that is to go, when it was looked at */
	size_t root, step;	 /* the change that it lands with; its step */
	size_t link;		 /* the change that it is a hard link to; itself: none */
	const char *host_source; /* or the unchanged file of the host; or NULL */
};

struct apply {
	int store, host; /* borrowed; the store is locked */
	const struct store_meta *meta;
	const struct layer_stack *stack;
	const struct changes *changes;
	bool allow_setid;
	struct apply_item *items; /* of the change with the same index */
	struct landed_list landed;
	int64_t stamp_ns;
	struct journal journal;
	struct arena memory;
};

/* @a has its first members. Frees nothing of them: apply_free() in any case. */
int apply_init(struct apply *a, struct err *e);
void apply_free(struct apply *a);
#define _cleanup_apply_ _cleanup_(apply_free)

/*
 * What is wanted and cannot be becomes APPLY_CONFLICT, APPLY_REFUSED or APPLY_LEFT; new
 * directories that something wanted is in become wanted. Touches nothing.
 */
int apply_check(struct apply *a, struct err *e);

size_t apply_count(const struct apply *a, enum apply_state state);

/*
 * Do what is wanted. Items become APPLY_LANDED, or, if @e says why it ended early, stay
 * APPLY_WANTED; the one that it ended with is APPLY_FAILED. APPLY_CONFLICT: it was changed at
 * this very moment. Leaves no journal unless it says so.
 */
int apply_land(struct apply *a, struct err *e);

/*
 * Take back what an apply that was cut off has begun and not done. The store is locked.
 * @landed: steps that had been done. 0: there was none; 1: done.
 */
int apply_recover(int store, int host, size_t *landed, struct err *e);

#endif
