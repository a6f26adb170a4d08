/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What depends on the call and not on the policy: the command, where it
 * starts, with what environment, on whose behalf. The plan says what is done;
 * this says to whom.
 *
 * Ownership: the launcher owns everything here and keeps it until the sandbox
 * has ended. Paths are absolute and canonical.
 */
#ifndef PURPLE_JAIL_LAUNCH_H
#define PURPLE_JAIL_LAUNCH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "jail/times.h"

/* Where the changes of a workspace go that is not written at once. */
struct launch_layers {
	const char *path; /* of the directory that holds them */
	int fd;		  /* open on it */
	/* Relative to it, by no link. NULL: in memory, which ends with the sandbox. */
	const char *upper, *work;
	/* What was written before, newest first: between @upper and the workspace. */
	const char *const *lower;
	unsigned lower_count;
	bool copy;     /* @upper is a copy of the workspace: it is mounted as it is */
	bool *refused; /* set when the kernel refuses an overlay of these; NULL: nobody asks */
};

struct launch {
	char *const *argv; /* the command; argv[0] is looked up in PATH of envp */
	char *const *envp; /* all of it: nothing is inherited */

	const char *workspace;		    /* its path, outside and inside; NULL: none */
	int workspace_fd;		    /* O_PATH on it, or -1 */
	const struct launch_layers *layers; /* PMF_LAYERED */
	/* Of the PM_OVERLAYs, in plan order. */
	const struct launch_layers *overlays;
	const char *init_path; /* the purple-init program */

	int keep_fd; /* a descriptor of the launcher's own, of any number; -1: none */
	int last_fd; /* the highest of its other ones that must stay open; see jail_start() */

	/*
	 * A sandbox that stays: purple-init's end of a SEQPACKET socket pair, see
	 * init_protocol.h. PID 1 then starts no command: argv, envp, terminal and
	 * sigmask are not used. -1: the command is started at once, and the
	 * sandbox ends with it.
	 */
	int init_socket;

	/*
	 * The control group for PID 1, and so for all inside. The namespace's root
	 * is that group. Of version 2, a descriptor of the directory, or -1; of
	 * version 1, descriptors of each hierarchy's "tasks" opened for
	 * writing, -1 ends them; NULL: none.
	 */
	int cgroup_fd;
	const int *cgroup_tasks;

	/* Not isolated: the first half of lo's IPv6 address, fd00::/8 and random bits. */
	uint8_t net_prefix[8];

	uid_t uid; /* ids of the command inside */
	gid_t gid;
	uid_t host_uid; /* IDMAP_SINGLE: the caller's */
	gid_t host_gid;
	uint32_t range_base; /* IDMAP_RANGE: the host id of inside id 0 */

	struct jail_times *times; /* where to stamp the set-up; NULL: nobody traces it */

	unsigned terminal; /* bit n: descriptor n is a terminal (0, 1, 2) */
	uint64_t sigmask;  /* the caller's blocked signals, for the command */
};

/*
 * Host ids that sandboxes of root's get, 65536 each: neither login.defs(5) nor
 * systemd's "Users, Groups, UIDs and GIDs" hands them out.
 */
static inline bool launch_is_range(uint32_t id)
{
	return id >= 0x70000000 && id <= 0x7fffffff;
}

#endif
