/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stores (workspace/store.h) of filesystem.overlays, NAME:1 to NAME:8, in the plan's
 * order. For the static launcher.
 */
#ifndef PURPLE_CLI_OVERLAYS_H
#define PURPLE_CLI_OVERLAYS_H

#include "cli/dirs.h"
#include "supervisor/run.h"

/*
 * After layers_prepare(): fill in @l->overlays, and request->overlays and its id for those
 * whose changes go into the state directory. Static memory: one a process.
 */
int overlays_prepare(struct launch *l, const struct plan *p, const struct dirs *dirs,
		     struct run_request *request, struct err *e);
/* It comes to no start. */
void overlays_drop(struct run_request *request);

#endif
