/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a profile's name to a plan that is checked and ready: from the cache,
 * or by purple-compile. Nothing is parsed here.
 */
#ifndef PURPLE_CLI_OBTAIN_H
#define PURPLE_CLI_OBTAIN_H

#include "base/err.h"
#include "cli/dirs.h"
#include "cli/options.h"
#include "plan/plan.h"

/* NULL with @e set. The plan lives in static memory: one a process. */
const struct plan *obtain_plan(const struct run_options *o, const struct dirs *dirs,
			       struct err *e);

#endif
