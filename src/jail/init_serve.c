/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of purple-init, so freestanding, and no data: see there. One message is
 * taken at a time; the child of a request runs in our memory until its exec.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/err.h"
#include "jail/init_door.h"
#include "jail/init_protocol.h"
#include "jail/init_serve.h"
#include "jail/search.h"
#include "sys/files.h"
#include "sys/landlock.h"
#include "sys/process.h"

/* A child has stopped: it made us its tracer (PTRACE_TRACEME), and we will not be. */
static void untrace(long pid, int status)
{
	sys_call(SYS_ptrace, 17 /* PTRACE_DETACH */, pid, 0, WSTOPSIG(status));
}

/* One command, from the request to its exec. */
struct start {
	int fds[4]; /* the block; 0, 1 and 2 */
	uint32_t flags;
	char *dir, **argv, **envp;
	char *file; /* room for a path */
	int guard;  /* a ruleset of Landlock's to take on; -1 */

	/* What the child says; it runs in our memory, and we wait for its exec. */
	enum init_stage stage;
	int error;
};

struct server {
	int socket, guard;
	unsigned count;
	struct {
		int pid;
		uint32_t token;
	} commands[INIT_COMMANDS_MAX];
};

struct control {
	struct cmsghdr head;
	int fds[4];
};
_Static_assert(sizeof(struct cmsghdr) == 16, "descriptors follow the header without a gap");

/* @pidfd goes with it, unless -1. The supervisor's end closed: nothing to live for. */
static void tell(const struct server *s, struct init_message m, int pidfd)
{
	struct control control = {
		.head = { .cmsg_len = CMSG_LEN(sizeof(int)),
			  .cmsg_level = SOL_SOCKET,
			  .cmsg_type = SCM_RIGHTS },
		.fds = { pidfd },
	};
	struct iovec io = { &m, sizeof(m) };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1 };
	long r;

	if (pidfd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
	}
	do
		r = sys_call(SYS_sendmsg, s->socket, &msg, MSG_NOSIGNAL);
	while (r == -EINTR);
	if (r < 0)
		sys_exit(EXIT_PURPLE);
}

static void fail(const struct server *s, uint32_t token, enum init_stage stage, long code)
{
	tell(s, (struct init_message){ INIT_FAILED, token, stage, (int32_t)-code }, -1);
}

static void ended(struct server *s, int pid, int status)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->commands[i].pid != pid)
			continue;
		tell(s, (struct init_message){ INIT_EXITED, s->commands[i].token, 0, status }, -1);
		s->commands[i] = s->commands[--s->count];
		return;
	}
}

static void reap(struct server *s)
{
	int status;
	long pid;

	while ((pid = sys_call(SYS_wait4, -1, &status, WNOHANG, 0)) > 0) {
		if (WIFSTOPPED(status))
			untrace(pid, status);
		else
			ended(s, (int)pid, status);
	}
}

static int take_stdio(const int fds[3])
{
	int from[3];
	long r = 0;

	/* First out of each other's way. */
	for (int i = 0; i < 3 && r >= 0; i++) {
		from[i] = fds[i];
		if (from[i] <= 2)
			r = from[i] = (int)sys_call(SYS_fcntl, from[i], F_DUPFD_CLOEXEC, 3);
	}
	for (int i = 0; i < 3 && r >= 0; i++)
		r = sys_call(SYS_dup3, from[i], i, 0);
	return (int)r;
}

/* The child: what it leaves open, beside 0 to 2, closes by itself. */
static int command_main(void *arg)
{
	struct start *c = arg;
	uint64_t none = 0;
	long r = take_stdio(c->fds + 1);

	if (r >= 0) {
		c->stage = INIT_AT_TERMINAL;
		r = sys_call(SYS_setsid);
		if (r >= 0 && (c->flags & INIT_TTY))
			r = sys_call(SYS_ioctl, 0, TIOCSCTTY, 0);
	}
	if (r >= 0 && c->guard >= 0) {
		c->stage = INIT_AT_START;
		r = sys_landlock_restrict(c->guard);
	}
	if (r >= 0) {
		c->stage = INIT_AT_DIRECTORY;
		r = sys_call(SYS_chdir, c->dir);
	}
	if (r >= 0) {
		c->stage = INIT_AT_EXEC;
		sys_call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, 0, sizeof(none));
		r = search_exec(c->argv, c->envp, c->file, NULL);
	}
	c->error = (int)r;
	sys_exit(EXIT_NOT_EXEC);
}

/* The next @count strings of @text, which ends at @end, to @list and a NULL. */
static char *split(char *text, const char *end, char **list, uint32_t count)
{
	for (; text && count; count--) {
		*list++ = text;
		while (text < end && *text)
			text++;
		text = text < end ? text + 1 : NULL;
	}
	*list = NULL;
	return text;
}

enum { CHILD_STACK = 8192 };

/* Of a call that returns an address: the kernel's IS_ERR_VALUE(). */
static bool is_error(long r)
{
	return (unsigned long)r >= (unsigned long)-4095;
}

/*
 * One piece of memory for the child: its stack, room for a path, the lists,
 * the strings. Returns it with @c pointing into it, or -errno; @size is its
 * size.
 */
static long read_block(struct start *c, size_t *size)
{
	struct init_block head;
	size_t lists;
	char *memory, *text, *end, *only[2];
	long r = sys_call(SYS_pread64, c->fds[0], &head, sizeof(head), 0);

	if (r < 0)
		return r;
	if (r != sizeof(head) || head.size > INIT_BLOCK_MAX || head.size <= sizeof(head) ||
	    head.argc == 0 || head.argc > head.size || head.envc > head.size)
		return -EBADMSG;
	lists = (size_t)(head.argc + head.envc + 2) * sizeof(char *);
	*size = CHILD_STACK + PATH_MAX + lists + head.size;
	r = sys_call(SYS_mmap, 0, *size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (is_error(r))
		return r;
	memory = (char *)r;
	c->file = memory + CHILD_STACK;
	c->argv = (char **)(void *)(c->file + PATH_MAX);
	c->envp = c->argv + head.argc + 1;
	text = (char *)(c->envp + head.envc + 1);
	end = text + head.size;
	if (sys_call(SYS_pread64, c->fds[0], text, head.size, 0) == (long)head.size) {
		text = split(text + sizeof(head), end, only, 1);
		c->dir = only[0];
		text = split(text, end, c->argv, head.argc);
		if (split(text, end, c->envp, head.envc) == end)
			return r;
	}
	sys_call(SYS_munmap, memory, *size);
	return -EBADMSG;
}

static void start(struct server *s, struct start *c, uint32_t token)
{
	size_t size = 0;
	long memory = s->count < INIT_COMMANDS_MAX ? read_block(c, &size) : -EAGAIN;
	int pidfd = -1, pid;

	c->stage = INIT_AT_START;
	c->error = 0;
	if (is_error(memory))
		return fail(s, token, INIT_AT_START, memory);
	pid = sys_clone_fn(CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
			   (char *)memory + CHILD_STACK, &pidfd, command_main, c);
	sys_call(SYS_munmap, memory, size);
	if (pid < 0)
		return fail(s, token, INIT_AT_START, pid);
	if (c->error < 0) {
		while (sys_call(SYS_wait4, pid, 0, 0, 0) == -EINTR)
			;
		fail(s, token, c->stage, c->error);
	} else {
		s->commands[s->count].pid = pid;
		s->commands[s->count++].token = token;
		tell(s, (struct init_message){ INIT_STARTED, token, 0, pid }, pidfd);
	}
	sys_close(pidfd);
}

static void receive(struct server *s)
{
	struct init_message m;
	struct control control;
	struct iovec io = { &m, sizeof(m) };
	struct msghdr msg = { .msg_iov = &io,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct start c;
	long r = sys_call(SYS_recvmsg, s->socket, &msg, MSG_CMSG_CLOEXEC);
	size_t n = 0;

	if (r == -EINTR)
		return;
	if (r != sizeof(m) || m.type != INIT_EXEC) /* 0: the supervisor is gone */
		sys_exit(EXIT_PURPLE);
	if (msg.msg_controllen >= sizeof(control.head))
		n = (control.head.cmsg_len - sizeof(control.head)) / sizeof(int);
	for (size_t i = 0; i < n; i++)
		c.fds[i] = control.fds[i];
	c.flags = m.flags;
	c.guard = s->guard;
	if (n == ARRAY_SIZE(c.fds))
		start(s, &c, m.token);
	else /* the kernel gives fewer when our limit of open files is reached */
		fail(s, m.token, INIT_AT_START, -EMFILE);
	for (size_t i = 0; i < n; i++)
		sys_close(c.fds[i]);
}

/* What is open beside @keep, in order, is the launcher's, who may wait for its end. */
static void close_others(const int *keep, unsigned count)
{
	unsigned from = 0;

	for (unsigned i = 0; i < count; i++) {
		if (keep[i] < (int)from)
			continue;
		if (keep[i] > (int)from)
			sys_close_range(from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	sys_close_range(from, ~0u, 0);
}

void init_serve(int socket, int door, int guard)
{
	int keep[] = { socket, door, guard };
	const int wait[] = { socket, door };
	struct server s;

	s.socket = socket;
	s.guard = guard;
	s.count = 0;
	init_watch_children();
	for (unsigned i = 0; i < ARRAY_SIZE(keep); i++) {
		if (keep[i] >= 0)
			sys_call(SYS_fcntl, keep[i], F_SETFD, FD_CLOEXEC);
		for (unsigned k = i; k > 0 && keep[k] < keep[k - 1]; k--) {
			int less = keep[k];

			keep[k] = keep[k - 1];
			keep[k - 1] = less;
		}
	}
	close_others(keep, ARRAY_SIZE(keep));
	tell(&s, (struct init_message){ INIT_READY, 0, 0, 0 }, -1);
	for (;;) {
		unsigned ready = init_wait(wait);

		if (ready & 1)
			receive(&s);
		if (ready & 2)
			init_door(door);
		reap(&s);
	}
}

/* Waits for a child, and does meanwhile what is asked for at @door. */
static long wait_child(int *status, int door)
{
	const int wait[] = { door, -1 };

	for (;;) {
		long pid = sys_call(SYS_wait4, -1, status, door < 0 ? 0 : WNOHANG, 0);

		if (pid != 0)
			return pid;
		if (init_wait(wait))
			init_door(door);
	}
}

void init_await(int command, int status_fd, int door)
{
	int status = 0;

	if (door >= 0)
		init_watch_children();
	for (;;) {
		long pid = wait_child(&status, door);

		if (pid > 0 && WIFSTOPPED(status)) {
			untrace(pid, status);
			continue;
		}
		if (pid == command) {
			uint64_t report = (uint64_t)(uint32_t)status + 1;

			sys_write(status_fd, &report, sizeof(report));
			sys_exit(WIFEXITED(status) ? WEXITSTATUS(status)
						   : EXIT_SIGNAL_BASE + WTERMSIG(status));
		}
		if (pid < 0 && pid != -EINTR)
			sys_exit(EXIT_PURPLE); /* ECHILD: the command is gone, unseen */
	}
}
