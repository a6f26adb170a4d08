/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An observed call cannot be answered with an end (seccomp_unotify(2)), so the end is sent: while
 * the caller waits for the answer, which is an errno, so the call itself is never made. A
 * signal that is sent can be blocked, ignored or caught, and init of a nested pid
 * namespace has it only if it is SIGKILL (pid_namespaces(7)).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/watch_internal.h"
#include "sys/files.h"
#include "sys/process.h"

enum { ENDING = 8, GRACE_MS = 100 }; /* a core file may be written meanwhile */

static struct {
	int pidfd;
	uint64_t until; /* 0: a free place */
} ending[ENDING];

/* "SigBlk:\t0000000040000000", and so on: does one of them have @sig? */
static bool withstands(pid_t tid, int sig)
{
	static const char *const masks[] = { "\nSigBlk:\t", "\nSigIgn:\t", "\nSigCgt:\t" };
	char text[2048];
	uint64_t all = 0;

	watch_proc_status(tid, text, sizeof(text));
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		const char *at = strstr(text, masks[i]);

		if (!at)
			return true; /* not known */
		all |= strtoull(at + strlen(masks[i]), NULL, 16);
	}
	return all >> (sig - 1) & 1;
}

void watch_kill(pid_t tid, int pidfd)
{
	size_t i;

	for (i = 0; i < ENDING && ending[i].until; i++)
		;
	if (i == ENDING || withstands(tid, SIGSYS)) {
		sys_pidfd_signal(pidfd, SIGKILL);
		sys_close(pidfd);
		return;
	}
	sys_pidfd_signal(pidfd, SIGSYS);
	ending[i].pidfd = pidfd;
	ending[i].until = supervisor_now() + GRACE_MS;
	watch_at(ending[i].until);
}

void watch_kill_due(uint64_t now)
{
	for (size_t i = 0; i < ENDING; i++) {
		if (ending[i].until == 0)
			continue;
		if (now < ending[i].until) {
			watch_at(ending[i].until);
			continue;
		}
		sys_pidfd_signal(ending[i].pidfd, SIGKILL);
		sys_close(ending[i].pidfd);
		ending[i].until = 0;
	}
}
