/* SPDX-License-Identifier: Apache-2.0 */
/* The real host, for plan_build(): who calls, and what the file system says. */
#ifndef PURPLE_CLI_HOST_H
#define PURPLE_CLI_HOST_H

#include "plan/build.h"
#include "sys/probe.h"

/*
 * Strings point to static storage or the environment. @quick is the probe that
 * the plan is keyed by.
 */
void host_init(struct host *h, const struct probe_quick *quick, bool best_effort);

#endif
