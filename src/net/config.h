/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What purple-net is told at its start: one block of plain data, made by
 * the supervisor from the plan, in a sealed memfd. It comes from the
 * supervisor and is trusted, but sizes and counts are checked, as a plan's are.
 */
#ifndef PURPLE_NET_CONFIG_H
#define PURPLE_NET_CONFIG_H

#include <stdint.h>

#include "policy/netrule.h"

enum { NET_RULES_MAX = 1024, NET_SERVERS_MAX = 8 };
#define NET_BLOCK_MAGIC 0x5450554eu

struct net_server { /* of names; port 53 unless the policy says another */
	uint8_t v6;
	uint16_t port;
	uint8_t addr[16];
};

/* Followed by @allow_count, then @block_count struct net_rule. */
struct net_block {
	uint32_t magic, size; /* of all, rules included */
	uint32_t allow_count, block_count;
	uint32_t max_connections;  /* at a time, and as many UDP flows; never 0 */
	uint32_t idle_s;	   /* a flow without a byte for this long is closed; never 0 */
	uint64_t bytes_per_second; /* of all flows together, each way; 0: no limit */
	uint32_t tell;		   /* enum net_tell of protocol.h */
	uint32_t pad;
	uint8_t v6_prefix[8];	/* of the synthetic addresses: fd00::/8 and 56 random bits */
	uint32_t servers_count; /* 0: those of /etc/resolv.conf */
	struct net_server servers[NET_SERVERS_MAX];
};

/* Synthetic IPv4 addresses: RFC 2544's 198.18.0.0/15, which no network routes. */
#define NET_POOL_V4 0xc6120000u
enum { NET_POOL_V4_BITS = 17 };

#endif
