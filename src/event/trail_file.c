/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a trail: opened without trusting anybody's names, and renamed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "event/trail_internal.h"

#define FILE_FLAGS (O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static const struct {
	int code;
	const char *remedy;
} remedies[] = {
	{ ENOSPC, "make room on that disk, or set audit.log_path to a path on another" },
	{ EDQUOT, "the user's quota is used up; make room, or set audit.log_path" },
	{ EROFS, "set audit.log_path to a path on a disk that can be written" },
	{ EACCES, "set audit.log_path to a path that you may write" },
	{ EPERM, "set audit.log_path to a path in a directory that is yours alone" },
	{ ELOOP, "a link is not followed; set audit.log_path to where it leads" },
	{ ENOENT, "make its directory again (mkdir -m 700), or set audit.log_path" },
	{ EEXIST, "move it away, or set audit.log_path to another path" },
};

int trail_failed(struct err *e, const struct trail *t, int code, const char *what)
{
	int r = err_set(e, code, "audit", "%s: %s", t->path, what);

	for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
		if (remedies[i].code == -r)
			err_remedy(e, "%s", remedies[i].remedy);
	return r;
}

bool trail_name(const struct trail *t, uint64_t n, const char *suffix, char ret[TRAIL_NAME])
{
	char number[24] = "";
	int len;

	if (n > 0)
		snprintf(number, sizeof(number), ".%llu", (unsigned long long)n);
	len = snprintf(ret, TRAIL_NAME, "%s%s%s", t->base, number, suffix);
	return len > 0 && len < TRAIL_NAME;
}

/* Ours, and nobody else may write it? For a directory root's will do. */
static bool is_ours(const struct stat *st)
{
	return (st->st_uid == geteuid() || (S_ISDIR(st->st_mode) && st->st_uid == 0)) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* A link on the way counts only where root has put it, and nobody else could have. */
static int follow(int at, const char *name)
{
	struct stat dir, link;

	if (fstat(at, &dir) < 0 || fstatat(at, name, &link, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(link.st_mode))
		return -ENOTDIR;
	if (link.st_uid != 0 || dir.st_uid != 0 || dir.st_mode & (S_IWGRP | S_IWOTH))
		return -ELOOP;
	at = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return at < 0 ? -errno : at;
}

static int step(int at, const char *name, bool make)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(at, name, flags);

	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
			return -errno;
		fd = openat(at, name, flags);
	}
	if (fd >= 0)
		return fd;
	return errno == ENOTDIR || errno == ELOOP ? follow(at, name) : -errno;
}

/* The directory of @path, opened part by part. */
static int walk(const char *path, bool make)
{
	char part[NAME_MAX + 1];
	_cleanup_close_ int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *s = path, *slash;
	int fd;

	if (at < 0)
		return -errno;
	while ((slash = strchr(++s, '/'))) {
		size_t n = (size_t)(slash - s);

		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(part, s, n);
		part[n] = '\0';
		s = slash;
		if (n == 0 || streq(part, "."))
			continue;
		if (streq(part, ".."))
			return -EINVAL;
		fd = step(at, part, make);
		if (fd < 0)
			return fd;
		close(at);
		at = fd;
	}
	fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int trail_open_dir(struct trail *t, bool make, struct err *e)
{
	_cleanup_close_ int fd = walk(t->path, make);
	struct stat st;

	if (fd < 0)
		return trail_failed(e, t, fd, "open its directory");
	if (fstat(fd, &st) < 0)
		return trail_failed(e, t, -errno, "look at its directory");
	if (!is_ours(&st))
		return trail_failed(e, t, EPERM,
				    "its directory is another user's, or others may write it");
	close_fdp(&t->dir);
	t->dir = TAKE_FD(fd);
	return 0;
}

/* Open @name below t->dir. *ret: its state. */
static int open_ours(struct trail *t, const char *name, int flags, struct stat *ret, struct err *e)
{
	_cleanup_close_ int fd = openat(t->dir, name, FILE_FLAGS | flags, 0600);

	if (fd < 0)
		return trail_failed(e, t, -errno, flags & O_CREAT ? "open or make it" : "open it");
	if (fstat(fd, ret) < 0)
		return trail_failed(e, t, -errno, "look at it");
	if (!S_ISREG(ret->st_mode))
		return trail_failed(e, t, EEXIST, "it, or its head, is no ordinary file");
	if (!is_ours(ret))
		return trail_failed(e, t, EPERM,
				    "it, or its head, is another user's, or others may write it");
	return TAKE_FD(fd);
}

int trail_open_head(struct trail *t, struct err *e)
{
	char name[TRAIL_NAME];
	struct stat st;
	int fd;

	close_fdp(&t->head);
	if (!trail_name(t, 0, ".head", name))
		return trail_failed(e, t, ENAMETOOLONG, "name its head");
	fd = open_ours(t, name, O_CREAT, &st, e);
	if (fd < 0)
		return fd;
	t->head = fd;
	t->head_ino = st.st_ino;
	return 0;
}

bool trail_head_is_named(const struct trail *t)
{
	char name[TRAIL_NAME];
	struct stat st;

	return trail_name(t, 0, ".head", name) &&
	       fstatat(t->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == t->head_ino;
}

int trail_open_file(struct trail *t, int64_t *size, struct err *e)
{
	struct err gone = { 0 };
	struct stat st;
	int fd;

	*size = -1;
	if (fstatat(t->dir, t->base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return trail_failed(e, t, -errno, "look at it");
		close_fdp(&t->file);
		return 0;
	}
	if (t->file < 0 || st.st_ino != t->ino || st.st_dev != t->dev) {
		close_fdp(&t->file);
		fd = open_ours(t, t->base, 0, &st, &gone);
		if (fd == -ENOENT) /* without the lock: another has rotated it since */
			return 0;
		if (fd < 0) {
			*e = err_is_set(e) ? *e : gone;
			return fd;
		}
		t->file = fd;
		t->ino = st.st_ino;
		t->dev = st.st_dev;
	}
	*size = st.st_size;
	return 0;
}

int trail_make_file(struct trail *t, struct err *e)
{
	struct err taken = { 0 };
	struct stat st;
	int fd = open_ours(t, t->base, O_CREAT | O_EXCL, &st, &taken);

	/* Who has moved the old one away may have made an empty one since we looked. */
	if (fd == -EEXIST)
		fd = open_ours(t, t->base, 0, &st, e);
	else if (fd < 0)
		*e = err_is_set(e) ? *e : taken;
	if (fd < 0)
		return fd;
	if (st.st_size > 0) {
		close(fd);
		return trail_failed(e, t, EEXIST, "it is there, and is no audit trail");
	}
	close_fdp(&t->file);
	t->file = fd;
	t->ino = st.st_ino;
	t->dev = st.st_dev;
	return 0;
}

int trail_pwrite(int fd, const void *data, size_t len, uint64_t offset)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int trail_read_head(int fd, struct trail_head *ret)
{
	char text[TRAIL_HEAD_SIZE + 1];
	ssize_t n = pread(fd, text, sizeof(text), 0);

	if (n <= 0)
		return n < 0 ? -errno : -ENODATA;
	return trail_head_parse(text, (size_t)n, ret);
}

int trail_write_head(struct trail *t, const struct trail_head *h)
{
	char text[TRAIL_HEAD_SIZE + 1];

	trail_head_format(h, text);
	return trail_pwrite(t->head, text, TRAIL_HEAD_SIZE, 0);
}

/* The N of "BASE.N"; 0 for any other name. */
static uint64_t number_of(const struct trail *t, const char *name)
{
	const char *rest = str_after(name, t->base);
	uint64_t n;

	if (!rest || rest[0] != '.' || rest[1] < '1' || rest[1] > '9' ||
	    parse_u64(rest + 1, &n) < 0 || n > INT64_MAX)
		return 0;
	return n;
}

/* The highest N of the older files; 0 without any. */
static int newest(struct trail *t, uint64_t *ret)
{
	int fd = openat(t->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	*ret = 0;
	if (!dir) {
		int r = -errno;

		close_fdp(&fd);
		return r;
	}
	while ((entry = readdir(dir)))
		*ret = MAX(*ret, number_of(t, entry->d_name));
	closedir(dir);
	return 0;
}

uint64_t trail_find_rotated(struct trail *t, const struct trail_head *h)
{
	_cleanup_close_ int fd = -1;
	struct trail_head old;
	char name[TRAIL_NAME];
	uint64_t n;

	if (newest(t, &n) < 0 || n == 0 || !trail_name(t, n, ".head", name))
		return 0;
	fd = openat(t->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || trail_read_head(fd, &old) < 0)
		return 0;
	return old.seq == h->seq && memcmp(old.hash, h->hash, sizeof(old.hash)) == 0 ? n : 0;
}

static int write_old_head(struct trail *t, const char *name, const struct trail_head *h)
{
	char text[TRAIL_HEAD_SIZE + 1];
	_cleanup_close_ int fd =
		openat(t->dir, name,
		       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	trail_head_format(h, text);
	r = trail_pwrite(fd, text, TRAIL_HEAD_SIZE, 0);
	return r < 0 ? r : fdatasync(fd) < 0 ? -errno : 0;
}

int trail_rotate(struct trail *t, struct trail_head *h, struct err *e)
{
	char file[TRAIL_NAME], head[TRAIL_NAME], sig[TRAIL_NAME], old_sig[TRAIL_NAME];
	uint64_t n;
	int r = newest(t, &n);

	if (r < 0)
		return trail_failed(e, t, r, "list its directory");
	if (!trail_name(t, ++n, "", file) || !trail_name(t, n, ".head", head) ||
	    !trail_name(t, 0, ".sig", sig) || !trail_name(t, n, ".sig", old_sig))
		return trail_failed(e, t, ENAMETOOLONG, "rotate it");
	r = fdatasync(t->file) < 0 ? -errno : write_old_head(t, head, h);
	if (r == 0 && renameat(t->dir, t->base, t->dir, file) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(t->dir, head, 0);
		return trail_failed(e, t, r, "rotate it");
	}
	close_fdp(&t->file);
	h->size = 0;
	r = trail_write_head(t, h);
	if (r < 0)
		return trail_failed(e, t, r, "write its head");
	renameat(t->dir, sig, t->dir, old_sig); /* there may be none */
	fsync(t->dir);
	return 0;
}
