/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's side: its queries, our answers. */
#include "net/dns.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "net/dns_internal.h"

enum { OPT_SIZE = 11, ADDITIONAL_MAX = 2, OPT_DO = 0x8000 };
/* The first owner of an answer: the name of the question, which follows the header. */
enum { POINTER_TO_QUESTION = 0xc000 | DNS_HEADER };

/* RFC 6891 §6.1.2: options in @at, @len. */
static bool options_fill(const uint8_t *p, size_t len)
{
	while (len >= 4) {
		size_t n = 4u + dns_get16(p + 2);

		if (n > len)
			return false;
		p += n;
		len -= n;
	}
	return len == 0;
}

static int read_opt(const uint8_t *msg, const struct dns_record *r, struct dns_query *q)
{
	if (q->edns || r->owner.len != 1 || !options_fill(msg + r->at, r->len))
		return DNS_FORMERR;
	q->edns = true;
	q->dnssec_ok = r->ttl & OPT_DO;
	q->udp_size = MAX(r->class, (uint16_t)DNS_UDP_MAX);
	return (r->ttl >> 16 & 0xff) == 0 ? 0 : DNS_BADVERS;
}

static int read_additional(const uint8_t *msg, size_t len, size_t at, unsigned count,
			   struct dns_query *q)
{
	int rcode = 0;

	for (unsigned i = 0; i < count; i++) {
		struct dns_record r;
		int e = 0;

		if (dns_read_record(msg, len, &at, &r) < 0)
			return DNS_FORMERR;
		if (r.type == DNS_OPT)
			e = read_opt(msg, &r, q);
		if (e == DNS_FORMERR)
			return e;
		rcode = e ? e : rcode;
	}
	return at == len ? rcode : DNS_FORMERR;
}

/* OPT, TKEY, TSIG, IXFR, AXFR, MAILB, MAILA: RFC 6895 §3.1. */
static bool is_meta(uint16_t type)
{
	return type == 0 || type == DNS_OPT || (type >= 249 && type <= 254);
}

int dns_parse_query(const uint8_t *msg, size_t len, struct dns_query *ret)
{
	unsigned flags, additional;
	struct dns_name name;
	size_t at = DNS_HEADER;
	uint16_t class;
	int rcode;

	*ret = (struct dns_query){ .udp_size = DNS_UDP_MAX };
	if (len < DNS_HEADER)
		return -EBADMSG;
	flags = dns_get16(msg + 2);
	if (flags & DNS_QR)
		return -EBADMSG;
	ret->id = dns_get16(msg);
	ret->recurse = flags & DNS_RD;
	ret->checking_disabled = flags & DNS_CD;
	if (flags & DNS_OPCODE)
		return DNS_NOTIMP;
	additional = dns_get16(msg + 10);
	if (dns_get16(msg + 4) != 1 || dns_get16(msg + 6) != 0 || dns_get16(msg + 8) != 0 ||
	    additional > ADDITIONAL_MAX)
		return DNS_FORMERR;
	if (dns_read_name(msg, len, &at, &name) < 0 || len - at < 4)
		return DNS_FORMERR;
	ret->type = dns_get16(msg + at);
	class = dns_get16(msg + at + 2);
	at += 4;
	/* No pointer can be in it: there is nothing in front that it could point to. */
	ret->question_len = (uint16_t)(at - DNS_HEADER);
	memcpy(ret->question, msg + DNS_HEADER, ret->question_len);
	rcode = read_additional(msg, len, at, additional, ret);
	if (rcode)
		return rcode;
	if (class != DNS_CLASS_IN || is_meta(ret->type))
		return DNS_REFUSED;
	return dns_name_text(&name, ret->name) < 0 ? DNS_REFUSED : 0;
}

/* What stands before @suffix in @name; -1: it ends otherwise. */
static int before(const char *name, const char *suffix)
{
	size_t len = strlen(name), end = strlen(suffix);

	return len > end && strcmp(name + len - end, suffix) == 0 ? (int)(len - end) : -1;
}

static int parse_nibbles(const char *name, int len, struct host *ret)
{
	static const char digits[] = "0123456789abcdef";

	if (len != 63) /* 32 digits with a dot between each two */
		return -EINVAL;
	for (int i = 0; i < 32; i++) {
		const char *digit = strchr(digits, name[2 * i]);
		int byte = 15 - i / 2;

		if (!digit || (i < 31 && name[2 * i + 1] != '.'))
			return -EINVAL;
		ret->addr[byte] |= (uint8_t)((digit - digits) << (i % 2 * 4));
	}
	ret->kind = HOST_V6;
	return 0;
}

int dns_parse_reverse(const char *name, struct host *ret)
{
	struct host h;
	int len = before(name, ".ip6.arpa");

	*ret = (struct host){ .kind = HOST_NAME };
	if (len >= 0)
		return parse_nibbles(name, len, ret);
	len = before(name, ".in-addr.arpa");
	if (len < 0 || host_parse(name, (size_t)len, &h) < 0 || h.kind != HOST_V4)
		return -EINVAL;
	ret->kind = HOST_V4;
	for (int i = 0; i < 4; i++)
		ret->addr[i] = h.addr[3 - i];
	return 0;
}

void dns_reply_start(struct dns_reply *r, uint8_t *buf, size_t room, const struct dns_query *q,
		     unsigned rcode, bool tcp)
{
	size_t limit = DNS_UDP_MAX;

	if (tcp)
		limit = DNS_MESSAGE_MAX;
	else if (q->edns)
		limit = MIN(q->udp_size, DNS_EDNS_MAX);
	limit = MIN(limit, room);
	*r = (struct dns_reply){
		.data = buf,
		.len = DNS_HEADER + q->question_len,
		.limit = limit - (q->edns ? OPT_SIZE : 0),
		.rcode = rcode,
		.edns = q->edns,
		.dnssec_ok = q->dnssec_ok,
		.question = q->question_len > 0,
	};
	memset(buf, 0, DNS_HEADER);
	dns_put16(buf, q->id);
	dns_put16(buf + 2, DNS_QR | DNS_RA | (q->recurse ? DNS_RD : 0) |
				   (q->checking_disabled ? DNS_CD : 0) | (rcode & DNS_RCODE));
	dns_put16(buf + 4, r->question);
	memcpy(buf + DNS_HEADER, q->question, q->question_len);
}

int dns_reply_add_raw(struct dns_reply *r, uint16_t type, const uint8_t *data, size_t len,
		      uint32_t ttl)
{
	uint8_t *p = r->data + r->len;
	size_t size = 2 + DNS_RECORD_HEADER + len;

	if (!r->question || len > UINT16_MAX)
		return -EINVAL;
	if (r->truncated || size > r->limit - r->len) {
		r->truncated = true;
		return 0;
	}
	dns_put16(p, POINTER_TO_QUESTION);
	dns_put16(p + 2, type);
	dns_put16(p + 4, DNS_CLASS_IN);
	dns_put16(p + 6, ttl >> 16);
	dns_put16(p + 8, ttl);
	dns_put16(p + 10, (unsigned)len);
	if (len > 0)
		memcpy(p + 12, data, len);
	r->len += size;
	r->count++;
	return 0;
}

int dns_reply_add_addr(struct dns_reply *r, const struct host *addr, uint32_t ttl)
{
	if (addr->kind == HOST_NAME)
		return -EINVAL;
	return dns_reply_add_raw(r, addr->kind == HOST_V6 ? DNS_AAAA : DNS_A, addr->addr,
				 addr->kind == HOST_V6 ? 16 : 4, ttl);
}

int dns_reply_add_ptr(struct dns_reply *r, const char *name, uint32_t ttl)
{
	struct dns_name n;

	if (dns_name_from_text(name, &n) < 0)
		return -EINVAL;
	return dns_reply_add_raw(r, DNS_PTR, n.wire, n.len, ttl);
}

int dns_reply_add_srv(struct dns_reply *r, uint16_t priority, uint16_t weight, uint16_t port,
		      const char *target, uint32_t ttl)
{
	uint8_t data[6 + DNS_NAME_MAX];
	struct dns_name n;

	if (dns_name_from_text(target, &n) < 0)
		return -EINVAL;
	dns_put16(data, priority);
	dns_put16(data + 2, weight);
	dns_put16(data + 4, port);
	memcpy(data + 6, n.wire, n.len); /* RFC 2782: not compressed */
	return dns_reply_add_raw(r, DNS_SRV, data, 6 + n.len, ttl);
}

/* RFC 6891 §6.1.2. */
static size_t write_opt(uint8_t *p, unsigned rcode, bool dnssec_ok)
{
	memset(p, 0, OPT_SIZE);
	dns_put16(p + 1, DNS_OPT);
	dns_put16(p + 3, DNS_EDNS_MAX);
	p[5] = (uint8_t)(rcode >> 4);
	dns_put16(p + 7, dnssec_ok ? OPT_DO : 0);
	return OPT_SIZE;
}

size_t dns_reply_finish(struct dns_reply *r)
{
	if (r->truncated)
		r->data[2] |= DNS_TC >> 8;
	dns_put16(r->data + 6, r->count);
	dns_put16(r->data + 10, r->edns);
	if (r->edns)
		r->len += write_opt(r->data + r->len, r->rcode, r->dnssec_ok);
	return r->len;
}

int dns_write_query(uint8_t *buf, size_t room, uint16_t id, const char *name, uint16_t type)
{
	struct dns_name n;
	size_t len = DNS_HEADER;

	if (room < DNS_REPLY_MIN || dns_name_from_text(name, &n) < 0)
		return -EINVAL;
	memset(buf, 0, DNS_HEADER);
	dns_put16(buf, id);
	dns_put16(buf + 2, DNS_RD);
	dns_put16(buf + 4, 1);
	dns_put16(buf + 10, 1);
	memcpy(buf + len, n.wire, n.len);
	len += n.len;
	dns_put16(buf + len, type);
	dns_put16(buf + len + 2, DNS_CLASS_IN);
	len += 4;
	return (int)(len + write_opt(buf + len, 0, false));
}
