/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One item of network.allow_incoming: a port of the sandbox that the host
 * listens for. "[ADDRESS:][PORT:]INSIDE": "8080", "9000:8080" (port 9000 of
 * the host), "0.0.0.0:80:8080", "127.0.0.2:8080", "[::]:80:8080". Without an
 * address it is the host's loopback, 127.0.0.1 and ::1.
 *
 * An address is one literal address, spelled as net_rule_parse() wants it; of
 * IPv6 in brackets. 0.0.0.0 is every IPv4 address of the host, :: every IPv6
 * one. TCP alone; a "/tcp" behind it is allowed.
 */
#ifndef PURPLE_POLICY_PUBLISH_H
#define PURPLE_POLICY_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/netrule.h"

struct net_publish {
	enum net_host host; /* NET_ANY: loopback; NET_V4, NET_V6 */
	uint8_t addr[16];   /* NET_V4: the first 4; network order */
	uint16_t port;	    /* of the host */
	uint16_t inside;
};

enum { NET_PUBLISH_TEXT = 64 }; /* bytes for net_publish_format() */

/* 0, or -EINVAL and a constant string in *why. */
int net_publish_parse(const char *text, struct net_publish *ret, const char **why);

/* The one spelling, without the host's port where it is the same. */
void net_publish_format(const struct net_publish *p, char ret[NET_PUBLISH_TEXT]);

/* Is it every address of its family? */
bool net_publish_everywhere(const struct net_publish *p);

#endif
