/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a chunked body: whole, and one byte more at each call. Both must
 * end alike. What was accepted is then read once more, plainly, and must end
 * at the same place.
 */
#include "fuzz.h"

#include <string.h>

#include "base/macros.h"
#include "net/http_chunk.h"

static enum http_result read_exact(struct http_chunks *c, const uint8_t *data, size_t len,
				   uint64_t *pass)
{
	_cleanup_free_ char *exact = malloc(len ? len : 1);
	enum http_result r;
	unsigned status = 0;

	require(exact);
	if (len > 0)
		memcpy(exact, data, len);
	r = http_chunk(c, exact, len, pass, &status);
	require((r == HTTP_DONE) == (*pass > 0) && (r == HTTP_BAD) == (status != 0));
	require(r != HTTP_MORE || len < HTTP_LINE_MAX + 2);
	return r;
}

/* Where the body ends, or SIZE_MAX; *result is the last one. @step: bytes more at a time. */
static uint64_t body(const uint8_t *data, size_t size, size_t step, enum http_result *result)
{
	struct http_chunks c = { 0 };
	uint64_t at = 0, pass;
	size_t have = step ? 0 : size;

	for (;;) {
		size_t begin = (size_t)MIN(at, (uint64_t)size);

		have = MAX(have, begin);
		*result = read_exact(&c, data + begin, have - begin, &pass);
		if (*result == HTTP_BAD)
			return UINT64_MAX;
		at += pass;
		if (c.phase == HTTP_BODY_END)
			return at;
		if (*result == HTTP_MORE && have == size)
			return UINT64_MAX;
		if (*result == HTTP_MORE)
			have = MIN(size, have + step);
	}
}

/* A reader that knows nothing of limits. */
static uint64_t plainly(const char *text, size_t size)
{
	const char *p = text, *end = text + size;
	char *after;
	uint64_t n;

	do {
		n = strtoull(p, &after, 16);
		p = memchr(p, '\n', (size_t)(end - p));
		require(p && after <= p && n <= (uint64_t)(end - p));
		p += 1 + n + (n ? 2 : 0);
		require(n == 0 || (p[-2] == '\r' && p[-1] == '\n'));
	} while (n);
	while (p[0] != '\r') {
		p = memchr(p, '\n', (size_t)(end - p));
		require(p != NULL);
		p++;
	}
	require(p[1] == '\n');
	return (uint64_t)(p + 2 - text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum http_result at_once, parts;
	uint64_t end = body(data, size, 0, &at_once);
	_cleanup_free_ char *text = malloc(size + 1);

	require(body(data, size, size > 1024 ? 1 + size / 64 : 1, &parts) == end);
	require(at_once == parts && text);
	if (end == UINT64_MAX)
		return 0;
	require(end <= size);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	require(plainly(text, size) == end);
	return 0;
}
