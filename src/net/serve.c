/* SPDX-License-Identifier: Apache-2.0 */
#include "net/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "base/str.h"
#include "net/block.h"
#include "net/confine.h"
#include "net/dnsd.h"
#include "net/flow.h"
#include "net/live.h"
#include "net/names.h"
#include "net/pipes.h"
#include "net/protocol.h"
#include "net/publish.h"
#include "net/report.h"
#include "net/resolver.h"
#include "net/tally.h"
#include "net/tried.h"
#include "net/udp.h"

enum {
	RESOLV_CONF_MAX = 64 << 10,
	/* Of what is no flow: sockets of the resolver and of DNS, the sandbox's, idle pipes. */
	OTHER_FDS = RESOLVER_FDS + DNSD_TCP + NET_SOCKETS_MAX + 2 * PIPES_KEPT + 32,
};

struct serve {
	int control;
	struct loop loop;
	struct net_block *block;
	struct net_rules rules;
	struct names names;
	struct report report;
	struct resolver *resolver;
	struct dnsd *dnsd;
	struct flows *flows;
	struct udp *udp; /* NULL: no rule allows any */
	struct bucket up, down;
	struct live live;
	unsigned max;		 /* connections */
	struct publish *publish; /* NULL: nothing is */
	unsigned published_count;
	int published_fds[NET_PUBLISHED_MAX]; /* until @publish has them */
	struct net_socket published[NET_PUBLISHED_MAX];
	struct loop_watch watch;
	struct loop_timer drain;
	uint64_t drain_until;
	int status; /* why the loop stopped */
	struct err *err;
};

enum {
	DRAIN_MS = 2000, /* for what was sent from inside and is not on its way yet */
	DRAIN_LOOK_MS = 10,
};

/* One packet into @m, its descriptors into @fds. 1; 0 at the end; -errno. */
static int receive(int control, int flags, struct net_message *m, int fds[NET_SOCKETS_MAX],
		   unsigned *count)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * NET_SOCKETS_MAX)];
	} cmsg;
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &cmsg,
			      .msg_controllen = sizeof(cmsg) };
	struct cmsghdr *c;
	ssize_t n;

	*count = 0;
	do
		n = recvmsg(control, &msg, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : 0;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *count * sizeof(int));
	}
	return n == sizeof(*m) && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ? 1 : -EPROTO;
}

static int add_socket(struct serve *s, const struct net_socket *kind, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	switch (kind->kind) {
	case NET_SOCKET_TCP:
		return flows_listen(s->flows, fd, kind->v6);
	case NET_SOCKET_DNS_TCP:
		return dnsd_add_tcp(s->dnsd, fd);
	case NET_SOCKET_DNS_UDP:
		if (s->udp)
			udp_add_dns(s->udp, fd, kind->v6);
		return dnsd_add_udp(s->dnsd, fd, kind->v6);
	case NET_SOCKET_UDP:
		if (s->udp)
			return udp_add(s->udp, fd, kind->v6);
		break;
	case NET_SOCKET_ICMP:
		if (s->udp)
			return udp_add_icmp(s->udp, fd, kind->v6);
		break;
	case NET_SOCKET_POOL:
		if (s->publish)
			return publish_add(s->publish, fd, kind->v6);
		break;
	}
	close(fd);
	return -EPROTO;
}

static int take_sockets(struct serve *s, const struct net_message *m, int *fds, unsigned count)
{
	int r = m->type == NET_SOCKETS && m->count == count ? 0 : -EPROTO;

	for (unsigned i = 0; i < count; i++) {
		if (r < 0)
			close(fds[i]);
		else
			r = add_socket(s, &m->sockets[i], fds[i]);
	}
	return r < 0 ? err_set(s->err, r, "net", "cannot serve the sandbox's sockets") : 0;
}

static int tell(const struct serve *s, const struct net_message *m)
{
	return send(s->control, m, sizeof(*m), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* What cannot be done ends us: rules that we do not have must not seem to hold. */
static int take_request(struct serve *s, const struct net_message *m, int *fds, unsigned count)
{
	struct net_message answer = { .type = NET_CHANGED, .count = m->count };
	int r = -EPROTO;

	if (m->type == NET_SOCKETS)
		return take_sockets(s, m, fds, count);
	if (m->type == NET_TRIED && count == 0) {
		tried(&s->rules, &s->names, &s->report, m->address, m->port);
		return 0;
	}
	if (m->type == NET_RULES && count == 1)
		r = live_change(&s->live, fds[0], &s->rules, s->flows, s->udp);
	answer.error = r;
	if (m->type == NET_SHOW && count == 1) {
		r = 0;
		answer.type = NET_SHOWN;
		answer.error = live_show(fds[0], s->max, s->names.count, s->flows, s->udp);
	}
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
	if (r >= 0)
		r = tell(s, &answer);
	return r < 0 ? err_set(s->err, r, "net", "cannot do what the supervisor asks") : 0;
}

/* What a program sent just before it ended shall arrive, as it would without us. */
static void on_drain(struct loop_timer *t)
{
	struct serve *s = LOOP_OWNER(t, struct serve, drain);
	bool udp = !s->udp || udp_drain(s->udp);

	if ((flows_drain(s->flows) && udp) || s->loop.now >= s->drain_until)
		s->loop.stop = true;
	else
		loop_set(&s->loop, &s->drain, DRAIN_LOOK_MS);
}

static void on_control(struct loop_watch *w, uint32_t events)
{
	struct serve *s = LOOP_OWNER(w, struct serve, watch);

	for (;;) {
		int fds[NET_SOCKETS_MAX];
		struct net_message m = {};
		unsigned count;
		int r = receive(s->control, MSG_DONTWAIT, &m, fds, &count);

		if (r == -EAGAIN)
			return;
		if (r > 0) {
			r = take_request(s, &m, fds, count);
		} else if (r < 0 && r != -ECONNRESET) { /* it was closed with our words unread */
			r = err_set(s->err, r, "net", "what the supervisor says");
		} else {
			loop_remove(&s->loop, &s->watch);
			publish_stop(s->publish);
			s->drain_until = s->loop.now + DRAIN_MS;
			on_drain(&s->drain);
			return;
		}
		if (r < 0) {
			s->status = r;
			s->loop.stop = true;
		}
		if (s->loop.stop)
			return;
	}
}

static int read_servers(struct serve *s)
{
	_cleanup_buf_ struct buf text = BUF_INIT(RESOLV_CONF_MAX);
	int r;

	if (s->block->servers_count)
		return 0;
	r = read_file_at(AT_FDCWD, "/etc/resolv.conf", &text);
	if (r < 0 && r != -ENOENT)
		return err_set(s->err, r, "net", "/etc/resolv.conf");
	s->block->servers_count = net_parse_resolv_conf(text.data ? text.data : "",
							s->block->servers);
	return 0;
}

static bool take_published(struct serve *s, const struct net_message *m, const int *fds)
{
	if (m->count > NET_PUBLISHED_MAX)
		return false;
	for (unsigned i = 0; i < m->count; i++)
		if (m->sockets[i].kind != NET_SOCKET_PUBLISHED || !m->sockets[i].port)
			return false;
	memcpy(s->published, m->sockets, m->count * sizeof(m->sockets[0]));
	memcpy(s->published_fds, fds, m->count * sizeof(*fds));
	s->published_count = m->count;
	return true;
}

static int listen_outside(struct serve *s)
{
	int r = publish_new(&s->loop, s->flows, &s->publish);

	for (unsigned i = 0; i < s->published_count && !r; i++)
		r = publish_listen(s->publish, s->published_fds[i], s->published[i].port);
	return r;
}

/* Behind all others. Without it nobody sees what is counted. False: it is none. */
static bool take_tally(const struct net_message *m, const int *fds, unsigned *count)
{
	int r = 0;

	if (*count == 2 + m->count) {
		r = net_tally_share(fds[--*count]);
		close(fds[*count]);
	}
	return r == 0;
}

static int read_config(struct serve *s)
{
	struct pollfd readable = { .fd = s->control, .events = POLLIN };
	int fds[NET_SOCKETS_MAX] = { -1 }, r;
	struct net_message m = {};
	unsigned count;

	poll(&readable, 1, -1); /* the supervisor may have made it not blocking */
	r = receive(s->control, 0, &m, fds, &count);
	if (r > 0)
		r = m.type == NET_CONFIG && take_tally(&m, fds, &count) && count == 1 + m.count &&
				    take_published(s, &m, fds + 1)
			    ? net_block_read(fds[0], &s->block, &s->rules)
			    : -EPROTO;
	else if (!r)
		r = -EPIPE;
	for (unsigned i = 0; i < count - s->published_count; i++)
		close(fds[i]);
	if (r < 0) {
		err_set(s->err, r, "net", "the configuration");
		return r;
	}
	return read_servers(s);
}

static int prepare_udp(struct serve *s, const struct net_block *b, unsigned max)
{
	int r = udp_new(&s->loop, &s->rules, &s->names, s->resolver, &s->report, max, b->idle_s,
			&s->udp);

	if (!r)
		dnsd_set_relay(s->dnsd, udp_take, s->udp, udp_room(s->udp));
	return r;
}

static int prepare(struct serve *s, const struct net_block *b)
{
	bool udp = udp_is_wanted(&s->rules);
	unsigned each = FLOW_FDS + (udp ? UDP_FDS : 0);
	unsigned other = OTHER_FDS + (s->published_count ? PUBLISH_FDS : 0);
	unsigned fds = net_raise_descriptors(b->max_connections * each + other), max;
	int r;

	if (fds < other + each)
		return err_set(s->err, EMFILE, "net", "only %u descriptors (RLIMIT_NOFILE)", fds);
	max = MIN(b->max_connections, (fds - other) / each);
	r = loop_init(&s->loop, flows_timers(max) + RESOLVER_TIMERS + DNSD_TIMERS + UDP_TIMERS +
					2 * BUCKET_TIMERS + 1 +
					(s->published_count ? PUBLISH_TIMERS : 0));
	if (!r)
		r = names_init(&s->names, b->v6_prefix);
	if (!r)
		r = resolver_new(&s->loop, b->servers, b->servers_count, &s->resolver);
	s->report = (struct report){ .loop = &s->loop, .fd = s->control, .tell = b->tell };
	if (!r)
		r = dnsd_new(&s->loop, &s->rules, &s->names, s->resolver, &s->report, &s->dnsd);
	if (!r)
		r = flows_new(&s->loop, &s->rules, &s->names, s->resolver, &s->report, max,
			      b->idle_s, &s->flows);
	if (!r && udp)
		r = prepare_udp(s, b, max);
	if (!r) {
		bucket_init(&s->up, &s->loop, b->bytes_per_second);
		bucket_init(&s->down, &s->loop, b->bytes_per_second);
		flows_limit(s->flows, &s->up, &s->down);
		if (udp)
			udp_limit(s->udp, &s->up, &s->down);
		s->max = max;
		r = live_init(&s->live);
	}
	if (!r && s->published_count)
		r = listen_outside(s);
	s->watch = (struct loop_watch){ .fn = on_control, .fd = s->control };
	s->drain.fn = on_drain;
	if (!r)
		r = loop_add(&s->loop, &s->watch, EPOLLIN);
	return r < 0 ? err_set(s->err, r, "net", "cannot begin") : 0;
}

static int run(struct serve *s)
{
	int r = read_config(s);

	if (!r)
		r = prepare(s, s->block);
	if (!r)
		r = net_confine(s->err);
	if (r < 0)
		return r;
	r = tell(s, &(struct net_message){ .type = NET_READY });
	if (!r)
		r = loop_run(&s->loop);
	if (r < 0)
		return err_set(s->err, r, "net", "cannot go on");
	return s->status;
}

int net_serve(int control, struct err *err)
{
	struct serve s = { .control = control, .err = err, .loop.epoll = -1 };
	struct net_message failed = { .type = NET_FAILED };
	int r = run(&s);

	if (r < 0) {
		failed.error = r;
		str_copy(failed.text, sizeof(failed.text), err->message);
		tell(&s, &failed);
	}
	report_flush(&s.report);
	flows_free(s.flows);
	publish_free(s.publish);
	dnsd_free(s.dnsd);
	udp_free(s.udp);
	resolver_free(s.resolver);
	names_free(&s.names);
	loop_free(&s.loop);
	live_free(&s.live);
	free(s.block);
	return r;
}
