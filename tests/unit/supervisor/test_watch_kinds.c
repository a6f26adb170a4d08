/* SPDX-License-Identifier: Apache-2.0 */
/* Floods of the same become counts, and nothing that was seen is lost on the way. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "supervisor/watch_internal.h"

/* The rest of the supervisor, as far as it is asked: a clock, and ears. */
struct watch watch;
static uint64_t clock_ms;

static struct told_event {
	enum event_type type;
	uint64_t count; /* 1: the event has none */
	char path[KIND_PATH], access[16], syscall[32], address[64];
	bool many; /* more kinds than are told of */
} told[2 * WATCH_DENIED_MAX + 1024];
static size_t told_count;

uint64_t supervisor_now(void)
{
	return clock_ms;
}

static void copy_text(const struct event *ev, enum event_field f, char *ret, size_t size)
{
	const struct event_value *v = event_get(ev, f);

	ret[0] = '\0';
	if (v)
		snprintf(ret, size, "%.*s", (int)v->len, (const char *)v->data);
}

void supervisor_emit(struct supervisor *s, const struct event *ev)
{
	const struct event_value *count = event_get(ev, EF_COUNT);
	struct told_event *t = &told[told_count++];

	(void)s;
	assert_true(told_count <= ARRAY_SIZE(told));
	t->type = ev->type;
	t->count = count ? count->number : 1;
	t->many = event_get(ev, EF_RULE) != NULL;
	copy_text(ev, EF_PATH, t->path, sizeof(t->path));
	copy_text(ev, EF_ACCESS, t->access, sizeof(t->access));
	copy_text(ev, EF_SYSCALL, t->syscall, sizeof(t->syscall));
	copy_text(ev, EF_ADDRESS, t->address, sizeof(t->address));
}

static int set_up(void **state)
{
	memset(&watch, 0, sizeof(watch));
	told_count = 0;
	clock_ms = 100000;
	return 0;
}

static void see_file(const char *path, int error)
{
	const struct sighting t = { .type = error ? EV_FILE_DENIED : EV_FILE_OPEN,
				    .pid = 7,
				    .error = error,
				    .access = "read",
				    .layer = "mount",
				    .path = path };

	watch_tell(NULL, &t);
}

static void see_call(int nr, const char *program)
{
	const struct sighting t = {
		.type = EV_SYSCALL_DENIED, .pid = 7, .nr = nr, .error = EPERM, .path = program
	};

	watch_tell(NULL, &t);
}

static void see_connection(int port, const char *address)
{
	const struct sighting t = { .type = EV_NET_DENIED,
				    .nr = port,
				    .error = ENETUNREACH,
				    .access = "tcp",
				    .path = address };

	watch_tell(NULL, &t);
}

/* What the loop does when watch.due has come. */
static void pass(uint64_t ms)
{
	clock_ms += ms;
	if (watch.due && watch.due <= clock_ms) {
		watch.due = 0;
		watch_kinds_due(NULL, clock_ms);
	}
}

static uint64_t counted(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < told_count; i++)
		n += told[i].count;
	return n;
}

static void test_a_flood(void **state)
{
	for (int i = 0; i < 100000; i++)
		see_file("/etc/shadow", EACCES);
	assert_int_equal(told_count, WATCH_SINGLY);
	assert_int_equal(watch.due, clock_ms + WATCH_WINDOW_MS);
	pass(WATCH_WINDOW_MS - 1);
	assert_int_equal(told_count, WATCH_SINGLY);
	pass(1);
	assert_int_equal(told_count, WATCH_SINGLY + 1);
	assert_int_equal(told[WATCH_SINGLY].count, 100000 - WATCH_SINGLY);
	assert_string_equal(told[WATCH_SINGLY].path, "/etc/shadow");
	assert_string_equal(told[WATCH_SINGLY].access, "read");
}

/* Through a second window it is counted from the first on; after a quiet one it is new. */
static void test_it_goes_on(void **state)
{
	for (int i = 0; i < WATCH_SINGLY + 1; i++)
		see_file("/x", EACCES);
	pass(WATCH_WINDOW_MS);
	assert_int_equal(told_count, WATCH_SINGLY + 1);
	for (int i = 0; i < 5; i++)
		see_file("/x", EACCES);
	assert_int_equal(told_count, WATCH_SINGLY + 1);
	pass(WATCH_WINDOW_MS);
	assert_int_equal(told_count, WATCH_SINGLY + 2);
	assert_int_equal(told[told_count - 1].count, 5);
	pass(WATCH_WINDOW_MS);
	pass(WATCH_WINDOW_MS);
	see_file("/x", EACCES);
	assert_int_equal(told_count, WATCH_SINGLY + 3);
	assert_int_equal(told[told_count - 1].count, 1);
}

/* Each is a kind of its own: told singly, whatever the others did. */
static void test_what_is_the_same(void **state)
{
	for (int i = 0; i < WATCH_SINGLY + 3; i++)
		see_call(101, "/bin/a");
	told_count = 0;
	see_call(102, "/bin/a");
	see_call(101, "/bin/b");
	see_file("/bin/a", EACCES);
	see_connection(80, "192.0.2.1");
	see_connection(81, "192.0.2.1");
	see_connection(80, "192.0.2.2");
	assert_int_equal(told_count, 6);
	assert_int_equal(told[2].type, EV_FILE_DENIED);
	assert_string_equal(told[3].address, "192.0.2.1");
	see_call(101, "/bin/a");
	assert_int_equal(told_count, 6);
	told_count = 0;
	watch_kinds_due(NULL, 0);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].count, 4);
	assert_string_equal(told[0].path, "/bin/a");
}

/* The kind that began first makes room, and its count is told then. */
static void test_more_kinds_than_places(void **state)
{
	char path[32];

	for (int i = 0; i < WATCH_SINGLY + 2; i++)
		see_file("/first", EACCES);
	told_count = 0;
	for (int i = 0; i < WATCH_KINDS - 1; i++) {
		clock_ms++;
		snprintf(path, sizeof(path), "/%d", i);
		see_file(path, EACCES);
	}
	assert_int_equal(told_count, WATCH_KINDS - 1);
	assert_int_equal(watch.kinds_top, WATCH_KINDS);
	see_file("/one-more", EACCES);
	assert_int_equal(told_count, WATCH_KINDS + 1);
	assert_string_equal(told[told_count - 2].path, "/first");
	assert_int_equal(told[told_count - 2].count, 2);
	assert_string_equal(told[told_count - 1].path, "/one-more");
}

static void test_more_than_are_told_of(void **state)
{
	char path[32];

	for (int i = 0; i < WATCH_DENIED_MAX; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		see_file(path, EACCES);
	}
	assert_int_equal(told_count, WATCH_DENIED_MAX);
	told_count = 0;
	see_file("/a", EACCES);
	see_file("/b", EACCES);
	see_call(101, "/bin/a");
	see_connection(80, "192.0.2.1");
	assert_int_equal(told_count, 0);
	/* What is not refused is not a refusal: it is told. */
	see_file("/fine", 0);
	assert_int_equal(told_count, 1);
	told_count = 0;
	pass(WATCH_WINDOW_MS);
	assert_int_equal(told_count, 3);
	assert_int_equal(told[0].type, EV_SYSCALL_DENIED);
	assert_int_equal(told[1].type, EV_FILE_DENIED);
	assert_int_equal(told[1].count, 2);
	assert_int_equal(told[2].type, EV_NET_DENIED);
	assert_true(told[0].many && told[1].many && told[2].many);
	told_count = 0;
	see_file("/again", EACCES);
	assert_int_equal(told_count, 1);
}

/* A path that is longer than its room is cut in the count, which is borrowed no longer. */
static void test_a_long_path(void **state)
{
	char path[KIND_PATH + 100];

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	for (int i = 0; i < WATCH_SINGLY + 1; i++)
		see_file(path, EACCES);
	memset(path, 'y', sizeof(path) - 1);
	watch_kinds_due(NULL, 0);
	assert_int_equal(strlen(told[told_count - 1].path), KIND_PATH - 1);
	assert_int_equal(strspn(told[told_count - 1].path + 1, "x"), KIND_PATH - 2);
}

/* Whatever comes in whatever order: all that was seen is told, once. */
static void test_nothing_is_lost(void **state)
{
	uint64_t seen = 0, sum = 0;
	char path[32];

	srand(1);
	for (int i = 0; i < 200000; i++) {
		int kind = rand() % (i % 20000 < 10000 ? 40 : 400);

		snprintf(path, sizeof(path), "/%d", kind);
		if (kind % 3 == 0)
			see_call(kind, "/bin/a");
		else
			see_file(path, kind % 3 == 1 ? EACCES : 0);
		seen++;
		if (rand() % 50 == 0)
			pass((uint64_t)(rand() % 300));
		if (told_count > WATCH_DENIED_MAX) {
			sum += counted();
			told_count = 0;
		}
	}
	watch_kinds_due(NULL, 0);
	assert_int_equal(sum + counted(), seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_flood, set_up),
		cmocka_unit_test_setup(test_it_goes_on, set_up),
		cmocka_unit_test_setup(test_what_is_the_same, set_up),
		cmocka_unit_test_setup(test_more_kinds_than_places, set_up),
		cmocka_unit_test_setup(test_more_than_are_told_of, set_up),
		cmocka_unit_test_setup(test_a_long_path, set_up),
		cmocka_unit_test_setup(test_nothing_is_lost, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
