/* SPDX-License-Identifier: Apache-2.0 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"

const char *const confine_dirs[CONFINE_DIRS] = {
	"usr",	   "bin",	"sbin",	   "lib",   "lib64", "etc", "opt",
	"var/lib", "var/cache", "var/log", "media", "mnt",   "srv",
};
const char *const confine_nodes[CONFINE_NODES] = {
	"dev/null", "dev/zero", "dev/full", "dev/random", "dev/urandom", "dev/tty",
};

_noreturn_ void die(const char *stage, const char *what)
{
	const char *parts[] = { confine_program, ": ", stage, ": ", what, ": ",
				strerror(errno), "\n" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		ssize_t r = write(STDERR_FILENO, parts[i], strlen(parts[i]));

		(void)r;
	}
	_exit(125);
}

/* musl's open() sets O_CLOEXEC in a second system call. */
int open_at(const char *path, int flags, const char *stage)
{
	long fd = syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(stage, path);
	return (int)fd;
}

int check(long r, const char *stage, const char *what)
{
	if (r < 0)
		die(stage, what);
	return (int)r;
}

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
	for (size_t i = 0; i < CONFINE_DIRS; i++)
		allow_beneath(ruleset, confine_dirs[i], read_execute);
	allow_beneath(ruleset, workspace, read_execute);
	for (size_t i = 0; i < 4; i++)
		allow_beneath(ruleset, confine_nodes[i],
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

void confine(const char *workspace)
{
	drop_capabilities();
	restrict_files(workspace);
	check(chdir(workspace), "chdir", workspace);
	filter_calls();
}
