/* SPDX-License-Identifier: Apache-2.0 */
/* Where the caller has made a key, the trail is signed at the end of each sandbox: purple-audit. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policy/policy.h"
#include "supervisor/internal.h"

#define PROGRAM "purple-audit"

/* It takes milliseconds, but where another holds the lock, or the disk hangs. */
enum { SIGN_MS = 15000, LOOK_MS = 2 };

/* False: nobody has made one. */
static bool has_key(void)
{
	char path[PATH_MAX];

	return policy_audit_key(path, sizeof(path)) == 0 && access(path, F_OK) == 0;
}

void supervisor_sign(const struct supervisor *s)
{
	const char *argv[] = { "audit", "sign", plan_string(s->plan, s->plan->audit.path), NULL };
	char program[PATH_MAX];
	struct err e = { 0 };
	pid_t pid;
	int r;

	if (!has_key() || !supervisor_program(s, PROGRAM, program, sizeof(program)))
		return;
	r = posix_spawn(&pid, program, NULL, NULL, (char *const *)(uintptr_t)argv, environ);
	if (r != 0) {
		err_set(&e, r, "audit", "the trail is not signed: start %s", program);
		err_remedy(&e, "this installation of Purple is not whole; install it again");
		err_print(&e);
		return;
	}
	/* It says itself what goes wrong. */
	for (unsigned ms = 0; waitpid(pid, NULL, WNOHANG) == 0; ms += LOOK_MS) {
		const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };

		if (ms >= SIGN_MS)
			kill(pid, SIGKILL);
		nanosleep(&pause, NULL);
	}
}
