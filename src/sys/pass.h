/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors over a connected UNIX socket: unix(7), SCM_RIGHTS. Also for a task
 * that shares memory with others: no errno, no malloc.
 */
#ifndef PURPLE_SYS_PASS_H
#define PURPLE_SYS_PASS_H

#include <stddef.h>

enum { PASS_FDS_MAX = 253 }; /* SCM_MAX_FD, the kernel's net/scm.h */

/*
 * One packet of @len bytes with @count descriptors, at most PASS_FDS_MAX, which stay
 * the caller's. @flags: of send(2), without MSG_NOSIGNAL, which is added. 0 or -errno.
 */
int sys_pass_packet(int socket, const void *data, size_t len, const int *fds, unsigned count,
		    int flags);

/* One byte, with @fd, which stays the caller's; -1: none. 0 or -errno: -EPIPE when nobody reads. */
int sys_pass_send(int socket, int fd);

/*
 * Waits for such a byte. Its descriptor into @fd, the caller's, close-on-exec; -1 if it
 * carries none. 0 or -errno: -EPIPE when nobody will send, -EMFILE when our limit of
 * open files leaves no number for the descriptor.
 */
int sys_pass_receive(int socket, int *fd);

#endif
