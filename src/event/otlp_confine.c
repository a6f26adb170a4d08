/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/macros.h"
#include "event/otlp_export.h"

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
};
/* clang-format on */

static const int families[] = { AF_INET, AF_INET6 };

struct confine otlp_confinement(uint16_t port)
{
	return (struct confine){
		.id = CONFINE_LEAVE_ROOT,
		.connect_port = port,
		.calls = calls,
		.call_count = ARRAY_SIZE(calls),
		.families = families,
		.family_count = ARRAY_SIZE(families),
		.lenient = true,
	};
}
