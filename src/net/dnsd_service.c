/* SPDX-License-Identifier: Apache-2.0 */
/* SRV (RFC 2782), SVCB and HTTPS (RFC 9460): for which names, and what of the answers is given. */
#include <string.h>

#include "base/macros.h"
#include "base/str.h"
#include "net/dns_internal.h"
#include "net/dnsd_internal.h"

enum {
	SERVICE_MAX = 15 /* RFC 6335 §5.1 */,
	SVCB_DATA_MAX = 2048,
	SVCB_PORT = 3,
	PORT_HTTPS = 443
};

bool dnsd_is_service(uint16_t type)
{
	return type == DNS_SRV || type == DNS_SVCB || type == DNS_HTTPS;
}

/* The length of the label "_…" that @name begins with, and its dot; 0: there is none. */
static size_t underscored(const char *name)
{
	size_t len = strcspn(name, ".");

	return name[0] == '_' && len > 1 && len <= 1 + SERVICE_MAX && name[len] == '.' ? len + 1
										       : 0;
}

static bool label_is(const char *name, const char *label)
{
	size_t len = strlen(label);

	return strncmp(name, label, len) == 0 && name[len] == '.';
}

/* "_443.": 1 to 5 digits. */
static bool is_port(const char *name, size_t len)
{
	return len >= 3 && len <= 7 && strspn(name + 1, "0123456789") == len - 2;
}

/*
 * How many bytes of @name stand before the host whose service it is: "_xmpp._tcp.", "_dns.",
 * "_8443._https.". They cannot say much, so that an exact rule for the host is one for these.
 */
static size_t service_prefix(const char *name, uint16_t type)
{
	size_t first = underscored(name), second = first ? underscored(name + first) : 0;
	const char *behind = name + first;

	if (type == DNS_SRV)
		return second && (label_is(behind, "_tcp") || label_is(behind, "_udp") ||
				  label_is(behind, "_tls") || label_is(behind, "_sctp"))
			       ? first + second
			       : 0;
	if (second && is_port(name, first) && (type == DNS_SVCB || label_is(behind, "_https")))
		return first + second;
	return type == DNS_SVCB && !second ? first : 0;
}

struct rules_answer dnsd_service_lookup(const struct dnsd *d, const struct dns_query *q,
					size_t *prefix)
{
	struct rules_answer host, whole;

	*prefix = service_prefix(q->name, q->type);
	host = rules_lookup(d->rules, q->name + *prefix);
	if (*prefix == 0 || host.verdict != RULES_NOT_LISTED)
		return host;
	/* "*.example.org" is for _xmpp._tcp.example.org as for any name below. */
	whole = rules_lookup(d->rules, q->name);
	if (whole.verdict != RULES_ALLOWED)
		return host;
	*prefix = 0;
	return whole;
}

static bool may_connect(const struct dnsd *d, const char *name, uint16_t port, bool udp)
{
	struct host host = { .kind = HOST_NAME };

	str_copy(host.name, sizeof(host.name), name);
	return rules_connect(d->rules, &host, port, udp).verdict == RULES_ALLOWED;
}

static void add_srv(const struct dnsd *d, const struct dns_query *q, const struct dns_srv *srv,
		    uint32_t ttl, struct dns_reply *r)
{
	bool udp = label_is(q->name + underscored(q->name), "_udp");

	if (may_connect(d, srv->target, srv->port, udp))
		dns_reply_add_srv(r, srv->priority, srv->weight, srv->port, srv->target, ttl);
}

/* The port in the filtered data, whose parameters begin at @at; 0: none. */
static uint16_t svcb_port(const uint8_t *data, size_t len, size_t at)
{
	for (; len - at >= 4; at += 4u + dns_get16(data + at + 2))
		if (dns_get16(data + at) == SVCB_PORT)
			return dns_get16(data + at + 4);
	return 0;
}

/*
 * A client connects to the target and says the name that it looked up, in the ClientHello and in
 * Host. By the address of another name that would be refused (net/flow.h), so of HTTPS what leads
 * elsewhere is left out, and the client goes by A and AAAA.
 */
static bool svcb_is_for(const struct dnsd *d, const struct dns_query *q, const char *target,
			uint16_t port)
{
	size_t prefix = service_prefix(q->name, q->type);
	const char *host = q->name + prefix, *to = target[0] ? target : q->name;

	if (q->type == DNS_HTTPS)
		return streq(to, host) && may_connect(d, to, port ? port : PORT_HTTPS, false);
	if (port)
		return may_connect(d, to, port, false) || may_connect(d, to, port, true);
	return rules_lookup(d->rules, to).verdict == RULES_ALLOWED;
}

static void add_svcb(const struct dnsd *d, const struct dns_query *q, const uint8_t *data,
		     size_t len, uint32_t ttl, struct dns_reply *r)
{
	char target[HOST_NAME_MAX_LEN + 1];
	uint8_t kept[SVCB_DATA_MAX];
	size_t at = 2;
	struct dns_name name;
	int n = len <= sizeof(kept) ? dns_svcb_filter(data, len, kept, target) : 0;
	bool alias;

	if (n <= 0 || dns_read_name(kept, (size_t)n, &at, &name) < 0)
		return;
	alias = dns_get16(kept) == 0;
	if (alias && (q->type == DNS_HTTPS || !target[0]))
		return;
	if (svcb_is_for(d, q, target, svcb_port(kept, (size_t)n, at)))
		dns_reply_add_raw(r, q->type, kept, (size_t)n, ttl);
}

size_t dnsd_service_answer(const struct dnsd *d, const struct dns_query *q, unsigned rcode,
			   const struct dns_answer *answer, const uint8_t *msg, bool tcp,
			   uint8_t reply[DNSD_REPLY_MAX])
{
	struct dns_reply r;

	dns_reply_start(&r, reply, DNSD_REPLY_MAX, q, rcode, tcp);
	for (unsigned i = 0; answer && i < answer->count; i++) {
		uint32_t ttl = MIN(answer->ttl, (uint32_t)DNSD_TTL_MAX);

		if (q->type == DNS_SRV)
			add_srv(d, q, &answer->srv[i], ttl, &r);
		else
			add_svcb(d, q, msg + answer->svcb[i].at, answer->svcb[i].len, ttl, &r);
	}
	return dns_reply_finish(&r);
}
