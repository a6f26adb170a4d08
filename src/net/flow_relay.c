/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "net/flow_internal.h"
#include "net/tally.h"

/* Bytes that a way moves before the others have their turn. */
enum { TURN = 1 << 20 };

enum moved { MOVED_ALL, MOVED_TURN, MOVE_STALLED, MOVE_FAILED };

/* Fill the empty pipe. 0, -EAGAIN, -EDQUOT: the bucket is empty, or an error. */
static int fill(struct flow *f, struct flow_way *w, int src)
{
	size_t most = MIN(w->pass, (uint64_t)PIPES_BYTES);
	ssize_t n = -1;
	int r = 0;

	most = bucket_take(w->bucket, most);
	if (!most) {
		bucket_wait(w->bucket, &w->wait);
		return -EDQUOT;
	}
	if (w->pipe[0] < 0) {
		r = pipes_take(&f->flows->pipes, w->pipe);
		if (r == -EAGAIN)
			r = -EMFILE;
		if (r < 0)
			report_denied(f->flows->report, NET_TOO_MANY, "", 0, false);
	}
	if (r == 0) {
		n = splice(src, NULL, w->pipe[1], NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		r = n < 0 ? -errno : 0;
	}
	bucket_give(w->bucket, most - (size_t)MAX(n, 0));
	if (r < 0)
		return r;
	if (!n && f->cut && w == &f->up)
		return -ECONNRESET; /* all that there was, but no end */
	if (!n)
		w->eof = true;
	w->begun |= n > 0;
	w->pass -= (uint64_t)n;
	w->in_pipe = (size_t)n;
	w->bytes += (size_t)n;
	*(w == &f->up ? &net_tally->up : &net_tally->down) += (size_t)n;
	return 0;
}

static int drain(struct flow_way *w, int dst)
{
	ssize_t n = splice(w->pipe[0], NULL, dst, NULL, w->in_pipe,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n <= 0)
		return n ? -errno : -EPIPE;
	w->in_pipe -= (size_t)n;
	return (int)n;
}

/* One step on. The bytes that left; -EAGAIN or an error. */
static int advance(struct flow *f, struct flow_way *w, int src, int dst)
{
	if (w->in_pipe)
		return drain(w, dst);
	if (!w->pass)
		return w == &f->up ? flow_follow(f) : flow_answer(f);
	return fill(f, w, src);
}

/* Edge-triggered: until one of both sockets says EAGAIN. */
static enum moved move(struct flow *f, struct flow_way *w, int src, int dst)
{
	int moved = 0, r = 0;

	while (!w->shut && moved < TURN) {
		if (!w->in_pipe && w->eof) {
			if (shutdown(dst, SHUT_WR) < 0)
				return MOVE_FAILED;
			w->shut = true;
			break;
		}
		r = advance(f, w, src, dst);
		if (r == -EINTR)
			continue;
		if (r < 0)
			break;
		moved += r;
		f->last = f->flows->loop->now;
	}
	if (!w->in_pipe && w->pipe[0] >= 0)
		pipes_give(&f->flows->pipes, w->pipe);
	if (r == -EDQUOT)
		return MOVE_STALLED;
	if (r < 0 && r != -EAGAIN)
		return MOVE_FAILED;
	return moved < TURN ? MOVED_ALL : MOVED_TURN;
}

/* The server's way first: what it said before an error is for the client to have. */
void flow_relay(struct flow *f)
{
	int client = f->inside ? f->outer.fd : f->inner.fd;
	int server = f->inside ? f->inner.fd : f->outer.fd;
	struct flow_way *said = f->inside ? &f->up : &f->down;
	enum moved answer = move(f, said, server, client), ask = MOVED_ALL;
	bool broken, ended;

	if (answer != MOVE_FAILED && !f->gated)
		ask = move(f, f->inside ? &f->down : &f->up, client, server);
	broken = answer == MOVE_FAILED || ask == MOVE_FAILED ||
		 (f->broken && answer == MOVED_ALL && !said->in_pipe);
	ended = f->up.shut && f->down.shut;
	if (f->follow.refused)
		flow_follow_refuse(f);
	else if (!broken && f->down.shut && f->follow.one_request)
		flow_linger(f);
	else if (broken || ended)
		flow_end(f, !ended);
	else if (answer == MOVED_TURN || ask == MOVED_TURN)
		loop_later(f->flows->loop, &f->again);
}

/* What is for the proxy first. */
static void relay(struct flow *f)
{
	if (!f->proxy || flow_proxy_connected(f))
		flow_relay(f);
}

void flow_relay_up(struct bucket_wait *w)
{
	relay(LOOP_OWNER(w, struct flow, up.wait));
}

void flow_relay_down(struct bucket_wait *w)
{
	flow_relay(LOOP_OWNER(w, struct flow, down.wait));
}

void flow_relay_timer(struct flow *f)
{
	uint64_t quiet;

	if (bucket_waits(&f->up.wait) || bucket_waits(&f->down.wait))
		f->last = f->flows->loop->now;
	quiet = f->flows->loop->now - f->last;
	if (quiet >= f->flows->idle_ms)
		flow_end(f, true);
	else
		loop_set(f->flows->loop, &f->timer, f->flows->idle_ms - quiet);
}

static void on_outer(struct loop_watch *w, uint32_t events)
{
	struct flow *f = LOOP_OWNER(w, struct flow, outer);

	if (events & EPOLLERR)
		f->broken = true; /* what came before that can still be read */
	if (events & EPOLLRDHUP)
		f->follow.server_done = true;
	relay(f);
}

void flow_relay_start(struct flow *f)
{
	f->phase = FLOW_RELAY;
	f->counted = true;
	net_tally->begun++;
	f->last = f->flows->loop->now;
	loop_set(f->flows->loop, &f->timer, f->flows->idle_ms);
	f->outer.fn = on_outer;
	if (loop_add(f->flows->loop, &f->outer, EPOLLIN | EPOLLOUT | EPOLLRDHUP) < 0)
		flow_end(f, true);
	else
		relay(f);
}
