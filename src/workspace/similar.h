/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renames with edits: a new file that is much like one that is gone, by libgit2's
 * similarity of lines, as git has it. Bounded: SIMILAR_FILES_MAX files a side of at most
 * SIMILAR_SIZE_MAX bytes, SIMILAR_TOTAL_MAX in all; what is beyond is like nothing.
 */
#ifndef PURPLE_WORKSPACE_SIMILAR_H
#define PURPLE_WORKSPACE_SIMILAR_H

#include "workspace/change.h"

enum {
	SIMILAR_LEAST = 50, /* percent, as git */
	SIMILAR_FILES_MAX = 200,
	SIMILAR_SIZE_MAX = 1 << 20,
	SIMILAR_TOTAL_MAX = 64 << 20
};

/*
 * After changes_read(): set renamed_from and similarity of what was added, and renamed_to of
 * what is gone, where they are alike. What cannot be read is like nothing. 0 or -ENOMEM.
 */
int changes_find_similar(struct changes *c, const struct layer_stack *s);

/* Show what was renamed as one that is gone and one that is new. */
void changes_forget_renames(struct changes *c);

#endif
