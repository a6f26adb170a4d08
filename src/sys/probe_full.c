/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slow probe: each thing is tried for real, in a child of its own.
 *
 * A trial is a function that returns 0 or the errno it met. It runs in a
 * child made by clone(2) with the namespaces that the trial names, sends the
 * number up a pipe and exits. Mounts are made detached, or in a mount
 * namespace that a user namespace of the child's owns, from where nothing
 * propagates to the host (mount_namespaces(7)); both end with the child.
 */
#include "sys/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/macros.h"
#include "base/str.h"
#include "sys/netlink.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

enum {
	TRIAL_MS = 2000,	/* a trial that takes longer is killed: ETIMEDOUT */
	SMALL_FILE = 64 * 1024, /* /proc/self/status, /etc/subuid, … */
	MOUNTINFO_MAX = 16 << 20,
	IDMAP_FIRST = 0x70000000, /* host ids that a root sandbox uses */
	IDMAP_COUNT = 65536
};

typedef int (*trial_fn)(void);

static int err_of(long r)
{
	return r < 0 ? errno : 0;
}

/* The child's number, or why there is none. */
static int trial_result(int fd, pid_t pid)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int result = ECHILD, r;

	do
		r = poll(&p, 1, TRIAL_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0) {
		/* Only one that still runs: where SIGCHLD is ignored, the number may be gone. */
		kill(pid, SIGKILL);
		result = ETIMEDOUT;
	} else if (r > 0 && read(fd, &result, sizeof(result)) != sizeof(result)) {
		result = ECHILD;
	}
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	return result;
}

/*
 * Run @fn in a child with the new namespaces @flags. Returns what @fn does,
 * or the errno of clone(2).
 */
static int trial(unsigned long flags, trial_fn fn)
{
	_cleanup_close_ int rd = -1, wr = -1;
	int fds[2], result;
	long pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return errno;
	rd = fds[0];
	wr = fds[1];
	/* A raw clone with no stack is a fork: argument order as on all but s390. */
	pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		return errno;
	if (pid == 0) {
		result = fn ? fn() : 0;
		_exit(write(wr, &result, sizeof(result)) != sizeof(result));
	}
	close_fdp(&wr);
	return trial_result(rd, (pid_t)pid);
}

static int write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	return err_of(write(fd, text, strlen(text)));
}

/* getuid() fails to tell once the namespace is new: kept from before. */
static uid_t outer_uid;
static gid_t outer_gid;

/* Map our own ids to themselves, as a rootless sandbox does. */
static int map_self(void)
{
	char text[64];
	int r;

	r = write_file("/proc/self/setgroups", "deny");
	if (r != 0)
		return r;
	snprintf(text, sizeof(text), "%u %u 1\n", outer_gid, outer_gid);
	r = write_file("/proc/self/gid_map", text);
	if (r != 0)
		return r;
	snprintf(text, sizeof(text), "%u %u 1\n", outer_uid, outer_uid);
	return write_file("/proc/self/uid_map", text);
}

/* A detached mount of @type, or -errno. */
static int detached(const char *type)
{
	_cleanup_close_ int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	long fd;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	return fd < 0 ? -errno : (int)fd;
}

static int attach(int fd, const char *at)
{
	return err_of(syscall(SYS_move_mount, fd, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH));
}

static int try_tmpfs(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	_cleanup_close_ int fd = -1;
	int r = map_self();

	if (r != 0)
		return r;
	fd = detached("tmpfs");
	if (fd < 0)
		return -fd;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return errno;
	return attach(fd, "/proc");
}

static int try_proc(void)
{
	_cleanup_close_ int fd = -1;
	int r = map_self();

	if (r != 0)
		return r;
	fd = detached("proc");
	return fd < 0 ? -fd : 0;
}

static int try_overlay(void)
{
	static const char *const dirs[] = { "/proc/l", "/proc/u", "/proc/w", "/proc/m" };
	_cleanup_close_ int fd = -1;
	int r = map_self();

	if (r != 0)
		return r;
	fd = detached("tmpfs");
	if (fd < 0)
		return -fd;
	r = attach(fd, "/proc");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
		r = err_of(mkdir(dirs[i], 0700));
	if (r != 0)
		return r;
	return err_of(syscall(SYS_mount, "overlay", "/proc/m", "overlay", 0UL,
			      "lowerdir=/proc/l,upperdir=/proc/u,workdir=/proc/w"));
}

/* Calls that can only fail: ENOSYS means absent, EPERM filtered. */
static int try_mount_api(void)
{
	const long bad = ~0U;
	const int calls[] = {
		err_of(syscall(SYS_fsopen, NULL, bad)),
		err_of(syscall(SYS_open_tree, -1, "", bad)),
		err_of(syscall(SYS_move_mount, -1, "", -1, "", bad)),
		err_of(syscall(SYS_mount_setattr, -1, "", bad, NULL, 0UL)),
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i] == ENOSYS || calls[i] == EPERM)
			return calls[i];
	return 0;
}

static int try_time_ns(void)
{
	return err_of(syscall(SYS_unshare, CLONE_NEWTIME));
}

static int try_no_new_privs(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return errno;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : EIO;
}

static int try_cap_drop(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	/* The kernel's last capability is where PR_CAPBSET_READ says EINVAL: prctl(2). */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return errno;
	return err_of(syscall(SYS_capset, &head, none));
}

static int load_filter(unsigned long flags)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { .len = 1, .filter = &allow };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return errno;
	return err_of(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog));
}

static int try_filter(void)
{
	return load_filter(0);
}

static int try_notify(void)
{
	return load_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

static int try_keyctl(void)
{
	return err_of(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
}

static int try_pidfd(void)
{
	return err_of(syscall(SYS_pidfd_open, getpid(), 0));
}

static int try_close_range(void)
{
	return err_of(syscall(SYS_close_range, ~0U, ~0U, 0));
}

/* No size is no request: EINVAL where the call exists. */
static int try_clone3(void)
{
	int r = err_of(syscall(SYS_clone3, NULL, 0UL));

	return r == EINVAL ? 0 : r;
}

/*
 * Joining the mount namespace that one is in resets the root directory to the
 * namespace's own (setns(2)): another one than before means chroot. Root only.
 */
static int try_chroot(void)
{
	_cleanup_close_ int ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	struct stat before, after;

	if (ns < 0 || stat("/", &before) < 0 || setns(ns, CLONE_NEWNS) < 0 || stat("/", &after) < 0)
		return errno;
	return before.st_dev == after.st_dev && before.st_ino == after.st_ino ? 0 : EXDEV;
}

/* A child that lives until the pipe @gate closes, for its user namespace. */
static pid_t userns_holder(const int gate[2])
{
	char c;
	long pid = syscall(SYS_clone, (unsigned long)CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL,
			   NULL);

	if (pid == 0) {
		close(gate[1]);
		_exit(read(gate[0], &c, 1) != 0);
	}
	return (pid_t)pid;
}

static int idmap_with(pid_t pid)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	_cleanup_close_ int ns = -1, tree = -1;
	char path[64], map[64];
	int r;

	snprintf(map, sizeof(map), "0 %d %d\n", IDMAP_FIRST, IDMAP_COUNT);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	r = write_file(path, map);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	if (r == 0)
		r = write_file(path, map);
	if (r != 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return errno;
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return errno;
	attr.userns_fd = (uint32_t)ns;
	return err_of(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
}

static int try_idmapped(void)
{
	int gate[2], r;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC) < 0)
		return errno;
	pid = userns_holder(gate);
	if (pid < 0)
		return errno;
	r = idmap_with(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return r;
}

static int64_t read_number(const char *path)
{
	_cleanup_buf_ struct buf b = BUF_INIT(64);
	char *end;
	long long v;

	if (read_file_at(AT_FDCWD, path, &b) < 0 || b.len == 0)
		return -1;
	v = strtoll(b.data, &end, 10);
	return end == b.data ? -1 : v;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void probe_landlock(struct probe_full *f)
{
	f->landlock = err_of(syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
				     LANDLOCK_CREATE_RULESET_VERSION));
}

static void probe_namespaces(struct probe_full *f)
{
	/* clang-format off */
	static const unsigned long flags[] = { 0, CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWNET,
					       CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP };
	/* clang-format on */
	const unsigned long inside = CLONE_NEWUSER | CLONE_NEWNS;

	_Static_assert(ARRAY_SIZE(flags) + 1 == ARRAY_SIZE(f->namespaces), "all but time");
	f->userns = trial(CLONE_NEWUSER, map_self);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		f->namespaces[i] = trial(CLONE_NEWUSER | flags[i], NULL);
	f->time_ns = trial(CLONE_NEWUSER, try_time_ns);
	f->namespaces[ARRAY_SIZE(flags)] = f->time_ns;
	f->cap_drop = trial(CLONE_NEWUSER, try_cap_drop);
	f->userns_mount = trial(inside, try_tmpfs);
	f->userns_proc = trial(inside | CLONE_NEWPID, try_proc);
	f->overlay_userns = trial(inside, try_overlay);
	f->mount_api = trial(inside, try_mount_api);
	/* Without the privilege EPERM says nothing. */
	if (f->namespaces[0] != 0) {
		f->mount_api = trial(0, try_mount_api);
		if (f->mount_api == EPERM && !f->root)
			f->mount_api = 0;
	}
}

static void probe_calls(struct probe_full *f)
{
	f->no_new_privs = trial(0, try_no_new_privs);
	f->seccomp_filter = trial(0, try_filter);
	f->seccomp_notify = trial(0, try_notify);
#if defined(__x86_64__) || defined(__aarch64__)
	f->seccomp_arch = 0;
#else
	f->seccomp_arch = ENOSYS;
#endif
	f->keyctl = trial(0, try_keyctl);
	f->pidfd = trial(0, try_pidfd);
	f->close_range = trial(0, try_close_range);
	f->clone3 = trial(0, try_clone3);
	f->idmapped_mount = f->root ? trial(0, try_idmapped) : EPERM;
}

static bool is_fs(const char *path, long magic)
{
	struct statfs s;

	return statfs(path, &s) == 0 && (long)s.f_type == magic;
}

/* A "Name:\tvalue" line of /proc/self/status in base 10 or 16; @none without it. */
static uint64_t status_field(const struct buf *b, const char *name, int base, uint64_t none)
{
	const char *p = b->data ? strstr(b->data, name) : NULL;

	return p ? strtoull(p + strlen(name), NULL, base) : none;
}

/* Does the map "inside outside count" cover all ids, each to itself? */
static bool initial_userns(void)
{
	_cleanup_buf_ struct buf b = BUF_INIT(SMALL_FILE);
	const char *at;
	unsigned long map[3];

	if (read_file_at(AT_FDCWD, "/proc/self/uid_map", &b) < 0 || !b.data)
		return false;
	at = b.data;
	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		char *end;

		map[i] = strtoul(at, &end, 10);
		if (end == at)
			return false;
		at = end;
	}
	return map[0] == 0 && map[1] == 0 && map[2] == UINT32_MAX;
}

static void probe_self(struct probe_full *f)
{
	const uint64_t sys_admin = 1ULL << 21; /* CAP_SYS_ADMIN, capability.h */
	_cleanup_buf_ struct buf b = BUF_INIT(SMALL_FILE);
	uint64_t caps;

	f->uid = geteuid();
	f->seccomp_outer = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
	f->proc_mounted = is_fs("/proc", PROC_SUPER_MAGIC);
	if (read_file_at(AT_FDCWD, "/proc/self/status", &b) < 0)
		return;
	caps = status_field(&b, "\nCapEff:", 16, 0);
	f->root = f->uid == 0 && (caps & sys_admin) != 0 && initial_userns();
}

/*
 * The mounts that we can reach. Without one at "/", that is a directory that
 * somebody changed the root to. binfmt_misc below /proc covers nothing.
 * Field 5 is the mount point: proc_pid_mountinfo(5).
 */
static void probe_mounts(struct probe_full *f)
{
	_cleanup_buf_ struct buf b = BUF_INIT(MOUNTINFO_MAX);
	bool rooted = false;
	char *save = NULL, *line;

	if (read_file_at(AT_FDCWD, "/proc/self/mountinfo", &b) < 0)
		return;
	line = b.data ? strtok_r(b.data, "\n", &save) : NULL;
	for (; line; line = strtok_r(NULL, "\n", &save)) {
		char point[64] = "";

		sscanf(line, "%*s %*s %*s %*s %63s", point);
		rooted |= streq(point, "/");
		if (str_after(point, "/proc/") && !str_after(point, "/proc/sys/fs/binfmt_misc"))
			f->proc_masked = true;
	}
	f->chrooted = !rooted || trial(0, try_chroot) == EXDEV;
}

static void probe_container(struct probe_full *f)
{
	static const char *const signs[] = { "docker", "kubepods", "libpod", "lxc" };
	_cleanup_buf_ struct buf b = BUF_INIT(SMALL_FILE);

	f->container = exists("/.dockerenv") || exists("/run/.containerenv");
	if (f->container || read_file_at(AT_FDCWD, "/proc/1/cgroup", &b) < 0 || !b.data)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		f->container |= strstr(b.data, signs[i]) != NULL;
}

static void probe_sysctls(struct probe_full *f)
{
	_cleanup_buf_ struct buf b = BUF_INIT(sizeof(f->lsm) - 1);

	f->max_user_namespaces = read_number("/proc/sys/user/max_user_namespaces");
	f->unprivileged_userns_clone =
		(int)read_number("/proc/sys/kernel/unprivileged_userns_clone");
	f->apparmor_restrict_userns =
		(int)read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
	f->yama_ptrace_scope = (int)read_number("/proc/sys/kernel/yama/ptrace_scope");
	f->tiocsti_legacy = read_number("/proc/sys/dev/tty/legacy_tiocsti") != 0;
	if (read_file_at(AT_FDCWD, "/sys/kernel/security/lsm", &b) == 0 && b.data) {
		str_copy(f->lsm, sizeof(f->lsm), b.data);
		f->lsm[strcspn(f->lsm, "\n")] = '\0';
	}
}

/* Has /etc/subuid a range for the login name @name or the number @uid? subuid(5) */
static bool subuid_range(const char *name, uid_t uid)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	char number[16];
	char *save = NULL, *line;

	if (read_file_at(AT_FDCWD, "/etc/subuid", &b) < 0 || !b.data)
		return false;
	snprintf(number, sizeof(number), "%u", uid);
	for (line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, ":")] = '\0';
		if ((name && streq(line, name)) || streq(line, number))
			return true;
	}
	return false;
}

static void probe_newuidmap(struct probe_full *f)
{
	static const char *const places[] = { "/usr/bin/newuidmap", "/bin/newuidmap",
					      "/usr/local/bin/newuidmap" };
	const struct passwd *pw = getpwuid(f->uid);
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(places) && !found; i++)
		found = access(places[i], X_OK) == 0;
	f->newuidmap = found && subuid_range(pw ? pw->pw_name : NULL, f->uid);
}

/* For the trial, which takes no argument. */
static const void *network_batch;
static size_t network_size;

static int try_network(void)
{
	static const uint8_t v4[4] = { 198, 18, 0, 1 };
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return errno;
	r = sys_netlink_any_is_local(false, v4);
	if (r == 0 && network_size > 0)
		r = sys_netlink(NETLINK_NETFILTER, network_batch, network_size);
	return -r;
}

static int try_network_v6(void)
{
	static const uint8_t v6[16] = { 0xfd, [15] = 1 };
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return errno;
	return -sys_netlink_any_is_local(true, v6);
}

int probe_network(const void *batch, size_t size, bool *v6)
{
	int r;

	network_batch = batch;
	network_size = size;
	r = trial(CLONE_NEWUSER | CLONE_NEWNET, try_network);
	*v6 = r == 0 && trial(CLONE_NEWUSER | CLONE_NEWNET, try_network_v6) == 0;
	return r;
}

int probe_full(struct probe_full *ret)
{
	struct probe_full f = { 0 };
	int r = probe_quick(&f.quick);

	if (r < 0)
		return r;
	outer_uid = geteuid();
	outer_gid = getegid();
	probe_self(&f);
	probe_landlock(&f);
	probe_namespaces(&f);
	probe_calls(&f);
	probe_mounts(&f);
	probe_container(&f);
	probe_sysctls(&f);
	probe_newuidmap(&f);
	*ret = f;
	return 0;
}
