/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a sandbox: one table, states × events. No system call here; the
 * caller does what the actions say, in the order of their bits.
 *
 *	          started      failed, exited    stop             grace over, kill
 *	starting  → running    → stopping kill   → stopping kill  → stopping kill
 *	running   -            → stopping kill   → stopping tell  → stopping kill
 *	paused    -            → stopping kill   → stopping tell  → stopping kill
 *	                         thaw              thaw             thaw
 *	stopping  -            kill              tell again       kill
 *
 *	          pause             resume            PID 1 gone
 *	starting  refused           refused           → ended
 *	running   → paused freeze   -                 → ended
 *	paused    -                 → running thaw    → ended
 *	stopping  refused           refused           → ended
 *
 * "ended" takes no event. "exited" is the sandbox's own command, not one that
 * was exec'd. A signal is sent before the thaw, so that nothing else runs first.
 */
#ifndef PURPLE_SUPERVISOR_LIFECYCLE_H
#define PURPLE_SUPERVISOR_LIFECYCLE_H

#include "supervisor/state.h"

enum life_event {
	LIFE_STARTED,
	LIFE_FAILED,
	LIFE_EXITED,
	LIFE_GONE,
	LIFE_STOP,
	LIFE_GRACE_OVER,
	LIFE_KILL,
	LIFE_PAUSE,
	LIFE_RESUME,
	LIFE_EVENTS
};

enum life_action {
	LIFE_DO_TELL = 1 << 0, /* the stop signal to the command; the grace begins */
	LIFE_DO_KILL = 1 << 1, /* SIGKILL to PID 1, which takes everything with it */
	LIFE_DO_FREEZE = 1 << 2,
	LIFE_DO_THAW = 1 << 3,
	LIFE_DO_REFUSE = 1 << 4 /* not in this state */
};

struct life_step {
	enum sandbox_phase next;
	unsigned actions;
};

struct life_step lifecycle(enum sandbox_phase phase, enum life_event event);

#endif
