/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A purple-init that the sandbox has taken over: for test_evil_init.py. It does to
 * the supervisor what the first command that it is sent is called. Never installed.
 *
 *	kill    passes off who is at the other end of descriptor 0 as the command
 *	leak    sends more descriptors than one, many times
 *	flood   never stops talking
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jail/init_protocol.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum { FDS = 4, LEAKS = 400, TALKERS = 3 };

union room {
	char bytes[CMSG_SPACE(FDS * sizeof(int))];
	struct cmsghdr align;
};

static int channel;

static void say(uint32_t type, uint32_t token, int value, const int *fds, unsigned count)
{
	struct init_message m = { type, token, 0, value };
	struct iovec io = { &m, sizeof(m) };
	union room room = { 0 };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1 };

	if (count > 0) {
		msg.msg_control = room.bytes;
		msg.msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int));
		room.align.cmsg_level = SOL_SOCKET;
		room.align.cmsg_type = SCM_RIGHTS;
		room.align.cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&room.align), fds, count * sizeof(int));
	}
	if (sendmsg(channel, &msg, MSG_NOSIGNAL) < 0)
		_exit(1);
}

/* The token of the next command; its block and descriptors in @fds. */
static uint32_t hear(int fds[FDS])
{
	struct init_message m;
	struct iovec io = { &m, sizeof(m) };
	union room room;
	struct msghdr msg = { .msg_iov = &io,
			      .msg_iovlen = 1,
			      .msg_control = room.bytes,
			      .msg_controllen = sizeof(room.bytes) };

	if (recvmsg(channel, &msg, 0) != sizeof(m))
		_exit(1);
	memcpy(fds, CMSG_DATA(&room.align), FDS * sizeof(int));
	return m.token;
}

static void kill_peer(uint32_t token, int peer)
{
	int pidfd = -1;
	socklen_t size = sizeof(pidfd);

	if (getsockopt(peer, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) {
		say(INIT_STARTED, token + (1 << 20), 2, &pidfd, 1); /* one that was given up */
		say(INIT_STARTED, token, 2, &pidfd, 1);
	}
	pause();
}

int main(int argc, char **argv)
{
	char block[4096];
	int fds[FDS];
	const char *word;
	uint32_t token;

	channel = argc > 3 ? atoi(argv[3]) : -1;
	say(INIT_READY, 0, 0, NULL, 0);
	token = hear(fds);
	memset(block, 0, sizeof(block));
	if (pread(fds[0], block, sizeof(block) - 2, 0) < (ssize_t)sizeof(struct init_block))
		return 1;
	word = block + sizeof(struct init_block); /* the directory */
	word += strlen(word) + 1;
	if (strcmp(word, "kill") == 0)
		kill_peer(token, fds[1]);
	if (strcmp(word, "leak") == 0)
		for (int i = 0; i < LEAKS; i++)
			say(INIT_READY, 0, 0, fds, i % FDS + 1);
	for (int i = 0; i < FDS; i++)
		close(fds[i]); /* or whoever reads them waits for their end */
	say(INIT_FAILED, token, INT_MIN, NULL, 0);
	if (strcmp(word, "flood") == 0) {
		for (int i = 0; i < TALKERS && fork() != 0; i++)
			;
		for (;;)
			say(INIT_READY, 0, 0, NULL, 0);
	}
	pause();
}
