/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end of the control socket: see internal.h. Sources: unix(7),
 * namespaces(7), proc_pid_ns(5); SO_PEERPIDFD: Linux 6.5, net/core/sock.c.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/internal.h"
#include "sys/files.h"
#include "sys/process.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/*
 * The process that has connected, by a descriptor that no other process can come
 * to mean. An older kernel knows only its number, which somebody else may have
 * got since, if it is gone.
 */
static int open_peer(int fd, pid_t pid)
{
	int pidfd = -1;
	socklen_t size = sizeof(pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
		return pidfd;
	return errno == ENOPROTOOPT ? (int)sys_call(SYS_pidfd_open, pid, 0) : -errno;
}

enum { SPACES = 2 };
static const char *const spaces[SPACES] = { "ns/user", "ns/pid" };

/* Ours, which never change; asked for once: procfs takes its time. */
static bool find_own(struct stat own[SPACES])
{
	_cleanup_close_ int self = sys_openat(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY, 0);

	if (self < 0)
		return false;
	for (int i = 0; i < SPACES; i++) {
		own[i] = (struct stat){ 0 };
		/* ENOENT: a kernel without this kind has one of it. */
		if (fstatat(self, spaces[i], &own[i], 0) < 0 && errno != ENOENT)
			return false;
	}
	return true;
}

static bool is_beside_us(pid_t pid)
{
	static _cold_data_ struct stat own[SPACES];
	static bool known;
	_cleanup_close_ int proc = -1;
	char path[32];
	struct stat its;

	known = known || find_own(own);
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	proc = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
	if (!known || proc < 0)
		return false;
	for (int i = 0; i < SPACES; i++)
		if (own[i].st_ino && (fstatat(proc, spaces[i], &its, 0) < 0 ||
				      its.st_ino != own[i].st_ino || its.st_dev != own[i].st_dev))
			return false;
	return true;
}

int peer_check(int fd, struct ucred *ret, struct err *e)
{
	_cleanup_close_ int pidfd = -1;
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return err_set(e, errno, "control", "learn who has connected");
	*ret = peer;
	if (peer.uid != geteuid())
		/* The host's root; no sandbox has that id but one of root's own. */
		return peer.uid == 0 ? 0 : err_set(e, EPERM, "control", "it is another user's");
	pidfd = open_peer(fd, peer.pid);
	/* It was this process that we have looked at, if it is there still. */
	if (pidfd >= 0 && is_beside_us(peer.pid) && sys_pidfd_signal(pidfd, 0) != -ESRCH)
		return 0;
	return err_set(e, EPERM, "control",
		       "who asks is in other namespaces than the supervisor, as in a sandbox");
}
