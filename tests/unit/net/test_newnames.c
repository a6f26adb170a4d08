/* SPDX-License-Identifier: Apache-2.0 */
/* New names under a wildcard: how many at once, how fast after that, and which count. */
#include "net_test.h"

#include <stdio.h>

#include "net/newnames.h"

static struct newnames n;
static struct net_rule allow[4];
static const struct net_rules rules = { .allow = allow, .allow_count = ARRAY_SIZE(allow) };

static int setup(void **state)
{
	static const char *const text[] = { "*.example.org:443", "*.example.org:80",
					    "own.example.org", "*.example.net" };
	const char *why;

	memset(&n, 0, sizeof(n));
	for (size_t i = 0; i < ARRAY_SIZE(text); i++)
		assert_int_equal(net_rule_parse(text[i], &allow[i], &why), 0);
	assert_int_equal(newnames_init(&n), 0);
	n.key = 0x9e3779b97f4a7c15; /* which names share a set is then the same each time */
	return 0;
}

/* How many of @count names that begin with @prefix are admitted. */
static unsigned ask(const char *prefix, const char *domain, unsigned count, uint64_t now)
{
	unsigned admitted = 0;

	for (unsigned i = 0; i < count; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s%u.%s", prefix, i, domain);
		admitted += newnames_admit(&n, &rules, name, now);
	}
	return admitted;
}

static void test_burst_and_rate(void **state)
{
	assert_int_equal(ask("a", "example.org", 500, 1000), NEWNAMES_BURST);
	assert_int_equal(ask("b", "example.org", 500, 1000 + NEWNAMES_MS - 1), 0);
	assert_int_equal(ask("b", "example.org", 500, 1000 + NEWNAMES_MS), 1);
	assert_int_equal(ask("c", "example.org", 500, 1000 + 4 * NEWNAMES_MS - 1), 2);
	assert_int_equal(ask("d", "example.org", 500, 1000 + 4 * NEWNAMES_MS), 1);
	/* What was not used is not saved up. */
	assert_int_equal(ask("e", "example.org", 500, UINT64_C(1) << 50), NEWNAMES_BURST);
}

/* Each wildcard has its own; two of one suffix are no two ways. */
static void test_each_wildcard(void **state)
{
	assert_int_equal(ask("a", "example.org", 500, 1000), NEWNAMES_BURST);
	assert_int_equal(ask("a", "example.net", 500, 1000), NEWNAMES_BURST);
	assert_int_equal(ask("b", "example.org", 500, 1000), 0);
	assert_int_equal(n.rules[1].spent, 0);
}

static void test_what_does_not_count(void **state)
{
	assert_int_equal(ask("a", "example.org", NEWNAMES_BURST / 2, 1000), NEWNAMES_BURST / 2);
	for (unsigned i = 0; i < 10; i++) /* again */
		assert_int_equal(ask("a", "example.org", NEWNAMES_BURST / 2, 1000),
				 NEWNAMES_BURST / 2);
	for (unsigned i = 0; i < 500; i++)
		assert_true(newnames_admit(&n, &rules, "own.example.org", 1000));
	assert_int_equal(ask("b", "example.org", 500, 1000), NEWNAMES_BURST / 2);
	assert_int_equal(ask("a", "example.org", NEWNAMES_BURST / 2, 1000), NEWNAMES_BURST / 2);
}

static void test_a_rule_for_all(void **state)
{
	const char *why;

	assert_int_equal(net_rule_parse("443", &allow[3], &why), 0);
	assert_int_equal(ask("a", "example.org", 500, 1000), 500);
}

/* What is kept is bounded, and the longest unused goes. */
static void test_kept(void **state)
{
	uint64_t now = 1000;

	for (unsigned i = 0; i < 2 * NEWNAMES_SETS * NEWNAMES_WAYS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "k%u.example.org", i);
		now += NEWNAMES_MS;
		assert_true(newnames_admit(&n, &rules, name, now));
		assert_true(newnames_admit(&n, &rules, "often.example.org", now));
	}
	now += NEWNAMES_BURST * NEWNAMES_MS;
	assert_int_equal(ask("x", "example.org", 500, now), NEWNAMES_BURST);
	assert_true(newnames_admit(&n, &rules, "often.example.org", now));
	assert_false(newnames_admit(&n, &rules, "k0.example.org", now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_burst_and_rate, setup),
		cmocka_unit_test_setup(test_each_wildcard, setup),
		cmocka_unit_test_setup(test_what_does_not_count, setup),
		cmocka_unit_test_setup(test_a_rule_for_all, setup),
		cmocka_unit_test_setup(test_kept, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
