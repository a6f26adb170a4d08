/* SPDX-License-Identifier: Apache-2.0 */
#include "net/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "net/special.h"
#include "net/udp_internal.h"
#include "net/unreachable.h"
#include "sys/process.h"

enum { RECEIVE_BUFFER = 4 << 20 }; /* as much of it as the host's rmem_max allows */

bool udp_is_wanted(const struct net_rules *rules)
{
	for (size_t i = 0; i < rules->allow_count; i++)
		if (rules->allow[i].udp)
			return true;
	return false;
}

static void on_idle(struct loop_timer *t)
{
	struct udp *u = LOOP_OWNER(t, struct udp, idle);
	struct udp_entry *e;

	while ((e = udp_table_oldest(&u->table))) {
		uint64_t end = e->last + u->idle_ms;

		if (end > u->loop->now) {
			loop_set(u->loop, t, end - u->loop->now);
			return;
		}
		udp_flow_end(LOOP_OWNER(e, struct udp_flow, entry));
	}
}

int udp_new(struct loop *loop, const struct net_rules *rules, const struct names *names,
	    struct resolver *resolver, struct report *report, unsigned max, unsigned idle_s,
	    struct udp **ret)
{
	struct udp *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	u->icmp[0] = u->icmp[1] = u->dns[0].watch.fd = u->dns[1].watch.fd = -1;
	u->loop = loop;
	u->rules = rules;
	u->names = names;
	u->resolver = resolver;
	u->report = report;
	u->max = max;
	u->idle.fn = on_idle;
	u->idle_ms = MIN(idle_s * UINT64_C(1000), (uint64_t)UDP_IDLE_MS);
	u->all = calloc(max, sizeof(*u->all));
	u->room = calloc(UDP_BATCH, DATAGRAM_MAX);
	u->held_room = calloc(UDP_HELD, DATAGRAM_MAX);
	r = udp_table_init(&u->table, max);
	if (!r && (!u->all || !u->room || !u->held_room))
		r = -ENOMEM;
	if (r < 0) {
		udp_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

void udp_free(struct udp *u)
{
	if (!u)
		return;
	for (unsigned i = 0; i < u->touched; i++)
		if (u->all[i].used)
			udp_flow_end(&u->all[i]);
	loop_clear(u->loop, &u->idle);
	for (unsigned i = 0; i < u->sockets_count; i++) {
		loop_remove(u->loop, &u->sockets[i].watch);
		loop_not_later(&u->sockets[i].again);
		bucket_forget(u->up, &u->sockets[i].wait);
		close(u->sockets[i].watch.fd);
	}
	close_fdp(&u->icmp[0]);
	close_fdp(&u->icmp[1]);
	udp_table_free(&u->table);
	free(u->all);
	free(u->room);
	free(u->held_room);
	free(u);
}

void udp_limit(struct udp *u, struct bucket *up, struct bucket *down)
{
	u->up = up;
	u->down = down;
}

uint8_t *udp_room(struct udp *u)
{
	return u->room;
}

void udp_batch_expect(struct udp *u, bool paths)
{
	struct udp_batch *b = &u->batch;

	for (unsigned i = 0; i < UDP_BATCH; i++) {
		b->iov[i] = (struct iovec){ u->room + (size_t)i * DATAGRAM_MAX, DATAGRAM_MAX };
		b->m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &b->iov[i], .msg_iovlen = 1 } };
		if (paths)
			datagram_expect(&b->m[i].msg_hdr, &b->path[i], &b->control[i]);
	}
}

int udp_batch_receive(struct udp *u, int fd, struct bucket *b, struct bucket_wait *w)
{
	bool counted = b && b->rate;
	int n;

	if (counted && !bucket_take(b, 1)) {
		bucket_wait(b, w);
		return -EDQUOT;
	}
	n = recvmmsg(fd, u->batch.m, counted ? 1 : UDP_BATCH, MSG_DONTWAIT, NULL);
	n = n < 0 ? -errno : n;
	if (counted)
		bucket_give(b, 1);
	if (counted && n > 0)
		bucket_take_whole(b, u->batch.m[0].msg_len);
	return n;
}

int udp_send_many(int fd, struct mmsghdr *m, unsigned count)
{
	return (int)sys_call(SYS_sendmmsg, fd, m, count, MSG_NOSIGNAL);
}

void udp_tell(const struct udp_socket *s, const struct datagram_path *path)
{
	unreachable_send(s->udp->icmp[s->v6], path, s->v6, s->port);
}

static const char *target_text(const struct udp_socket *s, const struct datagram_path *path,
			       char ret[HOST_NAME_MAX_LEN + 1])
{
	struct host h = host_from_addr(s->v6, &path->local);

	return host_text(&h, ret);
}

void udp_refuse(const struct udp_socket *s, const struct datagram_path *path, const char *name,
		enum net_verdict why)
{
	char text[HOST_NAME_MAX_LEN + 1];

	report_denied(s->udp->report, why, name ? name : target_text(s, path, text), s->port, true);
	udp_tell(s, path);
}

void udp_refuse_by(const struct udp_socket *s, const struct datagram_path *path, const char *name,
		   const struct rules_answer *answer, const struct host *address)
{
	char text[HOST_NAME_MAX_LEN + 1];

	report_refused(s->udp->report, answer, name ? name : target_text(s, path, text),
		       name ? address : NULL, s->port, true);
	udp_tell(s, path);
}

static struct udp_key key_of(const struct udp_socket *s, const struct datagram_path *path)
{
	const struct sockaddr_in *peer4 = (const struct sockaddr_in *)(const void *)&path->peer;
	struct udp_key key = { .v6 = s->v6, .local_port = s->port };

	memcpy(key.local, &path->local, s->v6 ? 16 : 4);
	memcpy(key.peer, s->v6 ? (const void *)&path->peer.sin6_addr : &peer4->sin_addr,
	       s->v6 ? 16 : 4);
	key.peer_port = s->v6 ? path->peer.sin6_port : peer4->sin_port;
	return key;
}

enum judgement { JUDGE_OWN, JUDGE_NO_NAME, JUDGE_RULES };

/* The word on a new flow: the rules' in *@answer. *@name, or NULL for a literal address. */
static enum judgement judge(const struct udp_socket *s, const struct datagram_path *path,
			    const char **name, struct rules_answer *answer)
{
	struct host target = host_from_addr(s->v6, &path->local);

	*name = NULL;
	*answer = (struct rules_answer){ .verdict = RULES_NOT_LISTED };
	if (host_is_loopback(&target))
		return JUDGE_OWN;
	target = special_unmap(&target);
	*name = names_find(s->udp->names, &target);
	if (*name) {
		target = host_from_name(*name);
	} else if (names_is_synthetic(s->udp->names, &target)) {
		return JUDGE_NO_NAME;
	}
	*answer = rules_connect(s->udp->rules, &target, s->port, true);
	return JUDGE_RULES;
}

/* One that was in use before, or whose memory nobody has touched, or a silent one's. */
static struct udp_flow *take_free(struct udp *u)
{
	struct udp_entry *oldest = udp_table_oldest(&u->table);
	struct udp_flow *f;

	if (!u->free && u->touched < u->max)
		return &u->all[u->touched++];
	if (!u->free && oldest && oldest->last + UDP_STALE_MS <= u->loop->now)
		udp_flow_end(LOOP_OWNER(oldest, struct udp_flow, entry));
	f = u->free;
	if (f)
		u->free = f->next_free;
	return f;
}

static struct udp_flow *begin(struct udp_socket *s, const struct datagram_path *path,
			      const char *name)
{
	struct udp *u = s->udp;
	struct udp_flow *f = take_free(u);

	if (!f)
		return NULL;
	*f = (struct udp_flow){ .entry.key = key_of(s, path),
				.udp = u,
				.socket = s,
				.used = true,
				.path = *path,
				.began = u->loop->now,
				.name = name };
	udp_table_add(&u->table, &f->entry, u->loop->now);
	if (!u->idle.slot)
		loop_set(u->loop, &u->idle, u->idle_ms);
	return f;
}

static struct udp_flow *find(const struct udp_socket *s, const struct datagram_path *path)
{
	struct udp_key key = key_of(s, path);
	struct udp_entry *e = udp_table_find(&s->udp->table, &key);

	if (!e)
		return NULL;
	udp_table_touch(&s->udp->table, e, s->udp->loop->now);
	return LOOP_OWNER(e, struct udp_flow, entry);
}

/* A new flow for @count datagrams of the batch. */
static void send_new(struct udp_socket *s, const struct datagram_path *path, const char *name,
		     unsigned first, unsigned count)
{
	struct udp_flow *f = begin(s, path, name);

	if (!f)
		udp_refuse(s, path, name, NET_TOO_MANY);
	else if (udp_flow_dial(f))
		udp_flow_send(f, first, count);
}

/* @count datagrams of the batch, all by one path. */
static void forward(struct udp_socket *s, unsigned first, unsigned count)
{
	const struct datagram_path *path = &s->udp->batch.path[first];
	struct udp_flow *f;
	struct rules_answer answer;
	const char *name;

	if (!path->has_local)
		return;
	f = find(s, path);
	if (f) {
		udp_flow_send(f, first, count);
		return;
	}
	switch (judge(s, path, &name, &answer)) {
	case JUDGE_OWN:
		udp_tell(s, path);
		break;
	case JUDGE_NO_NAME:
		udp_refuse(s, path, NULL, NET_NO_NAME);
		break;
	case JUDGE_RULES:
		if (answer.verdict == RULES_ALLOWED)
			send_new(s, path, name, first, count);
		else
			udp_refuse_by(s, path, name, &answer, NULL);
	}
}

static bool same_path(const struct udp_socket *s, const struct datagram_path *a,
		      const struct datagram_path *b)
{
	struct udp_key of_a = key_of(s, a), of_b = key_of(s, b);

	return memcmp(&of_a, &of_b, sizeof(of_a)) == 0;
}

/* True: nothing is left. */
static bool receive(struct udp_socket *s)
{
	struct udp_batch *b = &s->udp->batch;

	for (unsigned round = 0; round < UDP_ROUNDS; round++) {
		unsigned count, run;
		int n;

		udp_batch_expect(s->udp, true);
		n = udp_batch_receive(s->udp, s->watch.fd, s->udp->up, &s->wait);
		if (n == -EAGAIN || n == -EDQUOT)
			return n == -EAGAIN;
		count = n < 0 ? 0 : (unsigned)n;
		for (unsigned i = 0; i < count; i++)
			datagram_read(&b->m[i].msg_hdr, &b->path[i]);
		for (unsigned i = 0; i < count; i += run) {
			for (run = 1; i + run < count; run++)
				if (!same_path(s, &b->path[i], &b->path[i + run]))
					break;
			forward(s, i, run);
		}
	}
	loop_later(s->udp->loop, &s->again);
	return false;
}

static void on_socket(struct loop_watch *w, uint32_t events)
{
	receive(LOOP_OWNER(w, struct udp_socket, watch));
}

static void on_again(struct loop_task *t)
{
	receive(LOOP_OWNER(t, struct udp_socket, again));
}

static void on_turn(struct bucket_wait *w)
{
	receive(LOOP_OWNER(w, struct udp_socket, wait));
}

bool udp_take(void *arg, bool v6, const struct datagram_path *path, uint8_t *data, size_t len)
{
	struct udp *u = arg;
	struct udp_socket *s = &u->dns[v6];
	struct rules_answer answer;
	struct udp_flow *f;
	const char *name;

	if (s->watch.fd < 0 || !path->has_local)
		return false;
	f = find(s, path);
	if (!f) {
		judge(s, path, &name, &answer);
		if (answer.verdict != RULES_ALLOWED)
			return false;
	}
	if (!bucket_take_whole(u->up, len))
		return true; /* lost */
	udp_batch_expect(u, false);
	u->batch.iov[0].iov_base = data;
	u->batch.m[0].msg_len = (unsigned)len;
	if (f)
		udp_flow_send(f, 0, 1);
	else
		send_new(s, path, name, 0, 1);
	return true;
}

static struct udp_socket make(struct udp *u, int fd, bool v6)
{
	struct sockaddr_in6 a = {}; /* sin_port is where sin6_port is */
	socklen_t len = sizeof(a);

	getsockname(fd, (struct sockaddr *)&a, &len);
	return (struct udp_socket){ .udp = u,
				    .v6 = v6,
				    .port = ntohs(a.sin6_port),
				    .watch = { .fn = on_socket, .fd = fd },
				    .again.fn = on_again,
				    .wait.fn = on_turn };
}

int udp_add(struct udp *u, int fd, bool v6)
{
	const int size = RECEIVE_BUFFER;
	int r = u->sockets_count == UDP_SOCKETS ? -ENOSPC : datagram_prepare(fd, v6);
	struct udp_socket *s = &u->sockets[u->sockets_count];

	if (r < 0) {
		close(fd);
		return r;
	}
	u->sockets_count++;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	*s = make(u, fd, v6);
	return loop_add(u->loop, &s->watch, EPOLLIN);
}

void udp_add_dns(struct udp *u, int fd, bool v6)
{
	u->dns[v6] = make(u, fd, v6);
}

int udp_add_icmp(struct udp *u, int fd, bool v6)
{
	close_fdp(&u->icmp[v6]);
	u->icmp[v6] = fd;
	return datagram_prepare(fd, v6);
}

bool udp_drain(struct udp *u)
{
	bool done = true;

	for (unsigned i = 0; i < u->sockets_count; i++)
		if (!receive(&u->sockets[i]))
			done = false;
	for (unsigned i = 0; i < u->touched; i++)
		if (u->all[i].used && u->all[i].waiting)
			done = false;
	return done;
}
