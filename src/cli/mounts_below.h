/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is mounted below a directory that an overlay is to go over, which would not be seen
 * in it. Without root the kernel refuses that, and does not say why; as root it does not.
 * For the static launcher.
 */
#ifndef PURPLE_CLI_MOUNTS_BELOW_H
#define PURPLE_CLI_MOUNTS_BELOW_H

#include "base/err.h"
#include "jail/launch.h"
#include "plan/plan.h"

/*
 * -EPROTO with @e set, whatever it was, if something is mounted below the workspace or
 * another overlay of @p. Source: proc_pid_mountinfo(5).
 */
int mounts_below(const struct launch *l, const struct plan *p, struct err *e);

#endif
