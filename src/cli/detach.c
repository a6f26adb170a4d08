/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/detach.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/run.h"
#include "sys/files.h"

static int wait_for(int fd, struct err *e)
{
	struct run_ready ready;
	long n;

	do
		n = sys_read(fd, &ready, sizeof(ready));
	while (n == -EINTR);
	sys_close(fd);
	if (n != sizeof(ready))
		return err_set(e, EPROTO, "start",
			       "the supervisor ended before the command started");
	if (err_is_set(&ready.err)) {
		*e = ready.err;
		return -e->code;
	}
	ready.name[sizeof(ready.name) - 1] = '\0';
	write_full(STDOUT_FILENO, ready.name, strlen(ready.name));
	write_full(STDOUT_FILENO, "\n", 1);
	return 1;
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

int detach(int *ready, struct err *e)
{
	int pair[2], r;
	pid_t pid;

	/* No pipe: if we are killed, what the supervisor says must not end it by SIGPIPE. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "start", "make a socket to the supervisor");
	pid = fork();
	if (pid < 0) {
		r = err_set(e, errno, "start", "start a process for the supervisor");
		sys_close(pair[0]);
		sys_close(pair[1]);
		return r;
	}
	if (pid > 0) {
		sys_close(pair[1]);
		return wait_for(pair[0], e);
	}
	sys_close(pair[0]);
	*ready = pair[1];
	return leave_caller(e);
}

void detach_failed(int ready, const struct err *e)
{
	struct run_ready message = { .err = *e };

	send(ready, &message, sizeof(message), MSG_NOSIGNAL);
}
