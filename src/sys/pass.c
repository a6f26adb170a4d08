/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "sys/raw.h"

union one_fd {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int))];
};

int sys_pass_packet(int socket, const void *data, size_t len, const int *fds, unsigned count,
		    int flags)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * PASS_FDS_MAX)];
	} control;
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	long n;

	if (count > PASS_FDS_MAX)
		return -EINVAL;
	if (count > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * count);
		memset(&control, 0, msg.msg_controllen);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * count);
	}
	do
		n = sys_call(SYS_sendmsg, socket, &msg, flags | MSG_NOSIGNAL);
	while (n == -EINTR);
	return n < 0 ? (int)n : 0;
}

int sys_pass_send(int socket, int fd)
{
	char byte = 0;

	return sys_pass_packet(socket, &byte, sizeof(byte), &fd, fd >= 0, 0);
}

int sys_pass_receive(int socket, int *fd)
{
	char byte;
	struct iovec iov = { &byte, sizeof(byte) };
	union one_fd control = { 0 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	const struct cmsghdr *c;
	long n;

	*fd = -1;
	do
		n = sys_call(SYS_recvmsg, socket, &msg, MSG_CMSG_CLOEXEC);
	while (n == -EINTR);
	if (n <= 0)
		return n < 0 ? (int)n : -EPIPE;
	if (msg.msg_flags & MSG_CTRUNC) /* the kernel found no number for it */
		return -EMFILE;
	c = msg.msg_controllen >= CMSG_LEN(sizeof(int)) ? &control.align : NULL;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return 0;
}
