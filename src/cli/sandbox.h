/* SPDX-License-Identifier: Apache-2.0 */
/* From a sandbox's name to its supervisor. For the static launcher. */
#ifndef PURPLE_CLI_SANDBOX_H
#define PURPLE_CLI_SANDBOX_H

#include "base/err.h"

/* Connect to the supervisor of the sandbox called @name (or of that id); -errno with @e set. */
int sandbox_connect(const char *name, struct err *e);

/* 0-2 are open for certain, so that nothing of ours takes their place. */
int sandbox_fill_stdio(struct err *e);

#endif
