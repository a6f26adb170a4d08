/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/run.h"

#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "supervisor/internal.h"
#include "supervisor/signals.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/giveback.h"
#include "sys/process.h"

/* A command that ends within this is written nowhere; PID 1 lingers as long. */
enum { QUICK_MS = 10, LOOK_AGAIN_MS = 300, SECOND_GRACE_MS = 1000 };
/* When what only the start needed is given back; how deep the stack may have been. */
enum { SETTLE_MS = 50, STACK_DEPTH = 64 * 1024 };
enum { CPU_LOOK_MIN_MS = 20, CPU_LOOK_MAX_MS = 1000, EMPTY_LOOK_MS = 20 };

uint64_t supervisor_now(void)
{
	return sys_clock_ms(CLOCK_MONOTONIC);
}

static void tell_command(struct supervisor *s, int sig)
{
	if (s->request->stays)
		stay_signal(s, MAIN_COMMAND, sig);
	else if (s->jail.command_fd >= 0)
		sys_pidfd_signal(s->jail.command_fd, sig);
}

/* The stop signal, and each time less patience: the grace, a second, none. */
static void tell_stop(struct supervisor *s)
{
	uint64_t now = supervisor_now(), at;

	at = now + (s->tells == 0 ? s->grace_ms : s->tells == 1 ? SECOND_GRACE_MS : 0);
	if (s->grace_at == 0 || at < s->grace_at)
		s->grace_at = at;
	s->tells++;
	/* One without a command of its own ends when nothing runs in it any more. */
	if (s->request->kind == SANDBOX_CREATED) {
		group_signal(s, s->stop_signal);
		s->empty_at = now;
	} else {
		tell_command(s, s->stop_signal);
	}
}

int supervisor_event(struct supervisor *s, enum life_event event)
{
	struct life_step step;
	int r = 0;

	/* The shared table is how we learn that PID 1 has cloned it. */
	if (s->phase == SANDBOX_STARTING && !s->request->stays && jail_has_started(&s->jail))
		s->phase = SANDBOX_RUNNING;
	step = lifecycle(s->phase, event);
	if (step.actions & LIFE_DO_REFUSE)
		return -EBUSY;
	if (step.actions & LIFE_DO_TELL)
		tell_stop(s);
	if (step.actions & LIFE_DO_KILL) {
		s->grace_at = 0;
		sys_pidfd_signal(s->jail.pid1_fd, SIGKILL);
	}
	if (step.actions & LIFE_DO_FREEZE)
		r = group_freeze(s, true);
	if (step.actions & LIFE_DO_THAW) {
		s->snapshot.torn = true;
		r = group_freeze(s, false);
	}
	if (r < 0 && (step.actions & LIFE_DO_FREEZE)) {
		group_freeze(s, false);
		return r;
	}
	s->phase = step.next;
	register_update(s);
	return 0;
}

void supervisor_stop(struct supervisor *s, int sig, uint32_t grace_ms, const char *why, int status)
{
	if (!s->why && why) {
		s->why = why;
		s->status_for_why = status;
	}
	s->stop_signal = sig;
	s->grace_ms = grace_ms;
	supervisor_event(s, LIFE_STOP);
}

static uint32_t policy_grace(const struct supervisor *s)
{
	return s->plan->limits.grace_s * 1000;
}

/* Both halves stop: what is inside, and we, as the caller's shell expects. */
static void suspend(struct supervisor *s)
{
	if (supervisor_event(s, LIFE_PAUSE) < 0)
		return;
	s->suspended = true;
	pty_release(&s->pty);
	sys_call(SYS_kill, getpid(), SIGSTOP);
}

static void resume(struct supervisor *s)
{
	if (s->suspended)
		supervisor_event(s, LIFE_RESUME);
	s->suspended = false;
	pty_foreground(&s->pty);
	pty_resize(&s->pty);
}

/* As nohup(1) and shells without job control leave it. */
static bool is_ignored(int sig)
{
	struct sigaction a;

	return sigaction(sig, NULL, &a) == 0 && a.sa_handler == SIG_IGN;
}

static void on_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (sys_read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		int sig = (int)info.ssi_signo;

		if (sig == SIGWINCH)
			pty_resize(&s->pty);
		else if (sig == SIGCONT)
			resume(s);
		else if (is_ignored(sig))
			continue;
		else if (sig == SIGTSTP)
			suspend(s);
		else if (sig == SIGUSR1 || sig == SIGUSR2)
			tell_command(s, sig);
		else
			/* In the background nobody else will say what ended it. */
			supervisor_stop(s, sig, policy_grace(s),
					s->request->kind == SANDBOX_FOREGROUND ? NULL : "stopped",
					-1);
	}
}

/* How much processor time may be left before it is worth looking again. */
static void look_at_cpu_time(struct supervisor *s, uint64_t now)
{
	uint64_t limit = (uint64_t)s->plan->limits.cpu_time_s * 1000, used;
	struct cg_usage u;

	group_usage(s, &u);
	used = u.cpu_us == CG_UNKNOWN ? 0 : u.cpu_us / 1000;
	if (used >= limit) {
		s->cpu_at = 0;
		supervisor_stop(s, SIGTERM, policy_grace(s), "cpu time", EXIT_TIMEOUT);
		return;
	}
	used = (limit - used) / (uint64_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	s->cpu_at = now + MIN(MAX(used, (uint64_t)CPU_LOOK_MIN_MS), (uint64_t)CPU_LOOK_MAX_MS);
}

static bool is_due(uint64_t *at, uint64_t now)
{
	if (*at == 0 || now < *at)
		return false;
	*at = 0;
	return true;
}

/* We stay for as long as the sandbox does, and there may be thousands. */
static void settle(struct supervisor *s, uint64_t now)
{
	if (!jail_has_left(&s->jail)) {
		s->settle_at = now + SETTLE_MS;
		return;
	}
	jail_settle(&s->jail);
	sys_give_back_start(STACK_DEPTH);
}

static void run_timers(struct supervisor *s)
{
	uint64_t now = supervisor_now();

	if (is_due(&s->register_at, now)) {
		/* Nothing may be opened while PID 1 sets up. */
		if (jail_has_started(&s->jail)) {
			s->phase = s->phase == SANDBOX_STARTING ? SANDBOX_RUNNING : s->phase;
			register_late(s);
			s->settle_at = now + SETTLE_MS;
		} else {
			s->register_at = now + QUICK_MS;
		}
	}
	if (is_due(&s->session_at, now))
		supervisor_stop(s, SIGTERM, policy_grace(s), "timeout", EXIT_TIMEOUT);
	if (is_due(&s->cpu_at, now))
		look_at_cpu_time(s, now);
	if (is_due(&s->empty_at, now)) {
		if (group_is_empty(s))
			s->grace_at = now;
		else
			s->empty_at = now + EMPTY_LOOK_MS;
	}
	if (is_due(&s->grace_at, now))
		supervisor_event(s, LIFE_GRACE_OVER);
	if (is_due(&s->trace_at, now))
		s->trace_at = trace_flush(s, now);
	if (is_due(&s->start_at, now))
		s->start_at = stay_overdue(s, now);
	if (is_due(&s->events.retry_at, now))
		events_flush(s);
	if (is_due(&s->workspace_at, now))
		workspace_look(s, now);
	watch_tick(s, now);
	if (is_due(&s->settle_at, now))
		settle(s, now);
}

/* ms until something is due; -1: nothing. */
static int64_t next_timer(const struct supervisor *s)
{
	const uint64_t at[] = { s->register_at,	 s->session_at, s->cpu_at,	    s->grace_at,
				s->empty_at,	 s->start_at,	s->events.retry_at, watch_due(s),
				s->workspace_at, s->trace_at,	s->settle_at };
	uint64_t first = 0, now;

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		if (at[i] && (!first || at[i] < first))
			first = at[i];
	if (!first)
		return -1;
	now = supervisor_now();
	return first > now ? (int64_t)(first - now) : 0;
}

void supervisor_watch_time(struct supervisor *s)
{
	const struct plan_limits *l = &s->plan->limits;

	if (l->session_s)
		s->session_at = supervisor_now() + (uint64_t)l->session_s * 1000;
	if (l->cpu_time_s)
		s->cpu_at = supervisor_now() + CPU_LOOK_MIN_MS;
}

enum {
	ENDED,
	SIGNALS,
	PTY_EVENT,
	EBPF,
	NETWORK,
	WATCH = NETWORK + NETWORK_POLLFDS,
	PTY = WATCH + WATCH_POLLFDS,
	FIRST = PTY + PTY_POLLFDS
};
enum { INIT = FIRST, OUTPUT, SERVER = OUTPUT + OUTPUT_POLLFDS, FDS = SERVER + SERVER_POLLFDS };

/* One round. False when the sandbox has ended. */
static bool loop_once(struct supervisor *s, struct pollfd *fds, bool *quick)
{
	bool serves = s->listener >= 0 || s->request->stays;
	unsigned count = FIRST;
	int64_t ms = *quick ? QUICK_MS : next_timer(s);
	struct timespec limit;
	int n;

	if ((pty_in_background(&s->pty) || (serves && s->output.pending.head.size)) &&
	    (ms < 0 || ms > LOOK_AGAIN_MS))
		ms = LOOK_AGAIN_MS;
	limit = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	ebpf_prepare(s, fds + EBPF);
	network_prepare(s, fds + NETWORK);
	watch_prepare(s, fds + WATCH);
	pty_prepare(&s->pty, fds + PTY);
	if (serves) {
		fds[INIT] = (struct pollfd){ .fd = s->init, .events = POLLIN };
		output_prepare(s, fds + OUTPUT);
		count = SERVER + server_prepare(s, fds + SERVER);
	}
	n = (int)sys_call(SYS_ppoll, fds, count, ms < 0 ? NULL : &limit, 0, 0);
	if (n == -EINTR)
		return true; /* a stop and a continue */
	if (n < 0) {
		sys_pidfd_signal(s->jail.pid1_fd, SIGKILL); /* blind, we must not go on */
		return false;
	}
	if (n == 0 && *quick) {
		*quick = false;
		s->register_at = 1; /* now */
	}
	if (pty_in_background(&s->pty))
		pty_foreground(&s->pty);
	if (fds[SIGNALS].revents)
		on_signal(s);
	if (fds[PTY_EVENT].revents) {
		fds[PTY_EVENT].fd = -1;
		pty_open(&s->pty, s->jail.pty_fd, s->launch->terminal);
	}
	watch_handle(s, fds + WATCH);
	ebpf_handle(s, fds + EBPF);
	network_handle(s, fds + NETWORK);
	pty_handle(&s->pty, fds + PTY);
	if (serves) {
		if (fds[INIT].revents)
			stay_handle(s);
		output_handle(s, fds + OUTPUT);
		server_handle(s, fds + SERVER);
	}
	if (!*quick)
		run_timers(s);
	events_flush(s);
	return !fds[ENDED].revents;
}

/* Until the sandbox has ended; what it wrote to its terminal is then delivered. */
static void loop(struct supervisor *s)
{
	static struct pollfd fds[FDS];
	bool quick = !s->request->stays && !s->workspace_at && !s->plan->limits.session_s &&
		     !s->plan->limits.cpu_time_s;

	fds[ENDED] = (struct pollfd){ .fd = s->jail.pid1_fd, .events = POLLIN };
	fds[SIGNALS] = (struct pollfd){ .fd = s->signals, .events = POLLIN };
	fds[PTY_EVENT] = (struct pollfd){ .fd = s->jail.pty_event, .events = POLLIN };
	if (!quick && !s->request->stays) {
		s->register_at = supervisor_now() + QUICK_MS;
		supervisor_watch_time(s);
	}
	while (loop_once(s, fds, &quick))
		;
	if (s->request->stays)
		stay_handle(s); /* what purple-init said last */
	pty_finish(&s->pty);
}

/* The command's wait status, if anybody has seen it end. */
static bool find_status(struct supervisor *s, int *status)
{
	uint64_t report = 0;

	if (s->request->stays) {
		*status = s->main_status;
		return s->main_ended;
	}
	if (sys_read(s->jail.status_fd, &report, sizeof(report)) != sizeof(report))
		return false;
	*status = (int)(uint32_t)(report - 1);
	return true;
}

static void judge(struct supervisor *s, const siginfo_t *info)
{
	struct outcome *o = s->out;
	int status;

	if (find_status(s, &status)) {
		o->started = !err_is_set(&s->jail.err);
		o->wait_status = status;
		o->exit_status = WIFSIGNALED(status) ? EXIT_SIGNAL_BASE + WTERMSIG(status)
						     : WEXITSTATUS(status);
		o->reason = WIFSIGNALED(status) ? "signalled" : "exited";
	} else if (s->request->kind == SANDBOX_CREATED && s->ready && s->why) {
		o->started = true; /* it had no command to end */
		o->reason = "exited";
	} else if (info->si_code == CLD_EXITED || (s->request->stays && !s->ready)) {
		/* PID 1 did not get to report: it failed. */
		o->exit_status = EXIT_PURPLE;
	} else {
		/* Somebody killed it. */
		o->started = o->killed = true;
		o->wait_status = info->si_status;
		o->exit_status = EXIT_SIGNAL_BASE + info->si_status;
		o->reason = "killed";
	}
}

static bool by_kill(const struct outcome *o)
{
	return o->killed || (WIFSIGNALED(o->wait_status) && WTERMSIG(o->wait_status) == SIGKILL);
}

/* What we know better than the wait status does. */
static void judge_why(struct supervisor *s)
{
	struct outcome *o = s->out;

	if (!o->started)
		return;
	if (s->why) {
		o->reason = s->why;
		if (s->status_for_why >= 0)
			o->exit_status = s->status_for_why;
	} else if (by_kill(o) && o->counted && o->group.oom_kills != CG_UNKNOWN &&
		   o->group.oom_kills > 0) {
		o->reason = "out of memory";
	}
}

/* Of those that we have opened: PID 1 closes what is above. */
static int highest_fd(const struct supervisor *s)
{
	const struct run_store *store = s->request->store;
	const struct run_outputs *outputs = s->request->outputs;
	const int fds[] = { s->launch->workspace_fd,
			    store ? store->all : -1,
			    store ? store->dir : -1,
			    store ? store->layer : -1,
			    s->signals,
			    s->all,
			    s->dir,
			    s->listener,
			    s->init,
			    s->init_theirs,
			    s->output.fds[0],
			    s->output.fds[1],
			    s->output.log,
			    s->theirs[0],
			    s->theirs[1],
			    s->theirs[2],
			    s->net,
			    s->request->ready_fd,
			    s->net_tally,
			    s->ebpf,
			    s->state_file.fd };
	int last = -1;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		last = MAX(last, fds[i]);
	for (unsigned i = 0; i < s->request->overlays_count; i++) {
		const struct run_store *t = &s->request->overlays[i];

		last = MAX(last, MAX(MAX(t->all, t->dir), MAX(t->layer, t->lower)));
	}
	for (unsigned i = 0; outputs && i < outputs->count; i++)
		last = MAX(last, outputs->fds[i]);
	if (s->events.on)
		last = MAX(last, MAX(MAX(s->trail.dir, s->trail.file), s->trail.head));
	for (size_t i = 0; s->has_leaf && i < PLAN_CONTROLLERS; i++)
		last = MAX(last, MAX(s->leaf.v1_fds[i], s->leaf.tasks_fds[i]));
	return s->has_leaf ? MAX(last, s->leaf.v2_fd) : last;
}

void supervisor_ready(struct supervisor *s)
{
	struct run_ready ready = { 0 };

	s->settle_at = supervisor_now() + SETTLE_MS;
	if (s->request->ready_fd < 0)
		return;
	str_copy(ready.name, sizeof(ready.name), s->state.name);
	/* Whoever waited for it may have been killed; we stay. */
	send(s->request->ready_fd, &ready, sizeof(ready), MSG_NOSIGNAL);
	sys_close(s->request->ready_fd);
	/* From here on nothing needs the directory that we were started in. */
	sys_call(SYS_chdir, "/");
}

static int start(struct supervisor *s, struct err *e)
{
	bool has_id = s->request->stays || s->request->id || s->request->outputs ||
		      s->plan->limits.controllers || s->plan->audit.flags & PA_ON ||
		      s->plan->tracing.flags & PT_ON;
	int r;

	trace_begin(s);
	/* A caller that ignores it would take the exit status from us, and from PID 1. */
	signal(SIGCHLD, SIG_DFL);
	s->signals = signals_watch(&s->launch->sigmask);
	if (s->signals < 0)
		return err_set(e, s->signals, "start", "watch for signals");
	if (s->request->id)
		str_copy(s->state.id, sizeof(s->state.id), s->request->id);
	else if (has_id && (r = sandbox_make_id(s->state.id)) < 0)
		return err_set(e, r, "start", "make an id");
	if (has_id)
		str_copy(s->out->id, sizeof(s->out->id), s->state.id);
	r = s->request->stays ? register_claim(s, e) : 0;
	if (r == 0)
		r = events_open(s, e);
	if (r == 0)
		r = group_make(s, e);
	if (r == 0 && s->request->stays)
		r = stay_prepare(s, e);
	if (r == 0)
		r = ebpf_start(s, e);
	if (r == 0) {
		trace_network(s);
		r = network_start(s, e);
	}
	if (r < 0)
		return r;
	if (has_id || s->net >= 0)
		s->launch->last_fd = highest_fd(s);
	s->tally.prepared = tally_now();
	r = jail_start(&s->jail, s->plan, s->launch);
	if (r < 0)
		*e = s->jail.err;
	return r;
}

static void finish(struct supervisor *s)
{
	siginfo_t info = { 0 };

	sys_call(SYS_waitid, P_PIDFD, s->jail.pid1_fd, &info, WEXITED, &s->out->usage);
	trace_ended(s);
	watch_end(s);
	output_end(s);
	judge(s, &info);
	supervisor_event(s, LIFE_GONE);
}

static void init(struct supervisor *s, const struct plan *plan, struct launch *launch,
		 const struct run_request *request, struct outcome *out)
{
	s->plan = plan;
	s->launch = launch;
	s->request = request;
	s->out = out;
	s->pty = PTY_INIT;
	s->phase = SANDBOX_STARTING;
	s->tally.began = request->began_us;
	s->tally.planned = tally_now();
	s->signals = s->all = s->dir = s->listener = s->init = s->init_theirs = s->net = -1;
	s->net_tally = s->ebpf = -1;
	s->state_file = STATE_FILE_INIT;
	s->status_for_why = -1;
	s->theirs[0] = s->theirs[1] = s->theirs[2] = -1;
	launch->init_socket = launch->cgroup_fd = launch->last_fd = -1;
	launch->cgroup_tasks = NULL;
	launch->times = NULL;
	if (!request->stays)
		return;
	server_init(s);
	output_init(s);
}

int supervisor_run(const struct plan *plan, struct launch *launch,
		   const struct run_request *request, struct outcome *ret, struct err *e)
{
	/* PID 1 shares s.jail: it outlives every frame. What is in use lies on few pages. */
	static _cold_data_ struct supervisor s __attribute__((__aligned__(4096)));
	int r;

	memset(ret, 0, sizeof(*ret));
	if (s.plan)
		memset(&s, 0, sizeof(s)); /* a second try */
	init(&s, plan, launch, request, ret);
	r = start(&s, e);
	if (r == 0) {
		workspace_look(&s, 0);
		loop(&s);
		finish(&s);
	}
	network_end(&s);
	ebpf_end(&s);
	refused_log(&s);
	workspace_end(&s);
	overlays_end(&s);
	outputs_collect(&s);
	output_close(&s);
	group_end(&s, request->count || by_kill(ret) || s.events.on);
	judge_why(&s);
	if (r == 0 && err_is_set(&s.jail.err))
		*e = s.jail.err;
	else if (r == 0 && !ret->started)
		err_set(e, EPROTO, "start", "the sandbox ended before the command started");
	if (err_is_set(e)) {
		ret->started = false;
		ret->exit_status = e->exit_code;
	}
	events_end(&s, e);
	refused_settle(&s);
	stay_end(&s);
	tally_end(&s);
	jail_close(&s.jail);
	register_end(&s);
	server_end(&s);
	trace_end(&s, e);
	signals_unwatch(TAKE_FD(s.signals), launch->sigmask);
	return err_is_set(e) ? -e->code : 0;
}
