/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "base/macros.h"

static const uint32_t K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2
};

static inline uint32_t ror(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* @v: a to h. The new a lands in h's place, the new e in d's. FIPS 180-4, 6.2.2. */
static inline __attribute__((__always_inline__)) void sha_round(uint32_t *const v[8], uint32_t kw)
{
	uint32_t a = *v[0], b = *v[1], c = *v[2], e = *v[4], f = *v[5], g = *v[6];
	uint32_t t1 = *v[7] + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + kw;
	uint32_t t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));

	*v[3] += t1;
	*v[7] = t1 + t2;
}

static void block_portable(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64], s[8];

	for (int i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) + w[i - 7] +
		       (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
	}
	memcpy(s, h, sizeof(s));
	/* Eight rounds bring every word back to its place: no shuffling. */
	for (int i = 0; i < 64; i += 8)
#pragma GCC unroll 8
		for (int r = 0; r < 8; r++) {
			uint32_t *v[8];

			for (int k = 0; k < 8; k++)
				v[k] = &s[(k - r) & 7];
			sha_round(v, K[i + r] + w[i + r]);
		}
	for (int i = 0; i < 8; i++)
		h[i] += s[i];
}

#ifdef __x86_64__
/*
 * The SHA extensions do four rounds in two instructions. Intel's order of the state: ABEF and CDGH.
 * https://www.intel.com/content/www/us/en/developer/articles/technical/intel-sha-extensions.html
 */
__attribute__((__target__("sha,sse4.1"))) static void blocks_x86(uint32_t h[8], const uint8_t *p,
								 size_t count)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i t = _mm_shuffle_epi32(_mm_loadu_si128((const void *)&h[0]), 0xb1);
	__m128i u = _mm_shuffle_epi32(_mm_loadu_si128((const void *)&h[4]), 0x1b);
	__m128i abef = _mm_alignr_epi8(t, u, 8), cdgh = _mm_blend_epi16(u, t, 0xf0);

	for (; count > 0; count--, p += 64) {
		__m128i abef_before = abef, cdgh_before = cdgh, w[4];

		for (int i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const void *)(p + 16 * i)), swap);
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			__m128i kw = _mm_add_epi32(w[i % 4],
						   _mm_loadu_si128((const void *)&K[4 * i]));

			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, kw);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(kw, 0x0e));
			/* W of the round 16 later: FIPS 180-4, 6.2.2, step 1. */
			t = _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4);
			t = _mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]), t);
			w[i % 4] = _mm_sha256msg2_epu32(t, w[(i + 3) % 4]);
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	t = _mm_shuffle_epi32(abef, 0x1b);
	u = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((void *)&h[0], _mm_blend_epi16(t, u, 0xf0));
	_mm_storeu_si128((void *)&h[4], _mm_alignr_epi8(u, t, 8));
}

static bool has_extensions(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_SSSE3 && c & bit_SSE4_1 &&
	       __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA;
}
#endif

/*
 * In a virtual machine cpuid costs as much as hashing some kilobytes, so who has
 * little to hash, as a start has, does not ask.
 */
static void blocks(uint32_t h[8], const uint8_t *p, size_t count)
{
#ifdef __x86_64__
	enum { ASK_AFTER = 1024, YES = UINT32_MAX, NO = UINT32_MAX - 1 };
	static uint32_t state; /* blocks that were hashed, then the answer; of any thread */
	uint32_t now = __atomic_load_n(&state, __ATOMIC_RELAXED);

	if (now >= ASK_AFTER && now < NO) {
		now = has_extensions() ? YES : NO;
		__atomic_store_n(&state, now, __ATOMIC_RELAXED);
	}
	if (now == YES) {
		blocks_x86(h, p, count);
		return;
	}
	if (now != NO)
		__atomic_store_n(&state, now + (uint32_t)MIN(count, ASK_AFTER), __ATOMIC_RELAXED);
#endif
	for (; count > 0; count--, p += 64)
		block_portable(h, p);
}

void sha256_init(struct sha256 *s)
{
	static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	memcpy(s->h, start, sizeof(start));
	s->len = 0;
}

void sha256_add(struct sha256 *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		size_t at = s->len % 64, n = MIN(64 - at, len);

		if (n == 64) {
			n = len - len % 64;
			blocks(s->h, p, n / 64);
		} else {
			memcpy(s->block + at, p, n);
			if (at + n == 64)
				blocks(s->h, s->block, 1);
		}
		s->len += n;
		p += n;
		len -= n;
	}
}

void sha256_done(struct sha256 *s, uint8_t ret[SHA256_SIZE])
{
	uint64_t bits = s->len * 8;
	uint8_t tail[72] = { 0x80 };
	size_t pad = (s->len % 64 < 56 ? 56 : 120) - s->len % 64;

	for (size_t i = 0; i < 8; i++)
		tail[pad + i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_add(s, tail, pad + 8);
	for (size_t i = 0; i < 8; i++)
		for (size_t j = 0; j < 4; j++)
			ret[4 * i + j] = (uint8_t)(s->h[i] >> (24 - 8 * j));
}

void hex_encode(const uint8_t *data, size_t n, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = digits[data[i] >> 4];
		ret[2 * i + 1] = digits[data[i] & 15];
	}
	ret[2 * n] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(const char *s, size_t n, uint8_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
