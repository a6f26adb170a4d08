/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "serve/address.h"

static void test_round_trip(void **state)
{
	static const struct {
		const char *text, *back;
		bool loopback;
	} rows[] = {
		{ "127.0.0.1:9464", "127.0.0.1:9464", true },
		{ "127.9.9.9:0", "127.9.9.9:0", true },
		{ "localhost:1", "127.0.0.1:1", true },
		{ "[::1]:65535", "[::1]:65535", true },
		{ "0.0.0.0:80", "0.0.0.0:80", false },
		{ "[::]:80", "[::]:80", false },
		{ "[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80", false },
		{ "192.0.2.7:80", "192.0.2.7:80", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct serve_address a;
		struct err e = { 0 };
		char back[64];

		assert_int_equal(serve_address_parse(rows[i].text, &a, &e), 0);
		serve_address_format(&a.sa, back);
		assert_string_equal(back, rows[i].back);
		assert_int_equal(a.loopback, rows[i].loopback);
	}
}

static void test_refused(void **state)
{
	static const char *const rows[] = {
		"",
		":",
		":80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:x",
		"127.0.0.1:-1",
		"127.0.0.1:80:80",
		"::1:80",
		"[::1]",
		"[::1:80",
		"[::1]80",
		"[127.0.0.1]:80",
		"[]:80",
		"host.example:80",
		"127.1:80",
		" 127.0.0.1:80",
		"[::1%lo]:80",
		"1111111111111111111111111111111111111111111111111111111111111111111111:80",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct serve_address a;
		struct err e = { 0 };

		assert_true(serve_address_parse(rows[i], &a, &e) < 0);
		assert_true(err_is_set(&e));
	}
}

static void test_hosts(void **state)
{
	static const char *const ours[] = { "127.0.0.1",   "127.0.0.1:9464", "localhost",
					    "localhost:1", "[::1]",	     "[::1]:9464",
					    "10.0.0.1:80" };
	static const char *const theirs[] = { "",
					      "evil.example",
					      "localhost.evil.example",
					      "127.0.0.1.evil.example:80",
					      "[evil.example]",
					      "[::1",
					      "::1",
					      "127.0.0.1@evil.example" };

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		assert_true(serve_host_is_local(ours[i]));
	for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
		assert_false(serve_host_is_local(theirs[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
