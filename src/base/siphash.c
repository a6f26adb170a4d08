/* SPDX-License-Identifier: Apache-2.0 */
#include "base/siphash.h"

enum { ROUNDS = 2, LAST_ROUNDS = 4, WORD = 8 };

static uint64_t rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

/* Little-endian, whatever the processor is. */
static uint64_t word(const uint8_t *p, size_t len)
{
	uint64_t x = 0;

	for (size_t i = 0; i < len; i++)
		x |= (uint64_t)p[i] << (8 * i);
	return x;
}

static void mix(uint64_t v[4], int rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static void take(uint64_t v[4], uint64_t x)
{
	v[3] ^= x;
	mix(v, ROUNDS);
	v[0] ^= x;
}

uint64_t siphash(const uint8_t key[SIPHASH_KEY_SIZE], const void *data, size_t len)
{
	const uint64_t k0 = word(key, WORD), k1 = word(key + WORD, WORD);
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
			  k1 ^ 0x7465646279746573 };
	const uint8_t *p = data;
	size_t left = len;

	for (; left >= WORD; left -= WORD, p += WORD)
		take(v, word(p, WORD));
	take(v, word(p, left) | (uint64_t)len << 56);
	v[2] ^= 0xff;
	mix(v, LAST_ROUNDS);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
