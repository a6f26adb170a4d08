/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors 0-2 of a command, before it gets them. */
#ifndef PURPLE_SUPERVISOR_GIVE_H
#define PURPLE_SUPERVISOR_GIVE_H

#include "jail/launch.h"
#include "plan/plan.h"

/*
 * A pipe of root's is open to root only. Under IDMAP_RANGE, give the ones among
 * @fds to the command, so that it can open /dev/stdin and its kin; a pipe has
 * no other name.
 */
void stdio_give(const struct launch *l, uint32_t idmap, const int fds[3]);

#endif
