/* SPDX-License-Identifier: Apache-2.0 */
/* TRACEPARENT and TRACESTATE, by the rules of www.w3.org/TR/trace-context-2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "event/trace_context.h"

#define ID "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"
#define GOOD "00-" ID "-" PARENT "-01"

static void test_round_trip(void **state)
{
	struct trace_context c;
	char text[TRACEPARENT_LEN + 1];

	assert_true(trace_context_parse(GOOD, &c));
	assert_int_equal(c.trace_id[0], 0x0a);
	assert_int_equal(c.trace_id[15], 0x9c);
	assert_int_equal(c.span_id[7], 0x31);
	assert_int_equal(c.flags, TRACE_SAMPLED);
	trace_context_format(&c, text);
	assert_string_equal(text, GOOD);
}

static void test_flags_and_versions(void **state)
{
	struct trace_context c;

	assert_true(trace_context_parse("00-" ID "-" PARENT "-00", &c));
	assert_int_equal(c.flags, 0);
	/* Those that nobody has defined are not ours to pass on. */
	assert_true(trace_context_parse("00-" ID "-" PARENT "-ff", &c));
	assert_int_equal(c.flags, TRACE_SAMPLED | TRACE_RANDOM);
	/* What comes later is read as far as we know it. */
	assert_true(trace_context_parse("cc-" ID "-" PARENT "-01", &c));
	assert_true(trace_context_parse("cc-" ID "-" PARENT "-01-what-the-future-brings", &c));
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"",
		"00",
		"00-" ID "-" PARENT "-1",
		"00-" ID "-" PARENT "-01-",
		"00-" ID "-" PARENT "-01-more",
		"00-" ID "-" PARENT "-01 ",
		" 00-" ID "-" PARENT "-01",
		"ff-" ID "-" PARENT "-01",
		"cc-" ID "-" PARENT "-01.x",
		"00-00000000000000000000000000000000-" PARENT "-01",
		"00-" ID "-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
		"00-0af7651916cd43dd8448eb211c80319-" PARENT "0-01",
		"00-" ID "_" PARENT "-01",
		"00-" ID "-" PARENT "-0g",
		"0x-" ID "-" PARENT "-01",
		"00-" ID "\n" PARENT "-01",
	};
	struct trace_context c = { .flags = 77 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (trace_context_parse(bad[i], &c))
			fail_msg("%s is taken", bad[i]);
	assert_false(trace_context_parse(NULL, &c));
	assert_int_equal(c.flags, 77);
}

static void test_state(void **state)
{
	static const char *const good[] = {
		"congo=t61rcWkgMzE",	"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
		"rojo=1 , congo=2",	"rojo=1\t,,congo=2,",
		"fw529a3039@dt=FfAAAA", "0a_-*/@=x y!",
	};
	static const char *const bad[] = {
		"",	     ",",      " ",	   "rojo",	    "rojo=",
		"=1",	     "Rojo=1", "rojo=1=2", "rojo=1,rojo=2", "rojo=a\x7f",
		"rojo=a\nb", "_x=1",   "ro jo=1",  "rojo=\xc3\xa4", "rojo=1,,bad",
	};
	char long_one[1024];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!trace_state_ok(good[i]))
			fail_msg("%s is not taken", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (trace_state_ok(bad[i]))
			fail_msg("%s is taken", bad[i]);
	assert_false(trace_state_ok(NULL));
	/* 32 members are, 33 are not; nor is a key or a value of more than 256 bytes, or all of
	 * 513. */
	for (int members = 32; members <= 33; members++) {
		size_t n = 0;

		for (int i = 0; i < members; i++)
			n += (size_t)snprintf(long_one + n, sizeof(long_one) - n, "%sk%d=v",
					      i ? "," : "", i);
		assert_int_equal(trace_state_ok(long_one), members == 32);
	}
	memset(long_one, 'a', sizeof(long_one));
	memcpy(long_one, "k=", 2);
	long_one[2 + 256] = '\0';
	assert_true(trace_state_ok(long_one));
	long_one[2 + 256] = 'a';
	long_one[2 + 257] = '\0';
	assert_false(trace_state_ok(long_one));
	memset(long_one, ',', sizeof(long_one));
	memcpy(long_one, "k=v", 3);
	long_one[TRACESTATE_MAX] = '\0';
	assert_true(trace_state_ok(long_one));
	long_one[TRACESTATE_MAX] = ',';
	long_one[TRACESTATE_MAX + 1] = '\0';
	assert_false(trace_state_ok(long_one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_flags_and_versions),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
