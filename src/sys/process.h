/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes, ids, capabilities and filters: thin wrappers that return a value
 * or -errno. Sources: clone(2), capabilities(7), seccomp(2), prctl(2),
 * futex(2), pidfd_open(2).
 */
#ifndef PURPLE_SYS_PROCESS_H
#define PURPLE_SYS_PROCESS_H

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "sys/raw.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

/*
 * Start @fn(@arg) as a child on a stack of its own, clone3(2). @fn must not
 * return: it execs or exits. With CLONE_VM the child shares our memory, and
 * must use nothing that keeps state per thread (errno, malloc, stdio).
 * Returns the child's pid or -errno.
 */
pid_t sys_clone3_fn(struct clone_args *args, int (*fn)(void *), void *arg);

/*
 * The same by clone(2), for a caller whose filter refuses clone3. @stack_top
 * is aligned to 16; with CLONE_PIDFD the descriptor is stored in @pidfd.
 */
pid_t sys_clone_fn(unsigned long flags, void *stack_top, int *pidfd, int (*fn)(void *), void *arg);

/*
 * Start a child that goes on here, in our memory and on our stack: it gets 0, and it
 * is we who leave, for @fn(@arg) on the stack below @stack_top, which must not return.
 * No page table is copied, and no page when the child writes. @fn is bound by the same
 * rules as above for as long as the child lives. There must be no signal handler: its
 * frame would come onto the child's stack. -errno: nothing has happened.
 */
int sys_clone_behind(unsigned long flags, void *stack_top, int (*fn)(void *), void *arg);

static inline int sys_set_caps(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable },
		{ (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32),
		  (uint32_t)(inheritable >> 32) },
	};

	return (int)sys_call(SYS_capset, &head, data);
}

static inline int sys_prctl(int op, unsigned long a, unsigned long b, unsigned long c,
			    unsigned long d)
{
	return (int)sys_call(SYS_prctl, op, a, b, c, d);
}

static inline int sys_seccomp_load(const struct sock_filter *insns, unsigned short count)
{
	struct sock_fprog prog = { .len = count, .filter = (struct sock_filter *)(uintptr_t)insns };

	return (int)sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/*
 * The same, and a listener for what the filter answers with SECCOMP_RET_USER_NOTIF:
 * a descriptor, the caller's, close-on-exec; see seccomp_unotify(2). Whoever has been
 * received waits for his answer whatever signals come, but SIGKILL (since Linux 5.19;
 * an older kernel starts the call anew after each, and tells of it again). -EBUSY: the
 * caller has a listener already.
 */
static inline int sys_seccomp_listen(const struct sock_filter *insns, unsigned short count)
{
	struct sock_fprog prog = { .len = count, .filter = (struct sock_filter *)(uintptr_t)insns };
	int r = (int)sys_call(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);

	if (r != -EINVAL)
		return r;
	return (int)sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			     &prog);
}

/* Block while *@word is @expected; a wake-up may be spurious. Private futex. */
static inline void sys_futex_wait(const uint32_t *word, uint32_t expected)
{
	sys_call(SYS_futex, word, 128 /* FUTEX_WAIT_PRIVATE */, expected, 0, 0, 0);
}

/* Wake all. */
static inline void sys_futex_wake(const uint32_t *word)
{
	sys_call(SYS_futex, word, 129 /* FUTEX_WAKE_PRIVATE */, INT32_MAX, 0, 0, 0);
}

static inline int sys_pidfd_signal(int pidfd, int sig)
{
	return (int)sys_call(SYS_pidfd_send_signal, pidfd, sig, 0, 0);
}

__attribute__((__noreturn__)) static inline void sys_exit(int status)
{
	for (;;)
		sys_call(SYS_exit_group, status);
}

#endif
