/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and numbers, strictly: no locale, no leading blanks, no overflow. */
#ifndef PURPLE_BASE_STR_H
#define PURPLE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool streq(const char *a, const char *b);
/* The rest of @s behind @prefix, or NULL if it does not start with it. */
const char *str_after(const char *s, const char *prefix);

/*
 * A whole number: decimal, 0x…, 0o… or 0b…. 0, -EINVAL (not a number, or more
 * behind it) or -ERANGE.
 */
int parse_u64(const char *s, uint64_t *ret);

/* Damerau-Levenshtein distance, for "did you mean"; at most 64 bytes count. */
unsigned str_distance(const char *a, const char *b);

/* Copy with cutting; always terminated; returns false if cut. @size > 0. */
bool str_copy(char *dst, size_t size, const char *src);

/* Length of the valid UTF-8 sequence at @text, 0 if there is none. RFC 3629. */
size_t utf8_len(const char *text);

/*
 * The next character of @s (not at its end) as a terminal may see it, in @out,
 * terminated: itself, or \xNN for a control character (C0, DEL and the C1 set,
 * which terminals obey too) and for a byte that is no UTF-8. Returns how many
 * bytes of @s that took.
 */
size_t str_printable(const char *s, char out[5]);

#endif
