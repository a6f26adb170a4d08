/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Outside is the host's network namespace, which purple-net
 * is in; inside is the sandbox's, of which it has nothing but sockets, made by PID 1
 * (jail/network.c) and by the supervisor (published ports).
 *
 *	inside                  purple-net                               outside
 *	port 53 ◀─────────────▶ dnsd ─ names ─ resolver ◀──────────────▶ DNS servers
 *	TCP, redirected ──────▶ acceptor ─ flow ─ resolver ─ flow_dial ─▶ servers
 *	  to the proxy's port    flow_proxy, then the same
 *	  its bytes ◀─────────▶ flow_gate, flow_follow, flow_relay ◀───▶
 *	UDP to listed ports ◀─▶ udp ─ resolver ─ udp_flow ◀────────────▶ servers
 *	loopback ◀────────────▶ publish ─ flow_relay ─ acceptor ◀──────▶ clients
 *	                        live: other rules, what there is ◀─────▶ supervisor
 *	                        report: refusals ──────────────────────▶ supervisor
 *
 * dnsd gives a name an address of its own making (names); flow and udp_flow turn that
 * back into the name, so that rules, which are about names, decide: rules at the start,
 * again for each address that the name leads to, and again when live changes them.
 * What is allowed is dialled, what it carries is held against the name (gate, follow;
 * readers hello, http, http_chunk, socks, dns), bytes take their turn by bucket. What is
 * refused is told inside (refusal) and to the supervisor (report). One thread: loop.
 *
 * net_serve() is it from its start to its end: reads its configuration from the
 * supervisor, makes all that it will need, confines itself, and serves what
 * comes from the sockets that it is given. Errors go to the supervisor
 * (NET_FAILED) and come back in @err.
 *
 * Where the hard limit of descriptors (RLIMIT_NOFILE) has no room for
 * max_connections, as many as fit are served, and the others refused.
 *
 * Returns 0 when the supervisor has closed its end, or -errno.
 */
#ifndef PURPLE_NET_SERVE_H
#define PURPLE_NET_SERVE_H

#include "base/err.h"

int net_serve(int control, struct err *err);

#endif
