/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "sys/files.h"
#include "sys/pass.h"

union fd_room {
	char room[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int control_send(int fd, const struct control_message *m, const int *fds, unsigned nfds, int flags)
{
	return sys_pass_packet(fd, m, m->head.size, fds, nfds, flags);
}

int control_send_value(int fd, enum control_type type, uint32_t value, int flags)
{
	struct control_head head = CONTROL_HEAD(type, value, 0);
	ssize_t n;

	do
		n = send(fd, &head, sizeof(head), flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* What came by SCM_RIGHTS into @fds; what there is no room for is closed. */
static bool take_fds(struct msghdr *msg, int *fds, unsigned room, unsigned *count)
{
	bool ok = !(msg->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*count < room) {
				fds[(*count)++] = fd;
			} else {
				sys_close(fd);
				ok = false;
			}
		}
	}
	return ok;
}

int control_receive(int fd, struct control_message *m, int *fds, unsigned *nfds, int flags)
{
	struct iovec iov = { m, sizeof(*m) };
	union fd_room control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	unsigned room = nfds ? *nfds : 0, count = 0;
	int reset = 0; /* said once, and before what the peer said last: unix(7) */
	ssize_t n;
	bool ok;

	if (nfds)
		*nfds = 0;
	do
		n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !reset++)));
	if (n < 0)
		return -errno;
	ok = take_fds(&msg, fds, room, &count);
	if (n == 0 && count == 0)
		return 0; /* the end; a packet of no bytes is none of ours either */
	ok = ok && !(msg.msg_flags & MSG_TRUNC) && (size_t)n >= sizeof(m->head) &&
	     m->head.magic == CONTROL_MAGIC && m->head.size == (size_t)n;
	if (!ok) {
		while (count > 0)
			sys_close(fds[--count]);
		return -EBADMSG;
	}
	if (nfds)
		*nfds = count;
	memset((char *)m + n, 0, sizeof(*m) - (size_t)n);
	return 1;
}

int control_error(const struct control_message *m, const char *stage, struct err *e)
{
	*e = m->err;
	e->stage[sizeof(e->stage) - 1] = e->message[sizeof(e->message) - 1] = '\0';
	e->remedy[sizeof(e->remedy) - 1] = '\0';
	return err_is_set(e) ? -e->code : err_set(e, EPROTO, stage, "it was refused");
}
