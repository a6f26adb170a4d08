/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): 64 bits of a key and a text, for tables whose
 * keys an adversary chooses. Without the key nobody finds two texts of one value.
 */
#ifndef PURPLE_BASE_SIPHASH_H
#define PURPLE_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_SIZE 16

uint64_t siphash(const uint8_t key[SIPHASH_KEY_SIZE], const void *data, size_t len);

#endif
