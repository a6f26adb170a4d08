/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of the bench's connections.
 *
 *   flows serve				on 127.0.0.1 and ::1; prints its port, ends with its
 *input flows down HOST PORT BYTES STREAMS		seconds to receive BYTES in all flows up
 *HOST PORT BYTES STREAMS		… to send them, until the server has read all flows connect
 *HOST PORT COUNT		microseconds of each of COUNT connections, one after the other, with
 *a byte each way: the median
 *   flows hold HOST PORT COUNT			opens COUNT, says "ready", ends with its input
 *
 * The client names what it wants by its first byte, which begins no TLS and no HTTP. HOST is looked
 *up once, before the clock starts; so is the start of whatever it runs in left out.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "start.h"

enum { STREAMS_MAX = 64, BUFFER = 256 << 10 };
enum want { WANT_DOWN = 1, WANT_UP, WANT_ANSWER, WANT_HOLD };

static char buffer[BUFFER];

static _noreturn_ void fail(const char *what)
{
	fprintf(stderr, "flows: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* A child of the server's for each stream, so that it is no narrower than a client. */
static _noreturn_ void serve_stream(int fd, bool send_all)
{
	ssize_t n;

	do
		n = send_all ? write(fd, buffer, sizeof(buffer)) : read(fd, buffer, sizeof(buffer));
	while (n > 0);
	if (!send_all && write(fd, "!", 1) < 0)
		_exit(1);
	_exit(0);
}

static void serve_one(int fd)
{
	uint8_t want;

	if (read(fd, &want, 1) != 1 || want == WANT_ANSWER || want == WANT_HOLD) {
		/* One to hold is left open, for as long as we live. */
		if (write(fd, "!", 1) != 1 || want != WANT_HOLD)
			close(fd);
		return;
	}
	if (fork() == 0)
		serve_stream(fd, want == WANT_DOWN);
	close(fd);
}

static int listen_at(const void *addr, socklen_t len)
{
	const struct sockaddr *a = addr;
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, a, len) < 0 || listen(fd, 4096) < 0)
		fail("listen");
	return fd;
}

/* At both addresses: who dials IPv6 first shall not pay for a refusal. */
static void serve(void)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof(v4);
	struct pollfd p[3] = { { .fd = 0, .events = POLLIN },
			       { .events = POLLIN },
			       { .events = POLLIN } };

	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	p[1].fd = listen_at(&v4, sizeof(v4));
	if (getsockname(p[1].fd, (struct sockaddr *)&v4, &len) < 0)
		fail("listen");
	v6.sin6_port = v4.sin_port;
	p[2].fd = listen_at(&v6, sizeof(v6));
	printf("%u\n", ntohs(v4.sin_port));
	fflush(stdout);
	while (poll(p, 3, -1) > 0 && !p[0].revents)
		for (int i = 1; i < 3; i++)
			if (p[i].revents)
				serve_one(accept(p[i].fd, NULL, NULL));
}

static struct addrinfo *look_up(const char *host, const char *port)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET };
	struct addrinfo *a;
	int r = getaddrinfo(host, port, &hints, &a);

	if (r) {
		fprintf(stderr, "flows: %s: %s\n", host, gai_strerror(r));
		exit(2);
	}
	return a;
}

static int dial(const struct addrinfo *a, uint8_t want)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		fail("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (write(fd, &want, 1) != 1)
		fail("write");
	return fd;
}

static void stream(const struct addrinfo *a, bool down, uint64_t bytes, unsigned streams)
{
	struct pollfd p[STREAMS_MAX];
	uint64_t start, left = bytes;
	char answer;

	if (streams == 0 || streams > STREAMS_MAX)
		streams = STREAMS_MAX;
	for (unsigned i = 0; i < streams; i++)
		p[i] = (struct pollfd){ .fd = dial(a, down ? WANT_DOWN : WANT_UP),
					.events = down ? POLLIN : POLLOUT };
	start = now();
	while (left > 0 && poll(p, streams, -1) > 0) {
		for (unsigned i = 0; i < streams && left > 0; i++) {
			ssize_t n;

			if (!p[i].revents)
				continue;
			n = down ? recv(p[i].fd, buffer, sizeof(buffer), MSG_DONTWAIT)
				 : send(p[i].fd, buffer, MIN(left, sizeof(buffer)), MSG_DONTWAIT);
			if (n <= 0 && errno != EAGAIN)
				fail(down ? "receive" : "send");
			if (n > 0)
				left -= MIN(left, (uint64_t)n);
		}
	}
	for (unsigned i = 0; i < streams && !down; i++)
		if (shutdown(p[i].fd, SHUT_WR) < 0 || read(p[i].fd, &answer, 1) != 1)
			fail("the end");
	printf("%.6f\n", (double)(now() - start) / 1e9);
}

static int ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void connect_each(const struct addrinfo *a, size_t count)
{
	uint64_t *each = calloc(count, sizeof(*each));
	char answer;

	for (size_t i = 0; each && i < count; i++) {
		uint64_t start = now();
		int fd = dial(a, WANT_ANSWER);

		if (read(fd, &answer, 1) != 1)
			fail("read");
		each[i] = now() - start;
		close(fd);
	}
	if (!each || count == 0)
		fail("count");
	qsort(each, count, sizeof(*each), ascending);
	count /= 2;
	printf("%.3f\n", (double)each[count] / 1e3);
}

static void hold(const struct addrinfo *a, size_t count)
{
	char answer;

	for (size_t i = 0; i < count; i++)
		if (read(dial(a, WANT_HOLD), &answer, 1) != 1)
			fail("read");
	printf("ready\n");
	fflush(stdout);
	if (read(0, &answer, 1) < 0)
		fail("wait");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct addrinfo *a = argc > 4 ? look_up(argv[2], argv[3]) : NULL;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (strcmp(what, "serve") == 0)
		serve();
	else if (a && argc > 5 && (strcmp(what, "down") == 0 || strcmp(what, "up") == 0))
		stream(a, *what == 'd', strtoull(argv[4], NULL, 10),
		       (unsigned)strtoul(argv[5], NULL, 10));
	else if (a && strcmp(what, "connect") == 0)
		connect_each(a, strtoul(argv[4], NULL, 10));
	else if (a && strcmp(what, "hold") == 0)
		hold(a, strtoul(argv[4], NULL, 10));
	else
		return 2;
	return 0;
}
