/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/control.h"
#include "supervisor/pty.h"
#include "supervisor/signals.h"
#include "sys/files.h"

static int watch_signals(struct err *e)
{
	int fd = signals_watch(NULL);

	return fd < 0 ? err_set(e, fd, "start", "watch for signals") : fd;
}

/* What control_receive() gave instead of a message. */
static int no_message(int r, const char *stage, struct err *e)
{
	if (r < 0 && r != -ECONNRESET)
		return err_set(e, r, stage, "hear from the supervisor");
	err_set(e, EPROTO, stage, "the supervisor of the sandbox has gone away");
	err_remedy(e, "`purple ps -a` tells what became of it");
	return -EPROTO;
}

/* Stop the command and ourselves; when we go on, it does. */
static void suspend(int fd, struct pty *p)
{
	control_send_value(fd, CONTROL_SIGNAL, SIGSTOP, 0);
	pty_release(p);
	sys_call(SYS_kill, getpid(), SIGSTOP);
	control_send_value(fd, CONTROL_SIGNAL, SIGCONT, 0);
}

static void exec_signals(int fd, int signals, struct pty *p)
{
	struct signalfd_siginfo info;

	while (sys_read(signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH) {
			pty_resize(p);
		} else if (info.ssi_signo == SIGCONT) {
			pty_foreground(p);
			pty_resize(p);
		} else if (info.ssi_signo == SIGTSTP) {
			suspend(fd, p);
		} else {
			control_send_value(fd, CONTROL_SIGNAL, info.ssi_signo, 0);
		}
	}
}

/* 1: it has ended, as *@exit_status says. */
static int exec_message(int fd, struct pty *p, uint32_t terminal, int *exit_status, struct err *e)
{
	static _cold_data_ struct control_message m;
	int fds[2] = { -1, -1 }, status, r;
	unsigned nfds = 2;

	r = control_receive(fd, &m, fds, &nfds, 0);
	if (r <= 0)
		return no_message(r, "exec", e);
	switch (m.head.type) {
	case CONTROL_STARTED:
		if (nfds == 2 && p->master < 0)
			pty_open(p, fds[0], terminal); /* fds[1] is held open: no hang-up */
		return 0;
	case CONTROL_EXITED:
		status = (int)m.head.value;
		*exit_status = WIFSIGNALED(status) ? EXIT_SIGNAL_BASE + WTERMSIG(status)
						   : WEXITSTATUS(status);
		return 1;
	case CONTROL_ERROR:
		return control_error(&m, "exec", e);
	default:
		return 0;
	}
}

int client_exec(int fd, int block, uint32_t terminal, int *exit_status, struct err *e)
{
	enum { CONTROL, SIGNALS, PTY, FDS = PTY + PTY_POLLFDS };
	struct control_message m = { .head = CONTROL_HEAD(CONTROL_EXEC, terminal, 0) };
	const int fds[CONTROL_FDS_MAX] = { block, 0, 1, 2 };
	struct pty p = PTY_INIT;
	struct pollfd polls[FDS];
	int signals = watch_signals(e), r;

	if (signals < 0)
		return signals;
	r = control_send(fd, &m, fds, CONTROL_FDS_MAX, 0);
	/* -EPIPE: what it said before it went is still to be read. */
	if (r < 0 && r != -EPIPE)
		return err_set(e, r, "exec", "ask the supervisor");
	for (r = 0; r == 0;) {
		struct timespec tick = { .tv_nsec = 300000000 };

		polls[CONTROL] = (struct pollfd){ .fd = fd, .events = POLLIN };
		polls[SIGNALS] = (struct pollfd){ .fd = signals, .events = POLLIN };
		pty_prepare(&p, polls + PTY);
		if (sys_call(SYS_ppoll, polls, FDS, pty_in_background(&p) ? &tick : NULL, 0, 0) < 0)
			continue;
		if (pty_in_background(&p))
			pty_foreground(&p);
		if (polls[SIGNALS].revents)
			exec_signals(fd, signals, &p);
		pty_handle(&p, polls + PTY);
		if (polls[CONTROL].revents)
			r = exec_message(fd, &p, terminal, exit_status, e);
	}
	pty_finish(&p);
	return r < 0 ? r : 0;
}

struct attached {
	int fd, signals;
	bool terminal; /* the command has one, and we do */
	bool raw;
	bool prefix; /* Ctrl-p was typed */
	struct termios saved;
};

static void attach_raw(struct attached *a, bool on)
{
	struct termios raw;

	if (!a->terminal || a->raw == on)
		return;
	if (on && tcgetattr(STDIN_FILENO, &a->saved) != 0)
		return;
	raw = a->saved;
	cfmakeraw(&raw);
	if (on)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	else
		tcsetattr(STDIN_FILENO, TCSADRAIN, &a->saved);
	a->raw = on;
}

static void attach_resize(const struct attached *a)
{
	struct winsize w;

	if (a->terminal && ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0)
		control_send_value(a->fd, CONTROL_RESIZE, (uint32_t)w.ws_row << 16 | w.ws_col, 0);
}

/* False: leave. */
static bool attach_signals(struct attached *a)
{
	struct signalfd_siginfo info;

	while (sys_read(a->signals, &info, sizeof(info)) == sizeof(info)) {
		int sig = (int)info.ssi_signo;

		if (sig == SIGHUP)
			return false;
		if (sig == SIGWINCH) {
			attach_resize(a);
		} else if (sig == SIGCONT) {
			attach_raw(a, true);
			attach_resize(a);
		} else if (sig == SIGTSTP) {
			attach_raw(a, false);
			sys_call(SYS_kill, getpid(), SIGSTOP);
		} else {
			control_send_value(a->fd, CONTROL_SIGNAL, (uint32_t)sig, 0);
		}
	}
	return true;
}

enum { DETACH_FIRST = 'P' & 31, DETACH_SECOND = 'Q' & 31 };

/* What was typed, but for the keys that leave. 1: leave. 2: no more comes. */
static int attach_input(struct attached *a)
{
	struct control_message m;
	char typed[1024];
	long n = sys_read(STDIN_FILENO, typed, sizeof(typed));
	size_t len = 0;

	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n <= 0)
		return 2;
	for (long i = 0; i < n; i++) {
		if (a->prefix && typed[i] == DETACH_SECOND)
			return 1;
		if (a->prefix)
			m.bytes[len++] = DETACH_FIRST;
		a->prefix = typed[i] == DETACH_FIRST;
		if (!a->prefix)
			m.bytes[len++] = typed[i];
	}
	m.head = CONTROL_HEAD(CONTROL_INPUT, 0, len);
	if (len > 0)
		control_send(a->fd, &m, NULL, 0, 0);
	return 0;
}

/* 1: it has ended. */
static int attach_message(struct attached *a, int *exit_status, struct err *e)
{
	static _cold_data_ struct control_message m;
	int r = control_receive(a->fd, &m, NULL, NULL, 0);

	if (r <= 0)
		return no_message(r, "attach", e);
	switch (m.head.type) {
	case CONTROL_OK:
		a->terminal = m.head.value && isatty(STDIN_FILENO);
		attach_raw(a, true);
		attach_resize(a);
		return 0;
	case CONTROL_OUTPUT:
		write_full(m.head.value == 2 ? STDERR_FILENO : STDOUT_FILENO, m.bytes,
			   m.head.size - sizeof(m.head));
		return 0;
	case CONTROL_ENDED:
		*exit_status = m.ended.exit_status;
		return 1;
	case CONTROL_ERROR:
		return control_error(&m, "attach", e);
	default:
		return 0;
	}
}

int client_attach(int fd, int *exit_status, struct err *e)
{
	struct attached a = { .fd = fd, .signals = watch_signals(e) };
	struct pollfd polls[3] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = a.signals, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	bool input = true;
	int r;

	*exit_status = 0;
	if (a.signals < 0)
		return a.signals;
	r = control_send_value(fd, CONTROL_ATTACH, 0, 0);
	if (r < 0 && r != -EPIPE)
		return err_set(e, r, "attach", "ask the supervisor");
	for (r = 0; r == 0;) {
		polls[2].fd = a.terminal && input ? STDIN_FILENO : -1;
		if (poll(polls, ARRAY_SIZE(polls), -1) < 0)
			continue;
		if (polls[1].revents && !attach_signals(&a))
			break;
		if (polls[0].revents)
			r = attach_message(&a, exit_status, e);
		if (r == 0 && polls[2].revents) {
			r = attach_input(&a);
			input = input && r != 2;
			r = r == 1;
		}
	}
	attach_raw(&a, false);
	return r < 0 ? r : 0;
}
