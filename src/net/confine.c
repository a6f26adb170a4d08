/* SPDX-License-Identifier: Apache-2.0 */
#include "net/confine.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/macros.h"

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
};
/* clang-format on */

static const int families[] = { AF_INET, AF_INET6 };

/* Connecting is what we are for. */
const struct confine net_confinement = {
	.id = CONFINE_LEAVE_ROOT,
	.connects = true,
	.calls = calls,
	.call_count = ARRAY_SIZE(calls),
	.families = families,
	.family_count = ARRAY_SIZE(families),
};

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
	const char *step;
	int r = confine_all(&net_confinement, &step);

	return r < 0 ? err_set(err, r, "net", "cannot %s", step) : 0;
}
