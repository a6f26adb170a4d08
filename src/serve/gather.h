/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all sandboxes of this user use, asked of their supervisors at the same
 * time. Nobody is waited for: one that does not answer by the deadline is listed
 * without figures, so that a supervisor that hangs holds up nothing.
 *
 * It reads the state directory and never changes it: what a killed supervisor left
 * is passed over, and swept by others (`purple ps`). The directory and the answers
 * are this user's own; names are checked.
 */
#ifndef PURPLE_SERVE_GATHER_H
#define PURPLE_SERVE_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/control.h"
#include "supervisor/state.h"

struct gathered_sandbox {
	char name[SANDBOX_NAME_MAX + 1]; /* all that is known where @id is "" */
	char id[SANDBOX_ID_LEN + 1];
	char profile[SANDBOX_NAME_MAX + 1];
	enum sandbox_phase phase;
	enum sandbox_kind kind;
	uint64_t started_ms; /* CLOCK_REALTIME */
	bool answered;	     /* @stats are there */
	bool gone;	     /* gather()'s own: it has ended meanwhile */
	struct control_stats stats;
};

struct gathered {
	struct gathered_sandbox *items; /* owned; live ones, by name */
	size_t count, room;
	size_t phases[SANDBOX_PHASES]; /* how many; SANDBOX_ENDED: records */
	size_t silent;		       /* that have not answered, though they run */
	uint64_t at_ns;		       /* CLOCK_MONOTONIC, when it was done */
	uint64_t took_us;
};

/* For each GATHER_AT_ONCE of them; GATHER_ALL_MS for all, then the rest is not asked. */
enum { GATHER_AT_ONCE = 256, GATHER_MS = 1000, GATHER_ALL_MS = 5000 };

/*
 * @all: the directory of all sandboxes, state_open_all(), which stays the caller's;
 * -1: there is none, so no sandbox. 0 or -errno: the directory cannot be read, no
 * memory. The former contents of @g are thrown away.
 */
int gather(int all, struct gathered *g);
void gathered_free(struct gathered *g);
#define _cleanup_gathered_ _cleanup_(gathered_free)

#endif
