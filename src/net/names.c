/* SPDX-License-Identifier: Apache-2.0 */
#include "net/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net/config.h"

enum { TABLE_SIZE = NAMES_MAX * 2, OWN = 1 /* PLAN_RESOLVER, and the prefix's ::1 */ };

_Static_assert(NAMES_RESERVED + NAMES_MAX <= 1 << NET_POOL_V4_BITS, "the pool holds all names");

int names_init(struct names *n, const uint8_t v6_prefix[8])
{
	*n = (struct names){ .text = calloc(1, NAMES_BYTES),
			     .start = calloc(NAMES_MAX, sizeof(uint32_t)),
			     .table = calloc(TABLE_SIZE, sizeof(uint32_t)) };
	memcpy(n->v6_prefix, v6_prefix, sizeof(n->v6_prefix));
	if (!n->text || !n->start || !n->table) {
		names_free(n);
		return -ENOMEM;
	}
	if (getrandom(&n->key, sizeof(n->key), 0) != sizeof(n->key)) {
		names_free(n);
		return -EIO;
	}
	return 0;
}

void names_free(struct names *n)
{
	free(n->text);
	free(n->start);
	free(n->table);
	*n = (struct names){};
}

/* Keyed multiplication and folding: enough where a collision costs a few steps of probing. */
static uint32_t hash(const struct names *n, const char *name)
{
	uint64_t h = n->key;

	for (; *name; name++) {
		h = (h ^ (uint8_t)*name) * (n->key | 1);
		h ^= h >> 29;
	}
	return (uint32_t)(h ^ h >> 32) % TABLE_SIZE;
}

static void at_offset(const struct names *n, uint32_t offset, struct host *v4, struct host *v6)
{
	uint32_t addr = NET_POOL_V4 + offset;

	*v4 = (struct host){ .kind = HOST_V4 };
	*v6 = (struct host){ .kind = HOST_V6 };
	memcpy(v6->addr, n->v6_prefix, sizeof(n->v6_prefix));
	for (int i = 0; i < 4; i++) {
		v4->addr[i] = (uint8_t)(addr >> (24 - 8 * i));
		v6->addr[12 + i] = (uint8_t)(offset >> (24 - 8 * i));
	}
}

static void addresses(const struct names *n, uint32_t number, struct host *v4, struct host *v6)
{
	at_offset(n, number + NAMES_RESERVED, v4, v6);
}

void names_own(const struct names *n, struct host *v4, struct host *v6)
{
	at_offset(n, OWN, v4, v6);
}

/* Where @name is in the table, or would be. */
static uint32_t find(const struct names *n, const char *name)
{
	uint32_t at = hash(n, name);

	while (n->table[at] && strcmp(n->text + n->start[n->table[at] - 1], name) != 0)
		at = (at + 1) % TABLE_SIZE;
	return at;
}

bool names_known(const struct names *n, const char *name)
{
	return n->table[find(n, name)] != 0;
}

int names_give(struct names *n, const char *name, struct host *v4, struct host *v6)
{
	uint32_t at = find(n, name), len = (uint32_t)strlen(name) + 1;

	if (n->table[at]) {
		addresses(n, n->table[at] - 1, v4, v6);
		return 0;
	}
	if (n->count == NAMES_MAX || len > NAMES_BYTES - n->text_len)
		return -ENOSPC;
	memcpy(n->text + n->text_len, name, len);
	n->start[n->count] = n->text_len;
	n->text_len += len;
	addresses(n, n->count, v4, v6);
	n->table[at] = ++n->count;
	return 0;
}

static uint32_t last_word(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool names_is_synthetic(const struct names *n, const struct host *addr)
{
	if (addr->kind == HOST_V4)
		return last_word(addr->addr) >> NET_POOL_V4_BITS == NET_POOL_V4 >> NET_POOL_V4_BITS;
	return addr->kind == HOST_V6 && !memcmp(addr->addr, n->v6_prefix, sizeof(n->v6_prefix));
}

const char *names_find(const struct names *n, const struct host *addr)
{
	static const uint8_t zero[4];
	uint32_t offset;

	if (!names_is_synthetic(n, addr))
		return NULL;
	if (addr->kind == HOST_V4) {
		offset = last_word(addr->addr) - NET_POOL_V4;
	} else {
		if (memcmp(addr->addr + 8, zero, sizeof(zero)) != 0)
			return NULL;
		offset = last_word(addr->addr + 12);
	}
	if (offset < NAMES_RESERVED || offset - NAMES_RESERVED >= n->count)
		return NULL;
	return n->text + n->start[offset - NAMES_RESERVED];
}
