/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/usage.h"

#include <limits.h>
#include <string.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"

#define NO_LINKS (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
#define OPAQUE "user.overlay.opaque"

/* A directory that is being read: where to go on when what lies below it is done. */
struct level {
	int fd, lower; /* @lower -1: nothing of the workspace shows through */
	int64_t at;
};

struct walk {
	struct level levels[USAGE_DEPTH_MAX];
	int depth;
	const struct usage_limits *limits;
	struct usage *ret;
	char room[16384];
};

/* The xattrs of @fd but for the overlay's own; how many bytes their names take. */
static long xattrs_size(int fd)
{
	char names[1024];
	long n = sys_call(SYS_flistxattr, fd, names, sizeof(names)), size = 0;

	if (n < 0)
		return n == -ERANGE ? LONG_MAX : 0;
	for (long at = 0; at < n; at += (long)strlen(names + at) + 1)
		if (!str_after(names + at, "user.overlay."))
			size += (long)strlen(names + at) + 1;
	return size;
}

/* A directory that is in the workspace too: is it there for what lies in it alone? */
static bool is_changed_dir(int fd, int lower)
{
	struct stat a, b;
	bool changed;
	int readable;

	if (sys_call(SYS_newfstatat, fd, "", &a, AT_EMPTY_PATH) != 0 ||
	    sys_call(SYS_newfstatat, lower, "", &b, AT_EMPTY_PATH) != 0)
		return true;
	if (a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid)
		return true;
	readable = sys_openat(lower, ".", O_RDONLY | O_DIRECTORY, 0);
	changed = readable >= 0 && xattrs_size(fd) != xattrs_size(readable);
	sys_close(readable);
	return changed;
}

/* What is in the layer at @name, below @level: new, or in the place of something? */
static uint64_t *count_of(struct usage *u, const struct level *level, const char *name)
{
	struct stat st;
	bool was = level->lower >= 0 &&
		   sys_call(SYS_newfstatat, level->lower, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	return was ? &u->modified : &u->added;
}

static void enter(struct walk *w, const char *name)
{
	struct level *top = &w->levels[w->depth - 1], *next = top + 1;
	char value = 0;

	if (w->depth == USAGE_DEPTH_MAX) {
		w->ret->more = true;
		w->ret->modified++;
		return;
	}
	next->fd = sys_openat2(top->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, NO_LINKS);
	if (next->fd < 0) {
		/* One that its owner may not read counts as itself. */
		w->ret->more |= next->fd != -ENOENT && next->fd != -ENOTDIR;
		w->ret->modified += next->fd != -ENOENT && next->fd != -ENOTDIR;
		return;
	}
	next->at = 0;
	next->lower = -1;
	if (top->lower >= 0 &&
	    !(sys_call(SYS_fgetxattr, next->fd, OPAQUE, &value, 1) == 1 && value == 'y'))
		next->lower = sys_openat2(top->lower, name, O_PATH | O_DIRECTORY, 0, NO_LINKS);
	if (next->lower < 0)
		*count_of(w->ret, top, name) += 1;
	else
		w->ret->modified += is_changed_dir(next->fd, next->lower);
	w->depth++;
}

static void leave(struct walk *w)
{
	struct level *top = &w->levels[--w->depth];

	if (w->depth == 0)
		return;
	sys_close(top->lower);
	sys_close(top->fd);
}

/* True: it was a directory, and is the one to be read now. */
static bool look(struct walk *w, const char *name)
{
	int depth = w->depth;
	struct stat st;

	if (sys_call(SYS_newfstatat, w->levels[depth - 1].fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	w->ret->files++;
	w->ret->bytes += (uint64_t)st.st_blocks * 512;
	if (S_ISDIR(st.st_mode))
		enter(w, name);
	else if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
		w->ret->deleted++;
	else
		*count_of(w->ret, &w->levels[depth - 1], name) += 1;
	return w->depth > depth;
}

static bool is_enough(const struct walk *w)
{
	return (w->limits->bytes && w->ret->bytes > w->limits->bytes) ||
	       (w->limits->files && w->ret->files > w->limits->files);
}

/* The rest of the directory on top, or as far as the first directory in it. */
static int read_level(struct walk *w)
{
	struct level *top = &w->levels[w->depth - 1];
	long n = sys_call(SYS_getdents64, top->fd, w->room, sizeof(w->room));

	for (long at = 0; at < n && !is_enough(w);) {
		/* struct linux_dirent64, getdents64(2) */
		const char *entry = w->room + at, *name = entry + 19;
		uint16_t length;

		memcpy(&length, entry + 16, sizeof(length));
		memcpy(&top->at, entry + 8, sizeof(top->at));
		at += length;
		if (!streq(name, ".") && !streq(name, "..") && look(w, name))
			return 1;
	}
	return (int)MIN(n, 1);
}

int usage_of_layer(int layer, int lower, uint32_t mode_bits, const struct usage_limits *limits,
		   struct usage *ret)
{
	static _cold_data_ struct walk w;
	struct stat st;
	int r = 1;

	*ret = (struct usage){ 0 };
	w.limits = limits;
	w.ret = ret;
	w.depth = 1;
	w.levels[0] = (struct level){ .fd = sys_openat(layer, ".", O_RDONLY | O_DIRECTORY, 0),
				      .lower = lower };
	if (w.levels[0].fd < 0)
		return w.levels[0].fd;
	if (sys_call(SYS_newfstatat, layer, "", &st, AT_EMPTY_PATH) == 0 &&
	    (st.st_mode & 07777) != mode_bits)
		ret->modified++;
	while (w.depth > 0 && !is_enough(&w)) {
		struct level *top = &w.levels[w.depth - 1];

		if (top->at)
			sys_call(SYS_lseek, top->fd, top->at, 0);
		r = read_level(&w);
		if (r <= 0)
			leave(&w);
	}
	ret->full = is_enough(&w);
	ret->changes = ret->added + ret->modified + ret->deleted;
	while (w.depth > 0)
		leave(&w);
	sys_close(w.levels[0].fd);
	return r < 0 && ret->files == 0 ? r : 0;
}
