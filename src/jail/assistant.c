/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second pair of hands for PID 1: what takes long in the kernel and concerns
 * the namespaces, not the process, is done beside the mounts and the lockdown.
 * Bringing lo up runs through the notifiers of the whole network stack;
 * detaching the host's tree waits for an RCU grace period.
 *
 * The assistant shares everything with PID 1 (CLONE_VM, FS, FILES), has the
 * rights of PID 1 at its start, and has ended before the command starts:
 * PID 1 waits for it.
 */
#include "jail/internal.h"

#include <sys/wait.h>

#include "sys/mounts.h"
#include "sys/process.h"

static char assistant_stack[8 * 1024] __attribute__((__aligned__(64)));

/* Once PID 1 stands in the new root, the old one covers it at the same place. */
static int let_go_of_host(struct jail *j)
{
	int r;

	while (__atomic_load_n(&j->pivoted, __ATOMIC_ACQUIRE) == 0)
		sys_futex_wait(&j->pivoted, 0);
	r = sys_umount2(".", MNT_DETACH);
	return r < 0 ? err_set(&j->err, r, "rootfs", "let go of the host's tree") : 0;
}

static int (*const errands[])(struct jail *) = {
	jail_loopback, /* lo up */
	let_go_of_host,
};

static int assistant_main(void *arg)
{
	struct jail *j = arg;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(errands) && r == 0; i++)
		r = errands[i](j);
	sys_exit(r == 0 ? 0 : EXIT_PURPLE);
}

int jail_assistant_start(struct jail *j)
{
	int pid = sys_clone_fn(CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD,
			       assistant_stack + sizeof(assistant_stack), NULL, assistant_main, j);

	if (pid < 0)
		return err_set(&j->err, pid, "start", "start an assistant");
	j->assistant = pid;
	return 0;
}

int jail_assistant_wait(struct jail *j)
{
	int status = 0, r;

	r = (int)sys_call(SYS_wait4, j->assistant, &status, 0, 0);
	if (r < 0)
		return err_set(&j->err, r, "start", "wait for the assistant");
	if (status == 0)
		return 0;
	/* It has filled the error itself, unless it was killed. */
	return err_set(&j->err, EPROTO, "start", "the assistant was ended by signal %d",
		       WTERMSIG(status));
}
