/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policy hides: an empty file or directory that nobody may read is mounted
 * over everything that one of the plan's patterns matches, in the workspace and in the
 * other paths that the policy gives. It is looked for once, when all is mounted and
 * before anybody is inside: the cost is that of listing the directories, and nothing is
 * looked at but what matches (getdents64(2) says which are directories).
 *
 * A mount lies on the directory entry itself and goes where that goes: a renamed
 * parent, /proc/PID/root and another descriptor's path lead to the mount. The entry
 * cannot be removed, renamed or replaced from inside (EBUSY), nor can what lies below
 * be linked elsewhere, since no path leads to it. Nobody inside can unmount: there is
 * no CAP_SYS_ADMIN, and in a nested user namespace the mounts are locked to their
 * parent (mount_namespaces(7)). Of an overlay the merged view is covered: its lower
 * directory has no other path inside.
 *
 * Another name of a hidden file is found by its inode, in a second walk that looks at
 * every file; it is done only if something hidden has more than one link, or is what a
 * link leads to and several trees may show it.
 *
 * What the host makes or replaces (rename(2) over it) after the start is not hidden.
 *
 * The host may change the tree meanwhile: everything is by descriptor, and links are
 * not followed but to hide what one leads to, within the same trees. What cannot be
 * listed and yet be entered, or is too much, is an error: the start fails.
 */
#include "jail/internal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/pattern.h"
#include "base/str.h"
#include "sys/files.h"
#include "sys/mounts.h"

#define NO_LINKS (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define IN_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

enum {
	DEPTH_MAX = 200,       /* directories in one another, each open */
	ENTRIES_MAX = 8000000, /* names looked at */
	MASKS_MAX = 8192,      /* mounts */
	LINKED_MAX = 1024,     /* what is hidden and may have other names */
	WAITING_BYTES = 8 << 20
};

/* Hidden, and perhaps under other names too. An overlay has a device of its own: it is left out. */
struct linked {
	uint32_t ino, nlink;
	uint64_t size;
	struct timespec mtime, ctime;
};

struct level {
	int fd;
	size_t path, waiting; /* lengths of both when it was entered */
};

static _scratch_data_ struct walk {
	struct jail *j;
	struct path_pattern patterns[PLAN_HIDE_MAX];
	unsigned patterns_count, masks, linked_count, trees;
	uint64_t entries;
	bool by_inode;
	struct linked linked[LINKED_MAX];

	/* The tree: where it is inside, and of its part that is the workspace's. */
	const char *top;
	char path[2 * PATH_MAX]; /* of what is looked at: from the workspace, if that holds it */
	size_t from_top;	 /* where the path from @top starts in it */
	const char *below;	 /* the workspace lies in the tree: its path from @top */
	struct level levels[DEPTH_MAX];
	int depth;
	char entries_room[32768];
	char waiting[WAITING_BYTES]; /* directories still to be entered, by name */
	size_t waiting_len;
} walk;

static int failed(struct walk *w, int code, const char *what)
{
	const char *rest = w->path + w->from_top;

	return err_set(&w->j->err, code, "hide", "%s %s%s%s", what, w->top, *rest ? "/" : "", rest);
}

static int too_much(struct walk *w, const char *what, unsigned most)
{
	err_set(&w->j->err, E2BIG, "hide", "%s: more than %u %s", w->top, most, what);
	err_remedy(&w->j->err, "use a smaller workspace, or patterns that match less");
	return -E2BIG;
}

static bool any_matches(const struct walk *w, const char *path, bool is_dir,
			bool (*match)(const struct path_pattern *, const char *, bool))
{
	for (unsigned i = 0; i < w->patterns_count; i++)
		if (match(&w->patterns[i], path, is_dir))
			return true;
	return false;
}

/* As seen from the tree's top, and from the workspace. */
static bool is_hidden(const struct walk *w, bool is_dir)
{
	const char *path = w->path + w->from_top, *rest;

	if (any_matches(w, path, is_dir, path_pattern_match))
		return true;
	if (w->from_top && any_matches(w, w->path, is_dir, path_pattern_match))
		return true;
	rest = w->below ? str_after(path, w->below) : NULL;
	return rest && *rest == '/' && any_matches(w, rest + 1, is_dir, path_pattern_match);
}

static int cover(struct walk *w, int fd, bool is_dir)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	const char *with = is_dir ? PLAN_HIDE_DIR : PLAN_HIDE_FILE;
	int tree, r;

	if (++w->masks > MASKS_MAX)
		return too_much(w, "files to hide", MASKS_MAX);
	tree = sys_open_tree_clone(w->j->root_fd, with + 1, AT_SYMLINK_NOFOLLOW);
	r = tree < 0 ? tree : sys_mount_setattr(tree, 0, &attr);
	if (r == 0)
		r = sys_move_mount(tree, fd);
	sys_close(tree);
	/* The host has removed it just now. */
	return r == -ENOENT ? 0 : r < 0 ? failed(w, r, "cover") : 0;
}

static bool same(const struct linked *l, const struct stat *st)
{
	return l->ino == (uint32_t)st->st_ino && l->nlink == st->st_nlink &&
	       l->size == (uint64_t)st->st_size && l->mtime.tv_sec == st->st_mtim.tv_sec &&
	       l->mtime.tv_nsec == st->st_mtim.tv_nsec && l->ctime.tv_sec == st->st_ctim.tv_sec &&
	       l->ctime.tv_nsec == st->st_ctim.tv_nsec;
}

static bool is_noted(const struct walk *w, const struct stat *st)
{
	for (unsigned i = 0; i < w->linked_count; i++)
		if (same(&w->linked[i], st))
			return true;
	return false;
}

static int note(struct walk *w, const struct stat *st)
{
	if (is_noted(w, st))
		return 0;
	if (w->linked_count == LINKED_MAX)
		return too_much(w, "files to hide that have other names", LINKED_MAX);
	w->linked[w->linked_count++] = (struct linked){
		.ino = (uint32_t)st->st_ino,
		.nlink = (uint32_t)st->st_nlink,
		.size = (uint64_t)st->st_size,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
	};
	return 0;
}

static int look(int fd, const char *name, struct stat *st)
{
	return (int)sys_call(SYS_newfstatat, fd, name, st,
			     AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH));
}

/*
 * What is open as @fd, unless it is covered or our own. @target: a link led to it, so
 * that no pattern finds it where another tree shows it.
 */
static int hide_fd(struct walk *w, int fd, const struct stat *st, bool target)
{
	int r = 0;

	if (st->st_dev == w->j->root_dev)
		return 0;
	if ((S_ISREG(st->st_mode) && st->st_nlink > 1) || (target && w->trees > 1))
		r = note(w, st);
	return r < 0 ? r : cover(w, fd, S_ISDIR(st->st_mode));
}

static bool is_below(const char *path, const char *top)
{
	const char *rest = str_after(path, top);

	return rest && *rest == '/';
}

/* Where the mount @m is inside; NULL: in the workspace, or nowhere. */
static const char *tree_of(const struct jail *j, const struct plan_mount *m)
{
	const char *target = plan_string(j->plan, m->target);

	if (!(m->flags & PMF_HIDE))
		return NULL;
	if (m->kind == PM_WORKSPACE)
		return j->launch->workspace;
	return target[0] == '/' ? target : NULL;
}

/* Is what is open as @fd in one of the trees that things are hidden in? */
static bool is_given(const struct walk *w, int fd)
{
	const struct plan_mount *m = plan_items(w->j->plan, mounts, struct plan_mount);
	static _scratch_data_ char real[PATH_MAX];
	char link[32];
	long n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = sys_call(SYS_readlinkat, AT_FDCWD, link, real, sizeof(real) - 1);
	if (n <= 0)
		return false;
	real[n] = '\0';
	for (uint32_t i = 0; i < w->j->plan->mounts.count; i++) {
		const char *top = tree_of(w->j, &m[i]);

		if (top && is_below(real, top))
			return true;
	}
	return false;
}

/* The link that is looked at is hidden: so is what it leads to. */
static int hide_target(struct walk *w)
{
	static _scratch_data_ char full[PATH_MAX];
	int n = snprintf(full, sizeof(full), "%s/%s", w->top + 1, w->path + w->from_top), fd, r;
	struct stat st;

	if (n < 0 || (size_t)n >= sizeof(full))
		return failed(w, ENAMETOOLONG, "follow");
	fd = sys_openat2(w->j->root_fd, full, O_PATH, 0, IN_ROOT);
	if (fd < 0) /* it leads nowhere */
		return 0;
	r = look(fd, "", &st);
	r = r < 0 ? failed(w, r, "look at") : is_given(w, fd) ? hide_fd(w, fd, &st, true) : 0;
	sys_close(fd);
	return r;
}

static int hide(struct walk *w, int dir, const char *name)
{
	int fd = sys_openat2(dir, name, O_PATH | O_NOFOLLOW, 0, NO_LINKS), r;
	struct stat st;

	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd : look(fd, "", &st);
	if (r < 0)
		r = failed(w, r, "look at");
	else if (S_ISLNK(st.st_mode))
		r = hide_target(w);
	r = r < 0 ? r : hide_fd(w, fd, &st, false);
	sys_close(fd);
	return r;
}

static int wait_for(struct walk *w, const char *name)
{
	size_t n = strlen(name) + 1;

	if (n > sizeof(w->waiting) - w->waiting_len)
		return too_much(w, "bytes of names of directories", WAITING_BYTES);
	memcpy(w->waiting + w->waiting_len, name, n);
	w->waiting_len += n;
	return 0;
}

/* One entry of the directory @dir. @type: DT_*, or 0. */
static int visit(struct walk *w, int dir, const char *name, unsigned char type)
{
	enum { UNKNOWN, OTHER, DIRECTORY = 4 }; /* DT_*, readdir(3) */
	size_t at = strlen(w->path), n = strlen(name);
	struct stat st;
	int r = 0;

	if (++w->entries > ENTRIES_MAX)
		return too_much(w, "files", ENTRIES_MAX);
	if (at + n + 2 > sizeof(w->path))
		return failed(w, ENAMETOOLONG, "look into");
	if (at > w->from_top)
		w->path[at++] = '/';
	memcpy(w->path + at, name, n + 1);
	if (type == UNKNOWN || w->by_inode) {
		r = look(dir, name, &st);
		if (r == 0)
			type = S_ISDIR(st.st_mode) ? DIRECTORY : OTHER;
	}
	if (r == -ENOENT)
		r = 0;
	else if (r < 0)
		r = failed(w, r, "look at");
	else if (w->by_inode ? is_noted(w, &st) : is_hidden(w, type == DIRECTORY))
		r = hide(w, dir, name);
	else if (type == DIRECTORY)
		r = wait_for(w, name);
	w->path[at] = '\0';
	if (at > w->from_top)
		w->path[at - 1] = '\0';
	return r;
}

static int list(struct walk *w, int fd)
{
	long n;

	while ((n = sys_call(SYS_getdents64, fd, w->entries_room, sizeof(w->entries_room))) > 0) {
		for (long at = 0; at < n;) {
			/* struct linux_dirent64, getdents64(2) */
			const char *entry = w->entries_room + at, *name = entry + 19;
			uint16_t length;
			int r;

			memcpy(&length, entry + 16, sizeof(length));
			at += length;
			if (streq(name, ".") || streq(name, ".."))
				continue;
			r = visit(w, fd, name, (unsigned char)entry[18]);
			if (r < 0)
				return r;
		}
	}
	return n < 0 && n != -ENOENT ? failed(w, (int)n, "list") : 0;
}

/* A directory that we may not list. Whoever may enter it can guess names in it. */
static int unlisted(struct walk *w, int dir, const char *name)
{
	char inner[NAME_MAX + 3];
	int fd;

	snprintf(inner, sizeof(inner), "%s/.", name);
	fd = sys_openat2(dir, inner, O_PATH, 0, NO_LINKS);
	if (fd < 0)
		return 0;
	sys_close(fd);
	failed(w, EACCES, "look for what filesystem.hide names in");
	err_remedy(&w->j->err, "it can be entered but not listed: change its mode");
	return -EACCES;
}

/* List the directory @name of @dir, and go into it. */
static int enter(struct walk *w, int dir, const char *name)
{
	int fd, r;

	if (w->depth == DEPTH_MAX)
		return too_much(w, "directories in one another", DEPTH_MAX);
	fd = sys_openat2(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, NO_LINKS);
	if (fd == -EACCES)
		return unlisted(w, dir, name);
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP) /* the host has changed it */
		return 0;
	if (fd < 0)
		return failed(w, fd, "open");
	w->levels[w->depth++] =
		(struct level){ .fd = fd, .path = strlen(w->path), .waiting = w->waiting_len };
	r = list(w, fd);
	return r < 0 ? r : 1;
}

/* The directory that waits last of those of the level on top; NULL: none does. */
static const char *next_waiting(struct walk *w)
{
	const struct level *top = &w->levels[w->depth - 1];
	size_t at = w->waiting_len;

	if (at == top->waiting)
		return NULL;
	for (at--; at > top->waiting && w->waiting[at - 1] != '\0'; at--)
		;
	w->waiting_len = at;
	return w->waiting + at;
}

static int walk_tree(struct walk *w, int top)
{
	int r = enter(w, top, ".");

	while (r >= 0 && w->depth > 0) {
		const struct level *level = &w->levels[w->depth - 1];
		char *end = w->path + level->path;
		const char *name = next_waiting(w);

		*end = '\0';
		if (!name) {
			sys_close(w->levels[--w->depth].fd);
			continue;
		}
		if (level->path > w->from_top)
			*end++ = '/';
		/* It is overwritten by the names in it. There is room: visit(). */
		memcpy(end, name, strlen(name) + 1);
		r = enter(w, level->fd, end);
	}
	while (w->depth > 0)
		sys_close(w->levels[--w->depth].fd);
	return MIN(r, 0);
}

/* The tree at @top, which shows @source of the host. */
static int hide_in(struct walk *w, const char *top, const char *source)
{
	const char *workspace = w->j->launch->workspace, *rest;
	int fd = sys_openat2(w->j->root_fd, top + 1, O_PATH, 0, NO_LINKS), r;
	struct stat st;
	bool is_dir;

	w->top = top;
	w->from_top = w->waiting_len = 0;
	w->below = NULL;
	w->path[0] = '\0';
	r = fd < 0 ? fd : look(fd, "", &st);
	if (r < 0) {
		sys_close(fd);
		return failed(w, r, "open");
	}
	is_dir = S_ISDIR(st.st_mode);
	if (workspace && is_below(source, workspace)) {
		rest = source + strlen(workspace) + 1;
		str_copy(w->path, PATH_MAX, rest);
		if (any_matches(w, rest, is_dir, path_pattern_covers)) {
			r = hide_fd(w, fd, &st, false);
			sys_close(fd);
			return r;
		}
		w->from_top = strlen(w->path) + 1;
		w->path[w->from_top - 1] = '/';
		w->path[w->from_top] = '\0';
	} else if (workspace && is_below(workspace, source)) {
		w->below = workspace + strlen(source) + 1;
	}
	if (is_dir)
		r = walk_tree(w, fd);
	else if (w->by_inode && is_noted(w, &st))
		r = hide_fd(w, fd, &st, false);
	sys_close(fd);
	return r;
}

static int hide_all(struct walk *w)
{
	const struct plan_mount *m = plan_items(w->j->plan, mounts, struct plan_mount);
	static _scratch_data_ char room[PATH_MAX];
	int r = 0;

	for (uint32_t i = 0; i < w->j->plan->mounts.count && r == 0; i++) {
		const char *top = tree_of(w->j, &m[i]), *source = top;

		if (!top)
			continue;
		if (m[i].kind != PM_WORKSPACE)
			source = jail_place(w->j, m[i].source, room);
		r = source ? hide_in(w, top, source) : -w->j->err.code;
	}
	return r;
}

int jail_hide(struct jail *j)
{
	const struct plan_mount *m = plan_items(j->plan, mounts, struct plan_mount);
	const struct plan_str *s = plan_items(j->plan, hide, struct plan_str);
	struct walk *w = &walk;
	int r;

	if (j->plan->hide.count == 0)
		return 0;
	w->j = j;
	for (uint32_t i = 0; i < j->plan->hide.count; i++) {
		r = path_pattern_compile(&w->patterns[i], plan_string(j->plan, s[i]), NULL);
		if (r < 0)
			return err_set(&j->err, r, "hide", "%s", plan_string(j->plan, s[i]));
		w->patterns[i].fold = true;
	}
	w->patterns_count = j->plan->hide.count;
	for (uint32_t i = 0; i < j->plan->mounts.count; i++)
		w->trees += tree_of(j, &m[i]) != NULL;
	r = hide_all(w);
	if (r < 0 || w->linked_count == 0)
		return r;
	w->by_inode = true;
	return hide_all(w);
}
