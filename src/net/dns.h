/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035) from both sides: what the sandbox asks, what we
 * answer, what we ask an upstream server, what that answers. A message is
 * never passed on; each is read, and made anew.
 *
 * Names come out in lower case, and only host names with '_' (net/host.h):
 * others are well-formed DNS, but no policy can name them. Compression
 * pointers (§4.1.4) must point back, in front of the name they are in, and
 * at most DNS_JUMPS_MAX of them make a name: so every read ends.
 *
 * Functions return 0 or -errno, unless they say otherwise. No allocation, no
 * input or output; what they fill belongs to the caller.
 */
#ifndef PURPLE_NET_DNS_H
#define PURPLE_NET_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/host.h"

enum {
	DNS_HEADER = 12,
	DNS_NAME_MAX = 255,	    /* on the wire, RFC 1035 §2.3.4 */
	DNS_QUESTION_MAX = 255 + 4, /* with type and class */
	DNS_UDP_MAX = 512,	    /* without EDNS, RFC 1035 §4.2.1 */
	DNS_EDNS_MAX = 1232,	    /* with it: what we take and send at most; DNS flag day 2020 */
	DNS_MESSAGE_MAX = 65535,    /* over TCP, RFC 1035 §4.2.2 */
	DNS_REPLY_MIN = 12 + DNS_QUESTION_MAX + 11, /* room that every reply needs */

	DNS_JUMPS_MAX = 32,    /* compression pointers in a name */
	DNS_RECORDS_MAX = 256, /* answer records of an upstream message */
	DNS_CHAIN_MAX = 8,     /* CNAMEs that are followed */
	DNS_ADDRS_MAX = 16,    /* addresses that are kept */
	DNS_SRV_MAX = 8,
	DNS_SVCB_MAX = 8,
};

/* IANA, DNS parameters. */
enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_SRV = 33,	/* RFC 2782 */
	DNS_OPT = 41,	/* RFC 6891 */
	DNS_SVCB = 64,	/* RFC 9460 */
	DNS_HTTPS = 65, /* RFC 9460 */
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16, /* RFC 6891 §6.1.3 */
};

struct dns_query {
	uint16_t id;
	uint16_t type;			  /* any, but for transfers and meta types */
	bool recurse, checking_disabled;  /* RD and CD, which the answer repeats */
	bool edns, dnssec_ok;		  /* an OPT record, its DO bit */
	uint16_t udp_size;		  /* what the asker can take, from OPT; else 512 */
	char name[HOST_NAME_MAX_LEN + 1]; /* "" unless the result was 0 */
	/* As asked, letter case included: some resolvers check that it comes back. */
	uint8_t question[DNS_QUESTION_MAX];
	uint16_t question_len; /* 0: there was none that could be read */
};

/*
 * Read a query. 0: q is whole. A positive dns_rcode: answer with it;
 * dns_reply_start() can take q. -EBADMSG: no answer is due (shorter than a
 * header, or itself an answer, as one that was sent back would go round for
 * ever).
 *
 * FORMERR: more or fewer than one question, a record in a section that queries
 * leave empty, two OPTs, more than two additional records, anything cut, any
 * byte behind the end. REFUSED: a class but IN, a transfer, a name that is no
 * host name.
 */
int dns_parse_query(const uint8_t *msg, size_t len, struct dns_query *ret);

/* The address that "4.3.2.1.in-addr.arpa" or "….ip6.arpa" is for (RFC 1035 §3.5, RFC 3596). */
int dns_parse_reverse(const char *name, struct host *ret);

/* An answer under construction. */
struct dns_reply {
	uint8_t *data; /* the caller's */
	size_t len;
	size_t limit; /* for the records, without OPT's */
	unsigned rcode, count;
	bool edns, dnssec_ok, question, truncated;
};

/*
 * Begin in @buf, of @room ≥ DNS_REPLY_MIN bytes. NOERROR without a record is
 * "no such data". Over UDP it becomes at most as long as the asker and
 * DNS_EDNS_MAX allow. There is no SOA for caches, so nobody keeps a negative
 * answer (RFC 2308 §5) and a changed policy shows at once.
 */
void dns_reply_start(struct dns_reply *r, uint8_t *buf, size_t room, const struct dns_query *q,
		     unsigned rcode, bool tcp);

/*
 * Add a record for the name that was asked; @ttl in seconds. Where one finds
 * no room the TC bit is set, by which the asker comes back over TCP, and
 * nothing more is added. -EINVAL: a name that is no host name; data of over
 * 64 KiB.
 */
int dns_reply_add_addr(struct dns_reply *r, const struct host *addr, uint32_t ttl);
int dns_reply_add_ptr(struct dns_reply *r, const char *name, uint32_t ttl);
int dns_reply_add_srv(struct dns_reply *r, uint16_t priority, uint16_t weight, uint16_t port,
		      const char *target, uint32_t ttl);
/* SVCB and HTTPS, from dns_svcb_filter(). */
int dns_reply_add_raw(struct dns_reply *r, uint16_t type, const uint8_t *data, size_t len,
		      uint32_t ttl);

/* The length of the whole message in the buffer. */
size_t dns_reply_finish(struct dns_reply *r);

/*
 * Ask upstream for @name in @buf: one question, RD, EDNS. The length, or
 * -EINVAL: no host name, or less room than DNS_REPLY_MIN.
 */
int dns_write_query(uint8_t *buf, size_t room, uint16_t id, const char *name, uint16_t type);

struct dns_srv {
	uint16_t priority, weight, port;
	char target[HOST_NAME_MAX_LEN + 1];
};

/* What an upstream server said. */
struct dns_answer {
	unsigned rcode; /* the header's four bits */
	bool truncated; /* the TC bit: nothing was taken, ask over TCP */
	uint32_t ttl;	/* seconds: the least of those on the way */
	unsigned count; /* of what was asked for */
	union {
		uint8_t addrs[DNS_ADDRS_MAX][16]; /* A: the first 4 bytes of each; AAAA */
		struct dns_srv srv[DNS_SRV_MAX];
		struct {
			uint16_t at, len; /* the record's data, within the message */
		} svcb[DNS_SVCB_MAX];
	};
};

/*
 * Read the answer to dns_write_query(). -ENOMSG: it is none to this question
 * or has another id; wait on, for somebody may be guessing (RFC 5452 §9.1).
 * -EBADMSG: malformed, or too many records. -ELOOP: more CNAMEs than
 * DNS_CHAIN_MAX. -EINVAL: @type is not one of A, AAAA, SRV, SVCB, HTTPS.
 * CNAMEs may be in any order; records that nothing leads to are passed over,
 * as are the authority and additional sections, and what is over the limits.
 */
int dns_parse_answer(const uint8_t *msg, size_t len, uint16_t id, const char *name, uint16_t type,
		     struct dns_answer *ret);

/*
 * Of the data of an SVCB or HTTPS record (RFC 9460 §2.2) what the sandbox may
 * have: mandatory, alpn, no-default-alpn, port; of an alias (priority 0) the
 * target alone. Without ECH keys the name in a ClientHello is true; without
 * address hints addresses come from A and AAAA alone. Writes at most @len bytes
 * to @ret and returns how many; 0: leave the record out, for it makes a dropped
 * key mandatory. @target: the name it points to, "" for the owner itself.
 * -EBADMSG.
 */
int dns_svcb_filter(const uint8_t *data, size_t len, uint8_t *ret,
		    char target[HOST_NAME_MAX_LEN + 1]);

#endif
