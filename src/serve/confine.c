/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/confine.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/macros.h"
#include "sys/landlock.h"

/* What a libc and libmicrohttpd use; a version of theirs that tries more is told EPERM. */
/* clang-format off */
static const int calls[] = {
	SYS_accept4,
	SYS_brk,
	SYS_clock_getres,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_close,
	SYS_connect,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
	SYS_exit,
	SYS_exit_group,
	SYS_fcntl,
	SYS_flock,
	SYS_fstat,
	SYS_fstatfs,
	SYS_futex,
	SYS_getdents64,
	SYS_getpeername,
	SYS_getpid,
	SYS_getrandom,
	SYS_getsockname,
	SYS_getsockopt,
	SYS_gettid,
	SYS_lseek,
	SYS_madvise,
	SYS_mmap,
	SYS_mprotect,
	SYS_mremap,
	SYS_munmap,
	SYS_nanosleep,
	SYS_newfstatat,
	SYS_openat,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_ppoll,
	SYS_pread64,
	SYS_read,
	SYS_readv,
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
	SYS_sigaltstack,
	SYS_write,
	SYS_writev,
};
/* clang-format on */

static const int families[] = { AF_UNIX };

struct confine serve_confinement(int all, bool best_effort)
{
	return (struct confine){
		.id = CONFINE_KEEP_ID,
		.dumpable = true,
		.landlock = best_effort ? CONFINE_LANDLOCK_BEST_EFFORT : CONFINE_LANDLOCK_REQUIRED,
		.reads = true,
		.directory = all,
		.calls = calls,
		.call_count = ARRAY_SIZE(calls),
		.families = families,
		.family_count = ARRAY_SIZE(families),
		.lenient = true,
	};
}

int serve_confine(int all, bool best_effort, struct err *e)
{
	const struct confine c = serve_confinement(all, best_effort);
	const char *step;
	int r = confine_all(&c, &step);

	if (r == 0)
		return 0;
	err_set(e, r, "serve", "%s", step);
	if (r == sys_landlock_abi())
		err_remedy(e, "--best-effort serves without; Landlock needs Linux 5.13 with "
			      "CONFIG_SECURITY_LANDLOCK, and landlock among lsm=");
	return r;
}
