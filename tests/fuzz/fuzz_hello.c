/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the start of a connection: at once, and one byte more at each
 * call (or a 64th of a long input). Both must end alike.
 */
#include "fuzz.h"

#include <string.h>

#include "base/macros.h"
#include "net/hello.h"

static enum hello_result read_exact(struct hello_reader *r, const uint8_t *data, size_t len,
				    struct hello *ret)
{
	_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);
	enum hello_result result;

	require(exact);
	memcpy(exact, data, len);
	result = hello_read(r, exact, len, ret);
	require(r->at <= len);
	require((result == HELLO_BAD) == (ret->why != NULL));
	require(result != HELLO_MORE || len < HELLO_RAW_MAX);
	require(result == HELLO_DONE || ret->name[0] == '\0');
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hello_reader whole = { 0 }, parts = { 0 };
	struct hello at_once, in_parts;
	enum hello_result result, again = HELLO_MORE;
	size_t step = size > 1024 ? 1u + size / 64 : 1;

	result = read_exact(&whole, data, size, &at_once);
	for (size_t len = 0; again == HELLO_MORE; len += step) {
		again = read_exact(&parts, data, MIN(len, size), &in_parts);
		if (len >= size)
			break;
	}
	require(result == again);
	require(strcmp(at_once.name, in_parts.name) == 0 && at_once.ech == in_parts.ech);
	require(at_once.alpn == in_parts.alpn);
	return 0;
}
