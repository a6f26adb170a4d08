/* SPDX-License-Identifier: Apache-2.0 */
/* A supervisor that goes on in the background: `run --detach` and `create`. */
#ifndef PURPLE_CLI_DETACH_H
#define PURPLE_CLI_DETACH_H

#include "base/err.h"

/*
 * Fork. In the child, which becomes the supervisor: a session of its own,
 * /dev/null for 0-2, returns 0 and in *@ready the descriptor for struct
 * run_ready. In the parent: waits for that, prints the sandbox's name and
 * returns 1; or -errno with @e set.
 */
int detach(int *ready, struct err *e);

/* In the child: it could not be started after all. */
void detach_failed(int ready, const struct err *e);

#endif
