/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "base/str.h"
#include "plan/filter_run.h"
#include "supervisor/protect.h"
#include "supervisor/watch_internal.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/process.h"

_cold_data_ struct watch watch;

enum { OURS = 256 }; /* bytes that a notification and an answer may grow to */

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* We and who waits for us take turns: wake the other on this processor. Linux 6.6. */
static void begin(struct supervisor *s)
{
	uint64_t count;

	sys_read(s->jail.notify_event, &count, sizeof(count));
	s->watched = true;
	watch.root = watch.exits = -1;
	if (jail_take_listener(&s->jail) < 0)
		return; /* the command's task has failed, and PID 1 will say so */
	sys_call(SYS_ioctl, s->jail.notify_fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
		 SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
}

static bool is_there(const struct supervisor *s, const struct seccomp_notif *n)
{
	return sys_call(SYS_ioctl, s->jail.notify_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) == 0;
}

static void answer(const struct supervisor *s, const struct seccomp_notif *n, int error)
{
	union {
		struct seccomp_notif_resp resp;
		char room[OURS];
	} a = { .resp = { .id = n->id, .error = -error } };

	if (error == 0)
		a.resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	/* -ENOENT: it was killed meanwhile. */
	sys_call(SYS_ioctl, s->jail.notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &a);
}

/* What the plan's filter says: 0, the errno with which the call is refused, or ENDS. */
enum { ENDS = -1 };
static int judge(const struct supervisor *s, const struct seccomp_data *d)
{
	uint32_t ret = filter_run(plan_items(s->plan, filter, struct sock_filter),
				  s->plan->filter.count, d);

	if (ret == SECCOMP_RET_ALLOW)
		return 0;
	if ((ret & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO && ret & SECCOMP_RET_DATA)
		return (int)(ret & SECCOMP_RET_DATA);
	return (ret & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_KILL_PROCESS ? ENDS : EPERM;
}

static void emit_execution(struct supervisor *s, const struct execution *x, int error)
{
	struct event ev = { .type = EV_PROCESS_EXEC, .time_ns = x->time_ns };

	event_number(&ev, EF_PID, (uint64_t)x->pid);
	event_number(&ev, EF_PPID, (uint64_t)x->ppid);
	event_text(&ev, EF_PATH, x->path[0] ? x->path : NULL);
	event_list(&ev, EF_ARGV, x->argv, x->argv_len);
	event_text(&ev, EF_CWD, x->cwd[0] ? x->cwd : NULL);
	event_text(&ev, EF_SOURCE, "seccomp");
	if (error)
		event_text(&ev, EF_ERROR, error == -ENOENT ? "ENOENT" : "EACCES");
	supervisor_emit(s, &ev);
}

/* @error: 0, or why it has failed; of what was executed the end is waited for. */
static void settle_one(struct supervisor *s, struct execution *x, int error)
{
	struct sighting t = { .time_ns = x->time_ns,
			      .pid = x->pid,
			      .access = "exec",
			      .path = x->path,
			      .error = error == -ENOENT ? ENOENT : 0 };

	/* Of the places where a shell looks, those that the plan leaves out: nothing is there. */
	bool refused = !x->held && watch_refused(s, x->path, false, &t);

	if (refused && error == 0)
		error = -t.error;
	if (error == 0)
		events_started(s);
	emit_execution(s, x, error);
	if (refused)
		watch_tell(s, &t);
	if (error)
		sys_close(TAKE_FD(x->pidfd));
	else
		watch_follow(s, TAKE_FD(x->pidfd), x->pid, x->ppid, x->path);
	x->tid = 0;
}

/* Not yet: look again in a moment, unless that has been done for long. */
static bool is_overdue(const struct execution *x, uint64_t now)
{
	if (now >= x->until)
		return true;
	watch_at(MIN(x->until, now + WATCH_LATE_MS));
	return false;
}

static void settle_late(struct supervisor *s, struct execution *x, bool known, uint64_t now)
{
	int r;

	if (x->tid == 0)
		return;
	r = watch_lookup(s, x->path);
	if (r != -EAGAIN || known || is_overdue(x, now))
		settle_one(s, x, r == -EAGAIN ? 0 : r);
}

/* The command's task has left our memory, and has not said that it failed. */
static bool has_executed(const struct supervisor *s)
{
	return !__atomic_load_n(&s->jail.task_here, __ATOMIC_ACQUIRE) && !err_is_set(&s->jail.err);
}

/* @tid does something now, so what it has executed is known; 0: time has passed. */
static void settle(struct supervisor *s, pid_t tid, uint64_t now)
{
	/* Before the command runs, nothing does. */
	if (watch.mine.tid && (tid || has_executed(s) || is_overdue(&watch.mine, now)))
		settle_one(s, &watch.mine, 0);
	for (size_t i = 0; i < watch.late_top; i++)
		settle_late(s, &watch.late[i], tid && tid == watch.late[i].tid, now);
	while (watch.late_top > 0 && watch.late[watch.late_top - 1].tid == 0)
		watch.late_top--;
}

static void start_late(struct execution *x)
{
	uint64_t now = supervisor_now();

	x->until = now + WATCH_OVERDUE_MS;
	watch_at(now + WATCH_LATE_MS);
}

/* The kernel has not looked it up yet. When it has, we see whether it is there. */
static void postpone(struct supervisor *s, const struct execution *now)
{
	struct execution *x = &watch.late[0];

	for (size_t i = 0; i < WATCH_LATE; i++) {
		if (i == watch.late_top)
			watch.late_top++;
		if (watch.late[i].tid == 0) {
			x = &watch.late[i];
			break;
		}
		if (watch.late[i].until < x->until)
			x = &watch.late[i];
	}
	settle_late(s, x, true, 0);
	*x = *now;
	start_late(x);
}

/*
 * The command's task looks its program up in PATH, in our memory (jail.h). What it tries
 * last is what was executed; where there is none, purple-init was.
 */
static bool is_ours(const struct supervisor *s, const struct seccomp_notif *n)
{
	if (watch.first == 0)
		watch.first = (pid_t)n->pid;
	if ((pid_t)n->pid != watch.first)
		return false;
	return ++watch.own <= __atomic_load_n(&s->jail.exec_tries, __ATOMIC_ACQUIRE);
}

static void see_ours(struct supervisor *s, const struct seccomp_notif *n)
{
	struct execution *x = &watch.mine;

	if (!s->request->stays) {
		if (x->tid == 0) /* else the try before was none */
			x->pidfd = (int)sys_call(SYS_pidfd_open, n->pid, 0);
		x->tid = x->pid = (pid_t)n->pid;
		x->ppid = s->jail.pid1;
		x->time_ns = sys_clock_ns(CLOCK_REALTIME);
		start_late(x);
		str_copy(x->path, sizeof(x->path), (const char *)(uintptr_t)n->data.args[0]);
		watch_link(x->tid, "cwd", x->cwd, sizeof(x->cwd));
		if (!x->cwd[0] && !s->plan->working_dir.off && s->launch->workspace)
			str_copy(x->cwd, sizeof(x->cwd), s->launch->workspace); /* unreadable */
		x->argv_len = events_join(s->launch->argv, x->argv, sizeof(x->argv));
	}
	answer(s, n, 0);
}

static void open_root(const struct supervisor *s, const struct seccomp_notif *n)
{
	char path[64];

	if (watch.root >= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/root", (int)n->pid);
	watch.root = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
	if (watch.root >= 0 && !is_there(s, n))
		sys_close(TAKE_FD(watch.root)); /* perhaps another's */
	if (watch.root < 0)
		watch.root = -1;
}

static void see_execution(struct supervisor *s, const struct seccomp_notif *n)
{
	struct execution *x = &watch.now;
	bool at = n->data.nr == SYS_execveat;
	const __u64 *a = n->data.args;
	int r;

	x->tid = (pid_t)n->pid;
	x->time_ns = sys_clock_ns(CLOCK_REALTIME);
	x->pid = watch_process(x->tid, &x->ppid, &x->pidfd);
	x->path[0] = '\0';
	if (watch_string(x->tid, a[at], watch.scratch, sizeof(watch.scratch)) >= 0)
		watch_resolve(x->tid, at ? (int)a[0] : AT_FDCWD, watch.scratch, x->path);
	x->argv_len = watch_strings(x->tid, a[at + 1], x->argv, sizeof(x->argv));
	watch_link(x->tid, "cwd", x->cwd, sizeof(x->cwd));
	open_root(s, n);
	/* The name of what a descriptor leads to may be one that was. */
	x->held = at && x->path[0] == '/' && watch.scratch[0] == '\0';
	/* What cannot be read now the kernel may read in a moment: nobody knows. */
	r = x->held || !x->path[0] ? 0 : watch_lookup(s, x->path);
	if (!is_there(s, n)) {
		sys_close(TAKE_FD(x->pidfd));
		return;
	}
	answer(s, n, 0);
	if (r == -EAGAIN && watch.root >= 0)
		postpone(s, x);
	else
		settle_one(s, x, r == -EAGAIN ? 0 : r);
}

/* The flags of an open, wherever they are; false: they cannot be read. */
static bool open_flags(const struct seccomp_notif *n, int *dirfd, uint64_t *path, uint64_t *flags)
{
	const __u64 *a = n->data.args;
	struct open_how how;

	*dirfd = AT_FDCWD;
	*path = a[0];
	switch (n->data.nr) {
#ifdef SYS_creat
	case SYS_creat:
		*flags = O_WRONLY | O_CREAT | O_TRUNC;
		return true;
#endif
	case SYS_truncate:
		*flags = O_WRONLY;
		return true;
#ifdef SYS_open
	case SYS_open:
		*flags = a[1];
		return true;
#endif
	case SYS_openat2:
		*dirfd = (int)a[0];
		*path = a[1];
		if (watch_bytes((pid_t)n->pid, a[2], &how, sizeof(how)) < 0)
			return false;
		*flags = how.flags;
		break;
	default:
		*flags = a[2];
	}
	*dirfd = (int)a[0];
	*path = a[1];
	return true;
}

/* By its text, watch.path is in the workspace: is it by its links? */
static bool leads_out(struct supervisor *s, const struct seccomp_notif *n, int dirfd, bool held)
{
	const char *raw = watch.path;

	if (!watch_in_workspace(s, watch.path))
		return false;
	/* What ".." means behind a link, the text does not say. */
	if (!held && strstr(watch.scratch, "..") &&
	    watch_join((pid_t)n->pid, dirfd, watch.scratch, watch.raw))
		raw = watch.raw;
	open_root(s, n);
	return watch_leads_out(s, raw, watch.path);
}

/* Does somebody want to be told of it, or is it observed for the workspace alone? */
static bool tells_opens(const struct supervisor *s)
{
	const struct plan_audit *a = &s->plan->audit;

	return !(a->flags & PA_EBPF) && (a->denials.off || a->classes & PAC_FILESYSTEM);
}

static bool tells_changes(const struct supervisor *s)
{
	const struct plan_audit *a = &s->plan->audit;

	return !(a->flags & PA_EBPF) &&
	       (a->denials.off || (a->classes & PAC_FILESYSTEM && a->flags & PA_OPENS));
}

/* What the filter allows: PID 1 may have to do it, or the kernel does. */
static void go_on(struct supervisor *s, const struct seccomp_notif *n)
{
	if (!protect_takes(s, n))
		answer(s, n, 0);
}

static void see_open(struct supervisor *s, const struct seccomp_notif *n)
{
	struct sighting t = { .type = EV_FILE_OPEN,
			      .time_ns = sys_clock_ns(CLOCK_REALTIME),
			      .access = "read",
			      .path = watch.path };
	uint64_t flags = 0, path = 0;
	bool creates, writes, held = false, seen = false, out = false;
	int dirfd = AT_FDCWD, r;

	/* What cannot be read now the kernel may read in a moment: told of without a name. */
	if (!open_flags(n, &dirfd, &path, &flags))
		flags = O_WRONLY;
	creates = flags & O_CREAT;
	writes = creates || flags & (O_WRONLY | O_RDWR | O_TRUNC);
	r = watch_string((pid_t)n->pid, path, watch.scratch, sizeof(watch.scratch));
	/* A name of no bytes can have become another until the kernel reads it. */
	if (!(flags & O_PATH)) {
		watch.path[0] = '\0';
		if (r > 0)
			watch_resolve((pid_t)n->pid, dirfd, watch.scratch, watch.path);
		held = watch_reopened((pid_t)n->pid, watch.path);
		out = writes && leads_out(s, n, dirfd, held);
		if (!writes)
			open_root(s, n);
		t.pid = watch_process((pid_t)n->pid, NULL, NULL);
		seen = is_there(s, n);
	}
	if (seen)
		watch_limit_files(s, (pid_t)n->pid);
	go_on(s, n);
	if (writes)
		watch_limit_scratch(s);
	if (!seen || watch_is_plain_device(watch.path))
		return;
	t.access = creates ? "create" : writes ? "write" : "read";
	/* What a descriptor leads to is there, if only the caller of purple sees it. */
	if (!watch_refused(s, watch.path, creates, &t) || (held && t.error == ENOENT)) {
		t.type = EV_FILE_OPEN;
		t.error = 0;
		t.layer = NULL;
		if (writes && (out || !watch_in_workspace(s, watch.path)))
			t.type = EV_FILE_WRITE;
		else if (!(s->plan->audit.flags & PA_OPENS))
			return; /* observed for the sake of those that are refused */
	}
	watch_tell(s, &t);
}

static void see_refusal(struct supervisor *s, const struct seccomp_notif *n, int error)
{
	struct sighting t = { .type = EV_SYSCALL_DENIED,
			      .time_ns = sys_clock_ns(CLOCK_REALTIME),
			      .nr = n->data.nr,
			      .error = error == ENDS ? EPERM : error,
			      .access = error == ENDS ? "SIGSYS" : NULL };
	int pidfd = -1;

	watch_link((pid_t)n->pid, "exe", watch.program, sizeof(watch.program));
	t.pid = watch_process((pid_t)n->pid, NULL, error == ENDS ? &pidfd : NULL);
	t.path = is_there(s, n) ? watch.program : "";
	memcpy(t.args, n->data.args, sizeof(t.args));
	if (error == ENDS && is_there(s, n)) /* not another's by now */
		watch_kill((pid_t)n->pid, TAKE_FD(pidfd));
	sys_close(pidfd);
	answer(s, n, t.error); /* it returns to its end, or is gone */
	watch_tell(s, &t);
}

static void see_connection(struct supervisor *s, const struct seccomp_notif *n)
{
	struct sighting t = { .type = EV_NET_DENIED, .time_ns = sys_clock_ns(CLOCK_REALTIME) };
	char address[WATCH_ADDRESS];
	bool seen = watch_connects(n, &t, address) && is_there(s, n);

	answer(s, n, 0);
	/*
	 * With a network, to connect a datagram socket is no attempt to send: getaddrinfo(3)
	 * does it with every address to find out which to prefer.
	 */
	if (seen && !(s->plan->network.flags & PN_ON))
		watch_tell(s, &t);
	else if (seen && n->data.nr == SYS_sendto)
		watch_connect_ask(s, &t);
}

static bool is_fork(int nr)
{
	static const int calls[] = {
#ifdef SYS_fork
		SYS_fork, SYS_vfork,
#endif
		SYS_clone, 435 /* clone3 */
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (nr == calls[i])
			return true;
	return false;
}

static void see_fork(struct supervisor *s, const struct seccomp_notif *n)
{
	open_root(s, n);
	watch_limit_processes(s);
	answer(s, n, 0);
}

static void see_change(struct supervisor *s, const struct seccomp_notif *n)
{
	bool seen = watch_change(n);

	open_root(s, n);
	seen = seen && is_there(s, n);
	go_on(s, n);
	if (seen)
		watch_change_tell(s);
}

static bool is_open(int nr)
{
	static const int calls[] = {
#ifdef SYS_open
		SYS_open, SYS_creat,
#endif
		SYS_openat, SYS_openat2, SYS_truncate
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (nr == calls[i])
			return true;
	return false;
}

static void handle(struct supervisor *s, const struct seccomp_notif *n)
{
	bool executes = n->data.nr == SYS_execve || n->data.nr == SYS_execveat;
	bool ours = executes && is_ours(s, n); /* counts: never leave one out */
	int error = judge(s, &n->data);

	if (protect_is_door(s, n)) {
		answer(s, n, error);
	} else if (error) {
		see_refusal(s, n, error);
	} else if (ours) {
		see_ours(s, n);
	} else {
		settle(s, (pid_t)n->pid, supervisor_now());
		if (executes)
			see_execution(s, n);
		else if (n->data.nr == SYS_connect || n->data.nr == SYS_sendto)
			see_connection(s, n);
		else if (is_fork(n->data.nr))
			see_fork(s, n);
		else if (is_open(n->data.nr) && tells_opens(s))
			see_open(s, n);
		else if (!is_open(n->data.nr) && tells_changes(s))
			see_change(s, n);
		else
			go_on(s, n);
	}
}

/*
 * False: nothing waits any more. To receive may block, whatever the descriptor's flags,
 * but not if poll(2) has just said that somebody waits: seccomp_notify_recv() in the
 * kernel takes one from a count that is never below what poll sees.
 */
static bool receive(struct supervisor *s)
{
	union {
		struct seccomp_notif notif;
		char room[OURS];
	} n = { 0 };
	struct pollfd p = { .fd = s->jail.notify_fd, .events = POLLIN };
	const struct timespec none = { 0, 0 };

	if (sys_call(SYS_ppoll, &p, 1, &none, 0, 0) != 1 || !(p.revents & POLLIN))
		return false;
	/* -ENOENT: it was killed before we looked. */
	if (sys_call(SYS_ioctl, s->jail.notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0) {
		network_catch_up(s);
		handle(s, &n.notif);
	}
	return true;
}

void watch_prepare(const struct supervisor *s, struct pollfd *fds)
{
	bool on = s->watched;

	fds[0] = (struct pollfd){ .fd = on ? -1 : s->jail.notify_event, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = on ? s->jail.notify_fd : -1, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = on ? watch.exits : -1, .events = POLLIN };
	protect_prepare(s, &fds[3]);
}

void watch_handle(struct supervisor *s, const struct pollfd *fds)
{
	if (fds[0].revents)
		begin(s);
	if (fds[0].revents || fds[1].revents & POLLIN)
		for (int i = 0; i < WATCH_TURN && receive(s); i++)
			;
	protect_handle(s, &fds[3]);
	if (fds[1].revents & (POLLHUP | POLLERR) && !(fds[1].revents & POLLIN))
		sys_close(TAKE_FD(s->jail.notify_fd)); /* nobody is left who could call */
	if (fds[2].revents)
		watch_exits(s, false);
}

uint64_t watch_due(const struct supervisor *s)
{
	return s->watched ? watch.due : 0;
}

void watch_tick(struct supervisor *s, uint64_t now)
{
	if (!s->watched || watch.due == 0 || now < watch.due)
		return;
	watch.due = 0;
	settle(s, 0, now);
	watch_kill_due(now);
	watch_kinds_due(s, now);
	protect_tick(s, now);
}

void watch_end(struct supervisor *s)
{
	if (!s->watched)
		return;
	if (err_is_set(&s->jail.err) && watch.mine.tid) { /* the command's last try was none */
		sys_close(watch.mine.pidfd);
		watch.mine.tid = 0;
	}
	settle(s, 0, UINT64_MAX);
	watch_kill_due(UINT64_MAX);
	watch_exits(s, true);
	watch_limit_end(s);
	watch_kinds_due(s, 0);
	protect_end();
	sys_close(TAKE_FD(watch.root));
	s->watched = false;
}
