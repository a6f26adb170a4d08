/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ties a process to its caller, cut: the session and its terminal, the
 * keyring, the host's name, the network's loopback.
 */
#include "jail/internal.h"

#include <linux/if.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
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

int jail_loopback(struct jail *j)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd, r;

	if (!(j->plan->steps & STEP_LOOPBACK))
		return 0;
	fd = (int)sys_call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = fd < 0 ? fd : (int)sys_call(SYS_ioctl, fd, SIOCSIFFLAGS, &ifr);
	sys_close(fd);
	return r < 0 ? err_set(&j->err, r, "network", "bring lo up") : 0;
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

int jail_user_limits(struct jail *j)
{
	static const char dir[] = "/proc/sys/user";
	int fd = sys_openat(AT_FDCWD, dir, O_PATH | O_DIRECTORY, 0), r = fd < 0 ? fd : 0;

	for (size_t i = 0; i < ARRAY_SIZE(user_limits) && r == 0; i++) {
		if (!(j->plan->steps & user_limits[i].step))
			continue;
		r = sys_write_file(fd, user_limits[i].file, user_limits[i].value,
				   strlen(user_limits[i].value));
		if (r < 0)
			err_set(&j->err, r, "namespaces", "write %s to %s/%s", user_limits[i].value,
				dir, user_limits[i].file);
	}
	sys_close(fd);
	return fd < 0 ? err_set(&j->err, fd, "namespaces", "open %s", dir) : r;
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
int jail_terminal(struct jail *j)
{
	int zero = 0, master;
	uint64_t one = 1;

	if (!(j->plan->steps & STEP_PTY) || !j->launch->terminal)
		return 0;
	master = sys_openat2(j->root_fd, "dev/pts/ptmx", O_RDWR | O_NOCTTY, 0,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (master < 0)
		return err_set(&j->err, master, "terminal", "open dev/pts/ptmx");
	sys_call(SYS_ioctl, master, TIOCSPTLCK, &zero);
	j->slave_fd = (int)sys_call(SYS_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (j->slave_fd < 0)
		return err_set(&j->err, j->slave_fd, "terminal", "open the other end");
	/* The launcher must not block on it; nobody shares its open file. */
	sys_call(SYS_fcntl, master, F_SETFL, O_RDWR | O_NONBLOCK);
	j->pty_fd = master;
	copy_terminal(j);
	sys_write(j->pty_event, &one, sizeof(one));
	return 0;
}
