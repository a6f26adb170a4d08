/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many names nobody has asked for before may be asked for under a wildcard.
 * Whoever serves example.org learns each label that stands before it, so to ask
 * for ever new ones is a way out of the sandbox: with the limits of a single
 * name (net/rules.h) this bounds how fast.
 *
 * A token bucket for each wildcard rule: NEWNAMES_BURST names at once, then one
 * every NEWNAMES_MS. A name that an exact rule allows too, or a rule without a
 * host, is not counted, unless it is that of a service (net/dnsd.h). What was admitted stays so
 * while it is among the last NEWNAMES_SETS * NEWNAMES_WAYS or so; the caller asks nobody about a
 * name that has its addresses (names_known()).
 *
 * Memory is within the structure. Times: milliseconds, CLOCK_MONOTONIC.
 */
#ifndef PURPLE_NET_NEWNAMES_H
#define PURPLE_NET_NEWNAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/config.h"
#include "net/rules.h"

enum { NEWNAMES_BURST = 100, NEWNAMES_MS = 2000, NEWNAMES_SETS = 256, NEWNAMES_WAYS = 4 };

struct newnames {
	uint64_t key; /* of the hash, so that nobody can prepare collisions */
	uint64_t kept[NEWNAMES_SETS][NEWNAMES_WAYS]; /* hashes, the last used first; 0: none */
	struct {
		unsigned spent;	 /* tokens */
		uint64_t filled; /* up to when they were given back */
	} rules[NET_RULES_MAX];
};

/* Zero before. 0 or -errno. */
int newnames_init(struct newnames *n);

/* May @name, which @rules allow, be asked for? If so it counts. */
bool newnames_admit(struct newnames *n, const struct net_rules *rules, const char *name,
		    uint64_t now);

/* The same for one that counts under @rule, an index in its list, whatever kind that is of. */
bool newnames_admit_under(struct newnames *n, size_t rule, const char *name, uint64_t now);

#endif
