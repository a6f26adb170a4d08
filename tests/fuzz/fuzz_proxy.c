/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a request to the proxy. What it sends on is read again, as
 * strictly as the gate reads: it is one request, for the same host, with the
 * same body, whose end is the connection's.
 */
#include "fuzz.h"

#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "net/proxy.h"

static bool has_field(const char *head, const char *name)
{
	for (const char *s = strstr(head, "\r\n"); s; s = strstr(s + 2, "\r\n"))
		if (strncasecmp(s + 2, name, strlen(name)) == 0)
			return true;
	return false;
}

static unsigned count_lines(const char *head)
{
	unsigned n = 0;

	for (; *head; head++)
		n += *head == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char out[PROXY_HEAD_MAX + 1];
	_cleanup_free_ char *exact = NULL, *again = NULL;
	struct http_reader reader = { .replaces_host = true }, strict = { .scanned = 0 };
	struct http_head head, sent;
	size_t len;

	exact = malloc(size ? size : 1);
	require(exact);
	memcpy(exact, data, size);
	if (http_read(&reader, exact, size, &head) != HTTP_DONE || head.form != HTTP_ABSOLUTE)
		return 0;
	len = proxy_rewrite(exact, &head, out);
	require(len > 0 && len < sizeof(out));
	out[len] = '\0';
	require(strlen(out) == len && strstr(out, "\r\n\r\n") == out + len - 4);
	require(!has_field(out, "Proxy-Authorization:") && !has_field(out, "Upgrade:"));
	/* It can be a little more than what is taken. */
	if (len >= HTTP_HEAD_MAX || count_lines(out) > HTTP_FIELDS_MAX + 2)
		return 0;
	again = malloc(len);
	require(again);
	memcpy(again, out, len);
	require(http_read(&strict, again, len, &sent) == HTTP_DONE && sent.len == len);
	require(sent.form == HTTP_ORIGIN || sent.form == HTTP_ASTERISK);
	require(strcmp(sent.method, head.method) == 0 && sent.minor == head.minor);
	require(host_equal(&sent.host, &head.host));
	require((sent.port ? sent.port : 80) == (head.port ? head.port : 80));
	require(sent.body == head.body && sent.length == head.length);
	require(sent.close && !sent.upgrade);
	return 0;
}
