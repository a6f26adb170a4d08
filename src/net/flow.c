/* SPDX-License-Identifier: Apache-2.0 */
#include "net/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "net/flow_internal.h"
#include "net/special.h"
#include "net/tally.h"

enum {
	THROW_AT_ONCE = 32,
	ORIGINAL_DST = 80, /* linux/netfilter_ipv4.h, and netfilter_ipv6/ip6_tables.h */
};

int flows_new(struct loop *loop, const struct net_rules *rules, const struct names *names,
	      struct resolver *resolver, struct report *report, unsigned max, unsigned idle_s,
	      struct flows **ret)
{
	struct flows *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return -ENOMEM;
	fs->all = calloc(max, sizeof(*fs->all));
	if (!fs->all) {
		free(fs);
		return -ENOMEM;
	}
	fs->loop = loop;
	fs->rules = rules;
	fs->names = names;
	fs->resolver = resolver;
	fs->report = report;
	fs->idle_ms = idle_s * UINT64_C(1000);
	fs->max = max;
	fs->spare = fcntl(loop->epoll, F_DUPFD_CLOEXEC, 0);
	*ret = fs;
	return 0;
}

void flows_limit(struct flows *fs, struct bucket *up, struct bucket *down)
{
	fs->up = up;
	fs->down = down;
}

void flows_free(struct flows *fs)
{
	if (!fs)
		return;
	for (unsigned i = 0; i < fs->touched; i++)
		if (fs->all[i].phase != FLOW_FREE)
			flow_end(&fs->all[i], true);
	for (unsigned i = 0; i < fs->listeners_count; i++)
		acceptor_close(&fs->listeners[i].acceptor);
	pipes_free(&fs->pipes);
	close_fdp(&fs->spare);
	free(fs->all);
	free(fs);
}

/* SO_LINGER of 0 seconds: close(2) sends RST and forgets what is unsent, socket(7). */
static void close_socket(int *fd, bool reset)
{
	const struct linger now = { .l_onoff = 1 };

	if (*fd >= 0 && reset)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close_fdp(fd);
}

/* All but the client's side. */
static void stop(struct flow *f, bool reset)
{
	struct flows *fs = f->flows;

	resolver_forget(&f->wait);
	if (f->phase == FLOW_CONNECT)
		flow_dial_stop(f);
	loop_clear(fs->loop, &f->timer);
	loop_clear(fs->loop, &f->gate_timer);
	loop_not_later(&f->again);
	bucket_forget(f->up.bucket, &f->up.wait);
	bucket_forget(f->down.bucket, &f->down.wait);
	loop_remove(fs->loop, &f->outer);
	pipes_close(f->up.pipe);
	pipes_close(f->down.pipe);
	close_socket(&f->outer.fd, reset);
}

void flow_end(struct flow *f, bool reset)
{
	struct flows *fs = f->flows;

	stop(f, reset);
	loop_remove(fs->loop, &f->inner);
	if (f->inside)
		publish_end(f, reset);
	close_socket(&f->inner.fd, reset);
	f->phase = FLOW_FREE;
	net_tally->closed += f->counted;
	f->next_free = fs->free;
	fs->free = f;
	if (fs->publish)
		publish_room(fs->publish);
}

static void answer_or_reset(struct flow *f, enum net_verdict verdict)
{
	if (f->proxy)
		flow_proxy_refuse(f, verdict);
	else
		flow_end(f, true);
}

void flow_refuse(struct flow *f, enum net_verdict verdict)
{
	char text[HOST_NAME_MAX_LEN + 1];

	report_denied(f->flows->report, verdict, host_text(&f->host, text), f->port, false);
	answer_or_reset(f, verdict);
}

/* What is unread at close(2) makes it a reset, which can overtake the answer. */
static void throw_away(struct flow *f)
{
	ssize_t n;

	for (unsigned i = 0; i < THROW_AT_ONCE; i++) {
		n = recv(f->inner.fd, f->flows->peek, sizeof(f->flows->peek), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			flow_end(f, n < 0);
			return;
		}
	}
	loop_later(f->flows->loop, &f->again);
}

void flow_linger(struct flow *f)
{
	stop(f, false);
	f->phase = FLOW_LINGER;
	shutdown(f->inner.fd, SHUT_WR);
	loop_set(f->flows->loop, &f->timer, FLOW_LINGER_MS);
	throw_away(f);
}

/* By the rules' answer. @addr: the address that it is about, unless it is the target itself. */
static void refuse_by(struct flow *f, const struct rules_answer *answer, const struct host *addr)
{
	char text[HOST_NAME_MAX_LEN + 1];

	report_refused(f->flows->report, answer, host_text(&f->host, text),
		       f->host.kind == HOST_NAME ? addr : NULL, f->port, false);
	answer_or_reset(f, report_verdict(answer));
}

/*
 * Take over those of @result that the rules allow: IPv6 first, then the families in turn.
 * @refused: the last one that they do not.
 */
static struct rules_answer choose(struct flow *f, const struct resolver_result *result,
				  struct host *refused)
{
	struct rules_answer refusal = { .verdict = RULES_NOT_LISTED };
	unsigned at[2] = { 0, 0 };

	for (bool v6 = true; f->count < FLOW_ADDRS; v6 = !v6) {
		unsigned *i = &at[v6];

		while (*i < result->count && result->addrs[*i].v6 != v6)
			++*i;
		if (*i < result->count) {
			const struct resolver_addr *a = &result->addrs[(*i)++];
			const struct host addr = host_from_addr(v6, a->addr);
			struct rules_answer answer = rules_dial(f->flows->rules, &f->host, &addr,
								f->port, false);

			if (answer.verdict == RULES_ALLOWED) {
				f->addrs[f->count++] = *a;
			} else {
				refusal = answer;
				*refused = addr;
			}
		} else if (at[!v6] >= result->count) {
			break;
		}
	}
	return refusal;
}

static void on_result(struct resolver_wait *w, const struct resolver_result *result)
{
	struct flow *f = LOOP_OWNER(w, struct flow, wait);
	struct rules_answer refusal;
	struct host refused;

	if (!result->count) {
		flow_refuse(f, NET_UNREACHABLE);
		return;
	}
	refusal = choose(f, result, &refused);
	if (f->count)
		flow_dial(f);
	else
		refuse_by(f, &refusal, &refused);
}

static void on_inner(struct loop_watch *w, uint32_t events)
{
	struct flow *f = LOOP_OWNER(w, struct flow, inner);

	if (f->inside) {
		publish_event(f, events);
		return;
	}
	if (events & EPOLLERR) {
		flow_end(f, true);
		return;
	}
	if (events & EPOLLRDHUP)
		f->client_done = true;
	if (f->phase == FLOW_PROXY)
		flow_proxy_read(f);
	else if (f->phase == FLOW_LINGER)
		throw_away(f);
	else if ((!f->gated || f->proxy || flow_gate(f)) && f->phase == FLOW_RELAY)
		flow_relay(f);
}

static void on_timer(struct loop_timer *t)
{
	struct flow *f = LOOP_OWNER(t, struct flow, timer);

	if (f->phase == FLOW_CONNECT)
		flow_dial_timer(f);
	else if (f->phase == FLOW_LINGER || f->phase == FLOW_ENTER)
		flow_end(f, f->phase == FLOW_ENTER);
	else
		flow_relay_timer(f);
}

static void on_gate_timer(struct loop_timer *t)
{
	struct flow *f = LOOP_OWNER(t, struct flow, gate_timer);

	if (f->phase == FLOW_PROXY)
		flow_proxy_timeout(f);
	else
		flow_refuse(f, NET_OTHER_NAME);
}

static void on_again(struct loop_task *t)
{
	struct flow *f = LOOP_OWNER(t, struct flow, again);

	if (f->phase == FLOW_LINGER)
		throw_away(f);
	else
		flow_relay(f);
}

/* Where the connection @fd was going. 0 or -errno. */
static int find_target(int fd, bool v6, struct host *ret, uint16_t *port)
{
	struct sockaddr_in6 a6 = {};
	struct sockaddr_in a4 = {};
	struct sockaddr *a = v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
	socklen_t len = v6 ? sizeof(a6) : sizeof(a4);
	struct host host;

	if (getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, ORIGINAL_DST, a, &len) < 0) {
		/* Nothing was translated (ENOENT), or nothing here can (ENOPROTOOPT). */
		len = v6 ? sizeof(a6) : sizeof(a4);
		if ((errno != ENOENT && errno != ENOPROTOOPT) || getsockname(fd, a, &len) < 0)
			return -errno;
	}
	host = host_from_addr(v6, v6 ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr);
	*port = ntohs(v6 ? a6.sin6_port : a4.sin_port);
	*ret = special_unmap(&host);
	return 0;
}

void flow_decide(struct flow *f, const struct host *target)
{
	const struct resolver_result *result;
	const char *name = names_find(f->flows->names, target);
	struct rules_answer answer;

	f->host = *target;
	if (target->kind == HOST_NAME) {
		name = f->host.name;
	} else if (name) {
		f->host = host_from_name(name);
	} else if (names_is_synthetic(f->flows->names, target)) {
		flow_refuse(f, NET_NO_NAME);
		return;
	}
	answer = rules_connect(f->flows->rules, &f->host, f->port, false);
	if (answer.verdict != RULES_ALLOWED) {
		refuse_by(f, &answer, NULL);
		return;
	}
	if (!name) {
		struct resolver_result itself = { .count = 1 };

		itself.addrs[0].v6 = target->kind == HOST_V6;
		memcpy(itself.addrs[0].addr, target->addr, sizeof(target->addr));
		on_result(&f->wait, &itself);
		return;
	}
	if (!resolver_admits(f->flows->resolver, f->flows->rules, f->flows->names, name)) {
		flow_refuse(f, NET_TOO_MANY_NAMES);
		return;
	}
	f->gated = true;
	result = resolver_ask(f->flows->resolver, name, &f->wait);
	if (result)
		on_result(&f->wait, result);
}

static bool is_proxy(const struct flows *fs, const struct host *target, uint16_t port)
{
	struct host v4, v6;

	names_own(fs->names, &v4, &v6);
	return port == PROXY_PORT && (host_equal(target, &v4) || host_equal(target, &v6));
}

/* One that was in use before, or else one whose memory nobody has touched. */
static struct flow *take_free(struct flows *fs)
{
	struct flow *f = fs->free;

	if (f)
		fs->free = f->next_free;
	else if (fs->touched < fs->max)
		f = &fs->all[fs->touched++];
	return f;
}

bool flows_have_room(const struct flows *fs)
{
	return fs->free || fs->touched < fs->max;
}

struct flow *flow_make(struct flows *fs)
{
	struct flow *f = take_free(fs);

	if (f)
		*f = (struct flow){ .flows = fs,
				    .phase = FLOW_RESOLVE,
				    .began = fs->loop->now,
				    .wait.fn = on_result,
				    .inner = { .fn = on_inner, .fd = -1 },
				    .outer.fd = -1,
				    .timer.fn = on_timer,
				    .gate_timer.fn = on_gate_timer,
				    .again.fn = on_again,
				    .up = { .pipe = { -1, -1 },
					    .pass = FLOW_PASS_ALL,
					    .bucket = fs->up,
					    .wait.fn = flow_relay_up },
				    .down = { .pipe = { -1, -1 },
					      .pass = FLOW_PASS_ALL,
					      .bucket = fs->down,
					      .wait.fn = flow_relay_down } };
	return f;
}

static void start(struct acceptor *a, int fd)
{
	struct flow_listener *l = LOOP_OWNER(a, struct flow_listener, acceptor);
	struct flows *fs = l->flows;
	const int one = 1;
	struct host target;
	struct flow *f = NULL;
	uint16_t port = 0;
	int r = find_target(fd, l->v6, &target, &port);

	if (!r)
		f = flow_make(fs);
	if (!f) {
		if (!r)
			report_denied(fs->report, NET_TOO_MANY, "", 0, false);
		close_socket(&fd, true);
		return;
	}
	f->port = port;
	f->inner.fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (loop_add(fs->loop, &f->inner, EPOLLIN | EPOLLOUT | EPOLLRDHUP) < 0) {
		flow_end(f, true);
	} else if (host_is_loopback(&target)) {
		f->host = target;
		flow_refuse(f, NET_NO_NAME);
	} else if (is_proxy(fs, &target, port)) {
		f->phase = FLOW_PROXY;
		f->proxy = FLOW_PROXY_FIRST;
		loop_set(fs->loop, &f->gate_timer, FLOW_GATE_MS);
	} else {
		flow_decide(f, &target);
	}
}

/* There is no descriptor for one that waits: it is not to wait. False: nor the spare one. */
static bool refuse_one(struct acceptor *a)
{
	struct flows *fs = LOOP_OWNER(a, struct flow_listener, acceptor)->flows;
	int fd;

	if (fs->spare < 0)
		fs->spare = fcntl(fs->loop->epoll, F_DUPFD_CLOEXEC, 0);
	if (fs->spare < 0)
		return false;
	close_fdp(&fs->spare);
	fd = accept4(a->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		report_denied(fs->report, NET_TOO_MANY, "", 0, false);
	close_socket(&fd, true);
	fs->spare = fcntl(fs->loop->epoll, F_DUPFD_CLOEXEC, 0);
	return fs->spare >= 0;
}

int flows_listen(struct flows *fs, int fd, bool v6)
{
	static const struct acceptor_owner owner = { .take = start, .no_descriptor = refuse_one };
	struct flow_listener *l = &fs->listeners[fs->listeners_count];

	if (fs->listeners_count == FLOW_LISTENERS) {
		close(fd);
		return -ENOSPC;
	}
	fs->listeners_count++;
	*l = (struct flow_listener){ .flows = fs, .v6 = v6 };
	return acceptor_open(&l->acceptor, fs->loop, fd, &owner);
}

bool flows_drain(struct flows *fs)
{
	bool left = false;

	for (unsigned i = 0; i < fs->listeners_count; i++)
		acceptor_run(&fs->listeners[i].acceptor);
	for (unsigned i = 0; i < fs->touched; i++) {
		struct flow *f = &fs->all[i];

		if (f->phase == FLOW_FREE)
			continue;
		if (f->up.shut || f->phase == FLOW_LINGER)
			flow_end(f, false);
		else
			left = true;
	}
	return !left;
}
