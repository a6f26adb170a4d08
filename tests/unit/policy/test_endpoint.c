/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/endpoint.h"

static void test_good(void **state)
{
	static const struct {
		const char *text;
		bool exact, tls, v6;
		const char *host;
		uint16_t port;
		const char *url;
	} cases[] = {
		{ "http://127.0.0.1:4318", false, false, false, "127.0.0.1", 4318,
		  "http://127.0.0.1:4318/v1/traces" },
		{ "http://collector/", false, false, false, "collector", 4318,
		  "http://collector:4318/v1/traces" },
		{ "https://otel.example.com:443/otlp/", false, true, false, "otel.example.com", 443,
		  "https://otel.example.com:443/otlp/v1/traces" },
		{ "http://h:1/v1/traces", false, false, false, "h", 1, "http://h:1/v1/traces" },
		{ "http://[::1]:4318", false, false, true, "::1", 4318,
		  "http://[::1]:4318/v1/traces" },
		{ "http://h:1/x", true, false, false, "h", 1, "http://h:1/x" },
		{ "http://h:1", true, false, false, "h", 1, "http://h:1" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct endpoint e;
		const char *why;

		assert_int_equal(endpoint_parse(cases[i].text, cases[i].exact, &e, &why), 0);
		assert_int_equal(e.tls, cases[i].tls);
		assert_int_equal(e.v6, cases[i].v6);
		assert_string_equal(e.host, cases[i].host);
		assert_int_equal(e.port, cases[i].port);
		assert_string_equal(e.url, cases[i].url);
	}
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"localhost:4318",
		"grpc://h",
		"HTTP://h",
		"http://",
		"http:///x",
		"http://u:p@h",
		"http://h:0",
		"http://h:65536",
		"http://h:x",
		"http://h:",
		"http://[::1",
		"http://[::1]x",
		"http://h?x=1",
		"http://h/#a",
		"http://h/a b",
		"http://h/\n",
		"http://h\r\nX: y",
		"http://h/\"",
		"http://\xc3\xa4",
		"file:///etc/passwd",
		"http://h:12 ",
		"http://[]:1",
	};
	char long_one[ENDPOINT_MAX + 32] = "http://";

	memset(long_one + 7, 'a', sizeof(long_one) - 8);
	for (size_t i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
		const char *text = i < sizeof(bad) / sizeof(bad[0]) ? bad[i] : long_one;
		struct endpoint e;
		const char *why;

		if (endpoint_parse(text, false, &e, &why) == 0)
			fail_msg("%s is taken", text);
		assert_non_null(why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
