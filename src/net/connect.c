/* SPDX-License-Identifier: Apache-2.0 */
#include "net/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int net_socket(bool v6, int type)
{
	int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int net_connect(int fd, bool v6, const uint8_t *addr, uint16_t port)
{
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct sockaddr *to = v6 ? (struct sockaddr *)&to6 : (struct sockaddr *)&to4;

	if (v6)
		memcpy(&to6.sin6_addr, addr, sizeof(to6.sin6_addr));
	else
		memcpy(&to4.sin_addr, addr, sizeof(to4.sin_addr));
	return connect(fd, to, v6 ? sizeof(to6) : sizeof(to4)) < 0 ? -errno : 0;
}

int net_socket_error(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}
