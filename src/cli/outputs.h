/* SPDX-License-Identifier: Apache-2.0 */
/* The host's directories that filesystem.output_paths are collected in; the static launcher's. */
#ifndef PURPLE_CLI_OUTPUTS_H
#define PURPLE_CLI_OUTPUTS_H

#include "supervisor/run.h"

/*
 * Open them, in @o, and set request->outputs if the plan has any. -errno with @e set: one is
 * gone, cannot be written, or its box would hold the workspace.
 */
int outputs_prepare(const struct launch *l, const struct plan *p, struct run_outputs *o,
		    struct run_request *request, struct err *e);
/* No sandbox was started. */
void outputs_drop(struct run_request *request);

#endif
