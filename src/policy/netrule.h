/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One network rule, DESIGN §7: "443", "api.example.com", "*.example.com:443",
 * "10.0.0.0/8:5432", "8.8.8.8:53/udp", "[2001:db8::/32]:443", "2001:db8::1".
 *
 * Strict on purpose: numbers that some libraries would read as an IPv4
 * address (0x7f.1, 010.0.0.1, 2130706433), IPv4 addresses in IPv6 clothes,
 * URLs, user@host and names in non-ASCII letters are refused, so that a rule
 * means one thing only. Names come out in lower case without a final dot.
 */
#ifndef PURPLE_POLICY_NETRULE_H
#define PURPLE_POLICY_NETRULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum net_host { NET_ANY, NET_NAME, NET_WILDCARD, NET_V4, NET_V6 };

enum { NET_NAME_MAX = 253 }; /* bytes of a name, RFC 1035 */

struct net_rule {
	enum net_host host;
	char name[NET_NAME_MAX + 1]; /* NET_NAME; NET_WILDCARD: behind "*." */
	uint8_t addr[16];	     /* NET_V4: the first 4; network order */
	unsigned prefix;	     /* 0 … 32 or 128; the full length: one address */
	uint16_t port;		     /* 0: any */
	bool udp;		     /* else TCP */
};

/* 0, or -EINVAL and a constant string in *why. */
int net_rule_parse(const char *text, struct net_rule *ret, const char **why);

/* The one spelling of a rule; @size of 300 is always enough. */
void net_rule_format(const struct net_rule *r, char *buf, size_t size);

#endif
