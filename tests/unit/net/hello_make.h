/* SPDX-License-Identifier: Apache-2.0 */
/* ClientHellos, made of parts, right or wrong as the test wants. */
#ifndef HELLO_MAKE_H
#define HELLO_MAKE_H

#include <stdint.h>
#include <string.h>

struct bytes {
	uint8_t data[100000]; /* HELLO_MAX in records of one byte */
	size_t len;
};

static inline void put(struct bytes *b, const void *data, size_t len)
{
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static inline void put_number(struct bytes *b, unsigned v, unsigned size)
{
	while (size-- > 0)
		b->data[b->len++] = (uint8_t)(v >> (8 * size));
}

/* An extension. */
static inline void put_extension(struct bytes *b, unsigned type, const void *data, size_t len)
{
	put_number(b, type, 2);
	put_number(b, (unsigned)len, 2);
	put(b, data, len);
}

static inline void put_server_name(struct bytes *b, const char *name, size_t len)
{
	put_number(b, 0, 2);
	put_number(b, (unsigned)len + 5, 2);
	put_number(b, (unsigned)len + 3, 2);
	put_number(b, 0, 1);
	put_number(b, (unsigned)len, 2);
	put(b, name, len);
}

/* What may be of the wrong length, in bytes. */
struct parts {
	unsigned session, suites, compression;
};

/*
 * A hello with these extensions, or with none at all (NULL), and @rest bytes
 * behind them; without the record header. All lengths are true ones.
 */
static inline void put_parts(struct bytes *b, struct parts p, const struct bytes *extensions,
			     unsigned rest)
{
	static const uint8_t zero[256];
	unsigned size = 2 + 32 + 1 + p.session + 2 + p.suites + 1 + p.compression + rest;

	put_number(b, 1, 1);
	put_number(b, size + (extensions ? 2 + (unsigned)extensions->len : 0), 3);
	put_number(b, 0x0303, 2);
	put(b, zero, 32);
	put_number(b, p.session, 1);
	put(b, zero, p.session);
	put_number(b, p.suites, 2);
	put(b, zero, p.suites);
	put_number(b, p.compression, 1);
	put(b, zero, p.compression);
	if (extensions) {
		put_number(b, (unsigned)extensions->len, 2);
		put(b, extensions->data, extensions->len);
	}
	put(b, zero, rest);
}

static inline void put_hello(struct bytes *b, const struct bytes *extensions)
{
	put_parts(b, (struct parts){ 32, 4, 1 }, extensions, 0);
}

/* @msg in records of at most @size bytes. */
static inline void put_records(struct bytes *b, const struct bytes *msg, size_t size)
{
	for (size_t at = 0; at < msg->len; at += size) {
		size_t part = msg->len - at < size ? msg->len - at : size;

		put_number(b, 0x160301, 3);
		put_number(b, (unsigned)part, 2);
		put(b, msg->data + at, part);
	}
}

#endif
