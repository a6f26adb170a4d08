/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a greeting with a request behind it. What is read of a part
 * must be what is read of the whole: once an end is reached, more bytes
 * change nothing.
 */
#include "fuzz.h"

#include <string.h>

#include "base/macros.h"
#include "net/socks.h"

static enum socks_result greet(const uint8_t *data, size_t size, size_t *used)
{
	enum socks_result result = SOCKS_MORE;

	*used = 0;
	for (size_t len = 0; len <= size && result == SOCKS_MORE; len++) {
		_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);
		size_t again;

		require(exact);
		memcpy(exact, data, len);
		result = socks_read_greeting(exact, len, used);
		require(*used <= len && (result != SOCKS_MORE || len < SOCKS_GREETING_MAX));
		if (result != SOCKS_MORE)
			require(socks_read_greeting(data, size, &again) == result &&
				again == *used);
	}
	return result;
}

static void request(const uint8_t *data, size_t size)
{
	enum socks_result result = SOCKS_MORE;

	for (size_t len = 0; len <= size && result == SOCKS_MORE; len++) {
		_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);
		struct socks_request r, whole;
		size_t used, again;

		require(exact);
		memcpy(exact, data, len);
		result = socks_read_request(exact, len, &r, &used);
		require(used <= len && (result != SOCKS_MORE || len < SOCKS_REQUEST_MAX));
		if (result == SOCKS_MORE)
			continue;
		require(socks_read_request(data, size, &whole, &again) == result);
		require(host_equal(&r.host, &whole.host) && r.port == whole.port);
		require(r.reply == whole.reply && used == again);
		require((result == SOCKS_DONE) == (r.port != 0) && (r.reply == 0) == (r.port != 0));
		require(r.host.kind != HOST_NAME || (r.port != 0) == (r.host.name[0] != '\0'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t used;

	if (size > 1024)
		return 0;
	if (greet(data, size, &used) == SOCKS_DONE)
		request(data + used, size - used);
	else
		request(data, size);
	return 0;
}
