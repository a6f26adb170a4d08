/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/watch_internal.h"
#include "sys/files.h"

/*
 * "tcp", "udp", or NULL: something else, or not known. False: it is no socket, and the call
 * fails for that.
 */
static bool find_protocol(int pidfd, int fd, const char **ret)
{
	int mine = (int)sys_call(SYS_pidfd_getfd, pidfd, fd, 0), type = 0;
	socklen_t size = sizeof(type);
	long r;

	*ret = NULL;
	if (mine < 0)
		return true;
	r = sys_call(SYS_getsockopt, mine, SOL_SOCKET, SO_TYPE, &type, &size);
	sys_close(mine);
	*ret = type == SOCK_STREAM ? "tcp" : type == SOCK_DGRAM ? "udp" : NULL;
	return r == 0;
}

static bool put_v4(const struct in_addr *a, char address[WATCH_ADDRESS])
{
	inet_ntop(AF_INET, a, address, WATCH_ADDRESS);
	return ntohl(a->s_addr) >> 24 != 127 && a->s_addr != 0; /* 0.0.0.0 leads to this host */
}

static bool put_v6(const struct in6_addr *a, char address[WATCH_ADDRESS])
{
	struct in_addr v4;

	if (IN6_IS_ADDR_V4MAPPED(a)) {
		memcpy(&v4, &a->s6_addr[12], sizeof(v4));
		return put_v4(&v4, address);
	}
	inet_ntop(AF_INET6, a, address, WATCH_ADDRESS);
	return !IN6_IS_ADDR_LOOPBACK(a) && !IN6_IS_ADDR_UNSPECIFIED(a);
}

/* To loopback there are connections; without network.loopback there is no such socket. */
bool watch_connects(const struct seccomp_notif *n, struct sighting *t, char address[WATCH_ADDRESS])
{
	const __u64 *a = n->data.args;
	const pid_t tid = (pid_t)n->pid;
	union {
		sa_family_t family;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to = { 0 };
	size_t size = MIN((size_t)a[2], sizeof(to));
	bool outside = false;
	int pidfd = -1;

	if (a[2] > sizeof(struct sockaddr_storage) || watch_bytes(tid, a[1], &to, size) < 0)
		return false;
	if (to.family == AF_INET && size >= sizeof(to.v4))
		outside = put_v4(&to.v4.sin_addr, address);
	else if (to.family == AF_INET6 && size >= offsetof(struct sockaddr_in6, sin6_scope_id))
		outside = put_v6(&to.v6.sin6_addr, address);
	if (!outside)
		return false;
	t->path = address;
	t->nr = ntohs(to.v4.sin_port); /* where it is in both */
	t->error = ENETUNREACH;
	t->pid = watch_process(tid, NULL, &pidfd);
	outside = find_protocol(pidfd, (int)a[0], &t->access);
	sys_close(pidfd);
	return outside;
}
