/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One byte over a connected UNIX socket, with at most one descriptor: unix(7),
 * SCM_RIGHTS. For a task that shares memory with others: no errno, no malloc.
 */
#ifndef PURPLE_SYS_PASS_H
#define PURPLE_SYS_PASS_H

/* @fd stays the caller's; -1: none. 0 or -errno: -EPIPE when nobody reads. */
int sys_pass_send(int socket, int fd);

/*
 * Waits for one. Its descriptor into @fd, the caller's, close-on-exec; -1 if it
 * carries none. 0 or -errno: -EPIPE when nobody will send, -EMFILE when our limit of
 * open files leaves no number for the descriptor.
 */
int sys_pass_receive(int socket, int *fd);

#endif
