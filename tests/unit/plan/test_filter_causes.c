/* SPDX-License-Identifier: Apache-2.0 */
/* Why a call is refused: of every refused one a cause, of no other; and each cause by name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "filter_under.h"
#include "plan/syscall.h"

static struct under build_causes_of(const struct policy *p, uint32_t arch)
{
	struct under u = { .insns = BUF_INIT(1 << 20), .arch = arch };
	struct err e = { 0 };
	int r = filter_build(p, &(struct filter_options){ .arch = arch, .causes = true }, &u.insns,
			     &e);

	if (r < 0)
		fail_msg("%s", e.message);
	return u;
}

static const uint64_t samples[] = { 0,	   1,	  2,	  3,	   16,	       17,	   0x40,
				    0x241, 04755, 0x5412, 0x20000, 0x7e020000, 1ULL << 32, ~0ULL };

static void compare(const struct policy *p, uint32_t arch)
{
	struct under plain = build(p, arch), why = build_causes_of(p, arch);
	const size_t n = ARRAY_SIZE(samples);

	for (uint32_t nr = 0; nr < SYSCALL_LIMIT; nr++)
		for (size_t i = 0; i < n * n; i++) {
			const uint64_t a = samples[i % n], b = samples[i / n];
			const uint64_t args[6] = { a, b, b, a, a, b };
			uint32_t did = run_nr(&plain, nr, args), said = run_nr(&why, nr, args);

			if ((did == ALLOW) != (said == ALLOW) ||
			    (did != ALLOW && said <= ERR(FC_ALLOWED)))
				fail_msg("call %u: 0x%x, because 0x%x", nr, did, said);
		}
	buf_free(&plain.insns);
	buf_free(&why.insns);
}

static void test_each_has_one(void **state)
{
	(void)state;
	for (int baseline = 0; baseline <= BASELINE_NONE; baseline++) {
		struct policy p = policy_of(baseline);

		compare(&p, X86);
		p.nesting = true;
		p.network.loopback = false;
		compare(&p, ARM);
	}
}

static void guard_of(const char *call, uint32_t cause)
{
	assert_in_range(cause, ERR(FC_GUARD), ERR(FC_GUARD + syscall_guards_count - 1));
	assert_string_equal(syscall_guards[cause - ERR(FC_GUARD)].syscall, call);
}

static void test_names(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct policy_str deny[] = { { .s = "getppid" }, { .s = "bpf" } };
	struct policy_cond cond = { .arg = 1, .op = OP_EQ, .value = 7 };
	struct policy_sysrule rules[] = {
		{ .syscall = "keyctl", .allow = true },
		{ .syscall = "flock", .conds = &cond, .conds_count = 1 },
	};
	struct under u;

	(void)state;
	p.syscalls.deny.items = deny;
	p.syscalls.deny.count = 2;
	p.syscalls.advanced_rules.items = rules;
	p.syscalls.advanced_rules.count = 2;
	u = build_causes_of(&p, X86);
	EXPECT(ERR(FC_DENY), &u, "getppid", 0, 0, 0);
	EXPECT(ERR(FC_DENY), &u, "bpf", 0, 0, 0);
	EXPECT(ERR(FC_RULE + 1), &u, "flock", 0, 7, 0);
	EXPECT(ALLOW, &u, "flock", 0, 6, 0);
	EXPECT(ALLOW, &u, "keyctl", 0, 0, 0);
	EXPECT(ERR(FC_BASELINE), &u, "mount", 0, 0, 0);
	guard_of("unshare", run(&u, "unshare", 0x10000000, 0, 0));
	guard_of("socket", run(&u, "socket", 40, 1, 0));
	/* Not allowed, and allowed it would be guarded. */
	guard_of("clone3", run(&u, "clone3", 0, 0, 0));
	buf_free(&u.insns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_one),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
