/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4), for naming compiled plans by content and chaining the lines
 * of the audit trail. Here because the launcher links no library. Much is hashed by the
 * processor's SHA extensions, where it has them (x86).
 */
#ifndef PURPLE_BASE_SHA256_H
#define PURPLE_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32

struct sha256 {
	uint32_t h[8];
	uint64_t len;
	uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_done(struct sha256 *s, uint8_t ret[SHA256_SIZE]);

/* Lower-case hexadecimal, terminated: @ret has 2 * n + 1 bytes. */
void hex_encode(const uint8_t *data, size_t n, char *ret);
/* The @n bytes that 2 * n lower-case digits stand for. False: they are none. */
bool hex_decode(const char *s, size_t n, uint8_t *ret);

#endif
