/* SPDX-License-Identifier: Apache-2.0 */
/* Counters that many add to at the same time, in a file that anybody may have spoilt. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/totals.h"

enum { WRITERS = 4, ROUNDS = 20000 };

struct room {
	char path[40];
	int fd;
};

static int set_up(void **state)
{
	static struct room r;

	strcpy(r.path, "/tmp/purple-totals-XXXXXX");
	if (!mkdtemp(r.path))
		return -1;
	r.fd = open(r.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &r;
	return r.fd < 0;
}

static void file_name(char ret[40])
{
	snprintf(ret, 40, ".totals-%d-%zx", EVENT_TYPES, sizeof(struct totals));
}

static int tear_down(void **state)
{
	struct room *r = *state;
	char name[40];

	file_name(name);
	unlinkat(r->fd, name, 0);
	close(r->fd);
	return rmdir(r->path);
}

static void test_none(void **state)
{
	struct room *r = *state;
	struct totals t;

	memset(&t, 1, sizeof(t));
	assert_false(totals_read(r->fd, &t));
	assert_int_equal(t.started, 0);
	assert_false(totals_read(-1, &t));
	assert_null(totals_map(-1));
}

static void test_nothing_is_lost(void **state)
{
	static const uint64_t us[START_STAGES] = { 100, 20, 3000 };
	struct room *r = *state;
	struct totals t;

	for (int i = 0; i < WRITERS; i++) {
		if (fork() == 0) {
			struct totals *mine = totals_map(r->fd);
			uint64_t told = 0;

			for (uint64_t n = 1; mine && n <= ROUNDS; n++) {
				totals_started(mine, us);
				totals_ended(mine, n % 2 ? "exited" : "nobody knows this one");
				totals_add(&mine->events[EV_NET_DENIED], 2 * n, &told);
			}
			_exit(mine ? 0 : 1);
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_true(totals_read(r->fd, &t));
	assert_int_equal(t.started, WRITERS * ROUNDS);
	assert_int_equal(t.ended[0], WRITERS * ROUNDS / 2);
	assert_int_equal(t.ended[END_REASONS - 1], WRITERS * ROUNDS / 2);
	assert_int_equal(t.events[EV_NET_DENIED], 2 * WRITERS * ROUNDS);
	assert_int_equal(t.whole.sum_us, (uint64_t)WRITERS * ROUNDS * 3120);
	assert_int_equal(t.whole.buckets[3], WRITERS * ROUNDS);
}

/* An observation is in the bucket of the least bound that is not below it. */
static void test_buckets(void **state)
{
	struct totals *t = totals_map(((struct room *)*state)->fd);
	uint64_t us[START_STAGES] = { 0 };

	assert_non_null(t);
	for (int i = 0; i < START_BUCKETS; i++) {
		us[START_JAIL] = i < START_BUCKETS - 1 ? start_bounds_us[i] : UINT32_MAX;
		totals_started(t, us);
		assert_int_equal(t->stages[START_JAIL].buckets[i], 1);
	}
	assert_int_equal(t->stages[START_PLAN].buckets[0], START_BUCKETS);
}

static void spoil(int dir, const char *bytes, size_t len)
{
	char name[40];
	int fd;

	file_name(name);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void test_spoilt(void **state)
{
	struct room *r = *state;
	struct totals *t, copy;
	char name[40];

	/* Of another layout: nothing is read from it, nor added to it. */
	spoil(r->fd, "not totals at all", 17);
	assert_false(totals_read(r->fd, &copy));
	assert_null(totals_map(r->fd));
	/* Cut off: it is made whole. */
	spoil(r->fd, "\0\0\0\0\0\0\0\0\0", 9);
	assert_false(totals_read(r->fd, &copy));
	t = totals_map(r->fd);
	assert_non_null(t);
	totals_ended(t, NULL);
	assert_true(totals_read(r->fd, &copy));
	/* A link is not followed. */
	file_name(name);
	assert_int_equal(unlinkat(r->fd, name, 0), 0);
	assert_int_equal(symlinkat("/dev/zero", r->fd, name), 0);
	assert_null(totals_map(r->fd));
	assert_false(totals_read(r->fd, &copy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_buckets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_spoilt, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
