/* SPDX-License-Identifier: Apache-2.0 */
#include "net/confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
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
	SYS_accept4,
	SYS_clock_gettime,
	SYS_close,
	SYS_connect,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
	SYS_exit_group,
	SYS_fcntl,
	SYS_getrandom,
	SYS_getsockname,
	SYS_getsockopt,
	SYS_madvise, /* free(3), at the end */
	SYS_munmap,
	SYS_pipe2,
	SYS_pread64, /* other rules, in a memfd */
	SYS_pwrite64, /* what is shown, into one: no socket and no pipe takes it */
	SYS_recvfrom,
	SYS_recvmmsg,
	SYS_recvmsg,
	SYS_restart_syscall,
	SYS_rt_sigreturn,
	SYS_sendmmsg,
	SYS_sendmsg,
	SYS_sendto,
	SYS_setsockopt,
	SYS_shutdown,
	SYS_splice,
#ifdef SANITIZED /* what its runtime does to report */
	SYS_brk,
	SYS_dup,
	SYS_futex,
	SYS_getpid,
	SYS_gettid,
	SYS_mmap,
	SYS_mprotect,
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

int net_load_filter(void)
{
	enum { HEAD = 10 };
	struct sock_filter f[HEAD + 2 * sizeof(calls) / sizeof(calls[0]) + 1] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		UNLESS_EQUAL_SKIP(SYS_socket, 5),
		LOAD(args[0]), /* the low half, on machines that begin with it */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
		UNLESS_EQUAL_SKIP(AF_INET6, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(REFUSE), /* some families have the number of a call below */
	};
	unsigned short n = HEAD;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		f[n++] = (struct sock_filter)UNLESS_EQUAL_SKIP((unsigned)calls[i], 1);
		f[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	}
	f[n++] = (struct sock_filter)RETURN(REFUSE);
	return sys_seccomp_load(f, n);
}

/* Connecting is what we are for. */
int net_restrict_files(void)
{
	int abi = (int)sys_call(SYS_landlock_create_ruleset, NULL, 0, 1 /* VERSION */), r;
	struct landlock_ruleset_attr_v6 attr;
	_cleanup_close_ int fd = -1;

	if (abi < 0)
		return abi == -ENOSYS || abi == -EOPNOTSUPP ? 0 : abi; /* seccomp has no open */
	landlock_known(abi, &attr);
	attr.handled_access_net &= LL_BIND_TCP;
	fd = sys_landlock_create(&attr);
	if (fd < 0)
		return fd;
	r = sys_landlock_restrict(fd);
	return r;
}

int net_leave_root(void)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return errno == EINVAL || errno == EPERM ? 0 : -errno;
	return 0;
}

unsigned net_raise_descriptors(unsigned want)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
	limit.rlim_max = limit.rlim_cur;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : (unsigned)limit.rlim_cur;
}

int net_confine(struct err *err)
{
	const struct rlimit none = { 0, 0 };
	int r = net_leave_root();

	if (r < 0)
		return err_set(err, r, "net", "cannot leave root's id");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_set(err, errno, "net", "cannot limit core files");
	r = sys_set_caps(0, 0, 0);
	if (!r)
		r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (!r)
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r < 0)
		return err_set(err, r, "net", "cannot drop capabilities");
	r = net_restrict_files();
	if (r < 0)
		return err_set(err, r, "net", "cannot restrict by Landlock");
	r = net_load_filter();
	if (r < 0)
		return err_set(err, r, "net", "cannot load the seccomp filter");
	return 0;
}
