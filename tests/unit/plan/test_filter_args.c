/* SPDX-License-Identifier: Apache-2.0 */
/* What the filter refuses by arguments: modes, limits, aio; and the check of a policy's words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter_under.h"

/* Every call that takes a mode, with each special bit, in each baseline. */
static void check_modes(const struct under *u, bool small)
{
	static const struct {
		const char *name;
		unsigned arg;
		bool both; /* makes files only, so that the set-group-ID bit is refused as well */
	} calls[] = {
		{ "chmod", 1, false },	   { "fchmod", 1, false }, { "fchmodat", 2, false },
		{ "fchmodat2", 2, false }, { "creat", 1, true },   { "mknod", 1, true },
		{ "mknodat", 2, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		for (uint64_t mode = 0; mode <= 07777; mode += 0111) {
			bool refused = (mode & 04000) ||
				       ((mode & 02000) && (small || calls[i].both));
			uint64_t args[6] = { 0 };
			int nr = syscall_number(calls[i].name, u->arch);
			uint32_t got;

			if (nr < 0)
				continue;
			args[calls[i].arg] = mode | 0xabcULL << 32;
			got = run_nr(u, (uint32_t)nr, args);
			if (got != (refused ? ERR(EPERM) : ALLOW))
				fail_msg("%s: mode %lo: 0x%x", calls[i].name, mode, got);
		}
	}
}

static void check_open(const struct under *u)
{
	static const uint64_t flags[] = { 0, 01, 0100, 020000000, 020200002, 02000101, 01000000 };
	static const uint64_t high[] = { 0, 1ULL << 32, ~0ULL << 32 };

	for (size_t i = 0; i < ARRAY_SIZE(flags) * ARRAY_SIZE(high); i++) {
		uint64_t f = flags[i / ARRAY_SIZE(high)], h = high[i % ARRAY_SIZE(high)];

		for (uint64_t mode = 0; mode <= 07777; mode += 0111) {
			bool refused = (mode & 06000) && (f & (0100 | 020000000));
			uint64_t args[6] = { 0, 0, f | h, mode | h, 0, 0 };
			uint32_t want = refused ? ERR(EPERM) : ALLOW;

			assert_int_equal(
				run_nr(u, (uint32_t)syscall_number("openat", u->arch), args), want);
			if (u->arch == X86)
				EXPECT(want, u, "open", 0, f | h, mode | h);
		}
	}
	EXPECT(ERR(ENOSYS), u, "openat2", 0, 0, 0);
}

static void test_modes(void **state)
{
	static const int baselines[] = { BASELINE_NONE, BASELINE_STRICT, BASELINE_DEFAULT,
					 BASELINE_PERMISSIVE };
	struct policy_str allow[] = { { "chmod" },     { "fchmod" }, { "fchmodat" }, { "mkdirat" },
				      { "fchmodat2" }, { "creat" },  { "mknod" },    { "mknodat" } };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(baselines); i++) {
		struct policy p = policy_of(baselines[i / 2]);
		struct under u;

		p.syscalls.allow = (struct policy_strs){ allow, ARRAY_SIZE(allow) };
		u = build(&p, i % 2 ? ARM : X86);
		check_modes(&u, i / 2 < 2);
		check_open(&u);
		EXPECT(ALLOW, &u, "mkdirat", 0, 06755, 0); /* the kernel drops the bits */
		buf_free(&u.insns);
	}
}

/* A name does not lift it, an advanced rule does. */
static void test_modes_allowed(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct policy_sysrule rules[] = { { .syscall = "fchmodat", .allow = true },
					  { .syscall = "openat2", .allow = true } };
	struct under u;

	p.syscalls.allow =
		(struct policy_strs){ (struct policy_str[]){ { "fchmodat" }, { "openat2" } }, 2 };
	u = build(&p, X86);
	EXPECT(ERR(EPERM), &u, "fchmodat", 0, 0, 04755);
	EXPECT(ERR(ENOSYS), &u, "openat2", 0, 0, 0);
	buf_free(&u.insns);
	p.syscalls.advanced_rules = (struct policy_sysrules){ rules, 2 };
	u = build(&p, X86);
	EXPECT(ALLOW, &u, "fchmodat", 0, 0, 04755);
	EXPECT(ALLOW, &u, "openat2", 0, 0, 0);
	EXPECT(ERR(EPERM), &u, "fchmod", 0, 04755, 0);
	buf_free(&u.insns);
}

/* What all of the host shares: aio contexts; the limits of a process that is not one's own. */
static void test_shared(void **state)
{
	static const char *const aio[] = { "io_setup",	    "io_destroy", "io_getevents",
					   "io_pgetevents", "io_submit",  "io_cancel" };

	for (int baseline = BASELINE_DEFAULT; baseline <= BASELINE_NONE; baseline++) {
		struct policy p = policy_of(baseline);
		struct under u = build(&p, X86);

		for (size_t i = 0; i < ARRAY_SIZE(aio); i++)
			EXPECT(baseline == BASELINE_PERMISSIVE ? ALLOW : ERR(ENOSYS), &u, aio[i], 0,
			       0, 0);
		EXPECT(ALLOW, &u, "prlimit64", 0, 7, 0x1000);
		EXPECT(ALLOW, &u, "prlimit64", 1ULL << 32, 7, 0x1000);
		EXPECT(ALLOW, &u, "prlimit64", 1, 7, 0);
		EXPECT(ERR(EPERM), &u, "prlimit64", 1, 7, 0x1000);
		EXPECT(ERR(EPERM), &u, "prlimit64", 1ULL << 32 | 1, 7, 1ULL << 32);
		EXPECT(ERR(EPERM), &u, "prlimit64", 0xffffffff, 7, 1);
		buf_free(&u.insns);
		p.nesting = true;
		u = build(&p, X86);
		EXPECT(ALLOW, &u, "prlimit64", 1, 7, 0x1000);
		buf_free(&u.insns);
	}
}

/* How many instructions the kernel runs for a call that its bitmap does not hold. */
static unsigned steps(const struct under *u, const char *name, const uint64_t args[6])
{
	struct seccomp_data d = { .nr = syscall_number(name, u->arch), .arch = u->arch };

	unsigned n;

	memcpy(d.args, args, sizeof(d.args));
	bpf_sim_steps((const struct sock_filter *)u->insns.data,
		      u->insns.len / sizeof(struct sock_filter), &d, &n);
	return n;
}

static void test_open_is_short(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct under u = build(&p, X86);
	unsigned openat = steps(&u, "openat", (uint64_t[6]){ 0, 0, 02000000, 0xfff, 0, 0 });
	unsigned create = steps(&u, "openat", (uint64_t[6]){ 0, 0, 02000101, 0644, 0, 0 });
	unsigned open = steps(&u, "open", (uint64_t[6]){ 0, 02000000, 0xfff, 0, 0, 0 });

	print_message("openat %u, with O_CREAT %u, open %u instructions\n", openat, create, open);
	assert_true(openat <= 7 && create <= 9 && open <= 18);
	buf_free(&u.insns);
}

/* filter_check(): every unknown name in one pass, then the rest. */
static void test_check(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct policy_sysrule rule = { .syscall = "ioctll", .pos = { "x.yaml", 9, 5 } };
	struct policy_str allow[] = { { "read", { "x.yaml", 3, 1 } },
				      { "ptrac", { "x.yaml", 4, 2 } } };
	struct policy_str deny[] = { { "nosuchcallatall", { "x.yaml", 5, 3 } } };
	struct diags d = DIAGS_INIT;

	p.syscalls.allow = (struct policy_strs){ allow, 2 };
	p.syscalls.deny = (struct policy_strs){ deny, 1 };
	p.syscalls.advanced_rules = (struct policy_sysrules){ &rule, 1 };
	assert_int_equal(filter_check(&p, &d), -EINVAL);
	assert_int_equal(d.errors, 3);
	assert_string_equal(
		d.text.data,
		"x.yaml:4:2: syscalls.allow[1]: no system call is called 'ptrac'; did you mean 'ptrace'?\n"
		"x.yaml:5:3: syscalls.deny[0]: no system call is called 'nosuchcallatall'\n"
		"x.yaml:9:5: syscalls.advanced_rules[0]: no system call is called 'ioctll'; did you mean 'ioctl'?\n");
	diags_free(&d);

	d = DIAGS_INIT;
	p.syscalls.allow.count = 0;
	p.syscalls.advanced_rules.count = 0;
	deny[0].s = "execve";
	assert_int_equal(filter_check(&p, &d), -EINVAL);
	assert_string_equal(d.text.data,
			    "x.yaml:5:3: syscalls.deny: 'execve' cannot be denied: no command "
			    "starts without it; leave it out, or deny some of its uses with an "
			    "advanced rule\n");
	diags_free(&d);

	d = DIAGS_INIT;
	deny[0].s = "ptrace";
	assert_int_equal(filter_check(&p, &d), 0);
	assert_int_equal(d.errors, 0);
	diags_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),  cmocka_unit_test(test_modes_allowed),
		cmocka_unit_test(test_shared), cmocka_unit_test(test_open_is_short),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
