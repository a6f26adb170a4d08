/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of `purple exec`: what it costs to run one more command in a
 * sandbox that runs already, when nobody inside helps. `setns PID CMD [ARG…]`
 * joins all eight namespaces of PID by one setns(2) on its pidfd, and starts
 * CMD under the bonds of bench/floor: no capabilities, no_new_privs, Landlock,
 * seccomp. PID is the command that `floor` has started from the same current
 * directory. A ruler for `make bench`; not installed.
 *
 * Works as root and as the user who made PID's user namespace, who has all
 * capabilities in it: user_namespaces(7).
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "confine.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define EIGHT_NAMESPACES                                                                           \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP | CLONE_NEWTIME)

const char confine_program[] = "setns";

static void join(const char *pid)
{
	int pidfd = check(syscall(SYS_pidfd_open, (pid_t)strtol(pid, NULL, 10), 0), "pidfd_open",
			  pid);

	check(setns(pidfd, EIGHT_NAMESPACES), "setns", pid);
	close(pidfd);
}

static _noreturn_ void child(char **argv, const char *workspace)
{
	confine(workspace);
	execvp(argv[0], argv);
	die("exec", argv[0]);
}

/* A PID namespace is joined by children only; this one shares our memory until its exec. */
static __attribute__((__noinline__)) int spawn(char **argv, const char *workspace)
{
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK,
		.exit_signal = SIGCHLD,
	};
	long pid = confine_clone(&args);

	if (pid == 0)
		child(argv, workspace);
	if (pid < 0) {
		errno = (int)-pid;
		die("clone3", argv[0]);
	}
	return (int)pid;
}

int main(int argc, char **argv)
{
	static char cwd[4096];
	int status, pid;

	if (argc < 3 || !getcwd(cwd, sizeof(cwd)) || strcmp(cwd, "/") == 0) {
		errno = EINVAL;
		die("usage", "setns PID CMD [ARG…], in a directory other than /");
	}
	join(argv[1]); /* the current directory is now the root of PID's mount namespace */
	pid = spawn(argv + 2, cwd + 1);
	check(waitpid(pid, &status, 0), "wait", argv[2]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
