/* SPDX-License-Identifier: Apache-2.0 */
/* Between dnsd.c, which knows the answers, and its transports: dnsd_udp.c and dnsd_tcp.c. */
#ifndef PURPLE_NET_DNSD_INTERNAL_H
#define PURPLE_NET_DNSD_INTERNAL_H

#include "net/datagram.h"
#include "net/dns.h"
#include "net/dnsd.h"

enum { DNSD_REPLY_MAX = 4096 }; /* over TCP; DNS_EDNS_MAX over UDP */

struct dnsd_socket { /* one of PID 1's */
	struct dnsd *dnsd;
	struct loop_watch watch;
	bool v6;
	struct loop_task again;
};

struct dnsd_pending {
	struct dnsd_socket *socket; /* NULL: free */
	struct datagram_path path;
	struct dns_query query;
	struct resolver_wait wait;
	struct records_wait records;
};

struct dnsd_conn {
	struct dnsd *dnsd;
	bool used, waiting;
	struct loop_watch watch;
	struct loop_timer timer;
	struct resolver_wait wait;
	struct records_wait records;
	struct dns_query query;
	size_t in_len, out_len, out_sent;
	uint8_t in[2 + DNSD_QUERY_MAX], out[2 + DNSD_REPLY_MAX];
};

struct dnsd {
	struct loop *loop;
	const struct net_rules *rules;
	struct names *names;
	struct resolver *resolver;
	struct report *report;
	dnsd_relay *relay; /* NULL: every datagram is a question */
	void *relay_arg;
	uint8_t *room; /* DATAGRAM_MAX bytes, where there is a relay; not owned */
	unsigned sockets_count;
	struct dnsd_socket sockets[DNSD_SOCKETS];
	struct dnsd_pending pending[DNSD_PENDING];
	struct dnsd_conn conns[DNSD_TCP];
};

/*
 * Read @msg into @q. Positive: the length of the answer, in @reply. 0: it has
 * to be looked up, dnsd_is_service() by records_ask(); dnsd_answer() and
 * dnsd_service_answer() have the answer once the resolver has. -EBADMSG:
 * no answer is due.
 */
int dnsd_read(struct dnsd *d, const uint8_t *msg, size_t len, bool tcp, struct dns_query *q,
	      uint8_t reply[DNSD_REPLY_MAX]);
size_t dnsd_answer(struct dnsd *d, const struct dns_query *q, const struct resolver_result *result,
		   bool tcp, uint8_t reply[DNSD_REPLY_MAX]);

bool dnsd_is_service(uint16_t type);
/* rules_lookup() for the host whose service it is; *prefix: what stands before that. */
struct rules_answer dnsd_service_lookup(const struct dnsd *d, const struct dns_query *q,
					size_t *prefix);
size_t dnsd_service_answer(const struct dnsd *d, const struct dns_query *q, unsigned rcode,
			   const struct dns_answer *answer, const uint8_t *msg, bool tcp,
			   uint8_t reply[DNSD_REPLY_MAX]);

/* One with no record. */
size_t dnsd_plain(const struct dns_query *q, unsigned rcode, bool tcp,
		  uint8_t reply[DNSD_REPLY_MAX]);

/* A listening socket has somebody. */
void dnsd_accept(struct loop_watch *w, uint32_t events);
void dnsd_conn_close(struct dnsd_conn *c);

/* A socket has datagrams. */
void dnsd_receive(struct loop_watch *w, uint32_t events);
void dnsd_receive_more(struct loop_task *t);

#endif
