/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has happened, from all who see it: counted, and written to the audit
 * trail if the plan wants its class. One struct events a supervisor.
 *
 * The trail is flushed at the end of each turn of the event loop, so that a crash
 * loses at most what this turn saw. While PID 1 sets up, nothing may be opened
 * (jail.h), so what happens then waits until it has.
 *
 * When the trail cannot be written, audit.on_failure decides: stop ends the
 * sandbox in order, as a time-out does, with the reason "audit failed"; warn says
 * so once. Either way the lines are kept, up to TRAIL_PENDING_MAX, and tried
 * again; what is lost is counted, and told by an audit.gap when it can be. A trail
 * that cannot even be opened at the start is not tried again: with stop nothing
 * starts, with warn nothing is written.
 */
#ifndef PURPLE_SUPERVISOR_EVENTS_H
#define PURPLE_SUPERVISOR_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "event/event.h"
#include "event/trail.h"

struct supervisor;

struct events {
	bool on;		      /* there is a trail, and it is open */
	bool started;		      /* sandbox.started was emitted */
	unsigned tries;		      /* that have failed, one after the other */
	bool failed;		      /* it was said that the trail cannot be written */
	uint64_t retry_at;	      /* ms of CLOCK_MONOTONIC; 0: not */
	uint64_t created_ms;	      /* likewise */
	uint64_t counts[EVENT_TYPES]; /* of all, whatever the trail takes */
	uint64_t large_files;	      /* processes that SIGXFSZ has ended */
};

/* Open the trail and write sandbox.created and the downgrades. -errno with @e set. */
int events_open(struct supervisor *s, struct err *e);

/* Count @ev and, if it is wanted, write it down. Cheap where there is no trail. */
void supervisor_emit(struct supervisor *s, const struct event *ev);

/*
 * An EK_LIST of @argv: each with its NUL, one behind the other, at most @size bytes. With
 * EVENT_LIST_MAX + 1 of them, that a list is cut is seen. @argv may be NULL.
 */
size_t events_join(char *const *argv, char *to, size_t size);

/* Would it be written? Ask before what costs. */
bool events_want(const struct supervisor *s, enum event_type type);

/*
 * Something that writes down, or sees, has failed: say so, once, and end the sandbox
 * unless audit.on_failure is warn.
 */
void events_fail(struct supervisor *s, const struct err *e);

/* The command was released: sandbox.started, once. */
void events_started(struct supervisor *s);

/* At the end of a turn; also when events.retry_at is due. */
void events_flush(struct supervisor *s);

/* sandbox.ended or setup.error, and the last flush, for which it waits up to 2 s. */
void events_end(struct supervisor *s, const struct err *e);

#endif
