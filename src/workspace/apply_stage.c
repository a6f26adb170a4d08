/* SPDX-License-Identifier: Apache-2.0 */
/* The new files of an apply, before they have their names. */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/apply_internal.h"
#include "workspace/internal.h"

enum { BLOCK = 256 << 10, XATTRS_MAX = 64 << 10 };

/* From @at to @end, which is data. */
static int copy_range(int from, int to, off_t at, off_t end)
{
	static char block[BLOCK];
	bool by_kernel = true;

	while (at < end) {
		size_t most = (size_t)MIN(end - at, (off_t)1 << 30);
		off_t in = at, out = at;
		ssize_t n = -1;

		if (by_kernel) {
			n = copy_file_range(from, &in, to, &out, most, 0);
			/* Between file systems, or none that can; what fails twice is said. */
			by_kernel = n > 0;
		}
		if (n <= 0)
			n = pread(from, block, MIN(most, (size_t)BLOCK), at);
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		if (!by_kernel) {
			ssize_t put = pwrite(to, block, (size_t)n, at);

			if (put < 0)
				return -errno;
			n = put;
		}
		at += n;
	}
	return 0;
}

/* All of it, with its holes. */
static int copy_content(int from, int to, off_t size)
{
	off_t at = 0;
	int r = 0;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (ftruncate(to, size) < 0)
		return -errno;
	while (r == 0 && at < size) {
		off_t data = lseek(from, at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return 0;
		data = data < 0 ? at : data;
		hole = lseek(from, data, SEEK_HOLE);
		hole = hole < 0 ? size : MIN(hole, size);
		r = copy_range(from, to, data, hole);
		at = hole;
	}
	return r;
}

/* The xattr @name of @from, which the file inside calls @inside, onto @to. */
static int copy_xattr(int from, const char *name, int to, const char *inside)
{
	static char value[XATTRS_MAX];
	ssize_t n = fgetxattr(from, name, value, sizeof(value));

	if (n < 0)
		return errno == ENODATA ? 0 : -errno;
	return fsetxattr(to, inside, value, (size_t)n, 0) < 0 ? -errno : 0;
}

/* What @to was born with, from its directory's default, and @from does not have. */
static void drop_acls(int from, bool layer, int to)
{
	static const char *const names[] = { "system.posix_acl_access",
					     "system.posix_acl_default" };

	(void)layer;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (fgetxattr(to, names[i], NULL, 0) >= 0 && fgetxattr(from, names[i], NULL, 0) < 0)
			fremovexattr(to, names[i]);
}

static int copy_xattrs(int from, bool layer, int to)
{
	static char names[XATTRS_MAX];
	char room[XATTR_NAME_ROOM];
	ssize_t n = flistxattr(from, names, sizeof(names));
	int r = 0;

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	drop_acls(from, layer, to);
	for (const char *s = names; r == 0 && s < names + n; s += strlen(s) + 1) {
		const char *inside = xattr_inside_name(s, layer, room);

		if (inside)
			r = copy_xattr(from, s, to, inside);
	}
	return r;
}

/* As the one that it replaces, or as the workspace: nobody inside chooses another. */
static void owner_of(const struct apply *a, const struct change *c, uid_t *uid, gid_t *gid)
{
	bool was = c->before.mode != 0;

	*uid = was && c->after.uid == c->before.uid ? c->after.uid : a->meta->uid;
	*gid = was && c->after.gid == c->before.gid ? c->after.gid : a->meta->gid;
}

static int set_owner(int fd, uid_t uid, gid_t gid)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid == uid && st.st_gid == gid)
		return 0;
	if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	/* A group that the caller is not in: it stays with the caller's. */
	return errno == EPERM && geteuid() != 0 && st.st_uid == uid ? 0 : -errno;
}

static int set_mtime(int fd, int64_t ns)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = ns / 1000000000 - (ns % 1000000000 < 0),
		  .tv_nsec = ns % 1000000000 + (ns % 1000000000 < 0 ? 1000000000 : 0) },
	};

	return futimens(fd, times) < 0 ? -errno : 0;
}

/* Owner first: a change of it takes set-id bits and capabilities away. */
static int put_metadata(struct apply *a, const struct change *c, int from, int to)
{
	uid_t uid;
	gid_t gid;
	int r;

	owner_of(a, c, &uid, &gid);
	r = set_owner(to, uid, gid);
	if (r == 0)
		r = copy_xattrs(from, true, to);
	if (r == 0 && fchmod(to, c->after.mode & 07777) < 0)
		r = -errno;
	return r;
}

/* Some hunks only: what there is to say of the file stays as it is on the host. */
static int put_text(struct apply *a, const struct change *c, const struct buf *text, int to)
{
	_cleanup_close_ int before = change_open_before(c, a->stack);
	int r;

	if (before < 0)
		return before;
	r = write_full(to, text->data ? text->data : "", text->len);
	if (r == 0)
		r = set_owner(to, c->before.uid, c->before.gid);
	if (r == 0)
		r = copy_xattrs(before, false, to);
	if (r == 0 && fchmod(to, c->before.mode & 07777) < 0)
		r = -errno;
	return r;
}

static int stage_file(struct apply *a, size_t i, int dir, const char *name)
{
	const struct change *c = &a->changes->items[i];
	_cleanup_close_ int from = change_open_after(c, a->stack), to = -1;
	int r;

	if (from < 0)
		return from;
	to = sys_openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (to < 0)
		return to;
	if (a->items[i].text)
		return put_text(a, c, a->items[i].text, to);
	r = copy_content(from, to, (off_t)c->after.size);
	if (r == 0)
		r = put_metadata(a, c, from, to);
	return r == 0 ? set_mtime(to, c->after.mtime_ns) : r;
}

/* A link or a FIFO: by its descriptor, lest another has its name meanwhile. */
static int own_special(struct apply *a, const struct change *c, int dir, const char *name)
{
	_cleanup_close_ int fd = sys_openat(dir, name, O_PATH | O_NOFOLLOW, 0);
	const int64_t ns = c->after.mtime_ns;
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 },
	};
	struct stat st;
	char self[32];
	uid_t uid;
	gid_t gid;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (((st.st_mode ^ c->after.mode) & S_IFMT) || st.st_uid != geteuid() || st.st_nlink != 1)
		return -ESTALE;
	owner_of(a, c, &uid, &gid);
	r = set_owner(fd, uid, gid);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (r == 0 && S_ISFIFO(st.st_mode) && chmod(self, c->after.mode & 07777) < 0)
		r = -errno;
	/* By the name, for want of another way; its time at worst is wrong. */
	if (r == 0 && ns >= 0)
		utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
	return r;
}

int stage_directory(struct apply *a, size_t i, int fd, bool times)
{
	const struct change *c = &a->changes->items[i];
	_cleanup_close_ int from = change_open_after(c, a->stack);
	int r = from < 0 ? from : put_metadata(a, c, from, fd);

	return r == 0 && times ? set_mtime(fd, c->after.mtime_ns) : r;
}

int stage_one(struct apply *a, size_t i, int dir, const char *name)
{
	const struct change *c = &a->changes->items[i];
	int r;

	switch (c->after.mode & S_IFMT) {
	case S_IFREG:
		return stage_file(a, i, dir, name);
	case S_IFDIR:
		return sys_mkdirat(dir, name, 0700);
	case S_IFLNK:
		r = sys_symlinkat(c->after.target, dir, name);
		break;
	case S_IFIFO:
		r = (int)sys_call(SYS_mknodat, dir, name, S_IFIFO | 0600, 0);
		break;
	default:
		return -EOPNOTSUPP;
	}
	return r < 0 ? r : own_special(a, c, dir, name);
}
