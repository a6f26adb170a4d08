/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of `purple diff`. */
#ifndef PURPLE_CLI_DIFF_H
#define PURPLE_CLI_DIFF_H

#include <stdio.h>
#include <sys/types.h>

#include "cli/review.h"
#include "workspace/patch.h"

struct diff {
	const struct review *review;
	const struct changes *changes;
	FILE *out;
	bool colour, raw;
	unsigned context;
	pid_t pager; /* 0: none */
};

/* Text as a terminal may see it, bidirectional controls too; --raw: as it is. */
void diff_put_text(struct diff *d, const char *text, size_t n);
/* A path between quotation marks if it needs any, as git has it. Never raw. */
void diff_put_path(struct diff *d, const char *prefix, const char *path);

/* diff_text.c: 0, or -errno: a file could not be read, and it said so. */
int diff_patch(struct diff *d);
int diff_stat(struct diff *d);
int diff_names(struct diff *d, bool zero);
/* One change: its head, and with @content what differs. */
int diff_put_change(struct diff *d, const struct change *c, bool content);
/* A line of a patch; @origin as patch_lines() has it. */
void diff_put_line(struct diff *d, char origin, const char *text, size_t n);
/* A directory of which all is said by what is in it. */
bool diff_goes_without_saying(const struct changes *all, const struct change *c);
/* One side: what a link says, a file's content. -EFBIG: not to be shown. */
int diff_read_side(struct diff *d, const struct change *c, bool after, struct buf *b);

/* Which directory it is, of one beside a workspace. */
void diff_heading(struct diff *d);
/* diff_json.c */
int diff_json(struct diff *d);
/* A member with a text, and where JSON cannot have it, its bytes too. */
void diff_json_member(struct buf *b, const char *key, const char *s);

/* diff_pager.c: d->out becomes the pager's input if one is to be had. */
void diff_pager_start(struct diff *d);
void diff_pager_end(struct diff *d);

/* The lines that differ, and what they are. -errno: not readable. */
int diff_count(struct diff *d, const struct change *c, struct patch_counts *counts);

#endif
