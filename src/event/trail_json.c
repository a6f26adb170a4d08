/* SPDX-License-Identifier: Apache-2.0 */
#include "event/trail_json.h"

#include <stdint.h>
#include <string.h>

#include "base/macros.h"
#include "base/str.h"

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* A bit for each byte of @w that is no plain one of a string; exact where it is the lowest. */
static uint64_t special(uint64_t w)
{
	uint64_t quote = w ^ ONES * '"', backslash = w ^ ONES * '\\';

	return ((quote - ONES) | (backslash - ONES) | (w - ONES * 0x20) | w) & HIGHS;
}

/* Bytes of well-formed UTF-8 at @s; 0: none. */
static size_t sequence(const char *s, const char *end)
{
	char copy[5] = { 0 };

	memcpy(copy, s, MIN((size_t)(end - s), (size_t)4));
	return utf8_len(copy);
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind the escape at @s, or NULL. */
static const char *escape(const char *s, const char *end)
{
	if (end - s < 2)
		return NULL;
	if (s[1] != 'u')
		return s[1] && strchr("\"\\/bfnrt", s[1]) ? s + 2 : NULL;
	if (end - s < 6 || !is_hex(s[2]) || !is_hex(s[3]) || !is_hex(s[4]) || !is_hex(s[5]))
		return NULL;
	return s + 6;
}

/* Behind the string at @s, or NULL. */
static const char *string(const char *s, const char *end)
{
	if (s == end || *s++ != '"')
		return NULL;
	while (s < end) {
		uint64_t w;
		size_t n;

		if (end - s >= 8) {
			memcpy(&w, s, 8);
			w = special(w);
			if (w == 0) {
				s += 8;
				continue;
			}
			if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
				s += __builtin_ctzll(w) / 8;
		}
		if (*s == '"')
			return s + 1;
		if (*s == '\\') {
			s = escape(s, end);
			if (!s)
				return NULL;
			continue;
		}
		n = sequence(s, end);
		if (n == 0 || (unsigned char)*s < 0x20)
			return NULL;
		s += n;
	}
	return NULL;
}

static const char *digits(const char *s, const char *end)
{
	const char *from = s;

	while (s < end && *s >= '0' && *s <= '9')
		s++;
	return s > from ? s : NULL;
}

static const char *number(const char *s, const char *end)
{
	if (s < end && *s == '-')
		s++;
	if (s < end && *s == '0')
		return s + 1;
	return digits(s, end);
}

static const char *list(const char *s, const char *end)
{
	s++;
	if (s < end && *s == ']')
		return s + 1;
	for (;;) {
		s = string(s, end);
		if (!s || s == end)
			return NULL;
		if (*s == ']')
			return s + 1;
		if (*s++ != ',')
			return NULL;
	}
}

bool trail_json_ok(const char *line, size_t len)
{
	const char *s = line, *end = line + len;

	if (s == end || *s++ != '{')
		return false;
	for (;;) {
		s = string(s, end);
		if (!s || end - s < 2 || *s++ != ':')
			return false;
		s = *s == '"' ? string(s, end) : *s == '[' ? list(s, end) : number(s, end);
		if (!s || s == end)
			return false;
		if (*s == '}')
			return s + 1 == end;
		if (*s++ != ',')
			return false;
	}
}
