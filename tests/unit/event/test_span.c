/* SPDX-License-Identifier: Apache-2.0 */
/* Spans as OTLP's JSON, byte by byte; tests/e2e/test_tracing.py holds them against the schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/span.h"

static const struct trace_context context = { .trace_id = { 0x0a, [15] = 0x9c },
					      .span_id = { 0xb7, [7] = 0x31 },
					      .flags = TRACE_SAMPLED };
#define HEAD "{\"traceId\":\"0a00000000000000000000000000009c\",\"spanId\":\"b700000000000031\""

static void test_plain(void **state)
{
	const struct span s = { .name = "plan", .context = context, .start_ns = 5, .end_ns = 7 };
	_cleanup_buf_ struct buf b = BUF_INIT(SPAN_MAX);
	struct span_writer w;

	span_begin(&w, &b, &s);
	span_events(&w);
	span_end(&w, 0);
	assert_string_equal(b.data, HEAD ",\"flags\":1,\"name\":\"plan\",\"kind\":1,"
					 "\"startTimeUnixNano\":\"5\",\"endTimeUnixNano\":\"7\","
					 "\"attributes\":[],\"events\":[]}");
}

static void test_everything(void **state)
{
	static const uint8_t parent[SPAN_ID_SIZE] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static const uint64_t args[] = { 3, UINT64_MAX };
	const struct span s = { .name = "purple run",
				.context = context,
				.parent = parent,
				.remote = true,
				.state = "rojo=\"1\"",
				.start_ns = 1795550000000000001,
				.end_ns = 9, /* a clock that was set back: never before the start */
				.error = "no \x1b[31msuch\nthing" };
	_cleanup_buf_ struct buf b = BUF_INIT(SPAN_MAX), events = BUF_INIT(SPAN_MAX);
	struct event denied = { .type = EV_SYSCALL_DENIED };
	struct span_writer w;

	event_text(&denied, EF_SYSCALL, "ptrace");
	event_hex(&denied, EF_ARGS, args, 2);
	span_event_encode(&denied, 11, &events);
	span_event_encode(&denied, 12, &events);
	span_begin(&w, &b, &s);
	span_text(&w, "a", "x\"y\xff");
	span_text(&w, "none", NULL);
	span_number(&w, "b", -1);
	span_list(&w, "d", "ls\0-l", 6);
	span_events(&w);
	span_event(&w, "first", 10);
	span_number(&w, "n", 1);
	span_events_add(&w, &events);
	span_end(&w, 3);
#define DENIED(t)                                                                  \
	"{\"timeUnixNano\":\"" t "\",\"name\":\"syscall.denied\",\"attributes\":[" \
	"{\"key\":\"purple.syscall\",\"value\":{\"stringValue\":\"ptrace\"}},"     \
	"{\"key\":\"purple.args\",\"value\":{\"arrayValue\":{\"values\":["         \
	"{\"stringValue\":\"0x3\"},{\"stringValue\":\"0xffffffffffffffff\"}]}}}]}"
	assert_string_equal(
		b.data,
		HEAD ",\"traceState\":\"rojo=\\\"1\\\"\",\"parentSpanId\":\"0102030405060708\","
		     "\"flags\":769,\"name\":\"purple run\",\"kind\":1,"
		     "\"startTimeUnixNano\":\"1795550000000000001\","
		     "\"endTimeUnixNano\":\"1795550000000000001\",\"attributes\":["
		     "{\"key\":\"a\",\"value\":{\"stringValue\":\"x\\\"y\\\\xff\"}},"
		     "{\"key\":\"b\",\"value\":{\"intValue\":\"-1\"}},"
		     "{\"key\":\"d\",\"value\":{\"arrayValue\":{\"values\":["
		     "{\"stringValue\":\"ls\"},{\"stringValue\":\"-l\"}]}}}],\"events\":["
		     "{\"timeUnixNano\":\"10\",\"name\":\"first\",\"attributes\":["
		     "{\"key\":\"n\",\"value\":{\"intValue\":\"1\"}}]}," DENIED("11") "," DENIED(
			     "12") "],\"droppedEventsCount\":3,\"status\":{\"code\":2,"
				   "\"message\":\"no \\\\x1b[31msuch\\\\x0athing\"}}");
}

/* However much there is, the span stays within its size. */
static void test_long(void **state)
{
	const struct span s = { .name = "command", .context = context };
	_cleanup_buf_ struct buf b = BUF_INIT(SPAN_MAX);
	enum { SIZE = 1 << 20 };
	char *long_one = calloc(1, SIZE);
	struct span_writer w;

	assert_non_null(long_one);
	memset(long_one, 7, SIZE - 1);
	span_begin(&w, &b, &s);
	span_text(&w, "text", long_one);
	memset(long_one, 0, SIZE);
	span_list(&w, "list", long_one, SIZE);
	span_events(&w);
	span_end(&w, 0);
	free(long_one);
	assert_false(b.failed);
	assert_non_null(strstr(b.data, "…\"}}"));
	assert_true(b.len > 2 * EVENT_TEXT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
