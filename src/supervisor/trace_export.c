/* SPDX-License-Identifier: Apache-2.0 */
/* purple-otlp for this sandbox: event/otlp.h. What it says is a server's words, and hostile. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "event/span.h"
#include "supervisor/internal.h"
#include "sys/files.h"

#define PROGRAM "purple-otlp"

_Static_assert((int)HELPER_CONTROL_FD == OTLP_CONTROL_FD && (int)HELPER_OTHER_FD == OTLP_COUNTS_FD,
	       "where it finds them");

enum { RESOURCE_MAX = 16 << 10, OUT_OF_THE_WAY = 16 };

static void lose(struct supervisor *s, uint64_t count, const char *why)
{
	struct trace *t = &s->trace;

	t->dropped += count;
	if (s->tally.totals)
		__atomic_fetch_add(&s->tally.totals->spans[SPAN_DROPPED], count, __ATOMIC_RELAXED);
	if (count && why)
		str_copy(t->why, sizeof(t->why), why);
}

/* Above the numbers that the new program gets them by. Takes @fd. */
static int move_up(int fd)
{
	int up = fd < 0 ? fd : (int)sys_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);

	sys_close(fd);
	return up;
}

static int open_counts(const struct supervisor *s)
{
	int all, fd;

	if (!s->tally.totals) /* there is none, or it is another version's */
		return -ENOENT;
	if (s->all >= 0)
		return totals_open(s->all);
	all = s->request->runtime ? state_open_all(s->request->runtime, false) : -ENOENT;
	fd = all < 0 ? all : totals_open(all);
	sys_close(all);
	return fd;
}

static int configure(const struct supervisor *s)
{
	_cleanup_buf_ struct buf b = BUF_INIT(RESOURCE_MAX);
	const struct otlp_head head = {
		.type = OTLP_CONFIG,
		.flags = s->plan->tracing.flags & PT_CALLER ? OTLP_CALLER : 0,
		.counts_at = offsetof(struct totals, spans),
	};
	const char *endpoint = plan_string(s->plan, s->plan->tracing.endpoint);
	const char *name = s->state.name[0] ? s->state.name : s->state.id;
	struct span_writer w = { .b = &b };

	buf_add(&b, &head, sizeof(head));
	buf_add(&b, endpoint ? endpoint : "", endpoint ? strlen(endpoint) + 1 : 1);
	span_text(&w, "service.instance.id", s->state.id);
	span_text(&w, "purple.sandbox.id", s->state.id);
	span_text(&w, "purple.sandbox.name", name);
	span_text(&w, "purple.profile", plan_string(s->plan, s->plan->profile));
	buf_add(&b, "", 1);
	if (b.failed)
		return -ENOMEM;
	return send(s->trace.fd, b.data, b.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void start(struct supervisor *s)
{
	struct trace *t = &s->trace;
	char program[PATH_MAX];
	int pair[2], counts, r;

	t->again_at = supervisor_now() + TRACE_AGAIN_MS;
	t->sent = 0;
	memset(&t->told, 0, sizeof(t->told));
	if (!supervisor_program(s, PROGRAM, program, sizeof(program)) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	t->fd = move_up(pair[0]);
	pair[1] = move_up(pair[1]);
	counts = move_up(open_counts(s));
	r = t->fd < 0 || pair[1] < 0 ? -EMFILE : configure(s); /* it looks for that at once */
	if (r == 0)
		r = helper_spawn(program, PROGRAM, pair[1], counts, &t->pid);
	sys_close(pair[1]);
	sys_close(counts);
	if (r < 0)
		sys_close(TAKE_FD(t->fd));
}

/* What it has said since. False: it has ended. */
static bool hear(struct trace *t)
{
	struct otlp_told told;

	for (;;) {
		ssize_t n = recv(t->fd, &told, sizeof(told), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n != sizeof(told))
			return false;
		told.why[sizeof(told.why) - 1] = '\0';
		/* It can neither un-count nor have had more than it was given. */
		if (told.exported > t->sent || told.dropped > t->sent - told.exported)
			return false;
		t->told = told;
	}
}

/* It is gone, or done. What it has not told of is lost. */
static void bury(struct supervisor *s)
{
	struct trace *t = &s->trace;
	uint64_t unknown;

	hear(t);
	unknown = t->sent - t->told.exported - t->told.dropped;
	t->exported += t->told.exported;
	t->dropped += t->told.dropped;
	if (t->told.why[0])
		str_copy(t->why, sizeof(t->why), t->told.why);
	lose(s, unknown, PROGRAM " died");
	sys_close(TAKE_FD(t->fd));
	if (t->pid > 0) {
		kill(t->pid, SIGKILL);
		while (waitpid(t->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	t->pid = 0;
	t->sent = 0;
	memset(&t->told, 0, sizeof(t->told));
}

void trace_send(struct supervisor *s, const struct buf *span)
{
	struct otlp_head head = { .type = OTLP_SPAN };
	struct iovec parts[] = { { &head, sizeof(head) }, { span->data, span->len } };
	const struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	struct trace *t = &s->trace;

	if (t->fd >= 0 && !hear(t))
		bury(s);
	if (t->fd < 0 && supervisor_now() >= t->again_at)
		start(s);
	if (span->failed || t->fd < 0) {
		lose(s, 1, t->why[0] ? NULL : PROGRAM " cannot be started");
		return;
	}
	if (sendmsg(t->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
		t->sent++;
		return;
	}
	lose(s, 1, "the collector is too slow");
	if (errno != EAGAIN)
		bury(s);
}

/* Until it has said its last word, the time is over, or a signal came. */
static void wait_for_end(struct supervisor *s)
{
	struct trace *t = &s->trace;
	uint64_t now = supervisor_now(), until = now + (uint64_t)s->plan->tracing.wait_s * 1000;

	for (; now < until && hear(t) && !t->told.done; now = supervisor_now()) {
		struct pollfd p[] = { { .fd = t->fd, .events = POLLIN },
				      { .fd = s->signals, .events = POLLIN } };

		if (poll(p, 2, (int)(until - now)) > 0 && p[1].revents)
			return;
	}
}

void trace_close(struct supervisor *s)
{
	struct trace *t = &s->trace;

	if (t->fd < 0)
		return;
	shutdown(t->fd, SHUT_WR);
	if (s->plan->tracing.wait_s)
		wait_for_end(s);
	hear(t);
	if (t->told.done) {
		bury(s);
		return;
	}
	/* It goes on without us, and ends by itself. Of the rest nobody will hear. */
	t->exported += t->told.exported;
	t->dropped += s->plan->tracing.wait_s ? t->sent - t->told.exported : t->told.dropped;
	str_copy(t->why, sizeof(t->why),
		 t->told.why[0] ? t->told.why : "they were not delivered in time");
	sys_close(TAKE_FD(t->fd));
}
