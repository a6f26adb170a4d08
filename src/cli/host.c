/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/host.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/macros.h"
#include "cgroup/cgroup.h"
#include "cli/caller.h"
#include "plan/plan.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static enum host_kind kind_of(mode_t mode)
{
	return S_ISDIR(mode)			? HK_DIR
	       : S_ISREG(mode)			? HK_FILE
	       : S_ISLNK(mode)			? HK_SYMLINK
	       : S_ISCHR(mode) || S_ISBLK(mode) ? HK_DEVICE
						: HK_OTHER;
}

static int look(void *ctx, const char *path, struct host_path *ret)
{
	struct stat st;
	ssize_t n;

	(void)ctx;
	memset(ret, 0, sizeof(*ret));
	if (lstat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	ret->kind = kind_of(st.st_mode);
	if (ret->kind == HK_SYMLINK) {
		n = readlink(path, ret->link, sizeof(ret->link) - 1);
		if (n < 0)
			return -errno;
	}
	if (!realpath(path, ret->real) || stat(ret->real, &st) < 0) {
		ret->real[0] = '\0';
		return errno == ENOENT || errno == ELOOP ? 0 : -errno;
	}
	ret->target = kind_of(st.st_mode);
	ret->identity = plan_identity(st.st_dev, st.st_ino);
	ret->mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return 0;
}

static int list(void *ctx, const char *path, void (*fn)(void *arg, const char *name), void *arg)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort);

	(void)ctx;
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.')
			fn(arg, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return 0;
}

static int try_network(void *ctx, const void *batch, size_t size, bool *v6)
{
	(void)ctx;
	return -probe_network(batch, size, v6);
}

static uint64_t kernel_namespaces(void)
{
	static const struct {
		const char *file;
		uint64_t flag;
	} ns[] = {
		{ "/proc/self/ns/user", CLONE_NEWUSER },
		{ "/proc/self/ns/pid", CLONE_NEWPID },
		{ "/proc/self/ns/mnt", CLONE_NEWNS },
		{ "/proc/self/ns/net", CLONE_NEWNET },
		{ "/proc/self/ns/ipc", CLONE_NEWIPC },
		{ "/proc/self/ns/uts", CLONE_NEWUTS },
		{ "/proc/self/ns/cgroup", CLONE_NEWCGROUP },
		{ "/proc/self/ns/time", CLONE_NEWTIME },
	};
	uint64_t r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ns); i++)
		if (access(ns[i].file, F_OK) == 0)
			r |= ns[i].flag;
	return r;
}

/* What limits are measured against. */
static void look_at_machine(struct host *h)
{
	const struct cg_site *s = cg_here();
	struct sysinfo info;
	cpu_set_t set;

	h->cgroup = (struct host_cgroup){ s->controllers, s->no_swap_limit, s->why,
					  (int64_t)cg_site_identity(s) };
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		h->processors = (unsigned)CPU_COUNT(&set);
	h->processors_max = (unsigned)MAX(sysconf(_SC_NPROCESSORS_CONF), 0);
	if (sysinfo(&info) == 0)
		h->memory = (uint64_t)info.totalram * info.mem_unit;
}

/* Linux 6.6, CONFIG_TMPFS_XATTR: asked of a file in memory that nobody sees. */
static bool memory_takes_xattrs(void)
{
	int fd = memfd_create("purple", MFD_CLOEXEC);
	bool yes = fd >= 0 && fsetxattr(fd, "user.purple", "", 0, 0) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

void host_init(struct host *h, const struct probe_quick *quick, bool best_effort)
{
	const struct passwd *pw = getpwuid(geteuid());
	const char *home = getenv("HOME");

	*h = (struct host){
		.uid = geteuid(),
		.gid = getegid(),
		.user = pw ? pw->pw_name : NULL,
		.home = home && home[0] == '/' ? home : NULL,
		.root = caller_is_root(),
		.best_effort = best_effort,
		.memory_layers = memory_takes_xattrs(),
		.landlock_abi = quick->landlock_abi,
		.namespaces = kernel_namespaces(),
		.look = look,
		.list = list,
		.try_network = try_network,
	};
	look_at_machine(h);
}
