/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of the control socket for the two that stay: exec and attach. */
#ifndef PURPLE_SUPERVISOR_CLIENT_H
#define PURPLE_SUPERVISOR_CLIENT_H

#include <stdint.h>

#include "base/err.h"

/*
 * Have the command of the struct init_block in @block executed by the
 * supervisor at @fd, with our own 0-2; those in the mask @terminal become a
 * terminal of the sandbox's own, joined to ours. Signals go to the command.
 * 0 with the status that we shall exit with, or -errno with @e set.
 */
int client_exec(int fd, int block, uint32_t terminal, int *exit_status, struct err *e);

/*
 * Join our terminal to that of the detached command, or show what it writes,
 * until it ends or Ctrl-p Ctrl-q is typed: then *@exit_status is 0.
 */
int client_attach(int fd, int *exit_status, struct err *e);

#endif
