/* SPDX-License-Identifier: Apache-2.0 */
/* Order of timers, tasks after events, and what is taken off while its event waits. */
#include "net_test.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "net/loop.h"

static struct loop l;
static unsigned order[64], fired;

struct item {
	struct loop_timer timer;
	struct loop_task task;
	struct loop_watch watch;
	struct item *other;
	unsigned number;
};

static void on_timer(struct loop_timer *t)
{
	order[fired++] = LOOP_OWNER(t, struct item, timer)->number;
}

static void on_task(struct loop_task *t)
{
	struct item *i = LOOP_OWNER(t, struct item, task);

	order[fired++] = i->number;
	if (fired < 3)
		loop_later(&l, t);
	if (i->other)
		loop_not_later(&i->other->task);
}

static void on_watch(struct loop_watch *w, uint32_t events)
{
	struct item *i = LOOP_OWNER(w, struct item, watch);

	order[fired++] = i->number;
	if (i->other)
		loop_remove(&l, &i->other->watch);
	loop_remove(&l, w);
}

static int setup(void **state)
{
	fired = 0;
	return loop_init(&l, 32);
}

static int teardown(void **state)
{
	loop_free(&l);
	return 0;
}

static void test_timers(void **state)
{
	static const unsigned ms[] = { 9, 3, 14, 1, 12, 7, 5, 2, 16, 11, 4, 13, 6, 15, 8, 10 };
	struct item items[ARRAY_SIZE(ms)] = {};

	for (unsigned i = 0; i < ARRAY_SIZE(ms); i++) {
		items[i].number = ms[i];
		items[i].timer.fn = on_timer;
		loop_set(&l, &items[i].timer, 1000);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(ms); i++)
		loop_set(&l, &items[i].timer, ms[i]);
	assert_int_equal(l.timers, ARRAY_SIZE(ms));
	for (unsigned i = 0; i < ARRAY_SIZE(ms); i++)
		if (ms[i] % 5 == 0)
			loop_clear(&l, &items[i].timer);
	while (l.timers)
		assert_int_equal(loop_round(&l), 0);
	assert_int_equal(fired, 13);
	for (unsigned i = 1; i < fired; i++)
		assert_true(order[i - 1] < order[i]);
}

/* A task that comes back does so in the next round; one that was taken off does not run. */
static void test_tasks(void **state)
{
	struct item a = { .task.fn = on_task, .number = 1 }, b = { .task.fn = on_task };

	a.other = &b;
	loop_later(&l, &a.task);
	loop_later(&l, &a.task);
	loop_later(&l, &b.task);
	assert_int_equal(loop_round(&l), 0);
	assert_int_equal(fired, 1);
	assert_int_equal(loop_round(&l), 0);
	assert_int_equal(loop_round(&l), 0);
	assert_int_equal(fired, 3);
	assert_ptr_equal(l.tasks.next, &l.tasks);
}

static void test_removed_while_waiting(void **state)
{
	struct item a = { .number = 1 }, b = { .number = 2 };

	a.other = &b;
	b.other = &a;
	a.watch = (struct loop_watch){ .fn = on_watch, .fd = eventfd(1, EFD_CLOEXEC) };
	b.watch = (struct loop_watch){ .fn = on_watch, .fd = eventfd(1, EFD_CLOEXEC) };
	assert_int_equal(loop_add(&l, &a.watch, EPOLLIN), 0);
	assert_int_equal(loop_add(&l, &b.watch, EPOLLIN), 0);
	assert_int_equal(loop_round(&l), 0);
	assert_int_equal(fired, 1);
	close(a.watch.fd);
	close(b.watch.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_timers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tasks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_while_waiting, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
