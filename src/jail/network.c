/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network namespace, in which there is lo alone.
 *
 * Making one takes as long as all mounts together (450 of 3300 us of a start
 * were measured). So the command's task makes it, on another processor, while
 * PID 1 builds the root; PID 1 joins it when that is done. A sandbox that stays
 * has no such task yet, and PID 1 makes it itself.
 *
 * Of a network that is not isolated, the inside: every address becomes local,
 * the plan's nf_tables rules send connections to one port, and sockets take
 * what is sent. They are for purple-net, which the supervisor hands them to:
 * nothing inside has them.
 */
#include "jail/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/ipv6.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sys/files.h"
#include "sys/netlink.h"
#include "sys/pass.h"
#include "sys/process.h"

enum { BACKLOG = 4096, OPTION_IP_PKTINFO = 8, OPTION_V6_PKTINFO = 49, OPTION_V6ONLY = 26 };
enum { OPTION_FILTER = 1 }; /* ICMP_FILTER, ICMPV6_FILTER */

/* Not in struct jail: an isolated start touches no page more. */
static _cold_data_ int sockets[PLAN_SOCKETS_MAX + 2 * PLAN_POOL_MAX];

static const uint8_t address4[4] = { 198, 18, 0, 1 }; /* PLAN_RESOLVER */

static int loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = (int)sys_call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return fd;
	r = (int)sys_call(SYS_ioctl, fd, SIOCSIFFLAGS, &ifr); /* netdevice(7) */
	sys_close(fd);
	return r;
}

int jail_make_network(struct jail *j)
{
	int r = 0;

	if (j->plan->namespaces & CLONE_NEWNET)
		r = (int)sys_call(SYS_unshare, CLONE_NEWNET);
	if (r < 0)
		return jail_namespace_failed(j, r);
	if (j->plan->steps & STEP_LOOPBACK)
		r = loopback_up();
	return r < 0 ? err_set(&j->err, r, "network", "bring lo up") : 0;
}

int jail_hand_network(struct jail *j)
{
	int fd = -1, r;

	if (j->plan->namespaces & CLONE_NEWNET) {
		fd = sys_openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0);
		if (fd < 0)
			return err_set(&j->err, fd, "namespaces", "open /proc/self/ns/net");
	}
	r = sys_pass_send(j->task_socket, fd);
	sys_close(fd);
	return r < 0 ? err_set(&j->err, r, "namespaces", "hand over the network namespace") : 0;
}

int jail_join_network(struct jail *j)
{
	int fd, r;

	if (j->command_socket < 0 || j->network_joined)
		return 0;
	r = sys_pass_receive(j->command_socket, &fd);
	if (r == -EPIPE)
		return jail_task_gone(j);
	if (r < 0)
		return err_set(&j->err, r, "namespaces", "take the network namespace");
	if (j->plan->namespaces & CLONE_NEWNET)
		r = fd < 0 ? -EBADF : (int)sys_call(SYS_setns, fd, CLONE_NEWNET);
	sys_close(fd);
	j->network_joined = true;
	return r < 0 ? err_set(&j->err, r, "namespaces", "join the network namespace") : 0;
}

static int set_option(int fd, int level, int option)
{
	const int one = 1;

	return (int)sys_call(SYS_setsockopt, fd, level, option, &one, sizeof(one));
}

static int bind_to(int fd, const struct plan_socket *s)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(s->port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(s->port) };

	return s->v6 ? (int)sys_call(SYS_bind, fd, &a6, sizeof(a6))
		     : (int)sys_call(SYS_bind, fd, &a4, sizeof(a4));
}

/*
 * To send ICMP in this namespace, which nothing leaves; here PID 1 may make it.
 * It shall receive nothing: a set bit is a type that is kept out.
 */
static int open_icmp(bool v6)
{
	uint8_t all[32]; /* struct icmp6_filter; struct icmp_filter has 4 */
	int type = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, r;
	int fd = (int)sys_call(SYS_socket, v6 ? AF_INET6 : AF_INET, type,
			       v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);

	if (fd < 0)
		return fd;
	memset(all, 0xff, sizeof(all));
	r = v6 ? (int)sys_call(SYS_setsockopt, fd, IPPROTO_ICMPV6, OPTION_FILTER, all, sizeof(all))
	       : (int)sys_call(SYS_setsockopt, fd, IPPROTO_RAW, OPTION_FILTER, all, 4);
	if (r == 0)
		return fd;
	sys_close(fd);
	return r;
}

/* Which address a datagram was sent to, its IP(V6)_PKTINFO says. */
static int open_socket(const struct plan_socket *s)
{
	bool stream = s->kind == PS_TCP || s->kind == PS_DNS_TCP;
	int type = (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, r = 0;
	int fd = (int)sys_call(SYS_socket, s->v6 ? AF_INET6 : AF_INET, type, 0);

	if (fd < 0)
		return fd;
	if (s->v6)
		r = set_option(fd, IPPROTO_IPV6, OPTION_V6ONLY);
	if (r == 0 && !stream)
		r = s->v6 ? set_option(fd, IPPROTO_IPV6, OPTION_V6_PKTINFO)
			  : set_option(fd, IPPROTO_IP, OPTION_IP_PKTINFO);
	if (r == 0)
		r = bind_to(fd, s);
	if (r == 0 && stream)
		r = (int)sys_call(SYS_listen, fd, BACKLOG);
	if (r == 0)
		return fd;
	sys_close(fd);
	return r;
}

static int open_sockets(struct jail *j)
{
	const struct plan_socket *s = plan_items(j->plan, network.sockets, struct plan_socket);

	j->net_fds = sockets;
	for (uint32_t i = 0; i < j->plan->network.sockets.count; i++) {
		int fd = s[i].kind == PS_ICMP ? open_icmp(s[i].v6) : open_socket(&s[i]);

		if (fd < 0)
			return err_set(&j->err, fd, "network", "make the %s socket of port %u",
				       s[i].v6 ? "IPv6" : "IPv4", s[i].port);
		sockets[i] = fd;
		j->net_count = i + 1;
	}
	return 0;
}

/* For connections from the host to programs in here; purple-net connects them. */
static int open_pool(struct jail *j)
{
	const struct plan_network *n = &j->plan->network;
	const int families[] = { AF_INET, AF_INET6 };

	for (int v6 = 0; v6 <= (n->flags & PN_V6 ? 1 : 0); v6++)
		for (uint32_t i = 0; i < n->pool; i++) {
			int fd = (int)sys_call(SYS_socket, families[v6],
					       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

			if (fd < 0) {
				err_set(&j->err, fd, "network",
					"make the sockets of the published ports");
				if (fd == -EMFILE)
					err_remedy(&j->err,
						   "allow at least 1024 descriptors (ulimit -n)");
				return fd;
			}
			sockets[j->net_count++] = fd;
		}
	return 0;
}

/*
 * After the mounts, which close what was opened before them; before the
 * capabilities go. Ports below 1024: nobody inside can have taken them, and
 * nobody inside runs yet.
 */
int jail_network(struct jail *j)
{
	const struct plan_network *n = &j->plan->network;
	uint8_t address6[16] = { 0 };
	uint64_t one = 1;
	int r;

	if (!(n->flags & PN_ON))
		return 0;
	r = sys_netlink_any_is_local(false, address4);
	if (r == 0 && n->flags & PN_V6) {
		memcpy(address6, j->launch->net_prefix, sizeof(j->launch->net_prefix));
		address6[15] = 1;
		r = sys_netlink_any_is_local(true, address6);
	}
	if (r < 0)
		return err_set(&j->err, r, "network", "make every address local");
	if (!(n->flags & PN_PORTS))
		r = sys_netlink(NETLINK_NETFILTER, plan_items(j->plan, network.batch, char),
				n->batch.count);
	if (r < 0)
		return err_set(&j->err, r, "network", "load the nf_tables rules");
	r = open_sockets(j);
	if (r == 0)
		r = open_pool(j);
	if (r == 0)
		sys_write(j->net_event, &one, sizeof(one));
	return r;
}
