/* SPDX-License-Identifier: Apache-2.0 */
/* The upstream's side: what its answers say. */
#include "net/dns.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "net/dns_internal.h"

/* RFC 9460 §14.3.2. */
enum { SVCB_MANDATORY = 0, SVCB_ALPN = 1, SVCB_NO_DEFAULT_ALPN = 2, SVCB_PORT = 3 };

/* An upstream message whose answer section has been looked through. */
struct message {
	const uint8_t *data;
	size_t len;
	size_t answers; /* where the section begins */
	unsigned count;
};

static bool is_known(uint16_t type)
{
	return type == DNS_A || type == DNS_AAAA || type == DNS_SRV || type == DNS_SVCB ||
	       type == DNS_HTTPS;
}

/* The data of a name within a record, which it must fill from @skip on. */
static int read_target(const struct message *m, const struct dns_record *r, size_t skip,
		       struct dns_name *ret)
{
	size_t at = r->at + skip;

	if (r->len < skip || dns_read_name(m->data, r->at + r->len, &at, ret) < 0)
		return -EBADMSG;
	return at == r->at + r->len ? 0 : -EBADMSG;
}

static int take_addr(const struct message *m, const struct dns_record *r, struct dns_answer *ret)
{
	size_t size = r->type == DNS_A ? 4 : 16;

	if (r->len != size)
		return -EBADMSG;
	if (ret->count < DNS_ADDRS_MAX)
		memcpy(ret->addrs[ret->count++], m->data + r->at, size);
	return 0;
}

/* A target that is no host name, such as "." for "not here" (RFC 2782), is passed over. */
static int take_srv(const struct message *m, const struct dns_record *r, struct dns_answer *ret)
{
	const uint8_t *p = m->data + r->at;
	struct dns_name target;
	struct dns_srv srv;

	if (read_target(m, r, 6, &target) < 0)
		return -EBADMSG;
	srv.priority = dns_get16(p);
	srv.weight = dns_get16(p + 2);
	srv.port = dns_get16(p + 4);
	if (dns_name_text(&target, srv.target) == 0 && ret->count < DNS_SRV_MAX)
		ret->srv[ret->count++] = srv;
	return 0;
}

static int take(const struct message *m, const struct dns_record *r, struct dns_answer *ret)
{
	if (r->type == DNS_A || r->type == DNS_AAAA)
		return take_addr(m, r, ret);
	if (r->type == DNS_SRV)
		return take_srv(m, r, ret);
	if (ret->count < DNS_SVCB_MAX) {
		ret->svcb[ret->count].at = (uint16_t)r->at;
		ret->svcb[ret->count++].len = (uint16_t)r->len;
	}
	return 0;
}

/*
 * Take what *name owns. 0: that is the end. 1: it is a CNAME, *name is where
 * it goes.
 */
static int walk(const struct message *m, uint16_t type, struct dns_name *name,
		struct dns_answer *ret)
{
	struct dns_name next = { .len = 0 };
	uint32_t next_ttl = 0;
	size_t at = m->answers;
	bool found = false;

	for (unsigned i = 0; i < m->count; i++) {
		struct dns_record r;

		if (dns_read_record(m->data, m->len, &at, &r) < 0)
			return -EBADMSG;
		if (r.class != DNS_CLASS_IN || !dns_name_equal(&r.owner, name))
			continue;
		r.ttl = r.ttl > INT32_MAX ? 0 : r.ttl; /* RFC 2181 §8 */
		if (r.type == type) {
			if (take(m, &r, ret) < 0)
				return -EBADMSG;
			ret->ttl = MIN(ret->ttl, r.ttl);
			found = true;
		} else if (r.type == DNS_CNAME) {
			if (read_target(m, &r, 0, &next) < 0)
				return -EBADMSG;
			next_ttl = r.ttl;
		}
	}
	if (found || next.len == 0)
		return 0;
	ret->ttl = MIN(ret->ttl, next_ttl);
	*name = next;
	return 1;
}

static int read_question(struct message *m, const struct dns_name *name, uint16_t type)
{
	struct dns_name asked;
	size_t at = DNS_HEADER;

	if (dns_get16(m->data + 4) != 1 || dns_read_name(m->data, m->len, &at, &asked) < 0 ||
	    m->len - at < 4)
		return -EBADMSG;
	if (!dns_name_equal(&asked, name) || dns_get16(m->data + at) != type ||
	    dns_get16(m->data + at + 2) != DNS_CLASS_IN)
		return -ENOMSG;
	m->answers = at + 4;
	return 0;
}

int dns_parse_answer(const uint8_t *msg, size_t len, uint16_t id, const char *name, uint16_t type,
		     struct dns_answer *ret)
{
	struct message m = { .data = msg, .len = len };
	struct dns_name n;
	unsigned flags;
	int e;

	memset(ret, 0, sizeof(*ret));
	if (!is_known(type) || dns_name_from_text(name, &n) < 0)
		return -EINVAL;
	if (len < DNS_HEADER || len > DNS_MESSAGE_MAX)
		return -EBADMSG;
	flags = dns_get16(msg + 2);
	if (dns_get16(msg) != id || !(flags & DNS_QR) || flags & DNS_OPCODE)
		return -ENOMSG;
	e = read_question(&m, &n, type);
	if (e < 0)
		return e;
	ret->rcode = flags & DNS_RCODE;
	ret->truncated = flags & DNS_TC;
	if (ret->truncated || ret->rcode != DNS_NOERROR)
		return 0;
	m.count = dns_get16(msg + 6);
	if (m.count > DNS_RECORDS_MAX)
		return -EBADMSG;
	ret->ttl = INT32_MAX;
	for (unsigned i = 0; i <= DNS_CHAIN_MAX; i++) {
		e = walk(&m, type, &n, ret);
		if (e <= 0)
			break;
	}
	if (e != 0)
		memset(ret, 0, sizeof(*ret));
	else if (ret->count == 0)
		ret->ttl = 0;
	return e > 0 ? -ELOOP : e;
}

/* Is one of the keys that SvcParam "mandatory" lists one that is dropped? -EBADMSG. */
static int mandatory_is_dropped(const uint8_t *p, size_t len)
{
	int dropped = 0;

	if (len == 0 || len % 2 != 0)
		return -EBADMSG;
	for (; len > 0; p += 2, len -= 2)
		dropped |= dns_get16(p) > SVCB_PORT;
	return dropped;
}

/* Is the value of a key that is kept as RFC 9460 §7 has it? */
static bool value_is_good(int key, const uint8_t *p, size_t len)
{
	if (key == SVCB_NO_DEFAULT_ALPN)
		return len == 0;
	if (key == SVCB_PORT)
		return len == 2;
	if (key != SVCB_ALPN)
		return true;
	if (len == 0)
		return false;
	for (; len > 0; len -= 1u + p[0], p += 1 + p[0])
		if (p[0] == 0 || p[0] >= len)
			return false;
	return true;
}

int dns_svcb_filter(const uint8_t *data, size_t len, uint8_t *ret,
		    char target[HOST_NAME_MAX_LEN + 1])
{
	struct dns_name name;
	size_t at = 2, out;
	int last = -1, dropped;

	target[0] = '\0';
	/* No pointer is right here (§2.2), and none is taken: it would have to go in front. */
	if (len < 3 || dns_read_name(data, len, &at, &name) < 0)
		return -EBADMSG;
	if (name.len > 1 && dns_name_text(&name, target) < 0)
		return -EBADMSG;
	memcpy(ret, data, at);
	out = at;
	while (len - at >= 4) {
		int key = dns_get16(data + at);
		size_t size = 4u + dns_get16(data + at + 2);

		/* RFC 9460 §2.2: in strictly increasing order. */
		if (key <= last || size > len - at)
			return -EBADMSG;
		last = key;
		if (key == SVCB_MANDATORY) {
			dropped = mandatory_is_dropped(data + at + 4, size - 4);
			if (dropped)
				return dropped < 0 ? dropped : 0;
		}
		if (!value_is_good(key, data + at + 4, size - 4))
			return -EBADMSG;
		if (key <= SVCB_PORT && dns_get16(data) != 0) {
			memcpy(ret + out, data + at, size);
			out += size;
		}
		at += size;
	}
	return at == len ? (int)out : -EBADMSG;
}
