/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What PID 1 of a sandbox does all its life. In purple-init alone: it has no C library.
 * @door: where it is asked to write in a protected workspace (door.h); -1: nowhere.
 */
#ifndef PURPLE_JAIL_INIT_SERVE_H
#define PURPLE_JAIL_INIT_SERVE_H

/* Reaps, until the child @command has ended; its wait status and 1 go to @status_fd. */
__attribute__((__noreturn__)) void init_await(int command, int status_fd, int door);

/*
 * In a sandbox that stays: starts commands for the supervisor and says how they end
 * (init_protocol.h). @guard: a ruleset of Landlock's that each takes on; -1. These are
 * ours from now on, and all that is open beside them is closed. Exits with @socket.
 */
__attribute__((__noreturn__)) void init_serve(int socket, int door, int guard);

#endif
