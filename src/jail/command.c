/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's task: cloned by PID 1 before the root is built, so that the two
 * work at one time. Between them goes a pair of sockets:
 *
 *	task → PID 1	the network namespace, with lo up
 *	PID 1 → task	all is set up and locked; the terminal's other end, if any
 *	task → launcher	the listener, if calls are observed
 *
 * Either end's closing tells that the process failed: what it found is in
 * j->err. The task has a descriptor table of its own, for PID 1 closes what it
 * does not know; so what PID 1 opens later comes over the socket.
 */
#include "jail/internal.h"

#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "jail/search.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/pass.h"
#include "sys/process.h"

static _scratch_data_ char command_stack[16 * 1024] __attribute__((__aligned__(64)));

void jail_exec_failed(struct err *e, int code, const char *name)
{
	if (code == -ENOENT || code == -ENOTDIR) {
		e->exit_code = EXIT_NOT_FOUND;
		err_set(e, code, "exec", "%s", name);
		err_remedy(
			e,
			strchr(name, '/')
				? "the path is looked up inside the sandbox; `purple plan` lists what is "
				  "mounted there"
				: "no directory of PATH inside the sandbox has it; `purple plan` lists "
				  "what is mounted there");
		return;
	}
	e->exit_code = EXIT_NOT_EXEC;
	err_set(e, code, "exec", "%s", name);
	if (code == -EACCES)
		err_remedy(e, "it is a directory, has no execute permission, or lies where "
			      "the policy grants no execution");
	else if (code == -ENOEXEC)
		err_remedy(e, "it is no program of this machine; a script needs a #! line");
}

static int take_terminal(struct jail *j, int slave)
{
	int r = (int)sys_call(SYS_setsid);

	if (r >= 0)
		r = (int)sys_call(SYS_ioctl, slave, TIOCSCTTY, 0);
	for (int fd = 0; fd <= 2 && r >= 0; fd++)
		if (j->launch->terminal >> fd & 1)
			r = (int)sys_call(SYS_dup3, slave, fd, 0);
	return r < 0 ? err_set(&j->err, r, "terminal", "take on the sandbox's terminal") : 0;
}

/*
 * What takes long comes first: PID 1 waits for the network before it enters the root. A change
 * of ids makes the memory that we share as fs.suid_dumpable says, so after PID 1 we say it too.
 */
static int (*const steps[])(struct jail *) = {
	jail_make_network, jail_hand_network, jail_bounding_set, jail_wait_ids,
	jail_capabilities, jail_no_new_privs, jail_undumpable,
};

/* pivot_root(2) has moved our root with PID 1's: never go on in the host's. */
static int check_root(struct jail *j)
{
	struct stat st;
	int r = (int)sys_call(SYS_newfstatat, AT_FDCWD, "/", &st, 0);

	if (r == 0 && st.st_dev != j->root_dev)
		r = -EXDEV;
	return r < 0 ? err_set(&j->err, r, "rootfs", "enter the new root") : 0;
}

/* Wait for PID 1's word. Nobody but it can end us until then. */
static int wait_release(struct jail *j, int *slave)
{
	int r = sys_pass_receive(j->task_socket, slave);

	if (r == -EPIPE)
		return -ECANCELED; /* PID 1 has filled j->err */
	if (r == 0 && *slave < 0 && j->slave_fd >= 0)
		r = -EBADF; /* never go on at the caller's terminal */
	if (r < 0)
		return err_set(&j->err, r, "start", "wait for PID 1");
	return check_root(j);
}

static int enter_working_dir(struct jail *j, char buf[PATH_MAX])
{
	const char *dir = jail_place(j, j->plan->working_dir, buf);
	int r;

	if (err_is_set(&j->err))
		return -j->err.code;
	if (!dir)
		dir = j->launch->workspace ? j->launch->workspace : "/";
	r = (int)sys_call(SYS_chdir, dir);
	if (r == 0)
		return 0;
	err_set(&j->err, r, "working directory", "enter %s", dir);
	err_remedy(&j->err, "it is looked up inside the sandbox; `purple plan` lists what is "
			    "mounted there");
	return r;
}

/* All that is only needed here. Few open files may leave no number for the listener. */
static void close_others(const struct jail *j, int slave)
{
	int keep[] = { j->task_socket, j->ruleset_fd, j->guard_fd, slave };
	unsigned from = 3;

	for (;;) {
		int next = -1;

		for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
			if (keep[i] >= (int)from && (next < 0 || keep[i] < next))
				next = keep[i];
		if (next < 0)
			break;
		if (next > (int)from)
			sys_close_range(from, (unsigned)next - 1, 0);
		from = (unsigned)next + 1;
	}
	sys_close_range(from, ~0U, 0);
}

/* The listener goes out before any call that waits for it: the filter allows sendmsg. */
static int lock(struct jail *j, int slave)
{
	int listener, r;

	if (!jail_is_observed(j))
		return jail_lock(j);
	if (j->plan->steps & STEP_CLOSE_FDS)
		close_others(j, slave);
	r = jail_lock_observed(j, &listener);
	if (r < 0)
		return r;
	r = sys_pass_send(j->task_socket, listener);
	return r < 0 ? err_set(&j->err, r, "seccomp", "hand the listener on") : 0;
}

static int command_main(void *arg)
{
	struct jail *j = arg;
	const struct launch *l = j->launch;
	char buf[PATH_MAX];
	int slave = -1, r = 0;

	sys_call(SYS_set_tid_address, &j->task_here);
	sys_close(j->command_socket); /* or we would wait for ourselves */
	for (size_t i = 0; i < ARRAY_SIZE(steps) && r == 0; i++)
		r = steps[i](j);
	if (r == 0)
		r = wait_release(j, &slave);
	if (r == 0)
		r = jail_rlimits(j); /* few open files may be none to receive the terminal by */
	if (r == 0)
		r = lock(j, slave);
	if (r == 0)
		r = enter_working_dir(j, buf);
	if (r == 0 && slave >= 0)
		r = take_terminal(j, slave);
	if (r == 0)
		r = (int)sys_call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &l->sigmask, 0,
				  sizeof(l->sigmask));
	if (r == 0)
		jail_exec_failed(&j->err, search_exec(l->argv, l->envp, buf, &j->exec_tries),
				 l->argv[0]);
	sys_exit(j->err.exit_code ? j->err.exit_code : EXIT_PURPLE);
}

int jail_task_gone(struct jail *j)
{
	if (!err_is_set(&j->err))
		err_set(&j->err, ECANCELED, "start", "the command's task was killed");
	return -ECANCELED;
}

int jail_command(struct jail *j)
{
	int pair[2], r;

	if (j->launch->init_socket >= 0) /* purple-init starts them, as they are asked for */
		return jail_make_network(j);
	r = (int)sys_call(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	if (r < 0)
		return err_set(&j->err, r, "start", "make the socket to the command's task");
	j->command_socket = pair[0];
	j->task_socket = pair[1];
	j->task_here = 1;
	j->command = sys_clone_fn(CLONE_VM | CLONE_PIDFD | SIGCHLD,
				  command_stack + sizeof(command_stack), &j->task_fd, command_main,
				  j);
	sys_close(pair[1]);
	return j->command < 0 ? err_set(&j->err, (int)j->command, "start",
					"start a process for the command")
			      : 0;
}

int jail_take_listener(struct jail *j)
{
	int r = 0;

	if (j->notify_socket >= 0 && j->notify_fd < 0) {
		r = sys_pass_receive(j->notify_socket, &j->notify_fd);
		sys_close(TAKE_FD(j->notify_socket));
	}
	return r < 0 ? r : j->notify_fd;
}

int jail_release(struct jail *j)
{
	int r;

	if (j->command_socket < 0)
		return 0;
	j->released_us = sys_clock_us(CLOCK_MONOTONIC);
	/* Before it runs: the launcher passes on signals only to a command that has started. */
	__atomic_store_n(&j->command_fd, TAKE_FD(j->task_fd), __ATOMIC_RELEASE);
	r = sys_pass_send(j->command_socket, j->slave_fd);
	if (r == 0 && jail_is_observed(j)) {
		uint64_t one = 1;

		/* Our limit of open files may be the command's: the launcher receives it. */
		__atomic_store_n(&j->notify_socket, TAKE_FD(j->command_socket), __ATOMIC_RELEASE);
		sys_write(j->notify_event, &one, sizeof(one));
	}
	sys_close(TAKE_FD(j->command_socket));
	if (r == -EPIPE || r == -ECONNRESET)
		return jail_task_gone(j);
	return r < 0 ? err_set(&j->err, r, "start", "release the command") : 0;
}
