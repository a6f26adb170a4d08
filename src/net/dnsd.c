/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dnsd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/str.h"
#include "net/dnsd_internal.h"
#include "net/proxy.h"

size_t dnsd_plain(const struct dns_query *q, unsigned rcode, bool tcp,
		  uint8_t reply[DNSD_REPLY_MAX])
{
	struct dns_reply r;

	dns_reply_start(&r, reply, DNSD_REPLY_MAX, q, rcode, tcp);
	return dns_reply_finish(&r);
}

static size_t answer_localhost(const struct dns_query *q, bool tcp, uint8_t reply[DNSD_REPLY_MAX])
{
	struct host v4 = { .kind = HOST_V4, .addr = { 127, 0, 0, 1 } };
	struct host v6 = { .kind = HOST_V6, .addr[15] = 1 };
	struct dns_reply r;

	dns_reply_start(&r, reply, DNSD_REPLY_MAX, q, DNS_NOERROR, tcp);
	if (q->type == DNS_A || q->type == DNS_AAAA)
		dns_reply_add_addr(&r, q->type == DNS_A ? &v4 : &v6, DNSD_TTL_MAX);
	return dns_reply_finish(&r);
}

static size_t answer_proxy(struct dnsd *d, const struct dns_query *q, bool tcp,
			   uint8_t reply[DNSD_REPLY_MAX])
{
	struct dns_reply r;
	struct host v4, v6;

	names_own(d->names, &v4, &v6);
	dns_reply_start(&r, reply, DNSD_REPLY_MAX, q, DNS_NOERROR, tcp);
	if (q->type == DNS_A || q->type == DNS_AAAA)
		dns_reply_add_addr(&r, q->type == DNS_A ? &v4 : &v6, DNSD_TTL_MAX);
	return dns_reply_finish(&r);
}

static size_t answer_reverse(struct dnsd *d, const struct dns_query *q, const struct host *addr,
			     bool tcp, uint8_t reply[DNSD_REPLY_MAX])
{
	const char *name = names_find(d->names, addr);
	struct dns_reply r;

	dns_reply_start(&r, reply, DNSD_REPLY_MAX, q, name ? DNS_NOERROR : DNS_NXDOMAIN, tcp);
	if (name && q->type == DNS_PTR)
		dns_reply_add_ptr(&r, name, DNSD_TTL_MAX);
	return dns_reply_finish(&r);
}

int dnsd_read(struct dnsd *d, const uint8_t *msg, size_t len, bool tcp, struct dns_query *q,
	      uint8_t reply[DNSD_REPLY_MAX])
{
	int r = dns_parse_query(msg, len, q);
	struct rules_answer verdict;
	bool service, admitted;
	size_t prefix = 0;
	struct host addr;

	if (r < 0)
		return r;
	if (r > 0)
		return (int)dnsd_plain(q, (unsigned)r, tcp, reply);
	if (host_is_localhost(q->name))
		return (int)answer_localhost(q, tcp, reply);
	if (streq(q->name, PROXY_NAME))
		return (int)answer_proxy(d, q, tcp, reply);
	if (dns_parse_reverse(q->name, &addr) == 0)
		return (int)answer_reverse(d, q, &addr, tcp, reply);
	service = dnsd_is_service(q->type);
	verdict = service ? dnsd_service_lookup(d, q, &prefix) : rules_lookup(d->rules, q->name);
	if (verdict.verdict != RULES_ALLOWED) {
		report_refused(d->report, &verdict, q->name + prefix, NULL, 0, true);
		return (int)dnsd_plain(q, DNS_REFUSED, tcp, reply);
	}
	if (q->type != DNS_A && q->type != DNS_AAAA && !service)
		return (int)dnsd_plain(q, DNS_NOERROR, tcp, reply);
	admitted = prefix ? resolver_admits_service(d->resolver, verdict.rule, q->name)
			  : resolver_admits(d->resolver, d->rules, d->names, q->name);
	if (!admitted) {
		report_denied(d->report, NET_TOO_MANY_NAMES, q->name, 0, true);
		return (int)dnsd_plain(q, DNS_REFUSED, tcp, reply);
	}
	return 0;
}

size_t dnsd_answer(struct dnsd *d, const struct dns_query *q, const struct resolver_result *result,
		   bool tcp, uint8_t reply[DNSD_REPLY_MAX])
{
	struct host v4, v6;
	struct dns_reply r;

	if (!result->count)
		return dnsd_plain(q, result->rcode, tcp, reply);
	if (names_give(d->names, q->name, &v4, &v6) < 0)
		return dnsd_plain(q, DNS_SERVFAIL, tcp, reply);
	dns_reply_start(&r, reply, DNSD_REPLY_MAX, q, DNS_NOERROR, tcp);
	dns_reply_add_addr(&r, q->type == DNS_A ? &v4 : &v6,
			   MIN(result->ttl, (uint32_t)DNSD_TTL_MAX));
	report_name(d->report, q->name);
	return dns_reply_finish(&r);
}

int dnsd_new(struct loop *loop, const struct net_rules *rules, struct names *names,
	     struct resolver *resolver, struct report *report, struct dnsd **ret)
{
	struct dnsd *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->loop = loop;
	d->rules = rules;
	d->names = names;
	d->resolver = resolver;
	d->report = report;
	*ret = d;
	return 0;
}

static int add(struct dnsd *d, int fd, bool v6, void (*fn)(struct loop_watch *, uint32_t))
{
	struct dnsd_socket *s = &d->sockets[d->sockets_count];

	if (d->sockets_count == DNSD_SOCKETS) {
		close(fd);
		return -ENOSPC;
	}
	d->sockets_count++;
	*s = (struct dnsd_socket){ .dnsd = d,
				   .v6 = v6,
				   .watch = { .fn = fn, .fd = fd },
				   .again = { .fn = dnsd_receive_more } };
	return loop_add(d->loop, &s->watch, EPOLLIN);
}

int dnsd_add_udp(struct dnsd *d, int fd, bool v6)
{
	int r = datagram_prepare(fd, v6); /* answers come from the address that was asked */

	if (r < 0) {
		close(fd);
		return r;
	}
	return add(d, fd, v6, dnsd_receive);
}

void dnsd_set_relay(struct dnsd *d, dnsd_relay *fn, void *arg, uint8_t *room)
{
	d->relay = fn;
	d->relay_arg = arg;
	d->room = room;
}

int dnsd_add_tcp(struct dnsd *d, int fd)
{
	return add(d, fd, false, dnsd_accept);
}

void dnsd_free(struct dnsd *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < DNSD_TCP; i++)
		if (d->conns[i].used)
			dnsd_conn_close(&d->conns[i]);
	for (unsigned i = 0; i < DNSD_PENDING; i++) {
		resolver_forget(&d->pending[i].wait);
		records_forget(&d->pending[i].records);
	}
	for (unsigned i = 0; i < d->sockets_count; i++) {
		loop_remove(d->loop, &d->sockets[i].watch);
		loop_not_later(&d->sockets[i].again);
		close(d->sockets[i].watch.fd);
	}
	free(d);
}
