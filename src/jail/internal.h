/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of jail/. Everything returns 0 or -errno with j->err set. */
#ifndef PURPLE_JAIL_INTERNAL_H
#define PURPLE_JAIL_INTERNAL_H

#include "jail/jail.h"

/* Is there a control group to put it in? */
static inline bool jail_in_group(const struct launch *l)
{
	return l->cgroup_fd >= 0 || l->cgroup_tasks;
}

static inline bool jail_is_observed(const struct jail *j)
{
	return j->plan->observer.count > 0;
}

/* By PID 1: all that purple-init starts inherits it. */
static inline bool jail_lends_listener(const struct jail *j)
{
	return jail_is_observed(j) && j->launch->init_socket >= 0;
}

static inline bool jail_has_door(const struct jail *j)
{
	return j->door_theirs >= 0;
}

/* Decimal, without the machinery of printf: this is on the start path. */
char *jail_decimal(char buf[12], unsigned n);

/* pid1.c: the whole life of PID 1 before it becomes purple-init; never returns. */
int jail_pid1(void *jail);

/* idmap.c. In the launcher: uid_map, gid_map and the id-mapped trees of PID 1 … */
int jail_write_ids(struct jail *j);
/* … and inside: wait for them and take on the ids. */
int jail_wait_ids(struct jail *j);
int jail_ids(struct jail *j); /* the same in PID 1, whose death signal they clear */

/* session.c */
int jail_die_with_launcher(struct jail *j); /* SIGKILL to PID 1 when the launcher dies */
int jail_session(struct jail *j);
int jail_undumpable(struct jail *j);
int jail_keyring(struct jail *j);
int jail_hostname(struct jail *j);
bool jail_wants_user_limits(const struct jail *j); /* and has not got them */
int jail_user_limits(struct jail *j);
/* Through the procfs @proc, a descriptor; the former then does nothing. */
int jail_user_limits_at(struct jail *j, int proc);
int jail_terminal(struct jail *j);
int jail_devpts(struct jail *j);
int jail_join_group(struct jail *j);
int jail_cgroup_namespace(struct jail *j);

/* root.c: the root file system */
const char *jail_place(struct jail *j, struct plan_str s, char *buf);
int jail_init_open(struct jail *j);
int jail_root_open(struct jail *j);
int jail_mounts(struct jail *j);
int jail_root_enter(struct jail *j);

/* layers.c: of a workspace that is not written at once. A descriptor, or -errno. */
/* Those of @m, which is PMF_LAYERED, and where it is. */
const struct launch_layers *jail_layers_of(const struct jail *j, const struct plan_mount *m,
					   const char **place);
int jail_memory(struct jail *j, int like); /* layers in memory, as @like's mode is */
int jail_open_store(struct jail *j, const struct launch_layers *l);
/* The copy of the workspace that lies in @store, detached. */
int jail_copy(struct jail *j, const struct launch_layers *l, int store);
/* An overlay, detached, of the workspace @lower and the layers in @store. */
int jail_overlay(struct jail *j, const struct plan_mount *m, int lower, int store);

/* hide.c: cover what the plan hides, in all that is mounted by now. */
int jail_hide(struct jail *j);

/* guard.c: what commands may write only by asking PID 1 (door.h). */
int jail_make_door(struct jail *j);
/* A rule of Landlock's beneath @fd, for PID 1 and for commands. 0 or -errno. */
int jail_allow(struct jail *j, int fd, uint64_t rights, bool guarded);

/* network.c */
int jail_make_network(struct jail *j); /* a namespace, and lo up in it */
int jail_hand_network(struct jail *j); /* from the command's task to PID 1 … */
int jail_join_network(struct jail *j); /* … which takes it, the first time */
int jail_network(struct jail *j);

/* lockdown.c */
int jail_rlimits(struct jail *j);
int jail_limit_files(struct jail *j); /* after jail_lock_observed(), if jail_lends_listener() */
int jail_bounding_set(struct jail *j);
int jail_capabilities(struct jail *j);
int jail_no_new_privs(struct jail *j);
int jail_landlock_open(struct jail *j);
int jail_landlock_stdio(struct jail *j);
int jail_lock(struct jail *j); /* Landlock, then seccomp: for init … */
/*
 * … and for the command. @listener: of the calls that the plan has observed, the
 * caller's; -1: none are. From here on those wait until somebody answers by it.
 */
int jail_lock_observed(struct jail *j, int *listener);

/* command.c */
int jail_command(struct jail *j);   /* start its task beside PID 1 */
int jail_release(struct jail *j);   /* all is set up: it locks itself and execs */
int jail_task_gone(struct jail *j); /* it failed, and has said why unless it was killed */

/* jail.c: fill j->err for namespaces that cannot be made. Returns @code. */
int jail_namespace_failed(struct jail *j, int code);

#endif
