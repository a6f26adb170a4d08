/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids: user_namespaces(7). The launcher writes the maps from outside, since
 * mapping a range takes privileges that only it has; PID 1 waits for them.
 *
 * IDMAP_SINGLE: the caller's uid and gid, to themselves. setgroups is denied
 * first, or leaving a group could open what the group is kept from
 * (CVE-2014-8989).
 * IDMAP_RANGE: inside 0 … 65535 are range_base … on the host, never 0. Trees
 * of the host that the command shall write are mounted id-mapped
 * (mount_setattr(2), MOUNT_ATTR_IDMAP), so that inside id N is N on disk.
 */
#include "jail/internal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sys/files.h"
#include "sys/mounts.h"
#include "sys/process.h"

#define RANGE_SIZE 65536u

static int write_map(struct jail *j, const char *file, unsigned inside, unsigned outside,
		     unsigned count)
{
	char path[48], line[48];
	int n, r;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)j->pid1, file);
	n = snprintf(line, sizeof(line), "%u %u %u\n", inside, outside, count);
	r = sys_write_file(AT_FDCWD, path, line, (size_t)n);
	if (r < 0)
		err_set(&j->err, r, "ids", "write %u %u %u to the sandbox's %s", inside, outside,
			count, file);
	return r;
}

static int write_maps(struct jail *j)
{
	const struct launch *l = j->launch;
	char path[48];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)j->pid1);
	r = sys_write_file(AT_FDCWD, path, "deny", 4);
	if (r < 0)
		return err_set(&j->err, r, "ids", "deny setgroups (%s)", path);
	if (j->plan->idmap == IDMAP_RANGE) {
		r = write_map(j, "uid_map", 0, l->range_base, RANGE_SIZE);
		return r < 0 ? r : write_map(j, "gid_map", 0, l->range_base, RANGE_SIZE);
	}
	r = write_map(j, "uid_map", l->uid, l->host_uid, 1);
	return r < 0 ? r : write_map(j, "gid_map", l->gid, l->host_gid, 1);
}

/* @store: the layers that @m needs as well; NULL: @m itself. */
static int open_idmapped(struct jail *j, const struct plan_mount *m,
			 const struct launch_layers *store, int userns)
{
	struct mount_attr attr = {
		.attr_set = m->flags & PMF_IDMAP ? MOUNT_ATTR_IDMAP : 0,
		.propagation = MS_PRIVATE,
		.userns_fd = m->flags & PMF_IDMAP ? (uint64_t)userns : 0,
	};
	static _scratch_data_ char buf[PATH_MAX];
	const char *source = j->launch->workspace;
	int fd = -1, tree, r;

	if (store) {
		source = store->path;
		tree = sys_open_tree_clone(store->fd, "", AT_EMPTY_PATH);
	} else if (m->kind == PM_WORKSPACE) {
		tree = sys_open_tree_clone(j->launch->workspace_fd, "",
					   AT_EMPTY_PATH | AT_RECURSIVE);
	} else {
		source = jail_place(j, m->source, buf);
		if (!source)
			return -j->err.code;
		fd = sys_open_canonical(source, O_PATH);
		tree = fd < 0 ? fd : sys_open_tree_clone(fd, "", AT_EMPTY_PATH | AT_RECURSIVE);
		sys_close(fd);
	}
	if (tree < 0)
		return err_set(&j->err, tree, "rootfs", "open %s", source);
	r = sys_mount_setattr(tree, AT_RECURSIVE, &attr);
	if (r < 0) {
		sys_close(tree);
		err_set(&j->err, r, "ids", "map the owners of %s into the sandbox's id range",
			source);
		err_remedy(&j->err,
			   "its file system does not support id-mapped mounts; keep the "
			   "workspace on ext4, xfs, btrfs or tmpfs, or run purple as the user who "
			   "owns it");
		return r;
	}
	return tree;
}

int jail_write_ids(struct jail *j)
{
	const struct plan_mount *m = plan_items(j->plan, mounts, struct plan_mount);
	char path[48];
	int userns, n = 0, r;

	if (!(j->plan->namespaces & CLONE_NEWUSER))
		return 0;
	r = write_maps(j);
	if (r < 0 || j->plan->idmap != IDMAP_RANGE)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)j->pid1);
	userns = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	if (userns < 0)
		return err_set(&j->err, userns, "ids", "open %s", path);
	for (uint32_t i = 0; i < j->plan->mounts.count && r >= 0; i++) {
		const struct launch_layers *layers = NULL;
		const char *place;

		if (!(m[i].flags & (PMF_IDMAP | PMF_OUTSIDE)))
			continue;
		if (m[i].flags & PMF_LAYERED)
			layers = jail_layers_of(j, &m[i], &place);
		if (n >= JAIL_IDMAPS_MAX - 1)
			r = err_set(&j->err, E2BIG, "ids", "more than %d id-mapped mounts",
				    JAIL_IDMAPS_MAX - 1);
		else if (!layers || !layers->copy) /* else it is not mounted itself */
			r = j->idmap_fds[n++] = open_idmapped(j, &m[i], NULL, userns);
		if (r < 0 && layers && layers->refused)
			*layers->refused = true;
		if (r >= 0 && layers && layers->upper)
			r = j->idmap_fds[n++] = open_idmapped(j, &m[i], layers, userns);
	}
	sys_close(userns);
	return r < 0 ? r : 0;
}

static int take_on_ids(struct jail *j)
{
	const struct launch *l = j->launch;
	int r;

	r = (int)sys_call(SYS_setresgid, l->gid, l->gid, l->gid);
	if (r == 0)
		r = (int)sys_call(SYS_setresuid, l->uid, l->uid, l->uid);
	return r < 0 ? err_set(&j->err, r, "ids", "become %u:%u", l->uid, l->gid) : 0;
}

int jail_wait_ids(struct jail *j)
{
	uint32_t state;

	while ((state = __atomic_load_n(&j->ids_ready, __ATOMIC_ACQUIRE)) == IDS_WAIT)
		sys_futex_wait(&j->ids_ready, IDS_WAIT);
	if (state == IDS_FAILED)
		return -ECANCELED; /* the launcher has filled j->err */
	return j->plan->namespaces & CLONE_NEWUSER ? take_on_ids(j) : 0;
}

int jail_ids(struct jail *j)
{
	int r = jail_wait_ids(j);

	return r < 0 ? r : jail_die_with_launcher(j);
}
