/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups: what all processes of a sandbox together may use, and how
 * they are counted, frozen and killed. One interface, three back ends:
 * cgroups(7) version 2, version 1, and both at once (hybrid: version 1 limits,
 * the version 2 tree tracks, freezes and kills).
 *
 * A site is where this caller may make groups; a leaf is one sandbox's own
 * group in it, one directory in every hierarchy that it needs. The name of a
 * leaf is "purple-" and the sandbox's id, never anything from a policy.
 *
 * A live leaf is locked: its owner holds flock(2) on its first directory. What
 * is not locked was left by a dead supervisor and may be taken away.
 *
 * Used by the static launcher: no stdio, no malloc in what a start calls.
 * Descriptors are O_CLOEXEC. Sources: kernel, Documentation/admin-guide/
 * cgroup-v1 and cgroup-v2.rst.
 */
#ifndef PURPLE_CGROUP_CGROUP_H
#define PURPLE_CGROUP_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "plan/plan.h"

enum cg_kind {
	CG_NONE,  /* nowhere that this caller may make groups; @why says so */
	CG_SCOPE, /* not yet: systemd would delegate one, see cg_scope_enter() */
	CG_V2,
	CG_V1,
	CG_HYBRID,
	CG_KINDS
};

enum { CG_ID_SIZE = 40, CG_PATH = 512 };

struct cg_site {
	enum cg_kind kind;
	uint32_t controllers; /* 1 << enum plan_controller: usable here, or in the scope */
	bool no_swap_limit;   /* memory can be limited, swap cannot, and the host has swap */
	/* The directory to make leaves in, "" where there is none. */
	char v2[CG_PATH];
	char v1[PLAN_CONTROLLERS][CG_PATH];
	char why[160]; /* CG_NONE, or why a controller is missing: for a person */
};

/* Where may we make groups? Never fails; kind CG_NONE and @why tell. */
void cg_find(struct cg_site *s);

/* The same, found once a process. */
const struct cg_site *cg_here(void);

/*
 * A number that changes when cg_find() would answer otherwise in what a plan
 * depends on: kind, controllers, swap and @why, not the paths. For its facts.
 */
uint64_t cg_site_identity(const struct cg_site *s);

/*
 * Of a CG_SCOPE site: systemd has put this process, which has no other, into the
 * scope @unit ("purple-ID.scope") that it made with Delegate=true. Move it on into
 * a group "supervisor" there, because a group that holds processes cannot limit
 * others (cgroup-v2.rst, "No Internal Process Constraint"), and find @s anew: the
 * scope, and nothing above it, which is systemd's. The scope goes when the last
 * process in it has ended; systemd.scope(5). -ENOENT with @e: we are not in @unit.
 */
int cg_scope_enter(struct cg_site *s, const char *unit, struct err *e);

struct cg_leaf {
	enum cg_kind kind;
	char name[CG_ID_SIZE + 8];
	int v2_fd;		      /* for CLONE_INTO_CGROUP; -1: none */
	int v1_fds[PLAN_CONTROLLERS]; /* directories; -1: none; one number for co-mounted ones */
	/* "tasks" of each v1 hierarchy once, for writing; -1 ends. */
	int tasks_fds[PLAN_CONTROLLERS + 1];
};

void cg_leaf_init(struct cg_leaf *l);

/*
 * Make the leaf of the sandbox @id at @s and write @limits; @cpuset is the
 * string of limits->cpuset, or NULL. On error nothing is left. A limit above
 * the parent's or the machine's is not an error of the kernel's; it is accepted
 * as the kernel does. Nothing is in the group yet: start the first process by
 * clone3(CLONE_INTO_CGROUP, v2_fd) and have it write "0" to every one of tasks_fds
 * before it runs anything of the command's. A leaf is made whenever the site is
 * neither CG_NONE nor CG_SCOPE, limits or not: with no limit (limits->controllers
 * 0) it counts processes and processor time, freezes and kills. Memory it counts
 * only if that is limited: such a group costs the kernel 115 kB. @l need not be
 * initialised.
 *
 * io_rate: for every whole block device that there is now. Version 1 counts
 * reads and direct writes only, not what is written back from the page cache.
 */
int cg_create(struct cg_leaf *l, const struct cg_site *s, const char *id,
	      const struct plan_limits *limits, const char *cpuset, struct err *e);

/* What was used. A figure that this back end cannot give is CG_UNKNOWN. */
#define CG_UNKNOWN UINT64_MAX
struct cg_usage {
	uint64_t cpu_us, user_us, system_us;
	uint64_t throttled_us, throttled_count; /* periods in which the quota ran out */
	uint64_t memory, memory_peak, swap;	/* bytes */
	uint64_t oom_kills;
	uint64_t pids, pids_peak, pids_refused; /* forks refused by the limit */
	uint64_t io_read, io_written;		/* bytes */
};
void cg_usage(const struct cg_leaf *l, struct cg_usage *u);

/* Stop or continue every process at once. Waits (at most 2 s) until it is so. */
int cg_freeze(const struct cg_leaf *l, bool frozen);

/*
 * SIGKILL to all, forks in flight included: cgroup.kill, or freeze, signal each
 * and thaw. Returns when they have been told, not when they are gone.
 */
int cg_kill(const struct cg_leaf *l);

/* Remove the directories (retried while the last process leaves, at most 2 s) and close. */
int cg_remove(struct cg_leaf *l);

/* Close, and leave the directories to whoever removes them: a process that gives the leaf up. */
void cg_close(struct cg_leaf *l);

/*
 * Remove leaves at @s that nobody locks, killing what still runs in them, after
 * looking at no more than @most of them, from a place that @seed picks. Those whose
 * id is @known to live are passed over unseen; NULL: none is. Returns how many were
 * removed.
 */
unsigned cg_sweep(const struct cg_site *s, unsigned most, uint64_t seed,
		  bool (*known)(const char *id, void *arg), void *arg);

/*
 * Where there is no group: the tree of processes below PID 1 of the sandbox,
 * from /proc. Everything inside descends from PID 1, because orphans become its
 * children. @pid1 as we see it.
 *
 * cg_tree_usage fills cpu, memory (sum of RSS) and pids. Times of a dead
 * process whose parent ignored SIGCHLD are lost to it: wait(2), NOTES.
 */
void cg_tree_usage(pid_t pid1, struct cg_usage *u);
/*
 * Send @sig once to each process below PID 1, again until no new one appears
 * (at most 100 rounds: then -EAGAIN). Never to a process that took over a pid.
 * SIGSTOP: until all are stopped at once, whatever they do to wake each other.
 */
int cg_tree_signal(pid_t pid1, int sig);

#endif
