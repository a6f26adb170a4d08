/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
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

enum { TRIED_PER_SECOND = 64 };

void watch_connect_ask(const struct supervisor *s, const struct sighting *t)
{
	static uint64_t since;
	static unsigned asked;
	struct net_message m = { .type = NET_TRIED, .udp = true, .port = (uint16_t)t->nr };
	uint64_t now = supervisor_now();

	/* What purple-net relays it sees itself. */
	if (s->net < 0 || !t->access || !streq(t->access, "udp"))
		return;
	if (now >= since + 1000) {
		since = now;
		asked = 0;
	}
	if (asked++ >= TRIED_PER_SECOND)
		return;
	str_copy(m.address, sizeof(m.address), t->path);
	network_send(s, &m, NULL, 0);
}

/* To loopback there are connections; without network.loopback there is no such socket. */
bool watch_connects(const struct seccomp_notif *n, struct sighting *t, char address[WATCH_ADDRESS])
{
	/* sendto(2) has it behind what is sent. */
	const __u64 *a = n->data.args, *where = n->data.nr == SYS_connect ? a + 1 : a + 4;
	const pid_t tid = (pid_t)n->pid;
	union {
		sa_family_t family;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to = { 0 };
	size_t size = MIN((size_t)where[1], sizeof(to));
	bool outside = false;
	int pidfd = -1;

	if (where[1] > sizeof(struct sockaddr_storage) || watch_bytes(tid, where[0], &to, size) < 0)
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
