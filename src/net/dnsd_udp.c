/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "net/dnsd_internal.h"

enum { RECEIVE_AT_ONCE = 32 };

union control {
	struct cmsghdr align;
	char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* Failure is a lost datagram: the asker asks again. */
static void send_reply(const struct dnsd_socket *s, const struct dnsd_path *p, uint8_t *reply,
		       size_t len)
{
	struct sockaddr_in6 peer = p->peer;
	struct iovec iov = { .iov_base = reply, .iov_len = len };
	union control control = {};
	struct msghdr m = {
		.msg_name = &peer, .msg_namelen = p->peer_len, .msg_iov = &iov, .msg_iovlen = 1
	};
	struct cmsghdr *c;

	if (p->has_local) {
		m.msg_control = &control;
		m.msg_controllen = s->v6 ? sizeof(control.v6) : sizeof(control.v4);
		c = CMSG_FIRSTHDR(&m);
		if (s->v6) {
			struct in6_pktinfo info = { .ipi6_addr = p->local };

			*c = (struct cmsghdr){ .cmsg_level = IPPROTO_IPV6,
					       .cmsg_type = IPV6_PKTINFO,
					       .cmsg_len = CMSG_LEN(sizeof(info)) };
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		} else {
			struct in_pktinfo info = {};

			memcpy(&info.ipi_spec_dst, &p->local, sizeof(info.ipi_spec_dst));
			*c = (struct cmsghdr){ .cmsg_level = IPPROTO_IP,
					       .cmsg_type = IP_PKTINFO,
					       .cmsg_len = CMSG_LEN(sizeof(info)) };
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		}
	}
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

static void handle(struct dnsd_socket *s, const struct dnsd_path *path, const uint8_t *msg,
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
	*p = (struct dnsd_pending){ .path = *path, .query = q, .wait.fn = on_result };
	result = resolver_ask(s->dnsd->resolver, q.name, &p->wait);
	if (result)
		send_reply(s, path, reply, dnsd_answer(s->dnsd, &q, result, false, reply));
	else
		p->socket = s;
}

static void read_control(struct msghdr *m, struct dnsd_path *p)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in6_pktinfo v6;
		struct in_pktinfo v4;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(c), sizeof(v4));
			memcpy(&p->local, &v4.ipi_addr, sizeof(v4.ipi_addr));
			p->has_local = true;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(c), sizeof(v6));
			p->local = v6.ipi6_addr;
			p->has_local = true;
		}
	}
}

static void receive(struct dnsd_socket *s)
{
	for (unsigned i = 0; i < RECEIVE_AT_ONCE; i++) {
		uint8_t msg[DNSD_QUERY_MAX];
		struct iovec iov = { .iov_base = msg, .iov_len = sizeof(msg) };
		struct dnsd_path path = {};
		union control control;
		struct msghdr m = { .msg_name = &path.peer,
				    .msg_namelen = sizeof(path.peer),
				    .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = &control,
				    .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(s->watch.fd, &m, 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 || m.msg_flags & MSG_TRUNC)
			continue; /* an ICMP error of an earlier answer; too long a question */
		path.peer_len = m.msg_namelen;
		read_control(&m, &path);
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
