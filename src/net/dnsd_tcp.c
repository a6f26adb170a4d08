/* SPDX-License-Identifier: Apache-2.0 */
/* DNS over TCP, RFC 7766: messages with their length in front, answered one after the other. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/dns_internal.h"
#include "net/dnsd_internal.h"

void dnsd_conn_close(struct dnsd_conn *c)
{
	resolver_forget(&c->wait);
	records_forget(&c->records);
	loop_clear(c->dnsd->loop, &c->timer);
	loop_remove(c->dnsd->loop, &c->watch);
	close(c->watch.fd);
	c->used = false;
}

static void set_reply(struct dnsd_conn *c, size_t len)
{
	dns_put16(c->out, (unsigned)len);
	c->out_len = len + 2;
	c->out_sent = 0;
}

/* False: closed. */
static bool flush(struct dnsd_conn *c)
{
	while (c->out_sent < c->out_len) {
		ssize_t n = send(c->watch.fd, c->out + c->out_sent, c->out_len - c->out_sent,
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			dnsd_conn_close(c);
			return false;
		}
		c->out_sent += (size_t)n;
		loop_set(c->dnsd->loop, &c->timer, DNSD_IDLE_MS);
	}
	c->out_len = c->out_sent = 0;
	return true;
}

/* The message that @in begins with. False: closed. */
static bool take(struct dnsd_conn *c, size_t len)
{
	const struct resolver_result *result;
	int r = dnsd_read(c->dnsd, c->in + 2, len, true, &c->query, c->out + 2);

	c->in_len -= 2 + len;
	memmove(c->in, c->in + 2 + len, c->in_len);
	if (r < 0) {
		dnsd_conn_close(c);
		return false;
	}
	if (r > 0) {
		set_reply(c, (size_t)r);
		return flush(c);
	}
	if (dnsd_is_service(c->query.type)) {
		c->waiting = records_ask(c->dnsd->resolver, c->query.name, c->query.type,
					 &c->records) == 0;
		if (c->waiting)
			return true;
		set_reply(c, dnsd_plain(&c->query, DNS_SERVFAIL, true, c->out + 2));
		return flush(c);
	}
	result = resolver_ask(c->dnsd->resolver, c->query.name, &c->wait);
	if (!result) {
		c->waiting = true;
		return true;
	}
	set_reply(c, dnsd_answer(c->dnsd, &c->query, result, true, c->out + 2));
	return flush(c);
}

static void pump(struct dnsd_conn *c)
{
	if (!flush(c))
		return;
	while (!c->waiting && !c->out_len) {
		size_t len = c->in_len >= 2 ? dns_get16(c->in) : 0;
		ssize_t n;

		if (c->in_len >= 2 && (!len || len > DNSD_QUERY_MAX)) {
			dnsd_conn_close(c);
			return;
		}
		if (len && c->in_len >= 2 + len) {
			if (!take(c, len))
				return;
			continue;
		}
		n = recv(c->watch.fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			dnsd_conn_close(c);
			return;
		}
		c->in_len += (size_t)n;
	}
}

static void on_event(struct loop_watch *w, uint32_t events)
{
	pump(LOOP_OWNER(w, struct dnsd_conn, watch));
}

static void on_timer(struct loop_timer *t)
{
	struct dnsd_conn *c = LOOP_OWNER(t, struct dnsd_conn, timer);

	if (c->waiting) /* the resolver has its own limit, and will answer */
		loop_set(c->dnsd->loop, t, DNSD_IDLE_MS);
	else
		dnsd_conn_close(c);
}

static void on_result(struct resolver_wait *w, const struct resolver_result *result)
{
	struct dnsd_conn *c = LOOP_OWNER(w, struct dnsd_conn, wait);

	c->waiting = false;
	set_reply(c, dnsd_answer(c->dnsd, &c->query, result, true, c->out + 2));
	pump(c);
}

static void on_records(struct records_wait *w, unsigned rcode, const struct dns_answer *answer,
		       const uint8_t *msg)
{
	struct dnsd_conn *c = LOOP_OWNER(w, struct dnsd_conn, records);

	c->waiting = false;
	set_reply(c, dnsd_service_answer(c->dnsd, &c->query, rcode, answer, msg, true, c->out + 2));
	pump(c);
}

void dnsd_accept(struct loop_watch *w, uint32_t events)
{
	struct dnsd *d = LOOP_OWNER(w, struct dnsd_socket, watch)->dnsd;

	for (;;) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct dnsd_conn *c = d->conns;

		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0)
			return;
		while (c < d->conns + DNSD_TCP && c->used)
			c++;
		if (c == d->conns + DNSD_TCP) {
			close(fd);
			continue;
		}
		*c = (struct dnsd_conn){ .dnsd = d,
					 .used = true,
					 .watch = { .fn = on_event, .fd = fd },
					 .timer.fn = on_timer,
					 .wait.fn = on_result,
					 .records.fn = on_records };
		loop_set(d->loop, &c->timer, DNSD_IDLE_MS);
		if (loop_add(d->loop, &c->watch, EPOLLIN | EPOLLOUT) < 0)
			dnsd_conn_close(c);
	}
}
