/* SPDX-License-Identifier: Apache-2.0 */
/* A name keeps its addresses, and an address its name. */
#include "net_test.h"

#include <stdio.h>

#include "net/names.h"

static const uint8_t prefix[8] = { 0xfd, 1, 2, 3, 4, 5, 6, 7 };

static struct host host(const char *text)
{
	struct host h;

	assert_int_equal(host_parse(text, strlen(text), &h), 0);
	return h;
}

static void test_binding(void **state)
{
	struct host a4, a6, b4, b6, again4, again6;
	struct names n;

	assert_int_equal(names_init(&n, prefix), 0);
	assert_int_equal(names_give(&n, "a.example", &a4, &a6), 0);
	assert_int_equal(names_give(&n, "b.example", &b4, &b6), 0);
	assert_int_equal(names_give(&n, "a.example", &again4, &again6), 0);
	assert_true(host_equal(&a4, &again4) && host_equal(&a6, &again6));
	assert_true(host_equal(&a4, &(struct host[]){ host("198.18.1.0") }[0]));
	assert_true(host_equal(&b6, &(struct host[]){ host("fd01:203:405:607::101") }[0]));
	assert_string_equal(names_find(&n, &a4), "a.example");
	assert_string_equal(names_find(&n, &a6), "a.example");
	assert_string_equal(names_find(&n, &b4), "b.example");
	names_free(&n);
}

static void test_nobodys(void **state)
{
	static const char *const ours[] = {
		"198.18.0.0",
		"198.18.0.1",
		"198.18.0.255",
		"198.18.1.1",
		"198.19.255.255",
		"fd01:203:405:607::",
		"fd01:203:405:607::1",
		"fd01:203:405:607:1::100",
		"fd01:203:405:607::101",
	};
	static const char *const others[] = { "198.17.255.255", "198.20.0.0",
					      "fd01:203:405:608::100", "127.0.0.1", "::1" };
	struct host a4, a6;
	struct names n;

	assert_int_equal(names_init(&n, prefix), 0);
	assert_int_equal(names_give(&n, "a.example", &a4, &a6), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		struct host h = host(ours[i]);

		assert_true(names_is_synthetic(&n, &h));
		assert_null(names_find(&n, &h));
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct host h = host(others[i]);

		assert_false(names_is_synthetic(&n, &h));
		assert_null(names_find(&n, &h));
	}
	names_free(&n);
}

static void test_full(void **state)
{
	struct host v4, v6;
	struct names n;
	char name[32];

	assert_int_equal(names_init(&n, prefix), 0);
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		assert_int_equal(names_give(&n, name, &v4, &v6), 0);
	}
	assert_string_equal(names_find(&n, &v4), name);
	assert_string_equal(names_find(&n, &v6), name);
	assert_int_equal(names_give(&n, "one-more.example", &v4, &v6), -ENOSPC);
	assert_int_equal(names_give(&n, "n77.example", &v4, &v6), 0);
	assert_string_equal(names_find(&n, &v4), "n77.example");
	names_free(&n);
}

/* Long names fill the bytes before the numbers run out. */
static void test_full_of_bytes(void **state)
{
	char name[HOST_NAME_MAX_LEN + 1];
	struct host v4, v6;
	unsigned given = 0;
	struct names n;

	assert_int_equal(names_init(&n, prefix), 0);
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (;; given++) {
		char number[16];

		snprintf(number, sizeof(number), "%08u", given);
		memcpy(name, number, 8);
		if (names_give(&n, name, &v4, &v6) == -ENOSPC)
			break;
	}
	assert_int_equal(given, NAMES_BYTES / (HOST_NAME_MAX_LEN + 1));
	names_free(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_binding),
		cmocka_unit_test(test_nobodys),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_full_of_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
