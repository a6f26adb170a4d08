/* SPDX-License-Identifier: Apache-2.0 */
#include "jail/internal.h"

#include <poll.h>
#include <time.h>

#include "sys/files.h"
#include "sys/mounts.h"
#include "sys/process.h"

/*
 * The order inside, top to bottom. What needs no id map comes first, because
 * the launcher writes the maps meanwhile; the command's task runs beside us
 * from jail_command() on, by a list of its own. From "root_enter" on, paths are
 * the sandbox's. The command takes Landlock and the filter on itself, after
 * which nothing more can be mounted.
 */
static int (*const steps[])(struct jail *) = {
	jail_join_group,       /* before anything is done that it should count */
	jail_cgroup_namespace, /* whose root is the group that it was put in */
	jail_session,	       /* no controlling terminal; dies with the launcher */
	jail_keyring,	       /* a session keyring of its own */
	jail_landlock_open,    /* an empty ruleset; each mount adds its rule */
	jail_command,	       /* clone: the command's task makes the network namespace */
	jail_hostname,	       /**/
	jail_bounding_set,     /* the 41 calls that take longest of the capabilities */
	jail_landlock_stdio,   /* rules for what the caller hands in */
	jail_init_open,	       /* purple-init, while its path can be walked */
	jail_ids,	       /* the launcher has written the maps: take on the id */
	jail_root_open,	       /* an empty tmpfs */
	jail_mounts,	       /* the plan's mounts, in order */
	jail_hide,	       /* what the policy hides in them is covered */
	jail_user_limits,      /* unless they are set, through the mounted procfs */
	jail_terminal,	       /* a terminal from the sandbox's own devpts */
	jail_devpts,	       /* a way to it, for terminals to come */
	jail_join_network,     /* lo is up in it */
	jail_root_enter,       /* pivot_root; the host's tree is gone */
	jail_network,	       /* unless isolated: routes, rules and sockets for purple-net */
	jail_rlimits,	       /**/
	jail_capabilities,     /* the other four sets and the securebits */
	jail_no_new_privs,     /**/
	jail_undumpable,       /* nobody inside can trace or read us */
	jail_release,	       /* the command locks itself and execs beside us */
};

/* The steps at whose end something is over that a trace shows. */
static void stamp(struct jail *j, int (*step)(struct jail *))
{
	static const struct {
		int (*step)(struct jail *);
		enum jail_time time;
	} ends[] = {
		{ NULL, JT_NAMESPACES },      { jail_ids, JT_IDS },
		{ jail_hide, JT_MOUNTS },     { jail_join_network, JT_NETWORK },
		{ jail_root_enter, JT_ROOT }, { jail_undumpable, JT_LOCKED },
	};
	struct timespec t;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (ends[i].step == step && sys_call(SYS_clock_gettime, CLOCK_MONOTONIC, &t) == 0)
			j->launch->times->at[ends[i].time] = (uint64_t)t.tv_sec * 1000000 +
							     (uint64_t)t.tv_nsec / 1000;
}

char *jail_decimal(char buf[12], unsigned n)
{
	char *p = buf + 11;

	*p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	return p;
}

static void become_init(struct jail *j)
{
	char name[] = "purple-init", status_fd[12], command[12], socket[12], door[12], guard[12];
	int init_socket = j->launch->init_socket;
	bool stays = init_socket >= 0, has_door = jail_has_door(j), lends = stays && has_door;
	char *const argv[] = { name,
			       jail_decimal(status_fd, (unsigned)j->status_fd),
			       jail_decimal(command, (unsigned)j->command),
			       jail_decimal(socket, stays ? (unsigned)init_socket : 0),
			       jail_decimal(door, has_door ? (unsigned)j->door_theirs : 0),
			       jail_decimal(guard, lends ? (unsigned)j->guard_fd : 0),
			       NULL };
	char *const envp[] = { NULL };

	j->exec_tries += stays;
	/* The command was cloned with a copy of the table: only we keep this one. */
	sys_call(SYS_fcntl, stays ? init_socket : j->status_fd, F_SETFD, 0);
	if (has_door)
		sys_call(SYS_fcntl, j->door_theirs, F_SETFD, 0);
	if (lends)
		sys_call(SYS_fcntl, j->guard_fd, F_SETFD, 0);
	err_set(&j->err, (int)sys_call(SYS_execveat, j->init_fd, "", argv, envp, AT_EMPTY_PATH),
		"init", "execute %s", j->launch->init_path);
}

/*
 * Most commands of an agent end within milliseconds: for those, becoming
 * another program would cost more than all the rest of PID 1. So PID 1 waits
 * this long for the command before it does.
 *
 * Meanwhile it is the launcher's memory that it runs in. The command cannot
 * touch it: PID 1 is not dumpable, which forbids ptrace(2) and /proc/1/mem to
 * all without CAP_SYS_PTRACE on the host, and lies outside the command's
 * Landlock domain, which forbids the same once more.
 */
enum { LINGER_MS = 10 };

static void linger(struct jail *j)
{
	struct pollfd p[] = { { .fd = j->command_fd, .events = POLLIN },
			      { .fd = j->door_theirs, .events = POLLIN } }; /* somebody asks */
	struct timespec limit = { .tv_nsec = LINGER_MS * 1000000L };
	uint64_t report;
	int status;

	if (sys_call(SYS_ppoll, p, ARRAY_SIZE(p), &limit, 0, 0) < 1 || !p[0].revents ||
	    sys_call(SYS_wait4, j->command, &status, 0, 0) != j->command)
		return;
	report = (uint64_t)(uint32_t)status + 1;
	sys_write(j->status_fd, &report, sizeof(report));
	sys_exit(0);
}

/* What purple-init starts inherits both. The filter allows this write: plan/filter.h. */
static int lock_all(struct jail *j)
{
	uint64_t one = 1;
	int listener, r = jail_lock_observed(j, &listener);

	if (r < 0 || listener < 0)
		return r;
	j->notify_fd = listener;
	sys_write(j->notify_event, &one, sizeof(one));
	return jail_limit_files(j);
}

int jail_pid1(void *arg)
{
	struct jail *j = arg;
	int r = 0;

	/* The modes of what is made here are the plan's, whatever the caller's mask. */
	sys_call(SYS_umask, 0);
	if (j->launch->times)
		stamp(j, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(steps) && r == 0; i++) {
		r = steps[i](j);
		if (j->launch->times && r == 0)
			stamp(j, steps[i]);
	}
	if (r == 0 && j->launch->init_socket < 0)
		linger(j);
	if (r == 0)
		r = j->launch->init_socket < 0 ? jail_lock(j) : lock_all(j);
	if (r == 0)
		become_init(j);
	sys_exit(EXIT_PURPLE);
}
