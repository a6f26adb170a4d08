/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "net/dnsd_internal.h"

enum { RECEIVE_AT_ONCE = 32 };

/* Failure is a lost datagram: the asker asks again. */
static void send_reply(const struct dnsd_socket *s, const struct datagram_path *p, uint8_t *reply,
		       size_t len)
{
	struct iovec iov = { .iov_base = reply, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union datagram_control control;

	datagram_answer(&m, p, s->v6, &control);
	sendmsg(s->watch.fd, &m, MSG_NOSIGNAL);
}

static void on_result(struct resolver_wait *w, const struct resolver_result *result)
{
	struct dnsd_pending *p = LOOP_OWNER(w, struct dnsd_pending, wait);
	uint8_t reply[DNSD_REPLY_MAX];
	size_t len = dnsd_answer(p->socket->dnsd, &p->query, result, false, reply);

	send_reply(p->socket, &p->path, reply, len);
	p->socket = NULL;
}

static void on_records(struct records_wait *w, unsigned rcode, const struct dns_answer *answer,
		       const uint8_t *msg)
{
	struct dnsd_pending *p = LOOP_OWNER(w, struct dnsd_pending, records);
	uint8_t reply[DNSD_REPLY_MAX];
	size_t len = dnsd_service_answer(p->socket->dnsd, &p->query, rcode, answer, msg, false,
					 reply);

	send_reply(p->socket, &p->path, reply, len);
	p->socket = NULL;
}

static void handle(struct dnsd_socket *s, const struct datagram_path *path, const uint8_t *msg,
		   size_t len)
{
	const struct resolver_result *result;
	uint8_t reply[DNSD_REPLY_MAX];
	struct dnsd_pending *p = s->dnsd->pending;
	struct dns_query q;
	int r = dnsd_read(s->dnsd, msg, len, false, &q, reply);

	if (r < 0)
		return;
	if (r > 0) {
		send_reply(s, path, reply, (size_t)r);
		return;
	}
	while (p < s->dnsd->pending + DNSD_PENDING && p->socket)
		p++;
	if (p == s->dnsd->pending + DNSD_PENDING) {
		send_reply(s, path, reply, dnsd_plain(&q, DNS_SERVFAIL, false, reply));
		return;
	}
	*p = (struct dnsd_pending){
		.path = *path, .query = q, .wait.fn = on_result, .records.fn = on_records
	};
	if (dnsd_is_service(q.type)) {
		if (records_ask(s->dnsd->resolver, q.name, q.type, &p->records) == 0)
			p->socket = s;
		else
			send_reply(s, path, reply, dnsd_plain(&q, DNS_SERVFAIL, false, reply));
		return;
	}
	result = resolver_ask(s->dnsd->resolver, q.name, &p->wait);
	if (result)
		send_reply(s, path, reply, dnsd_answer(s->dnsd, &q, result, false, reply));
	else
		p->socket = s;
}

static void receive(struct dnsd_socket *s)
{
	for (unsigned i = 0; i < RECEIVE_AT_ONCE; i++) {
		struct dnsd *d = s->dnsd;
		uint8_t own[DNSD_QUERY_MAX], *msg = d->relay ? d->room : own;
		struct iovec iov = { .iov_base = msg,
				     .iov_len = d->relay ? DATAGRAM_MAX : sizeof(own) };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
		struct datagram_path path = {};
		union datagram_control control;
		ssize_t n;

		datagram_expect(&m, &path, &control);
		n = recvmsg(s->watch.fd, &m, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 || m.msg_flags & MSG_TRUNC)
			continue; /* an ICMP error of an earlier answer; too long a question */
		datagram_read(&m, &path);
		if (d->relay && d->relay(d->relay_arg, s->v6, &path, msg, (size_t)n))
			continue;
		if (n <= DNSD_QUERY_MAX)
			handle(s, &path, msg, (size_t)n);
	}
	loop_later(s->dnsd->loop, &s->again);
}

void dnsd_receive(struct loop_watch *w, uint32_t events)
{
	receive(LOOP_OWNER(w, struct dnsd_socket, watch));
}

void dnsd_receive_more(struct loop_task *t)
{
	receive(LOOP_OWNER(t, struct dnsd_socket, again));
}
