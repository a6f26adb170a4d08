/* SPDX-License-Identifier: Apache-2.0 */
/* Who calls. For the static launcher too. */
#ifndef PURPLE_CLI_CALLER_H
#define PURPLE_CLI_CALLER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Root of the initial user namespace, so that any range of ids may be mapped:
 * effective uid 0, CAP_SYS_ADMIN, and /proc/self/uid_map says that all ids are
 * themselves. uid 0 of a container is an ordinary user to us.
 */
bool caller_is_root(void);

/*
 * Bring HOME and the XDG directories of the environment into the one form that
 * all else compares: absolute, without empty or "." parts and without a slash
 * at the end. What is not absolute, has ".." in it or is "/" alone is unset: no
 * home. To be called once, first.
 */
void caller_clean_environment(void);

/*
 * Reserve a range of 65536 host ids that no other sandbox of this machine
 * uses, for as long as the returned descriptor is open: a lock on one byte of
 * /run/purple/ids, which the kernel drops with the last process that holds it.
 * Returns the descriptor and sets *base, or -errno (-EAGAIN: all are taken).
 * The ranges are those of launch_is_range().
 */
int caller_reserve_ids(uint32_t *base);

#endif
