/* SPDX-License-Identifier: Apache-2.0 */
/* The table keeps what its drawing in the header says, in every walk through it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/lifecycle.h"

static void test_end_is_the_end(void **state)
{
	for (int e = 0; e < LIFE_EVENTS; e++) {
		struct life_step s = lifecycle(SANDBOX_ENDED, e);

		assert_int_equal(s.next, SANDBOX_ENDED);
		assert_int_equal(s.actions & ~(unsigned)LIFE_DO_REFUSE, 0);
	}
}

static void test_gone_ends_every_state(void **state)
{
	for (int p = 0; p < SANDBOX_PHASES; p++)
		assert_int_equal(lifecycle(p, LIFE_GONE).next, SANDBOX_ENDED);
}

static void test_kill_kills_in_every_state(void **state)
{
	static const enum life_event ends[] = { LIFE_KILL, LIFE_GRACE_OVER, LIFE_EXITED,
						LIFE_FAILED };

	for (int p = 0; p < SANDBOX_ENDED; p++)
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
			struct life_step s = lifecycle(p, ends[i]);

			assert_int_equal(s.next, SANDBOX_STOPPING);
			assert_true(s.actions & LIFE_DO_KILL);
		}
}

/* What is frozen is never left so by a way out of "paused", and nothing else is thawed. */
static void test_frozen_only_while_paused(void **state)
{
	for (int p = 0; p < SANDBOX_PHASES; p++)
		for (int e = 0; e < LIFE_EVENTS; e++) {
			struct life_step s = lifecycle(p, e);
			bool leaves = p == SANDBOX_PAUSED && s.next != SANDBOX_PAUSED;

			if (s.next == SANDBOX_ENDED)
				continue; /* nobody is there */
			assert_int_equal(!!(s.actions & LIFE_DO_THAW), leaves);
			assert_int_equal(!!(s.actions & LIFE_DO_FREEZE),
					 p != SANDBOX_PAUSED && s.next == SANDBOX_PAUSED);
		}
}

static void test_stop_leads_out(void **state)
{
	assert_int_equal(lifecycle(SANDBOX_STARTING, LIFE_STOP).actions, LIFE_DO_KILL);
	assert_int_equal(lifecycle(SANDBOX_RUNNING, LIFE_STOP).actions, LIFE_DO_TELL);
	assert_int_equal(lifecycle(SANDBOX_PAUSED, LIFE_STOP).actions, LIFE_DO_TELL | LIFE_DO_THAW);
	for (int p = 0; p < SANDBOX_ENDED; p++)
		assert_int_equal(lifecycle(p, LIFE_STOP).next, SANDBOX_STOPPING);
}

/* Nothing returns from "stopping" but to the end. */
static void test_no_way_back(void **state)
{
	for (int e = 0; e < LIFE_EVENTS; e++) {
		enum sandbox_phase next = lifecycle(SANDBOX_STOPPING, e).next;

		assert_true(next == SANDBOX_STOPPING || next == SANDBOX_ENDED);
		assert_int_not_equal(lifecycle(SANDBOX_RUNNING, e).next, SANDBOX_STARTING);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_is_the_end),
		cmocka_unit_test(test_gone_ends_every_state),
		cmocka_unit_test(test_kill_kills_in_every_state),
		cmocka_unit_test(test_frozen_only_while_paused),
		cmocka_unit_test(test_stop_leads_out),
		cmocka_unit_test(test_no_way_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
