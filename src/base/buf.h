/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer with a maximum. After the first failure (out of
 * memory, or over `max`) it takes nothing more and `failed` stays set, so a
 * writer checks once, at the end. The content is always NUL-terminated.
 */
#ifndef PURPLE_BASE_BUF_H
#define PURPLE_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

struct buf {
	char *data; /* owned; NULL while empty */
	size_t len; /* without the final NUL */
	size_t room;
	size_t max;
	bool failed;
};

#define BUF_INIT(limit) ((struct buf){ .max = (limit) })

void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
/*
 * A JSON string with its quotes; control characters (C1 too), what turns text around (U+202E
 * and its like) and invalid UTF-8 escaped.
 */
void buf_json_string(struct buf *b, const char *s);
/* Zero bytes up to a multiple of @align (a power of two). */
void buf_align(struct buf *b, size_t align);
void buf_free(struct buf *b);
#define _cleanup_buf_ _cleanup_(buf_free)

#endif
