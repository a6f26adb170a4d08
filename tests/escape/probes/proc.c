/* SPDX-License-Identifier: Apache-2.0 */
/* proc OP PID: reach a process of the host by its number there. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "probe.h"

/* ESRCH or nothing: even "not permitted" tells that it exists. */
static long see(pid_t pid)
{
	cpu_set_t set;

	return sched_getaffinity(pid, sizeof(set), &set);
}

static long slow(pid_t pid)
{
	return setpriority(PRIO_PROCESS, (id_t)pid, 19); /* never less than it has */
}

static long limit(pid_t pid)
{
	struct rlimit old;

	return prlimit(pid, RLIMIT_NOFILE, NULL, &old);
}

static long send(pid_t pid)
{
	return kill(pid, SIGUSR1);
}

static long trace(pid_t pid)
{
	return ptrace(PTRACE_SEIZE, pid, 0L, 0L);
}

static long peek(pid_t pid)
{
	static char here[8];
	struct iovec to = { here, sizeof(here) }, from = { here, sizeof(here) };

	/* EFAULT: it was allowed, and the other has nothing at this address. */
	return process_vm_readv(pid, &to, 1, &from, 1, 0) < 0 && errno != EFAULT ? -1 : 0;
}

static const struct {
	const char *name;
	long (*op)(pid_t);
} ops[] = {
	{ "see", see },	  { "slow", slow },   { "limit", limit },
	{ "send", send }, { "trace", trace }, { "peek", peek },
};

int main(int argc, char **argv)
{
	char what[64];

	for (size_t i = 0; argc == 3 && i < sizeof(ops) / sizeof(*ops); i++) {
		if (strcmp(ops[i].name, argv[1]) != 0)
			continue;
		snprintf(what, sizeof(what), "%s process %s", argv[1], argv[2]);
		judge(ops[i].op(atoi(argv[2])), what);
	}
	usage("proc see|slow|limit|send|trace|peek PID");
}
