/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: see control.h. Never waits for a client. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "supervisor/internal.h"
#include "sys/files.h"
#include "sys/process.h"

enum { SIGNAL_MAX = 64 }; /* SIGRTMAX of the kernel, signal(7) */

void server_init(struct supervisor *s)
{
	s->served = true;
	s->snapshot.client = -1;
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		s->clients[i] = (struct client){ .fd = -1, .command = NO_COMMAND };
}

void client_close(struct supervisor *s, int n)
{
	struct client *c = &s->clients[n];

	if (c->command != NO_COMMAND)
		stay_abandon(s, c->command);
	if (s->output.client == n) {
		s->output.client = -1;
		s->output.pending.head.size = 0;
		s->output.stuck_since = 0;
	}
	network_forget(s, n);
	snapshot_abandon(s, n);
	sys_close(c->fd);
	*c = (struct client){ .fd = -1, .command = NO_COMMAND };
}

void client_send(struct supervisor *s, int n, const struct control_message *m, const int *fds,
		 unsigned nfds)
{
	if (control_send(s->clients[n].fd, m, fds, nfds, MSG_DONTWAIT) < 0)
		client_close(s, n);
}

static void reply(struct supervisor *s, int n, const struct control_message *m)
{
	client_send(s, n, m, NULL, 0);
}

static void reply_ok(struct supervisor *s, int n, uint32_t value)
{
	struct control_message m = { .head = CONTROL_HEAD(CONTROL_OK, value, 0) };

	reply(s, n, &m);
}

void client_error(struct supervisor *s, int n, const struct err *e)
{
	struct control_message m = { .head = CONTROL_HEAD(CONTROL_ERROR, 0, sizeof(m.err)) };

	m.err = *e;
	reply(s, n, &m);
}

static void refuse(struct supervisor *s, int n, const char *message, const char *remedy)
{
	struct err e = { 0 };

	err_set(&e, EPROTO, s->state.name, "%s", message);
	if (remedy)
		err_remedy(&e, "%s", remedy);
	client_error(s, n, &e);
}

static const char *phase_now(const struct supervisor *s)
{
	static const char *const texts[SANDBOX_PHASES] = {
		[SANDBOX_STARTING] = "the sandbox is still starting",
		[SANDBOX_RUNNING] = "the sandbox is running",
		[SANDBOX_PAUSED] = "the sandbox is paused",
		[SANDBOX_STOPPING] = "the sandbox is being stopped",
		[SANDBOX_ENDED] = "the sandbox has ended",
	};

	return snapshot_is_made(s) ? "a snapshot of it is being made" : texts[s->phase];
}

static void on_stop(struct supervisor *s, int n, const struct control_message *m)
{
	uint32_t grace = m->head.value;

	if (grace == CONTROL_GRACE_POLICY)
		grace = s->plan->limits.grace_s * 1000;
	supervisor_stop(s, SIGTERM, grace, "stopped", -1);
	reply_ok(s, n, 0);
}

static void on_kill(struct supervisor *s, int n, const struct control_message *m)
{
	int sig = m->head.value ? (int)m->head.value : SIGKILL;

	if (m->head.value > SIGNAL_MAX)
		return refuse(s, n, "there is no such signal", NULL);
	if (sig == SIGKILL) {
		if (!s->why) {
			s->why = "killed";
			s->status_for_why = -1;
		}
		supervisor_event(s, LIFE_KILL);
	} else if (s->request->kind == SANDBOX_CREATED) {
		group_signal(s, sig);
	} else if (s->request->stays) {
		stay_signal(s, MAIN_COMMAND, sig);
	} else {
		sys_pidfd_signal(s->jail.command_fd, sig);
	}
	reply_ok(s, n, 0);
}

static void on_pause(struct supervisor *s, int n, enum life_event event)
{
	struct err e = { 0 };
	int r;

	if (snapshot_is_made(s))
		return refuse(s, n, "a snapshot of it is being made", "try it again");
	r = supervisor_event(s, event);
	if (r == -EBUSY)
		return refuse(s, n, phase_now(s), NULL);
	if (r == 0)
		return reply_ok(s, n, 0);
	err_set(&e, r, s->state.name, "stop all its processes");
	client_error(s, n, &e);
}

static void on_stats(struct supervisor *s, int n)
{
	struct control_message m = {
		.head = CONTROL_HEAD(CONTROL_STATS_ARE, 0, sizeof(m.stats)),
	};

	tally(s);
	group_usage(s, &m.stats.usage);
	tally_keep(s, &m.stats.usage);
	m.stats.from_cgroup = s->has_leaf;
	m.stats.commands = s->request->stays ? 0 : 1;
	for (int i = 0; s->request->stays && i < INIT_COMMANDS_MAX; i++)
		m.stats.commands += s->commands[i].used && s->commands[i].started;
	m.stats.memory_limit = s->plan->limits.memory;
	m.stats.pids_limit = s->plan->limits.pids;
	m.stats.cpu_limit_us = s->plan->limits.cpu_millis * 1000;
	m.stats.has_network = s->plan->network.flags & PN_ON ? 1 : 0;
	tally_network_read(s, &m.stats.network);
	m.stats.audit_lost = s->trail.lost_total;
	memcpy(m.stats.events, s->events.counts, sizeof(m.stats.events));
	reply(s, n, &m);
}

static void on_denials(struct supervisor *s, int n)
{
	struct control_message m = { .head = CONTROL_HEAD(CONTROL_DENIALS_ARE, 0, 0) };
	int fd = (int)sys_call(SYS_memfd_create, "denials", MFD_CLOEXEC), r = fd;
	struct err e = { 0 };

	if (fd >= 0)
		r = write_full(fd, &s->denials, sizeof(s->denials));
	if (r == 0) {
		client_send(s, n, &m, &fd, 1);
	} else {
		err_set(&e, r, s->state.name, "write down what was refused");
		client_error(s, n, &e);
	}
	sys_close(fd);
}

static void on_exec(struct supervisor *s, int n, const struct control_message *m, const int *fds,
		    unsigned nfds)
{
	struct err e = { 0 };
	int r;

	if (!s->request->stays)
		return refuse(s, n, "it was started without a name, and takes no other command",
			      "start it with --name: purple run --name NAME -- …");
	/* Starting: the first command may have spoken before we heard that it runs. */
	if (s->phase != SANDBOX_RUNNING && !(s->phase == SANDBOX_STARTING && s->ready))
		return refuse(s, n, phase_now(s),
			      snapshot_is_made(s)	   ? "try it again"
			      : s->phase == SANDBOX_PAUSED ? "`purple resume` lets it go on"
							   : NULL);
	if (nfds != CONTROL_FDS_MAX || m->head.value & ~(uint32_t)CONTROL_TTY_MASK ||
	    s->clients[n].command != NO_COMMAND)
		return refuse(s, n, "a request that makes no sense", NULL);
	r = stay_exec(s, n, m->head.value, fds, &e);
	if (r < 0)
		client_error(s, n, &e);
	else
		s->clients[n].command = r;
}

static void on_attach(struct supervisor *s, int n)
{
	if (s->request->kind == SANDBOX_FOREGROUND)
		return refuse(s, n,
			      "it runs in the foreground, at the terminal that it was started from",
			      "purple exec NAME -- sh starts a shell in it");
	if (s->request->kind == SANDBOX_CREATED)
		return refuse(s, n, "it has no command of its own to attach to",
			      "purple exec NAME -- sh starts a shell in it");
	if (s->phase != SANDBOX_RUNNING && s->phase != SANDBOX_PAUSED)
		return refuse(s, n, phase_now(s), NULL);
	if (s->output.client >= 0)
		return refuse(s, n, "somebody is attached to it already", NULL);
	s->clients[n].attached = s->clients[n].waits = true;
	s->output.client = n;
	reply_ok(s, n, s->output.terminal);
}

/* One that comes when its command has just ended is nobody's, least of all the first one's. */
static void on_command_signal(struct supervisor *s, int n, uint32_t sig)
{
	const struct client *c = &s->clients[n];

	if (sig < 1 || sig > SIGNAL_MAX)
		return;
	if (c->command != NO_COMMAND)
		stay_signal(s, c->command, (int)sig);
	else if (c->attached)
		stay_signal(s, MAIN_COMMAND, (int)sig);
}

static void on_resize(struct supervisor *s, int n, uint32_t value)
{
	struct winsize w = { .ws_row = (unsigned short)(value >> 16),
			     .ws_col = (unsigned short)(value & 0xffff) };

	if (s->clients[n].attached && s->output.terminal)
		ioctl(s->output.fds[0], TIOCSWINSZ, &w);
}

static void on_intent(struct supervisor *s, int n, const char *text, size_t len)
{
	struct err e = { 0 };

	if (intent_take(s, n, text, len, &e) < 0)
		client_error(s, n, &e);
	else
		reply_ok(s, n, 0);
}

static void on_snapshot(struct supervisor *s, int n, const char *label, size_t len)
{
	struct control_message m;
	struct err e = { 0 };

	if (snapshot_begin(s, n, label, len, &m, &e) < 0)
		client_error(s, n, &e);
	else
		reply(s, n, &m);
}

static void on_copied(struct supervisor *s, int n, uint32_t number)
{
	struct err e = { 0 };

	if (snapshot_end(s, n, number, &e) < 0)
		client_error(s, n, &e);
	else
		reply_ok(s, n, 0);
}

static void on_request(struct supervisor *s, int n, const struct control_message *m, const int *fds,
		       unsigned nfds)
{
	size_t len = m->head.size - sizeof(m->head);

	switch ((enum control_type)m->head.type) {
	case CONTROL_STOP:
		return on_stop(s, n, m);
	case CONTROL_KILL:
		return on_kill(s, n, m);
	case CONTROL_PAUSE:
		return on_pause(s, n, LIFE_PAUSE);
	case CONTROL_RESUME:
		return on_pause(s, n, LIFE_RESUME);
	case CONTROL_STATS:
		return on_stats(s, n);
	case CONTROL_WAIT:
		s->clients[n].waits = true;
		return;
	case CONTROL_EXEC:
		return on_exec(s, n, m, fds, nfds);
	case CONTROL_ATTACH:
		return on_attach(s, n);
	case CONTROL_SIGNAL:
		return on_command_signal(s, n, m->head.value);
	case CONTROL_INPUT:
		if (s->clients[n].attached && !output_input(s, m->bytes, len))
			client_close(s, n);
		return;
	case CONTROL_NET_SHOW:
	case CONTROL_NET_ALLOW:
	case CONTROL_NET_DENY:
		return network_request(s, n, m);
	case CONTROL_INTENT:
		return on_intent(s, n, m->bytes, len);
	case CONTROL_DENIALS:
		return on_denials(s, n);
	case CONTROL_SNAPSHOT:
		return on_snapshot(s, n, m->bytes, len);
	case CONTROL_COPIED:
		return on_copied(s, n, m->head.value);
	case CONTROL_RESIZE:
		return on_resize(s, n, m->head.value);
	default:
		refuse(s, n, "a request that makes no sense", NULL);
		client_close(s, n);
	}
}

static void on_client(struct supervisor *s, int n)
{
	static _cold_data_ struct control_message m;
	int fds[CONTROL_FDS_MAX], r;
	unsigned nfds = CONTROL_FDS_MAX;

	r = control_receive(s->clients[n].fd, &m, fds, &nfds, MSG_DONTWAIT);
	if (r == -EAGAIN)
		return;
	if (r == -EBADMSG)
		refuse(s, n, "a message that is none of Purple's", NULL);
	if (r <= 0) {
		client_close(s, n);
		return;
	}
	s->clients[n].heard = ++s->heard;
	on_request(s, n, &m, fds, nfds);
	for (unsigned i = 0; i < nfds; i++)
		sys_close(fds[i]);
}

/* A free place; else that of whoever has waited for nothing for longest. -1: none. */
static int make_room(struct supervisor *s)
{
	int idle = -1;

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const struct client *c = &s->clients[i];

		if (c->fd < 0)
			return i;
		if (c->command == NO_COMMAND && !c->waits && i != s->snapshot.client &&
		    (idle < 0 || c->heard < s->clients[idle].heard))
			idle = i;
	}
	if (idle < 0)
		return -1;
	refuse(s, idle, "cut off: it has asked for nothing, and others wait", NULL);
	client_close(s, idle);
	return idle;
}

static void on_listener(struct supervisor *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), n;
	struct control_message m = { .head = CONTROL_HEAD(CONTROL_ERROR, 0, sizeof(m.err)) };
	struct ucred peer;

	if (fd < 0)
		return;
	if (peer_check(fd, &peer, &m.err) < 0) {
		control_send(fd, &m, NULL, 0, MSG_DONTWAIT);
		sys_close(fd);
		return;
	}
	n = make_room(s);
	if (n < 0) {
		err_set(&m.err, EBUSY, s->state.name,
			"%d wait for it or run commands in it already", CONTROL_CLIENTS_MAX);
		control_send(fd, &m, NULL, 0, MSG_DONTWAIT);
		sys_close(fd);
		return;
	}
	s->clients[n].fd = fd;
	s->clients[n].peer = peer;
	s->clients[n].heard = ++s->heard;
	on_client(s, n); /* mostly it has said already what it wants */
}

unsigned server_prepare(struct supervisor *s, struct pollfd *fds)
{
	bool open = s->request->stays ? s->ready : true;

	/* The first free place is taken, so the last one in use is near. */
	s->polled = CONTROL_CLIENTS_MAX;
	while (s->polled > 0 && s->clients[s->polled - 1].fd < 0)
		s->polled--;
	for (unsigned i = 0; i < s->polled; i++) {
		struct client *c = &s->clients[i];
		struct pollfd *p = &fds[1 + i];

		*p = (struct pollfd){ .fd = c->fd, .events = POLLIN };
		if (c->attached && s->output.pending.head.size)
			p->events |= POLLOUT;
		/* What it typed waits for the terminal to take it. */
		if (c->attached && s->output.input_len)
			p->events &= ~POLLIN;
	}
	/* While PID 1 shares our descriptors, nothing is opened. */
	fds[0] = (struct pollfd){ .fd = open ? s->listener : -1, .events = POLLIN };
	return 1 + s->polled;
}

void server_handle(struct supervisor *s, const struct pollfd *fds)
{
	for (unsigned i = 0; i < s->polled; i++) {
		if (fds[1 + i].fd < 0 || fds[1 + i].fd != s->clients[i].fd)
			continue;
		if (fds[1 + i].revents & POLLOUT)
			output_send(s);
		if (fds[1 + i].revents & (POLLIN | POLLHUP | POLLERR) && s->clients[i].fd >= 0)
			on_client(s, (int)i);
	}
	if (fds[0].revents && s->listener >= 0)
		on_listener(s);
}

void server_end(struct supervisor *s)
{
	struct control_message m = { .head = CONTROL_HEAD(CONTROL_ENDED, 0, sizeof(m.ended)) };

	if (!s->served)
		return;
	m.ended.exit_status = s->out->exit_status;
	str_copy(m.ended.reason, sizeof(m.ended.reason),
		 s->out->reason ? s->out->reason : "not started");
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (s->clients[i].fd < 0)
			continue;
		if (s->clients[i].waits)
			control_send(s->clients[i].fd, &m, NULL, 0, MSG_DONTWAIT);
		s->clients[i].command = NO_COMMAND;
		client_close(s, i);
	}
}
