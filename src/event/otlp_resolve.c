/* SPDX-License-Identifier: Apache-2.0 */
#include "event/otlp_resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "event/otlp.h"

enum { ADDRESSES_MAX = 8 };

/* In the child: what getaddrinfo(3) says, or what is wrong behind a '!'. */
static void ask(const struct endpoint *to, int out)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char text[1024], address[INET6_ADDRSTRLEN];
	int n, count = 0, r;

	alarm(OTLP_RESOLVE_MS / 1000 + 1);
	r = getaddrinfo(to->host, NULL, &hints, &list);
	if (r != 0) {
		n = snprintf(text, sizeof(text), "!%s", gai_strerror(r));
		_exit(write(out, text, (size_t)n) != n);
	}
	n = snprintf(text, sizeof(text), "%s:%u:", to->host, to->port);
	for (struct addrinfo *a = list; a && count < ADDRESSES_MAX; a = a->ai_next) {
		const void *from;

		if (a->ai_family == AF_INET)
			from = &((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr;
		else if (a->ai_family == AF_INET6)
			from = &((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_addr;
		else
			continue;
		inet_ntop(a->ai_family, from, address, sizeof(address));
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s%s%s", count++ ? "," : "",
			      a->ai_family == AF_INET6 ? "[" : "", address,
			      a->ai_family == AF_INET6 ? "]" : "");
	}
	_exit(write(out, text, (size_t)n) != n);
}

/* Until it closes its end, or its time is over. */
static int listen_to(int fd, char *ret, size_t size)
{
	struct timespec now, end;
	size_t used = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += OTLP_RESOLVE_MS / 1000;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;
		int64_t ms;

		clock_gettime(CLOCK_MONOTONIC, &now);
		ms = (end.tv_sec - now.tv_sec) * 1000 + (end.tv_nsec - now.tv_nsec) / 1000000;
		if (ms <= 0 || poll(&p, 1, (int)ms) == 0)
			return -ETIMEDOUT;
		n = read(fd, ret + used, size - 1 - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	ret[used] = '\0';
	return used ? 0 : -EIO;
}

static bool needs_asking(const struct endpoint *to)
{
	struct in6_addr any;

	return inet_pton(AF_INET, to->host, &any) != 1 && inet_pton(AF_INET6, to->host, &any) != 1;
}

int otlp_resolve(const struct endpoint *to, char *ret, size_t size, struct err *e)
{
	int ends[2], r;
	pid_t child;

	ret[0] = '\0';
	if (!needs_asking(to))
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, errno, "tracing", "make a pipe");
	child = fork();
	if (child == 0)
		ask(to, ends[1]);
	r = child < 0 ? -errno : 0;
	close(ends[1]);
	if (r == 0)
		r = listen_to(ends[0], ret, size);
	close(ends[0]);
	if (child > 0) {
		kill(child, SIGKILL);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (r < 0)
		return err_set(e, r, "tracing", "find the address of %.80s", to->host);
	if (ret[0] == '!')
		return err_set(e, EPROTO, "tracing", "find the address of %.80s: %s", to->host,
			       ret + 1);
	return 0;
}
