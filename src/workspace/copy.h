/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STORE_COPY: where the kernel refuses an overlay, the sandbox's workspace is a copy of
 * the host's, in the store's layer on top. When the sandbox has ended the copy becomes
 * such a layer: what is still as it was copied is taken out of it, and what is missing
 * becomes a whiteout. From then on the store is one of layers, for all commands.
 *
 * A file is as it was copied if it has the same inode number and ctime at the same path:
 * both are in copy.base, for every file; what changes a file changes its ctime, and a
 * start waits until the clock of ctimes has gone on. A directory is, if that holds for
 * it and nothing is left in it. So the cost at the start and at the end is that of the
 * tree; contents are shared with the host's where the file system can (FICLONE), holes
 * stay holes. Files of several names become several files, as in an overlay. What the
 * caller may not read is there without contents and rights; device nodes are left out.
 *
 * copy.ops is what will be done to the copy, whole before any of it is: who is killed
 * meanwhile leaves what the next command can do once more.
 *
 * The host's tree may change while it is copied; the copy's was written by the sandbox.
 * Everything is by descriptor, beneath its top, on its file system; links are never
 * followed. For the static launcher too: no malloc, no recursion.
 */
#ifndef PURPLE_WORKSPACE_COPY_H
#define PURPLE_WORKSPACE_COPY_H

#include <stdint.h>

#include "base/err.h"
#include "workspace/store.h"

enum {
	COPY_DEPTH_MAX = 150,	 /* directories in one another: two descriptors each */
	COPY_FILES_MAX = 4000000 /* and directories */
};

/*
 * Copy the workspace @host (O_PATH will do) into the empty layer @m->top of the store
 * @dir, which is locked. Afterwards @m->form is STORE_COPY; who calls writes it down.
 * @told is called once, if it takes longer than a moment, with the number of files so
 * far. -EXDEV: something is mounted in it. 0, or -errno with @e set.
 */
int copy_make(int host, int dir, struct store_meta *m, void (*told)(uint64_t files), struct err *e);

/*
 * Make a layer of it, when nobody is inside any more; @dir is locked by us. Afterwards
 * @m->form is STORE_OVERLAY, and written down. Nothing to do for another form.
 */
int copy_settle(int dir, struct store_meta *m, struct err *e);

/* The same for who has not locked @dir: @m is read anew. -EBUSY: its sandbox lives. */
int copy_settle_idle(int dir, struct store_meta *m, struct err *e);

#endif
