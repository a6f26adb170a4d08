/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this name, or this address, with this port and protocol, within the
 * policy? DESIGN §7. The rules have the policy's one form (policy/netrule.h)
 * as plain data, in the order of the policy file.
 *
 * - Nothing matches, or there are no rules: refused. `block` beats `allow`,
 *   whatever their order.
 * - A name rule matches that name alone; "*.example.org" what stands before
 *   ".example.org", never example.org itself. An allowing wildcard takes at
 *   most RULES_WILDCARD_LABELS labels of together RULES_WILDCARD_BYTES bytes:
 *   a bound on what one look-up carries out. A blocking one has no limit.
 * - HOST_OUTSIDE is the loopback of the host that the sandbox runs on. A rule
 *   of exactly this name reaches it, no wildcard, and none without a host.
 * - A rule without a host ("443") allows every name, no literal address: an
 *   address is reached by an address rule only.
 * - An allowing rule is for TCP, or with "/udp" for UDP. A blocking one is for
 *   both, or with "/udp" for UDP alone. No port: every port.
 * - An address that is not global unicast (loopback, private, link-local,
 *   multicast, …) and the metadata services of clouds, some of which have a
 *   public address, are refused to every name, unless an address rule lists
 *   them. It does if it lies within the range that they belong to: 10.1.0.0/16
 *   lists private addresses, 0.0.0.0/0 does not; a metadata service takes its
 *   exact address.
 * - IPv4 within IPv6: ::ffff:0:0/96 is the IPv4 address. In the well-known
 *   NAT64 prefix (RFC 6052) an address is as special as the IPv4 one in it;
 *   6to4, Teredo and IPv4-compatible addresses are all special. A blocked IPv4
 *   address is blocked in all of these, and in ISATAP's (RFC 5214) and
 *   SIIT's (RFC 2765).
 *
 * The ranges are in net/special.c. No allocation, no input or output.
 */
#ifndef PURPLE_NET_RULES_H
#define PURPLE_NET_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/host.h"
#include "policy/netrule.h"

enum { RULES_WILDCARD_LABELS = 4, RULES_WILDCARD_BYTES = 96 };

struct net_rules {
	const struct net_rule *allow, *block; /* not owned */
	size_t allow_count, block_count;
};

enum rules_verdict {
	RULES_ALLOWED,
	RULES_NOT_LISTED, /* no rule allows it */
	RULES_BLOCKED,	  /* a rule of `block` */
	RULES_SPECIAL,	  /* no address rule lists this special range */
};

struct rules_answer {
	enum rules_verdict verdict;
	size_t rule;	   /* ALLOWED: index in allow; BLOCKED: in block; else 0 */
	const char *range; /* SPECIAL: its name, such as "loopback"; else NULL. Constant */
};

/* May @name be looked up: is there any port and protocol that it is allowed for? */
struct rules_answer rules_lookup(const struct net_rules *r, const char *name);

/*
 * Is it a wildcard alone that allows @name, which is allowed? The first is *ret,
 * an index in allow.
 */
bool rules_by_wildcard(const struct net_rules *r, const char *name, size_t *ret);

/*
 * May the sandbox connect there? For a name this is the first half of the
 * answer: what it resolves to is for rules_dial() to judge.
 */
struct rules_answer rules_connect(const struct net_rules *r, const struct host *host, uint16_t port,
				  bool udp);

/* May the host's side dial @addr, to which the name @host resolved? Asks rules_connect() too. */
struct rules_answer rules_dial(const struct net_rules *r, const struct host *host,
			       const struct host *addr, uint16_t port, bool udp);

#endif
