/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ties a process to its caller, cut: the session and its terminal, the
 * keyring, the host's name.
 */
#include "jail/internal.h"

#include <linux/keyctl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>

#include "sys/files.h"
#include "sys/process.h"

int jail_die_with_launcher(struct jail *j)
{
	struct pollfd p = { .fd = j->parent_fd, .events = POLLIN };
	struct timespec now = { 0, 0 };
	int r = sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

	if (r < 0)
		return err_set(&j->err, r, "session", "die with the launcher");
	/* It may have died before: then nobody will ever tell us. */
	if (sys_call(SYS_ppoll, &p, 1, &now, 0, 0) != 0)
		sys_exit(EXIT_PURPLE);
	return 0;
}

/* PID 1 runs in the launcher's memory, so this covers the launcher as well. */
int jail_undumpable(struct jail *j)
{
	int r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);

	return r < 0 ? err_set(&j->err, r, "session", "become undumpable") : 0;
}

/* A process of the caller's session could push keys into its terminal (TIOCSTI). */
int jail_session(struct jail *j)
{
	int r = jail_die_with_launcher(j);

	if (r < 0 || !(j->plan->steps & STEP_NEW_SESSION))
		return r;
	r = (int)sys_call(SYS_setsid);
	return r < 0 ? err_set(&j->err, r, "session", "start a session of its own") : 0;
}

/* keyrings(7): no namespace covers them; without this the caller's session keys are readable. */
int jail_keyring(struct jail *j)
{
	int r;

	if (!(j->plan->steps & STEP_KEYRING))
		return 0;
	r = (int)sys_call(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0);
	/* ENOSYS: a kernel without keyrings has none to keep apart. */
	return r < 0 && r != -ENOSYS
		       ? err_set(&j->err, r, "keyring", "start a session keyring of its own")
		       : 0;
}

int jail_hostname(struct jail *j)
{
	const char *name = plan_string(j->plan, j->plan->hostname);
	int r;

	if (!name)
		return 0;
	r = (int)sys_call(SYS_sethostname, name, j->plan->hostname.len);
	return r < 0 ? err_set(&j->err, r, "hostname", "set the host name %s", name) : 0;
}

/*
 * Version 1. A thread that moves itself by "tasks" needs no lock on all thread
 * groups: cgroup_procs_write_start() in the kernel's kernel/cgroup/cgroup.c. That
 * lock waits for an RCU grace period, 10 ms and more, unless somebody has held it
 * just now. We have no other thread, and no child yet.
 */
int jail_join_group(struct jail *j)
{
	long r = 0;

	for (const int *fd = j->launch->cgroup_tasks; fd && *fd >= 0 && r >= 0; fd++)
		r = sys_write(*fd, "0", 1);
	return r < 0 ? err_set(&j->err, (int)r, "cgroup", "join the sandbox's control group") : 0;
}

/*
 * The root of the namespace is the group that one is in when it is made.
 */
int jail_cgroup_namespace(struct jail *j)
{
	int r;

	if (!jail_in_group(j->launch) || !(j->plan->namespaces & CLONE_NEWCGROUP))
		return 0;
	r = (int)sys_call(SYS_unshare, CLONE_NEWCGROUP);
	return r < 0 ? err_set(&j->err, r, "namespaces", "start a cgroup namespace") : 0;
}

/*
 * Limits that count per user namespace: user_namespaces(7), /proc/sys/user. The
 * command has no capability to raise them again.
 *
 * No user namespace can be made below ours. inotify(7) instances are charged to
 * the caller's own limit, 128 as a rule, so a sandbox could take all of them.
 */
static const struct {
	unsigned step;
	const char *file, *value;
} user_limits[] = {
	{ STEP_NO_NESTING, "max_user_namespaces", "0" },
	{ STEP_BOUND_INOTIFY, "max_inotify_instances", "64" },
};

bool jail_wants_user_limits(const struct jail *j)
{
	return !j->user_limits && j->plan->steps & (STEP_NO_NESTING | STEP_BOUND_INOTIFY);
}

int jail_user_limits_at(struct jail *j, int proc)
{
	int fd = sys_openat(proc, "sys/user", O_PATH | O_DIRECTORY, 0), r = fd < 0 ? fd : 0;

	for (size_t i = 0; i < ARRAY_SIZE(user_limits) && r == 0; i++) {
		if (!(j->plan->steps & user_limits[i].step))
			continue;
		r = sys_write_file(fd, user_limits[i].file, user_limits[i].value,
				   strlen(user_limits[i].value));
		if (r < 0)
			err_set(&j->err, r, "namespaces", "write %s to /proc/sys/user/%s",
				user_limits[i].value, user_limits[i].file);
	}
	sys_close(fd);
	j->user_limits = r == 0;
	return fd < 0 ? err_set(&j->err, fd, "namespaces", "open /proc/sys/user") : r;
}

int jail_user_limits(struct jail *j)
{
	int fd, r;

	if (!jail_wants_user_limits(j))
		return 0;
	fd = sys_openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return err_set(&j->err, fd, "namespaces", "open /proc");
	r = jail_user_limits_at(j, fd);
	sys_close(fd);
	return r;
}

/* The settings and the size of the caller's terminal carry over. */
static void copy_terminal(struct jail *j)
{
	int from = j->launch->terminal & 1 ? 0 : j->launch->terminal & 2 ? 1 : 2;
	struct termios t;
	struct winsize w;

	if (sys_call(SYS_ioctl, from, TCGETS, &t) == 0)
		sys_call(SYS_ioctl, j->slave_fd, TCSETS, &t);
	if (sys_call(SYS_ioctl, from, TIOCGWINSZ, &w) == 0)
		sys_call(SYS_ioctl, j->pty_fd, TIOCSWINSZ, &w);
}

/* By descriptor all the way: nothing named /dev/pts/N is opened (CVE-2025-52565). */
static int open_pty(int dir, const char *ptmx, int *slave, struct err *e)
{
	int zero = 0, r;
	int master = sys_openat2(dir, ptmx, O_RDWR | O_NOCTTY, 0,
				 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

	if (master < 0)
		return err_set(e, master, "terminal", "open dev/pts/ptmx");
	sys_call(SYS_ioctl, master, TIOCSPTLCK, &zero);
	r = (int)sys_call(SYS_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (r < 0) {
		sys_close(master);
		return err_set(e, r, "terminal", "open the other end");
	}
	*slave = r;
	/* The launcher must not block on it; nobody shares its open file. */
	sys_call(SYS_fcntl, master, F_SETFL, O_RDWR | O_NONBLOCK);
	return master;
}

int jail_terminal(struct jail *j)
{
	uint64_t one = 1;
	int master;

	if (!(j->plan->steps & STEP_PTY) || !j->launch->terminal || j->launch->init_socket >= 0)
		return 0;
	master = open_pty(j->root_fd, "dev/pts/ptmx", &j->slave_fd, &j->err);
	if (master < 0)
		return master;
	j->pty_fd = master;
	copy_terminal(j);
	sys_write(j->pty_event, &one, sizeof(one));
	return 0;
}

/* For commands to come; from here on the supervisor cannot walk the sandbox's paths. */
int jail_devpts(struct jail *j)
{
	int fd;

	if (j->launch->init_socket < 0)
		return 0;
	fd = sys_openat2(j->root_fd, "dev/pts", O_PATH | O_DIRECTORY, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (fd < 0 && fd != -ENOENT) /* ENOENT: a policy without it has no terminals */
		return err_set(&j->err, fd, "terminal", "open dev/pts");
	j->devpts_fd = fd < 0 ? -1 : fd;
	return 0;
}

int jail_open_pty(const struct jail *j, int *slave, struct err *e)
{
	const struct launch *l = j->launch;
	int master, r;

	if (j->devpts_fd < 0)
		return err_set(e, ENOTTY, "terminal", "the sandbox has no /dev/pts");
	master = open_pty(j->devpts_fd, "ptmx", slave, e);
	if (master < 0 || j->plan->idmap != IDMAP_RANGE)
		return master;
	/* It is ours, who opened it: give it to the command, which may open it by name. */
	r = (int)sys_call(SYS_fchown, *slave, l->range_base + l->uid, l->range_base + l->gid);
	if (r == 0)
		return master;
	sys_close(master);
	sys_close(TAKE_FD(*slave));
	return err_set(e, r, "terminal", "give the terminal to the command");
}
