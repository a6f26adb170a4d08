/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-serve reads bytes of whoever connects. When it has what it needs it gives up
 * the rest: capabilities, new privileges, files but those of the state directory
 * (Landlock, reading only), TCP but what it accepts, and all calls but some
 * (seccomp; the others answer EPERM): no new process, no execve, no socket but of
 * AF_UNIX. Its uid stays, for the state is the caller's own; it stays visible in /proc
 * to the caller, because supervisors ask who it is: supervisor/internal.h, peer_check().
 */
#ifndef PURPLE_SERVE_CONFINE_H
#define PURPLE_SERVE_CONFINE_H

#include <stdbool.h>

#include "base/err.h"
#include "sys/confine.h"

/*
 * @all: the directory of all sandboxes. @best_effort: go without Landlock where the
 * kernel has none, which is an error else. 0 or -errno with @e.
 */
int serve_confine(int all, bool best_effort, struct err *e);

/* For tests of each layer without the others. */
struct confine serve_confinement(int all, bool best_effort);

#endif
