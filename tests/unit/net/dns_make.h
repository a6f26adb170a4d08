/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages, made of parts, right or wrong as the test wants. */
#ifndef DNS_MAKE_H
#define DNS_MAKE_H

#include <stdint.h>
#include <string.h>

struct bytes {
	uint8_t data[70000];
	size_t len;
};

static inline void put(struct bytes *b, const void *data, size_t len)
{
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static inline void put16(struct bytes *b, unsigned v)
{
	b->data[b->len++] = (uint8_t)(v >> 8);
	b->data[b->len++] = (uint8_t)v;
}

static inline void put32(struct bytes *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b, v & 0xffff);
}

static inline void put_header(struct bytes *b, unsigned id, unsigned flags, unsigned questions,
			      unsigned answers, unsigned authority, unsigned additional)
{
	b->len = 0;
	put16(b, id);
	put16(b, flags);
	put16(b, questions);
	put16(b, answers);
	put16(b, authority);
	put16(b, additional);
}

/* "a.b": labels with a final empty one; "" is the root. */
static inline void put_name(struct bytes *b, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, ".");

		b->data[b->len++] = (uint8_t)n;
		put(b, text, n);
		text += n + (text[n] == '.');
	}
	b->data[b->len++] = 0;
}

static inline void put_question(struct bytes *b, const char *name, unsigned type)
{
	put_name(b, name);
	put16(b, type);
	put16(b, 1);
}

/* A record for @name, or for the name at offset @pointer if that is not 0. */
static inline void put_record(struct bytes *b, const char *name, unsigned pointer, unsigned type,
			      uint32_t ttl, const void *data, size_t len)
{
	if (pointer)
		put16(b, 0xc000 | pointer);
	else
		put_name(b, name);
	put16(b, type);
	put16(b, 1);
	put32(b, ttl);
	put16(b, (unsigned)len);
	put(b, data, len);
}

/* A CNAME record from @name to @target. */
static inline void put_cname(struct bytes *b, const char *name, uint32_t ttl, const char *target)
{
	static struct bytes wire;

	wire.len = 0;
	put_name(&wire, target);
	put_record(b, name, 0, 5, ttl, wire.data, wire.len);
}

#endif
