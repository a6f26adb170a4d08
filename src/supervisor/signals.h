/* SPDX-License-Identifier: Apache-2.0 */
/* The signals that run, exec and attach pass on: taken from a descriptor, signalfd(2). */
#ifndef PURPLE_SUPERVISOR_SIGNALS_H
#define PURPLE_SUPERVISOR_SIGNALS_H

#include <stdint.h>

/*
 * Block them for this process and return the descriptor, non-blocking and
 * O_CLOEXEC, that gives them as struct signalfd_siginfo; or -errno. @old, unless
 * NULL, gets the mask as it was.
 */
int signals_watch(uint64_t *old);

/*
 * When all is cleaned up: close @fd and set the mask @old again. Those that came
 * meanwhile asked for an end that is there; they are dropped, or they would take
 * the exit status.
 */
void signals_unwatch(int fd, uint64_t old);

#endif
