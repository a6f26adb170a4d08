/* SPDX-License-Identifier: Apache-2.0 */
#include "event/trail_line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* @n digits; more than 64 bits are none. */
static bool digits_decode(const char *s, size_t n, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < n; i++)
		if (s[i] < '0' || s[i] > '9' || __builtin_mul_overflow(*ret, 10, ret) ||
		    __builtin_add_overflow(*ret, (uint64_t)(s[i] - '0'), ret))
			return false;
	return n > 0;
}

/* The literal @s at *at, and then behind it. */
static bool skip(const char **at, const char *s)
{
	size_t n = strlen(s);

	if (memcmp(*at, s, n) != 0)
		return false;
	*at += n;
	return true;
}

int trail_head_parse(const char *text, size_t len, struct trail_head *ret)
{
	const char *s = text, *seq, *size, *hash;

	if (len != TRAIL_HEAD_SIZE || !skip(&s, "purple-trail 1 seq="))
		return -EBADMSG;
	seq = s;
	s += 20;
	if (!skip(&s, " size="))
		return -EBADMSG;
	size = s;
	s += 20;
	if (!skip(&s, " hash="))
		return -EBADMSG;
	hash = s;
	if (text[len - 1] != '\n' || !digits_decode(seq, 20, &ret->seq) || ret->seq == 0 ||
	    !digits_decode(size, 20, &ret->size) || ret->size > INT64_MAX ||
	    !hex_decode(hash, SHA256_SIZE, ret->hash))
		return -EBADMSG;
	return 0;
}

void trail_head_format(const struct trail_head *h, char ret[TRAIL_HEAD_SIZE + 1])
{
	char hash[2 * SHA256_SIZE + 1];

	hex_encode(h->hash, SHA256_SIZE, hash);
	snprintf(ret, TRAIL_HEAD_SIZE + 1, "purple-trail 1 seq=%020llu size=%020llu hash=%s\n",
		 (unsigned long long)h->seq, (unsigned long long)h->size, hash);
}

int trail_link_parse(const char *line, size_t len, struct trail_link *ret)
{
	size_t start = sizeof(TRAIL_SEQ) - 1, n = start;
	const char *end;

	if (len < start + 2 + TRAIL_PREV_SIZE || memcmp(line, TRAIL_SEQ, start) != 0)
		return -EBADMSG;
	while (n < len && line[n] >= '0' && line[n] <= '9')
		n++;
	end = line + len - TRAIL_PREV_SIZE;
	if (line + n >= end || line[n] != ',' || end[-1] != ',' || line[start] == '0' ||
	    !digits_decode(line + start, n - start, &ret->seq) || !skip(&end, TRAIL_PREV) ||
	    !hex_decode(end, SHA256_SIZE, ret->prev) || memcmp(line + len - 2, "\"}", 2) != 0)
		return -EBADMSG;
	return 0;
}

void trail_hash(const char *line, size_t len, uint8_t ret[SHA256_SIZE])
{
	struct sha256 s;

	sha256_init(&s);
	sha256_add(&s, line, len);
	sha256_done(&s, ret);
}

bool trail_continue(struct trail_head *h, const char *line, size_t len)
{
	struct trail_link link;

	if (trail_link_parse(line, len, &link) < 0 || link.seq != h->seq ||
	    memcmp(link.prev, h->hash, SHA256_SIZE) != 0)
		return false;
	trail_hash(line, len, h->hash);
	h->seq++;
	h->size += len + 1;
	return true;
}

void trail_line(struct buf *b, struct trail_head *h, const char *middle, size_t len)
{
	char text[32], *p = text + sizeof(text), hash[2 * SHA256_SIZE + 1];
	uint64_t seq = h->seq;
	size_t from = b->len;

	*--p = ',';
	do
		*--p = (char)('0' + seq % 10);
	while ((seq /= 10) != 0);
	buf_puts(b, TRAIL_SEQ);
	buf_add(b, p, (size_t)(text + sizeof(text) - p));
	buf_add(b, middle, len);
	buf_puts(b, TRAIL_PREV);
	hex_encode(h->hash, SHA256_SIZE, hash);
	buf_add(b, hash, 2 * SHA256_SIZE);
	buf_puts(b, "\"}");
	if (!b->failed)
		trail_hash(b->data + from, b->len - from, h->hash);
	buf_puts(b, "\n");
	h->seq++;
	h->size += b->len - from;
}
