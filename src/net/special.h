/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that are not simply public, and IPv4 addresses within IPv6 ones.
 * What follows from that is in net/rules.h.
 *
 * Source of the ranges: IANA IPv4 and IPv6 Special-Purpose Address Registries
 * (RFC 6890 and what updates it), multicast (RFC 5771, RFC 4291), the clouds'
 * manuals for metadata services. No allocation, no input or output.
 */
#ifndef PURPLE_NET_SPECIAL_H
#define PURPLE_NET_SPECIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "net/host.h"

/* A range of addresses that are not simply public. */
struct special_range {
	const char *name;
	uint8_t addr[16];
	uint8_t prefix;
	bool v6;
};

/*
 * The smallest special range that the address @addr is in, or NULL. *prefix is
 * how many of @addr's own bits make it special: of an IPv4 address within an
 * IPv6 one, those of both.
 */
const struct special_range *special_find(const struct host *addr, unsigned *prefix);

/* ::ffff:a.b.c.d becomes a.b.c.d; other addresses stay. */
struct host special_unmap(const struct host *addr);

enum { SPECIAL_EMBEDDED_MAX = 2 };

/* The IPv4 addresses that are within the IPv6 address @addr, of which there can be two. */
unsigned special_embedded(const struct host *addr, struct host ret[SPECIAL_EMBEDDED_MAX]);

bool special_prefix_equal(const uint8_t *a, const uint8_t *b, unsigned prefix);

#endif
