/* SPDX-License-Identifier: Apache-2.0 */
/* The command: cloned by PID 1 in its new root, without rights; locks itself; execve. */
#include "jail/internal.h"

#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>

#include "jail/search.h"
#include "sys/files.h"
#include "sys/process.h"

static _cold_data_ char command_stack[16 * 1024] __attribute__((__aligned__(64)));

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

static int take_terminal(struct jail *j)
{
	int r = (int)sys_call(SYS_setsid);

	if (r >= 0)
		r = (int)sys_call(SYS_ioctl, j->slave_fd, TIOCSCTTY, 0);
	for (int fd = 0; fd <= 2 && r >= 0; fd++)
		if (j->launch->terminal >> fd & 1)
			r = (int)sys_call(SYS_dup3, j->slave_fd, fd, 0);
	return r < 0 ? err_set(&j->err, r, "terminal", "take on the sandbox's terminal") : 0;
}

static int command_main(void *arg)
{
	struct jail *j = arg;
	const struct launch *l = j->launch;
	char buf[PATH_MAX];
	const char *dir = jail_place(j, j->plan->working_dir, buf);
	int r = jail_lock(j);

	if (err_is_set(&j->err))
		sys_exit(EXIT_PURPLE);
	if (!dir)
		dir = l->workspace ? l->workspace : "/";
	if (r == 0) {
		r = (int)sys_call(SYS_chdir, dir);
		if (r < 0) {
			err_set(&j->err, r, "working directory", "enter %s", dir);
			err_remedy(&j->err,
				   "it is looked up inside the sandbox; `purple plan` lists what "
				   "is mounted there");
		}
	}
	if (r == 0 && j->slave_fd >= 0)
		r = take_terminal(j);
	if (r == 0)
		r = (int)sys_call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &l->sigmask, 0,
				  sizeof(l->sigmask));
	if (r == 0)
		jail_exec_failed(&j->err, search_exec(l->argv, l->envp, buf), l->argv[0]);
	sys_exit(j->err.exit_code ? j->err.exit_code : EXIT_PURPLE);
}

int jail_command(struct jail *j)
{
	if (j->launch->init_socket >= 0) /* purple-init starts them, as they are asked for */
		return 0;
	j->command = sys_clone_fn(CLONE_VM | CLONE_PIDFD | SIGCHLD,
				  command_stack + sizeof(command_stack), &j->command_fd,
				  command_main, j);
	if (j->command < 0)
		return err_set(&j->err, (int)j->command, "start",
			       "start a process for the command");
	return 0;
}
