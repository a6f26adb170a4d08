/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's event loop: epoll(7), edge-triggered, with timers and tasks.
 *
 * Watches, timers and tasks are part of their owner's structure; nothing is
 * allocated but at loop_init(). Whoever frees an owner has taken all of them
 * off first; that is allowed from within any callback, also for a watch that
 * has an event waiting in the same round, which then is dropped.
 *
 * Edge-triggered: a callback reads or writes until EAGAIN, or stops before for
 * the sake of the others and comes back by a task, once all who had an event
 * in this round have had their turn.
 *
 * Times are milliseconds of CLOCK_MONOTONIC. Functions return 0 or -errno.
 */
#ifndef PURPLE_NET_LOOP_H
#define PURPLE_NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

enum { LOOP_BATCH = 64 };

/* The structure that @ptr is the member @member of. */
#define LOOP_OWNER(ptr, type, member) \
	((type *)(void *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

struct loop_watch {
	void (*fn)(struct loop_watch *w, uint32_t events);
	int fd; /* not owned */
	bool added;
};

struct loop_timer {
	void (*fn)(struct loop_timer *t);
	uint64_t at;
	unsigned slot; /* in the heap, from 1; 0: not set */
};

struct loop_task {
	void (*fn)(struct loop_task *t);
	struct loop_task *next, *prev;
};

struct loop {
	int epoll;
	bool stop;    /* loop_run() returns after this round */
	uint64_t now; /* when this round began */
	struct loop_timer **heap;
	unsigned timers, timers_max;
	struct loop_task tasks; /* head of a ring */
	struct epoll_event batch[LOOP_BATCH];
	int batch_len;
};

/* @timers: how many can be set at a time; setting more is a bug, and ends the program. */
int loop_init(struct loop *l, unsigned timers);
void loop_free(struct loop *l);

/* Watch w->fd, which is not blocking, for @events; EPOLLET is added. */
int loop_add(struct loop *l, struct loop_watch *w, uint32_t events);
/* Before w->fd is closed. Nothing happens if it was not added. */
void loop_remove(struct loop *l, struct loop_watch *w);

/* Call t->fn once, @ms from now; replaces an earlier time. */
void loop_set(struct loop *l, struct loop_timer *t, uint64_t ms);
void loop_clear(struct loop *l, struct loop_timer *t);

/* Call t->fn once, at the end of this round. Nothing happens if it will be already. */
void loop_later(struct loop *l, struct loop_task *t);
void loop_not_later(struct loop_task *t);

/* One round: wait for events, or until a timer or a task is due. */
int loop_round(struct loop *l);
/* Rounds until l->stop. */
int loop_run(struct loop *l);

#endif
