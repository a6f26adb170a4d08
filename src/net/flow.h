/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's TCP connections, each from its accept to its end.
 *
 * Where it was going is SO_ORIGINAL_DST of the redirected connection, or its
 * own address where nothing redirects. A synthetic address is a name
 * (net/names.h), any other a literal address. The rules say whether it may;
 * what a name resolves to is asked once, each address held against the rules,
 * and what is left dialled in the manner of RFC 8305: IPv6 first, families in
 * turn, the next one after FLOW_NEXT_MS or a failure, FLOW_ATTEMPTS at a time,
 * the first that answers is the one. After FLOW_TRY_MS a silent one makes room for
 * the next; where another was refused, the last ones have no longer than that.
 *
 * The gate: a client's first bytes towards a name wait until they are known to
 * be for that name: a ClientHello's server_name, an HTTP/1 request's Host. No
 * name in a ClientHello, HTTP/2 in the clear, and other protocols pass. What
 * comes back from the server does not wait, for in many protocols it speaks
 * first. A refused client is told in its own protocol (a TLS alert, a 403 or
 * what http_read() says). With a literal address there is no name to agree
 * with, and no gate. Loopback is the sandbox itself, and comes here only where
 * nothing redirects: it is refused, for dialled here it would be the host's.
 *
 * A connection that began with an HTTP/1 request is followed: each later head
 * is held against the name before a byte of it goes, framed by what the request
 * before says of its body (RFC 9112 §6.3; net/http.h and net/http_chunk.h refuse
 * what can be read in two ways). A refused one ends the flow, and is answered
 * unless bytes from the server wait, which ours would be taken for a part of.
 * Where the first request asks for another protocol (Upgrade, CONNECT), what
 * comes behind its body waits for the server's word: after 101, or 2xx to
 * CONNECT, it goes unread, else it is followed. Of later requests that ask so
 * no answer is awaited: whatever comes behind them has to be HTTP/1.
 *
 * What connects to the resolver's own address, port PROXY_PORT, speaks to a
 * proxy (net/proxy.h), and says itself where it wants to go: the decision is
 * the same, the answer in the proxy's protocol. What it sends behind that is
 * for the gate, as above. Loopback is not to be had there, for it would be the
 * host's. A request with a URL goes on without what is for the proxy; then the
 * connection takes only that request's body.
 *
 * Bytes go by splice(2), and are read only when those before have been
 * written, and a bucket has room for them: so a slow reader slows the writer. An end of one side's
 * stream is passed on as one; a reset, an error, or idle time over ends both with resets.
 *
 * Limits: @max flows, more are reset; FLOW_GATE_MS for the first bytes once
 * there is one, and for all that is said to the proxy; FLOW_LINGER_MS for a
 * refused client to read its answer; FLOW_CONNECT_MS to connect in all; @idle_s without a byte
 * either way. Memory is allocated at flows_new().
 */
#ifndef PURPLE_NET_FLOW_H
#define PURPLE_NET_FLOW_H

#include "net/acceptor.h"
#include "net/bucket.h"
#include "net/loop.h"
#include "net/names.h"
#include "net/report.h"
#include "net/resolver.h"
#include "net/rules.h"

enum {
	FLOW_LISTENERS = 128, /* without nf_tables one for each port and family */
	FLOW_ATTEMPTS = 3,
	FLOW_ADDRS = 16,
	FLOW_NEXT_MS = 250, /* RFC 8305 §5 */
	FLOW_TRY_MS = 5000, /* two retransmissions of a SYN, tcp(7) */
	FLOW_CONNECT_MS = 30000,
	FLOW_GATE_MS = 10000,
	FLOW_LINGER_MS = 2000,
	FLOW_FDS = 6, /* of one at most: two sockets and two pipes */
};

struct flows;

/* How many timers @max flows need. */
static inline unsigned flows_timers(unsigned max)
{
	return 2 * max + FLOW_LISTENERS * ACCEPTOR_TIMERS;
}

/* What it works with stays the caller's, and outlives it. 0 or -errno. */
int flows_new(struct loop *loop, const struct net_rules *rules, const struct names *names,
	      struct resolver *resolver, struct report *report, unsigned max, unsigned idle_s,
	      struct flows **ret);
/* Bytes from inside come out of @up, others out of @down; NULL, as at first: no limit. */
void flows_limit(struct flows *fs, struct bucket *up, struct bucket *down);
/* Ends all. */
void flows_free(struct flows *fs);

/* Other rules: cut those that they do not allow. How many it were. */
unsigned flows_check(struct flows *fs);
struct show;
void flows_show(const struct flows *fs, struct show *s);

/*
 * The sandbox has ended: take what still waits at the listeners, and end each
 * flow when all that was sent from inside is with the host's kernel. Call it
 * until it returns true: then there is none left.
 */
bool flows_drain(struct flows *fs);

/* Serve the listening socket @fd, which is owned from here on, also on failure. 0 or -errno. */
int flows_listen(struct flows *fs, int fd, bool v6);

#endif
