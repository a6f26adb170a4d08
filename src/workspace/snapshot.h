/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of a store in review: a frozen layer with a label each, nothing copied. The
 * state of a snapshot is its layer and all below it. What is done here takes some calls and
 * the writing of a meta, whatever lies in the layers. Killed at any moment, the store is as
 * before or as after; what was left over is removed by the next that changes it.
 *
 * Who calls holds the store's lock, has read @m, and found it a review in layers. @m is
 * changed with the meta on disk, also by what fails later. The functions return 0, or -errno
 * with @e set.
 */
#ifndef PURPLE_WORKSPACE_SNAPSHOT_H
#define PURPLE_WORKSPACE_SNAPSHOT_H

#include "base/err.h"
#include "workspace/store.h"

/* [A-Za-z0-9][A-Za-z0-9._:+@-]{0,63} */
bool snapshot_label_ok(const char *label);
/* Is it that, and does @m not have it yet? -EINVAL, -EEXIST. */
int snapshot_check_label(const struct store_meta *m, const char *label, struct err *e);
/* A label that @m does not have: the number behind the highest one. */
void snapshot_new_label(const struct store_meta *m, char label[STORE_LABEL_MAX + 1]);

/* @l is now the snapshot @label. */
void snapshot_label(struct store_layer *l, const char *label);
/*
 * The same for a sandbox that runs: a copy of the layer on top is the layer @number, the next
 * free one, and becomes the snapshot @label beside it. The meta is written.
 */
int snapshot_add_copy(int dir, struct store_meta *m, uint32_t number, const char *label);
/* The number of the next layer. -ENOSPC. */
int snapshot_next(const struct store_meta *m, uint32_t *number);

/* What is on top becomes the snapshot @label; what is written from now on lies on it. */
int snapshot_take(int dir, struct store_meta *m, const char *label, struct err *e);

/*
 * From now on it is as in the snapshot @label. What was changed since the last snapshot
 * becomes one of its own, with a label in @kept, or "" if there is nothing.
 */
int snapshot_roll_back(int dir, struct store_meta *m, const char *label,
		       char kept[STORE_LABEL_MAX + 1], struct err *e);

/*
 * Make the store @f, whose name and id are set, as @m, open as @dir, is; or was at @label,
 * if that is not NULL. It has the snapshots below that, too. With a @label the store need
 * not be locked by us, but its sandbox has to be past its start. Fills @f.
 */
int snapshot_fork(int all, int dir, struct store_meta *m, const char *label, struct store_meta *f,
		  struct err *e);

#endif
