/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What purple-net refused, gathered: one entry for each host, port, protocol and
 * reason, with how often. At most DENIALS_MAX; the rest is counted.
 *
 * It comes from purple-net, which reads hostile bytes, and the names in it from
 * inside. What is kept of them are letters that a name or an address can have;
 * each other byte is a question mark.
 */
#ifndef PURPLE_SUPERVISOR_DENIALS_H
#define PURPLE_SUPERVISOR_DENIALS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "net/protocol.h"

enum { DENIALS_MAX = 64, DENIAL_RULE = 300, DENIAL_ALLOW = 400, DENIAL_LINE = 1600 };

struct denial {
	char host[256];		/* name or address; "" of NET_TOO_MANY */
	char address[46];	/* that the name leads to; "": no matter */
	char rule[DENIAL_RULE]; /* of blocked_ips, for NET_BLOCKED; "": not known */
	uint16_t port;		/* 0: a look-up */
	uint8_t udp;
	uint8_t verdict; /* enum net_verdict */
	uint64_t count;
};

struct denials {
	uint32_t count;
	uint32_t pad;
	uint64_t others; /* refusals that no item tells of */
	struct denial items[DENIALS_MAX];
};

/*
 * Count what the NET_DENIED @m tells; @rule: the text of its rule, or "". Returns
 * its item, until the next call; NULL if it told of none.
 */
const struct denial *denials_add(struct denials *d, const struct net_message *m, const char *rule);

/* "not listed", … Constant. */
const char *denial_reason(const struct denial *d);

/* The line of a policy that would allow it, in @ret; "": no single one does. */
void denial_allow(const struct denial *d, char ret[DENIAL_ALLOW]);

/* What happened and why and what to do, in one line without its end. */
void denial_line(const struct denial *d, char ret[DENIAL_LINE]);

/*
 * As JSON: an array of {type, host, port, protocol, reason, count, allow}, and where
 * they are known `address` and `rule`. A look-up has the port null, what no line
 * of a policy would allow has allow null.
 */
void denials_json(const struct denials *d, struct buf *b);

#endif
