/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the filter: build one of a policy, and ask it. After cmocka.h. */
#ifndef TESTS_FILTER_UNDER_H
#define TESTS_FILTER_UNDER_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>

#include "bpf_sim.h"
#include "plan/filter.h"

#define ALLOW SECCOMP_RET_ALLOW
#define KILL SECCOMP_RET_KILL_PROCESS
#define ERR(e) (SECCOMP_RET_ERRNO | (uint32_t)(e))
#define X86 AUDIT_ARCH_X86_64
#define ARM AUDIT_ARCH_AARCH64

/* A filter under test. */
struct under {
	struct buf insns;
	uint32_t arch;
};

static inline struct policy policy_of(int baseline)
{
	struct policy p = { 0 };

	p.syscalls.baseline = baseline;
	p.syscalls.default_deny = true;
	p.network.loopback = true;
	return p;
}

static inline struct under build(const struct policy *p, uint32_t arch)
{
	struct under u = { .insns = BUF_INIT(1 << 20), .arch = arch };
	struct err e = { 0 };
	int r = filter_build(p, &(struct filter_options){ .arch = arch }, &u.insns, &e);

	if (r < 0)
		fail_msg("%s", e.message);
	return u;
}

static inline uint32_t run_nr(const struct under *u, uint32_t nr, const uint64_t args[6])
{
	struct seccomp_data d = { .nr = (int)nr, .arch = u->arch };

	if (args)
		memcpy(d.args, args, sizeof(d.args));
	return bpf_sim((const struct sock_filter *)u->insns.data,
		       u->insns.len / sizeof(struct sock_filter), &d);
}

static inline uint32_t run(const struct under *u, const char *name, uint64_t a0, uint64_t a1,
			   uint64_t a2)
{
	int nr = syscall_number(name, u->arch);

	assert_true(nr >= 0);
	return run_nr(u, (uint32_t)nr, (uint64_t[6]){ a0, a1, a2 });
}

#define EXPECT(want, u, ...)                                                                       \
	do {                                                                                       \
		uint32_t got_ = run(u, __VA_ARGS__);                                               \
		if (got_ != (uint32_t)(want))                                                      \
			fail_msg("%s: got 0x%x, want 0x%x", #__VA_ARGS__, got_, (uint32_t)(want)); \
	} while (0)

#endif
