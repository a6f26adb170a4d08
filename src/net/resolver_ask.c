/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "net/connect.h"
#include "net/dns_internal.h"
#include "net/resolver_internal.h"

enum { UDP_BUF = 4096 }; /* more than the DNS_EDNS_MAX that we say */

static void next_try(struct ask *a);

static void close_socket(struct ask *a)
{
	if (a->watch.fd < 0)
		return;
	loop_remove(a->resolver->loop, &a->watch);
	close(a->watch.fd);
	a->watch.fd = -1;
	if (a->tcp)
		a->tcp->used = false;
	a->tcp = NULL;
}

void ask_stop(struct ask *a)
{
	close_socket(a);
	loop_clear(a->resolver->loop, &a->timer);
}

static void finish(struct ask *a, const struct dns_answer *answer, const uint8_t *msg)
{
	ask_stop(a);
	a->done = true;
	a->rcode = answer ? answer->rcode : DNS_SERVFAIL;
	a->fn(a, answer, msg);
}

static unsigned tries_max(const struct ask *a)
{
	return MAX(3u, a->resolver->servers_count * 2);
}

static int open_socket(struct ask *a, int type)
{
	const struct net_server *s = &a->resolver->servers[a->server];
	int r;

	a->watch.fd = net_socket(s->v6, type);
	if (a->watch.fd < 0)
		return a->watch.fd;
	r = net_connect(a->watch.fd, s->v6, s->addr, s->port);
	if (r < 0 && r != -EINPROGRESS)
		return r;
	return loop_add(a->resolver->loop, &a->watch,
			type == SOCK_STREAM ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* The same server and question again, over TCP. */
static void go_tcp(struct ask *a)
{
	struct tcp_buf *buf = NULL;

	close_socket(a);
	for (unsigned i = 0; i < RESOLVER_TCP && !buf; i++)
		if (!a->resolver->tcp[i].used)
			buf = &a->resolver->tcp[i];
	if (!buf || open_socket(a, SOCK_STREAM) < 0) {
		next_try(a);
		return;
	}
	buf->used = true;
	buf->have = 0;
	a->tcp = buf;
	a->sent = 0;
	loop_set(a->resolver->loop, &a->timer, RESOLVER_TRY_MS);
}

/* What a server said, whole. True: this socket has served. */
static bool take(struct ask *a, const uint8_t *msg, size_t len)
{
	struct dns_answer answer;
	int r = dns_parse_answer(msg, len, a->id, a->name, a->type, &answer);

	a->rubbish |= r == -EBADMSG || r == -ELOOP;
	if (r == -ENOMSG && !a->tcp && ++a->stray < RESOLVER_STRAY)
		return false;
	if (r == 0 && answer.truncated && !a->tcp)
		go_tcp(a);
	else if (r == 0 && !answer.truncated &&
		 (answer.rcode == DNS_NOERROR || answer.rcode == DNS_NXDOMAIN))
		finish(a, &answer, msg);
	else
		next_try(a);
	return true;
}

static void on_udp(struct ask *a)
{
	uint8_t msg[UDP_BUF];

	for (;;) {
		ssize_t n = recv(a->watch.fd, msg, sizeof(msg), MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 || (size_t)n > sizeof(msg)) { /* ECONNREFUSED: nobody is there */
			next_try(a);
			return;
		}
		if (take(a, msg, (size_t)n))
			return;
	}
}

static void on_tcp(struct ask *a)
{
	struct tcp_buf *b = a->tcp;

	while (a->sent < a->len + 2) {
		ssize_t n = send(a->watch.fd, a->query + a->sent, a->len + 2 - a->sent,
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			next_try(a);
			return;
		}
		a->sent += (size_t)n;
	}
	for (;;) {
		size_t want = b->have < 2 ? 2 : 2u + dns_get16(b->data);
		ssize_t n;

		if (b->have >= 2 && b->have == want) {
			take(a, b->data + 2, b->have - 2);
			return;
		}
		n = recv(a->watch.fd, b->data + b->have, want - b->have, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			next_try(a);
			return;
		}
		b->have += (size_t)n;
	}
}

static void on_event(struct loop_watch *w, uint32_t events)
{
	struct ask *a = LOOP_OWNER(w, struct ask, watch);

	if (a->tcp)
		on_tcp(a);
	else
		on_udp(a);
}

static void on_timer(struct loop_timer *t)
{
	next_try(LOOP_OWNER(t, struct ask, timer));
}

static bool begin_try(struct ask *a)
{
	int len;

	if (getrandom(&a->id, sizeof(a->id), 0) != sizeof(a->id))
		return false;
	len = dns_write_query(a->query + 2, sizeof(a->query) - 2, a->id, a->name, a->type);
	if (len < 0 || open_socket(a, SOCK_DGRAM) < 0)
		return false;
	a->len = (size_t)len;
	dns_put16(a->query, (unsigned)len);
	a->stray = 0;
	return send(a->watch.fd, a->query + 2, a->len, MSG_NOSIGNAL) == (ssize_t)a->len;
}

static void next_try(struct ask *a)
{
	ask_stop(a);
	if (a->tries >= tries_max(a)) {
		finish(a, NULL, NULL);
		return;
	}
	a->server = a->tries++ % a->resolver->servers_count;
	/* What fails at once is not retried from in here: the caller has not begun to wait. */
	loop_set(a->resolver->loop, &a->timer, begin_try(a) ? RESOLVER_TRY_MS : 1);
}

void ask_start(struct ask *a)
{
	a->done = a->rubbish = false;
	a->tries = 0;
	a->watch = (struct loop_watch){ .fn = on_event, .fd = -1 };
	a->timer = (struct loop_timer){ .fn = on_timer };
	a->tcp = NULL;
	next_try(a);
}

void ask_hurry(struct ask *a)
{
	a->tries = tries_max(a);
	loop_set(a->resolver->loop, &a->timer, RESOLVER_PATIENCE_MS);
}
