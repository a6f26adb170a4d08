/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports: what connects to a listening socket of the host is connected
 * to a port of the sandbox's loopback, 127.0.0.1 first, then ::1, and relayed
 * like any flow (net/flow.h), of which it is one. Nobody's rules are asked: the
 * policy has published the port, to whoever reaches the address.
 *
 * We cannot make a socket in the sandbox's network namespace, so PID 1 made
 * some beforehand: the pool, as many of each family. A connection in takes one
 * of both, and gives one back as soon as it knows which of them it needs. While
 * there is none, or no flow, connections wait in the host's backlog; none is
 * dropped. Where nothing listens inside, the client is reset.
 *
 * A socket is used again after connect(AF_UNSPEC), tcp_disconnect() in the
 * kernel (net/ipv4/tcp.c): it purges both queues and the sequence numbers, frees
 * the local port, and resets a peer that has not ended. So it is done only when
 * the connection is closed (TCP_INFO; TIME_WAIT is not the socket's any more),
 * or is to be reset. What the peer has still to take is waited for, up to
 * PUBLISH_LINGER_MS. The error that it leaves is cleared by the next connect(2),
 * tcp_connect_init(). One socket does not do for both families: an IPv6 one that
 * was connected to ::ffff:127.0.0.1 goes on to send as IPv4 for good, so that
 * ::1 never answers.
 */
#ifndef PURPLE_NET_PUBLISH_H
#define PURPLE_NET_PUBLISH_H

#include "net/flow.h"

enum {
	PUBLISH_LISTENERS = 64,
	PUBLISH_POOL = 2 * 128,
	/* About what the kernel gives one that close(2) has left with it, tcp_orphan_retries. */
	PUBLISH_LINGER_MS = 120000,
	PUBLISH_TIMERS = PUBLISH_LISTENERS * ACCEPTOR_TIMERS + PUBLISH_POOL,
	PUBLISH_FDS = PUBLISH_LISTENERS + PUBLISH_POOL,
};

struct publish;

/* For @fs, which outlives no call but publish_free(). Allocates all. 0 or -errno. */
int publish_new(struct loop *loop, struct flows *fs, struct publish **ret);
/* After flows_free(). */
void publish_free(struct publish *p);

/* Serve the listening socket @fd for @port inside. Owned from here on. 0 or -errno. */
int publish_listen(struct publish *p, int fd, uint16_t port);
/* Add @fd to the pool: made inside, not connected. Owned from here on. 0 or -errno. */
int publish_add(struct publish *p, int fd, bool v6);
/* The sandbox has ended: the ports are free, what was accepted goes on. @p may be NULL. */
void publish_stop(struct publish *p);

#endif
