/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's datagrams to the ports that rules with "/udp" list. To every
 * other port the kernel of the sandbox's namespace answers by itself that
 * nobody is there, for nobody is.
 *
 * A flow is who sends inside, and to which address and port. Decided as a
 * connection is: a synthetic address is a name, any other a literal address;
 * the rules say whether it may; a name is asked for once, each of its addresses
 * held against the rules, and the first that can be dialled is the flow's from
 * then on: first those of the family that was used inside. A flow has a socket of its
 * own on the host's side, connected, so that nobody but that peer can answer;
 * answers go back from the address that was written to. What is in the
 * datagrams is not looked at.
 *
 * What is refused is refused at once (net/unreachable.h), and so is what the
 * host's side learns that nobody takes. 127.0.0.0/8 and ::1 are the sandbox's
 * own, whatever the rules say. Port 53 belongs to the server of names, but for
 * what goes to a server that the rules allow: udp_take().
 *
 * Datagrams are whole or not at all, and lost where there is no room, as
 * everywhere with UDP.
 *
 * Limits: @max flows. One more takes the place of the one that has been silent
 * the longest if that is UDP_STALE_MS at least, and else is refused. A flow
 * ends after UDP_IDLE_MS, or @idle_s, without a datagram either way. While a name
 * is asked for UDP_HELD datagrams wait, UDP_HELD_FLOW of a flow. Memory is
 * allocated at udp_new(), and used as it is needed.
 */
#ifndef PURPLE_NET_UDP_H
#define PURPLE_NET_UDP_H

#include "net/bucket.h"
#include "net/datagram.h"
#include "net/loop.h"
#include "net/names.h"
#include "net/report.h"
#include "net/resolver.h"
#include "net/rules.h"

enum {
	UDP_PORTS = 64,
	UDP_SOCKETS = 2 * UDP_PORTS,
	UDP_TIMERS = 1,
	UDP_FDS = 1, /* of a flow */
	UDP_BATCH = 16,
	UDP_HELD = 32,
	UDP_HELD_FLOW = 8,
	UDP_IDLE_MS = 120000, /* RFC 4787 §4.3: two minutes at least */
	UDP_STALE_MS = 10000,
};

struct udp;

/* Does a rule allow any UDP? Without one there is nothing to serve. */
bool udp_is_wanted(const struct net_rules *rules);

/* What it works with stays the caller's, and outlives it. 0 or -errno. */
int udp_new(struct loop *loop, const struct net_rules *rules, const struct names *names,
	    struct resolver *resolver, struct report *report, unsigned max, unsigned idle_s,
	    struct udp **ret);
/*
 * Bytes from inside come out of @up, others out of @down; NULL, as at first: no
 * limit. What waits for it waits in the kernel, and is lost there if it is too much.
 */
void udp_limit(struct udp *u, struct bucket *up, struct bucket *down);
/* Ends all. */
void udp_free(struct udp *u);

/* Other rules: cut the flows that they do not allow. How many it were. */
unsigned udp_check(struct udp *u);
struct show;
void udp_show(const struct udp *u, struct show *s);

/* Serve @fd, which is owned from here on, also on failure. 0 or -errno. */
int udp_add(struct udp *u, int fd, bool v6);
/* The raw socket for ICMP or ICMPv6; owned likewise. */
int udp_add_icmp(struct udp *u, int fd, bool v6);
/* The socket of the server of names, not owned: from there answers to udp_take() come. */
void udp_add_dns(struct udp *u, int fd, bool v6);

/*
 * A datagram to port 53; @arg is the struct udp. False: no rule lists the server
 * that it is for. DATAGRAM_MAX bytes for it: udp_room().
 */
bool udp_take(void *arg, bool v6, const struct datagram_path *path, uint8_t *data, size_t len);
uint8_t *udp_room(struct udp *u);

/* The sandbox has ended: send on what it sent. True: nothing of it is here any more. */
bool udp_drain(struct udp *u);

#endif
