/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's DNS server: whatever goes to port 53 of any address, over UDP
 * and TCP, ends here. Nothing is passed on, but what a relay takes: datagrams to
 * a server that a rule lists (net/udp.h).
 *
 * - A name that no rule allows: REFUSED, at once; nothing leaves the host.
 *   The same for more new names under a wildcard than net/newnames.h admits.
 * - An allowed one: A and AAAA are looked up on the host's side, so that a name
 *   that is not there is NXDOMAIN here too; what is handed out are the name's
 *   synthetic addresses (net/names.h), of both families whichever the name has.
 * - SRV, SVCB, HTTPS of an allowed name, and of its services ("_xmpp._tcp.",
 *   "_dns.", "_8443._https." before it, each a new name of net/newnames.h):
 *   looked up each time. Of SRV those whose target and port the rules allow; of
 *   SVCB the same; of HTTPS those that lead to the name itself, for a client's
 *   ClientHello would disagree with any other (net/flow.h). Without ECH keys and
 *   address hints, see dns_svcb_filter(); what is malformed is left out.
 * - Other types have no data.
 * - Reverse: the name of a synthetic address; NXDOMAIN for all others.
 * - localhost and what ends in it: loopback (RFC 6761 §6.3). The proxy's name
 *   (net/proxy.h): the resolver's own addresses.
 *
 * Limits: DNSD_PENDING look-ups over UDP under way, more are answered with
 * SERVFAIL; DNSD_TCP connections, more are closed; a message of DNSD_QUERY_MAX
 * bytes; DNSD_IDLE_MS for a connection between its messages.
 */
#ifndef PURPLE_NET_DNSD_H
#define PURPLE_NET_DNSD_H

#include "net/datagram.h"
#include "net/loop.h"
#include "net/names.h"
#include "net/report.h"
#include "net/resolver.h"
#include "net/rules.h"

enum {
	DNSD_PENDING = 256,
	DNSD_TCP = 32,
	DNSD_TIMERS = DNSD_TCP,
	DNSD_SOCKETS = 4, /* each kind has one a family */
	DNSD_QUERY_MAX = 1024,
	DNSD_IDLE_MS = 10000,
	DNSD_TTL_MAX = 300, /* seconds: the binding is for ever, the name's existence is not */
};

struct dnsd;

/* What it works with stays the caller's, and outlives it. 0 or -errno. */
int dnsd_new(struct loop *loop, const struct net_rules *rules, struct names *names,
	     struct resolver *resolver, struct report *report, struct dnsd **ret);
void dnsd_free(struct dnsd *d);

/* Serve @fd, which is owned from here on, also on failure. 0 or -errno. */
int dnsd_add_udp(struct dnsd *d, int fd, bool v6);
int dnsd_add_tcp(struct dnsd *d, int fd);

/* False: it is not the relay's, and so a question for this server. */
typedef bool dnsd_relay(void *arg, bool v6, const struct datagram_path *path, uint8_t *data,
			size_t len);
/* @room: DATAGRAM_MAX bytes in which datagrams are read, not owned. */
void dnsd_set_relay(struct dnsd *d, dnsd_relay *fn, void *arg, uint8_t *room);

#endif
