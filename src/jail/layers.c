/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workspace that is not written at once: overlayfs(5) over it, mounted by PID 1
 * in the sandbox's own user namespace, so with no rights that PID 1 has not. Hence
 * userxattr: what the overlay notes lies in user.overlay.*, and there are neither
 * redirects nor metacopies. What happens to its layers happens with the rights that
 * PID 1 has now, before it gives them up, and is in no Landlock domain.
 */
#include "jail/internal.h"

#include <stdio.h>
#include <string.h>

#include "sys/files.h"
#include "sys/mounts.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

/* Of layers in memory. */
#define MEMORY_UPPER "upper"
#define MEMORY_WORK "work"

/* By descriptor since 6.13 (with O_PATH 6.15), by its name in the host's procfs before. */
static int set_layer(int fs, const char *key, int fd)
{
	char path[32];
	int r = sys_fsconfig_fd(fs, key, fd);

	if (r == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return sys_fsconfig_string(fs, key, path);
}

static int set_lower(int fs, int fd, bool only)
{
	int r = set_layer(fs, "lowerdir+", fd);

	/* Before 6.8. */
	return r == -EINVAL && only ? set_layer(fs, "lowerdir", fd) : r;
}

static int open_layer(int store, const char *name)
{
	return sys_openat2(store, name, O_RDONLY | O_DIRECTORY, 0, BENEATH);
}

static int set_layers(const struct launch_layers *l, int fs, int lower, int store)
{
	int upper = open_layer(store, l->upper ? l->upper : MEMORY_UPPER);
	int work = open_layer(store, l->upper ? l->work : MEMORY_WORK);
	int r = upper < 0 ? upper : work < 0 ? work : set_layer(fs, "upperdir", upper);

	if (r == 0)
		r = set_layer(fs, "workdir", work);
	for (unsigned i = 0; i < l->lower_count && r == 0; i++) {
		int fd = open_layer(store, l->lower[i]);

		r = fd < 0 ? fd : set_lower(fs, fd, false);
		sys_close(fd); /* they may be many */
	}
	if (r == 0)
		r = set_lower(fs, lower, l->lower_count == 0);
	sys_close(work);
	sys_close(upper);
	return r;
}

const struct launch_layers *jail_layers_of(const struct jail *j, const struct plan_mount *m,
					   const char **place)
{
	const struct plan_mount *all = plan_items(j->plan, mounts, struct plan_mount);
	unsigned n = 0;

	if (m->kind == PM_WORKSPACE) {
		*place = j->launch->workspace;
		return j->launch->layers;
	}
	for (const struct plan_mount *at = all; at < m; at++)
		n += at->kind == PM_OVERLAY;
	*place = plan_string(j->plan, m->target);
	return &j->launch->overlays[n];
}

static int failed(struct jail *j, const struct plan_mount *m, int code)
{
	const char *place;
	const struct launch_layers *layers = jail_layers_of(j, m, &place);

	if (layers->refused)
		*layers->refused = true;
	err_set(&j->err, code, "workspace", "mount an overlay over %s", place);
	if (code == -ENODEV)
		err_remedy(&j->err, "this kernel has no overlay file system: modprobe overlay");
	else
		err_remedy(&j->err,
			   "an overlay needs a workspace with nothing mounted below it, and %s on "
			   "a file system that takes user xattrs; --workspace=direct goes without",
			   m->flags & PMF_MEMORY ? "memory" : "the state directory");
	return code;
}

int jail_copy(struct jail *j, const struct launch_layers *l, int store)
{
	int fd = open_layer(store, l->upper), tree;

	tree = fd < 0 ? fd : sys_open_tree_clone(fd, "", AT_EMPTY_PATH);
	sys_close(fd);
	return tree < 0 ? err_set(&j->err, tree, "workspace", "mount the copy in %s", l->path)
			: tree;
}

int jail_overlay(struct jail *j, const struct plan_mount *m, int lower, int store)
{
	const char *place;
	const struct launch_layers *layers = jail_layers_of(j, m, &place);
	int fs = sys_fsopen("overlay"), tree = -1, r;

	if (fs < 0)
		return failed(j, m, fs);
	r = sys_fsconfig_string(fs, "source", "purple");
	if (r == 0)
		r = sys_fsconfig_flag(fs, "userxattr");
	/* Hard links are broken up when they are written, whatever the kernel's default. */
	if (r == 0)
		r = sys_fsconfig_string(fs, "index", "off");
	/*
	 * Else the end of the sandbox would write all that is dirty in the layers' file system,
	 * whoever's it is, and wait for that: as long as a hundred starts, or a build. So fsync(2)
	 * inside does nothing; a power failure may take what was written in the last half minute.
	 */
	if (r == 0)
		r = sys_fsconfig_flag(fs, "volatile");
	if (r == 0)
		r = set_layers(layers, fs, lower, store);
	if (r == 0)
		r = sys_fsconfig_create(fs);
	tree = r < 0 ? r : sys_fsmount(fs, 0);
	sys_close(fs);
	return tree < 0 ? failed(j, m, tree) : tree;
}

/* Its path is walked again: a layer has to be of our own mount namespace. */
int jail_open_store(struct jail *j, const struct launch_layers *l)
{
	int fd = sys_open_canonical(l->path, O_RDONLY | O_DIRECTORY);
	struct stat was, now;

	if (fd < 0)
		return err_set(&j->err, fd, "workspace", "open %s", l->path);
	if (sys_call(SYS_newfstatat, fd, "", &now, AT_EMPTY_PATH) != 0 ||
	    sys_call(SYS_newfstatat, l->fd, "", &was, AT_EMPTY_PATH) != 0 ||
	    was.st_dev != now.st_dev || was.st_ino != now.st_ino)
		return err_set(&j->err, ESTALE, "workspace",
			       "another directory took the place of %s", l->path);
	return fd;
}

int jail_memory(struct jail *j, int like)
{
	char size[24], inodes[24];
	struct stat st = { .st_mode = 0755 };
	int fs = sys_fsopen("tmpfs"), tree, r;

	snprintf(size, sizeof(size), "%llu", (unsigned long long)j->plan->workspace_bytes);
	snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)j->plan->workspace_files);
	r = MIN(fs, 0);
	/* Else the kernel's default: half of the memory. */
	if (r == 0 && j->plan->workspace_bytes)
		r = sys_fsconfig_string(fs, "size", size);
	if (r == 0 && j->plan->workspace_files)
		r = sys_fsconfig_string(fs, "nr_inodes", inodes);
	if (r == 0)
		r = sys_fsconfig_create(fs);
	tree = r < 0 ? r : sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	sys_close(fs);
	r = tree < 0 ? tree : sys_mkdirat(tree, MEMORY_WORK, 0700);
	if (r == 0)
		r = sys_mkdirat(tree, MEMORY_UPPER, 0700);
	/* Its root is the workspace's. */
	if (r == 0)
		r = (int)sys_call(SYS_newfstatat, like, "", &st, AT_EMPTY_PATH);
	if (r == 0)
		r = (int)sys_call(SYS_fchmodat, tree, MEMORY_UPPER, st.st_mode & 07777);
	return r < 0 ? err_set(&j->err, r, "workspace", "make room in memory for changes") : tree;
}
