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

/*
 * Room for the policy's text, then the plan. Most of it is never touched:
 * whoever populates our memory leaves all but PLAN_USUAL bytes out.
 */
extern char plan_memory[PLAN_MAX];
enum { PLAN_USUAL = 8192 };

enum plan_origin { PLAN_COMPILED, PLAN_CACHED };

/*
 * NULL with @e set. With *@origin PLAN_COMPILED the cache is not asked; on
 * return it tells where the plan came from. The plan lives in static memory:
 * one a process, and the next call overwrites it.
 */
const struct plan *obtain_plan(const struct run_options *o, const struct dirs *dirs,
			       enum plan_origin *origin, struct err *e);

#endif
