/* SPDX-License-Identifier: Apache-2.0 */
/* From a plan and a command line to struct launch. For the static launcher. */
#ifndef PURPLE_CLI_LAUNCH_H
#define PURPLE_CLI_LAUNCH_H

#include "base/err.h"
#include "cli/dirs.h"
#include "cli/options.h"
#include "jail/launch.h"
#include "plan/plan.h"

/*
 * Fill @l: the command, its environment, the workspace (opened, and refused
 * where it would give away the host), the ids. Static memory: one a process.
 */
int launch_prepare(struct launch *l, const struct plan *p, const struct run_options *o,
		   const struct dirs *dirs, struct err *e);

#endif
