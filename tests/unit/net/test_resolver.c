/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver with a server of the test's own, which answers as each test says. */
#include "net_test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns_make.h"
#include "net/resolver.h"

enum { QR = 0x8180, TC = 0x0200 };

static struct loop loop;
static struct resolver *resolver;
static struct resolver_result got;
static unsigned calls;

static void on_result(struct resolver_wait *w, const struct resolver_result *r)
{
	got = *r;
	calls++;
}

static struct resolver_wait wait_a = { .fn = on_result }, wait_b = { .fn = on_result };

/* The server: UDP and TCP on one port of 127.0.0.1. */
static struct server {
	struct loop_watch udp, tcp, conns[8];
	struct net_server address;
	unsigned asked, tcp_asked;
	bool mute_aaaa, stray, cut, empty, broken;
	unsigned rcode;
} server;

static void make_reply(const uint8_t *q, size_t len, struct bytes *b, bool tcp)
{
	size_t end = 12;
	unsigned type;

	while (q[end])
		end += 1u + q[end];
	type = (unsigned)(q[end + 1] << 8 | q[end + 2]);
	put_header(b, (unsigned)(q[0] << 8 | q[1]),
		   QR | server.rcode | (server.cut && !tcp ? TC : 0), 1,
		   server.rcode || server.empty || (server.cut && !tcp) ? 0 : 1, 0, 0);
	put(b, q + 12, end + 5 - 12);
	if (server.rcode || server.empty || (server.cut && !tcp))
		return;
	if (type == DNS_A)
		put_record(b, NULL, 12, DNS_A, 60, "\xcb\x00\x71\x07", 4);
	else
		put_record(b, NULL, 12, DNS_AAAA, 90, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07",
			   16);
	if (server.broken)
		b->len -= 3;
}

static bool is_aaaa(const uint8_t *q)
{
	size_t end = 12;

	while (q[end])
		end += 1u + q[end];
	return q[end + 2] == DNS_AAAA;
}

static void on_udp(struct loop_watch *w, uint32_t events)
{
	static struct bytes reply;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint8_t q[600];
	ssize_t n;

	while ((n = recvfrom(w->fd, q, sizeof(q), 0, (struct sockaddr *)&from, &len)) > 0) {
		server.asked++;
		if (server.mute_aaaa && is_aaaa(q))
			continue;
		make_reply(q, (size_t)n, &reply, false);
		if (server.stray) {
			reply.data[0] ^= 1;
			sendto(w->fd, reply.data, reply.len, 0, (struct sockaddr *)&from, len);
			reply.data[0] ^= 1;
		}
		sendto(w->fd, reply.data, reply.len, 0, (struct sockaddr *)&from, len);
	}
}

/* The question is there in one piece on loopback. */
static void on_conn(struct loop_watch *w, uint32_t events)
{
	static struct bytes reply;
	uint8_t q[600], head[2];
	ssize_t n = recv(w->fd, q, sizeof(q), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	assert_true(n > 14);
	make_reply(q + 2, (size_t)n - 2, &reply, true);
	head[0] = (uint8_t)(reply.len >> 8);
	head[1] = (uint8_t)reply.len;
	assert_int_equal(send(w->fd, head, 2, MSG_NOSIGNAL), 2);
	assert_int_equal(send(w->fd, reply.data, reply.len, MSG_NOSIGNAL), reply.len);
	loop_remove(&loop, w);
	close(w->fd);
}

static void on_tcp(struct loop_watch *w, uint32_t events)
{
	int fd;

	while ((fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct loop_watch *c = &server.conns[server.tcp_asked++ % ARRAY_SIZE(server.conns)];

		*c = (struct loop_watch){ .fn = on_conn, .fd = fd };
		assert_int_equal(loop_add(&loop, c, EPOLLIN), 0);
	}
}

static int setup(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t len = sizeof(a);

	server = (struct server){};
	calls = 0;
	server.udp.fn = on_udp;
	server.tcp.fn = on_tcp;
	assert_int_equal(loop_init(&loop, RESOLVER_TIMERS), 0);
	server.tcp.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	server.udp.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.tcp.fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(server.tcp.fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(bind(server.udp.fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(server.tcp.fd, 8), 0);
	assert_int_equal(loop_add(&loop, &server.udp, EPOLLIN), 0);
	assert_int_equal(loop_add(&loop, &server.tcp, EPOLLIN), 0);
	server.address = (struct net_server){ .port = ntohs(a.sin_port), .addr = { 127, 0, 0, 1 } };
	assert_int_equal(resolver_new(&loop, &server.address, 1, &resolver), 0);
	return 0;
}

static int teardown(void **state)
{
	resolver_free(resolver);
	loop_free(&loop);
	close(server.udp.fd);
	close(server.tcp.fd);
	return 0;
}

/* Ask for @name and wait for the answer. */
static void ask(const char *name)
{
	unsigned before = calls;

	assert_null(resolver_ask(resolver, name, &wait_a));
	while (calls == before)
		assert_int_equal(loop_round(&loop), 0);
}

static bool has(bool v6)
{
	for (unsigned i = 0; i < got.count; i++)
		if (got.addrs[i].v6 == v6 && got.addrs[i].addr[v6 ? 15 : 3] == 7)
			return true;
	return false;
}

static void test_both_and_kept(void **state)
{
	const struct resolver_result *kept;

	ask("a.example");
	assert_int_equal(got.rcode, DNS_NOERROR);
	assert_int_equal(got.count, 2);
	assert_true(has(false) && has(true));
	assert_int_equal(got.ttl, 60);
	assert_int_equal(server.asked, 2);
	kept = resolver_ask(resolver, "a.example", &wait_a);
	assert_non_null(kept);
	assert_int_equal(kept->count, 2);
	loop.now += 61000; /* until the next round */
	assert_null(resolver_ask(resolver, "a.example", &wait_a));
	resolver_forget(&wait_a);
}

static void test_waiters_share_one_question(void **state)
{
	assert_null(resolver_ask(resolver, "a.example", &wait_b));
	ask("a.example");
	assert_int_equal(calls, 2);
	assert_int_equal(server.asked, 2);
}

static void test_forgotten(void **state)
{
	assert_null(resolver_ask(resolver, "a.example", &wait_b));
	resolver_forget(&wait_b);
	resolver_forget(&wait_b);
	ask("a.example");
	assert_int_equal(calls, 1);
}

static void test_absent_is_not_kept(void **state)
{
	server.rcode = DNS_NXDOMAIN;
	ask("a.example");
	assert_int_equal(got.rcode, DNS_NXDOMAIN);
	server.rcode = DNS_NOERROR;
	server.empty = true;
	ask("a.example");
	assert_int_equal(got.rcode, DNS_NOERROR);
	assert_int_equal(got.count, 0);
	server.empty = false;
	ask("a.example");
	assert_int_equal(got.count, 2);
}

static void test_errors_are_tried_again(void **state)
{
	server.rcode = DNS_SERVFAIL;
	ask("a.example");
	assert_int_equal(got.rcode, DNS_SERVFAIL);
	assert_int_equal(server.asked, 6);
	server.rcode = 0;
	server.broken = true;
	ask("a.example");
	assert_int_equal(got.rcode, DNS_SERVFAIL);
	assert_int_equal(server.asked, 12);
}

static void test_cut_goes_to_tcp(void **state)
{
	server.cut = true;
	ask("a.example");
	assert_int_equal(got.count, 2);
	assert_int_equal(server.tcp_asked, 2);
}

static void test_stray_is_passed_over(void **state)
{
	server.stray = true;
	ask("a.example");
	assert_int_equal(got.count, 2);
	assert_int_equal(server.asked, 2);
}

static void test_one_family_is_enough(void **state)
{
	server.mute_aaaa = true;
	ask("a.example");
	assert_int_equal(got.count, 1);
	assert_true(has(false));
	assert_int_equal(server.asked, 2);
}

static void test_next_server(void **state)
{
	struct net_server two[2] = { { .port = 1, .addr = { 127, 0, 0, 1 } }, server.address };

	resolver_free(resolver);
	assert_int_equal(resolver_new(&loop, two, 2, &resolver), 0);
	ask("a.example");
	assert_int_equal(got.count, 2);
}

static void test_nobody_there(void **state)
{
	struct net_server gone = { .port = 1, .addr = { 127, 0, 0, 1 } };

	resolver_free(resolver);
	assert_int_equal(resolver_new(&loop, &gone, 1, &resolver), 0);
	ask("a.example");
	assert_int_equal(got.rcode, DNS_SERVFAIL);
}

/* More names than are kept: the longest unused went, none is mixed up. */
static void test_many_names(void **state)
{
	char name[32];

	for (unsigned i = 0; i <= RESOLVER_NAMES; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		ask(name);
		assert_int_equal(got.count, 2);
	}
	assert_non_null(resolver_ask(resolver, "n1.example", &wait_a));
	assert_null(resolver_ask(resolver, "n0.example", &wait_a));
	resolver_forget(&wait_a);
}

/* What is over RESOLVER_JOBS fails at once, and nothing is left of it. */
static void test_too_many_at_a_time(void **state)
{
	static struct resolver_wait waits[RESOLVER_JOBS];
	const struct resolver_result *r;
	char name[32];

	for (unsigned i = 0; i < RESOLVER_JOBS; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		waits[i].fn = on_result;
		assert_null(resolver_ask(resolver, name, &waits[i]));
	}
	r = resolver_ask(resolver, "more.example", &wait_a);
	assert_non_null(r);
	assert_int_equal(r->rcode, DNS_SERVFAIL);
	while (calls < RESOLVER_JOBS)
		assert_int_equal(loop_round(&loop), 0);
	ask("more.example");
	assert_int_equal(got.count, 2);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_and_kept),
		TEST(test_waiters_share_one_question),
		TEST(test_forgotten),
		TEST(test_absent_is_not_kept),
		TEST(test_errors_are_tried_again),
		TEST(test_cut_goes_to_tcp),
		TEST(test_stray_is_passed_over),
		TEST(test_one_family_is_enough),
		TEST(test_next_server),
		TEST(test_nobody_there),
		TEST(test_many_names),
		TEST(test_too_many_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
