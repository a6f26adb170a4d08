/* SPDX-License-Identifier: Apache-2.0 */
#include "jail/jail.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jail/internal.h"
#include "sys/files.h"
#include "sys/process.h"

/* PID 1 needs little: the deepest it goes is vsnprintf for an error. */
static _scratch_data_ char pid1_stack[16 * 1024] __attribute__((__aligned__(64)));

/* One that leads to its peer and nowhere else: a connected UNIX socket. */
static bool is_private_socket(int fd)
{
	struct sockaddr_storage peer;
	int domain = 0;
	socklen_t size = sizeof(domain), peer_size = sizeof(peer);

	/* A socket keeps the network namespace that it was made in; see SO_DOMAIN, socket(7). */
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0;
}

/*
 * Only 0, 1 and 2 go inside. A directory among them would be a way out of the
 * root (openat(0, "..")), and so would any descriptor that was opened by
 * O_PATH: CVE-2024-21626 and its kin.
 */
int jail_check_stdio(const int fds[3], struct err *e)
{
	for (int i = 0; i <= 2; i++) {
		struct stat st;
		int flags = (int)sys_call(SYS_fcntl, fds[i], F_GETFL);
		bool known = fstat(fds[i], &st) == 0;

		if (known && S_ISSOCK(st.st_mode) && !is_private_socket(fds[i])) {
			err_set(e, EPROTO, "stdio",
				"descriptor %d is a socket of the host's network, through which "
				"the command could reach others",
				i);
			err_remedy(e, "put a pipe between: … | purple run … | …");
			return -EPROTO;
		}
		if (!known || S_ISDIR(st.st_mode) || (flags & O_PATH)) {
			err_set(e, EPROTO, "stdio",
				"descriptor %d is a directory, through which the command could "
				"leave its root",
				i);
			err_remedy(e, "redirect %d from or to a file, a pipe or /dev/null", i);
			return -EPROTO;
		}
	}
	return 0;
}

int jail_namespace_failed(struct jail *j, int code)
{
	err_set(&j->err, code, "namespaces", "start a process in new namespaces");
	if (code == -ENOSPC)
		err_remedy(&j->err, "a limit of /proc/sys/user/max_*_namespaces is reached or 0; "
				    "`purple doctor` says which");
	else if (code == -EPERM || code == -EACCES || code == -ENOSYS) /* ENOSYS: a filter */
		err_remedy(&j->err, "this host does not let you create user namespaces; "
				    "`purple doctor` says why and what to do");
	else if (code == -EINVAL)
		err_remedy(&j->err, "this kernel lacks one of the namespaces that the plan asks "
				    "for; `purple doctor` says which");
	return code;
}

static int clone_failed(struct jail *j, int code)
{
	if (j->launch->cgroup_fd >= 0 && (code == -EBUSY || code == -EACCES || code == -ENODEV))
		return err_set(&j->err, code, "cgroup",
			       "start a process in the sandbox's control group");
	return jail_namespace_failed(j, code);
}

int jail_start(struct jail *j, const struct plan *plan, const struct launch *launch)
{
	struct clone_args args = {
		.flags = (plan->namespaces & ~(uint64_t)CLONE_NEWNET) | CLONE_VM | CLONE_FILES |
			 CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_CHILD_CLEARTID,
		.pidfd = (uintptr_t)&j->pid1_fd,
		.child_tid = (uintptr_t)&j->pid1_here,
		.exit_signal = SIGCHLD,
		.stack = (uintptr_t)pid1_stack,
		.stack_size = sizeof(pid1_stack),
	};
	int r;

	memset(j, 0, sizeof(*j));
	j->plan = plan;
	j->launch = launch;
	j->pid1_fd = j->status_fd = j->command_fd = j->pty_fd = j->parent_fd = -1;
	j->pty_event = j->devpts_fd = j->parent.fd = j->net_event = -1;
	j->root_fd = j->ruleset_fd = j->init_fd = j->slave_fd = -1;
	j->task_fd = j->command_socket = j->notify_event = -1;
	j->notify_socket = j->notify_fd = j->told_fd = -1;
	j->guard_fd = j->door_fd = j->door_theirs = -1;
	memset(j->idmap_fds, -1, sizeof(j->idmap_fds));
	memset(j->output_fds, -1, sizeof(j->output_fds));

	r = jail_check_stdio((const int[]){ 0, 1, 2 }, &j->err);
	if (r < 0)
		return r;
	if (jail_in_group(launch))
		args.flags &= ~(uint64_t)CLONE_NEWCGROUP; /* see jail_cgroup_namespace() */
	if (launch->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)launch->cgroup_fd;
	}
	j->status_fd = (int)sys_call(SYS_eventfd2, 0, O_CLOEXEC | O_NONBLOCK);
	j->parent_fd = (int)sys_call(SYS_pidfd_open, getpid(), 0);
	if (j->status_fd < 0 || j->parent_fd < 0)
		return err_set(&j->err, j->status_fd < 0 ? j->status_fd : j->parent_fd, "start",
			       "open the descriptors that watch the sandbox");
	if (launch->terminal) {
		j->pty_event = (int)sys_call(SYS_eventfd2, 0, O_CLOEXEC | O_NONBLOCK);
		if (j->pty_event < 0)
			return err_set(&j->err, j->pty_event, "start", "watch for the terminal");
	}
	if (plan->network.flags & PN_ON) {
		j->net_event = (int)sys_call(SYS_eventfd2, 0, O_CLOEXEC | O_NONBLOCK);
		if (j->net_event < 0)
			return err_set(&j->err, j->net_event, "start", "watch for the network");
	}
	if (jail_is_observed(j)) {
		j->notify_event = (int)sys_call(SYS_eventfd2, 0, O_CLOEXEC | O_NONBLOCK);
		if (j->notify_event < 0)
			return err_set(&j->err, j->notify_event, "start", "watch for calls");
	}
	r = jail_make_door(j);
	if (r < 0)
		return r;
	j->pid1_here = 1;
	j->pid1 = sys_clone3_fn(&args, jail_pid1, j);
	if (j->pid1 < 0) {
		j->pid1_fd = -1;
		return clone_failed(j, j->pid1);
	}
	r = jail_write_ids(j);
	__atomic_store_n(&j->ids_ready, r < 0 ? IDS_FAILED : IDS_READY, __ATOMIC_RELEASE);
	sys_futex_wake(&j->ids_ready);
	/* On failure PID 1 ends by itself and the caller finds j->err. */
	return 0;
}

void jail_close_network(struct jail *j)
{
	for (unsigned i = 0; i < j->net_count; i++)
		sys_close(j->net_fds[i]);
	j->net_count = 0;
}

/* The table was shared: what PID 1 opened before it execed is ours too. */
void jail_settle(struct jail *j)
{
	int *const fds[] = { &j->parent_fd,	 &j->root_fd,	&j->ruleset_fd,
			     &j->init_fd,	 &j->parent.fd, &j->task_fd,
			     &j->command_socket, &j->guard_fd,	&j->door_theirs };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		sys_close(TAKE_FD(*fds[i]));
	for (unsigned i = 0; i < JAIL_IDMAPS_MAX; i++)
		sys_close(TAKE_FD(j->idmap_fds[i]));
}

void jail_close(struct jail *j)
{
	int *const fds[] = { &j->pid1_fd,      &j->status_fd, &j->command_fd,	 &j->pty_fd,
			     &j->pty_event,    &j->slave_fd,  &j->devpts_fd,	 &j->net_event,
			     &j->notify_event, &j->notify_fd, &j->notify_socket, &j->told_fd,
			     &j->door_fd };

	jail_settle(j);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		sys_close(TAKE_FD(*fds[i]));
	for (unsigned i = 0; i < PLAN_OUTPUTS_MAX; i++)
		sys_close(TAKE_FD(j->output_fds[i]));
	jail_close_network(j);
}
