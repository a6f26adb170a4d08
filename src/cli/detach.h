/* SPDX-License-Identifier: Apache-2.0 */
/* A supervisor that goes on in the background: `run --detach` and `create`. */
#ifndef PURPLE_CLI_DETACH_H
#define PURPLE_CLI_DETACH_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Start a process that returns from here, 0, and becomes the supervisor: in a session
 * of its own, with /dev/null for 0-2, and in *@ready the descriptor for struct
 * run_ready. The one that called never returns: it waits for that, prints the
 * sandbox's name and exits, 0. They share all memory; so nothing is copied.
 *
 * When it does not start, the caller waits for the end of the other, which has then
 * all to itself, and exits as @failed(@e, @lost) says. @lost: the supervisor was
 * killed, and has told nobody, nor written a report. -errno with @e: no process.
 */
int detach(int *ready, int (*failed)(const struct err *e, bool lost), struct err *e);

/* In the supervisor: it could not be started after all. The last thing that it does. */
void detach_failed(int ready, const struct err *e);

#endif
