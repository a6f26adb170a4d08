/* SPDX-License-Identifier: Apache-2.0 */
#include "net/udp_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int udp_table_init(struct udp_table *t, unsigned max)
{
	unsigned buckets = 16;

	while (buckets < max)
		buckets *= 2;
	*t = (struct udp_table){ .mask = buckets - 1 };
	t->silent.older = t->silent.newer = &t->silent;
	if (getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
		return -EIO;
	t->buckets = calloc(buckets, sizeof(struct udp_entry *));
	return t->buckets ? 0 : -ENOMEM;
}

void udp_table_free(struct udp_table *t)
{
	free(t->buckets);
	t->buckets = NULL;
}

/* As names.c: keyed multiplication and folding. */
static struct udp_entry **bucket(const struct udp_table *t, const struct udp_key *key)
{
	uint64_t h = t->seed, word;

	for (size_t i = 0; i < sizeof(*key); i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)key + i, sizeof(word));
		h = (h ^ word) * (t->seed | 1);
		h ^= h >> 29;
	}
	return &t->buckets[(h ^ h >> 32) & t->mask];
}

_Static_assert(sizeof(struct udp_key) == 40, "no holes, and whole words");

struct udp_entry *udp_table_find(const struct udp_table *t, const struct udp_key *key)
{
	struct udp_entry *e = *bucket(t, key);

	while (e && memcmp(&e->key, key, sizeof(*key)) != 0)
		e = e->same_hash;
	return e;
}

static void link_newest(struct udp_table *t, struct udp_entry *e, uint64_t now)
{
	e->last = now;
	e->older = t->silent.older;
	e->newer = &t->silent;
	e->older->newer = t->silent.older = e;
}

static void unlink_age(struct udp_entry *e)
{
	e->older->newer = e->newer;
	e->newer->older = e->older;
}

void udp_table_add(struct udp_table *t, struct udp_entry *e, uint64_t now)
{
	struct udp_entry **b = bucket(t, &e->key);

	e->same_hash = *b;
	*b = e;
	link_newest(t, e, now);
	t->count++;
}

void udp_table_remove(struct udp_table *t, struct udp_entry *e)
{
	struct udp_entry **at = bucket(t, &e->key);

	while (*at != e)
		at = &(*at)->same_hash;
	*at = e->same_hash;
	unlink_age(e);
	t->count--;
}

void udp_table_touch(struct udp_table *t, struct udp_entry *e, uint64_t now)
{
	unlink_age(e);
	link_newest(t, e, now);
}

struct udp_entry *udp_table_oldest(struct udp_table *t)
{
	return t->silent.newer == &t->silent ? NULL : t->silent.newer;
}
