/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the set-up was where: only for traces (launch->times), else nobody looks at a clock.
 * PID 1 stamps, in the memory that it shares with the launcher, at the end of each
 * part. µs of CLOCK_MONOTONIC, of which the sandbox's time namespace is that of the host; 0:
 * it did not come so far.
 */
#ifndef PURPLE_JAIL_TIMES_H
#define PURPLE_JAIL_TIMES_H

#include <stdint.h>

enum jail_time {
	JT_NAMESPACES, /* PID 1 runs */
	JT_IDS,	       /* it has its ids */
	JT_MOUNTS,     /* the plan's mounts are there */
	JT_NETWORK,    /* it is in the network namespace, with lo up */
	JT_ROOT,       /* the host's tree is gone */
	JT_LOCKED,     /* limits, capabilities, no_new_privs; rules and sockets of a network */
	JAIL_TIMES
};

struct jail_times {
	uint64_t at[JAIL_TIMES];
};

#endif
