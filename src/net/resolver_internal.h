/* SPDX-License-Identifier: Apache-2.0 */
/* Between resolver.c, which keeps names, and resolver_ask.c, which asks one server one thing. */
#ifndef PURPLE_NET_RESOLVER_INTERNAL_H
#define PURPLE_NET_RESOLVER_INTERNAL_H

#include "net/newnames.h"
#include "net/resolver.h"

struct job;

struct tcp_buf { /* one message with its length in front, RFC 1035 §4.2.2 */
	bool used;
	size_t have;
	uint8_t data[2 + DNS_MESSAGE_MAX];
};

/* One question for one type, to one server after the other. */
struct ask {
	struct resolver *resolver;
	/* When it is done; @answer is NULL when no server gave one, @msg is what it points into. */
	void (*fn)(struct ask *a, const struct dns_answer *answer, const uint8_t *msg);
	struct job *job; /* of addresses */
	const char *name;
	uint16_t type, id;
	bool done;
	bool rubbish;	/* a server gave an answer that is none */
	unsigned rcode; /* when done */
	unsigned tries, stray;
	unsigned server;	 /* that is being asked */
	struct loop_watch watch; /* .fd: the socket, owned; -1: none */
	struct loop_timer timer;
	struct tcp_buf *tcp; /* NULL: over UDP */
	size_t len, sent;    /* of the question; over TCP, sent so far */
	uint8_t query[2 + DNS_REPLY_MIN];
};

struct job {
	struct resolver_entry *entry; /* NULL: free */
	struct ask asks[2];
};

struct record_job {
	struct records_wait *wait; /* NULL: free */
	struct ask ask;
	char name[HOST_NAME_MAX_LEN + 1];
};

struct resolver_entry {
	struct resolver_entry *chain;	      /* of the same hash */
	struct resolver_entry *older, *newer; /* by use */
	struct resolver_wait *waits;
	struct job *job;		  /* it is being asked for */
	bool busy;			  /* its result is being told: keep it */
	char name[HOST_NAME_MAX_LEN + 1]; /* "": free */
	struct resolver_result result;
};

struct resolver {
	struct loop *loop;
	struct net_server servers[NET_SERVERS_MAX];
	unsigned servers_count;
	uint32_t key; /* of the hash */
	struct resolver_entry *buckets[RESOLVER_NAMES];
	struct resolver_entry entries[RESOLVER_NAMES];
	struct resolver_entry used; /* head of a ring: .older is the newest, .newer the oldest */
	struct job jobs[RESOLVER_JOBS];
	struct record_job records[RESOLVER_RECORDS];
	struct tcp_buf tcp[RESOLVER_TCP];
	struct newnames newnames;
};

/*
 * Begin to ask; ask->resolver, fn, name and type are set. It ends with
 * ask->fn(), never from within here.
 */
void ask_start(struct ask *a);
/* Close what it has open. */
void ask_stop(struct ask *a);
/* The other family has what is needed: end soon. */
void ask_hurry(struct ask *a);

#endif
