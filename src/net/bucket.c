/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bucket.h"

#include "base/macros.h"

enum { NOBODY = -1, FILL_MAX_MS = 1000 };

static void on_timer(struct loop_timer *t);

void bucket_init(struct bucket *b, struct loop *loop, uint64_t rate)
{
	*b = (struct bucket){ .loop = loop,
			      .rate = rate,
			      .room = MAX((int64_t)(rate * BUCKET_BURST_MS / 1000),
					  (int64_t)BUCKET_LEAST),
			      .filled = loop->now,
			      .turn = NOBODY,
			      .timer.fn = on_timer };
	b->tokens = b->room;
	b->queue.next = b->queue.prev = &b->queue;
}

static void fill(struct bucket *b)
{
	uint64_t ms = MIN(b->loop->now - b->filled, (uint64_t)FILL_MAX_MS), more;

	b->filled = b->loop->now;
	more = b->rate * ms + b->rest;
	b->rest = more % 1000;
	b->tokens = MIN(b->tokens + (int64_t)(more / 1000), b->room);
}

size_t bucket_take(struct bucket *b, size_t want)
{
	int64_t most;

	if (!b || !b->rate)
		return want;
	if (b->turn != NOBODY) {
		most = MIN(b->turn, b->tokens);
	} else {
		fill(b);
		most = b->waiting ? 0 : b->tokens;
	}
	if (most <= 0)
		return 0;
	want = MIN(want, (size_t)most);
	b->tokens -= (int64_t)want;
	if (b->turn != NOBODY)
		b->turn -= (int64_t)want;
	return want;
}

void bucket_give(struct bucket *b, size_t bytes)
{
	if (!b || !b->rate)
		return;
	b->tokens += (int64_t)bytes;
	if (b->turn != NOBODY)
		b->turn += (int64_t)bytes;
}

bool bucket_take_whole(struct bucket *b, size_t bytes)
{
	size_t part;

	if (!bytes || !b || !b->rate)
		return true;
	part = bucket_take(b, bytes);
	if (!part)
		return false;
	b->tokens -= (int64_t)(bytes - part);
	return true;
}

/* When there will be a part worth calling somebody for. */
static void set_timer(struct bucket *b)
{
	int64_t need = BUCKET_LEAST - b->tokens;
	uint64_t ms = need > 0 ? ((uint64_t)need * 1000 + b->rate - 1) / b->rate : 0;

	if (!b->timer.slot)
		loop_set(b->loop, &b->timer, MAX(ms, (uint64_t)BUCKET_TICK_MS));
}

void bucket_wait(struct bucket *b, struct bucket_wait *w)
{
	if (w->next)
		return;
	w->next = &b->queue;
	w->prev = b->queue.prev;
	w->prev->next = w;
	b->queue.prev = w;
	b->waiting++;
	if (b->turn == NOBODY)
		set_timer(b);
}

void bucket_forget(struct bucket *b, struct bucket_wait *w)
{
	if (!w->next)
		return;
	w->prev->next = w->next;
	w->next->prev = w->prev;
	w->next = w->prev = NULL;
	b->waiting--;
}

static void on_timer(struct loop_timer *t)
{
	struct bucket *b = LOOP_OWNER(t, struct bucket, timer);

	fill(b);
	/*
	 * Those that wait now, once each; who goes away meanwhile makes them fewer. For
	 * whom nothing worth a call is left is the first of the next round.
	 */
	for (unsigned left = b->waiting; left > 0 && b->waiting && b->tokens >= BUCKET_LEAST;
	     left--) {
		struct bucket_wait *w = b->queue.next;

		bucket_forget(b, w);
		b->turn = MAX(b->tokens / (int64_t)left, (int64_t)BUCKET_LEAST);
		w->fn(w);
	}
	b->turn = NOBODY;
	if (b->waiting)
		set_timer(b);
}
