/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synthetic addresses: each name that the sandbox may look up has one IPv4 and
 * one IPv6 address, by which a later connection says exactly what name it is
 * for. The binding stays for the sandbox's life: an address is never given to
 * another name, so a client that keeps one for hours is right.
 *
 * The addresses are NET_POOL_V4 and the sandbox's own IPv6 prefix, each with
 * the name's number; the first NAMES_RESERVED are nobody's (the resolver's own
 * is among them).
 *
 * Limits: NAMES_MAX names of together NAMES_BYTES bytes. A sandbox that is
 * allowed every name can use them up, and then gets no further ones: -ENOSPC.
 * The memory is reserved at names_init() and used as it fills.
 */
#ifndef PURPLE_NET_NAMES_H
#define PURPLE_NET_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "net/host.h"

enum { NAMES_RESERVED = 256, NAMES_MAX = 65536, NAMES_BYTES = 4 << 20 };

struct names {
	uint8_t v6_prefix[8];
	uint64_t key;	   /* of the hash, so that nobody can prepare collisions */
	char *text;	   /* all names, each with its NUL */
	uint32_t text_len; /* used */
	uint32_t *start;   /* of each name, in text */
	uint32_t *table;   /* number of a name plus 1, or 0; by hash, linear probing */
	uint32_t count;
};

/* 0 or -errno. @v6_prefix as in struct net_block. */
int names_init(struct names *n, const uint8_t v6_prefix[8]);
void names_free(struct names *n);

/* The addresses of @name (lower case, net/host.h), which gets some if it has none. 0 or -ENOSPC. */
int names_give(struct names *n, const char *name, struct host *v4, struct host *v6);

/* Has @name got them? */
bool names_known(const struct names *n, const char *name);

/* The addresses of the resolver, where the proxy is too (net/proxy.h): numbers of the reserved. */
void names_own(const struct names *n, struct host *v4, struct host *v6);

/* Is @addr one that we hand out, or might? */
bool names_is_synthetic(const struct names *n, const struct host *addr);

/* The name that has @addr, or NULL. It stays valid until names_free(). */
const char *names_find(const struct names *n, const struct host *addr);

#endif
