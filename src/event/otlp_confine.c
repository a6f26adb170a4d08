/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/audit.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "event/otlp_export.h"
#include "net/confine.h"
#include "sys/landlock.h"
#include "sys/process.h"

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

/*
 * What the C library, libcurl and OpenSSL do between a connection and its end. Anything else is
 * EPERM and not death: a version of theirs may try what we do not know, and lives without.
 */
/* clang-format off */
static const int calls[] = {
	SYS_brk,
	SYS_clock_gettime,
	SYS_close,
	SYS_connect,
	SYS_exit_group,
	SYS_fcntl,
	SYS_fstat,
	SYS_futex,
	SYS_getpeername,
	SYS_getpid,
	SYS_getrandom,
	SYS_getsockname,
	SYS_getsockopt,
	SYS_gettid,
	SYS_gettimeofday,
	SYS_ioctl, /* FIONBIO */
	SYS_madvise,
	SYS_mmap,
	SYS_mprotect,
	SYS_mremap,
	SYS_munmap,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_ppoll,
	SYS_read,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_restart_syscall,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sendmsg,
	SYS_sendto,
	SYS_setsockopt,
	SYS_shutdown,
	SYS_setitimer, /* alarm(3) */
#ifdef SYS_alarm
	SYS_alarm,
#endif
	SYS_write,
	SYS_writev,
#ifdef SANITIZED /* what its runtime does to report */
	SYS_dup,
	SYS_sigaltstack,
#endif
};
/* clang-format on */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS_EQUAL_SKIP(k, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (skip))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)

static int load_filter(void)
{
	enum { HEAD = 10 };
	struct sock_filter f[HEAD + 2 * ARRAY_SIZE(calls) + 1] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		UNLESS_EQUAL_SKIP(SYS_socket, 5),
		LOAD(args[0]), /* the low half, on machines that begin with it */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
		UNLESS_EQUAL_SKIP(AF_INET6, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(REFUSE),
	};
	unsigned short n = HEAD;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		f[n++] = (struct sock_filter)UNLESS_EQUAL_SKIP((unsigned)calls[i], 1);
		f[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	}
	f[n++] = (struct sock_filter)RETURN(REFUSE);
	return sys_seccomp_load(f, n);
}

static int restrict_by_landlock(unsigned short port)
{
	int abi = (int)sys_call(SYS_landlock_create_ruleset, NULL, 0, 1 /* VERSION */), r = 0;
	struct {
		uint64_t allowed_access, port;
	} rule = { LL_CONNECT_TCP, port }; /* struct landlock_net_port_attr */
	struct landlock_ruleset_attr_v6 attr;
	_cleanup_close_ int fd = -1;

	if (abi < 0)
		return abi == -ENOSYS || abi == -EOPNOTSUPP ? 0 : abi; /* seccomp has no open */
	landlock_known(abi, &attr);
	fd = sys_landlock_create(&attr);
	if (fd < 0)
		return fd;
	if (attr.handled_access_net)
		r = (int)sys_call(SYS_landlock_add_rule, fd, 2 /* NET_PORT */, &rule, 0);
	return r < 0 ? r : sys_landlock_restrict(fd);
}

int otlp_confine(unsigned short port)
{
	const struct rlimit none = { 0, 0 };
	int r = net_leave_root();

	if (r == 0 && setrlimit(RLIMIT_CORE, &none) < 0)
		r = -errno;
	if (r == 0)
		r = sys_set_caps(0, 0, 0);
	if (r == 0)
		r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r == 0)
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r == 0)
		r = restrict_by_landlock(port);
	return r < 0 ? r : load_filter();
}
