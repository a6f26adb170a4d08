/* SPDX-License-Identifier: Apache-2.0 */
/* Between udp.c (the sandbox's side, the rules) and udp_flow.c (one flow, the host's side). */
#ifndef PURPLE_NET_UDP_INTERNAL_H
#define PURPLE_NET_UDP_INTERNAL_H

#include "net/udp.h"
#include "net/udp_table.h"

enum { UDP_ROUNDS = 4 }; /* batches at a time, for the sake of the others */

struct udp_socket { /* one of PID 1's */
	struct udp *udp;
	struct loop_watch watch;
	struct loop_task again;
	struct bucket_wait wait;
	uint16_t port;
	bool v6;
};

struct udp_held { /* a datagram whose flow waits for an address; its bytes are in held_room */
	struct udp_held *next;
	bool used;
	size_t len;
};

struct udp_flow {
	struct udp_entry entry;
	struct udp *udp;
	const struct udp_socket *socket;
	struct udp_flow *next_free;
	bool used, waiting;
	struct datagram_path path;
	const char *name; /* NULL: a literal address */
	struct resolver_wait wait;
	struct udp_held *held;
	uint64_t began, up, down; /* when; bytes */
	struct resolver_addr peer;
	struct loop_watch outer; /* .fd: owned; -1: none */
	struct loop_task again;
	struct bucket_wait turn;
};

/* What one recvmmsg() or sendmmsg() is about. */
struct udp_batch {
	struct mmsghdr m[UDP_BATCH], out[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct datagram_path path[UDP_BATCH];
	union datagram_control control[UDP_BATCH];
};

struct udp {
	struct loop *loop;
	const struct net_rules *rules;
	const struct names *names;
	struct resolver *resolver;
	struct report *report;
	struct bucket *up, *down;
	struct loop_timer idle;
	uint64_t idle_ms;
	unsigned sockets_count, max, touched;
	struct udp_socket sockets[UDP_SOCKETS], dns[2]; /* dns: by v6 */
	int icmp[2];					/* by v6; owned; -1: none */
	struct udp_table table;
	struct udp_flow *free; /* a list of those that were in use */
	struct udp_flow *all;  /* @max; the first @touched have been in use */
	struct udp_batch batch;
	struct udp_held held[UDP_HELD];
	uint8_t *room;	    /* UDP_BATCH × DATAGRAM_MAX */
	uint8_t *held_room; /* UDP_HELD × DATAGRAM_MAX */
};

/* The batch, ready for a recvmmsg(); with @paths who sent and to whom as well. */
void udp_batch_expect(struct udp *u, bool paths);
/*
 * recvmmsg() as far as the bucket allows: what its says, or -EDQUOT, then @w waits.
 * One at a time where bytes are counted, for nobody knows how long the next one is.
 */
int udp_batch_receive(struct udp *u, int fd, struct bucket *b, struct bucket_wait *w);
/* sendmmsg(2), which musl makes a call for each of. How many were sent, or -errno. */
int udp_send_many(int fd, struct mmsghdr *m, unsigned count);

/* Say why, and tell the sender. @name: NULL for a literal address. */
void udp_refuse(const struct udp_socket *s, const struct datagram_path *path, const char *name,
		enum net_verdict why);
/* The same by the rules' answer. @address: the one that a name leads to, or NULL. */
void udp_refuse_by(const struct udp_socket *s, const struct datagram_path *path, const char *name,
		   const struct rules_answer *answer, const struct host *address);
/* Only tell the sender. */
void udp_tell(const struct udp_socket *s, const struct datagram_path *path);

/* Give it its peer. False: nobody can be, and the flow is gone. */
bool udp_flow_dial(struct udp_flow *f);
/* @count datagrams of the batch from its @first on. The flow may be gone. */
void udp_flow_send(struct udp_flow *f, unsigned first, unsigned count);
void udp_flow_end(struct udp_flow *f);

#endif
