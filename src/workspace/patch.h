/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unified difference of two pieces of text, by libgit2: its algorithm and its idea of
 * what is binary (a NUL in the first bytes). Bounded: PATCH_SIZE_MAX bytes a side.
 */
#ifndef PURPLE_WORKSPACE_PATCH_H
#define PURPLE_WORKSPACE_PATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { PATCH_SIZE_MAX = 16 << 20 };

struct patch_counts {
	size_t added, removed; /* lines */
	bool binary;	       /* then no lines */
};

/* libgit2 is there. 0, or -ENOMEM. */
int patch_ready(void);

/*
 * Compare @a with @b, both at most PATCH_SIZE_MAX, and call @line (unless NULL) for each
 * line: @origin is 'H' for a hunk's head, ' ', '+' or '-', or '\\' for "no newline at the
 * end" of the line before; the text has its newline, if there is one. Ends early with what
 * @line returns if that is not 0. 0, or -ENOMEM.
 */
int patch_lines(const struct buf *a, const struct buf *b, unsigned context,
		int (*line)(void *data, char origin, const char *text, size_t n), void *data,
		struct patch_counts *counts);

#endif
