/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one sandbox from start to end: the supervisor's event loop. It waits
 * for the sandbox to end, watches its time and its limits, passes signals on,
 * moves bytes between the caller's terminal and the sandbox's own, and serves
 * the control socket.
 *
 * An anonymous run is written to the state directory only when its command
 * still runs after 10 ms, so that a short one pays nothing.
 *
 * One thread, one poll(2). Signals arrive by signalfd, so nothing happens
 * between two instructions. The caller's terminal settings are put back
 * whatever happens, short of SIGKILL. Killing this process with SIGKILL kills
 * everything inside at once (PR_SET_PDEATHSIG).
 */
#ifndef PURPLE_SUPERVISOR_RUN_H
#define PURPLE_SUPERVISOR_RUN_H

#include <stdbool.h>
#include <sys/resource.h>

#include "base/err.h"
#include "cgroup/cgroup.h"
#include "event/trace_context.h"
#include "jail/launch.h"
#include "plan/plan.h"
#include "supervisor/denials.h"
#include "supervisor/state.h"

/* Where the changes of a workspace go that is in review, or in scratch and not in memory. */
struct run_store {
	int all, dir; /* workspace/store.h; @dir is locked. The supervisor closes both. */
	const char *name;
	int layer;	 /* that is written */
	int lower;	 /* of an overlay: what is below, O_PATH; the workspace's has launch.h */
	unsigned layers; /* and how many there are with those that it lies on */
	uint32_t mode_bits;
	uint64_t below_bytes, below_files;   /* what lies in those, if that is limited */
	uint64_t copied_bytes, copied_files; /* what lies in a copy from the start */
	bool copy;			     /* it is one: workspace/copy.h */
	bool keep;			     /* review: if there are any */
	bool resumed;			     /* they have waited before: they wait on */
};

/* Where the plan's PM_OUTPUTs are collected, in its order. The supervisor closes them. */
struct run_outputs {
	unsigned count;
	int fds[PLAN_OUTPUTS_MAX]; /* O_RDONLY on the directories */
	const char *paths[PLAN_OUTPUTS_MAX];
};

/* What came of it, as many files as there is room for. */
struct collected {
	unsigned count, more; /* in @items; beyond */
	unsigned failed;      /* of all, those that were not collected */
	size_t used;
	struct {
		const char *path; /* of the host, in @room */
		uint64_t bytes;
		int error; /* a positive errno; 0: it was collected */
	} items[64];
	char room[8192];
};

struct run_request {
	enum sandbox_kind kind;
	const char *name;	     /* NULL: none was given; it is called by its id */
	bool stays;		     /* takes exec; always, but for an anonymous foreground run */
	bool count;		     /* fill in what the group counted */
	bool terminal;		     /* a detached command gets one */
	const char *id;		     /* made already, for @store; NULL: not yet */
	struct run_store *store;     /* NULL: none */
	struct run_outputs *outputs; /* NULL: none */
	/* Of filesystem.overlays, those that are in the state directory. */
	struct run_store *overlays;
	unsigned overlays_count;
	const char *runtime; /* directory of live state; NULL: there is none */
	bool totals;	     /* keep a file of them there: it goes with the session */
	bool plan_cached;    /* for a trace: it was not made now */
	uint64_t began_us;   /* CLOCK_MONOTONIC, when the caller began; 0: unknown */
	/* Detached: a socket for a struct run_ready when the command runs; closed then. */
	int ready_fd; /* -1: none */
};

/* What a detached supervisor tells who started it, once. */
struct run_ready {
	struct err err; /* code 0: it runs */
	char name[SANDBOX_NAME_MAX + 1];
};

struct outcome {
	bool started;	     /* the command was executed */
	int wait_status;     /* of the command, as wait(2) gives it; valid if started */
	bool killed;	     /* the sandbox was killed from outside; wait_status says by what */
	int exit_status;     /* what purple shall exit with */
	const char *reason;  /* why it ended, as in the report; set if started */
	struct rusage usage; /* of all that ran inside */
	uint64_t changes;    /* of the workspace, that wait for review; of these: */
	uint64_t changes_added, changes_modified, changes_deleted;
	const char *store;     /* under this name; NULL: none do */
	bool changes_above;    /* @changes are those since the last snapshot, or the resumption */
	bool spans_waited;     /* what has become of the spans of the trace is known, below */
	bool network_died;     /* purple-net did, before the sandbox: its network ended there */
	char network_why[160]; /* and of what; its own words in it are hostile */
	const struct collected *outputs; /* NULL: there were no boxes */
	const struct denials *denials;	 /* what was refused; NULL: nothing */
	bool counted;			 /* @group holds what its control group counted */
	struct cg_usage group;
	/* Its trace: the root span, or "". */
	char traceparent[TRACEPARENT_LEN + 1];
	uint64_t spans_exported, spans_dropped;
	char spans_why[164]; /* why some were dropped; a server's words in it are hostile */
	char id[SANDBOX_ID_LEN + 1], name[SANDBOX_NAME_MAX + 1]; /* "": had none */
};

/* The line for a person that says what @o->changes wait, with its newline; its length. */
int run_changes_line(const struct outcome *o, char *ret, size_t size);

/*
 * Start @launch under @plan and return when the sandbox has ended and nothing
 * of it is left. 0 with @ret filled; -errno with @e set when the command was
 * never executed (@ret->exit_status holds 125, 126 or 127 then).
 */
int supervisor_run(const struct plan *plan, struct launch *launch,
		   const struct run_request *request, struct outcome *ret, struct err *e);

#endif
