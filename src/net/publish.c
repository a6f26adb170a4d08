/* SPDX-License-Identifier: Apache-2.0 */
#include "net/publish.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "net/connect.h"
#include "net/flow_internal.h"

/* One of the pool: free, a flow's, or closing (added to the loop by itself). */
struct publish_socket {
	struct publish *publish;
	struct publish_socket *next; /* free */
	struct loop_watch watch;     /* .fd: owned; -1: it is no more */
	struct loop_timer timer;
	bool v6;
};

struct publish_listener {
	struct publish *publish;
	struct acceptor acceptor;
	uint16_t port;
};

struct publish {
	struct loop *loop;
	struct flows *flows;
	bool waits; /* a listener may have connections that there was no room for */
	bool has_v6;
	unsigned listeners_count, sockets_count;
	struct publish_socket *free[2]; /* IPv4, IPv6 */
	struct publish_listener listeners[PUBLISH_LISTENERS];
	struct publish_socket sockets[PUBLISH_POOL];
};

int publish_new(struct loop *loop, struct flows *fs, struct publish **ret)
{
	struct publish *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->loop = loop;
	p->flows = fs;
	fs->publish = *ret = p;
	return 0;
}

void publish_stop(struct publish *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->listeners_count; i++)
		acceptor_close(&p->listeners[i].acceptor);
	p->listeners_count = 0;
}

void publish_free(struct publish *p)
{
	if (!p)
		return;
	publish_stop(p);
	for (unsigned i = 0; i < p->sockets_count; i++) {
		loop_remove(p->loop, &p->sockets[i].watch);
		loop_clear(p->loop, &p->sockets[i].timer);
		close_fdp(&p->sockets[i].watch.fd);
	}
	free(p);
}

static bool has_room(const struct publish *p)
{
	return p->free[false] && (p->free[true] || !p->has_v6) && flows_have_room(p->flows);
}

void publish_room(struct publish *p)
{
	if (!p->waits || !has_room(p))
		return;
	p->waits = false;
	for (unsigned i = 0; i < p->listeners_count; i++)
		acceptor_later(&p->listeners[i].acceptor);
}

static struct publish_socket *take(struct publish *p, bool v6)
{
	struct publish_socket *s = p->free[v6];

	if (s)
		p->free[v6] = s->next;
	return s;
}

static void give(struct publish_socket *s)
{
	s->next = s->publish->free[s->v6];
	s->publish->free[s->v6] = s;
	publish_room(s->publish);
}

/* As new, whatever its state: a peer that has not ended is reset. */
static void renew(struct publish_socket *s)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	loop_remove(s->publish->loop, &s->watch);
	loop_clear(s->publish->loop, &s->timer);
	if (connect(s->watch.fd, &none, sizeof(none)) < 0) {
		close_fdp(&s->watch.fd); /* no kernel is known to refuse it */
		return;
	}
	give(s);
}

static bool is_closed(const struct publish_socket *s)
{
	struct tcp_info info = { .tcpi_state = TCP_ESTABLISHED };
	socklen_t len = sizeof(info.tcpi_state);

	return getsockopt(s->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	       info.tcpi_state == TCP_CLOSE;
}

static void on_closing(struct loop_watch *w, uint32_t events)
{
	struct publish_socket *s = LOOP_OWNER(w, struct publish_socket, watch);

	if (is_closed(s))
		renew(s);
}

static void on_closing_timer(struct loop_timer *t)
{
	renew(LOOP_OWNER(t, struct publish_socket, timer));
}

/* Both streams have ended; ours may not have been taken yet. */
static void let_close(struct publish_socket *s)
{
	struct loop *loop = s->publish->loop;

	if (is_closed(s) || loop_add(loop, &s->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP) < 0)
		renew(s);
	else
		loop_set(loop, &s->timer, PUBLISH_LINGER_MS);
}

void publish_end(struct flow *f, bool reset)
{
	struct publish_socket *s = TAKE_PTR(f->inside), *spare = TAKE_PTR(f->spare);

	f->inner.fd = -1; /* it was the pool's */
	if (spare)
		give(spare);
	if (reset)
		renew(s);
	else
		let_close(s);
}

/* 0: connected; -EINPROGRESS; -errno. */
static int connect_inside(const struct publish_socket *s, uint16_t port)
{
	static const uint8_t loopback4[4] = { 127, 0, 0, 1 }, loopback6[16] = { [15] = 1 };
	const int one = 1;

	setsockopt(s->watch.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return net_connect(s->watch.fd, s->v6, s->v6 ? loopback6 : loopback4, port);
}

/* The one at f->inside is not to be had. False: nor is there another. */
static bool other_family(struct flow *f)
{
	struct publish_socket *s = f->inside;

	if (!f->spare)
		return false;
	f->inside = TAKE_PTR(f->spare);
	renew(s);
	return true;
}

static void entered(struct flow *f)
{
	struct publish_socket *spare = TAKE_PTR(f->spare);

	loop_clear(f->flows->loop, &f->timer);
	if (spare)
		give(spare);
	flow_relay_start(f);
}

static void enter(struct flow *f)
{
	struct loop *loop = f->flows->loop;
	int r;

	do
		r = connect_inside(f->inside, f->port);
	while (r < 0 && r != -EINPROGRESS && other_family(f));
	f->inner.fd = f->inside->watch.fd;
	if ((r < 0 && r != -EINPROGRESS) ||
	    loop_add(loop, &f->inner, EPOLLIN | EPOLLOUT | EPOLLRDHUP) < 0)
		flow_end(f, true);
	else if (r == 0)
		entered(f);
	else
		loop_set(loop, &f->timer, FLOW_CONNECT_MS);
}

void publish_event(struct flow *f, uint32_t events)
{
	int r;

	if (f->phase == FLOW_RELAY) {
		if (events & EPOLLERR)
			f->broken = true;
		flow_relay(f);
		return;
	}
	r = net_socket_error(f->inner.fd);
	if (r == -ECONNRESET || r == -EPIPE) {
		/*
		 * It was connected, and what came before the reset is still there to
		 * be read. EPIPE: its proper end too; tcp_reset() in the kernel.
		 */
		f->broken = true;
		f->cut = r == -ECONNRESET;
		entered(f);
	} else if (r < 0) {
		loop_remove(f->flows->loop, &f->inner);
		if (other_family(f))
			enter(f);
		else
			flow_end(f, true);
	} else if (events & EPOLLOUT) {
		entered(f);
	}
}

static void start(struct acceptor *a, int fd)
{
	const struct publish_listener *l = LOOP_OWNER(a, struct publish_listener, acceptor);
	struct publish *p = l->publish;
	struct flow *f = flow_make(p->flows);
	const int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	f->phase = FLOW_ENTER;
	f->port = l->port;
	f->outer.fd = fd;
	f->inside = take(p, false);
	f->spare = take(p, true);
	enter(f);
}

/* Others wait for room in the host's backlog. */
static bool start_has_room(struct acceptor *a)
{
	struct publish *p = LOOP_OWNER(a, struct publish_listener, acceptor)->publish;

	if (has_room(p))
		return true;
	p->waits = true;
	return false;
}

int publish_listen(struct publish *p, int fd, uint16_t port)
{
	static const struct acceptor_owner owner = { .take = start, .has_room = start_has_room };
	struct publish_listener *l = &p->listeners[p->listeners_count];

	if (p->listeners_count == PUBLISH_LISTENERS) {
		close(fd);
		return -ENOSPC;
	}
	p->listeners_count++;
	*l = (struct publish_listener){ .publish = p, .port = port };
	return acceptor_open(&l->acceptor, p->loop, fd, &owner);
}

int publish_add(struct publish *p, int fd, bool v6)
{
	struct publish_socket *s = &p->sockets[p->sockets_count];

	if (p->sockets_count == PUBLISH_POOL) {
		close(fd);
		return -ENOSPC;
	}
	p->sockets_count++;
	*s = (struct publish_socket){ .publish = p,
				      .watch = { .fn = on_closing, .fd = fd },
				      .timer.fn = on_closing_timer,
				      .v6 = v6 };
	p->has_v6 |= v6;
	give(s);
	return 0;
}
