/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns_internal.h"

#include <errno.h>
#include <string.h>

enum { LABEL_MASK = 0xc0, LABEL_POINTER = 0xc0 };

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* Append the label at @p with its length byte @p[0]. */
static int add_label(struct dns_name *name, const uint8_t *p)
{
	size_t n = 1u + p[0];

	if (name->len + n > sizeof(name->wire))
		return -EBADMSG;
	name->wire[name->len] = p[0];
	for (size_t i = 1; i < n; i++)
		name->wire[name->len + i] = lower(p[i]);
	name->len += n;
	return 0;
}

int dns_read_name(const uint8_t *msg, size_t len, size_t *at, struct dns_name *ret)
{
	/* A pointer must go in front of the part that it stands in. */
	size_t pos = *at, part = *at, target, size;
	unsigned jumps = 0;

	ret->len = 0;
	for (;;) {
		if (pos >= len)
			return -EBADMSG;
		if ((msg[pos] & LABEL_MASK) == LABEL_POINTER) {
			if (pos + 2 > len || ++jumps > DNS_JUMPS_MAX)
				return -EBADMSG;
			target = dns_get16(msg + pos) & 0x3fff;
			if (target < DNS_HEADER || target >= part)
				return -EBADMSG;
			if (jumps == 1)
				*at = pos + 2;
			pos = part = target;
			continue;
		}
		size = msg[pos];
		/* 01 and 10 at the top: RFC 6891 §5 gave them up. */
		if ((size & LABEL_MASK) != 0 || pos + 1 + size > len ||
		    add_label(ret, msg + pos) < 0)
			return -EBADMSG;
		pos += 1 + size;
		if (size == 0)
			break;
	}
	if (jumps == 0)
		*at = pos;
	return 0;
}

int dns_read_record(const uint8_t *msg, size_t len, size_t *at, struct dns_record *ret)
{
	const uint8_t *p;

	if (dns_read_name(msg, len, at, &ret->owner) < 0 || len - *at < DNS_RECORD_HEADER)
		return -EBADMSG;
	p = msg + *at;
	ret->type = dns_get16(p);
	ret->class = dns_get16(p + 2);
	ret->ttl = (uint32_t)dns_get16(p + 4) << 16 | dns_get16(p + 6);
	ret->len = dns_get16(p + 8);
	ret->at = *at + DNS_RECORD_HEADER;
	if (len - ret->at < ret->len)
		return -EBADMSG;
	*at = ret->at + ret->len;
	return 0;
}

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
	return a->len == b->len && memcmp(a->wire, b->wire, a->len) == 0;
}

int dns_name_text(const struct dns_name *name, char ret[HOST_NAME_MAX_LEN + 1])
{
	char text[DNS_NAME_MAX];
	size_t n = 0;

	ret[0] = '\0';
	for (size_t at = 0; name->wire[at] != 0; at += 1u + name->wire[at]) {
		const uint8_t *label = name->wire + at + 1;
		size_t size = name->wire[at];

		/* A dot within a label would make two of it. */
		if (memchr(label, '.', size))
			return -EINVAL;
		if (n > 0)
			text[n++] = '.';
		memcpy(text + n, label, size);
		n += size;
	}
	return host_name(text, n, ret);
}

int dns_name_from_text(const char *text, struct dns_name *ret)
{
	char name[HOST_NAME_MAX_LEN + 1];
	const char *label = name, *dot;

	ret->len = 0;
	if (host_name(text, strlen(text), name) < 0)
		return -EINVAL;
	for (;;) {
		size_t size;

		dot = strchr(label, '.');
		size = dot ? (size_t)(dot - label) : strlen(label);
		ret->wire[ret->len++] = (uint8_t)size;
		memcpy(ret->wire + ret->len, label, size);
		ret->len += size;
		if (!dot)
			break;
		label = dot + 1;
	}
	ret->wire[ret->len++] = 0;
	return 0;
}
