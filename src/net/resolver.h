/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the host's DNS servers for the addresses of a name: A and AAAA at once,
 * over UDP, over TCP where an answer is cut (RFC 1035 §4.2, RFC 7766). It asks
 * what it is told to; whether the name may be asked for is the caller's to
 * know (net/rules.h), and so is what to do with the addresses.
 *
 * Against guessed answers (RFC 5452): a socket with a port of its own for each
 * question, connected so that the kernel drops what comes from elsewhere, a
 * random id, and the question again in the answer; after RESOLVER_STRAY wrong
 * ones it asks anew.
 *
 * A server that does not answer within RESOLVER_TRY_MS, answers with an error,
 * or is not there is passed over for the next; all are asked twice, one alone
 * three times. When one family has answered with addresses the other has
 * RESOLVER_PATIENCE_MS left. Answers are kept for as long as they say, within
 * RESOLVER_TTL_MIN (a look-up and the connection after it are one question)
 * and RESOLVER_TTL_MAX; failures and empty answers are not kept.
 *
 * Records of other types are asked for each time, and not kept.
 *
 * Limits: RESOLVER_NAMES names kept, the longest unused goes; RESOLVER_JOBS
 * asked for at a time, RESOLVER_TCP sockets of those over TCP. What is over
 * them fails as if no server had answered.
 */
#ifndef PURPLE_NET_RESOLVER_H
#define PURPLE_NET_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "net/config.h"
#include "net/dns.h"
#include "net/loop.h"
#include "net/names.h"
#include "net/rules.h"

enum {
	RESOLVER_NAMES = 1024,
	RESOLVER_JOBS = 128,
	RESOLVER_TCP = 16,
	RESOLVER_RECORDS = 32, /* look-ups of other types at a time */
	RESOLVER_TIMERS = 2 * RESOLVER_JOBS + RESOLVER_RECORDS,
	RESOLVER_FDS = RESOLVER_TIMERS, /* at most one of each */
	RESOLVER_ADDRS = 2 * DNS_ADDRS_MAX,
	RESOLVER_TRY_MS = 1500,
	RESOLVER_PATIENCE_MS = 200,
	RESOLVER_STRAY = 32,
	RESOLVER_TTL_MIN = 10, /* seconds */
	RESOLVER_TTL_MAX = 3600,
};

struct resolver_addr {
	uint8_t v6;
	uint8_t addr[16]; /* IPv4: the first 4 */
};

struct resolver_result {
	unsigned rcode;	  /* NOERROR (perhaps without an address), NXDOMAIN or SERVFAIL */
	uint32_t ttl;	  /* seconds, as it was when it came */
	uint64_t expires; /* the loop's time */
	unsigned count;
	struct resolver_addr addrs[RESOLVER_ADDRS]; /* in the servers' order, a family as it came */
};

struct resolver_entry;
struct resolver;

/* Part of whoever waits. @fn may ask and forget; @r is valid during the call. */
struct resolver_wait {
	void (*fn)(struct resolver_wait *w, const struct resolver_result *r);
	struct resolver_wait *next;
	struct resolver_entry *entry; /* NULL: it waits for nothing */
};

/* @servers are copied. 0 or -errno. */
int resolver_new(struct loop *loop, const struct net_server *servers, unsigned count,
		 struct resolver **ret);
void resolver_free(struct resolver *r);

/*
 * May @name, which @rules allow, be asked for now? Those of @names may, others
 * within the limits of net/newnames.h. It counts, so ask it before resolver_ask().
 */
bool resolver_admits(struct resolver *r, const struct net_rules *rules, const struct names *names,
		     const char *name);

/*
 * The result, valid until the next call, if it is known at once; else NULL,
 * and w->fn is called with it, never from in here.
 */
const struct resolver_result *resolver_ask(struct resolver *r, const char *name,
					   struct resolver_wait *w);

/* Wait no more. Nothing happens if it does not. */
void resolver_forget(struct resolver_wait *w);

/* The same for @name, which is @rule's service: it counts as a new one under that rule. */
bool resolver_admits_service(struct resolver *r, size_t rule, const char *name);

/* Part of whoever waits for records of another type than A and AAAA. */
struct records_wait {
	/*
	 * @answer and @msg, which it points into, are valid during the call; NULL
	 * if there is none. @rcode: NOERROR, NXDOMAIN or SERVFAIL; NOERROR also
	 * where servers answered but none of them well-formed.
	 */
	void (*fn)(struct records_wait *w, unsigned rcode, const struct dns_answer *answer,
		   const uint8_t *msg);
	struct record_job *job; /* NULL: it waits for nothing */
};

/* Ask for SRV, SVCB or HTTPS. 0: w->fn is called, never from in here; -EBUSY. */
int records_ask(struct resolver *r, const char *name, uint16_t type, struct records_wait *w);
void records_forget(struct records_wait *w);

#endif
