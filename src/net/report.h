/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the supervisor what was refused: NET_DENIED of net/protocol.h, at most
 * NET_DENIED_PER_SECOND, and never waits for it. What was not told of is
 * counted in the next one. What was allowed is told of by NET_ALLOWED where that was
 * asked for, as long as the supervisor has room for it.
 */
#ifndef PURPLE_NET_REPORT_H
#define PURPLE_NET_REPORT_H

#include "net/host.h"
#include "net/loop.h"
#include "net/protocol.h"
#include "net/rules.h"

struct report {
	const struct loop *loop;
	int fd;		/* of the control socket; not owned */
	uint64_t since; /* when the second began */
	unsigned told, untold;
	uint32_t tell; /* enum net_tell */
	unsigned allowed_untold;
	uint64_t name_at;		  /* when the last name was told of, */
	char name[HOST_NAME_MAX_LEN + 1]; /* and which */
};

/* @text: a name or an address. @port: 0 for a look-up. */
void report_denied(struct report *r, enum net_verdict verdict, const char *text, uint16_t port,
		   bool udp);

/* The same for what the rules answered. @address: the one that a name leads to, or NULL. */
void report_refused(struct report *r, const struct rules_answer *answer, const char *text,
		    const struct host *address, uint16_t port, bool udp);
enum net_verdict report_verdict(const struct rules_answer *answer);

/* NET_ALLOWED, if it was asked for. A connection to @host at @address … */
void report_flow(struct report *r, const char *host, const struct host *address, uint16_t port,
		 bool udp);
/* … a name that was answered; a second look-up at once (for IPv6) is the same … */
void report_name(struct report *r, const char *name);
/* … a request in a connection to @host. */
void report_request(struct report *r, const char *host, uint16_t port, const char *method,
		    const char *target, size_t len);

/* At the end: how many were not told of. */
void report_flush(struct report *r);

#endif
