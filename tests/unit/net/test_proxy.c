/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request as it goes on to the server, and what refused ones are told. */
#include "net_test.h"

#include <stdio.h>

#include "net/proxy.h"
#include "net/refusal.h"

static char out[PROXY_HEAD_MAX + 1];

/* The @len bytes of @text as the proxy reads and sends them, in out. */
static void rewrite_bytes(const char *text, size_t len)
{
	_cleanup_free_ char *data = exact_copy(text, len);
	struct http_reader r = { .replaces_host = true };
	struct http_head head;

	assert_int_equal(http_read(&r, data, len, &head), HTTP_DONE);
	assert_int_equal(head.form, HTTP_ABSOLUTE);
	assert_int_equal(head.len, len);
	out[proxy_rewrite(data, &head, out)] = '\0';
}

#define REWRITES(text, expect)                       \
	do {                                         \
		rewrite_bytes((text), strlen(text)); \
		assert_string_equal(out, (expect));  \
	} while (0)

static void test_target(void **state)
{
	REWRITES("GET http://Example.ORG/a?b HTTP/1.1\r\nHost: example.org\r\n\r\n",
		 "GET /a?b HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n");
	REWRITES("GET HTTP://example.org HTTP/1.0\r\n\r\n",
		 "GET / HTTP/1.0\r\nHost: example.org\r\nConnection: close\r\n\r\n");
	REWRITES("GET http://example.org?q=http://a/ HTTP/1.0\r\n\r\n",
		 "GET /?q=http://a/ HTTP/1.0\r\nHost: example.org\r\nConnection: close\r\n\r\n");
	REWRITES("OPTIONS http://example.org HTTP/1.0\r\n\r\n",
		 "OPTIONS * HTTP/1.0\r\nHost: example.org\r\nConnection: close\r\n\r\n");
	REWRITES("OPTIONS http://example.org/ HTTP/1.0\r\n\r\n",
		 "OPTIONS / HTTP/1.0\r\nHost: example.org\r\nConnection: close\r\n\r\n");
	REWRITES("GET http://[2001:db8:0::1]:8080/ HTTP/1.0\r\n\r\n",
		 "GET / HTTP/1.0\r\nHost: [2001:db8::1]:8080\r\nConnection: close\r\n\r\n");
	REWRITES("GET http://10.0.0.1:80/ HTTP/1.0\r\n\r\n",
		 "GET / HTTP/1.0\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n");
}

static void test_host_is_the_targets(void **state)
{
	static const char other[] = "GET http://a.org/ HTTP/1.1\r\nhost: b.org:99\r\n\r\n";
	struct http_reader strict = { .scanned = 0 };
	struct http_head head;

	REWRITES(other, "GET / HTTP/1.1\r\nHost: a.org\r\nConnection: close\r\n\r\n");
	assert_int_equal(http_read(&strict, other, sizeof(other) - 1, &head), HTTP_BAD);
}

static void test_fields(void **state)
{
	REWRITES("GET http://a.org/ HTTP/1.1\r\nHost: a.org\r\nPROXY-Authorization: x\r\n"
		 "proxy-connection: keep-alive\r\nProxy: 1\r\nProxy-: 2\r\nConnection: close\r\n"
		 "keep-alive: 3\r\nTE: gzip\r\nTEA: 4\r\nupgrade: h2c\r\n\r\n",
		 "GET / HTTP/1.1\r\nHost: a.org\r\nProxy: 1\r\nProxy-: 2\r\nTEA: 4\r\n"
		 "Connection: close\r\n\r\n");
	/* What Connection names, also in a second one, before and after it; never the framing. */
	REWRITES("POST http://a.org/ HTTP/1.1\r\nHost: a.org\r\nX-A: 1\r\n"
		 "Connection:x-a,\tX-B ,, x-c d,content-length\r\nX-B: 2\r\nX-C: 3\r\n"
		 "Content-Length: 5\r\nX-D: 4\r\nX-DD: 5\r\nConnection: x-d\r\n\r\n",
		 "POST / HTTP/1.1\r\nHost: a.org\r\nX-C: 3\r\nContent-Length: 5\r\nX-DD: 5\r\n"
		 "Connection: close\r\n\r\n");
	REWRITES("POST http://a.org/ HTTP/1.1\r\nHost: a.org\r\nConnection: transfer-encoding, host"
		 "\r\nTransfer-Encoding: chunked\r\n\r\n",
		 "POST / HTTP/1.1\r\nHost: a.org\r\nTransfer-Encoding: chunked\r\n"
		 "Connection: close\r\n\r\n");
}

static void test_largest(void **state)
{
	static char text[HTTP_HEAD_MAX + 1];
	int n = snprintf(text, sizeof(text), "GET http://[::2]/");

	memset(text + n, 'x', HTTP_HEAD_MAX - (size_t)n);
	memcpy(text + HTTP_HEAD_MAX - 13, " HTTP/1.0\r\n\r\n", 13);
	rewrite_bytes(text, HTTP_HEAD_MAX);
	assert_true(strlen(out) > HTTP_HEAD_MAX);
	assert_non_null(strstr(out, "x HTTP/1.0\r\nHost: [::2]\r\nConnection: close\r\n\r\n"));
}

static void test_refusal_fits(void **state)
{
	static const enum net_verdict verdicts[] = { NET_NOT_LISTED, NET_BLOCKED,     NET_SPECIAL,
						     NET_OTHER_NAME, NET_UNREACHABLE, NET_NO_NAME };
	char text[REFUSAL_TEXT_MAX], answer[REFUSAL_HTTP_MAX];
	struct host host = { .kind = HOST_NAME };

	memset(host.name, 'a', HOST_NAME_MAX_LEN);
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		const struct refusal r = { .verdict = verdicts[i],
					   .host = &host,
					   .port = 65535,
					   .asked = &host,
					   .asked_port = 65535,
					   .why = "for a reason" };
		size_t len;

		refusal_text(&r, text);
		assert_true(strlen(text) < sizeof(text) - 1 && strstr(text, host.name));
		assert_int_equal(text[strlen(text) - 1], '\n');
		len = refusal_http(403, text, false, answer);
		assert_int_equal(len, strlen(answer));
		assert_string_equal(answer + len - strlen(text), text);
		assert_non_null(strstr(answer, "\r\n\r\n"));
		assert_true(refusal_http(403, text, true, answer) == len - strlen(text));
	}
}

static void test_refusal_names_the_rule(void **state)
{
	struct host v6 = { .kind = HOST_V6, .addr = { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	const struct refusal r = { .verdict = NET_NOT_LISTED, .host = &v6, .port = 443 };
	char text[REFUSAL_TEXT_MAX];

	refusal_text(&r, text);
	assert_string_equal(text, "purple: [2001:db8::1]:443 is not allowed by this sandbox's "
				  "policy\nrule that would allow it: network.allow_outgoing: "
				  "[\"[2001:db8::1]:443\"]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target),	     cmocka_unit_test(test_host_is_the_targets),
		cmocka_unit_test(test_fields),	     cmocka_unit_test(test_largest),
		cmocka_unit_test(test_refusal_fits), cmocka_unit_test(test_refusal_names_the_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
