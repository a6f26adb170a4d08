/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one sandbox in the foreground, from start to end: the launcher's event
 * loop. It waits for the sandbox to end, passes signals on to the command,
 * and, with a terminal, moves bytes between it and the sandbox's own.
 *
 * One thread, one poll(2). Signals arrive by signalfd, so nothing happens
 * between two instructions. The caller's terminal settings are put back
 * whatever happens, short of SIGKILL.
 */
#ifndef PURPLE_SUPERVISOR_RUN_H
#define PURPLE_SUPERVISOR_RUN_H

#include <stdbool.h>
#include <sys/resource.h>

#include "base/err.h"
#include "jail/launch.h"
#include "plan/plan.h"

struct outcome {
	bool started;	     /* the command was executed */
	int wait_status;     /* of the command, as wait(2) gives it; valid if started */
	bool killed;	     /* the sandbox was killed from outside; wait_status says by what */
	int exit_status;     /* what purple shall exit with */
	struct rusage usage; /* of all that ran inside */
};

/*
 * Start @launch under @plan and return when the sandbox has ended and nothing
 * of it is left. 0 with @ret filled; -errno with @e set when the command was
 * never executed (@ret->exit_status holds 125, 126 or 127 then).
 */
int supervisor_run(const struct plan *plan, struct launch *launch, struct outcome *ret,
		   struct err *e);

#endif
