/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UDP flows of a sandbox by who speaks with whom, and by how long they have
 * been silent. Entries are part of their owner's structure; all is O(1). No
 * input or output; allocation at udp_table_init() alone.
 */
#ifndef PURPLE_NET_UDP_TABLE_H
#define PURPLE_NET_UDP_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* As the datagram has it: inside, network order; without holes, so that bytes can be compared. */
struct udp_key {
	uint8_t peer[16], local[16]; /* who sent it, and to whom; IPv4: the first 4, else 0 */
	uint16_t peer_port, local_port;
	uint8_t v6, zero[3];
};

struct udp_entry {
	struct udp_key key;
	uint64_t last; /* when a datagram went, either way */
	struct udp_entry *same_hash;
	struct udp_entry *older, *newer;
};

struct udp_table {
	struct udp_entry **buckets;
	unsigned mask, count;
	uint64_t seed;		 /* of the hash, so that nobody can prepare collisions */
	struct udp_entry silent; /* head of a ring: .newer is the one that is silent the longest */
};

/* For about @max entries. 0, -ENOMEM or -EIO. */
int udp_table_init(struct udp_table *t, unsigned max);
/* The entries are their owners'. */
void udp_table_free(struct udp_table *t);

struct udp_entry *udp_table_find(const struct udp_table *t, const struct udp_key *key);
/* e->key is in no other entry. */
void udp_table_add(struct udp_table *t, struct udp_entry *e, uint64_t now);
void udp_table_remove(struct udp_table *t, struct udp_entry *e);
/* A datagram went. */
void udp_table_touch(struct udp_table *t, struct udp_entry *e, uint64_t now);
/* The one that has been silent the longest, or NULL. */
struct udp_entry *udp_table_oldest(struct udp_table *t);

#endif
