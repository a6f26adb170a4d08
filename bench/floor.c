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
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "filter.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define EIGHT_NAMESPACES                                                                           \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP | CLONE_NEWTIME)
#define MNT_DETACH 2 /* musl keeps it in <sys/mount.h>, which clashes with linux/mount.h */

/* Where the new root is put together before it becomes the root. */
#define STAGING "/tmp"

/* The 14 read-only binds: the current directory is the last of them. */
static const char *const system_dirs[] = {
	"usr",	   "bin",	"sbin",	   "lib",   "lib64", "etc", "opt",
	"var/lib", "var/cache", "var/log", "media", "mnt",   "srv",
};
static const char *const device_nodes[] = {
	"dev/null", "dev/zero", "dev/full", "dev/random", "dev/urandom", "dev/tty",
};

static _noreturn_ void die(const char *stage, const char *what)
{
	const char *parts[] = { "floor: ", stage, ": ", what, ": ", strerror(errno), "\n" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		ssize_t r = write(STDERR_FILENO, parts[i], strlen(parts[i]));

		(void)r;
	}
	_exit(125);
}

/* musl's open() sets O_CLOEXEC in a second system call. */
static int open_at(const char *path, int flags, const char *stage)
{
	long fd = syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(stage, path);
	return (int)fd;
}

static int check(long r, const char *stage, const char *what)
{
	if (r < 0)
		die(stage, what);
	return (int)r;
}

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
	for (size_t i = 0; i < ARRAY_SIZE(system_dirs); i++) {
		make_dirs(system_dirs[i]);
		attach(clone_tree(system_dirs[i], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV), AT_FDCWD,
		       system_dirs[i]);
	}
	make_dirs("tmp");
	attach(new_fs("tmpfs", "size", "64m"), AT_FDCWD, "tmp");
	make_dirs(workspace);
	attach(workspace_mnt, AT_FDCWD, workspace);
	make_dirs("proc");
	attach(new_fs("proc", NULL, NULL), AT_FDCWD, "proc");
	make_dirs("dev");
	for (size_t i = 0; i < ARRAY_SIZE(device_nodes); i++) {
		close(open_at(device_nodes[i], O_WRONLY | O_CREAT, "dev"));
		attach(clone_tree(device_nodes[i], 0), AT_FDCWD, device_nodes[i]);
	}
	/* With both names ".", the old root ends on top of the new one. */
	check(syscall(SYS_pivot_root, ".", "."), "pivot_root", STAGING);
	check(syscall(SYS_umount2, ".", MNT_DETACH), "umount", "the old root");
	check(chdir("/"), "chdir", "/");
}

/* ---- the process's own bonds ---------------------------------------------------- */

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		check(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0), "capabilities", "bounding set");
	check(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "capabilities", "ambient");
	check(syscall(SYS_capset, &header, none), "capabilities", "capset");
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs", "prctl");
}

/* The kernel's struct in its ABI 6 form; older headers know less of it. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};

static const uint64_t read_execute = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
				     LANDLOCK_ACCESS_FS_READ_DIR;

static void allow_beneath(int ruleset, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };

	rule.parent_fd = open_at(path, O_PATH, "landlock");
	check(syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0),
	      "landlock", path);
	close(rule.parent_fd);
}

static void restrict_files(const char *workspace)
{
	static const unsigned char fs_bits[] = { 13, 13, 14, 15, 15, 16 }; /* by ABI */
	struct ruleset_attr attr = { 0 };
	int abi = check(syscall(SYS_landlock_create_ruleset, NULL, 0,
				LANDLOCK_CREATE_RULESET_VERSION),
			"landlock", "version");
	int ruleset;

	attr.fs = (1ULL << fs_bits[MIN((size_t)abi, ARRAY_SIZE(fs_bits) - 1)]) - 1;
	if (abi >= 4)
		attr.net = 3; /* bind and connect */
	if (abi >= 6)
		attr.scoped = 3; /* abstract sockets and signals */
	ruleset = check(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0), "landlock",
			"ruleset");
	/* 20 rules: 13 system directories, the workspace, 4 device nodes, /proc, /tmp. */
	for (size_t i = 0; i < ARRAY_SIZE(system_dirs); i++)
		allow_beneath(ruleset, system_dirs[i], read_execute);
	allow_beneath(ruleset, workspace, read_execute);
	for (size_t i = 0; i < 4; i++)
		allow_beneath(ruleset, device_nodes[i],
			      LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
	allow_beneath(ruleset, "proc", read_execute);
	allow_beneath(ruleset, "tmp", attr.fs);
	check(syscall(SYS_landlock_restrict_self, ruleset, 0), "landlock", "restrict");
	close(ruleset);
}

static void filter_calls(void)
{
	struct sock_filter code[BENCH_FILTER_MAX];
	struct sock_fprog prog = { .filter = code };

	prog.len = (unsigned short)bench_filter(code);
	check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog), "seccomp", "load");
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
	drop_capabilities();
	restrict_files(job->workspace);
	check(chdir(job->workspace), "chdir", job->workspace);
	filter_calls();
	execvp(job->argv[0], job->argv);
	die("exec", job->argv[0]);
}

/* The kernel's answer is needed without a function's return in between: both share a stack. */
static inline __attribute__((__always_inline__)) long raw_clone3(struct clone_args *args)
{
#if defined(__x86_64__)
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args))
			 : "rcx", "r11", "memory");
	return r;
#else
	register long r __asm__("x0") = (long)args;
	register long size __asm__("x1") = sizeof(*args);
	register long number __asm__("x8") = SYS_clone3;

	__asm__ volatile("svc 0" : "+r"(r) : "r"(size), "r"(number) : "memory");
	return r;
#endif
}

static __attribute__((__noinline__)) int spawn(const struct job *job)
{
	struct clone_args args = {
		.flags = EIGHT_NAMESPACES | CLONE_VM | CLONE_VFORK,
		.exit_signal = SIGCHLD,
	};
	long pid = raw_clone3(&args);

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
