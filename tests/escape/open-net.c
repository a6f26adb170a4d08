/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-net whose guards can be switched off one by one: the controls of
 * test_exfil.py. Linked with --wrap for each function here, so that a caller in
 * another file comes by. PURPLE_OPEN names what is off, with commas. Never installed.
 */
#include <stdlib.h>
#include <string.h>

#include "net/dns.h"
#include "net/hello.h"
#include "net/http.h"
#include "net/newnames.h"
#include "net/resolver.h"
#include "net/rules.h"
#include "net/special.h"

static bool off(const char *guard)
{
	const char *s = getenv("PURPLE_OPEN");
	size_t n = strlen(guard);

	for (; s && *s; s += strcspn(s, ",") + (s[strcspn(s, ",")] == ','))
		if (strcspn(s, ",") == n && memcmp(s, guard, n) == 0)
			return true;
	return false;
}

/* A wrapped function, and the true one. */
#define WRAPPED(type, name, ...)         \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

/* Which names may be looked up. */
WRAPPED(struct rules_answer, rules_lookup, const struct net_rules *r, const char *name)
{
	return off("lookup") ? (struct rules_answer){ .rule = 0 } : __real_rules_lookup(r, name);
}

/* What may be connected to. */
WRAPPED(struct rules_answer, rules_connect, const struct net_rules *r, const struct host *host,
	uint16_t port, bool udp)
{
	return off("connect") ? (struct rules_answer){ .rule = 0 }
			      : __real_rules_connect(r, host, port, udp);
}

/* What a name that resolved may be dialled at. */
WRAPPED(struct rules_answer, rules_dial, const struct net_rules *r, const struct host *host,
	const struct host *addr, uint16_t port, bool udp)
{
	return off("dial") ? (struct rules_answer){ .rule = 0 }
			   : __real_rules_dial(r, host, addr, port, udp);
}

/* Private, loopback, metadata and the other ranges. */
WRAPPED(const struct special_range *, special_find, const struct host *addr, unsigned *prefix)
{
	if (!off("special"))
		return __real_special_find(addr, prefix);
	*prefix = 0;
	return NULL;
}

/* IPv4 addresses within IPv6 ones, for what is blocked. */
WRAPPED(unsigned, special_embedded, const struct host *addr, struct host ret[SPECIAL_EMBEDDED_MAX])
{
	return off("embedded") ? 0 : __real_special_embedded(addr, ret);
}

/* What a proxy must not be asked for. */
WRAPPED(bool, host_is_loopback, const struct host *host)
{
	return !off("loopback") && __real_host_is_loopback(host);
}

/* The name in a ClientHello. */
WRAPPED(enum hello_result, hello_read, struct hello_reader *r, const uint8_t *data, size_t len,
	struct hello *ret)
{
	return off("hello") ? HELLO_NOT_TLS : __real_hello_read(r, data, len, ret);
}

/* The host in an HTTP request. */
WRAPPED(enum http_result, http_read, struct http_reader *r, const char *data, size_t len,
	struct http_head *ret)
{
	return off("http") ? HTTP_OTHER : __real_http_read(r, data, len, ret);
}

/* Only A and AAAA are asked of others. */
WRAPPED(int, dns_parse_query, const uint8_t *msg, size_t len, struct dns_query *q)
{
	int r = __real_dns_parse_query(msg, len, q);

	if (r == 0 && off("types"))
		q->type = DNS_A;
	return r;
}

/* The requests of an HTTP/1 connection after the first. */
struct flow;
WRAPPED(void, flow_follow_start, struct flow *f, const struct http_head *head)
{
	if (!off("follow"))
		__real_flow_follow_start(f, head);
}

/* How many new names a wildcard lets out. */
WRAPPED(bool, newnames_admit, struct newnames *n, const struct net_rules *rules, const char *name,
	uint64_t now)
{
	return off("newnames") || __real_newnames_admit(n, rules, name, now);
}

/* How many new services of a name. */
WRAPPED(bool, resolver_admits_service, struct resolver *r, size_t rule, const char *name)
{
	return off("services") || __real_resolver_admits_service(r, rule, name);
}
