/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much lies in a layer, and how many changes of the workspace that is: a walk
 * of the layer alone, of a live sandbox's too. For the static launcher: no malloc.
 * What a change is in full says change.h; here they are only counted.
 */
#ifndef PURPLE_WORKSPACE_USAGE_H
#define PURPLE_WORKSPACE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

enum { USAGE_DEPTH_MAX = 160 }; /* two descriptors a level; what lies deeper is not seen */

struct usage {
	uint64_t bytes;	  /* on disk; a file of many names counts once a name */
	uint64_t files;	  /* and directories, links, whiteouts */
	uint64_t changes; /* these three together */
	uint64_t added, modified, deleted;
	bool full; /* the limits were passed, and the rest was not looked at */
	bool more; /* there is more, too deep or in directories that we may not read */
};

struct usage_limits {
	uint64_t bytes, files; /* stop at so many; 0: count all */
};

/*
 * Of the layer open as @layer, over the workspace @lower (O_PATH will do; -1: no
 * longer known, and then everything is a change). @mode_bits: the workspace's own.
 * Both stay the caller's. Entries that vanish meanwhile are passed over. 0, or -errno.
 */
int usage_of_layer(int layer, int lower, uint32_t mode_bits, const struct usage_limits *limits,
		   struct usage *ret);

#endif
