/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of published ports. They are bound before anything of the
 * sandbox exists, so that a port in use is a set-up error, and are purple-net's
 * alone once it has them: nobody listens any more when it is gone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/internal.h"
#include "sys/files.h"

enum { BACKLOG = 4096 }; /* the kernel takes somaxconn, if that is less */

static int bind_to(int fd, const struct plan_listener *l)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(l->port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(l->port) };

	memcpy(&a6.sin6_addr, l->addr, sizeof(a6.sin6_addr));
	memcpy(&a4.sin_addr, l->addr, sizeof(a4.sin_addr));
	return bind(fd, l->v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4,
		    l->v6 ? sizeof(a6) : sizeof(a4));
}

/* A descriptor, or -errno. SO_REUSEADDR: connections that have ended do not hold the port. */
static int open_listener(const struct plan_listener *l)
{
	int fd = socket(l->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int one = 1;
	int r;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    (l->v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
	    bind_to(fd, l) < 0 || listen(fd, BACKLOG) < 0) {
		r = -errno;
		sys_close(fd);
		return r;
	}
	return fd;
}

static int fail(const struct plan_listener *l, int code, struct err *e)
{
	char text[INET6_ADDRSTRLEN], host[INET6_ADDRSTRLEN + 4];
	const char *where = host; /* as it is published at another port */
	unsigned other = l->port < 50000 ? l->port + 10000U : l->port - 10000U;

	inet_ntop(l->v6 ? AF_INET6 : AF_INET, l->addr, text, sizeof(text));
	snprintf(host, sizeof(host), l->v6 ? "[%s]:" : "%s:", text);
	if (!strcmp(text, "127.0.0.1") || !strcmp(text, "::1"))
		where = "";
	err_set(e, code, "publish", "listen on %s%u", host, l->port);
	if (code == -EADDRINUSE)
		err_remedy(e,
			   "`ss -ltn 'sport = :%u'` shows who has it; or publish at another port "
			   "of the host, as in --publish %s%u:%u",
			   l->port, where, other, l->inside);
	else if (code == -EACCES)
		err_remedy(e,
			   "a port below net.ipv4.ip_unprivileged_port_start (1024) is root's; "
			   "publish at another one, as in --publish %s%u:%u",
			   where, other, l->inside);
	else if (code == -EADDRNOTAVAIL)
		err_remedy(e,
			   "this host does not have the address; `ip address` lists those it has");
	return code;
}

static bool is_absent(int code)
{
	return code == -EADDRNOTAVAIL || code == -EAFNOSUPPORT;
}

int publish_open(const struct plan *p, int fds[PLAN_LISTENERS_MAX], struct net_socket *kinds,
		 struct err *e)
{
	const struct plan_listener *l = plan_items(p, network.listeners, struct plan_listener);
	int count = 0;

	for (uint32_t i = 0; i < p->network.listeners.count; i++) {
		int fd = open_listener(&l[i]);

		if (l[i].optional && is_absent(fd))
			continue;
		if (fd < 0) {
			publish_close(fds, count);
			return fail(&l[i], fd, e);
		}
		kinds[count] = (struct net_socket){ NET_SOCKET_PUBLISHED, l[i].v6, l[i].inside };
		fds[count++] = fd;
	}
	return count;
}

void publish_close(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		sys_close(fds[i]);
}
