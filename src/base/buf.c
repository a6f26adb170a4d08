/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static bool reserve(struct buf *b, size_t more)
{
	size_t need, room;
	char *p;

	if (b->failed)
		return false;
	if (more >= SIZE_MAX - b->len - 1 || b->len + more > b->max) {
		b->failed = true;
		return false;
	}
	need = b->len + more + 1;
	if (need <= b->room)
		return true;
	room = MAX(b->room * 2, (size_t)256);
	if (room < need)
		room = need;
	p = realloc(b->data, room);
	if (!p) {
		b->failed = true;
		return false;
	}
	b->data = p;
	b->room = room;
	return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !reserve(b, (size_t)n)) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

/* The character of @n bytes at @s, if a terminal that shows it would obey it or turn text. */
static unsigned obeyed(const unsigned char *s, size_t n)
{
	unsigned c = n == 2   ? (s[0] & 0x1fU) << 6 | (s[1] & 0x3fU)
		     : n == 3 ? (s[0] & 0xfU) << 12 | (s[1] & 0x3fU) << 6 | (s[2] & 0x3fU)
			      : 0;

	return (c >= 0x80 && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
			       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069)
		       ? c
		       : 0;
}

void buf_json_string(struct buf *b, const char *str)
{
	const unsigned char *s = (const unsigned char *)str;
	size_t n;

	buf_puts(b, "\"");
	while (*s != '\0') {
		n = utf8_len((const char *)s);
		if (n == 0) {
			/* A byte that is no text: shown as Latin-1 would. */
			buf_printf(b, "\\u00%02x", *s++);
		} else if (obeyed(s, n)) {
			buf_printf(b, "\\u%04x", obeyed(s, n));
			s += n;
		} else if (*s == '"' || *s == '\\') {
			buf_printf(b, "\\%c", *s++);
		} else if (*s < 0x20 || *s == 0x7f) {
			buf_printf(b, "\\u%04x", *s++);
		} else {
			buf_add(b, s, n);
			s += n;
		}
	}
	buf_puts(b, "\"");
}

void buf_align(struct buf *b, size_t align)
{
	static const char zero[64];
	size_t n = (align - b->len % align) % align;

	buf_add(b, zero, MIN(n, sizeof(zero)));
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT(b->max);
}
