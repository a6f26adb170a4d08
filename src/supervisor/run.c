/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/run.h"

#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "jail/jail.h"
#include "supervisor/pty.h"
#include "sys/files.h"
#include "sys/process.h"

/* What the caller sends us is meant for the command. */
static const int forwarded[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 };

static int block_signals(uint64_t *old)
{
	uint64_t set = 0;

	/* A caller that ignores it would take the exit status from us, and from PID 1. */
	signal(SIGCHLD, SIG_DFL);

	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		set |= 1ULL << (forwarded[i] - 1);
	set |= 1ULL << (SIGWINCH - 1) | 1ULL << (SIGCONT - 1);
	sys_call(SYS_rt_sigprocmask, SIG_BLOCK, &set, old, sizeof(set));
	return (int)sys_call(SYS_signalfd4, -1, &set, sizeof(set), SFD_CLOEXEC | SFD_NONBLOCK);
}

static void on_signal(struct jail *j, struct pty *pty, int fd)
{
	struct signalfd_siginfo info;

	while (sys_read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			pty_resize(pty);
		else if (info.ssi_signo == SIGCONT)
			pty_foreground(pty);
		else if (j->command_fd >= 0)
			sys_pidfd_signal(j->command_fd, (int)info.ssi_signo);
		else
			sys_pidfd_signal(j->pid1_fd, SIGKILL); /* nobody to tell yet */
	}
}

/* Until the sandbox has ended; what it wrote to its terminal is then delivered. */
static void loop(struct jail *j, struct pty *pty, int signals)
{
	enum { ENDED, SIGNALS, PTY_EVENT, PTY, FDS = PTY + PTY_POLLFDS };
	struct pollfd fds[FDS] = {
		[ENDED] = { .fd = j->pid1_fd, .events = POLLIN },
		[SIGNALS] = { .fd = signals, .events = POLLIN },
		[PTY_EVENT] = { .fd = j->pty_event, .events = POLLIN },
	};

	for (;;) {
		struct timespec tick = { .tv_nsec = 300000000 };

		pty_prepare(pty, fds + PTY);
		if (sys_call(SYS_ppoll, fds, FDS, pty_in_background(pty) ? &tick : NULL, 0, 0) < 0)
			continue; /* EINTR: a stop and a continue */
		if (pty_in_background(pty))
			pty_foreground(pty);
		if (fds[SIGNALS].revents)
			on_signal(j, pty, signals);
		if (fds[PTY_EVENT].revents) {
			fds[PTY_EVENT].fd = -1;
			pty_open(pty, j->pty_fd, j->launch->terminal);
		}
		pty_handle(pty, fds + PTY);
		if (fds[ENDED].revents)
			break;
	}
	pty_finish(pty);
}

static void judge(struct jail *j, const siginfo_t *info, struct outcome *ret)
{
	uint64_t report = 0;

	if (sys_read(j->status_fd, &report, sizeof(report)) == sizeof(report)) {
		int status = (int)(uint32_t)(report - 1);

		ret->started = !err_is_set(&j->err);
		ret->wait_status = status;
		ret->exit_status = WIFSIGNALED(status) ? EXIT_SIGNAL_BASE + WTERMSIG(status)
						       : WEXITSTATUS(status);
		return;
	}
	/* PID 1 did not get to report: it failed, or somebody killed it. */
	if (info->si_code == CLD_EXITED) {
		ret->exit_status = EXIT_PURPLE;
		return;
	}
	ret->started = ret->killed = true;
	ret->wait_status = info->si_status;
	ret->exit_status = EXIT_SIGNAL_BASE + info->si_status;
}

int supervisor_run(const struct plan *plan, struct launch *launch, struct outcome *ret,
		   struct err *e)
{
	static struct jail j; /* shared with PID 1: outlives every frame */
	struct pty pty = PTY_INIT;
	siginfo_t info = { 0 };
	int signals, r;

	memset(ret, 0, sizeof(*ret));
	signals = block_signals(&launch->sigmask);
	if (signals < 0) {
		ret->exit_status = EXIT_PURPLE;
		return err_set(e, signals, "start", "watch for signals");
	}
	r = jail_start(&j, plan, launch);
	if (r == 0) {
		loop(&j, &pty, signals);
		sys_call(SYS_waitid, P_PIDFD, j.pid1_fd, &info, WEXITED, &ret->usage);
		judge(&j, &info, ret);
	}
	sys_close(signals);
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, &launch->sigmask, 0, sizeof(launch->sigmask));
	jail_close(&j);
	if (err_is_set(&j.err)) {
		*e = j.err;
		ret->exit_status = e->exit_code;
		return -e->code;
	}
	if (!ret->started && ret->exit_status == EXIT_PURPLE)
		return err_set(e, EPROTO, "start", "the sandbox ended before the command started");
	return 0;
}
