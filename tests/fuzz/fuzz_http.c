/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the start of a request: at once, and one byte more at each
 * call (or a 64th of a long input). Both must end alike. What was accepted is
 * then held against a plain reading of the same head.
 */
#include "fuzz.h"

#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "net/http.h"

static enum http_result read_exact(struct http_reader *r, const uint8_t *data, size_t len,
				   struct http_head *ret)
{
	_cleanup_free_ char *exact = malloc(len ? len : 1);
	enum http_result result;

	require(exact);
	memcpy(exact, data, len);
	result = http_read(r, exact, len, ret);
	require(r->scanned <= len && r->scanned <= HTTP_HEAD_MAX);
	require((result == HTTP_BAD) == (ret->why != NULL) &&
		(result == HTTP_BAD) == (ret->status != 0));
	require(result != HTTP_MORE || len < HTTP_HEAD_MAX);
	require(result == HTTP_DONE || (!ret->has_host && ret->len == 0));
	return result;
}

/* How many lines of the head begin with @name, in any case. */
static unsigned count(const char *head, const char *name)
{
	unsigned n = 0;

	for (const char *s = strstr(head, "\r\n"); s; s = strstr(s + 2, "\r\n"))
		n += strncasecmp(s + 2, name, strlen(name)) == 0;
	return n;
}

static void check_done(const uint8_t *data, const struct http_head *h)
{
	_cleanup_free_ char *head = malloc(h->len + 1);

	require(head);
	memcpy(head, data, h->len);
	head[h->len] = '\0';
	require(strlen(head) == h->len);
	require(strstr(head, "\r\n\r\n") == head + h->len - 4);
	require(strncmp(head, h->method, strlen(h->method)) == 0);
	require(h->target + h->target_len < h->len && h->target_len > 0);
	require(count(head, "Host:") == 1 || (h->minor == 0 && count(head, "Host:") == 0));
	require(count(head, "Content-Length:") + count(head, "Transfer-Encoding:") <= 1);
	require(count(head, " ") == 0 && count(head, "\t") == 0);
	require(h->has_host || h->minor == 0);
	require(h->form != HTTP_AUTHORITY || h->port != 0);
	require(h->body != HTTP_LENGTH || count(head, "Content-Length:") == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_reader whole = { 0 }, parts = { 0 };
	struct http_head at_once, in_parts;
	enum http_result result, again = HTTP_MORE;
	size_t step = size > 1024 ? 1u + size / 64 : 1;

	result = read_exact(&whole, data, size, &at_once);
	for (size_t len = 0; again == HTTP_MORE; len += step) {
		again = read_exact(&parts, data, MIN(len, size), &in_parts);
		if (len >= size)
			break;
	}
	require(result == again && at_once.status == in_parts.status);
	require(at_once.len == in_parts.len && at_once.port == in_parts.port);
	require(host_equal(&at_once.host, &in_parts.host));
	require(at_once.body == in_parts.body && at_once.length == in_parts.length);
	if (result == HTTP_DONE)
		check_done(data, &at_once);
	return 0;
}
