/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "supervisor/rule_lists.h"

static struct rule_lists l;

static struct net_rule parse(const char *text)
{
	const char *why = "";
	struct net_rule r;

	assert_int_equal(net_rule_parse(text, &r, &why), 0);
	return r;
}

static int change(const char *text, bool allow)
{
	struct net_rule r = parse(text);
	struct err e = { 0 };
	int error = (allow ? rule_lists_allow : rule_lists_deny)(&l, &r, &e);

	assert_int_equal(error < 0, err_is_set(&e));
	return error;
}

static void list_is(const struct rule_list *list, const char *want)
{
	char all[2000] = "", text[300];

	for (uint32_t i = 0; i < list->count; i++) {
		net_rule_format(&list->items[i], text, sizeof(text));
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? " " : "", text);
	}
	assert_string_equal(all, want);
}

static int setup(void **state)
{
	(void)state;
	memset(&l, 0, sizeof(l));
	return 0;
}

static void test_covers(void **state)
{
	static const struct {
		const char *a, *b;
		bool allows, blocks;
	} rows[] = {
		{ "example.org", "example.org:443", true, true },
		{ "example.org:443", "example.org", false, false },
		{ "example.org:443", "example.org:443/udp", false, true },
		{ "example.org:443/udp", "example.org:443", false, false },
		{ "*.example.org", "a.example.org:1", true, true },
		{ "*.example.org", "*.a.example.org", true, true },
		{ "*.a.example.org", "*.example.org", false, false },
		{ "*.example.org", "example.org", false, false },
		{ "*.example.org", "aexample.org", false, false },
		{ "443", "example.org:443", true, true },
		{ "443", "*.example.org:443", true, true },
		{ "443", "10.0.0.1:443", false, false },
		{ "443", "443", true, true },
		{ "10.0.0.0/8", "10.1.2.3:5", true, true },
		{ "10.0.0.0/8", "10.0.0.0/7", false, false },
		{ "10.128.0.0/9", "10.0.0.0/9", false, false },
		{ "10.128.0.0/9", "10.129.0.0/16", true, true },
		{ "0.0.0.0/0", "10.129.0.0/16", true, true },
		{ "0.0.0.0/0", "[::1]:1", false, false },
		{ "2001:db8::/33", "2001:db8:8000::1", false, false },
		{ "2001:db8::/32", "2001:db8:8000::1", true, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net_rule a = parse(rows[i].a), b = parse(rows[i].b);

		if (rule_covers(&a, &b, false) != rows[i].allows ||
		    rule_covers(&a, &b, true) != rows[i].blocks)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
	}
}

static void test_allow_and_deny(void **state)
{
	(void)state;
	assert_int_equal(change("example.org:443", true), 0);
	assert_int_equal(change("EXAMPLE.org:443", true), 0);
	assert_int_equal(change("10.0.0.0/8", true), 0);
	list_is(&l.allow, "example.org:443 10.0.0.0/8");
	assert_int_equal(change("example.org:443", false), 0);
	list_is(&l.allow, "10.0.0.0/8");
	list_is(&l.block, "");
	assert_int_equal(change("example.org:443", false), 0);
	list_is(&l.block, "example.org:443");
	assert_int_equal(change("example.org:443", true), 0);
	list_is(&l.allow, "10.0.0.0/8 example.org:443");
	list_is(&l.block, "");
}

/* To deny is never to leave it allowed, to allow never to leave it blocked. */
static void test_what_others_cover(void **state)
{
	(void)state;
	change("*.example.org", true);
	change("a.example.org:443", true);
	assert_int_equal(change("a.example.org:443", false), 0);
	list_is(&l.allow, "*.example.org");
	list_is(&l.block, "a.example.org:443");
	change("b.example.org", false);
	assert_int_equal(change("b.example.org:80", true), -EPROTO);
	list_is(&l.allow, "*.example.org");
	change("10.0.0.0/8", false);
	assert_int_equal(change("10.1.1.1:80", true), -EPROTO);
	assert_int_equal(change("10.1.1.1:80/udp", true), -EPROTO);
}

/* What another rule allows of it counts, be that but a port, a name or a part of a range. */
static void test_what_is_left(void **state)
{
	static const struct {
		const char *denied, *left, *block;
	} rows[] = {
		{ "example.org", "example.org:443", "example.org" },
		{ "*.example.org", "a.example.org", "*.example.org" },
		{ "*.example.org", "443", "*.example.org" },
		{ "example.org:80", "*.org", "example.org:80" },
		{ "10.0.0.0/8", "10.1.0.0/16:5432", "10.0.0.0/8" },
		{ "example.org:80", "example.org:443", "" },
		{ "example.org", "example.org:443/udp", "" },
		{ "*.example.org", "example.org", "" },
		{ "10.0.0.0/8", "11.0.0.0/8", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		l.allow.count = l.block.count = 0;
		assert_int_equal(change(rows[i].left, true), 0);
		assert_int_equal(change(rows[i].denied, true), 0);
		assert_int_equal(change(rows[i].denied, false), 0);
		list_is(&l.allow, rows[i].left);
		list_is(&l.block, rows[i].block);
	}
}

static void test_any_host(void **state)
{
	(void)state;
	assert_int_equal(change("443", false), -EPROTO);
	change("443", true);
	assert_int_equal(change("443", false), 0);
	list_is(&l.allow, "");
	list_is(&l.block, "");
}

static void test_full(void **state)
{
	char text[40];

	(void)state;
	for (int i = 0; i < RULE_LIST_MAX; i++) {
		snprintf(text, sizeof(text), "10.0.%d.%d", i / 256, i % 256);
		assert_int_equal(change(text, true), 0);
	}
	assert_int_equal(change("10.0.0.0", true), 0);
	assert_int_equal(change("11.0.0.0", true), -E2BIG);
	assert_int_equal(change("10.0.3.255", false), 0);
	assert_int_equal(change("10.0.0.0", false), 0);
	assert_int_equal(l.allow.count, RULE_LIST_MAX - 2);
	assert_int_equal(l.block.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_covers, setup),
		cmocka_unit_test_setup(test_allow_and_deny, setup),
		cmocka_unit_test_setup(test_what_others_cover, setup),
		cmocka_unit_test_setup(test_what_is_left, setup),
		cmocka_unit_test_setup(test_any_host, setup),
		cmocka_unit_test_setup(test_full, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
