/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/layer_copy.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/internal.h"

#define ONE_STEP (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)

struct level {
	DIR *from;
	int to;
};

struct copy {
	struct level *levels;
	size_t depth, room;
	int links;
	struct err *e;
};

static int failed(struct copy *c, int code, const char *what)
{
	return err_set(c->e, code, "snapshot", "%s", what);
}

/* Where there is no FICLONE. Files of other file systems there are none. */
static int copy_range(int from, int to, off_t at, off_t end)
{
	static char room[1 << 17];

	while (at < end) {
		off_t in = at, out = at;
		ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);

		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP)) {
			n = pread(from, room, (size_t)MIN((off_t)sizeof(room), end - at), at);
			if (n > 0)
				n = pwrite(to, room, (size_t)n, at);
		}
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) /* it ends here */
			return 0;
		at += MAX(n, 0);
	}
	return 0;
}

static int copy_contents(int from, int to, off_t size)
{
	off_t at = 0, end;
	int r = 0;

	if (size == 0 || ioctl(to, FICLONE, from) == 0)
		return 0;
	while (r == 0 && (at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		r = end < 0 ? -errno : copy_range(from, to, at, end);
		at = end;
	}
	if (r == 0 && at < 0 && errno != ENXIO) /* no more data */
		r = -errno;
	return r == 0 && ftruncate(to, size) < 0 ? -errno : r;
}

static int copy_regular(struct copy *c, int from, int to, const char *name, const struct stat *st)
{
	_cleanup_close_ int in = -1, out = -1;
	char first[24];
	int r;

	snprintf(first, sizeof(first), "%" PRIu64, (uint64_t)st->st_ino);
	if (st->st_nlink > 1 && linkat(c->links, first, to, name, 0) == 0)
		return 0;
	in = sys_openat2(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, ONE_STEP);
	if (in < 0)
		return in;
	out = sys_openat(to, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (out < 0)
		return out;
	r = copy_contents(in, out, st->st_size);
	if (r == 0)
		r = store_copy_attributes(in, out, true);
	if (r == 0 && st->st_nlink > 1 && linkat(to, name, c->links, first, 0) < 0)
		r = -errno;
	return r;
}

/* What has no contents, or a text for it; nothing of it is opened. */
static int copy_other(int from, int to, const char *name, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	char target[PATH_MAX + 1];
	ssize_t n;

	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(from, name, target, sizeof(target) - 1);
		if (n < 0)
			return -errno;
		target[n] = '\0';
		if (symlinkat(target, to, name) < 0)
			return -errno;
	} else if (mknodat(to, name, st->st_mode & (S_IFMT | 0600), st->st_rdev) < 0) {
		return -errno;
	}
	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* It is ours, in a directory that only we write. */
	if (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int make_room(struct copy *c)
{
	size_t room = c->room ? 2 * c->room : 32;
	struct level *more;

	if (c->depth == LAYER_COPY_DEPTH)
		return -ELOOP;
	if (c->depth < c->room)
		return 0;
	more = reallocarray(c->levels, room, sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->levels = more;
	c->room = room;
	return 0;
}

/* Closes both descriptors if it fails. */
static int enter(struct copy *c, int from, int to)
{
	DIR *listing;
	int r = from < 0 ? from : MIN(to, 0);

	if (r == 0)
		r = make_room(c);
	if (r < 0) {
		sys_close(from);
		sys_close(to);
		return r;
	}
	listing = fdopendir(from);
	if (!listing) {
		r = -errno;
		sys_close(from);
		sys_close(to);
		return r;
	}
	c->levels[c->depth++] = (struct level){ listing, to };
	return 0;
}

static int enter_named(struct copy *c, const char *name)
{
	const struct level *top = &c->levels[c->depth - 1];
	int from = sys_openat2(dirfd(top->from), name, O_RDONLY | O_DIRECTORY, 0, ONE_STEP);
	int to = from < 0 ? from : sys_mkdirat(top->to, name, 0700);

	if (to == 0)
		to = sys_openat2(top->to, name, O_RDONLY | O_DIRECTORY, 0, ONE_STEP);
	return enter(c, from, to);
}

/* All in it is copied: now what it is itself, its times too. */
static int leave(struct copy *c)
{
	struct level *top = &c->levels[--c->depth];
	int r = store_copy_attributes(dirfd(top->from), top->to, true);

	closedir(top->from);
	sys_close(top->to);
	return r;
}

/* One entry. */
static int step(struct copy *c)
{
	struct level *top = &c->levels[c->depth - 1];
	const struct dirent *entry;
	struct stat st;

	errno = 0;
	entry = readdir(top->from);
	if (!entry)
		return errno ? -errno : leave(c);
	if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
		return 0;
	if (fstatat(dirfd(top->from), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return enter_named(c, entry->d_name);
	if (S_ISREG(st.st_mode))
		return copy_regular(c, dirfd(top->from), top->to, entry->d_name, &st);
	return copy_other(dirfd(top->from), top->to, entry->d_name, &st);
}

int layer_copy(int from, int to, int links, struct err *e)
{
	struct copy c = { .links = links, .e = e };
	int r = enter(&c, sys_openat(from, ".", O_RDONLY | O_DIRECTORY, 0),
		      sys_openat(to, ".", O_RDONLY | O_DIRECTORY, 0));

	while (r == 0 && c.depth > 0)
		r = step(&c);
	while (c.depth > 0) {
		closedir(c.levels[--c.depth].from);
		sys_close(c.levels[c.depth].to);
	}
	free(c.levels);
	if (r == -ELOOP)
		return failed(&c, r, "directories lie too deep in each other to be copied");
	return r < 0 ? failed(&c, r, "copy what was changed last") : 0;
}
