/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "net/connect.h"
#include "net/special.h"
#include "net/tally.h"
#include "net/udp_internal.h"

static uint8_t *held_bytes(struct udp *u, const struct udp_held *h)
{
	return u->held_room + (size_t)(h - u->held) * DATAGRAM_MAX;
}

void udp_flow_end(struct udp_flow *f)
{
	struct udp *u = f->udp;

	resolver_forget(&f->wait);
	loop_not_later(&f->again);
	bucket_forget(u->down, &f->turn);
	loop_remove(u->loop, &f->outer);
	net_tally->closed += f->outer.fd >= 0;
	close_fdp(&f->outer.fd);
	for (struct udp_held *h = f->held; h; h = h->next)
		h->used = false;
	udp_table_remove(&u->table, &f->entry);
	f->used = false;
	f->next_free = u->free;
	u->free = f;
}

static void refuse(struct udp_flow *f, enum net_verdict why)
{
	udp_refuse(f->socket, &f->path, f->name, why);
	udp_flow_end(f);
}

/* Of answers. What a program inside has no room for is lost. */
static void send_in(struct udp_flow *f, unsigned count)
{
	struct udp_batch *b = &f->udp->batch;
	unsigned at = 0;

	for (unsigned i = 0; i < count; i++) {
		b->iov[i].iov_len = b->m[i].msg_len;
		datagram_answer(&b->m[i].msg_hdr, &f->path, f->socket->v6, &b->control[i]);
		f->down += b->m[i].msg_len;
		net_tally->down += b->m[i].msg_len;
	}
	while (at < count) {
		int n = udp_send_many(f->socket->watch.fd, b->m + at, count - at);

		if (n == -EINTR)
			continue;
		at += n > 0 ? (unsigned)n : 1; /* an error is the first one's */
	}
}

static void receive(struct udp_flow *f)
{
	struct udp *u = f->udp;
	bool refused = false, more = true;

	for (unsigned round = 0; round < UDP_ROUNDS && more; round++) {
		int n;

		udp_batch_expect(u, false);
		n = udp_batch_receive(u, f->outer.fd, u->down, &f->turn);
		if (n >= 0) {
			udp_table_touch(&u->table, &f->entry, u->loop->now);
			send_in(f, (unsigned)n);
		} else if (n == -EAGAIN || n == -EDQUOT) {
			more = false;
		} else if (n != -EINTR) {
			refused = true; /* an ICMP error; answers from before it may be queued */
		}
	}
	if (refused)
		refuse(f, NET_UNREACHABLE);
	else if (more)
		loop_later(u->loop, &f->again);
}

static void on_outer(struct loop_watch *w, uint32_t events)
{
	receive(LOOP_OWNER(w, struct udp_flow, outer));
}

static void on_again(struct loop_task *t)
{
	receive(LOOP_OWNER(t, struct udp_flow, again));
}

static void on_turn(struct bucket_wait *w)
{
	receive(LOOP_OWNER(w, struct udp_flow, turn));
}

/* The bytes of one datagram, or of several of the batch. 0, or -errno if nobody takes them. */
static int send_out(const struct udp_flow *f, struct mmsghdr *m, unsigned count)
{
	for (unsigned at = 0; at < count;) {
		int n = udp_send_many(f->outer.fd, m + at, count - at);

		if (n >= 0) {
			at += (unsigned)n;
			continue;
		}
		if (n == -EINTR)
			continue;
		if (n != -EAGAIN && n != -ENOBUFS && n != -ENOMEM && n != -EMSGSIZE)
			return n;
		at++; /* no room, or too long for this family: lost */
	}
	return 0;
}

/* A copy of each, until the address is known. Those that have no room are lost. */
static void hold(struct udp_flow *f, unsigned first, unsigned count)
{
	struct udp *u = f->udp;
	struct udp_held **end = &f->held;
	unsigned own = 0;

	for (; *end; end = &(*end)->next)
		own++;
	for (unsigned i = first, slot = 0; i < first + count && own < UDP_HELD_FLOW; i++, own++) {
		while (slot < UDP_HELD && u->held[slot].used)
			slot++;
		if (slot == UDP_HELD)
			return;
		u->held[slot] = (struct udp_held){ .used = true, .len = u->batch.m[i].msg_len };
		memcpy(held_bytes(u, &u->held[slot]), u->batch.iov[i].iov_base, u->held[slot].len);
		*end = &u->held[slot];
		end = &u->held[slot].next;
	}
}

void udp_flow_send(struct udp_flow *f, unsigned first, unsigned count)
{
	struct udp_batch *b = &f->udp->batch;

	if (f->waiting) {
		hold(f, first, count);
		return;
	}
	for (unsigned i = first; i < first + count; i++) {
		b->iov[i].iov_len = b->m[i].msg_len;
		f->up += b->m[i].msg_len;
		net_tally->up += b->m[i].msg_len;
		b->out[i] = (struct mmsghdr){
			.msg_hdr = { .msg_iov = &b->iov[i], .msg_iovlen = 1 },
		};
	}
	if (send_out(f, &b->out[first], count) < 0)
		refuse(f, NET_UNREACHABLE);
}

static void release(struct udp_flow *f)
{
	struct udp *u = f->udp;

	for (struct udp_held *h = f->held; h; h = h->next) {
		struct iovec iov = { held_bytes(u, h), h->len };
		struct mmsghdr m = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };

		h->used = false;
		f->up += h->len;
		net_tally->up += h->len;
		if (send_out(f, &m, 1) < 0) {
			refuse(f, NET_UNREACHABLE);
			return;
		}
	}
	f->held = NULL;
}

/*
 * The kernel chooses the port before it notes the peer: what came in between,
 * from anybody, goes. An answer cannot have come, for nothing was asked.
 */
static void forget_strays(int fd)
{
	char byte;

	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) >= 0)
		;
}

static int connect_to(struct udp_flow *f, const struct resolver_addr *addr)
{
	int fd = net_socket(addr->v6, SOCK_DGRAM);

	if (fd < 0)
		return fd;
	f->outer.fd = fd;
	if (net_connect(fd, addr->v6, addr->addr, f->socket->port) == 0) {
		forget_strays(fd);
		if (loop_add(f->udp->loop, &f->outer, EPOLLIN) == 0) {
			net_tally->begun++;
			return 0;
		}
	}
	close_fdp(&f->outer.fd);
	return -EHOSTUNREACH;
}

/*
 * False: the flow is gone, for no address of it could be had. Those that the rules
 * refuse are passed over for others of the name.
 */
static bool settle(struct udp_flow *f, const struct resolver_result *result)
{
	struct rules_answer answer, refusal = { .verdict = RULES_ALLOWED };
	struct host name = host_from_name(f->name ? f->name : ""), addr, refused;
	const unsigned count = result->count;
	char text[HOST_NAME_MAX_LEN + 1];

	for (unsigned i = 0; i < 2 * count; i++) {
		const struct resolver_addr *a = &result->addrs[i < count ? i : i - count];

		if ((a->v6 == f->socket->v6) != (i < count))
			continue;
		addr = host_from_addr(a->v6, a->addr);
		answer = rules_dial(f->udp->rules, f->name ? &name : &addr, &addr, f->socket->port,
				    true);
		if (answer.verdict != RULES_ALLOWED) {
			refusal = answer;
			refused = addr;
		} else if (connect_to(f, a) == 0) {
			f->peer = *a;
			f->waiting = false;
			report_flow(f->udp->report, f->name ? f->name : host_text(&addr, text),
				    &addr, f->socket->port, true);
			return true;
		}
	}
	if (refusal.verdict == RULES_ALLOWED) {
		refuse(f, NET_UNREACHABLE);
		return false;
	}
	udp_refuse_by(f->socket, &f->path, f->name, &refusal, &refused);
	udp_flow_end(f);
	return false;
}

static void on_result(struct resolver_wait *w, const struct resolver_result *result)
{
	struct udp_flow *f = LOOP_OWNER(w, struct udp_flow, wait);

	if (settle(f, result))
		release(f);
}

bool udp_flow_dial(struct udp_flow *f)
{
	struct host target = host_from_addr(f->socket->v6, &f->path.local);
	struct resolver_result itself = { .count = 1 };
	const struct resolver_result *result = &itself;

	f->wait.fn = on_result;
	f->outer = (struct loop_watch){ .fn = on_outer, .fd = -1 };
	f->again.fn = on_again;
	f->turn.fn = on_turn;
	if (f->name) {
		result = resolver_ask(f->udp->resolver, f->name, &f->wait);
	} else {
		target = special_unmap(&target);
		itself.addrs[0].v6 = target.kind == HOST_V6;
		memcpy(itself.addrs[0].addr, target.addr, sizeof(target.addr));
	}
	f->waiting = !result;
	return f->waiting || settle(f, result);
}
