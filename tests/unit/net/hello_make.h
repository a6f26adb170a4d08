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

/* A hello with these extensions, or with none at all (NULL); without the record header. */
static inline void put_hello(struct bytes *b, const struct bytes *extensions)
{
	static const uint8_t random[32] = { 1, 2, 3 }, session[32] = { 4, 5, 6 };
	unsigned size = 2 + 32 + 33 + 6 + 2;

	put_number(b, 1, 1);
	put_number(b, size + (extensions ? 2 + (unsigned)extensions->len : 0), 3);
	put_number(b, 0x0303, 2);
	put(b, random, 32);
	put_number(b, 32, 1);
	put(b, session, 32);
	put_number(b, 4, 2);
	put_number(b, 0x3a3a1301, 4); /* GREASE, TLS_AES_128_GCM_SHA256 */
	put_number(b, 0x0100, 2);
	if (extensions) {
		put_number(b, (unsigned)extensions->len, 2);
		put(b, extensions->data, extensions->len);
	}
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
