/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What purple-net has moved, for metrics: a few counters in a memfd that the supervisor
 * has made and sealed in size, and that purple-net maps before it confines itself. So
 * the supervisor reads them without asking anybody. They come from purple-net, which
 * reads hostile bytes: numbers, and no more.
 */
#ifndef PURPLE_NET_TALLY_H
#define PURPLE_NET_TALLY_H

#include <stdint.h>

/* Of TCP and UDP together, since the start. Only ever go up, but for what a liar says. */
struct net_tally {
	uint64_t up, down;	/* bytes out of the sandbox, and into it, without the headers */
	uint64_t begun, closed; /* connections that were made, and UDP flows; so many are over */
};

/* Where purple-net counts; never NULL. One thread writes. */
extern struct net_tally *net_tally;

/* From here on in the memfd @fd, which stays the caller's. 0 or -errno: nobody sees it. */
int net_tally_share(int fd);

#endif
