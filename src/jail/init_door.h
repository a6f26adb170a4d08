/* SPDX-License-Identifier: Apache-2.0 */
/* Part of purple-init: the side of the door (door.h) that carries out. */
#ifndef PURPLE_JAIL_INIT_DOOR_H
#define PURPLE_JAIL_INIT_DOOR_H

/* One request that is there to be received. Exits when nobody will send any more. */
void init_door(int socket);

/*
 * Signals are blocked from here on, and SIGCHLD wakes init_wait(), which returns when a
 * child may have ended or one of @fds (-1: none) has something to read: a bit for each.
 */
void init_watch_children(void);
unsigned init_wait(const int fds[2]);

#endif
