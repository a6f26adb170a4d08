/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/signals.h"

#include <signal.h>
#include <sys/signalfd.h>

#include "base/macros.h"
#include "sys/files.h"

/* The first four end a sandbox; the next two are the command's alone. */
static const int watched[] = { SIGHUP,	SIGINT,	  SIGQUIT, SIGTERM, SIGUSR1,
			       SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP };

int signals_watch(uint64_t *old)
{
	uint64_t set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		set |= 1ULL << (watched[i] - 1);
	sys_call(SYS_rt_sigprocmask, SIG_BLOCK, &set, old, sizeof(set));
	return (int)sys_call(SYS_signalfd4, -1, &set, sizeof(set), SFD_CLOEXEC | SFD_NONBLOCK);
}

void signals_unwatch(int fd, uint64_t old)
{
	struct signalfd_siginfo info;

	if (fd < 0)
		return;
	while (sys_read(fd, &info, sizeof(info)) == sizeof(info))
		;
	sys_close(fd);
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, sizeof(old));
}
