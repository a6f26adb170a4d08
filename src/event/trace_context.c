/* SPDX-License-Identifier: Apache-2.0 */
#include "event/trace_context.h"

#include <stddef.h>
#include <string.h>

#include "base/macros.h"

enum { KEY_LEN = 256, VALUE_LEN = 256, VERSION_AT = 0, TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53 };

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower case only, as the recommendation has it. */
static bool read_hex(const char *s, uint8_t *ret, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(s[2 * i]), low = high < 0 ? -1 : hex_digit(s[2 * i + 1]);

		if (low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool is_zero(const uint8_t *id, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (id[i])
			return false;
	return true;
}

bool trace_context_parse(const char *s, struct trace_context *ret)
{
	struct trace_context c;
	size_t n = s ? strnlen(s, TRACEPARENT_LEN + 1) : 0;
	uint8_t version;

	if (n < TRACEPARENT_LEN || s[2] != '-' || s[35] != '-' || s[52] != '-' ||
	    !read_hex(s + VERSION_AT, &version, 1) || version == 0xff)
		return false;
	/* A later version may have more behind it. */
	if (n > TRACEPARENT_LEN && (version == 0 || s[TRACEPARENT_LEN] != '-'))
		return false;
	if (!read_hex(s + TRACE_AT, c.trace_id, sizeof(c.trace_id)) ||
	    !read_hex(s + SPAN_AT, c.span_id, sizeof(c.span_id)) ||
	    !read_hex(s + FLAGS_AT, &c.flags, 1) || is_zero(c.trace_id, sizeof(c.trace_id)) ||
	    is_zero(c.span_id, sizeof(c.span_id)))
		return false;
	c.flags &= TRACE_SAMPLED | TRACE_RANDOM;
	*ret = c;
	return true;
}

static char *put_hex(char *to, const uint8_t *data, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*to++ = digits[data[i] >> 4];
		*to++ = digits[data[i] & 15];
	}
	return to;
}

void trace_context_format(const struct trace_context *c, char ret[TRACEPARENT_LEN + 1])
{
	static const uint8_t version;
	char *to = put_hex(ret, &version, 1);

	*to++ = '-';
	to = put_hex(to, c->trace_id, sizeof(c->trace_id));
	*to++ = '-';
	to = put_hex(to, c->span_id, sizeof(c->span_id));
	*to++ = '-';
	to = put_hex(to, &c->flags, 1);
	*to = '\0';
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool key_ok(const char *s, size_t n)
{
	if (n == 0 || n > KEY_LEN || !is_lower_or_digit(s[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!is_lower_or_digit(s[i]) && !strchr("_-*/@", s[i]))
			return false;
	return true;
}

static bool value_ok(const char *s, size_t n)
{
	if (n == 0 || n > VALUE_LEN || s[n - 1] == ' ')
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~' || s[i] == '=')
			return false;
	return true;
}

struct key {
	const char *at;
	size_t len;
};

/* Its key must not be among the @count of @keys. */
static bool member_ok(const char *s, size_t n, struct key *keys, unsigned count)
{
	const char *equals = memchr(s, '=', n);
	size_t len = equals ? (size_t)(equals - s) : 0;

	if (!equals || !key_ok(s, len) || !value_ok(equals + 1, n - len - 1))
		return false;
	for (unsigned i = 0; i < count; i++)
		if (keys[i].len == len && memcmp(keys[i].at, s, len) == 0)
			return false;
	keys[count] = (struct key){ s, len };
	return true;
}

bool trace_state_ok(const char *s)
{
	struct key keys[TRACESTATE_MEMBERS];
	unsigned count = 0;

	if (!s || strnlen(s, TRACESTATE_MAX + 1) > TRACESTATE_MAX)
		return false;
	for (;;) {
		const char *end = strchrnul(s, ',');
		size_t n;

		s += strspn(s, " \t");
		n = s < end ? (size_t)(end - s) : 0;
		while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
			n--;
		/* An empty member is none. */
		if (n > 0 && (count == TRACESTATE_MEMBERS || !member_ok(s, n, keys, count)))
			return false;
		count += n > 0;
		if (*end == '\0')
			return count > 0;
		s = end + 1;
	}
}
