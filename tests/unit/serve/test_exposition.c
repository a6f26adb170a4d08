/* SPDX-License-Identifier: Apache-2.0 */
/* The text format, where a real sandbox does not lead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "serve/exposition.h"

static struct gathered one(struct gathered_sandbox *s)
{
	struct gathered g = { .items = s, .count = 1, .took_us = 1500000 };

	memset(s, 0, sizeof(*s));
	strcpy(s->name, "box");
	strcpy(s->id, "aaaaaaaaaaaa");
	strcpy(s->profile, "default");
	s->phase = SANDBOX_RUNNING;
	g.phases[SANDBOX_RUNNING] = 1;
	return g;
}

static char *text_of(struct buf *b, const struct gathered *g, const struct totals *t)
{
	*b = BUF_INIT(EXPOSITION_MAX);
	exposition(b, g, t);
	assert_false(b->failed);
	return b->data;
}

static void test_label_values_are_escaped(void **state)
{
	struct gathered_sandbox s;
	struct gathered g = one(&s);
	struct buf b;

	strcpy(s.profile, "a\"b\\c\nd");
	assert_non_null(strstr(text_of(&b, &g, NULL), "profile=\"a\\\"b\\\\c\\nd\""));
	buf_free(&b);
}

static void test_what_is_unknown_is_not_there(void **state)
{
	struct gathered_sandbox s;
	struct gathered g = one(&s);
	struct buf b;
	char *text;

	s.answered = true;
	memset(&s.stats.usage, 0xff, sizeof(s.stats.usage));
	s.stats.usage.pids = 3;
	text = text_of(&b, &g, NULL);
	assert_non_null(
		strstr(text, "purple_sandbox_pids{sandbox=\"box\",id=\"aaaaaaaaaaaa\"} 3\n"));
	assert_null(strstr(text, "purple_sandbox_cpu_seconds_total"));
	assert_null(strstr(text, "purple_sandbox_memory_limit_bytes"));
	assert_null(strstr(text, "purple_sandbox_network"));
	assert_null(strstr(text, "18446744073709551615"));
	buf_free(&b);
}

static void test_units(void **state)
{
	struct gathered_sandbox s;
	struct gathered g = one(&s);
	struct buf b;
	char *text;

	s.answered = true;
	s.stats.usage.cpu_us = 12345678;
	s.stats.cpu_limit_us = 1500000;
	s.started_ms = 1700000000042;
	text = text_of(&b, &g, NULL);
	assert_non_null(strstr(text, "purple_sandbox_cpu_seconds_total{sandbox=\"box\","
				     "id=\"aaaaaaaaaaaa\"} 12.345678\n"));
	assert_non_null(strstr(text, "} 1.500000\n"));
	assert_non_null(strstr(text, "} 1700000000.042\n"));
	assert_non_null(strstr(text, "purple_gather_seconds 1.500000\n"));
	buf_free(&b);
}

static void test_histogram_is_cumulative(void **state)
{
	struct totals t = { .whole = { .buckets = { 1, 0, 2 }, .sum_us = 2500 } };
	struct gathered g = { 0 };
	struct buf b;
	char *text;

	t.whole.buckets[START_BUCKETS - 1] = 4;
	text = text_of(&b, &g, &t);
	assert_non_null(strstr(text, "purple_sandbox_start_seconds_bucket{le=\"0.0005\"} 1\n"
				     "purple_sandbox_start_seconds_bucket{le=\"0.001\"} 1\n"
				     "purple_sandbox_start_seconds_bucket{le=\"0.002\"} 3\n"));
	assert_non_null(strstr(text, "purple_sandbox_start_seconds_bucket{le=\"5\"} 3\n"
				     "purple_sandbox_start_seconds_bucket{le=\"+Inf\"} 7\n"
				     "purple_sandbox_start_seconds_sum 0.002500\n"
				     "purple_sandbox_start_seconds_count 7\n"));
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_label_values_are_escaped),
		cmocka_unit_test(test_what_is_unknown_is_not_there),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_histogram_is_cumulative),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
