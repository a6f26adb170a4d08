/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of purple-audit that decide: times, globs, expectations, safe text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/intent_rules.h"
#include "cli/line_filter.h"

#define SECOND UINT64_C(1000000000)

static void times(void **state)
{
	uint64_t ns, now = 1000000 * SECOND;

	(void)state;
	assert_true(time_parse("1970-01-01T00:00:01Z", &ns) && ns == SECOND);
	assert_true(time_parse("1970-01-01T01:00:01.5+01:00", &ns) && ns == SECOND + SECOND / 2);
	assert_true(time_parse("2026-11-24T18:49:53.123456789Z", &ns));
	assert_int_equal(ns % SECOND, 123456789);
	assert_false(time_parse("2026-02-30T00:00:00Z", &ns));
	assert_false(time_parse("2026-11-24T18:49:53", &ns));
	assert_false(time_parse("2026-11-24T18:49:53.Z", &ns));
	assert_false(time_parse("2026-11-24T18:49:53Zx", &ns));
	assert_false(time_parse("1970-01-01T00:00:00+01:00", &ns));
	assert_int_equal(moment_parse("10m", now, &ns), 0);
	assert_true(ns == now - 600 * SECOND);
	assert_int_equal(moment_parse("3w ago", now, &ns), 0);
	assert_true(ns == 0);
	assert_int_equal(moment_parse("1970-01-02", now, &ns), 0);
	assert_true(ns == 86400 * SECOND);
	assert_true(moment_parse("m", now, &ns) < 0);
	assert_true(moment_parse("10", now, &ns) < 0);
	assert_true(moment_parse("10m later", now, &ns) < 0);
	assert_true(moment_parse("99999999999s", now, &ns) < 0);
}

static void globs(void **state)
{
	char stars[256];

	(void)state;
	assert_true(intent_glob("/a/*", "/a/b") && !intent_glob("/a/*", "/a/b/c"));
	assert_true(intent_glob("/a/**", "/a/b/c") && intent_glob("/a/**", "/a"));
	assert_true(intent_glob("**/x", "/a/b/x") && !intent_glob("**/x", "/a/b/xy"));
	assert_true(intent_glob("?b", "ab") && !intent_glob("?b", "b"));
	assert_true(intent_glob("*", "") && intent_glob("", "") && !intent_glob("", "a"));
	/* No pattern takes for ever. */
	for (size_t i = 0; i + 2 < sizeof(stars); i += 2)
		memcpy(stars + i, "*a", 2);
	stars[sizeof(stars) - 2] = '\0';
	assert_false(
		intent_glob(stars, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
}

static void expectations(void **state)
{
	(void)state;
	assert_true(intent_expected("host:*.example.com", "host", "a.example.com:443"));
	assert_true(intent_expected("host:db:5432", "host", "db:5432"));
	assert_false(intent_expected("host:db:5432", "host", "db:22"));
	assert_false(intent_expected("host:db", "write", "db"));
	assert_false(intent_expected("hosts:db", "host", "db"));
	assert_true(intent_expected("exec:git", "exec", "/usr/bin/git"));
	assert_false(intent_expected("exec:/bin/git", "exec", "/usr/bin/git"));
	assert_true(intent_expected("write:/srv/**", "write", "/srv/a/b"));
}

static void text(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4096);

	(void)state;
	line_put(&b, "a\\x1b \\\\ \033[31m \xe2\x80\xae \xff \xc3\xa9");
	assert_string_equal(b.data, "a\\x1b \\\\ \\x1b[31m \\xe2\\x80\\xae \\xff \xc3\xa9");
	b.len = 0;
	line_put_word(&b, "it's");
	assert_string_equal(b.data, "'it'\\''s'");
	b.len = 0;
	line_put_word(&b, "");
	assert_string_equal(b.data, "''");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(globs),
		cmocka_unit_test(expectations),
		cmocka_unit_test(text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
