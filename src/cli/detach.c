/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/detach.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/run.h"
#include "sys/files.h"
#include "sys/process.h"

/* Of the process that waits. A failure is printed on it; else it is a page. */
static _cold_data_ char waiter_stack[48 * 1024] __attribute__((__aligned__(64)));

struct waiter {
	int pair[2];
	int (*failed)(const struct err *e, bool lost);
};

/* Has *@ready come? Else the other end is closed. */
static bool receive(int fd, struct run_ready *ready)
{
	long n;

	do
		n = sys_read(fd, ready, sizeof(*ready));
	while (n == -EINTR);
	return n == sizeof(*ready);
}

static void say_name(struct run_ready *ready)
{
	size_t n = strnlen(ready->name, sizeof(ready->name) - 1), done = 0;

	ready->name[n++] = '\n';
	while (done < n) {
		long r = sys_write(STDOUT_FILENO, ready->name + done, n - done);

		if (r < 0 && r != -EINTR)
			return;
		done += r < 0 ? 0 : (size_t)r;
	}
}

/* Until the supervisor has ended, only calls of the kernel. */
__attribute__((__no_sanitize_address__, __no_sanitize_undefined__)) static int wait_for(void *arg)
{
	const struct waiter *w = arg;
	int (*failed)(const struct err *e, bool lost) = w->failed;
	struct run_ready ready = { 0 }, more;
	int fd = w->pair[0];
	bool told;

	sys_close(w->pair[1]);
	/* At our end the kernel would write there, where it is the other's by then. */
	sys_call(SYS_set_tid_address, 0);
	told = receive(fd, &ready);
	if (told && !err_is_set(&ready.err)) {
		say_name(&ready);
		sys_exit(0);
	}
	while (receive(fd, &more))
		;
	if (!told)
		err_set(&ready.err, EPROTO, "start",
			"the supervisor ended before the command started");
	sys_exit(failed(&ready.err, !told));
}

static int leave_caller(struct err *e)
{
	int null = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);

	if (null < 0)
		return err_set(e, null, "stdio", "open /dev/null");
	setsid();
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	sys_close(null);
	return 0;
}

int detach(int *ready, int (*failed)(const struct err *e, bool lost), struct err *e)
{
	static struct waiter w;
	int r;

	w.failed = failed;
	/* No pipe: if we are killed, what the supervisor says must not end it by SIGPIPE. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, w.pair) < 0)
		return err_set(e, errno, "start", "make a socket to the supervisor");
	r = sys_clone_behind(SIGCHLD, waiter_stack + sizeof(waiter_stack), wait_for, &w);
	if (r < 0) {
		err_set(e, r, "start", "start a process for the supervisor");
		sys_close(w.pair[0]);
		sys_close(w.pair[1]);
		return r;
	}
	sys_close(w.pair[0]);
	*ready = w.pair[1];
	return leave_caller(e);
}

void detach_failed(int ready, const struct err *e)
{
	struct run_ready message = { .err = *e };

	send(ready, &message, sizeof(message), MSG_NOSIGNAL);
}
