/* SPDX-License-Identifier: Apache-2.0 */
/* network.allow_incoming → the host's listeners, and the pool that leads inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "built.h"

static void make(struct built *t, const char *items)
{
	const struct host h = a_user();
	char text[4096];

	snprintf(text, sizeof(text), "network: {isolated: false, allow_incoming: [%s]}\n", items);
	build(t, text, &h);
}

static const struct plan_listener *listeners(const struct built *t, uint32_t count)
{
	if (!t->plan)
		fail_msg("%s", t->e.message);
	assert_int_equal(t->plan->network.listeners.count, count);
	assert_int_equal(t->plan->network.pool, count ? PLAN_POOL_MAX : 0);
	return plan_items(t->plan, network.listeners, struct plan_listener);
}

static void refuse(const char *items, const char *words)
{
	const struct host h = a_user();
	char text[4096];

	snprintf(text, sizeof(text), "network: {isolated: false, allow_incoming: [%s]}\n", items);
	expect_refused(text, &h, words, NULL);
}

static void test_loopback(void **state)
{
	const struct plan_listener *l;
	struct built t;

	make(&t, "8080, \"9000:81\"");
	l = listeners(&t, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(l[i].v6, i % 2);
		assert_int_equal(l[i].optional, i % 2);
		assert_int_equal(l[i].port, i < 2 ? 8080 : 9000);
		assert_int_equal(l[i].inside, i < 2 ? 8080 : 81);
		assert_int_equal(l[i].addr[0], i % 2 ? 0 : 127);
		assert_int_equal(l[i].addr[i % 2 ? 15 : 3], 1);
	}
	done(&t);
}

static void test_addresses(void **state)
{
	const struct plan_listener *l;
	struct built t;

	make(&t, "\"0.0.0.0:80:8080\", \"[::]:80:8080\", \"10.0.0.1:81\"");
	l = listeners(&t, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(l[i].optional, 0);
	assert_int_equal(l[0].v6 + l[2].v6, 0);
	assert_int_equal(l[1].v6, 1);
	assert_int_equal(l[2].addr[0], 10);
	done(&t);
}

static void test_none(void **state)
{
	struct built t;

	make(&t, "");
	listeners(&t, 0);
	done(&t);
}

/* A profile's and an option's word for the same; and two that cannot both be. */
static void test_twice(void **state)
{
	struct built t;

	make(&t, "8080, \"8080/tcp\", \"127.0.0.1:8080\", \"[::1]:8080\"");
	listeners(&t, 2);
	done(&t);
	refuse("8080, \"8080:81\"", "port 8080 of the host is already published");
	refuse("8080, \"0.0.0.0:8080:8080\"", "already published");
	refuse("\"[::]:8080\", 8080", "already published");
	make(&t, "8080, \"127.0.0.2:8080\", \"8081:8080\"");
	listeners(&t, 5);
	done(&t);
}

static void test_own_ports(void **state)
{
	refuse("\"8080:53\"", "port 53 inside is Purple's own");
	refuse("\"10.0.0.1:8080:1\"", "port 1 inside is Purple's own");
	refuse("53", "Purple's own");
}

static void test_limit(void **state)
{
	char items[2048] = "";
	struct built t;
	size_t n = 0;

	for (int i = 0; i < PLAN_LISTENERS_MAX / 2; i++)
		n += (size_t)snprintf(items + n, sizeof(items) - n, "%s%d", i ? ", " : "",
				      8000 + i);
	make(&t, items);
	listeners(&t, PLAN_LISTENERS_MAX);
	done(&t);
	snprintf(items + n, sizeof(items) - n, ", 9000");
	refuse(items, "more than 64");
}

/* Nothing is listened for, and it is no error: the policy was warned about. */
static void test_isolated(void **state)
{
	const struct host h = a_user();
	struct built t;

	build(&t, "network: {isolated: true, allow_incoming: [8080]}\n", &h);
	listeners(&t, 0);
	done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loopback),  cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_none),	  cmocka_unit_test(test_twice),
		cmocka_unit_test(test_own_ports), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_isolated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
