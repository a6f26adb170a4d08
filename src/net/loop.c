/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"

static uint64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int loop_init(struct loop *l, unsigned timers)
{
	*l = (struct loop){ .timers_max = timers, .now = clock_ms() };
	l->tasks.next = l->tasks.prev = &l->tasks;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0)
		return -errno;
	l->heap = calloc(timers + 1u, sizeof(struct loop_timer *));
	return l->heap ? 0 : -ENOMEM;
}

void loop_free(struct loop *l)
{
	if (l->epoll >= 0)
		close(l->epoll);
	free(l->heap);
	*l = (struct loop){ .epoll = -1 };
}

int loop_add(struct loop *l, struct loop_watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events | EPOLLET, .data.ptr = w };

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, w->fd, &e) < 0)
		return -errno;
	w->added = true;
	return 0;
}

void loop_remove(struct loop *l, struct loop_watch *w)
{
	if (!w->added)
		return;
	w->added = false;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	for (int i = 0; i < l->batch_len; i++)
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
}

/* The timers are a binary heap: heap[1] is the first, heap[i]'s children are 2i and 2i + 1. */
static void place(struct loop *l, struct loop_timer *t, unsigned i)
{
	l->heap[i] = t;
	t->slot = i;
}

static void sift_up(struct loop *l, struct loop_timer *t, unsigned i)
{
	for (; i > 1 && l->heap[i / 2]->at > t->at; i /= 2)
		place(l, l->heap[i / 2], i);
	place(l, t, i);
}

static void sift_down(struct loop *l, struct loop_timer *t, unsigned i)
{
	for (;;) {
		unsigned child = 2 * i;

		if (child > l->timers)
			break;
		if (child < l->timers && l->heap[child + 1]->at < l->heap[child]->at)
			child++;
		if (l->heap[child]->at >= t->at)
			break;
		place(l, l->heap[child], i);
		i = child;
	}
	place(l, t, i);
}

void loop_clear(struct loop *l, struct loop_timer *t)
{
	struct loop_timer *last;
	unsigned hole = t->slot;

	if (!hole)
		return;
	t->slot = 0;
	last = l->heap[l->timers--];
	if (last == t)
		return;
	if (hole > 1 && l->heap[hole / 2]->at > last->at)
		sift_up(l, last, hole);
	else
		sift_down(l, last, hole);
}

void loop_set(struct loop *l, struct loop_timer *t, uint64_t ms)
{
	loop_clear(l, t);
	if (l->timers == l->timers_max)
		abort();
	t->at = l->now + MAX(ms, 1u); /* with 0 a round might never end */
	sift_up(l, t, ++l->timers);
}

void loop_later(struct loop *l, struct loop_task *t)
{
	if (t->next)
		return;
	t->next = &l->tasks;
	t->prev = l->tasks.prev;
	t->prev->next = t;
	l->tasks.prev = t;
}

void loop_not_later(struct loop_task *t)
{
	if (!t->next)
		return;
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->next = t->prev = NULL;
}

static int wait_ms(const struct loop *l)
{
	uint64_t now, at;

	if (l->tasks.next != &l->tasks)
		return 0;
	if (!l->timers)
		return -1;
	now = clock_ms();
	at = l->heap[1]->at;
	if (at <= now)
		return 0;
	return at - now > INT_MAX ? INT_MAX : (int)(at - now);
}

/* Those that are waiting now; what they add is for the next round. */
static void run_tasks(struct loop *l)
{
	struct loop_task now = l->tasks; /* the head of a ring of its own */

	if (now.next == &l->tasks)
		return;
	now.next->prev = now.prev->next = &now;
	l->tasks.next = l->tasks.prev = &l->tasks;
	while (now.next != &now) {
		struct loop_task *t = now.next;

		loop_not_later(t);
		t->fn(t);
	}
}

int loop_round(struct loop *l)
{
	int n = epoll_wait(l->epoll, l->batch, LOOP_BATCH, wait_ms(l));

	if (n < 0 && errno != EINTR)
		return -errno;
	l->now = clock_ms();
	l->batch_len = n < 0 ? 0 : n;
	for (int i = 0; i < l->batch_len; i++) {
		struct loop_watch *w = l->batch[i].data.ptr;

		if (w)
			w->fn(w, l->batch[i].events);
	}
	l->batch_len = 0;
	while (l->timers && l->heap[1]->at <= l->now) {
		struct loop_timer *t = l->heap[1];

		loop_clear(l, t);
		t->fn(t);
	}
	run_tasks(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int r = 0;

	while (!l->stop && !r)
		r = loop_round(l);
	return r;
}
