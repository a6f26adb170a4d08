/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/events.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sha256.h"
#include "base/str.h"
#include "supervisor/internal.h"

enum { OPEN_WAIT_MS = 2000, END_WAIT_MS = 2000, RETRY_MS = 20, STARTED_MS = 50, SYNC_MS = 5000 };

_Static_assert((int)EC_LIFE == PAC_LIFE && (int)EC_RESOURCE == PAC_RESOURCE &&
		       (int)EC_FILESYSTEM == PAC_FILESYSTEM && (int)EC_SYSCALL == PAC_SYSCALL &&
		       (int)EC_NETWORK == PAC_NETWORK && (int)EC_API == PAC_API &&
		       (int)EC_SECURITY == PAC_SECURITY,
	       "the plan's classes are the table's");

bool events_want(const struct supervisor *s, enum event_type type)
{
	return s->plan->audit.flags & PA_ON &&
	       s->plan->audit.classes & (uint32_t)event_table[type].class;
}

void supervisor_emit(struct supervisor *s, const struct event *ev)
{
	struct event told;
	struct advice advice;

	s->events.counts[ev->type]++;
	if (ev->type == EV_PROCESS_EXIT && event_get(ev, EF_SIGNAL) &&
	    event_get(ev, EF_SIGNAL)->number == SIGXFSZ)
		s->events.large_files++;
	if (denial_is(ev->type)) {
		told = *ev;
		refused(s, &told, &advice);
		ev = &told;
	}
	if (s->traced)
		trace_event(s, ev);
	if (s->events.on && events_want(s, ev->type))
		trail_add(&s->trail, ev);
}

size_t events_join(char *const *argv, char *to, size_t size)
{
	size_t n = 0;

	for (; argv && *argv && n < size; argv++) {
		size_t len = MIN(strlen(*argv) + 1, size - n);

		memcpy(to + n, *argv, len);
		n += len;
	}
	return n;
}

static void emit_created(struct supervisor *s)
{
	static _cold_data_ char command[EVENT_LIST_MAX + 1];
	struct event ev = { .type = EV_SANDBOX_CREATED };
	char key[2 * SHA256_SIZE + 1];

	hex_encode(s->plan->key, SHA256_SIZE, key);
	event_text(&ev, EF_PROFILE, plan_string(s->plan, s->plan->profile));
	event_text(&ev, EF_PLAN, key);
	event_list(&ev, EF_COMMAND, command,
		   events_join(s->launch->argv, command, sizeof(command)));
	event_text(&ev, EF_WORKSPACE, s->launch->workspace);
	event_number(&ev, EF_UID, getuid());
	event_number(&ev, EF_PID, (uint64_t)getpid());
	supervisor_emit(s, &ev);
}

static void emit_downgrades(struct supervisor *s)
{
	const struct plan_downgrade *d = plan_items(s->plan, downgrades, struct plan_downgrade);

	for (uint32_t i = 0; i < s->plan->downgrades.count; i++) {
		struct event ev = { .type = EV_LAYER_DOWNGRADED };

		event_text(&ev, EF_LAYER, plan_string(s->plan, d[i].what));
		event_text(&ev, EF_REASON, plan_string(s->plan, d[i].why));
		supervisor_emit(s, &ev);
	}
}

void events_fail(struct supervisor *s, const struct err *e)
{
	bool warn = s->plan->audit.flags & PA_WARN;
	struct err said = { 0 };

	if (s->events.failed)
		return;
	s->events.failed = true;
	err_print(e);
	err_set(&said, EPROTO, "audit", "%s",
		warn ? "audit.on_failure is warn: the sandbox goes on"
		     : "audit.on_failure is stop: the sandbox is ended");
	err_print(&said);
	if (!warn)
		supervisor_stop(s, SIGTERM, s->plan->limits.grace_s * 1000, "audit failed", -1);
}

int events_open(struct supervisor *s, struct err *e)
{
	struct events *v = &s->events;
	const struct plan_audit *a = &s->plan->audit;
	int r;

	v->created_ms = supervisor_now();
	if (!(a->flags & PA_ON))
		return 0;
	r = trail_open(&s->trail, plan_string(s->plan, a->path), e);
	if (r == 0) {
		v->on = true;
		s->trail.rotate_bytes = a->rotate_bytes;
		s->trail.sandbox = s->state.id;
		s->trail.name = s->request->name ? s->request->name : s->state.id;
		emit_created(s);
		emit_downgrades(s);
		r = trail_flush(&s->trail, OPEN_WAIT_MS, e);
		if (r == -EAGAIN)
			err_set(e, r, "audit", "another process holds the trail's lock");
	}
	if (r == 0)
		return 0;
	if (a->flags & PA_WARN) {
		events_fail(s, e);
		*e = (struct err){ 0 };
		return 0;
	}
	if (v->on)
		trail_close(&s->trail);
	v->on = false;
	err_remedy(e, "make room or name another file by audit.log_path; with "
		      "audit.on_failure: warn the sandbox starts without");
	return r;
}

void events_started(struct supervisor *s)
{
	struct event ev = { .type = EV_SANDBOX_STARTED };

	if (s->events.started)
		return;
	s->events.started = true;
	event_number(&ev, EF_PID, (uint64_t)s->jail.pid1);
	supervisor_emit(s, &ev);
}

/* PID 1 closes what it does not know in the table that is ours as well, until it has set up. */
static bool may_open(const struct supervisor *s)
{
	return s->request->stays ? s->ready : jail_has_started(&s->jail);
}

void events_flush(struct supervisor *s)
{
	struct events *v = &s->events;
	struct err e = { 0 };
	int r;

	v->retry_at = 0;
	if (may_open(s))
		refused_flush(s);
	if (!v->on || !may_open(s))
		return;
	/* A command that cannot be executed was released all the same, and ends at once. */
	if (!err_is_set(&s->jail.err) && supervisor_now() - v->created_ms > STARTED_MS)
		events_started(s);
	if (s->trail.pending_lines == 0 && s->trail.lost == 0)
		return;
	r = trail_flush(&s->trail, 0, &e);
	if (r == 0) {
		v->tries = 0;
		return;
	}
	v->retry_at = supervisor_now() + RETRY_MS;
	if (r == -EAGAIN) {
		/* Somebody has its lock, for so long that there is no room for more lines. */
		if (s->trail.lost == 0)
			return;
		err_set(&e, r, "audit", "another process holds the trail's lock");
		v->tries++;
	}
	/* Who rotates it may be between two steps: once more before that counts. */
	if (++v->tries > 1)
		events_fail(s, &e);
}

static void emit_error(struct supervisor *s, const struct err *e)
{
	struct event ev = { .type = EV_SETUP_ERROR };
	char name[ERR_NAME];

	event_text(&ev, EF_STAGE, e->stage);
	event_text(&ev, EF_MESSAGE, e->message);
	/* EPROTO: the message says it all. */
	event_text(&ev, EF_ERROR, e->code == EPROTO ? NULL : err_name(e->code, name));
	supervisor_emit(s, &ev);
}

/* @count: how often; 0 or CG_UNKNOWN: it was not reached. */
static void emit_limit(struct supervisor *s, const char *key, uint64_t value, uint64_t count,
		       const char *message)
{
	struct event ev = { .type = EV_LIMIT_REACHED };

	if (count == 0 || count == CG_UNKNOWN)
		return;
	event_text(&ev, EF_LIMIT, key);
	event_number(&ev, EF_VALUE, value);
	event_number(&ev, EF_COUNT, count);
	event_text(&ev, EF_MESSAGE, message);
	supervisor_emit(s, &ev);
}

static uint64_t file_size(const struct supervisor *s)
{
	const struct plan_rlimit *l = plan_items(s->plan, rlimits, struct plan_rlimit);

	for (uint32_t i = 0; i < s->plan->rlimits.count; i++)
		if (l[i].resource == RLIMIT_FSIZE)
			return l[i].soft;
	return 0;
}

/* setrlimit(2). Of others than the command only where processes are observed. */
static uint64_t large_files(const struct supervisor *s)
{
	const struct outcome *o = s->out;

	if (file_size(s) == 0 || s->events.large_files > 0)
		return file_size(s) ? s->events.large_files : 0;
	return o->started && WIFSIGNALED(o->wait_status) && WTERMSIG(o->wait_status) == SIGXFSZ;
}

/* The kernel counts; nobody hears of each. */
static void emit_limits(struct supervisor *s)
{
	const struct plan_limits *l = &s->plan->limits;
	const struct outcome *o = s->out;
	const struct cg_usage *u = &o->group;

	emit_limit(s, "resources.session_timeout_seconds", l->session_s,
		   s->why && streq(s->why, "timeout"), "the sandbox was ended");
	emit_limit(s, "resources.cpu_time_seconds", l->cpu_time_s,
		   s->why && streq(s->why, "cpu time"), "the sandbox was ended");
	emit_limit(s, s->plan->workspace_bytes ? "workspace.max_bytes" : "workspace.max_files",
		   s->plan->workspace_bytes ? s->plan->workspace_bytes : s->plan->workspace_files,
		   s->why && streq(s->why, "workspace full"), "the sandbox was ended");
	emit_limit(s, "resources.file_size_bytes", file_size(s), large_files(s),
		   "SIGXFSZ ended processes that wrote more to a file");
	if (!o->counted)
		return;
	if (l->memory)
		emit_limit(s, "resources.memory_limit_bytes", l->memory, u->oom_kills,
			   "the kernel killed processes");
	if (l->pids)
		emit_limit(s, "resources.pids_limit", l->pids, u->pids_refused,
			   "processes were refused");
	if (l->cpu_millis)
		emit_limit(s, "resources.cpu_shares", l->cpu_millis, u->throttled_count,
			   "processes had to wait; the value is in thousandths of a core");
}

static void emit_ended(struct supervisor *s)
{
	struct event ev = { .type = EV_SANDBOX_ENDED };
	const struct outcome *o = s->out;

	event_number(&ev, EF_STATUS, (uint64_t)o->exit_status);
	if (o->killed)
		event_number(&ev, EF_SIGNAL, (uint64_t)o->wait_status);
	else if (o->started && WIFSIGNALED(o->wait_status))
		event_number(&ev, EF_SIGNAL, (uint64_t)WTERMSIG(o->wait_status));
	event_text(&ev, EF_REASON, o->started && o->reason ? o->reason : "not started");
	event_number(&ev, EF_DURATION_MS, supervisor_now() - s->events.created_ms);
	if (o->counted && o->group.cpu_us != CG_UNKNOWN)
		event_number(&ev, EF_CPU_US, o->group.cpu_us);
	if (o->counted && o->group.memory_peak != CG_UNKNOWN)
		event_number(&ev, EF_MEMORY_PEAK, o->group.memory_peak);
	if (o->store) {
		event_number(&ev, EF_CHANGES_ADDED, o->changes_added);
		event_number(&ev, EF_CHANGES_MODIFIED, o->changes_modified);
		event_number(&ev, EF_CHANGES_DELETED, o->changes_deleted);
	}
	supervisor_emit(s, &ev);
}

void events_end(struct supervisor *s, const struct err *e)
{
	struct events *v = &s->events;
	struct err failure = { 0 };
	int r;

	if (s->out->started)
		events_started(s);
	if (err_is_set(e))
		emit_error(s, e);
	emit_limits(s);
	emit_ended(s);
	if (!v->on)
		return;
	r = trail_flush(&s->trail, END_WAIT_MS, &failure);
	if (r == -EAGAIN)
		err_set(&failure, r, "audit", "another process holds the trail's lock");
	if (r < 0)
		events_fail(s, &failure);
	/* Of many short ones each would wait for the disk; the kernel writes within seconds. */
	if (supervisor_now() - v->created_ms > SYNC_MS)
		trail_sync(&s->trail);
	trail_close(&s->trail);
	v->on = false;
	supervisor_sign(s);
}
