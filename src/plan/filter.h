/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter of a policy, as a BPF program ready to load.
 *
 * Shape: load the architecture (another one: kill), then the number (bit 30,
 * x32: kill), then a binary search over maximal intervals of numbers with the
 * same action, so that ~450 numbers cost about 9 jumps; calls with conditions
 * on arguments end in a leaf of their own. Arguments are compared with all 64
 * bits, except where the kernel itself looks at 32 (ioctl's request: there a
 * compare of 64 bits is the classic hole, CVE-2019-10063).
 *
 * Actions: allow; EPERM for what the policy denies; ENOSYS for what nobody
 * named (unknown and new calls), so that libc falls back; kill with
 * syscalls.kill. See seccomp(2), kernel/seccomp.c.
 */
#ifndef PURPLE_PLAN_FILTER_H
#define PURPLE_PLAN_FILTER_H

#include <linux/filter.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "policy/policy.h"

/* What the plan adds to the policy's own words. */
struct filter_options {
	uint32_t arch; /* AUDIT_ARCH_*; 0: this machine's */
};

/*
 * Append struct sock_filter instructions to @insns. Names that exist on no
 * architecture are an error (with the nearest known name); names that only
 * this architecture lacks (fork on arm64) are skipped.
 */
int filter_build(const struct policy *p, const struct filter_options *o, struct buf *insns,
		 struct err *e);

/*
 * What the filter decides for one call: the same tables that filter_build()
 * compiles, for people: appends one line a group ("allow 312 calls", "deny
 * mount: EPERM", "clone: EPERM when arg0 & 0x7e020000") to @text.
 */
int filter_describe(const struct policy *p, const struct filter_options *o, struct buf *text,
		    struct err *e);

/* The number of a call on @arch (0: this machine's); -1: not there, -2: no such name anywhere. */
int syscall_number(const char *name, uint32_t arch);

#endif
