/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/confine.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "sys/landlock.h"
#include "sys/process.h"

/* By name: a libc uses others on other machines, and libseccomp knows which there are. */
static const char *const calls[] = {
	"accept4",
	"brk",
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"close",
	"connect",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_wait",
	"exit",
	"exit_group",
	"fcntl",
	"flock",
	"fstat",
	"fstatfs",
	"futex",
	"getdents64",
	"getpeername",
	"getpid",
	"getrandom",
	"getsockname",
	"getsockopt",
	"gettid",
	"lseek",
	"madvise",
	"mmap",
	"mprotect",
	"mremap",
	"munmap",
	"nanosleep",
	"newfstatat",
	"openat",
	"poll",
	"ppoll",
	"pread64",
	"read",
	"readv",
	"recvfrom",
	"recvmsg",
	"restart_syscall",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sendmsg",
	"sendto",
	"setsockopt",
	"shutdown",
	"sigaltstack",
	"write",
	"writev",
};

static int restrict_files(int all, bool best_effort, struct err *e)
{
	int abi = (int)sys_call(SYS_landlock_create_ruleset, NULL, 0, 1 /* VERSION */), r;
	struct landlock_ruleset_attr_v6 attr;
	_cleanup_close_ int fd = -1;

	if (abi < 0 && best_effort)
		return 0;
	if (abi < 0) {
		err_set(e, abi, "serve", "restrict the server's files by Landlock");
		err_remedy(e, "--best-effort serves without; Landlock needs Linux 5.13 with "
			      "CONFIG_SECURITY_LANDLOCK, and landlock among lsm=");
		return abi;
	}
	landlock_known(abi, &attr);
	fd = sys_landlock_create(&attr);
	r = fd < 0 ? fd : sys_landlock_add_path(fd, all, LL_READ_FILE | LL_READ_DIR);
	if (r == 0)
		r = sys_landlock_restrict(fd);
	return r < 0 ? err_set(e, r, "serve", "restrict the server's files by Landlock") : 0;
}

static int restrict_calls(struct err *e)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(calls) && r == 0; i++) {
		int nr = seccomp_syscall_resolve_name(calls[i]);

		/* Negative: this machine has none of that name. */
		if (nr >= 0)
			r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, nr, 0);
	}
	if (r == 0)
		r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
					   SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r < 0 ? err_set(e, r, "serve", "load the server's seccomp filter") : 0;
}

int serve_confine(int all, bool best_effort, struct err *e)
{
	const struct rlimit none = { 0, 0 };
	int r = setrlimit(RLIMIT_CORE, &none) < 0 ? -errno : sys_set_caps(0, 0, 0);

	if (r == 0)
		r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r < 0)
		return err_set(e, r, "serve", "give up the server's capabilities");
	r = restrict_files(all, best_effort, e);
	return r < 0 ? r : restrict_calls(e);
}
