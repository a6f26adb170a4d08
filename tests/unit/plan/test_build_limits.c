/* SPDX-License-Identifier: Apache-2.0 */
/* Plans' limits: of single processes, and of all together on hosts with control groups and without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "built.h"

/* A host with two processors, 8 GiB, and control groups that can hold everything. */
static struct host a_host_with_groups(void)
{
	struct host h = a_user();

	h.cgroup = (struct host_cgroup){ .controllers = (1 << PLAN_CONTROLLERS) - 1,
					 .identity = 77 };
	h.processors = h.processors_max = 2;
	h.memory = 8ULL << 30;
	return h;
}

static void test_limits_of_a_group(void **state)
{
	const struct host h = a_host_with_groups();
	const struct plan_fact *f;
	const struct plan_limits *l;
	const struct plan_rlimit *r;
	struct built t;

	build(&t,
	      "resources: {cpu_shares: 1.5, cpu_weight: 50, cpuset: [0, 1-1], memory_limit_bytes: 2G,"
	      " swap_limit_bytes: 1M, pids_limit: 9, block_io_limit: 50MBps,"
	      " session_timeout_seconds: 60, cpu_time_seconds: 5, kill_grace_seconds: 0}\n",
	      &h);
	assert_non_null(t.plan);
	l = &t.plan->limits;
	assert_int_equal(l->cpu_millis, 1500);
	assert_int_equal(l->cpu_weight, 50);
	assert_string_equal(plan_string(t.plan, l->cpuset), "0,1-1");
	assert_int_equal(l->memory, 2ULL << 30);
	assert_int_equal(l->swap, 1 << 20);
	assert_int_equal(l->pids, 9);
	/* More, so that the group is the one that refuses, and counts it. */
	r = plan_items(t.plan, rlimits, struct plan_rlimit);
	for (uint32_t i = 0; i < t.plan->rlimits.count; i++)
		if (r[i].resource == RLIMIT_NPROC)
			assert_int_equal(r[i].hard, 9 + 16);
	assert_int_equal(l->io_rate, 50 << 20);
	assert_int_equal(l->session_s, 60);
	assert_int_equal(l->cpu_time_s, 5);
	assert_int_equal(l->grace_s, 0);
	assert_int_equal(l->controllers, 1 << PC_CPU | 1 << PC_CPUACCT | 1 << PC_CPUSET |
						 1 << PC_MEMORY | 1 << PC_PIDS | 1 << PC_IO);
	f = plan_items(t.plan, facts, struct plan_fact);
	assert_int_equal(f[t.plan->facts.count - 1].kind, PF_CGROUP);
	assert_int_equal(f[t.plan->facts.count - 1].value, 77);
	done(&t);
	/* What rlimits hold alone makes no group, and asks for none. */
	build(&t, "resources: {pids_limit: 9, session_timeout_seconds: 1}\n", &h);
	assert_non_null(t.plan);
	assert_int_equal(t.plan->limits.controllers, 0);
	assert_int_equal(t.plan->limits.grace_s, 5);
	f = plan_items(t.plan, facts, struct plan_fact);
	for (uint32_t i = 0; i < t.plan->facts.count; i++)
		assert_int_not_equal(f[i].kind, PF_CGROUP);
	done(&t);
}

static void test_limits_without_a_group(void **state)
{
	static const char *const keys[] = { "cpu_shares: 1", "cpu_weight: 50", "cpuset: [0]",
					    "memory_limit_bytes: 64M", "block_io_limit: 50MBps" };
	struct host h = a_user();

	h.cgroup.why = "nothing is delegated";
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		char policy[80], key[40];
		const struct plan_rlimit *l;
		bool memory = strstr(keys[i], "memory"), as = false;
		struct built t;

		snprintf(policy, sizeof(policy), "resources: {%s}\n", keys[i]);
		snprintf(key, sizeof(key), "resources.%.*s", (int)strcspn(keys[i], ":"), keys[i]);
		h.best_effort = false;
		expect_refused(policy, &h, key, "delegated group");
		expect_refused(policy, &h, "nothing is delegated", NULL);
		h.best_effort = true;
		build(&t, policy, &h);
		assert_non_null(t.plan);
		assert_int_equal(t.plan->downgrades.count, 1);
		assert_int_equal(t.plan->limits.controllers, 0);
		l = plan_items(t.plan, rlimits, struct plan_rlimit);
		for (uint32_t j = 0; j < t.plan->rlimits.count; j++)
			as |= l[j].resource == RLIMIT_AS && l[j].hard == 64 << 20;
		assert_int_equal(as, memory);
		done(&t);
	}
}

static void test_limits_beyond_the_machine(void **state)
{
	struct host h = a_host_with_groups();

	expect_refused("resources: {cpu_shares: 2.5}\n", &h, "2.5 processors are more than the 2",
		       NULL);
	expect_refused("resources: {memory_limit_bytes: 9G}\n", &h,
		       "9216 MiB are more than the 8192", NULL);
	expect_refused("resources: {cpuset: [1-2]}\n", &h, "the processors 0 to 1", NULL);
	expect_refused("resources: {swap_limit_bytes: 1M}\n", &h, "memory_limit_bytes", NULL);
	h.cgroup.no_swap_limit = true;
	expect_refused("resources: {memory_limit_bytes: 1G}\n", &h, "does not count swap", NULL);
}

static void test_limits(void **state)
{
	const struct host h = a_user();
	const struct plan_rlimit *l;
	struct built t;

	build(&t,
	      "resources: {pids_limit: 9, open_files: 64, file_size_bytes: 1G, cpu_time_seconds: 5,"
	      " stack_bytes: 8M}\n",
	      &h);
	assert_non_null(t.plan);
	l = plan_items(t.plan, rlimits, struct plan_rlimit);
	for (uint32_t i = 0; i < t.plan->rlimits.count; i++) {
		uint64_t want = l[i].resource == RLIMIT_NPROC	 ? 9
				: l[i].resource == RLIMIT_NOFILE ? 64
				: l[i].resource == RLIMIT_FSIZE	 ? 1 << 30
				: l[i].resource == RLIMIT_CPU	 ? 7 /* beside the supervisor's 5 */
				: l[i].resource == RLIMIT_STACK	 ? 8 << 20
				: l[i].resource == RLIMIT_CORE	 ? 0
				/* Of the whole host: no key, but always bounded. */
				: l[i].resource == RLIMIT_SIGPENDING ? 4096
				: l[i].resource == RLIMIT_MSGQUEUE   ? 819200
				: l[i].resource == RLIMIT_MEMLOCK    ? 8 << 20
								     : 99;

		assert_int_equal(l[i].hard, want);
		assert_int_equal(l[i].soft, want);
	}
	assert_int_equal(t.plan->rlimits.count, 9);
	done(&t);
}

/* What the policy was read from, and what was looked for before it, can be checked later. */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_limits_of_a_group),
		cmocka_unit_test(test_limits_without_a_group),
		cmocka_unit_test(test_limits_beyond_the_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
