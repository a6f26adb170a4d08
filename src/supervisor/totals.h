/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all sandboxes of this user have done, ended ones too: counters that only
 * ever go up, in one file beside the state directories, which every supervisor maps
 * and adds to (an addition is one atomic instruction: no lock, and nothing to leave
 * behind by a crash). They begin anew when the runtime directory does, mostly with
 * the machine.
 *
 * A supervisor adds what is new when it is asked for its figures and when it ends.
 * What one that is killed had not added is lost. So whoever asks all of them first and
 * reads the totals then, has totals that never go down and hold what is live.
 *
 * A run that is in no directory, being short or because there is none, is counted
 * only if the directory exists.
 */
#ifndef PURPLE_SUPERVISOR_TOTALS_H
#define PURPLE_SUPERVISOR_TOTALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"
#include "net/tally.h"

/* Of a start, in their order. */
enum start_stage {
	START_PLAN,    /* from the launcher's begin: the plan is there, or made; arguments */
	START_PREPARE, /* the control group, the state directory, purple-net */
	START_JAIL,    /* until the command is released, or, of one that stays, runs */
	START_STAGES
};
extern const char *const start_stage_names[START_STAGES]; /* "plan", … */

/* Why they ended, as in the report. */
enum { END_REASONS = 10 };
extern const char *const end_reason_names[END_REASONS]; /* the last one: any other */

/* Upper bounds in µs; the last bucket has none. */
enum { START_BUCKETS = 14 };
extern const uint32_t start_bounds_us[START_BUCKETS - 1];

struct start_histogram {
	uint64_t buckets[START_BUCKETS]; /* not cumulative */
	uint64_t sum_us;
};

enum span_end { SPAN_EXPORTED, SPAN_DROPPED, SPAN_ENDS };

#define TOTALS_MAGIC 0x31544f5455505255u /* change it with the order of what is below */

struct totals {
	uint64_t magic;
	uint64_t started;
	uint64_t ended[END_REASONS];
	struct start_histogram whole, stages[START_STAGES];
	uint64_t audit_lost;	  /* lines */
	struct net_tally network; /* of all: bytes, connections */
	uint64_t events[EVENT_TYPES];
	uint64_t spans[SPAN_ENDS]; /* of traces; purple-otlp adds to them: event/otlp.h */
};

/*
 * The file in @all, the directory of all sandboxes, made if it is not there. NULL:
 * it cannot be had (no space, a file system without fallocate(2), another layout).
 * It stays mapped.
 */
struct totals *totals_map(int all);

/* The file itself, for whoever maps it. -errno: it cannot be had. */
int totals_open(int all);

/* @us of each stage; what it took as a whole is their sum. */
void totals_started(struct totals *t, const uint64_t us[START_STAGES]);
void totals_ended(struct totals *t, const char *reason); /* NULL: it did not start */
/* What of @now is not in @told yet; then it is. */
void totals_add(uint64_t *total, uint64_t now, uint64_t *told);

/* A copy, for whoever only reads. False: there is none. */
bool totals_read(int all, struct totals *ret);

#endif
