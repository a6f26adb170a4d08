/* SPDX-License-Identifier: Apache-2.0 */
/* How much goes when, who is next. The clock is the test's own: loop.now. */
#include "net_test.h"

#include "net/bucket.h"

static struct loop l;
static struct bucket b;

struct taker {
	struct bucket_wait wait;
	size_t want, got; /* @want: of each turn */
	bool again;
	struct taker *ends; /* takes this one off */
};

static void on_turn(struct bucket_wait *w)
{
	struct taker *t = LOOP_OWNER(w, struct taker, wait);
	size_t left = t->want, n;

	while (left && (n = bucket_take(&b, left))) {
		left -= n;
		t->got += n;
	}
	if (t->ends)
		bucket_forget(&b, &t->ends->wait);
	if (t->again)
		bucket_wait(&b, w);
}

static int setup(void **state)
{
	return loop_init(&l, BUCKET_TIMERS);
}

static int teardown(void **state)
{
	loop_free(&l);
	return 0;
}

/* @ms later, a millisecond at a time, with all timers that are due. */
static void pass(unsigned ms)
{
	while (ms--) {
		l.now++;
		if (b.timer.slot && b.timer.at <= l.now) {
			loop_clear(&l, &b.timer);
			b.timer.fn(&b.timer);
		}
	}
}

static void empty(void)
{
	while (bucket_take(&b, 1 << 20))
		;
}

static void test_no_limit(void **state)
{
	bucket_init(&b, &l, 0);
	assert_int_equal(bucket_take(&b, 12345), 12345);
	assert_int_equal(bucket_take(NULL, 12345), 12345);
	assert_true(bucket_take_whole(&b, 1 << 20));
	assert_true(bucket_take_whole(NULL, 1 << 20));
}

static void test_rate_and_burst(void **state)
{
	size_t got = 0, n;

	bucket_init(&b, &l, 1000000);
	assert_int_equal(bucket_take(&b, 1 << 20), 100000);
	assert_int_equal(bucket_take(&b, 1), 0);
	pass(1);
	assert_int_equal(bucket_take(&b, 1 << 20), 1000);
	for (unsigned ms = 0; ms < 3000; ms++) {
		pass(1);
		while ((n = bucket_take(&b, 700)))
			got += n;
	}
	assert_int_equal(got, 3000000);
	pass(60000);
	assert_int_equal(bucket_take(&b, 1 << 20), 100000);
	bucket_give(&b, 40000);
	assert_int_equal(bucket_take(&b, 1 << 20), 40000);
}

/* Fractions of a byte are not lost, and the least burst is one packet's. */
static void test_slow(void **state)
{
	size_t got = 0;

	bucket_init(&b, &l, 4096);
	assert_int_equal(bucket_take(&b, 1 << 20), BUCKET_LEAST);
	for (unsigned ms = 0; ms < 10000; ms++) {
		pass(1);
		got += bucket_take(&b, 1 << 20);
	}
	assert_int_equal(got, 40960);
}

static void test_turns_are_even(void **state)
{
	struct taker t[8] = {};
	size_t sum = 0;

	bucket_init(&b, &l, 1000000);
	empty();
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		t[i] = (struct taker){ .wait.fn = on_turn, .want = SIZE_MAX, .again = true };
		bucket_wait(&b, &t[i].wait);
		bucket_wait(&b, &t[i].wait);
	}
	t[3].want = 10; /* wants little, and the others get the rest */
	assert_int_equal(b.waiting, ARRAY_SIZE(t));
	for (unsigned i = 0; i < 200; i++) {
		pass(10);
		assert_int_equal(bucket_take(&b, 1), 0); /* nobody goes before them */
	}
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		sum += t[i].got;
		if (i != 3)
			assert_in_range(t[i].got, 230000, 310000);
	}
	assert_in_range(sum, 1900000, 2000000);
	assert_in_range(t[3].got, 10, 10 * 500);
}

/* Also where a round has no part for each of them. */
static void test_small_parts_are_even(void **state)
{
	for (uint64_t rate = 50000; rate < 4000000; rate *= 3) {
		struct taker t[4] = {};

		bucket_init(&b, &l, rate);
		empty();
		for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
			t[i] = (struct taker){ .wait.fn = on_turn,
					       .want = SIZE_MAX,
					       .again = true };
			bucket_wait(&b, &t[i].wait);
		}
		pass(10000);
		for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
			assert_in_range(t[i].got, rate * 10 / 4 * 97 / 100,
					rate * 10 / 4 * 103 / 100);
			bucket_forget(&b, &t[i].wait);
		}
		loop_clear(&l, &b.timer);
	}
}

static void test_taken_off_by_another(void **state)
{
	struct taker t[3] = {};

	bucket_init(&b, &l, 1000000);
	empty();
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		t[i] = (struct taker){ .wait.fn = on_turn, .want = 10 };
		bucket_wait(&b, &t[i].wait);
	}
	t[0].ends = &t[1];
	pass(20);
	assert_int_equal(t[0].got, 10);
	assert_int_equal(t[1].got, 0);
	assert_int_equal(t[2].got, 10);
	assert_int_equal(b.waiting, 0);
	assert_false(bucket_waits(&t[1].wait));
	assert_int_equal(b.timer.slot, 0); /* nobody waits, nothing wakes us */
}

/* It owes, and others wait until it does not. */
static void test_datagrams(void **state)
{
	unsigned count = 0;

	bucket_init(&b, &l, 100000);
	assert_true(bucket_take_whole(&b, 65000));
	assert_false(bucket_take_whole(&b, 1));
	pass(540);
	assert_false(bucket_take_whole(&b, 1));
	pass(20);
	assert_true(bucket_take_whole(&b, 1));
	for (unsigned ms = 0; ms < 10000; ms++) {
		pass(1);
		count += bucket_take_whole(&b, 10000);
	}
	assert_in_range(count, 99, 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate_and_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_turns_are_even, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_parts_are_even, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_off_by_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_datagrams, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
