/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports with a pool of one socket of each family, so that each
 * connection uses the socket of the one before: whatever way that ended, the
 * next one is as new. The sandbox is this host's own loopback.
 *
 * A child serves; the test is both the client and the server.
 */
#include "net_test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/flow.h"
#include "net/publish.h"

enum { PATIENCE_MS = 20000, BIG = 4 << 20 };

static struct side {
	int client_port; /* where purple-net listens */
	int server4, server6, inside_port;
	pid_t child;
	int idle_s, flows;
} side;

static int make_socket(int family)
{
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	const int one = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	return fd;
}

static int call(int fd, bool v6, uint16_t port, int (*fn)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in a4 = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return v6 ? fn(fd, (struct sockaddr *)&a6, sizeof(a6))
		  : fn(fd, (struct sockaddr *)&a4, sizeof(a4));
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin6_port);
}

static int listen_at(bool v6, uint16_t port)
{
	int fd = make_socket(v6 ? AF_INET6 : AF_INET);
	const int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(call(fd, v6, port, bind), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void close_it(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The relay, in a process of its own. */
static void serve(int listener)
{
	struct publish *p = NULL;
	struct flows *flows = NULL;
	struct loop loop;
	int fds[2] = { make_socket(AF_INET), make_socket(AF_INET6) };

	fcntl(listener, F_SETFL, O_NONBLOCK);
	if (loop_init(&loop, flows_timers((unsigned)side.flows) + PUBLISH_TIMERS) ||
	    flows_new(&loop, NULL, NULL, NULL, NULL, (unsigned)side.flows, (unsigned)side.idle_s,
		      &flows) ||
	    publish_new(&loop, flows, &p) ||
	    publish_listen(p, listener, (uint16_t)side.inside_port))
		_exit(1);
	for (int v6 = 0; v6 < 2; v6++) {
		fcntl(fds[v6], F_SETFL, O_NONBLOCK);
		if (publish_add(p, fds[v6], v6))
			_exit(1);
	}
	loop_run(&loop);
	_exit(1);
}

static int setup(void **state)
{
	int listener = listen_at(false, 0);

	side = (struct side){ .server6 = -1, .idle_s = 3600, .flows = 8 };
	side.client_port = port_of(listener);
	side.server4 = listen_at(false, 0);
	side.inside_port = port_of(side.server4);
	signal(SIGPIPE, SIG_IGN);
	side.child = fork();
	assert_true(side.child >= 0);
	if (side.child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(side.server4);
		serve(listener);
	}
	close(listener);
	return 0;
}

static int teardown(void **state)
{
	kill(side.child, SIGKILL);
	waitpid(side.child, NULL, 0);
	close_it(&side.server4);
	close_it(&side.server6);
	return 0;
}

static int client(void)
{
	int fd = make_socket(AF_INET);

	assert_int_equal(call(fd, false, (uint16_t)side.client_port, connect), 0);
	return fd;
}

static int server(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int fd;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void send_all(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What comes up to the end is @text. */
static void expect_rest(int fd, const char *text)
{
	char got[256] = "";
	size_t n = 0;
	ssize_t r;

	while ((r = recv(fd, got + n, sizeof(got) - 1 - n, 0)) > 0)
		n += (size_t)r;
	assert_int_equal(r, 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static void expect_reset(int fd)
{
	char c[256];
	ssize_t r;

	while ((r = recv(fd, c, sizeof(c), 0)) > 0)
		;
	assert_int_equal(r, -1);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
}

static void reset(int fd)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* One connection from its start to its proper end, and nothing in it but its own. */
static void exchange_at(int listener)
{
	static unsigned number;
	char ask[64], answer[64];
	int c = client(), s = server(listener);

	snprintf(ask, sizeof(ask), "ask %u", ++number);
	snprintf(answer, sizeof(answer), "answer %u", number);
	send_all(c, ask);
	shutdown(c, SHUT_WR);
	expect_rest(s, ask); /* a half-close: the answer comes behind it */
	send_all(s, answer);
	close(s);
	expect_rest(c, answer);
	close(c);
}

static void exchange(void)
{
	exchange_at(side.server4);
}

static void test_again(void **state)
{
	for (int i = 0; i < 200; i++)
		exchange();
}

static void test_server_ends_first(void **state)
{
	for (int i = 0; i < 50; i++) {
		int c = client(), s = server(side.server4);

		send_all(s, "hello");
		shutdown(s, SHUT_WR);
		expect_rest(c, "hello");
		send_all(c, "bye");
		close(c);
		expect_rest(s, "bye");
		close(s);
		exchange();
	}
}

/* With bytes that nobody read, on both sides. */
static void test_client_resets(void **state)
{
	for (int i = 0; i < 50; i++) {
		int c = client(), s = server(side.server4);

		send_all(c, "unread by the server");
		send_all(s, "unread by the client");
		reset(c);
		expect_reset(s);
		exchange();
	}
}

static void test_server_resets(void **state)
{
	for (int i = 0; i < 50; i++) {
		int c = client(), s = server(side.server4);

		send_all(c, "unread by the server");
		send_all(s, "x");
		assert_int_equal(recv(c, &(char){ 0 }, 1, 0), 1);
		reset(s);
		expect_reset(c);
		exchange();
	}
}

/*
 * What the server said before its reset is for the client, also if all comes at once:
 * its end, if there was one, or else the reset.
 */
static void test_said_before_a_reset(void **state)
{
	for (int i = 0; i < 40; i++) {
		bool ends = i % 2, known = i % 4 / 2;
		char got[8] = "";
		int c = client(), s = server(side.server4);

		if (known) { /* to the relay, as a connection */
			send_all(s, "so");
			assert_int_equal(recv(c, got, 2, MSG_WAITALL), 2);
		}
		kill(side.child, SIGSTOP);
		assert_int_equal(waitpid(side.child, NULL, WUNTRACED), side.child);
		send_all(s, known ? " far" : "so far");
		if (ends)
			shutdown(s, SHUT_WR);
		reset(s);
		kill(side.child, SIGCONT);
		if (known)
			assert_int_equal(recv(c, got + 2, 4, MSG_WAITALL), 4);
		else
			assert_int_equal(recv(c, got, 6, MSG_WAITALL), 6);
		assert_string_equal(got, "so far");
		if (ends) {
			assert_int_equal(recv(c, got, 1, 0), 0);
			close(c);
		} else {
			expect_reset(c);
		}
		exchange();
	}
}

/* Also what the pipes hold, and what the kernel has of it on the way. */
static void test_reset_in_the_middle(void **state)
{
	static char big[BIG];

	for (int i = 0; i < 10; i++) {
		int c = client(), s = server(side.server4);

		memset(big, 'x', sizeof(big));
		assert_true(send(i % 2 ? c : s, big, sizeof(big), MSG_DONTWAIT) > 0);
		reset(i % 2 ? s : c);
		expect_reset(i % 2 ? c : s);
		exchange();
	}
}

/* The client has gone properly; the server takes the last bytes late. */
static void test_late_reader(void **state)
{
	static char big[BIG];
	const int room = 4096;
	size_t sent = 0, got = 0;
	int c, s;

	setsockopt(side.server4, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	c = client();
	s = server(side.server4);
	shutdown(s, SHUT_WR);
	expect_rest(c, "");
	for (ssize_t n; sent < sizeof(big); sent += (size_t)n) {
		n = send(c, big, MIN(sizeof(big) - sent, (size_t)65536), MSG_DONTWAIT);
		if (n < 0)
			break;
	}
	assert_true(sent > 65536);
	close(c);
	c = client(); /* waits for the only socket */
	for (ssize_t n; (n = recv(s, big, 1024, 0)) != 0; got += (size_t)n)
		assert_true(n > 0);
	assert_int_equal(got, sent);
	close(s);
	s = server(side.server4);
	send_all(c, "next");
	shutdown(c, SHUT_WR);
	expect_rest(s, "next");
	close(s);
	expect_rest(c, "");
	close(c);
}

static void test_nobody_listens(void **state)
{
	close_it(&side.server4);
	for (int i = 0; i < 20; i++)
		expect_reset(client());
	side.server4 = listen_at(false, (uint16_t)side.inside_port);
	exchange();
}

/* A server that has moved from one family to the other, and back. */
static void test_families(void **state)
{
	for (int i = 0; i < 10; i++) {
		exchange();
		close_it(&side.server4);
		side.server6 = listen_at(true, (uint16_t)side.inside_port);
		exchange_at(side.server6);
		exchange_at(side.server6);
		close_it(&side.server6);
		expect_reset(client());
		side.server4 = listen_at(false, (uint16_t)side.inside_port);
	}
	exchange();
}

/* What has no room waits, in order, with what it has sent. */
static void test_waits(void **state)
{
	int c[3], s;

	for (int i = 0; i < 3; i++) {
		c[i] = client();
		send_all(c[i], i == 0 ? "0" : i == 1 ? "1" : "2");
		shutdown(c[i], SHUT_WR);
	}
	for (int i = 0; i < 3; i++) {
		struct pollfd more = { .fd = side.server4, .events = POLLIN };

		s = server(side.server4);
		expect_rest(s, i == 0 ? "0" : i == 1 ? "1" : "2");
		assert_int_equal(poll(&more, 1, 0), 0);
		send_all(s, "done");
		close(s);
		expect_rest(c[i], "done");
		close(c[i]);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_again),
		TEST(test_server_ends_first),
		TEST(test_client_resets),
		TEST(test_server_resets),
		TEST(test_said_before_a_reset),
		TEST(test_reset_in_the_middle),
		TEST(test_late_reader),
		TEST(test_nobody_listens),
		TEST(test_families),
		TEST(test_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
