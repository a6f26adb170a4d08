/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "sys/landlock.h"
#include "sys/process.h"

enum { NOBODY = 65534 };

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* clang-format off */
static const int calls[] = {
	SYS_clock_gettime,
	SYS_exit_group,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_ppoll,
	SYS_recvfrom,
	SYS_restart_syscall,
	SYS_rt_sigreturn,
	SYS_sendto,
#ifdef SANITIZED /* what its runtime does to report */
	SYS_brk,
	SYS_close,
	SYS_dup,
	SYS_futex,
	SYS_getpid,
	SYS_gettid,
	SYS_madvise,
	SYS_mmap,
	SYS_mprotect,
	SYS_munmap,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_sigaltstack,
	SYS_write,
#endif
};
/* clang-format on */

#ifdef SANITIZED
#define REFUSE (SECCOMP_RET_ERRNO | EPERM) /* it reads /proc, and lives without */
#else
#define REFUSE SECCOMP_RET_KILL_PROCESS
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS_EQUAL_SKIP(k, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (skip))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))

static int load_filter(void)
{
	enum { HEAD = 4 };
	struct sock_filter f[HEAD + 2 * ARRAY_SIZE(calls) + 1] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
	};
	unsigned short n = HEAD;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		f[n++] = (struct sock_filter)UNLESS_EQUAL_SKIP((unsigned)calls[i], 1);
		f[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	}
	f[n++] = (struct sock_filter)RETURN(REFUSE);
	return sys_seccomp_load(f, n);
}

static int restrict_files(void)
{
	int abi = (int)sys_call(SYS_landlock_create_ruleset, NULL, 0, 1 /* VERSION */);
	struct landlock_ruleset_attr_v6 attr;
	_cleanup_close_ int fd = -1;

	if (abi < 0)
		return abi == -ENOSYS || abi == -EOPNOTSUPP ? 0 : abi; /* seccomp has no open */
	landlock_known(abi, &attr);
	fd = sys_landlock_create(&attr);
	return fd < 0 ? fd : sys_landlock_restrict(fd);
}

int trace_confine(struct err *e)
{
	const struct rlimit none = { 0, 0 };
	int r = 0;

	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return err_set(e, errno, "trace", "leave root's id");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_set(e, errno, "trace", "limit core files");
	r = sys_set_caps(0, 0, 0);
	if (!r)
		r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (!r)
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r < 0)
		return err_set(e, r, "trace", "drop capabilities");
	r = restrict_files();
	if (r < 0)
		return err_set(e, r, "trace", "restrict by Landlock");
	r = load_filter();
	return r < 0 ? err_set(e, r, "trace", "load the seccomp filter") : 0;
}
