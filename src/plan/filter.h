/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter of a policy, as a BPF program ready to load.
 *
 * Shape: load the architecture (another one: kill), then the number (bit 30,
 * x32: kill; -1, a call that a debugger skips: ENOSYS), then a binary search
 * over maximal intervals of numbers with the same action; single numbers that
 * stick out of an interval are compared beside it. Calls with conditions on
 * arguments end in a leaf of their own. Until that leaf only the number has
 * been looked at, so the kernel never runs the filter for calls that are
 * always allowed (its bitmap, seccomp_cache_prepare in kernel/seccomp.c).
 * Arguments are compared with all 64 bits, except where the kernel itself
 * looks at 32 (ioctl's request: there a compare of 64 bits is the classic
 * hole, CVE-2019-10063).
 *
 * Who decides, first match wins:
 *   1. syscalls.deny and advanced rules that deny
 *   2. advanced rules that allow (without conditions: always)
 *   3. syscalls.allow, the baseline, `nesting`: allowed, but within the guards
 *      of syscall_groups.c (no namespace flags for clone and unshare, socket
 *      families, TIOCSTI, device nodes, set-user-ID bits …). To list `ioctl`
 *      or `clone3` does not lift a guard; an advanced rule does.
 *   4. everything else is refused
 * What purple-init and an exec need is always allowed, and denying it without
 * conditions is an error: a policy that cannot start anything is a mistake.
 *
 * Baselines: strict < default < permissive, each allows what the one before
 * does; none allows only what exec needs. `default_deny: false` means what
 * permissive does: every known call but those that undo the sandbox. A number
 * that these tables do not know is refused under every baseline.
 *
 * Refusals: EPERM for what the policy denies; ENOSYS for unknown and new
 * calls, io_uring, aio, clone3 and openat2, so that programs fall back;
 * EAFNOSUPPORT for socket families, for the same reason (libaudit and
 * getaddrinfo expect it).
 * With syscalls.kill what would be EPERM ends the process; the others stay.
 * See seccomp(2).
 *
 * Observed: the same filter, but some calls stop until a supervisor, who is told of
 * them (SECCOMP_RET_USER_NOTIF, seccomp_unotify(2)), has answered. It decides nothing:
 * its answer is what the filter without observation says of the same number and
 * arguments (filter_run()), which are a copy that nothing inside can change. So
 * "go on" is said only where that filter allows the call, and what memory holds, which
 * another thread may change at any time, is for the record alone. With syscalls.kill
 * the observer ends the process (supervisor/watch_kill.c). Quiet stay clone3 and openat2, which
 * C libraries and tar try at each thread and file, unless asked for. Of two filters the kernel
 * takes the stricter word, and USER_NOTIF is stricter than TRACE: a debugger inside that
 * asks by a filter of its own to be told of calls (strace --seccomp-bpf) is not told of
 * observed ones. A process can have one listener: a program inside cannot have its own.
 */
#ifndef PURPLE_PLAN_FILTER_H
#define PURPLE_PLAN_FILTER_H

#include <linux/filter.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "policy/diag.h"
#include "policy/policy.h"

enum filter_observe {
	FO_REFUSED = 1 << 0, /* what would end the process, or be an errno; but FO_TRIED */
	FO_EXEC = 1 << 1,
	FO_WRITES = 1 << 2,   /* files opened for writing, or made by opening them */
	FO_OPENS = 1 << 3,    /* files opened in any way, or asked for by access(2) */
	FO_CONNECTS = 1 << 4, /* and datagrams sent to an address by sendto(2) */
	FO_CHANGES = 1 << 6,  /* names made, moved and removed; bits changed */
	FO_FORKS = 1 << 7,    /* processes and threads made */
	FO_PROTECT = 1 << 8,  /* files opened for writing; names made, moved and removed */
	FO_TRIED = 1 << 5     /* with FO_REFUSED clone3 and openat2 too, where they are ENOSYS */
};

/* What the plan adds to the policy's own words. */
struct filter_options {
	uint32_t arch; /* AUDIT_ARCH_*; 0: this machine's */
	bool root;     /* files made inside may be root's outside: no set-group-ID bit at all */
	bool network;  /* lo is there, whatever network.loopback says */
	/*
	 * enum filter_observe; 0: nothing is. Who hands the listener on is under the filter
	 * already: what would stop its sendmsg or write is refused as a policy, and so is
	 * userfaultfd(2), by which a program could hold up who reads its memory.
	 */
	unsigned observe;
	bool causes; /* not what is done, but why: each RET_ERRNO is an enum filter_cause */
};

/*
 * Why a call is refused, as the answer of a filter that was built with @causes and is run on
 * it (filter_run()). Nobody loads that one. A guard that would refuse a call that the baseline
 * refuses already is the cause, for allowing the call in words would not be enough.
 */
enum filter_cause {
	FC_ALLOWED, /* SECCOMP_RET_ALLOW, too */
	FC_DENY,    /* syscalls.deny */
	FC_BASELINE,
	FC_GUARD = 0x100, /* and on: of syscall_guards[] */
	FC_RULE = 0x400	  /* and on: of syscalls.advanced_rules */
};

/*
 * Append struct sock_filter instructions to @insns. Names that exist on no
 * architecture are an error (with the nearest known name); names that only
 * this architecture lacks (fork on arm64) are skipped. x86_64 and aarch64 are
 * supported, others are -EOPNOTSUPP. More than 4096 instructions: -E2BIG.
 * What is wrong in the policy's words: -EPROTO.
 */
int filter_build(const struct policy *p, const struct filter_options *o, struct buf *insns,
		 struct err *e);

/*
 * What filter_build() would refuse on this machine, as diagnostics: every
 * unknown name; if nothing is wrong and @d holds no error, the first fault of
 * another kind. @p may be what policy_load() refused. 0, or -EINVAL if it
 * reported something or @d held an error already.
 */
int filter_check(const struct policy *p, struct diags *d);

/* The number of a call on @arch (0: this machine's); -1: not there, -2: no such name anywhere. */
int syscall_number(const char *name, uint32_t arch);

#endif
