/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket that all flows share: so many bytes a second one way, and what
 * was not used is kept for BUCKET_BURST_MS, not longer. Whoever finds it empty
 * queues, and is called when there is something; each in turn gets an equal part of
 * what is there, and queues again at the end if that was not enough. Whoever comes
 * while others queue gets nothing before them.
 *
 * A stream takes what it may read before it reads, and gives back what it did not
 * get. A datagram is taken whole: the bucket may then owe, at most one of them.
 *
 * A NULL bucket, or one of rate 0, has no limit. Watches and timers as in
 * net/loop.h: nothing is allocated, whoever frees an owner takes its wait off first.
 */
#ifndef PURPLE_NET_BUCKET_H
#define PURPLE_NET_BUCKET_H

#include "net/loop.h"

enum {
	BUCKET_BURST_MS = 100,
	BUCKET_TICK_MS = 5,  /* between two rounds of those that wait */
	BUCKET_LEAST = 1460, /* bytes: a part is not smaller, nor the burst */
	BUCKET_TIMERS = 1,   /* of each in the loop */
};

struct bucket_wait {
	void (*fn)(struct bucket_wait *w); /* off the queue when it is called */
	struct bucket_wait *next, *prev;
};

struct bucket {
	struct loop *loop;
	uint64_t rate; /* bytes a second; 0: no limit */
	int64_t room, tokens;
	uint64_t rest;	 /* thousandths of a byte */
	uint64_t filled; /* when */
	int64_t turn;	 /* left of the part of whom it serves; -1: it serves nobody */
	unsigned waiting;
	struct bucket_wait queue; /* head of a ring */
	struct loop_timer timer;
};

/* @rate: at most 1 << 40. */
void bucket_init(struct bucket *b, struct loop *loop, uint64_t rate);

/* How many of @want bytes may go now; 0: bucket_wait(). */
size_t bucket_take(struct bucket *b, size_t want);
void bucket_give(struct bucket *b, size_t bytes);

/* A datagram of @bytes may go now. False: drop it, or wait. */
bool bucket_take_whole(struct bucket *b, size_t bytes);

/* Queue. Nothing happens to who does already. */
void bucket_wait(struct bucket *b, struct bucket_wait *w);
void bucket_forget(struct bucket *b, struct bucket_wait *w);
static inline bool bucket_waits(const struct bucket_wait *w)
{
	return w->next;
}

#endif
