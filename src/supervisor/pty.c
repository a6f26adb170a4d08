/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/pty.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "sys/files.h"

/* FINISH_MAX: more than a terminal holds when nobody writes to it any more. */
enum { BUFFER = 4096, WRITE_MAX_MS = 20, FINISH_MAX = 1 << 20 };
static _cold_data_ char inward_buffer[BUFFER], outward_buffer[BUFFER];

static void on_time(int sig)
{
}

/*
 * poll(2) tells that a terminal takes something, and write(2) waits until it has
 * taken all: for ever, if nobody reads it. The caller's cannot be made non-blocking,
 * for others share the open file. So the write is cut off by a signal, and the clocks
 * go on. SIGURG because nobody else sends it; a timer of its own because an alarm(2)
 * may be the caller's.
 */
static const int cut_signal = SIGURG;
static int cut_timer = -1; /* a timer_t of the kernel's */

static void prepare_cut(void)
{
	const struct sigaction action = { .sa_handler = on_time }; /* no SA_RESTART */
	const uint64_t set = 1ULL << (cut_signal - 1);
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = cut_signal };

	if (cut_timer >= 0)
		return;
	sigaction(cut_signal, &action, NULL);
	sys_call(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, sizeof(set));
	if (sys_call(SYS_timer_create, CLOCK_MONOTONIC, &event, &cut_timer) < 0)
		cut_timer = -1;
}

static long write_some(int fd, const char *data, size_t len)
{
	/* The interval: the first signal may come before the write does. */
	const struct timespec limit = { .tv_nsec = WRITE_MAX_MS * 1000000L };
	const struct itimerspec on = { limit, limit }, off = { 0 };
	long n;

	sys_call(SYS_timer_settime, cut_timer, 0, &on, NULL);
	n = sys_write(fd, data, len);
	sys_call(SYS_timer_settime, cut_timer, 0, &off, NULL);
	return n;
}

/* Escape hatch for job control: a background process group gets SIGTTOU here. */
static void set_terminal(int fd, const struct termios *t)
{
	uint64_t ttou = 1ULL << (SIGTTOU - 1), old;

	sys_call(SYS_rt_sigprocmask, SIG_BLOCK, &ttou, &old, sizeof(old));
	tcsetattr(fd, TCSADRAIN, t);
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, sizeof(old));
}

void pty_foreground(struct pty *p)
{
	struct termios raw;

	if (p->master < 0 || p->in < 0 || p->raw || tcgetpgrp(p->in) != getpgrp() ||
	    tcgetattr(p->in, &p->saved) != 0)
		return;
	raw = p->saved;
	cfmakeraw(&raw);
	set_terminal(p->in, &raw);
	p->raw = true;
}

void pty_release(struct pty *p)
{
	if (p->master < 0 || !p->raw)
		return;
	set_terminal(p->in, &p->saved);
	p->raw = false;
}

void pty_open(struct pty *p, int master, unsigned terminal)
{
	prepare_cut();
	p->master = master;
	p->inward.data = inward_buffer;
	p->outward.data = outward_buffer;
	p->in = terminal & 1 ? STDIN_FILENO : -1;
	p->out = terminal & 2 ? STDOUT_FILENO : terminal & 4 ? STDERR_FILENO : -1;
	p->local = terminal & 1 ? STDIN_FILENO : p->out;
	pty_foreground(p);
	if (p->out < 0)
		p->out = p->local; /* only stdin is a terminal: the echo goes there */
	pty_resize(p);
}

void pty_resize(struct pty *p)
{
	struct winsize w;

	if (p->master >= 0 && ioctl(p->local, TIOCGWINSZ, &w) == 0)
		ioctl(p->master, TIOCSWINSZ, &w); /* the kernel sends SIGWINCH inside */
}

void pty_prepare(struct pty *p, struct pollfd *fds)
{
	bool in_room = p->inward.len == 0, out_room = p->outward.len == 0;

	for (int i = 0; i < PTY_POLLFDS; i++)
		fds[i] = (struct pollfd){ .fd = -1 };
	if (p->master < 0)
		return;
	fds[0].fd = p->in_closed || !p->raw || !in_room ? -1 : p->in;
	fds[0].events = POLLIN;
	fds[1].events = (short)((out_room ? POLLIN : 0) | (in_room ? 0 : POLLOUT));
	fds[1].fd = fds[1].events ? p->master : -1;
	fds[2].fd = out_room ? -1 : p->out;
	fds[2].events = POLLOUT;
}

/* false at end of file or on an error that will not go away. */
static bool fill(struct pty_pipe *q, int fd)
{
	long n = sys_read(fd, q->data, BUFFER);

	if (n <= 0)
		return n == -EAGAIN || n == -EINTR;
	q->len = (size_t)n;
	q->off = 0;
	return true;
}

/* Whether anything went. */
static bool drain(struct pty_pipe *q, int fd)
{
	long n = write_some(fd, q->data + q->off, q->len - q->off);

	if (n == -EAGAIN || n == -EINTR)
		return false;
	/* A terminal that is gone takes nothing more: drop what is left. */
	q->off = n < 0 ? q->len : q->off + (size_t)n;
	if (q->off == q->len)
		q->len = q->off = 0;
	return true;
}

/*
 * The sandbox's terminal makes "\r\n" of "\n". While the caller's is not raw
 * it does the same, so it gets "\n" from us. A "\r" at the end of what was
 * read waits for what follows.
 */
static void fold_lines(struct pty *p)
{
	struct pty_pipe *q = &p->outward;
	struct termios t;
	size_t n = 0;

	if (p->held_cr && q->data[0] != '\n')
		write_some(p->out, "\r", 1);
	p->held_cr = false;
	if (p->raw || tcgetattr(p->out, &t) != 0 || !(t.c_oflag & OPOST) || !(t.c_oflag & ONLCR))
		return;
	for (size_t i = 0; i < q->len; i++) {
		if (q->data[i] == '\n' && n > 0 && q->data[n - 1] == '\r')
			n--;
		q->data[n++] = q->data[i];
	}
	if (q->data[n - 1] == '\r') {
		p->held_cr = true;
		n--;
	}
	q->len = n;
}

/* Whether anything came. */
static bool fill_outward(struct pty *p)
{
	if (!fill(&p->outward, p->master) || p->outward.len == 0)
		return false;
	fold_lines(p);
	return true;
}

void pty_handle(struct pty *p, const struct pollfd *fds)
{
	if (p->master < 0)
		return;
	if (fds[0].revents && !fill(&p->inward, p->in)) {
		p->in_closed = true;
	}
	if (fds[1].revents & POLLOUT)
		drain(&p->inward, p->master);
	/* We hold the other end open too, so the master never hangs up. */
	if (fds[1].revents & POLLIN)
		fill_outward(p);
	if (fds[2].revents)
		drain(&p->outward, p->out);
}

/* The caller's terminal may never take the rest: then whoever wants us to end says so. */
static bool is_told_to_end(void)
{
	const uint64_t ends = 1ULL << (SIGHUP - 1) | 1ULL << (SIGINT - 1) | 1ULL << (SIGQUIT - 1) |
			      1ULL << (SIGTERM - 1);
	uint64_t pending = 0;

	sys_call(SYS_rt_sigpending, &pending, sizeof(pending));
	return pending & ends;
}

void pty_finish(struct pty *p)
{
	size_t done = 0;

	if (p->master < 0)
		return;
	/* Somebody outside may have been given its other end, and write on. */
	do {
		done += p->outward.len;
		while (p->outward.len > 0 && (drain(&p->outward, p->out) || !is_told_to_end()))
			;
	} while (p->outward.len == 0 && done < FINISH_MAX && fill_outward(p));
	if (p->held_cr)
		write_some(p->out, "\r", 1);
	pty_release(p);
	p->master = -1;
}
