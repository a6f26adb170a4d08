/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening socket, of which each connection goes to its owner. So many at
 * once, then others have their turn. Where the kernel has none to give for want
 * of descriptors or memory, it is tried again after ACCEPTOR_AGAIN_MS.
 */
#ifndef PURPLE_NET_ACCEPTOR_H
#define PURPLE_NET_ACCEPTOR_H

#include "net/loop.h"

enum { ACCEPTOR_AT_ONCE = 64, ACCEPTOR_AGAIN_MS = 100, ACCEPTOR_TIMERS = 1 };

struct acceptor;

struct acceptor_owner {
	/* A connection, not blocking; @fd is the owner's. */
	void (*take)(struct acceptor *a, int fd);
	/* NULL: always true. False: no more now; the owner calls acceptor_later(). */
	bool (*has_room)(struct acceptor *a);
	/* NULL: always false. No descriptor for the next; true: it is dealt with, go on. */
	bool (*no_descriptor)(struct acceptor *a);
};

struct acceptor {
	struct loop *loop;
	const struct acceptor_owner *owner;
	struct loop_watch watch; /* .fd: owned */
	struct loop_timer timer;
	struct loop_task again;
};

/* Serve the listening socket @fd, owned from here on, also on failure. 0 or -errno. */
int acceptor_open(struct acceptor *a, struct loop *loop, int fd,
		  const struct acceptor_owner *owner);
void acceptor_close(struct acceptor *a);

/* Take what waits, now, or when the loop comes round. */
void acceptor_run(struct acceptor *a);
void acceptor_later(struct acceptor *a);

#endif
