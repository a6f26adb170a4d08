/* SPDX-License-Identifier: Apache-2.0 */
/* Names and records on the wire, for dns.c and dns_answer.c. RFC 1035 §3.1, §3.2.1, §4.1.4. */
#ifndef PURPLE_NET_DNS_INTERNAL_H
#define PURPLE_NET_DNS_INTERNAL_H

#include "net/dns.h"

enum { DNS_CLASS_IN = 1, DNS_RECORD_HEADER = 10 };

/* Bits of the header's second word. */
enum {
	DNS_QR = 0x8000,
	DNS_OPCODE = 0x7800,
	DNS_TC = 0x0200,
	DNS_RD = 0x0100,
	DNS_RA = 0x0080,
	DNS_CD = 0x0010, /* RFC 2535 §6.1 */
	DNS_RCODE = 0x000f,
};

/* Uncompressed, in lower case, with the final empty label: equal names have equal bytes. */
struct dns_name {
	uint8_t wire[DNS_NAME_MAX];
	size_t len;
};

struct dns_record {
	struct dns_name owner;
	uint16_t type, class;
	uint32_t ttl;
	size_t at, len; /* its data, within the message */
};

static inline uint16_t dns_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void dns_put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Read the name at *at and step behind it. 0 or -EBADMSG. */
int dns_read_name(const uint8_t *msg, size_t len, size_t *at, struct dns_name *ret);

/* The same for a record. */
int dns_read_record(const uint8_t *msg, size_t len, size_t *at, struct dns_record *ret);

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);

/* The host name, without a final dot. 0 or -EINVAL: another kind of name, or the root. */
int dns_name_text(const struct dns_name *name, char ret[HOST_NAME_MAX_LEN + 1]);

/* The opposite. */
int dns_name_from_text(const char *text, struct dns_name *ret);

#endif
