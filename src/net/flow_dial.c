/* SPDX-License-Identifier: Apache-2.0 */
/* Happy Eyeballs, RFC 8305 §4 and §5, without its history of earlier connections. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "net/connect.h"
#include "net/flow_internal.h"

static void drop(struct flow_attempt *a)
{
	if (a->watch.fd < 0)
		return;
	loop_remove(a->flow->flows->loop, &a->watch);
	close(a->watch.fd);
	a->watch.fd = -1;
}

void flow_dial_stop(struct flow *f)
{
	for (unsigned i = 0; i < FLOW_ATTEMPTS; i++)
		drop(&f->attempts[i]);
}

static int start_connect(const struct flow *f, const struct resolver_addr *addr)
{
	const int one = 1;
	int fd = net_socket(addr->v6, SOCK_STREAM), r;

	if (fd < 0)
		return fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	r = net_connect(fd, addr->v6, addr->addr, f->port);
	if (r < 0 && r != -EINPROGRESS) {
		close(fd);
		return r;
	}
	return fd;
}

/* Without a descriptor it is not the host's network that is at fault. */
static void give_up(struct flow *f)
{
	bool ours = f->error == -EMFILE || f->error == -ENFILE || f->error == -ENOBUFS;

	if (ours && !f->proxy) {
		report_denied(f->flows->report, NET_TOO_MANY, "", 0, false);
		flow_end(f, true);
	} else {
		flow_refuse(f, NET_UNREACHABLE);
	}
}

static void dial_next(struct flow *f)
{
	struct loop *loop = f->flows->loop;
	struct flow_attempt *slot = NULL, *oldest = NULL;

	for (unsigned i = 0; i < FLOW_ATTEMPTS; i++) {
		struct flow_attempt *a = &f->attempts[i];

		if (a->watch.fd < 0)
			slot = a;
		else if (!oldest || a->since < oldest->since)
			oldest = a;
	}
	/* One that is silent makes room for an address that nobody has tried. */
	if (!slot && f->next < f->count && loop->now - oldest->since >= FLOW_TRY_MS) {
		drop(oldest);
		slot = oldest;
	}
	while (slot && f->next < f->count) {
		slot->addr = f->next++;
		slot->since = loop->now;
		slot->watch.fd = start_connect(f, &f->addrs[slot->addr]);
		if (slot->watch.fd < 0) {
			f->error = slot->watch.fd;
			continue;
		}
		if (loop_add(loop, &slot->watch, EPOLLOUT) < 0) {
			drop(slot);
			continue;
		}
		loop_set(loop, &f->timer, FLOW_NEXT_MS);
		return;
	}
	/* The others say no at once: those that are silent have no 30 s. */
	if (f->told_no && f->next >= f->count)
		f->deadline = MIN(f->deadline, loop->now + FLOW_TRY_MS);
	if (!oldest || loop->now >= f->deadline)
		give_up(f);
	else if (f->next < f->count)
		loop_set(loop, &f->timer, oldest->since + FLOW_TRY_MS - loop->now);
	else
		loop_set(loop, &f->timer, f->deadline - loop->now);
}

static void report_peer(const struct flow *f)
{
	const struct resolver_addr *a = &f->addrs[f->peer];
	const struct host address = host_from_addr(a->v6, a->addr);
	char text[HOST_NAME_MAX_LEN + 1];

	report_flow(f->flows->report, host_text(&f->host, text), &address, f->port, false);
}

static void on_attempt(struct loop_watch *w, uint32_t events)
{
	struct flow_attempt *a = LOOP_OWNER(w, struct flow_attempt, watch);
	struct flow *f = a->flow;
	int r = net_socket_error(w->fd);

	if (r < 0) {
		f->error = r;
		drop(a);
		f->told_no = true;
		dial_next(f);
		return;
	}
	if (!(events & EPOLLOUT))
		return;
	loop_remove(f->flows->loop, w);
	f->outer.fd = TAKE_FD(w->fd);
	f->peer = a->addr;
	flow_dial_stop(f);
	report_peer(f);
	flow_relay_start(f);
}

void flow_dial_timer(struct flow *f)
{
	if (f->flows->loop->now >= f->deadline)
		flow_refuse(f, NET_UNREACHABLE);
	else
		dial_next(f);
}

void flow_dial(struct flow *f)
{
	f->phase = FLOW_CONNECT;
	f->deadline = f->flows->loop->now + FLOW_CONNECT_MS;
	for (unsigned i = 0; i < FLOW_ATTEMPTS; i++)
		f->attempts[i] = (struct flow_attempt){ .flow = f,
							.watch = { .fn = on_attempt, .fd = -1 } };
	dial_next(f);
}
