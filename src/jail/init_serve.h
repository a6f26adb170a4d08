/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of a sandbox that stays: starts commands for the supervisor and says
 * how they end (init_protocol.h). In purple-init alone: it has no C library.
 */
#ifndef PURPLE_JAIL_INIT_SERVE_H
#define PURPLE_JAIL_INIT_SERVE_H

/* @socket is ours from now on, and all that is open beside it is closed. Exits with it. */
__attribute__((__noreturn__)) void init_serve(int socket);

/* A child has stopped: it made us its tracer (PTRACE_TRACEME), and we will not be. */
void init_untrace(long pid, int status);

#endif
