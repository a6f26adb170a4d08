/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer that is written may not be frozen while it is mounted: what is open in it stays
 * open. So a snapshot of a running sandbox is a copy of the layer on top, made while nothing
 * inside runs. Contents are shared where the file system can (FICLONE), otherwise copied with
 * their holes; links, whiteouts, opaque directories, owners, modes, times and xattrs are as
 * they were. The cost is that of what was changed since the layer below, never of the tree.
 *
 * Layers are hostile: made inside. Everything is opened by descriptor, in one directory that
 * is open, without following a link or waiting (a FIFO). What cannot be copied is an error,
 * never left out: no permission, more than LAYER_COPY_DEPTH directories in each other.
 */
#ifndef PURPLE_WORKSPACE_LAYER_COPY_H
#define PURPLE_WORKSPACE_LAYER_COPY_H

#include "base/err.h"

enum { LAYER_COPY_DEPTH = 2000 }; /* two descriptors each */

/*
 * Copy all below @from to @to, and what @from itself is. Both are directories, open for
 * reading; @to is empty. @links: an empty directory beside @to, in which the files of several
 * names are gathered; what is in it afterwards may be removed. 0, or -errno with @e set; then
 * @to is good for nothing.
 */
int layer_copy(int from, int to, int links, struct err *e);

#endif
