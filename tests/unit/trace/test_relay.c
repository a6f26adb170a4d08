/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the kernel's side, on their way into packets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "trace/relay.h"

static struct relay *relay;
static struct trace_config config;
static int ends[2];

static union {
	struct trace_head head;
	char bytes[TRACE_PACKET_MAX + 1];
} packet;
static size_t packet_len;

static int set_up(void **state)
{
	const int room = 4 << 20;

	relay = calloc(1, sizeof(*relay));
	config = (struct trace_config){ .flags = TRACE_FLAGS_ALL & ~TRACE_OPENS };
	strcpy(config.workspace, "/work");
	if (!relay || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	relay_init(relay, ends[1], &config);
	return 0;
}

static int tear_down(void **state)
{
	free(relay);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* The next packet that there is; false: none. */
static bool receive(void)
{
	ssize_t n = recv(ends[0], packet.bytes, sizeof(packet.bytes), MSG_DONTWAIT);

	packet_len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* The record at *@at, which goes on to the next; NULL: that was the last. */
static const struct trace_record *next(size_t *at)
{
	const struct trace_record *t = (const void *)(packet.bytes + *at);

	if (*at == packet_len)
		return NULL;
	assert_true(*at + sizeof(*t) <= packet_len && t->size % 8 == 0 && t->size >= sizeof(*t));
	assert_true(*at + t->size <= packet_len);
	assert_true(sizeof(*t) + t->path_len + t->base_len + t->args_len <= t->size);
	*at += t->size;
	return t;
}

static const struct trace_record *only_record(void)
{
	const struct trace_record *t;
	size_t at = sizeof(packet.head);

	assert_int_equal(relay_send(relay, TRACE_RECORDS), 0);
	assert_true(receive());
	t = next(&at);
	assert_non_null(t);
	assert_null(next(&at));
	return t;
}

static bool has_path(const struct trace_record *t, const char *path)
{
	return t->path_len == strlen(path) && memcmp(t + 1, path, t->path_len) == 0;
}

/* As the ring has it: exactly so many bytes on the heap, so that ASan sees a read behind them. */
static int tell(struct trace_record head, const char *path, const char *base)
{
	size_t size = sizeof(head) + strlen(path) + strlen(base);
	char *record = malloc(size);
	int r;

	assert_non_null(record);
	head.size = (uint32_t)size;
	head.path_len = (uint16_t)strlen(path);
	head.base_len = (uint16_t)strlen(base);
	memcpy(record, &head, sizeof(head));
	memcpy(record + sizeof(head), path, strlen(path));
	memcpy(record + sizeof(head) + strlen(path), base, strlen(base));
	r = relay_record(relay, record, size);
	free(record);
	return r;
}

static int tell_open(const char *path)
{
	return tell((struct trace_record){ .kind = TRACE_OPEN, .access = TRACE_WRITE, .pid = 5 },
		    path, "");
}

static int tell_exit(uint32_t pid, unsigned flags)
{
	return tell((struct trace_record){ .kind = TRACE_EXIT, .pid = pid, .flags = (__u8)flags },
		    "name", "");
}

static int tell_exec(uint32_t pid, const char *path)
{
	return tell((struct trace_record){ .kind = TRACE_EXEC, .pid = pid }, path, "/cwd");
}

static void test_strings_and_padding(void **state)
{
	const struct trace_record *t;

	for (size_t len = 1; len <= 9; len++) {
		assert_int_equal(tell_exec(5, "/23456789" + 9 - len), 0);
		t = only_record();
		assert_true(has_path(t, "/23456789" + 9 - len));
		assert_int_equal(t->base_len, 4);
		assert_memory_equal((const char *)(t + 1) + len, "/cwd", 4);
		/* Nothing of an earlier packet is left in what fills it up. */
		for (size_t i = sizeof(*t) + len + 4; i < t->size; i++)
			assert_int_equal(((const char *)t)[i], 0);
	}
}

static void test_time_is_the_calendar_s(void **state)
{
	struct timespec now, mono;
	int64_t is, expected;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &now);
	tell((struct trace_record){ .kind = TRACE_OPEN,
				    .pid = 5,
				    .time = (uint64_t)mono.tv_sec * 1000000000 },
	     "/x", "");
	is = (int64_t)(only_record()->time / 1000000000);
	expected = now.tv_sec;
	assert_in_range(is, expected - 60, expected + 60);
}

static void test_workspace_is_left_out(void **state)
{
	assert_int_equal(tell_open("/work"), 0);
	assert_int_equal(tell_open("/work/a/b"), 0);
	assert_int_equal(tell_open("/worker"), 0);
	assert_true(has_path(only_record(), "/worker"));
	/* Other kinds are told of wherever they are, and every open if that is asked for. */
	assert_int_equal(
		tell((struct trace_record){ .kind = TRACE_REFUSED, .pid = 5 }, "/work/a", ""), 0);
	assert_true(has_path(only_record(), "/work/a"));
	config.flags |= TRACE_OPENS;
	relay_init(relay, ends[1], &config);
	assert_int_equal(tell_open("/work/a"), 0);
	assert_true(has_path(only_record(), "/work/a"));
}

static void test_no_workspace(void **state)
{
	config.workspace[0] = '\0';
	relay_init(relay, ends[1], &config);
	assert_int_equal(tell_open("/work/a"), 0);
	assert_true(has_path(only_record(), "/work/a"));
}

/* An exit has the path of the last execution; without one, what the kernel calls it. */
static void test_exit_has_its_program(void **state)
{
	char long_path[RELAY_PATH_MAX + 2];

	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	tell_exec(5, "/bin/first");
	tell_exec(5, "/bin/second");
	assert_int_equal(relay_send(relay, TRACE_RECORDS), 0);
	assert_true(receive());
	tell_exit(5, 0);
	assert_true(has_path(only_record(), "/bin/second"));
	tell_exit(5, 0); /* a number that is used again */
	assert_true(has_path(only_record(), "name"));
	/* Two whose places are the same: the later one has it. */
	tell_exec(7, "/bin/a");
	tell_exec(7 + RELAY_PROCESSES, "/bin/b");
	assert_int_equal(relay_send(relay, TRACE_RECORDS), 0);
	assert_true(receive());
	tell_exit(7, 0);
	assert_true(has_path(only_record(), "name"));
	tell_exit(7 + RELAY_PROCESSES, 0);
	assert_true(has_path(only_record(), "/bin/b"));
	tell_exec(9, long_path);
	assert_true(has_path(only_record(), long_path));
	tell_exit(9, 0);
	assert_true(has_path(only_record(), "name"));
	tell_exec(9, long_path + 1);
	assert_true(has_path(only_record(), long_path + 1));
	tell_exit(9, 0);
	assert_true(has_path(only_record(), long_path + 1));
}

static void test_exit_is_told_once(void **state)
{
	tell_exit(5, TRF_THREADS);
	tell_exit(5, TRF_THREADS);
	only_record();
	/* Without threads it is told once by itself. */
	tell_exit(6, 0);
	only_record();
	tell_exit(6, 0);
	only_record();
}

static void test_what_was_lost(void **state)
{
	relay->lost = 7;
	assert_int_equal(relay_send(relay, TRACE_END), 0);
	assert_true(receive());
	assert_int_equal(packet.head.type, TRACE_END);
	assert_int_equal(packet.head.lost, 7);
	assert_int_equal(packet_len, sizeof(packet.head));
	assert_int_equal(relay_send(relay, TRACE_END), 0);
	assert_true(receive());
	assert_int_equal(packet.head.lost, 0);
}

/* Records that say more than they have are no records. */
static void test_records_that_lie(void **state)
{
	struct trace_record *t = malloc(sizeof(*t) + 3);

	assert_non_null(t);
	*t = (struct trace_record){ .kind = TRACE_OPEN, .pid = 5, .path_len = 4 };
	memcpy(t + 1, "/ab", 3);
	assert_int_equal(relay_record(relay, t, sizeof(*t) + 3), 0);
	t->path_len = 1;
	t->base_len = 1;
	t->args_len = 2;
	assert_int_equal(relay_record(relay, t, sizeof(*t) + 3), 0);
	assert_int_equal(relay_record(relay, t, sizeof(*t) - 1), 0);
	assert_int_equal(relay_record(relay, t, 0), 0);
	assert_int_equal(relay->len, sizeof(packet.head));
	free(t);
}

/* Any number of records, of any length: packets that hold, with each record once and in order. */
static void test_packets_hold(void **state)
{
	static char path[TRACE_PATH_MAX + 1], base[TRACE_PATH_MAX + 1];
	uint32_t sent = 0, got = 0;
	const struct trace_record *t;

	srand(1);
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 20; i++) {
			size_t n = 1 + (size_t)rand() % TRACE_PATH_MAX, m = (size_t)rand() % n;
			struct trace_record head = { .kind = TRACE_REFUSED, .pid = ++sent };

			memset(path, 'p', n);
			path[n] = '\0';
			memset(base, 'b', m);
			base[m] = '\0';
			assert_int_equal(tell(head, path, base), 0);
			while (receive()) {
				for (size_t at = sizeof(packet.head); (t = next(&at));)
					assert_int_equal(t->pid, ++got);
			}
		}
	}
	assert_int_equal(relay_send(relay, TRACE_RECORDS), 0);
	while (receive()) {
		for (size_t at = sizeof(packet.head); (t = next(&at));)
			assert_int_equal(t->pid, ++got);
	}
	assert_int_equal(got, sent);
}

static void test_nobody_listens(void **state)
{
	shutdown(ends[0], SHUT_RD);
	assert_int_equal(relay_send(relay, TRACE_RECORDS), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_strings_and_padding, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time_is_the_calendar_s, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_workspace_is_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_workspace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exit_has_its_program, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exit_is_told_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_records_that_lie, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_packets_hold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_listens, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
