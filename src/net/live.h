/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of purple-net while it runs: other rules, and what it does. The
 * records of struct net_shown go into a memfd of the supervisor's, whose size is
 * sealed; whoever reads them takes them as hostile.
 *
 * Rules are exchanged in their place, so that all who hold the struct net_rules have
 * the new ones at once; then each flow is held against them. Names keep their
 * addresses. Memory for the rules is reserved at live_init(), for after net_confine()
 * there is none to be had.
 */
#ifndef PURPLE_NET_LIVE_H
#define PURPLE_NET_LIVE_H

#include <stdint.h>

#include "net/block.h"
#include "net/rules.h"

struct flows;
struct udp;

enum net_shown_state { NET_SHOWN_PROXY, NET_SHOWN_RESOLVES, NET_SHOWN_CONNECTS, NET_SHOWN_OPEN };

/* One flow. */
struct net_shown {
	uint8_t udp;
	uint8_t state;	 /* enum net_shown_state */
	uint8_t v6;	 /* @addr is */
	uint8_t dialled; /* @addr is the one */
	uint16_t port;
	uint8_t incoming; /* to a published port, which @port is */
	uint8_t pad;
	uint64_t up, down; /* bytes out and in */
	uint64_t age_ms, quiet_ms;
	uint8_t addr[16];
	char host[256]; /* the name or the literal address that was asked for */
};

#define NET_SHOWN_MAGIC 0x5750554eu
struct net_shown_head {
	uint32_t magic, count; /* of struct net_shown, which follow */
	uint32_t max;	       /* connections at a time, as far as descriptors allow it */
	uint32_t names;	       /* that have addresses */
};

/* The most that a memfd for them has to hold: connections, and as many of UDP. */
#define NET_SHOWN_MAX \
	(sizeof(struct net_shown_head) + 2 * NET_CONNECTIONS_MAX * sizeof(struct net_shown))

enum { SHOW_ROOM = 32 };

/* Where records are gathered. */
struct show {
	int fd;
	int error; /* -errno, the first one */
	uint32_t count;
	unsigned held;
	int64_t at;
	struct net_shown room[SHOW_ROOM];
};

void show_add(struct show *s, const struct net_shown *one);

struct live {
	struct net_block *spare[2];
	unsigned next; /* of them */
};

/* 0 or -ENOMEM. */
int live_init(struct live *l);
void live_free(struct live *l);

/*
 * The rules of the block in @fd instead of those in @rules. Returns how many flows
 * they have cut, or -errno: then the old ones hold. @udp may be NULL.
 */
int live_change(struct live *l, int fd, struct net_rules *rules, struct flows *flows,
		struct udp *udp);

/* All into @fd. 0 or -errno. */
int live_show(int fd, uint32_t max, uint32_t names, struct flows *flows, struct udp *udp);

#endif
