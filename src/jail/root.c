/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system, built from nothing: an empty tmpfs that the plan's
 * mounts fill in order, then pivot_root(2) into it and the host's tree is
 * detached.
 *
 * Everything goes by descriptor. A source is opened by its canonical path
 * with links refused, so a path that was swapped after the plan was made is
 * an error. A target is opened beneath the new root with links refused, so a
 * link inside a bound tree leads nowhere (CVE-2021-30465, CVE-2026-41579).
 * What does not exist is created in our tmpfs only, never in a host's tree.
 * There is no second way when a call fails.
 *
 * One tmpfs serves all: the root is mounted read-only in the end, and scratch
 * directories are writable bind mounts of its own directories, so that one
 * size limit holds for all of them.
 */
#include "jail/internal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sys/files.h"
#include "sys/landlock.h"
#include "sys/mounts.h"
#include "sys/process.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

static int fail(struct jail *j, int code, const char *what, const struct plan_mount *m)
{
	const char *source = plan_string(j->plan, m->source);
	const char *target = plan_string(j->plan, m->target);

	if (m->kind == PM_WORKSPACE)
		source = target = j->launch->workspace;
	if (source) {
		code = err_set(&j->err, code, "rootfs", "%s %s at %s", what, source, target);
		if (code == -ENOENT && source[0] == '.')
			err_remedy(&j->err,
				   "a path with ./ is meant from the workspace, and has to be "
				   "there before the start");
		return code;
	}
	return err_set(&j->err, code, "rootfs", "%s %s", what, target);
}

/*
 * A path of the plan: "./x" is relative to the workspace. @buf has PATH_MAX
 * bytes. NULL with j->err set when there is no workspace, or no room.
 */
const char *jail_place(struct jail *j, struct plan_str s, char *buf)
{
	const char *path = plan_string(j->plan, s), *top = j->launch->workspace;
	size_t n;

	if (!path || path[0] != '.')
		return path;
	if (!top) {
		err_set(&j->err, EPROTO, "rootfs", "%s: there is no workspace", path);
		return NULL;
	}
	n = strlen(top);
	if (n + s.len > PATH_MAX) {
		err_set(&j->err, ENAMETOOLONG, "rootfs", "%s%s", top, path + 1);
		return NULL;
	}
	memcpy(buf, top, n);
	memcpy(buf + n, path + 1, s.len); /* the NUL included */
	return buf;
}

static uint64_t to_attrs(uint32_t flags)
{
	return (flags & PMF_RDONLY ? MOUNT_ATTR_RDONLY : 0) |
	       (flags & PMF_NOSUID ? MOUNT_ATTR_NOSUID : 0) |
	       (flags & PMF_NODEV ? MOUNT_ATTR_NODEV : 0) |
	       (flags & PMF_NOEXEC ? MOUNT_ATTR_NOEXEC : 0);
}

/* Only below our own tmpfs may anything be created. */
static bool is_ours(struct jail *j, int fd)
{
	struct stat st;

	/* x86_64 and aarch64 both have newfstatat with this layout. */
	return fd == j->root_fd || (sys_call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) == 0 &&
				    st.st_dev == j->root_dev);
}

/* The directory @name below @fd, made if it is ours to make; -errno. */
static int enter_dir(struct jail *j, int fd, const char *name, mode_t mode)
{
	int r = is_ours(j, fd) ? sys_mkdirat(fd, name, mode) : 0;

	return r < 0 && r != -EEXIST ? r : sys_openat2(fd, name, O_PATH | O_DIRECTORY, 0, BENEATH);
}

/*
 * Open the directory that holds the last component of @path (absolute inside),
 * making what is missing of it. It stays open for the next entry, which most
 * often has the same parent.
 */
static int open_parent(struct jail *j, const char *path, const char **last)
{
	struct jail_parent *p = &j->parent;
	const char *part = path + 1, *end = strrchr(path, '/');
	char name[256];
	int fd = j->root_fd;

	*last = end + 1;
	if (end == path) /* right below the root */
		return fd;
	if (p->fd >= 0 && p->len == (size_t)(end - path) && memcmp(p->path, path, p->len) == 0)
		return p->fd;
	for (; part < end; part = strchrnul(part, '/') + 1) {
		size_t n = (size_t)(strchrnul(part, '/') - part);
		int next = -ENAMETOOLONG;

		if (n < sizeof(name)) {
			memcpy(name, part, n);
			name[n] = '\0';
			next = enter_dir(j, fd, name, 0755);
		}
		if (next < 0)
			return next;
		fd = next;
	}
	*p = (struct jail_parent){
		.path = path, .len = (size_t)(end - path), .fd = fd, .ours = is_ours(j, fd)
	};
	return fd;
}

/* May the directory that open_parent() returned be added to? */
static bool parent_is_ours(const struct jail *j, int parent)
{
	return parent == j->root_fd || j->parent.ours;
}

/* A descriptor of the place @path in the new root, made if it is ours to make. */
static int open_target(struct jail *j, const char *path, bool is_file, mode_t mode)
{
	const char *last;
	int parent = open_parent(j, path, &last);

	if (parent < 0)
		return parent;
	if (!parent_is_ours(j, parent))
		return sys_openat2(parent, last, O_PATH, 0, BENEATH);
	if (!is_file)
		return enter_dir(j, parent, last, mode);
	return sys_openat2(parent, last, O_CREAT | O_RDONLY | O_NONBLOCK | O_NOCTTY, mode, BENEATH);
}

/* Landlock: what the plan grants beneath @fd. */
static int grant(struct jail *j, const struct plan_mount *m, int fd)
{
	int r;

	if (m->landlock == 0 || j->ruleset_fd < 0)
		return 0;
	r = jail_allow(j, fd, m->landlock & j->plan->landlock_fs,
		       jail_is_guarded(j->plan, j->launch, m));
	/* Of a path in the workspace nobody knew that it is a file, which takes fewer rights. */
	if (r == -EINVAL)
		r = jail_allow(j, fd, m->landlock & j->plan->landlock_fs & LL_FILE_RIGHTS,
			       jail_is_guarded(j->plan, j->launch, m));
	return r < 0 ? fail(j, r, "Landlock rule for", m) : 0;
}

/* What was mounted at @path covers the directory that is open for the next entry. */
static void forget_parent(struct jail *j, const char *path)
{
	size_t n = strlen(path);

	if (j->parent.fd >= 0 && n <= j->parent.len && memcmp(j->parent.path, path, n) == 0)
		j->parent.fd = -1;
}

/* Attach the detached mount @tree where @m says. */
static int attach(struct jail *j, const struct plan_mount *m, int tree, const char *path)
{
	int to, r;

	to = open_target(j, path, m->flags & PMF_IS_FILE, m->mode ? m->mode : 0755);
	if (to < 0)
		return fail(j, to, "make the place for", m);
	r = sys_move_mount(tree, to);
	if (r < 0)
		return fail(j, r, "mount", m);
	forget_parent(j, path);
	return grant(j, m, tree);
}

/* Give the tree the plan's flags; private, so that no host mount follows it in. */
static int set_flags(struct jail *j, const struct plan_mount *m, int tree)
{
	struct mount_attr attr = { .attr_set = to_attrs(m->flags), .propagation = MS_PRIVATE };
	int r;

	/* A device node: no flag binds it, and nothing can be mounted below it. */
	if (attr.attr_set == 0 && m->kind == PM_DEVICE)
		return 0;
	r = sys_mount_setattr(tree, m->flags & PMF_RECURSIVE ? AT_RECURSIVE : 0, &attr);
	return r < 0 ? fail(j, r, "restrict", m) : 0;
}

static int clone_tree(struct jail *j, const struct plan_mount *m, int fd, const char *path)
{
	int tree = sys_open_tree_clone(fd, path,
				       (*path ? 0 : AT_EMPTY_PATH) |
					       (m->flags & PMF_RECURSIVE ? AT_RECURSIVE : 0) |
					       AT_SYMLINK_NOFOLLOW);
	int r;

	if (tree < 0)
		return fail(j, tree, "bind", m);
	r = set_flags(j, m, tree);
	return r < 0 ? r : tree;
}

/* The launcher has made the id-mapped tree already, from outside. */
static int take_idmapped(struct jail *j, const struct plan_mount *m)
{
	int tree = j->idmap_fds[j->next_idmap++];
	int r = set_flags(j, m, tree);

	return r < 0 ? r : tree;
}

static int mount_bind(struct jail *j, const struct plan_mount *m)
{
	static _scratch_data_ char source_buf[PATH_MAX], target_buf[PATH_MAX];
	const char *source = jail_place(j, m->source, source_buf);
	const char *target = jail_place(j, m->target, target_buf);
	int fd, tree;

	if (!source || !target)
		return -j->err.code;
	if (m->flags & (PMF_IDMAP | PMF_OUTSIDE)) {
		tree = take_idmapped(j, m);
	} else {
		fd = sys_open_canonical(source, O_PATH);
		if (fd < 0)
			return fail(j, fd, "bind", m);
		tree = clone_tree(j, m, fd, "");
	}
	tree = tree < 0 ? tree : attach(j, m, tree, target);
	if (target == target_buf)
		j->parent.fd = -1; /* its path is in our buffer */
	return tree;
}

/*
 * What is written in the workspace @lower goes elsewhere. The trees that it is made of
 * are put in its place first, where they are not in our mount namespace yet, and
 * covered by it: a layer has to be attached (clone_private_mount(), fs/namespace.c).
 */
static int mount_layered(struct jail *j, const struct plan_mount *m, int lower)
{
	const char *place;
	const struct launch_layers *l = jail_layers_of(j, m, &place);
	int to = open_target(j, place, false, 0755), store = -1, tree, r = 0;

	if (to < 0)
		return fail(j, to, "make the place for", m);
	if (m->flags & PMF_IDMAP && !l->copy)
		r = sys_move_mount(lower, to);
	if (m->flags & PMF_MEMORY && !l->copy) {
		store = jail_memory(j, m->kind == PM_WORKSPACE ? j->launch->workspace_fd : lower);
		r = store < 0 || r < 0 ? r : sys_move_mount(store, to);
	} else if (m->flags & PMF_IDMAP) {
		store = j->idmap_fds[j->next_idmap++];
		r = r < 0 ? r : sys_move_mount(store, to);
	} else {
		store = jail_open_store(j, l);
	}
	if (r < 0)
		return fail(j, r, "put the layers in the place of", m);
	tree = store < 0 ? store
	       : l->copy ? jail_copy(j, l, store)
			 : jail_overlay(j, m, lower, store);
	r = tree < 0 ? tree : set_flags(j, m, tree);
	return r < 0 ? r : attach(j, m, tree, place);
}

static int mount_overlay(struct jail *j, const struct plan_mount *m)
{
	int lower;

	if (m->flags & PMF_IDMAP)
		return mount_layered(j, m, j->idmap_fds[j->next_idmap++]);
	lower = sys_open_canonical(plan_string(j->plan, m->source), O_PATH | O_DIRECTORY);
	return lower < 0 ? fail(j, lower, "open", m) : mount_layered(j, m, lower);
}

/*
 * The workspace was opened by the launcher; its path is walked again here,
 * since a mount can only be cloned from our own mount namespace, and must lead
 * to the same directory.
 */
static int mount_workspace(struct jail *j, const struct plan_mount *m)
{
	const char *path = j->launch->workspace;
	struct stat was, now;
	int fd, tree;

	if (!path)
		return 0;
	if (m->flags & PMF_IDMAP && !(m->flags & PMF_LAYERED)) {
		tree = take_idmapped(j, m);
		return tree < 0 ? tree : attach(j, m, tree, path);
	}
	if (m->flags & PMF_IDMAP)
		return mount_layered(j, m,
				     j->launch->layers->copy ? -1 : j->idmap_fds[j->next_idmap++]);
	fd = sys_open_canonical(path, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return fail(j, fd, "open the workspace", m);
	if (sys_call(SYS_newfstatat, fd, "", &now, AT_EMPTY_PATH) != 0 ||
	    sys_call(SYS_newfstatat, j->launch->workspace_fd, "", &was, AT_EMPTY_PATH) != 0 ||
	    was.st_dev != now.st_dev || was.st_ino != now.st_ino)
		tree = fail(j, ESTALE, "another directory took the place of", m);
	else if (m->flags & PMF_LAYERED)
		return mount_layered(j, m, fd);
	else
		tree = clone_tree(j, m, fd, "");
	return tree < 0 ? tree : attach(j, m, tree, path);
}

/*
 * Before it may be read-only: on this host's /proc the limits' files are looked up
 * among those of all sandboxes, and the kernel has them in one hash chain: with 1000
 * alive each open took a millisecond. Where ours may not be written, there they go.
 */
static int mount_new(struct jail *j, const struct plan_mount *m, int fs)
{
	struct mount_attr attr = { .attr_set = to_attrs(m->flags) };
	int fd = -EPERM, r = 0;

	if (m->kind == PM_PROC && !plan_string(j->plan, m->data) && jail_wants_user_limits(j))
		fd = sys_fsmount(fs, (unsigned)(attr.attr_set & ~(uint64_t)MOUNT_ATTR_RDONLY));
	if (fd == -EPERM)
		return sys_fsmount(fs, (unsigned)attr.attr_set);
	if (fd >= 0)
		r = jail_user_limits_at(j, fd);
	if (r == 0 && fd >= 0 && attr.attr_set & MOUNT_ATTR_RDONLY)
		r = sys_mount_setattr(fd, 0, &attr);
	if (r < 0)
		sys_close(fd);
	return r < 0 ? r : fd;
}

/* A new file system; @options: pairs of name and value, then NULL. */
static int new_fs(struct jail *j, const struct plan_mount *m, const char *type,
		  const char *const *options)
{
	int fs = sys_fsopen(type), fd, r = 0;

	if (fs < 0)
		return fail(j, fs, type, m);
	for (; *options && r == 0; options += 2)
		r = sys_fsconfig_string(fs, options[0], options[1]);
	if (r == 0)
		r = sys_fsconfig_create(fs);
	fd = r < 0 ? r : mount_new(j, m, fs);
	if (fd >= 0)
		return attach(j, m, fd, plan_string(j->plan, m->target));
	if (err_is_set(&j->err))
		return fd;
	fail(j, fd, type, m);
	if (fd == -EPERM && m->kind == PM_PROC)
		err_remedy(&j->err, "part of this host's own /proc is covered, as in containers; "
				    "`purple doctor` says what to do; --proc=none goes without");
	else if (fd == -EPERM && m->kind == PM_SYSFS)
		err_remedy(&j->err, "part of this host's own /sys is covered; --sys=false goes "
				    "without");
	return fd;
}

static int mount_tmpfs(struct jail *j, const struct plan_mount *m)
{
	char size[24], mode[8];
	const char *const options[] = { "size", size, "mode", mode, NULL };

	snprintf(size, sizeof(size), "%llu", (unsigned long long)j->plan->root_size);
	snprintf(mode, sizeof(mode), "%o", m->mode);
	return new_fs(j, m, "tmpfs", options);
}

/*
 * A box: a tmpfs of its own, whose root belongs to nobody inside where there are ids to
 * spare. The launcher keeps it, since it shares our table, and empties it when all is over.
 */
static int mount_output(struct jail *j, const struct plan_mount *m)
{
	char size[24], inodes[24], mode[8];
	const char *const options[][2] = { { "size", size },
					   { "nr_inodes", inodes },
					   { "mode", mode },
					   { "uid", "65535" },
					   { "gid", "65535" } };
	unsigned count = j->plan->idmap == IDMAP_RANGE ? 5 : 3, n = 0;
	int fs = sys_fsopen("tmpfs"), fd, r = MIN(fs, 0);

	snprintf(size, sizeof(size), "%llu", (unsigned long long)j->plan->output_bytes);
	snprintf(inodes, sizeof(inodes), "%llu",
		 (unsigned long long)MAX(j->plan->output_bytes / 4096, (uint64_t)1024));
	snprintf(mode, sizeof(mode), "%o", m->mode);
	for (unsigned i = 0; i < count && r == 0; i++)
		r = sys_fsconfig_string(fs, options[i][0], options[i][1]);
	if (r == 0)
		r = sys_fsconfig_create(fs);
	fd = r < 0 ? r : sys_fsmount(fs, (unsigned)to_attrs(m->flags));
	sys_close(fs);
	if (fd < 0)
		return fail(j, fd, "make a box for what is collected in", m);
	while (j->output_fds[n] >= 0)
		n++;
	j->output_fds[n] = fd;
	return attach(j, m, fd, plan_string(j->plan, m->target));
}

static int mount_proc(struct jail *j, const struct plan_mount *m)
{
	const char *subset = plan_string(j->plan, m->data);

	const char *const options[] = { subset ? "subset" : NULL, subset, NULL };

	return new_fs(j, m, "proc", options);
}

static int mount_sysfs(struct jail *j, const struct plan_mount *m)
{
	static const char *const options[] = { NULL };
	int r = jail_join_network(j); /* sysfs(5) shows the devices of one network namespace */

	return r < 0 ? r : new_fs(j, m, "sysfs", options);
}

/* At most 64 terminals: the kernel's own limit is for all instances together. */
static int mount_devpts(struct jail *j, const struct plan_mount *m)
{
	static const char *const options[] = { "ptmxmode", "0666", "max", "64", NULL };

	return new_fs(j, m, "devpts", options);
}

/* A directory of the root tmpfs, mounted onto itself: stays writable. */
static int mount_scratch(struct jail *j, const struct plan_mount *m)
{
	const char *path = plan_string(j->plan, m->target);
	int fd = open_target(j, path, false, m->mode), tree, r;
	struct stat st;

	if (fd < 0)
		return fail(j, fd, "make the scratch directory", m);
	r = (int)sys_call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH);
	if (r == 0 && st.st_dev != j->root_dev)
		return mount_tmpfs(j, m); /* a directory of the host: leave it as it is, cover it */
	if (r == 0 && (st.st_mode & 07777) != m->mode) /* it was there */
		r = (int)sys_call(SYS_fchmodat, j->root_fd, path + 1, m->mode);
	if (r < 0)
		return fail(j, r, "set the mode of", m);
	tree = clone_tree(j, m, fd, "");
	if (tree < 0)
		return tree;
	r = sys_move_mount(tree, fd);
	if (r < 0)
		return fail(j, r, "mount", m);
	forget_parent(j, path);
	return grant(j, m, tree);
}

/* The host's node, if it is the device that the plan means (CVE-2025-31133). */
static int mount_device(struct jail *j, const struct plan_mount *m)
{
	struct stat st;
	int tree = clone_tree(j, m, AT_FDCWD, plan_string(j->plan, m->source));

	if (tree < 0)
		return tree;
	if (sys_call(SYS_newfstatat, tree, "", &st, AT_EMPTY_PATH) != 0 || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != m->rdev)
		return fail(j, ENODEV, "it is not the expected device:", m);
	return attach(j, m, tree, plan_string(j->plan, m->target));
}

/* Over a file or directory of procfs or sysfs; never one that we would create. */
static int mount_mask(struct jail *j, const struct plan_mount *m)
{
	const char *path = plan_string(j->plan, m->target);
	const char *cover = m->kind == PM_MASK_FILE ? "dev/null" : "dev/.masked";
	int to = sys_openat2(j->root_fd, path + 1, O_PATH | O_NOFOLLOW, 0, BENEATH), tree, r;

	if (to == -ENOENT) /* a part of the kernel that is not there */
		return 0;
	if (to < 0)
		return fail(j, to, "mask", m);
	tree = clone_tree(j, m, j->root_fd, cover);
	if (tree < 0)
		return tree;
	r = sys_move_mount(tree, to);
	return r < 0 ? fail(j, r, "mask", m) : 0;
}

static int make_dir(struct jail *j, const struct plan_mount *m)
{
	int fd = open_target(j, plan_string(j->plan, m->target), false, m->mode);

	return fd < 0 ? fail(j, fd, "make the directory", m) : grant(j, m, fd);
}

/* The content of a file: @text, where PMF_IDS is set with the command's ids put in. 0 or -errno. */
static long write_content(struct jail *j, int fd, const struct plan_mount *m)
{
	const char *text = plan_string(j->plan, m->data);
	long n = 0;

	while (text && *text && n >= 0) {
		size_t len = m->flags & PMF_IDS ? strcspn(text + 1, "{") + 1 : m->data.len;
		bool uid = m->flags & PMF_IDS && strncmp(text, "{uid}", 5) == 0;
		bool gid = m->flags & PMF_IDS && strncmp(text, "{gid}", 5) == 0;

		if (uid || gid) {
			char id[16];

			snprintf(id, sizeof(id), "%u", uid ? j->launch->uid : j->launch->gid);
			n = sys_write(fd, id, strlen(id));
			len = 5;
		} else {
			n = sys_write(fd, text, len);
		}
		text += len;
	}
	return n < 0 ? n : 0;
}

/*
 * Opened by a mount of its own, which nothing leads to: a file that is open for writing
 * would keep the root's from becoming read-only. The supervisor has it, and nobody inside:
 * the command's task has a table of its own by now.
 */
static int open_told(struct jail *j, int parent, const char *name)
{
	int tree = sys_open_tree_clone(parent, "", AT_EMPTY_PATH), fd;

	if (tree < 0)
		return tree;
	fd = sys_openat2(tree, name, O_WRONLY | O_APPEND | O_NOFOLLOW, 0, BENEATH);
	sys_close(tree);
	j->told_fd = MAX(fd, -1);
	return MIN(fd, 0);
}

static int make_file(struct jail *j, const struct plan_mount *m)
{
	const char *last;
	int parent = open_parent(j, plan_string(j->plan, m->target), &last), fd;
	long n = 0;

	if (parent < 0)
		return fail(j, parent, "make the directory of", m);
	fd = parent_is_ours(j, parent)
		     ? sys_openat2(parent, last, O_WRONLY | O_CREAT | O_EXCL, m->mode, BENEATH)
		     : -EROFS;
	if (fd >= 0)
		n = write_content(j, fd, m);
	sys_close(fd); /* a file open for writing would keep the root from becoming read-only */
	if (fd >= 0 && n >= 0 && m->flags & PMF_TOLD)
		n = open_told(j, parent, last);
	if (fd < 0 || n < 0)
		return fail(j, fd < 0 ? fd : (int)n, "write", m);
	return 0;
}

static int make_symlink(struct jail *j, const struct plan_mount *m)
{
	const char *last;
	int parent = open_parent(j, plan_string(j->plan, m->target), &last), r;

	if (parent < 0)
		return fail(j, parent, "make the directory of", m);
	r = parent_is_ours(j, parent) ? sys_symlinkat(plan_string(j->plan, m->source), parent, last)
				      : -EROFS;
	return r < 0 ? fail(j, r, "link", m) : 0;
}

static int (*const makers[PM_KINDS])(struct jail *, const struct plan_mount *) = {
	[PM_BIND] = mount_bind,	      [PM_WORKSPACE] = mount_workspace,
	[PM_SCRATCH] = mount_scratch, [PM_PROC] = mount_proc,
	[PM_SYSFS] = mount_sysfs,     [PM_DEVPTS] = mount_devpts,
	[PM_DEVICE] = mount_device,   [PM_MASK_FILE] = mount_mask,
	[PM_MASK_DIR] = mount_mask,   [PM_DIR] = make_dir,
	[PM_FILE] = make_file,	      [PM_SYMLINK] = make_symlink,
	[PM_OVERLAY] = mount_overlay, [PM_OUTPUT] = mount_output,
};

/*
 * What the entries open is closed by one call for some of them: a system call
 * saved for each. Not all of them at once: the descriptor table would have to
 * grow beyond its 64, which while it is shared waits for an RCU grace period
 * (expand_fdtable() in the kernel's fs/file.c).
 */
enum { BATCH = 8 };

static void close_batch(struct jail *j)
{
	int last = MAX(j->root_fd, MAX(j->ruleset_fd, j->init_fd));

	if (!(j->plan->steps & STEP_CLOSE_FDS)) /* some may be the caller's */
		return;
	/* The launcher opens nothing while PID 1 is here; what it has is below these. */
	last = MAX(last, MAX(j->guard_fd, MAX(j->door_fd, j->door_theirs)));
	last = MAX(last, MAX(j->status_fd, MAX(j->parent_fd, j->pid1_fd)));
	last = MAX(last, MAX(j->net_event, MAX(j->notify_event, j->told_fd)));
	last = MAX(last, MAX(j->pty_event, MAX(j->launch->last_fd, j->launch->init_socket)));
	for (unsigned i = 0; i < JAIL_IDMAPS_MAX; i++)
		last = MAX(last, j->idmap_fds[i]);
	for (unsigned i = 0; i < PLAN_OUTPUTS_MAX; i++)
		last = MAX(last, j->output_fds[i]);
	if (j->launch->keep_fd > last) {
		sys_close_range((unsigned)last + 1, (unsigned)j->launch->keep_fd - 1, 0);
		last = j->launch->keep_fd;
	}
	sys_close_range((unsigned)last + 1, ~0U, 0);
	j->parent.fd = -1;
}

int jail_mounts(struct jail *j)
{
	const struct plan_mount *m = plan_items(j->plan, mounts, struct plan_mount);
	int r = 0;

	for (uint32_t i = 0; i < j->plan->mounts.count && r == 0; i++) {
		r = makers[m[i].kind](j, &m[i]);
		if (i % BATCH == BATCH - 1)
			close_batch(j);
	}
	close_batch(j);
	return r;
}

/*
 * The program that PID 1 becomes. Inside, /proc/1/exe leads to it: it cannot be
 * written there (CVE-2019-5736), since Landlock grants no writing, PID 1 is not
 * dumpable, and a running program is busy.
 */
int jail_init_open(struct jail *j)
{
	int r;

	j->init_fd = sys_open_canonical(j->launch->init_path, O_PATH);
	r = j->init_fd;
	if (r >= 0 && j->ruleset_fd >= 0)
		r = jail_allow(j, j->init_fd, LL_EXECUTE | LL_READ_FILE, false);
	return r < 0 ? err_set(&j->err, r, "init", "open %s", j->launch->init_path) : 0;
}

int jail_root_open(struct jail *j)
{
	char size[24], inodes[24];
	struct stat st;
	int fs, r, slash;

	if (!(j->plan->namespaces & CLONE_NEWNS))
		return err_set(&j->err, EPROTO, "rootfs", "no mount namespace to build a root in");
	r = sys_make_root(MS_PRIVATE);
	if (r < 0)
		return err_set(&j->err, r, "rootfs", "make the mounts private");
	snprintf(size, sizeof(size), "%llu", (unsigned long long)j->plan->root_size);
	snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)j->plan->root_inodes);
	fs = sys_fsopen("tmpfs");
	r = fs < 0 ? fs : sys_fsconfig_string(fs, "size", size);
	if (r == 0)
		r = sys_fsconfig_string(fs, "nr_inodes", inodes);
	if (r == 0)
		r = sys_fsconfig_string(fs, "mode", "0755");
	if (r == 0)
		r = sys_fsconfig_create(fs);
	j->root_fd = r < 0 ? r : sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	sys_close(fs);
	/* Attached on top of "/", since only an attached tree takes mounts. */
	slash = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
	r = j->root_fd < 0 ? j->root_fd : slash < 0 ? slash : sys_move_mount(j->root_fd, slash);
	sys_close(slash);
	if (r == 0)
		r = (int)sys_call(SYS_newfstatat, j->root_fd, "", &st, AT_EMPTY_PATH);
	if (r < 0)
		return err_set(&j->err, r, "rootfs", "mount an empty root");
	j->root_dev = st.st_dev;
	if (j->ruleset_fd >= 0 && j->plan->landlock_root)
		r = jail_allow(j, j->root_fd, j->plan->landlock_root, false);
	return r < 0 ? err_set(&j->err, r, "landlock", "add the rule for the root") : 0;
}

int jail_root_enter(struct jail *j)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	int r = sys_mount_setattr(j->root_fd, 0, &readonly);

	if (r < 0)
		return err_set(&j->err, r, "rootfs", "make the root read-only");
	/* The new root covers the old one at the same place; see pivot_root(2), NOTES. */
	r = (int)sys_call(SYS_fchdir, j->root_fd);
	if (r == 0)
		r = sys_pivot_root(".", ".");
	if (r < 0)
		return err_set(&j->err, r, "rootfs", "pivot into the new root");
	r = sys_umount2(".", MNT_DETACH);
	if (r == 0)
		r = (int)sys_call(SYS_chdir, "/");
	if (r < 0)
		return err_set(&j->err, r, "rootfs", "let go of the host's tree");
	sys_close(TAKE_FD(j->root_fd));
	return 0;
}
