/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "supervisor/watch_internal.h"
#include "sys/files.h"

/* Where the kernel tells the status, it is once the parent has taken it: EPOLLHUP, Linux 6.9. */
static void emit_exit(struct supervisor *s, struct process *p)
{
	struct event ev = { .type = EV_PROCESS_EXIT };
	int status;

	event_number(&ev, EF_PID, (uint64_t)p->pid);
	event_number(&ev, EF_PPID, (uint64_t)p->ppid);
	event_text(&ev, EF_PATH, p->path);
	if (watch_status(p->pidfd, &status)) {
		if (WIFSIGNALED(status))
			event_number(&ev, EF_SIGNAL, (uint64_t)WTERMSIG(status));
		else
			event_number(&ev, EF_STATUS, (uint64_t)WEXITSTATUS(status));
	}
	event_text(&ev, EF_SOURCE, "seccomp");
	supervisor_emit(s, &ev);
	watch_limit_scratch(s);
}

static void forget(struct process *p)
{
	free(TAKE_PTR(p->path));
	sys_close(p->pidfd);
	p->pidfd = -1;
	watch.processes_count--;
}

/* It executes something else: the same process, by another name. */
static bool rename_process(pid_t pid, const char *path)
{
	for (unsigned i = 0; watch.processes_count && i < watch.processes_top; i++) {
		struct process *p = &watch.processes[i];

		if (p->pidfd < 0 || p->pid != pid)
			continue;
		if (path[0] == '\0') /* unreadable: perhaps it has failed */
			return true;
		free(p->path);
		p->path = strdup(path);
		return true;
	}
	return false;
}

void watch_follow(struct supervisor *s, int pidfd, pid_t pid, pid_t ppid, const char *path)
{
	struct epoll_event ev = { .events = watch_has_status() ? 0 : EPOLLIN };
	unsigned i;

	if (pidfd < 0 || pid <= 0 || rename_process(pid, path) ||
	    watch.processes_count == WATCH_PROCESSES) {
		sys_close(pidfd);
		return;
	}
	if (watch.processes_count == 0 && watch.exits < 0)
		watch.exits = (int)sys_call(SYS_epoll_create1, O_CLOEXEC);
	for (i = 0; i < watch.processes_top && watch.processes[i].pidfd >= 0; i++)
		;
	ev.data.u32 = i;
	if (watch.exits < 0 ||
	    sys_call(SYS_epoll_ctl, watch.exits, EPOLL_CTL_ADD, pidfd, &ev) < 0) {
		sys_close(pidfd);
		return;
	}
	watch.processes[i] =
		(struct process){ .pidfd = pidfd, .pid = pid, .ppid = ppid, .path = strdup(path) };
	watch.processes_count++;
	watch.processes_top = MAX(watch.processes_top, i + 1);
}

void watch_exits(struct supervisor *s, bool all)
{
	enum { AT_ONCE = 16 };
	struct epoll_event events[AT_ONCE] = { 0 };
	long n = watch.exits < 0 ? 0
				 : sys_call(SYS_epoll_pwait, watch.exits, events, AT_ONCE, 0, 0, 0);

	for (long i = 0; i < n; i++) {
		struct process *p = &watch.processes[events[i].data.u32];

		if (p->pidfd < 0)
			continue;
		emit_exit(s, p);
		forget(p);
	}
	if (!all || watch.exits < 0)
		return;
	for (unsigned i = 0; i < watch.processes_top; i++) {
		if (watch.processes[i].pidfd < 0)
			continue;
		emit_exit(s, &watch.processes[i]);
		forget(&watch.processes[i]);
	}
	sys_close(TAKE_FD(watch.exits));
}
