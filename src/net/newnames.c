/* SPDX-License-Identifier: Apache-2.0 */
#include "net/newnames.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/macros.h"

int newnames_init(struct newnames *n)
{
	return getrandom(&n->key, sizeof(n->key), 0) == sizeof(n->key) ? 0 : -EIO;
}

/* As names.c has it; never 0. */
static uint64_t hash(const struct newnames *n, const char *name)
{
	uint64_t h = n->key;

	for (; *name; name++) {
		h = (h ^ (uint8_t)*name) * (n->key | 1);
		h ^= h >> 29;
	}
	return h | 1;
}

/* True if it was kept; it is the last used now, or else with @add. */
static bool keep(struct newnames *n, uint64_t h, bool add)
{
	uint64_t *set = n->kept[(h >> 32) % NEWNAMES_SETS];
	unsigned way = 0;
	bool found;

	while (way < NEWNAMES_WAYS - 1 && set[way] != h)
		way++;
	found = set[way] == h;
	if (found || add) {
		memmove(set + 1, set, way * sizeof(*set));
		set[0] = h;
	}
	return found;
}

static bool spend(struct newnames *n, size_t rule, uint64_t now)
{
	uint64_t back = (now - n->rules[rule].filled) / NEWNAMES_MS;

	if (back >= n->rules[rule].spent) {
		n->rules[rule].spent = 0;
		n->rules[rule].filled = now;
	} else {
		n->rules[rule].spent -= (unsigned)back;
		n->rules[rule].filled += back * NEWNAMES_MS;
	}
	if (n->rules[rule].spent == NEWNAMES_BURST)
		return false;
	n->rules[rule].spent++;
	return true;
}

bool newnames_admit(struct newnames *n, const struct net_rules *rules, const char *name,
		    uint64_t now)
{
	size_t rule;

	return !rules_by_wildcard(rules, name, &rule) || newnames_admit_under(n, rule, name, now);
}

bool newnames_admit_under(struct newnames *n, size_t rule, const char *name, uint64_t now)
{
	uint64_t h = hash(n, name);

	if (keep(n, h, false))
		return true;
	if (!spend(n, MIN(rule, (size_t)NET_RULES_MAX - 1), now))
		return false;
	keep(n, h, true);
	return true;
}
