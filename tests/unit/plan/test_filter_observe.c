/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of an observed sandbox: the same answers, some of them by way of the observer. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter_under.h"
#include "plan/filter_run.h"
#include "plan/syscall.h"

#define TELL SECCOMP_RET_USER_NOTIF
#define ALL_OBSERVED (FO_REFUSED | FO_EXEC | FO_WRITES)

static struct under build_observed(const struct policy *p, uint32_t arch, unsigned observe)
{
	struct under u = { .insns = BUF_INIT(1 << 20), .arch = arch };
	struct err e = { 0 };
	int r = filter_build(p, &(struct filter_options){ .arch = arch, .observe = observe },
			     &u.insns, &e);

	if (r < 0)
		fail_msg("%s", e.message);
	return u;
}

static uint32_t run_again(const struct under *u, uint32_t nr, const uint64_t args[6])
{
	struct seccomp_data d = { .nr = (int)nr, .arch = u->arch };

	memcpy(d.args, args, sizeof(d.args));
	return filter_run((const struct sock_filter *)u->insns.data,
			  u->insns.len / sizeof(struct sock_filter), &d);
}

static bool is_call(const struct under *u, uint32_t nr, const char *name)
{
	return syscall_number(name, u->arch) == (int)nr;
}

static bool to_write(uint64_t flags)
{
	return flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
}

/* What of the allowed calls the observer is told of. */
static bool is_told(const struct under *u, uint32_t nr, const uint64_t *args, unsigned observe)
{
	static const char *const changes[] = { "mkdir",	   "mkdirat",	"mknod", "mknodat",
					       "symlink",  "symlinkat", "link",	 "linkat",
					       "unlink",   "unlinkat",	"rmdir", "rename",
					       "renameat", "renameat2", "chmod", "fchmodat",
					       "fchmodat2" };
	static const char *const forks[] = { "fork", "vfork", "clone", "clone3" };
	static const char *const accesses[] = { "access", "faccessat", "faccessat2" };
	bool opens = observe & FO_OPENS, writes = observe & (FO_WRITES | FO_OPENS);

	if (is_call(u, nr, "execve") || is_call(u, nr, "execveat"))
		return observe & FO_EXEC;
	if (is_call(u, nr, "connect"))
		return observe & FO_CONNECTS;
	if (is_call(u, nr, "sendto"))
		return observe & FO_CONNECTS && args[4] != 0;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		if (is_call(u, nr, changes[i]))
			return observe & FO_CHANGES;
	for (size_t i = 0; i < ARRAY_SIZE(forks); i++)
		if (is_call(u, nr, forks[i]))
			return observe & FO_FORKS;
	for (size_t i = 0; i < ARRAY_SIZE(accesses); i++)
		if (is_call(u, nr, accesses[i]))
			return opens;
	if (is_call(u, nr, "openat"))
		return opens || (writes && to_write(args[2]));
	if (u->arch == X86 && is_call(u, nr, "open"))
		return opens || (writes && to_write(args[1]));
	return writes &&
	       (is_call(u, nr, "openat2") || is_call(u, nr, "creat") || is_call(u, nr, "truncate"));
}

static const uint64_t samples[] = {
	0,	1,     2,	3,	    0x40, 0x80,	      0x200,   0x241,	 04755,
	0x5412, 02000, 0100644, 0x7e020000, 8,	  1ULL << 32, 0x80000, 0x600040, ~0ULL,
};

static bool is_refused(uint32_t answer)
{
	return answer == ERR(EPERM) || answer == ERR(EAFNOSUPPORT) || answer == ERR(ENOSYS) ||
	       answer == KILL;
}

static bool is_quiet(const struct under *u, uint32_t nr, uint32_t answer, unsigned observe)
{
	return answer == ERR(ENOSYS) && !(observe & FO_TRIED) &&
	       (is_call(u, nr, "clone3") || is_call(u, nr, "openat2"));
}

static void check_call(const struct under *plain, const struct under *seen, uint32_t nr,
		       const uint64_t args[6], unsigned observe)
{
	uint32_t want = run_nr(plain, nr, args), got = run_nr(seen, nr, args);

	assert_int_equal(run_again(plain, nr, args), want);
	assert_int_equal(run_again(seen, nr, args), got);
	if (is_refused(want) && observe & FO_REFUSED && !is_quiet(plain, nr, want, observe))
		want = TELL;
	else if (want == ALLOW && is_told(plain, nr, args, observe))
		want = TELL;
	if (got != want)
		fail_msg("call %u (0x%llx 0x%llx 0x%llx): got 0x%x, want 0x%x", nr,
			 (unsigned long long)args[0], (unsigned long long)args[1],
			 (unsigned long long)args[2], got, want);
}

static void compare(const struct policy *p, uint32_t arch, unsigned observe)
{
	struct under plain = build(p, arch), seen = build_observed(p, arch, observe);
	const size_t n = ARRAY_SIZE(samples);

	for (uint32_t nr = 0; nr <= SYSCALL_LIMIT; nr++) {
		for (size_t i = 0; i < n; i++) {
			const uint64_t a = samples[i], b = samples[(i + nr) % n];

			check_call(&plain, &seen, nr, (uint64_t[6]){ a, a, a, a, a, a }, observe);
			check_call(&plain, &seen, nr, (uint64_t[6]){ a, b, a, b, a, b }, observe);
			check_call(&plain, &seen, nr, (uint64_t[6]){ a, a, b, b, a, a }, observe);
		}
	}
	buf_free(&plain.insns);
	buf_free(&seen.insns);
}

static void test_same_answers(void **state)
{
	static const int baselines[] = { BASELINE_NONE, BASELINE_STRICT, BASELINE_DEFAULT,
					 BASELINE_PERMISSIVE };
	static const unsigned ways[] = { 0,	     FO_REFUSED,
					 FO_EXEC,    FO_CONNECTS,
					 FO_WRITES,  ALL_OBSERVED,
					 FO_OPENS,   ALL_OBSERVED | FO_OPENS,
					 FO_TRIED,   FO_REFUSED | FO_TRIED,
					 FO_CHANGES, ALL_OBSERVED | FO_CHANGES,
					 FO_FORKS };

	for (size_t i = 0; i < ARRAY_SIZE(baselines); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(ways); k++) {
			struct policy p = policy_of(baselines[i]);

			compare(&p, X86, ways[k]);
			compare(&p, ARM, ways[k]);
		}
	}
}

/* With rules of the policy's own in the way, before and behind. */
static void test_rules(void **state)
{
	struct policy_cond odd = { .arg = 1, .op = OP_EQ, .value = 0x40 };
	struct policy_cond mode = { .arg = 2, .op = OP_EQ, .value = 0x241 };
	struct policy_sysrule rules[] = {
		{ .syscall = "execve", .conds = &odd, .conds_count = 1 },
		{ .syscall = "openat", .allow = true, .conds = &mode, .conds_count = 1 },
		{ .syscall = "open", .allow = true },
		{ .syscall = "openat2", .allow = true },
		{ .syscall = "ptrace" },
		{ .syscall = "sendmsg", .allow = true },
	};
	struct policy p = policy_of(BASELINE_DEFAULT);

	p.syscalls.advanced_rules = (struct policy_sysrules){ rules, ARRAY_SIZE(rules) };
	compare(&p, X86, ALL_OBSERVED);
	compare(&p, ARM, ALL_OBSERVED);
	compare(&p, X86, ALL_OBSERVED | FO_OPENS);
	p.syscalls.default_deny = false;
	compare(&p, X86, ALL_OBSERVED);
}

/* What would end the process the observer ends; without one the kernel does. */
static void test_kill(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct under u;

	p.syscalls.kill = true;
	compare(&p, X86, ALL_OBSERVED);
	u = build_observed(&p, X86, ALL_OBSERVED & ~FO_REFUSED);
	EXPECT(KILL, &u, "keyctl", 0, 0, 0);
	EXPECT(TELL, &u, "execve", 0, 0, 0);
	buf_free(&u.insns);
}

/* What hands the listener on must not wait for it. */
static void test_hand_over(void **state)
{
	static const char *const calls[] = { "sendmsg", "write" };
	struct policy_cond cond = { .arg = 0, .op = OP_EQ, .value = 9 };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct policy_sysrule rule = { .syscall = calls[i],
					       .conds = &cond,
					       .conds_count = 1 };
		struct policy p = policy_of(BASELINE_DEFAULT);
		struct under u = { .insns = BUF_INIT(1 << 20) };
		struct err e = { 0 };

		p.syscalls.advanced_rules = (struct policy_sysrules){ &rule, 1 };
		assert_int_equal(filter_build(&p, &(struct filter_options){ 0 }, &u.insns, &e), 0);
		assert_int_equal(filter_build(&p, &(struct filter_options){ .observe = FO_REFUSED },
					      &u.insns, &e),
				 -EPROTO);
		assert_non_null(strstr(e.message, calls[i]));
		assert_non_null(strstr(e.message, "observed"));
		buf_free(&u.insns);
	}
}

/* A program that is none: refused, and it ends. */
static void test_bad_programs(void **state)
{
	static const struct sock_filter cases[][2] = {
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, sizeof(struct seccomp_data)) },
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, UINT32_MAX) },
		{ BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX) },
		{ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 255, 255) },
		{ BPF_STMT(BPF_ST, 3) },
		{ BPF_STMT(BPF_RET | BPF_A, 0) },
		{ BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0) },
	};
	const struct seccomp_data d = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(filter_run(cases[i], 2, &d), ERR(EPERM));
	assert_int_equal(filter_run(NULL, 0, &d), ERR(EPERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_answers), cmocka_unit_test(test_rules),
		cmocka_unit_test(test_kill),	     cmocka_unit_test(test_hand_over),
		cmocka_unit_test(test_bad_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
