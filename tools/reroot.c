/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroot CMD [ARG…]`: run a command where user namespaces can be made.
 *
 * The kernel refuses user namespaces to a process whose root directory is
 * not the root of its mount namespace (kernel/user_namespace.c,
 * current_chrooted()), so in a plain chroot nothing of Purple can be tested.
 * As root, this program gives the command a private mount namespace in which
 * the present root directory is the real root, with /proc, /sys, /dev/pts
 * and /dev/shm where they are missing. Everywhere else, and where it may not
 * do that, it only runs the command. Nothing that it mounts reaches the
 * host: the namespace is private before the first mount, and ends with the
 * command.
 *
 * How: setns(2) to one's own mount namespace resets the root directory to
 * the namespace's real root, from where the propagation can be made private
 * (in the chroot "/" need not be a mount, and cannot be named). The old root
 * is held by a descriptor, copied as a tree, mounted over itself, and
 * pivot_root'ed to.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"

/* <sys/mount.h> and <linux/mount.h> cannot both be included with older C libraries. */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data);
int umount2(const char *target, int flags);
#define UMOUNT_DETACH 2

/* What a bare root lacks; each is mounted if its witness is not there. */
static const struct {
	const char *witness, *type, *target, *data;
	unsigned long flags;
} mounts[] = {
	{ "/proc/self", "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "/sys/kernel", "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY },
	{ "/dev/null", "tmpfs", "/dev", "mode=755,size=1m", MS_NOSUID },
	{ "/dev/pts/ptmx", "devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=620,gid=5",
	  MS_NOSUID | MS_NOEXEC },
	{ "/dev/shm/.", "tmpfs", "/dev/shm", "mode=1777,size=50%", MS_NOSUID | MS_NODEV },
};

static const struct {
	const char *path;
	unsigned major, minor;
} nodes[] = {
	{ "/dev/null", 1, 3 },	 { "/dev/zero", 1, 5 },	   { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

static const struct {
	const char *path, *target;
} links[] = {
	{ "/dev/fd", "/proc/self/fd" },	      { "/dev/stdin", "/proc/self/fd/0" },
	{ "/dev/stdout", "/proc/self/fd/1" }, { "/dev/stderr", "/proc/self/fd/2" },
	{ "/dev/ptmx", "pts/ptmx" },
};

static _noreturn_ void fail(const char *what)
{
	fprintf(stderr, "reroot: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* 0, or the errno of making a user namespace here. Tried in a child. */
static int try_user_namespace(void)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return ECHILD;
	return WEXITSTATUS(status);
}

static void pivot_to_current_root(void)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	_cleanup_close_ int tree = -1;

	if (root < 0 || self < 0)
		fail("open the root");
	if (setns(self, CLONE_NEWNS) < 0)
		fail("setns");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail("make the mounts private");
	tree = (int)syscall(SYS_open_tree, root, "",
			    AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		fail("copy the root");
	if (syscall(SYS_move_mount, tree, "", root, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		fail("mount the root over itself");
	if (fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		fail("pivot_root");
	if (umount2(".", UMOUNT_DETACH) < 0 || chdir("/") < 0)
		fail("leave the old root");
}

static void fill_dev(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		if (mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) <
		    0)
			fail(nodes[i].path);
		chmod(nodes[i].path, 0666);
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlink(links[i].target, links[i].path) < 0)
			fail(links[i].path);
}

/* /dev/shm is there as a directory, but on the root's own disk: good enough only if writable. */
static bool is_there(const char *witness)
{
	struct stat st;

	if (stat(witness, &st) < 0)
		return false;
	return strcmp(witness, "/dev/null") != 0 || S_ISCHR(st.st_mode);
}

static void mount_what_is_missing(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		if (is_there(mounts[i].witness))
			continue;
		if (mkdir(mounts[i].target, 0755) < 0 && errno != EEXIST)
			fail(mounts[i].target);
		if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
			  mounts[i].data) < 0) {
			/* A container without the right to sysfs still runs the rest. */
			fprintf(stderr, "reroot: %s stays missing: %s\n", mounts[i].target,
				strerror(errno));
			continue;
		}
		if (strcmp(mounts[i].target, "/dev") == 0)
			fill_dev();
	}
}

static void reroot(int userns_error)
{
	char cwd[PATH_MAX];

	if (!getcwd(cwd, sizeof(cwd)))
		fail("getcwd");
	if (unshare(CLONE_NEWNS) < 0) {
		fprintf(stderr, "reroot: going on in place: no mount namespace: %s\n",
			strerror(errno));
		return;
	}
	fprintf(stderr,
		"reroot: %s: the command gets a mount namespace with this root as its "
		"own\n",
		userns_error == EPERM ? "this is a chroot" : "/proc is missing");
	pivot_to_current_root();
	mount_what_is_missing();
	if (chdir(cwd) < 0)
		fail(cwd);
}

int main(int argc, char **argv)
{
	int userns_error;

	if (argc < 2) {
		fprintf(stderr, "usage: reroot CMD [ARG...]\n");
		return 125;
	}
	userns_error = try_user_namespace();
	if (geteuid() == 0 && (userns_error == EPERM || access("/proc/self", F_OK) < 0))
		reroot(userns_error);
	execvp(argv[1], argv + 1);
	fprintf(stderr, "reroot: %s: %s\n", argv[1], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
