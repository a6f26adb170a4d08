/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs as:  PID 1 of a sandbox, with exactly the restrictions of the command
 *           it serves: no capability, the same Landlock domain, the same filter.
 * Reads:    wait statuses; argv: the descriptor to report to, and the pid of
 *           the command.
 * Trusts:   nothing. What goes wrong here costs the sandbox its exit status.
 * May call: wait4, write, prctl, exit: see "init" in plan/syscall_groups.c.
 *
 * Reaps every orphan. When the command has ended, reports its wait status
 * plus 1 (an eventfd takes no 0) and exits, whereupon the kernel kills what
 * is left. Signals from inside do not reach a PID 1 that handles none.
 */
#include <stdint.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/str.h"
#include "sys/files.h"
#include "sys/process.h"

int main(int argc, char **argv)
{
	uint64_t status_fd, command;
	int status = 0;

	/* Nobody inside may read or trace us, nor follow /proc/1/exe. */
	sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (argc != 3 || parse_u64(argv[1], &status_fd) < 0 || parse_u64(argv[2], &command) < 0)
		return EXIT_PURPLE;
	for (;;) {
		long pid = sys_call(SYS_wait4, -1, &status, 0, 0);

		if (pid == (long)command) {
			uint64_t report = (uint64_t)(uint32_t)status + 1;

			sys_write((int)status_fd, &report, sizeof(report));
			return WIFEXITED(status) ? WEXITSTATUS(status) :
						   EXIT_SIGNAL_BASE + WTERMSIG(status);
		}
		if (pid < 0 && pid != -EINTR)
			return EXIT_PURPLE; /* ECHILD: the command is gone, unseen */
	}
}
