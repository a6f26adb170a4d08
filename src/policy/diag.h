/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diagnostics of a policy: file:line:column: section.key[index]: what is
 * wrong; what would be right. All of one pass are collected, then printed.
 */
#ifndef PURPLE_POLICY_DIAG_H
#define PURPLE_POLICY_DIAG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/macros.h"

/* Where a value was written. @file lives as long as the policy's arena. */
struct pos {
	const char *file;      /* NULL: nowhere (a default) */
	unsigned line, column; /* from 1 */
};

enum { DIAGS_MAX = 100 }; /* printed; further ones are only counted */

struct diags {
	struct buf text; /* one diagnostic a line */
	unsigned errors, warnings;
};

#define DIAGS_INIT ((struct diags){ .text = BUF_INIT(256 * 1024) })

/* @path is "section.key[2]", or "" for the file as a whole. Always -EINVAL. */
int diag_error(struct diags *d, struct pos pos, const char *path, const char *fmt, ...)
	_printf_(4, 5);
void diag_warn(struct diags *d, struct pos pos, const char *path, const char *fmt, ...)
	_printf_(4, 5);
void diags_free(struct diags *d);
#define _cleanup_diags_ _cleanup_(diags_free)

#endif
