/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of a sandbox that stays. purple-init starts each, the first one
 * too; it lives inside, so what it says is hostile: a token that we did not
 * give out and a message of another size are dropped.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "supervisor/give.h"
#include "supervisor/internal.h"
#include "sys/files.h"
#include "sys/pass.h"
#include "sys/process.h"

enum { START_MAX_MS = 10000, MESSAGES_AT_A_TIME = 512, PARENT_LOOKS = 50 };

int stay_prepare(struct supervisor *s, struct err *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "start", "make the socket of purple-init");
	s->init = pair[0];
	s->init_theirs = pair[1];
	sys_call(SYS_fcntl, s->init, F_SETFL, O_RDWR | O_NONBLOCK);
	s->launch->init_socket = s->init_theirs;
	return s->request->kind == SANDBOX_DETACHED ? output_open(s, e) : 0;
}

/* The directory that a command starts in, as the plan has it; as jail_place(). */
static const char *start_dir(const struct supervisor *s, char room[PATH_MAX])
{
	const char *dir = plan_string(s->plan, s->plan->working_dir), *work = s->launch->workspace;

	if (!dir)
		return work ? work : "/";
	if (dir[0] == '/' || !work)
		return dir;
	snprintf(room, PATH_MAX, "%s%s", work, dir + 1);
	return room;
}

/* NUL-terminated strings, one after the other. */
struct strings {
	const char *at, *end;
};

static const char *next_string(struct strings *s)
{
	const char *text = s->at, *nul = memchr(text, '\0', (size_t)(s->end - text));

	if (!nul)
		return NULL;
	s->at = nul + 1;
	return text;
}

/* The one of @extra that begins as @variable does up to its '=', or NULL. */
static const char *find_variable(struct strings extra, uint32_t count, const char *variable)
{
	size_t n = (size_t)(strchrnul(variable, '=') - variable) + 1;
	const char *v;

	while (count-- > 0 && (v = next_string(&extra)))
		if (strncmp(v, variable, n) == 0)
			return v;
	return NULL;
}

/*
 * The block for purple-init: the sandbox's own environment, then what @extra
 * adds or replaces. @cwd NULL or "": where every command starts.
 */
static int compose(const struct supervisor *s, struct buf *b, const char *cwd, struct strings args,
		   uint32_t argc, struct strings extra, uint32_t envc)
{
	struct init_block head = { .argc = argc };
	char room[PATH_MAX];
	const char *text;

	buf_add(b, &head, sizeof(head));
	text = cwd && *cwd ? cwd : start_dir(s, room);
	buf_add(b, text, strlen(text) + 1);
	for (uint32_t i = 0; i < argc; i++) {
		text = next_string(&args);
		if (!text)
			return -EBADMSG;
		buf_add(b, text, strlen(text) + 1);
	}
	for (char *const *v = s->launch->envp; *v; v++) {
		if (find_variable(extra, envc, *v))
			continue;
		text = trace_variable(s, *v);
		buf_add(b, text, strlen(text) + 1);
		head.envc++;
	}
	for (uint32_t i = 0; i < envc; i++) {
		text = next_string(&extra);
		if (!text || !strchr(text, '='))
			return -EBADMSG;
		text = trace_variable(s, text);
		buf_add(b, text, strlen(text) + 1);
		head.envc++;
	}
	if (b->failed)
		return -E2BIG;
	head.size = (uint32_t)b->len;
	memcpy(b->data, &head, sizeof(head));
	return 0;
}

static int find_free(const struct supervisor *s)
{
	for (int i = MAIN_COMMAND + 1; i < INIT_COMMANDS_MAX; i++)
		if (!s->commands[i].used)
			return i;
	return -EAGAIN;
}

static void forget(struct command *c)
{
	sys_close(c->pidfd);
	sys_close(c->master);
	sys_close(c->slave);
	free(c->trace);
	memset(c, 0, sizeof(*c));
}

/* A terminal for the descriptors in the mask @terminal, set up as @fds's is. */
static int open_terminal(struct supervisor *s, struct command *c, uint32_t terminal, int fds[3],
			 struct err *e)
{
	int from = fds[terminal & 1 ? 0 : terminal & 2 ? 1 : 2];
	struct termios t;
	struct winsize w;

	c->master = jail_open_pty(&s->jail, &c->slave, e);
	if (c->master < 0)
		return c->master;
	if (tcgetattr(from, &t) == 0)
		tcsetattr(c->slave, TCSANOW, &t);
	if (ioctl(from, TIOCGWINSZ, &w) == 0)
		ioctl(c->master, TIOCSWINSZ, &w);
	for (int i = 0; i <= 2; i++)
		if (terminal >> i & 1)
			fds[i] = c->slave;
	return 0;
}

/* Hand @block with @stdio for 0-2 to purple-init. Takes care of commands[@n]. */
static int request(struct supervisor *s, int n, const struct buf *block, uint32_t terminal,
		   const int stdio[3], struct err *e)
{
	struct command *c = &s->commands[n];
	int fds[4] = { -1, stdio[0], stdio[1], stdio[2] };
	struct init_message m = { .type = INIT_EXEC };
	int r;

	*c = (struct command){ .used = true, .pidfd = -1, .client = -1, .master = -1, .slave = -1 };
	c->overdue_at = supervisor_now() + START_MAX_MS;
	c->token = m.token = (s->next_token++ << 8) + (uint32_t)n;
	str_copy(c->name, sizeof(c->name),
		 block->data + sizeof(struct init_block) +
			 strlen(block->data + sizeof(struct init_block)) + 1);
	r = terminal ? open_terminal(s, c, terminal, fds + 1, e) : 0;
	if (r == 0) {
		if (terminal & 1)
			m.flags = INIT_TTY;
		fds[0] = (int)sys_call(SYS_memfd_create, "command", 1 /* MFD_CLOEXEC */);
		r = fds[0] < 0 ? fds[0] : write_full(fds[0], block->data, block->len);
	}
	if (r == 0) {
		stdio_give(s->launch, s->plan->idmap, fds + 1);
		r = sys_pass_packet(s->init, &m, sizeof(m), fds, ARRAY_SIZE(fds), MSG_DONTWAIT);
	}
	sys_close(fds[0]);
	if (r < 0) {
		err_set(e, r, "exec", "hand the command to purple-init");
		forget(c);
	}
	return r;
}

static int start_main(struct supervisor *s, struct err *e)
{
	_cleanup_buf_ struct buf args = BUF_INIT(INIT_BLOCK_MAX), block = BUF_INIT(INIT_BLOCK_MAX);
	bool detached = s->request->kind == SANDBOX_DETACHED;
	uint32_t argc = 0, terminal = 0;
	static const int own[3] = { 0, 1, 2 };
	struct strings none = { "", "" };
	int r;

	if (detached)
		terminal = s->request->terminal ? CONTROL_TTY_MASK : 0;
	else if (s->plan->steps & STEP_PTY)
		terminal = s->launch->terminal;
	for (char *const *a = s->launch->argv; *a; a++, argc++)
		buf_add(&args, *a, strlen(*a) + 1);
	r = args.failed
		    ? -E2BIG
		    : compose(s, &block, NULL, (struct strings){ args.data, args.data + args.len },
			      argc, none, 0);
	if (r < 0)
		return err_set(e, r, "exec", "%.64s", s->launch->argv[0]);
	r = request(s, MAIN_COMMAND, &block, terminal, detached ? s->theirs : own, e);
	for (int i = 0; i <= 2; i++)
		sys_close(TAKE_FD(s->theirs[i]));
	return r;
}

/* What the client sent: sizes and counts are checked here, strings by compose(). */
static int read_block(int fd, char *small, size_t room, char **large, struct init_block *head)
{
	char *data = small;
	struct stat st;
	long n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(*head))
		return -EBADMSG;
	if (st.st_size > INIT_BLOCK_MAX)
		return -E2BIG;
	if ((size_t)st.st_size > room && !(data = *large = malloc((size_t)st.st_size)))
		return -ENOMEM;
	n = sys_call(SYS_pread64, fd, data, st.st_size, 0);
	if (n != st.st_size)
		return n < 0 ? (int)n : -EBADMSG;
	memcpy(head, data, sizeof(*head));
	return head->size == (size_t)n && head->argc > 0 && head->argc <= head->size &&
			       head->envc <= head->size
		       ? 0
		       : -EBADMSG;
}

static void emit_exec(struct supervisor *s, int client, const char *cwd, struct strings args,
		      uint32_t argc)
{
	struct event ev = { .type = EV_EXEC_REQUESTED };
	struct strings rest = args;

	while (argc-- > 0 && next_string(&rest))
		;
	event_list(&ev, EF_COMMAND, args.at, (size_t)(rest.at - args.at));
	event_text(&ev, EF_CWD, cwd[0] ? cwd : NULL);
	event_number(&ev, EF_UID, s->clients[client].peer.uid);
	event_number(&ev, EF_PID, (uint64_t)s->clients[client].peer.pid);
	supervisor_emit(s, &ev);
}

int stay_exec(struct supervisor *s, int client, uint32_t terminal, const int fds[4], struct err *e)
{
	_cleanup_buf_ struct buf block = BUF_INIT(INIT_BLOCK_MAX);
	static _cold_data_ char small[CONTROL_PAYLOAD_MAX];
	_cleanup_free_ char *large = NULL;
	_cleanup_free_ struct trace_exec *trace = NULL;
	struct init_block head = { 0 };
	struct strings args, extra;
	const char *cwd = NULL;
	int n = find_free(s), r;

	if (n < 0)
		return err_set(e, EPROTO, "exec", "%d commands run in %s already",
			       INIT_COMMANDS_MAX - 1, s->state.name);
	r = jail_check_stdio(fds + 1, e);
	if (r < 0)
		return r;
	r = read_block(fds[0], small, sizeof(small), &large, &head);
	if (r == 0) {
		const char *data = large ? large : small;

		args = (struct strings){ data + sizeof(head), data + head.size };
		cwd = next_string(&args);
		extra = args;
		for (uint32_t i = 0; i < head.argc && cwd; i++)
			if (!next_string(&extra))
				cwd = NULL;
		if (cwd)
			trace = trace_exec_begin(s, args.at, (size_t)(extra.at - args.at),
						 find_variable(extra, head.envc, "TRACEPARENT="));
		r = cwd ? compose(s, &block, cwd, args, head.argc, extra, head.envc) : -EBADMSG;
	}
	if (r < 0)
		return err_set(e, r, "exec", "read what to execute");
	r = request(s, n, &block, terminal, fds + 1, e);
	if (r < 0)
		return r;
	s->commands[n].client = client;
	s->commands[n].trace = TAKE_PTR(trace);
	emit_exec(s, client, cwd, args, head.argc);
	if (!s->start_at)
		s->start_at = s->commands[n].overdue_at;
	return n;
}

int stay_signal(struct supervisor *s, int command, int sig)
{
	struct command *c = &s->commands[command];

	if (!c->used)
		return -ESRCH;
	if (!c->started && c->pending != SIGKILL)
		c->pending = sig;
	return c->pidfd >= 0 ? sys_pidfd_signal(c->pidfd, sig) : 0;
}

void stay_abandon(struct supervisor *s, int command)
{
	struct command *c = &s->commands[command];

	c->client = -1;
	stay_signal(s, command, SIGKILL);
}

/*
 * A process inside can stop a command between its clone and its exec, and with
 * it purple-init. The client shall not wait for ever. What starts late is killed
 * by take(), where nobody knows its token any more.
 */
uint64_t stay_overdue(struct supervisor *s, uint64_t now)
{
	uint64_t next = 0;

	for (int i = MAIN_COMMAND + 1; i < INIT_COMMANDS_MAX; i++) {
		struct command *c = &s->commands[i];
		int client = c->client;
		struct err e = { 0 };

		if (!c->used || c->started)
			continue;
		if (s->phase == SANDBOX_PAUSED)
			c->overdue_at = now + START_MAX_MS;
		if (now < c->overdue_at) {
			next = next ? MIN(next, c->overdue_at) : c->overdue_at;
			continue;
		}
		err_set(&e, EPROTO, "exec", "%s did not start within %d s", c->name,
			START_MAX_MS / 1000);
		trace_exec_end(s, c, 0, e.message);
		err_remedy(&e, "something in the sandbox holds it up, or the machine is very busy; "
			       "`purple stop` still ends it");
		forget(c);
		if (client < 0)
			continue;
		s->clients[client].command = NO_COMMAND;
		client_error(s, client, &e);
	}
	return next;
}

static struct command *find(struct supervisor *s, uint32_t token)
{
	unsigned n = token & 0xff;

	if (n >= INIT_COMMANDS_MAX || !s->commands[n].used || s->commands[n].token != token)
		return NULL;
	return &s->commands[n];
}

/* The sandbox's own command runs: its terminal is ours. */
static void main_started(struct supervisor *s, struct command *c)
{
	s->tally.released = tally_now();
	supervisor_event(s, LIFE_STARTED);
	supervisor_watch_time(s);
	supervisor_ready(s);
	if (c->master < 0)
		return;
	if (s->request->kind == SANDBOX_DETACHED) {
		s->output.fds[0] = TAKE_FD(c->master);
		s->output.slave = TAKE_FD(c->slave);
		s->output.terminal = true;
		return;
	}
	s->jail.pty_fd = TAKE_FD(c->master); /* closed with the jail's, and the slave too */
	s->jail.slave_fd = TAKE_FD(c->slave);
	pty_open(&s->pty, s->jail.pty_fd, s->launch->terminal);
}

static bool read_text(const char *path, char *text, size_t size)
{
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	long n = fd < 0 ? fd : sys_read(fd, text, size - 1);

	sys_close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

static void started(struct supervisor *s, struct command *c, const struct init_message *m,
		    int pidfd)
{
	struct control_message reply = { .head = CONTROL_HEAD(CONTROL_STARTED, m->value, 0) };
	int terminal[2] = { c->master, c->slave };

	if (c->started) {
		sys_close(pidfd);
		return;
	}
	c->started = true;
	c->pidfd = pidfd;
	if (c->pending)
		sys_pidfd_signal(pidfd, c->pending);
	if (c == &s->commands[MAIN_COMMAND])
		return main_started(s, c);
	/* Without a terminal to hand over, the end is all that the client waits for. */
	if (c->client >= 0 && c->master >= 0 &&
	    control_send(s->clients[c->client].fd, &reply, terminal, 2, MSG_DONTWAIT) < 0)
		client_close(s, c->client);
	sys_close(TAKE_FD(c->master));
	sys_close(TAKE_FD(c->slave));
}

static void failed(struct supervisor *s, struct command *c, const struct init_message *m)
{
	static const char *const what[] = {
		[INIT_AT_START] = "start a process for",
		[INIT_AT_TERMINAL] = "take on the terminal of",
		[INIT_AT_DIRECTORY] = "enter the working directory of",
	};
	int client = c->client, code = m->value < 0 ? m->value : -m->value;
	struct err e = { 0 };

	if (code < -4095) /* no errno at all; and INT_MIN has no negative */
		code = -EPROTO;
	if (m->flags < ARRAY_SIZE(what))
		err_set(&e, code ? code : -EPROTO, "exec", "%s %s", what[m->flags], c->name);
	else
		jail_exec_failed(&e, code ? code : -EPROTO, c->name);
	if (m->flags == INIT_AT_DIRECTORY)
		err_remedy(&e, "it is looked up inside the sandbox; `purple plan` lists what is "
			       "mounted there");
	if (c == &s->commands[MAIN_COMMAND]) {
		s->jail.err = e;
		forget(c);
		supervisor_event(s, LIFE_FAILED);
		return;
	}
	trace_exec_end(s, c, 0, e.message);
	forget(c);
	if (client < 0)
		return;
	s->clients[client].command = NO_COMMAND;
	client_error(s, client, &e);
}

static void exited(struct supervisor *s, struct command *c, int status)
{
	int client = c->client;

	if (c == &s->commands[MAIN_COMMAND]) {
		if (!s->main_ended)
			s->main_status = status;
		s->main_ended = true;
		trace_command_ended(s);
		sys_close(TAKE_FD(c->pidfd));
		supervisor_event(s, LIFE_EXITED);
		return;
	}
	trace_exec_end(s, c, status, NULL);
	forget(c);
	if (client < 0)
		return;
	s->clients[client].command = NO_COMMAND;
	if (control_send_value(s->clients[client].fd, CONTROL_EXITED, (uint32_t)status,
			       MSG_DONTWAIT) < 0)
		client_close(s, client);
}

static void ready(struct supervisor *s)
{
	struct err e = { 0 };

	if (s->ready)
		return;
	s->ready = true;
	sys_close(TAKE_FD(s->init_theirs));
	if (s->request->kind == SANDBOX_CREATED) {
		s->tally.released = tally_now();
		supervisor_event(s, LIFE_STARTED);
		supervisor_watch_time(s);
		supervisor_ready(s);
	} else if (start_main(s, &e) < 0) {
		s->jail.err = e;
		supervisor_event(s, LIFE_FAILED);
	}
}

/* As the process's parent: 0 while it is being forgotten, or when it cannot be seen. */
static long parent_of(long pid)
{
	char path[32], text[512];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	at = read_text(path, text, sizeof(text)) ? strrchr(text, ')') : NULL;
	/* "1 (name) S 2": a name may hold anything. */
	return at && strlen(at) > 4 ? strtol(at + 4, NULL, 10) : 0;
}

/*
 * Is @fd a pidfd of a child of our PID 1, as what it starts is? It may have got
 * another one, SO_PEERPIDFD of whoever gave it a socket, for us to signal. One
 * that has been waited for, -1, is nobody's. proc_pid_fdinfo(5), proc_pid_stat(5).
 */
static bool is_child_inside(const struct supervisor *s, int fd)
{
	char path[48], text[512];
	const char *at;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	for (int i = 0; i < PARENT_LOOKS; i++) {
		long pid, parent;

		at = read_text(path, text, sizeof(text)) ? strstr(text, "\nPid:\t") : NULL;
		pid = at ? strtol(at + 6, NULL, 10) : 0;
		if (pid <= 0)
			return pid == -1;
		parent = parent_of(pid);
		if (parent != 0)
			return parent == s->jail.pid1;
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	return false;
}

/* One message; @fd came with it, or -1. */
static void take(struct supervisor *s, const struct init_message *m, int fd)
{
	struct command *c = find(s, m->token);

	if (m->type == INIT_STARTED && fd >= 0 && !is_child_inside(s, fd))
		sys_close(TAKE_FD(fd));
	if (m->type == INIT_STARTED && c && fd >= 0)
		return started(s, c, m, fd);
	if (m->type == INIT_STARTED && fd >= 0)
		sys_pidfd_signal(fd, SIGKILL); /* given up: see stay_overdue() */
	sys_close(fd);
	if (m->type == INIT_READY)
		ready(s);
	else if (m->type == INIT_FAILED && c && !c->started)
		failed(s, c, m);
	else if (m->type == INIT_EXITED && c && c->started)
		exited(s, c, m->value);
}

/* No more at a time than fits into the socket: it may never stop, and clocks go on. */
void stay_handle(struct supervisor *s)
{
	for (int i = 0; i < MESSAGES_AT_A_TIME && s->init >= 0; i++) {
		struct init_message m;
		struct iovec iov = { &m, sizeof(m) };
		union {
			char room[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control;
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control.room,
				      /* CMSG_SPACE has room for two, of which one would leak. */
				      .msg_controllen = CMSG_LEN(sizeof(int)) };
		ssize_t n = recvmsg(s->init, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		int fd = -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			/* It has closed its end: it is gone, or as good as that. */
			sys_close(TAKE_FD(s->init));
			return;
		}
		if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		if (n == sizeof(m))
			take(s, &m, fd);
		else
			sys_close(fd);
	}
}

void stay_end(struct supervisor *s)
{
	if (!s->request->stays)
		return;
	for (int i = 0; i < INIT_COMMANDS_MAX; i++) {
		struct command *c = &s->commands[i];

		if (!c->used)
			continue;
		/* The end of the sandbox was its end. */
		if (c->client >= 0) {
			s->clients[c->client].command = NO_COMMAND;
			control_send_value(s->clients[c->client].fd, CONTROL_EXITED, SIGKILL,
					   MSG_DONTWAIT);
		}
		trace_exec_end(s, c, SIGKILL, NULL);
		forget(c);
	}
	for (int i = 0; i <= 2; i++)
		sys_close(TAKE_FD(s->theirs[i]));
	sys_close(TAKE_FD(s->init));
	sys_close(TAKE_FD(s->init_theirs));
}
