/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "event/span.h"
#include "supervisor/internal.h"
#include "sys/files.h"

#define PARENT_VARIABLE "TRACEPARENT="
#define STATE_VARIABLE "TRACESTATE="

/* What the root span tells of: refusals, and what else was not as planned. */
#define SHOWN                                                                                   \
	(1U << EV_FILE_DENIED | 1U << EV_DNS_DENIED | 1U << EV_NET_DENIED | 1U << EV_NET_LOST | \
	 1U << EV_SYSCALL_DENIED | 1U << EV_LIMIT_REACHED | 1U << EV_LAYER_DOWNGRADED |         \
	 1U << EV_POLICY_CHANGED | 1U << EV_AUDIT_GAP)

enum { ENVIRONMENT_MAX = 512 + 2, ARGS_MAX = 2 * EVENT_LIST_MAX };

static void random_id(uint8_t *id, size_t size)
{
	do
		sys_call(SYS_getrandom, id, size, 0);
	while (id[0] == 0); /* all zeros is no id */
}

static uint64_t epoch(const struct supervisor *s, uint64_t us)
{
	return (s->trace.epoch_us + us) * 1000;
}

static bool has_variable(char *const *envp, const char *name)
{
	for (; *envp; envp++)
		if (str_after(*envp, name))
			return true;
	return false;
}

static void format_variable(char *ret, const struct trace_context *root, const uint8_t *span)
{
	struct trace_context c = *root;

	memcpy(c.span_id, span, sizeof(c.span_id));
	memcpy(ret, PARENT_VARIABLE, sizeof(PARENT_VARIABLE));
	trace_context_format(&c, ret + sizeof(PARENT_VARIABLE) - 1);
}

/* What the policy says of these two is left alone. */
static void extend_environment(struct supervisor *s)
{
	static _cold_data_ char *list[ENVIRONMENT_MAX + 1];
	static _cold_data_ char state[TRACESTATE_MAX + sizeof(STATE_VARIABLE)];
	struct trace *t = &s->trace;
	size_t n = 0;

	if (has_variable(s->launch->envp, PARENT_VARIABLE))
		return;
	while (n < ENVIRONMENT_MAX - 2 && s->launch->envp[n]) {
		list[n] = s->launch->envp[n];
		n++;
	}
	format_variable(t->variable, &t->root, t->command);
	list[n++] = t->variable;
	if (t->state && !has_variable(s->launch->envp, STATE_VARIABLE)) {
		snprintf(state, sizeof(state), STATE_VARIABLE "%s", t->state);
		list[n++] = state;
	}
	list[n] = NULL;
	s->launch->envp = list;
}

void trace_begin(struct supervisor *s)
{
	struct trace *t = &s->trace;
	struct trace_context caller;
	struct timespec real;

	if (!(s->plan->tracing.flags & PT_ON))
		return;
	t->recording = s->traced = true;
	t->fd = -1;
	t->events = BUF_INIT(TRACE_EVENTS_BYTES);
	clock_gettime(CLOCK_REALTIME, &real);
	t->epoch_us = (uint64_t)real.tv_sec * 1000000 + (uint64_t)real.tv_nsec / 1000 - tally_now();
	random_id(t->root.span_id, sizeof(t->root.span_id));
	random_id(t->command, sizeof(t->command));
	if (trace_context_parse(getenv("TRACEPARENT"), &caller)) {
		t->has_parent = true;
		memcpy(t->parent, caller.span_id, sizeof(t->parent));
		memcpy(t->root.trace_id, caller.trace_id, sizeof(t->root.trace_id));
		t->root.flags = caller.flags;
		t->recording = caller.flags & TRACE_SAMPLED;
		t->state = getenv("TRACESTATE");
		if (!trace_state_ok(t->state))
			t->state = NULL;
	} else {
		random_id(t->root.trace_id, sizeof(t->root.trace_id));
		t->root.flags = TRACE_SAMPLED | TRACE_RANDOM;
	}
	extend_environment(s);
	if (!t->recording)
		return;
	s->launch->times = &t->times;
	s->trace_at = supervisor_now() + TRACE_FLUSH_MS;
}

void trace_network(struct supervisor *s)
{
	if (s->traced && s->trace.recording && s->plan->network.flags & PN_ON)
		s->trace.network = tally_now();
}

void trace_command_ended(struct supervisor *s)
{
	if (s->traced && s->trace.recording)
		s->trace.command_ended = tally_now();
}

void trace_ended(struct supervisor *s)
{
	if (s->traced && s->trace.recording)
		s->trace.ended = tally_now();
}

void trace_event(struct supervisor *s, const struct event *ev)
{
	struct trace *t = &s->trace;
	size_t before;
	uint64_t ns;

	if (!s->traced || !t->recording || !(SHOWN >> ev->type & 1))
		return;
	before = t->events.len;
	ns = ev->time_ns ? ev->time_ns : epoch(s, tally_now());
	if (t->events_count == TRACE_EVENTS_MAX || t->events.failed) {
		t->events_dropped++;
		return;
	}
	span_event_encode(ev, ns, &t->events);
	t->events_count++;
	if (!t->events.failed)
		return;
	/* Half of one is none. */
	t->events.len = before;
	t->events_count--;
	t->events_dropped++;
}

/* A span of ours, below @parent, of which nothing but its time is known yet. */
static struct span make(const struct supervisor *s, const char *name, const uint8_t *parent,
			uint64_t from, uint64_t to)
{
	struct span span = {
		.name = name,
		.context = s->trace.root,
		.parent = parent,
		.state = s->trace.state,
		.start_ns = epoch(s, from),
		.end_ns = epoch(s, to),
	};

	random_id(span.context.span_id, sizeof(span.context.span_id));
	return span;
}

static void send_plain(struct supervisor *s, const struct span *span)
{
	_cleanup_buf_ struct buf b = BUF_INIT(SPAN_MAX);
	struct span_writer w;

	span_begin(&w, &b, span);
	span_events(&w);
	span_end(&w, 0);
	trace_send(s, &b);
}

static void send_plan(struct supervisor *s)
{
	struct span span = make(s, "plan", s->trace.root.span_id, s->tally.began, s->tally.planned);
	_cleanup_buf_ struct buf b = BUF_INIT(SPAN_MAX);
	char key[2 * SHA256_SIZE + 1];
	struct span_writer w;

	hex_encode(s->plan->key, SHA256_SIZE, key);
	span_begin(&w, &b, &span);
	span_text(&w, "purple.plan.origin", s->request->plan_cached ? "cached" : "compiled");
	span_text(&w, "purple.plan.key", key);
	span_events(&w);
	span_end(&w, 0);
	trace_send(s, &b);
}

static void send_prepare(struct supervisor *s, uint64_t until)
{
	const struct trace *t = &s->trace;
	struct span span = make(s, "prepare", t->root.span_id, s->tally.planned, until), inner;

	send_plain(s, &span);
	if (!t->network)
		return;
	inner = make(s, "network", span.context.span_id, t->network, until);
	send_plain(s, &inner);
}

static const char *const jail_names[JAIL_TIMES] = {
	[JT_NAMESPACES] = "namespaces",	    [JT_IDS] = "ids",	[JT_MOUNTS] = "mounts",
	[JT_NETWORK] = "network namespace", [JT_ROOT] = "root", [JT_LOCKED] = "lock-down",
};

/* Each part of it ends where the next begins; one that failed is not there. */
static void send_jail(struct supervisor *s, uint64_t until, const char *error)
{
	struct span span = make(s, "jail", s->trace.root.span_id, s->tally.prepared, until);
	uint64_t from = s->tally.prepared;

	span.error = error;
	send_plain(s, &span);
	for (int i = 0; i < JAIL_TIMES; i++) {
		uint64_t to = s->trace.times.at[i];
		struct span part;

		if (to < from || to > until)
			continue;
		part = make(s, jail_names[i], span.context.span_id, from, to);
		send_plain(s, &part);
		from = to;
	}
}

static uint64_t released(const struct supervisor *s)
{
	if (s->tally.released || s->request->stays)
		return s->tally.released;
	/* What PID 1 stores is ours to read when it has released the command, or is gone. */
	return s->trace.ended || jail_has_started(&s->jail) ? s->jail.released_us : 0;
}

/* @error: of the jail. */
static void send_setup(struct supervisor *s, const char *error)
{
	uint64_t end = s->trace.ended ? s->trace.ended : tally_now(), run = released(s);

	if (s->trace.setup_sent)
		return;
	s->trace.setup_sent = true;
	send_plan(s);
	send_prepare(s, s->tally.prepared ? s->tally.prepared : end);
	if (s->tally.prepared)
		send_jail(s, run ? run : end, run ? NULL : error);
}

/* As we see it; while it lives. */
static long host_pid(int pidfd)
{
	char path[48], text[512];
	const char *at;
	long n, pid;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	n = fd < 0 ? fd : sys_read(fd, text, sizeof(text) - 1);
	sys_close(fd);
	text[n < 0 ? 0 : n] = '\0';
	at = strstr(text, "\nPid:\t");
	pid = at ? strtol(at + 6, NULL, 10) : 0;
	return pid > 0 ? pid : 0;
}

uint64_t trace_flush(struct supervisor *s, uint64_t now)
{
	int pidfd = s->request->stays ? s->commands[MAIN_COMMAND].pidfd : s->jail.command_fd;

	if (!released(s))
		return now + TRACE_FLUSH_MS; /* nothing may be opened while PID 1 sets up */
	tally(s);
	if (s->request->kind != SANDBOX_CREATED && pidfd >= 0)
		s->trace.command_pid = host_pid(pidfd);
	send_setup(s, NULL);
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* What opentelemetry.io/docs/specs/semconv/cli/cli-spans asks for. */
static void add_status(struct span_writer *w, int status)
{
	if (WIFSIGNALED(status))
		span_number(w, "purple.signal", WTERMSIG(status));
	else
		span_number(w, "process.exit.code", WEXITSTATUS(status));
}

static const char *status_text(int status, char text[64])
{
	if (WIFSIGNALED(status))
		snprintf(text, 64, "ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		snprintf(text, 64, "exit status %d", WEXITSTATUS(status));
	else
		return NULL;
	return text;
}

/* As err_print() has it, without its remedy. */
static void error_text(const struct err *e, char *text, size_t size)
{
	if (e->code == EPROTO)
		snprintf(text, size, "%s: %s", e->stage, e->message);
	else
		snprintf(text, size, "%s: %s: %s", e->stage, e->message, strerror(e->code));
}

/* @failed: why it could not be executed, or NULL. */
static void send_command(struct supervisor *s, const char *failed)
{
	_cleanup_buf_ struct buf b = BUF_INIT(SPAN_MAX), args = BUF_INIT(ARGS_MAX);
	const struct trace *t = &s->trace;
	const struct outcome *o = s->out;
	uint64_t end = t->command_ended ? t->command_ended : t->ended;
	struct span span = make(s, "command", t->root.span_id, released(s), end);
	struct span_writer w;
	char text[64];

	memcpy(span.context.span_id, t->command, sizeof(t->command));
	span.error = failed ? failed : status_text(o->wait_status, text);
	if (!failed && span.error && o->reason && !streq(o->reason, "exited") &&
	    !streq(o->reason, "signalled"))
		span.error = o->reason;
	for (char *const *a = s->launch->argv; *a && args.len <= EVENT_LIST_MAX; a++)
		buf_add(&args, *a, strnlen(*a, EVENT_LIST_MAX) + 1);
	span_begin(&w, &b, &span);
	span_text(&w, "process.executable.name", base_name(s->launch->argv[0]));
	if (args.data)
		span_list(&w, "process.command_args", args.data, args.len);
	if (t->command_pid)
		span_number(&w, "process.pid", t->command_pid);
	if (!failed)
		add_status(&w, o->wait_status);
	span_text(&w, "error.type", span.error);
	span_events(&w);
	span_end(&w, 0);
	trace_send(s, &b);
}

static void send_root(struct supervisor *s, const struct err *e, const char *text)
{
	const struct trace *t = &s->trace;
	const struct outcome *o = s->out;
	uint64_t now = tally_now();
	struct span span =
		make(s, s->request->kind == SANDBOX_CREATED ? "purple create" : "purple run",
		     t->has_parent ? t->parent : NULL, s->tally.began, now);
	char status[64];
	_cleanup_buf_ struct buf b = BUF_INIT(SPAN_MAX);
	struct span_writer w;

	span.context = t->root;
	span.remote = true;
	span.error = err_is_set(e)	   ? text
		     : o->exit_status == 0 ? NULL
		     : o->reason && !streq(o->reason, "exited") && !streq(o->reason, "signalled")
			     ? o->reason
			     : status_text(o->wait_status, status);
	span_begin(&w, &b, &span);
	span_text(&w, "purple.sandbox.id", s->state.id);
	span_text(&w, "purple.sandbox.name", s->state.name[0] ? s->state.name : s->state.id);
	span_text(&w, "purple.profile", plan_string(s->plan, s->plan->profile));
	span_text(&w, "purple.kind", sandbox_kind_names[s->request->kind]);
	span_text(&w, "purple.workspace", s->launch->workspace);
	span_text(&w, "purple.reason", err_is_set(e) ? "not started" : o->reason);
	span_number(&w, "process.pid", getpid());
	span_number(&w, "process.exit.code", o->exit_status);
	span_text(&w, "error.type", err_is_set(e) ? e->stage : NULL);
	span_events(&w);
	span_events_add(&w, &t->events);
	span_end(&w, t->events_dropped);
	trace_send(s, &b);
}

void trace_end(struct supervisor *s, const struct err *e)
{
	struct trace *t = &s->trace;
	char text[sizeof(e->stage) + sizeof(e->message) + 128];

	if (!s->traced)
		return;
	if (t->recording) {
		if (!t->ended)
			t->ended = tally_now();
		error_text(e, text, sizeof(text));
		send_setup(s, err_is_set(e) ? text : NULL);
		if (s->request->kind != SANDBOX_CREATED && released(s))
			send_command(s, err_is_set(e) ? text : NULL);
		send_root(s, e, text);
		trace_close(s);
	}
	buf_free(&t->events);
	trace_context_format(&t->root, s->out->traceparent);
	s->out->spans_exported = t->exported;
	s->out->spans_dropped = t->dropped;
	s->out->spans_waited = t->recording && s->plan->tracing.wait_s;
	str_copy(s->out->spans_why, sizeof(s->out->spans_why), t->why);
}

const char *trace_variable(const struct supervisor *s, const char *v)
{
	const char *ours = s->trace.exec_variable;

	return s->traced && ours[0] && str_after(v, PARENT_VARIABLE) ? ours : v;
}

struct trace_exec *trace_exec_begin(struct supervisor *s, const char *args, size_t len,
				    const char *parent)
{
	struct trace *t = &s->trace;
	struct trace_context client;
	struct trace_exec *x;
	bool remote = trace_context_parse(parent ? strchr(parent, '=') + 1 : NULL, &client);

	if (!s->traced)
		return NULL;
	len = MIN(len, (size_t)ARGS_MAX);
	x = calloc(1, sizeof(*x) + len);
	t->exec_variable[0] = '\0';
	if (!x)
		return NULL;
	x->context = remote ? client : t->root;
	x->remote = remote;
	memcpy(x->parent, x->context.span_id, sizeof(x->parent));
	random_id(x->context.span_id, sizeof(x->context.span_id));
	x->began = tally_now();
	x->len = len;
	memcpy(x->args, args, len);
	if (t->variable[0])
		format_variable(t->exec_variable, &x->context, x->context.span_id);
	return x;
}

void trace_exec_end(struct supervisor *s, struct command *c, int status, const char *why)
{
	_cleanup_buf_ struct buf b = BUF_INIT(SPAN_MAX);
	_cleanup_free_ struct trace_exec *x = TAKE_PTR(c->trace);
	struct span_writer w;
	struct span span;
	char text[64];

	if (!x || !(x->context.flags & TRACE_SAMPLED))
		return;
	span = (struct span){
		.name = "purple exec",
		.context = x->context,
		.parent = x->parent,
		.remote = x->remote,
		.state = x->remote ? NULL : s->trace.state,
		.start_ns = epoch(s, x->began),
		.end_ns = epoch(s, tally_now()),
		.error = why ? why : status_text(status, text),
	};
	span_begin(&w, &b, &span);
	span_bytes(&w, "process.executable.name", base_name(x->args),
		   strnlen(base_name(x->args), 255));
	span_list(&w, "process.command_args", x->args, x->len);
	if (!why)
		add_status(&w, status);
	span_text(&w, "error.type", span.error);
	span_text(&w, "purple.sandbox.id", s->state.id);
	span_events(&w);
	span_end(&w, 0);
	trace_send(s, &b);
}
