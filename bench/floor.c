/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: what a sandbox with all of Purple's layers costs when one
 * program does it all by hand. `floor CMD [ARG…]` runs CMD in eight new
 * namespaces, on a root file system of its own, without capabilities, under
 * no_new_privs, Landlock and seccomp. It has no policy, no PID 1 but the
 * command itself, no terminal and no report: it is a ruler for `make bench`,
 * not a product, and it is not installed.
 *
 * Works as root and as any user: the child maps its own uid and gid to
 * themselves. Its file system is the host's system directories, read-only,
 * and the current directory (where the command is expected to be).
 *
 * Theory of operation: the child of clone3(CLONE_VM | CLONE_VFORK) runs on
 * the stack of its parent, which sleeps until the child has exec'd or ended.
 * So there is no copy of page tables, no second stack, no pipe to report
 * through: the child makes each layer in turn and becomes the command.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "confine.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define EIGHT_NAMESPACES                                                                           \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP | CLONE_NEWTIME)
#define MNT_DETACH 2 /* musl keeps it in <sys/mount.h>, which clashes with linux/mount.h */

/* Where the new root is put together before it becomes the root. */
#define STAGING "/tmp"

const char confine_program[] = "floor";

/* ---- user namespace ------------------------------------------------------------- */

static void put_file(const char *path, const char *text)
{
	int fd = open_at(path, O_WRONLY, "userns");

	check(write(fd, text, strlen(text)), "userns", path);
	close(fd);
}

/* "ID ID 1": the caller's own id, to itself. */
static void single_map(const char *path, unsigned id)
{
	char text[32], digits[12];
	size_t n = 0, len = 0;

	do
		digits[n++] = (char)('0' + id % 10);
	while ((id /= 10) > 0);
	for (int twice = 0; twice < 2; twice++) {
		for (size_t i = n; i > 0; i--)
			text[len++] = digits[i - 1];
		text[len++] = ' ';
	}
	text[len++] = '1';
	text[len] = '\0';
	put_file(path, text);
}

static void map_ids(unsigned uid, unsigned gid)
{
	single_map("/proc/self/uid_map", uid);
	put_file("/proc/self/setgroups", "deny");
	single_map("/proc/self/gid_map", gid);
}

/* ---- root file system ----------------------------------------------------------- */

static int new_fs(const char *type, const char *key, const char *value)
{
	int fs = check(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC), "fsopen", type);
	int mnt;

	if (key)
		check(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0), type, key);
	check(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "create", type);
	mnt = check(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV),
		    "fsmount", type);
	close(fs);
	return mnt;
}

static void attach(int mnt, int dirfd, const char *target)
{
	check(syscall(SYS_move_mount, mnt, "", dirfd, target, MOVE_MOUNT_F_EMPTY_PATH),
	      "move_mount", target);
	close(mnt);
}

/* A detached copy of the host's "/@name", with @attrs. */
static int clone_tree(const char *name, unsigned attrs)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | attrs };
	char source[4096] = "/";
	int mnt;

	strncat(source, name, sizeof(source) - 2);
	mnt = check(syscall(SYS_open_tree, AT_FDCWD, source,
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE),
		    "bind", source);
	check(syscall(SYS_mount_setattr, mnt, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
		      sizeof(attr)),
	      "mount_setattr", source);
	return mnt;
}

static void make_dirs(const char *name)
{
	char path[4096];
	size_t len = strlen(name);

	if (len >= sizeof(path)) {
		errno = ENAMETOOLONG;
		die("rootfs", name);
	}
	memcpy(path, name, len + 1);
	for (size_t i = 0; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		path[i] = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			die("mkdir", path);
		path[i] = name[i];
	}
}

static void build_root(const char *workspace)
{
	/* Taken first: the staging directory may cover it. */
	int workspace_mnt = clone_tree(workspace, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
	int root = new_fs("tmpfs", "size", "1m");

	attach(root, AT_FDCWD, STAGING);
	check(chdir(STAGING), "chdir", STAGING);
	for (size_t i = 0; i < CONFINE_DIRS; i++) {
		make_dirs(confine_dirs[i]);
		attach(clone_tree(confine_dirs[i], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV), AT_FDCWD,
		       confine_dirs[i]);
	}
	make_dirs("tmp");
	attach(new_fs("tmpfs", "size", "64m"), AT_FDCWD, "tmp");
	make_dirs(workspace);
	attach(workspace_mnt, AT_FDCWD, workspace);
	make_dirs("proc");
	attach(new_fs("proc", NULL, NULL), AT_FDCWD, "proc");
	make_dirs("dev");
	for (size_t i = 0; i < CONFINE_NODES; i++) {
		close(open_at(confine_nodes[i], O_WRONLY | O_CREAT, "dev"));
		attach(clone_tree(confine_nodes[i], 0), AT_FDCWD, confine_nodes[i]);
	}
	/* With both names ".", the old root ends on top of the new one. */
	check(syscall(SYS_pivot_root, ".", "."), "pivot_root", STAGING);
	check(syscall(SYS_umount2, ".", MNT_DETACH), "umount", "the old root");
	check(chdir("/"), "chdir", "/");
}

/* ---- the two processes ---------------------------------------------------------- */

struct job {
	char **argv;
	const char *workspace; /* without its first '/' */
	unsigned uid, gid;
};

static _noreturn_ void child(const struct job *job)
{
	map_ids(job->uid, job->gid);
	build_root(job->workspace);
	confine(job->workspace);
	execvp(job->argv[0], job->argv);
	die("exec", job->argv[0]);
}

static __attribute__((__noinline__)) int spawn(const struct job *job)
{
	struct clone_args args = {
		.flags = EIGHT_NAMESPACES | CLONE_VM | CLONE_VFORK,
		.exit_signal = SIGCHLD,
	};
	long pid = confine_clone(&args);

	if (pid == 0)
		child(job);
	if (pid < 0) {
		errno = (int)-pid;
		die("clone3", "eight namespaces");
	}
	return (int)pid;
}

int main(int argc, char **argv)
{
	static char cwd[4096];
	struct job job = { .argv = argv + 1, .uid = geteuid(), .gid = getegid() };
	int status, pid;

	if (argc < 2 || !getcwd(cwd, sizeof(cwd)) || strcmp(cwd, "/") == 0) {
		errno = EINVAL;
		die("usage", "floor CMD [ARG…], in a directory other than /");
	}
	job.workspace = cwd + 1;
	pid = spawn(&job);
	check(waitpid(pid, &status, 0), "wait", argv[1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
