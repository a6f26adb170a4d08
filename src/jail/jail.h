/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies a plan: one call starts a sandbox.
 *
 * Theory of operation
 *
 *	launcher ── clone3(CLONE_VM | CLONE_FILES | all namespaces
 *	   │               but the network's) ─────────────────── PID 1
 *	   │ writes the id maps, opens the                      │ steps[] of pid1.c
 *	   │ id-mapped trees, wakes PID 1                       ├─ clone(CLONE_VM) ─ the
 *	   │                                                    │    command's task: steps[]
 *	   │                                                    │    of command.c, execve
 *	   └ supervises                                         └─ execveat(purple-init)
 *
 * The launcher, PID 1 and the command's task share memory until they exec, and
 * the first two the descriptor table: no fork, no copied page, no message. A
 * step that fails fills jail->err, which the launcher then finds, and its
 * process exits; then PID 1 does. Because the memory is shared, code that runs
 * in PID 1 or in the command's task uses the wrappers of sys/ only: no errno, no
 * malloc, no stdio but vsnprintf into the error record on the way out.
 *
 * The command's task makes the network namespace, which takes as long as all
 * mounts together, while PID 1 mounts. It sheds its rights by the same
 * functions as PID 1. It waits until PID 1 has done all and shed its own; then
 * it takes on Landlock and the filter, and execs. Its root is the sandbox's:
 * pivot_root(2) moves every process that has the old one. PID 1 takes on
 * Landlock and the filter before it becomes purple-init, so what reaps inside
 * has no more rights than what it reaps.
 *
 * A sandbox that stays (launch->init_socket) has no such command: PID 1 goes on
 * to purple-init at once, which starts every command, the first as well, when
 * the supervisor asks for it. Each is then a child of PID 1 that has all of the
 * sandbox's restrictions by birth; see init_protocol.h.
 *
 * Where the plan has calls observed (plan/filter.h), the command's task takes the
 * observed filter and sends its listener to the launcher; PID 1 takes the plain one, or
 * it could not exec purple-init. In a sandbox that stays PID 1 takes the observed one
 * itself, and all inherit it. Either way the listener comes to the launcher before the
 * first call that waits for it, an execve, and must not be left without an answer.
 *
 * No choice is made here: a value that decides anything is in the plan.
 */
#ifndef PURPLE_JAIL_JAIL_H
#define PURPLE_JAIL_JAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "jail/launch.h"
#include "plan/plan.h"

enum { JAIL_IDMAPS_MAX = 64 }; /* id-mapped mounts in one plan */

/* The directory of the new root in which the last entry was made. */
struct jail_parent {
	const char *path; /* starts with it */
	size_t len;
	int fd; /* -1: none */
	bool ours;
};

/*
 * A running sandbox as the launcher sees it. Descriptors are the launcher's
 * to close; -1 where there is none. Lives until the sandbox has ended.
 */
struct jail {
	const struct plan *plan;
	const struct launch *launch;

	struct err err; /* why the start failed, written by whoever failed */

	pid_t pid1;	/* as the launcher sees it */
	int pid1_fd;	/* pidfd; readable when the sandbox has ended */
	int status_fd;	/* eventfd: 1 + the command's wait status, by PID 1 or purple-init */
	int command_fd; /* pidfd of the command, for signals */
	int pty_fd;	/* master of the sandbox's own terminal */
	int pty_event;	/* eventfd: readable when pty_fd is set; -1: no terminal */
	int devpts_fd;	/* one that stays: the directory of its terminals, for jail_open_pty() */
	int net_event;	/* eventfd: readable when net_fds are there; -1: isolated */
	const int *net_fds; /* the plan's sockets, in its order; then its pool, IPv4 first */
	unsigned net_count; /* of them; until net_event, PID 1's own */
	int notify_event;   /* eventfd: readable when there is one of these; -1: not observed */
	int notify_socket;  /* the listener comes by it; -1: see jail_take_listener() */
	int notify_fd;	    /* listener of seccomp_unotify(2): somebody has to answer, at once */
	/*
	 * How often a program was to be executed in our memory: by the command's task, or
	 * PID 1 where there is none. So many notifications of such a call, from the first
	 * process that is heard of, name strings of ours and not of the sandbox's.
	 */
	uint32_t exec_tries;
	int door_fd; /* to PID 1, which carries out calls: door.h; -1: nothing is protected */
	int told_fd; /* of the plan's PMF_TOLD file, to append to; once the table is ours */

	int output_fds[PLAN_OUTPUTS_MAX]; /* roots of the PM_OUTPUTs, in plan order; -1 */

	/* CLOCK_MONOTONIC, when command_fd was set; valid once it is. */
	uint64_t released_us;

	/* Between the launcher and PID 1, while they share memory. */
	uint32_t ids_ready;		/* futex: enum ids_state */
	int idmap_fds[JAIL_IDMAPS_MAX]; /* detached id-mapped trees, in plan order */
	int parent_fd;			/* pidfd of the launcher */

	/* PID 1's own while it sets up. */
	int root_fd;	    /* the root tmpfs */
	int ruleset_fd;	    /* Landlock */
	int guard_fd;	    /* the same for commands, where something is protected; -1 */
	int door_theirs;    /* PID 1's end of door_fd */
	int init_fd;	    /* purple-init */
	int slave_fd;	    /* the terminal for the command */
	pid_t command;	    /* as PID 1 sees it */
	int task_fd;	    /* pidfd of the command's task: command_fd once it is released */
	int command_socket; /* to that task, see command.c; -1: none */
	int task_socket;    /* its end, in its table */
	bool network_joined;
	unsigned next_idmap;
	uint64_t root_dev; /* st_dev of the root tmpfs */
	/* 0: that process has left our memory; the kernel says so, set_tid_address(2) */
	uint32_t pid1_here, task_here;
	bool user_limits; /* are set */
	struct jail_parent parent;
};

enum ids_state { IDS_WAIT, IDS_READY, IDS_FAILED };

/*
 * May 0, 1 and 2 of a command be @fds? -EPROTO with @e set if one of them would
 * be a way out: a directory, an O_PATH descriptor, a socket of the host's network.
 */
int jail_check_stdio(const int fds[3], struct err *e);

/*
 * Start it. Returns when PID 1 exists and its id maps are written; the command
 * may start a little later, or fail to: then PID 1 ends and j->err is set. On
 * an error of its own, returns -errno with @j->err set and nothing left.
 *
 * PID 1 closes descriptors in the table that it shares with the caller, above
 * launch->last_fd. So open nothing that shall last before command_fd is set
 * (jail_has_started()), or, in a sandbox that stays, before INIT_READY.
 */
int jail_start(struct jail *j, const struct plan *plan, const struct launch *launch);

/* The command was released: what PID 1 sets up is done, and the table is the caller's again. */
static inline bool jail_has_started(const struct jail *j)
{
	return __atomic_load_n(&j->command_fd, __ATOMIC_ACQUIRE) >= 0;
}

/*
 * The command was released, and neither PID 1 nor the command's task is in our
 * memory any more, or ever again: they have execed, or ended.
 */
static inline bool jail_has_left(const struct jail *j)
{
	return (jail_has_started(j) || j->launch->init_socket >= 0) &&
	       !__atomic_load_n(&j->pid1_here, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&j->task_here, __ATOMIC_ACQUIRE);
}

/* Once jail_has_left(): give back what only the set-up needed. */
void jail_settle(struct jail *j);

/*
 * When notify_event is readable. Waits for the command's task to lock itself; returns
 * notify_fd, which stays the jail's, or -errno where the task has failed: jail->err.
 */
int jail_take_listener(struct jail *j);

/*
 * A new terminal of the sandbox's own, after INIT_READY: returns the master
 * (non-blocking), @slave gets the other end, which belongs to the command's
 * user. -errno with @e set. Both are the caller's to close.
 */
int jail_open_pty(const struct jail *j, int *slave, struct err *e);

/* Fill @e for execve(2) of @name having failed with @code: 126 or 127, and what to do. */
void jail_exec_failed(struct err *e, int code, const char *name);

/*
 * May commands write beneath @m only through the door? The workspace, and what else holds it
 * or lies in it, by the paths inside or outside: what Landlock grants there it grants in the
 * workspace too. Judged is what of that is the host's.
 */
bool jail_is_guarded(const struct plan *p, const struct launch *l, const struct plan_mount *m);
bool jail_is_judged(const struct plan *p, const struct launch *l, const struct plan_mount *m);

/* Where @m is inside, in @buf of PATH_MAX bytes or not; NULL: nowhere. */
const char *jail_target(const struct plan *p, const struct launch *l, const struct plan_mount *m,
			char *buf);

/* Close net_fds: purple-net has them, or the sandbox has ended. */
void jail_close_network(struct jail *j);

/* Close what jail_start() opened. The sandbox must have ended. */
void jail_close(struct jail *j);

#endif
