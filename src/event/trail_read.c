/* SPDX-License-Identifier: Apache-2.0 */
#include "event/trail_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "event/trail_line.h"

enum { LOCK_TRIES = 5000, LOCK_PAUSE_NS = 2000000, PARTS_MAX = 100000 };

void trail_snapshot_free(struct trail_snapshot *s)
{
	for (size_t i = 0; i < s->count; i++)
		close_fdp(&s->parts[i].fd);
	free(s->parts);
	close_fdp(&s->dir);
	*s = TRAIL_SNAPSHOT_INIT;
}

static int open_part(int dir, const char *name)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EBADMSG;
}

int trail_part_open(const struct trail_snapshot *s, size_t i)
{
	int fd = s->parts[i].fd;

	if (fd < 0)
		return open_part(s->dir, s->parts[i].name);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

static int parse_head(int fd, struct trail_head *ret)
{
	char text[TRAIL_HEAD_SIZE + 1];
	ssize_t n = pread(fd, text, sizeof(text), 0);

	return n < 0 ? -errno : trail_head_parse(text, (size_t)n, ret);
}

static int open_beside(int dir, const struct trail_part *p, const char *suffix)
{
	char name[sizeof(p->name) + 8];

	snprintf(name, sizeof(name), "%s%s", p->name, suffix);
	return open_part(dir, name);
}

static void read_head(int dir, struct trail_part *p)
{
	_cleanup_close_ int fd = open_beside(dir, p, ".head");

	p->head_error = fd < 0 ? fd : parse_head(fd, &p->head);
}

static void read_signature(int dir, struct trail_part *p)
{
	_cleanup_close_ int fd = open_beside(dir, p, ".sig");
	ssize_t n = fd < 0 ? 0 : pread(fd, p->sig, sizeof(p->sig), 0);

	p->sig_len = (size_t)MAX(n, 0);
}

/* The number of the first line; 0: it is no line of a trail. */
static uint64_t first_of(int fd)
{
	char text[64];
	uint64_t seq = 0;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	const char *s;

	text[MAX(n, 0)] = '\0';
	s = str_after(text, TRAIL_SEQ);
	for (; s && *s >= '0' && *s <= '9'; s++)
		seq = seq * 10 + (uint64_t)(*s - '0');
	return s && *s == ',' ? seq : 0;
}

static bool is_older_name(const char *name, const char *base)
{
	const char *rest = str_after(name, base);

	if (!rest || (rest[0] != '.' && rest[0] != '-') || rest[1] == '\0')
		return false;
	return strspn(rest + 1, "0123456789") == strlen(rest + 1);
}

static int add_part(struct trail_snapshot *s, const char *name, int fd)
{
	struct trail_part *p;
	struct stat st;

	if (s->count == PARTS_MAX)
		return -E2BIG;
	if (s->count == s->room) {
		p = reallocarray(s->parts, 2 * s->room + 8, sizeof(*p));
		if (!p)
			return -ENOMEM;
		s->parts = p;
		s->room = 2 * s->room + 8;
	}
	p = &s->parts[s->count];
	*p = (struct trail_part){ .fd = -1, .head_error = -ENOENT };
	if (!str_copy(p->name, sizeof(p->name), name))
		return -ENAMETOOLONG;
	if (fstat(fd, &st) < 0)
		return -errno;
	p->size = (uint64_t)st.st_size;
	p->first = first_of(fd);
	s->count++;
	return 0;
}

/* The number of some line of it: the head knows also where the first line is damaged. */
static uint64_t some_line(const struct trail_part *p)
{
	return p->first ? p->first : p->head_error == 0 ? p->head.seq - 1 : 0;
}

static int by_line(const void *a, const void *b)
{
	const struct trail_part *x = a, *y = b;
	uint64_t i = some_line(x), j = some_line(y);

	return i != j ? (i < j ? -1 : 1) : strcmp(x->name, y->name);
}

/* PATH.9 before PATH.10. */
static int by_name(const void *a, const void *b)
{
	const struct trail_part *x = a, *y = b;
	size_t n = strlen(x->name), m = strlen(y->name);

	return n != m ? (n < m ? -1 : 1) : strcmp(x->name, y->name);
}

/*
 * We number from the oldest on, others from the newest. Where either the first lines
 * or the heads agree with our order, it is ours, and the other was tampered with.
 */
static void sort(struct trail_snapshot *s)
{
	bool lines = true, heads = true;

	if (s->count < 2)
		return;
	qsort(s->parts, s->count, sizeof(s->parts[0]), by_name);
	for (size_t i = 0; i < s->count; i++) {
		const struct trail_part *p = &s->parts[i], *before = i > 0 ? p - 1 : p;

		lines &= p->first >= before->first;
		heads &= p->head_error == 0 && p->head.seq >= before->head.seq;
	}
	if (!lines && !heads)
		qsort(s->parts, s->count, sizeof(s->parts[0]), by_line);
}

static int add_older(struct trail_snapshot *s, const char *base)
{
	int copy = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while (r == 0 && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;

		if (!is_older_name(entry->d_name, base))
			continue;
		fd = open_part(s->dir, entry->d_name);
		/* Permissions are a reason not to say that all is well. */
		r = fd == -EBADMSG ? 0 : fd < 0 ? fd : add_part(s, entry->d_name, fd);
		if (r < 0 || fd < 0)
			continue;
		read_head(s->dir, &s->parts[s->count - 1]);
		if (some_line(&s->parts[s->count - 1]) == 0)
			s->count--; /* it only has such a name */
	}
	closedir(dir);
	sort(s);
	return r;
}

static int lock_shared(int fd)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };

	for (int i = 0; flock(fd, LOCK_SH | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return 0; /* a file system without locks: nobody writes there either */
		if (i == LOCK_TRIES)
			return -EAGAIN;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* While no writer is at it: PATH, its head, and which others there are. */
static int look(struct trail_snapshot *s, const char *base, int head)
{
	struct trail_part *last;
	_cleanup_close_ int fd = -1;
	int r = add_older(s, base);

	if (r < 0)
		return r;
	fd = open_part(s->dir, base);
	if (fd == -ENOENT && (s->count > 0 || head >= 0))
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* moved away, or not begun */
	if (fd < 0)
		return fd;
	r = add_part(s, base, fd);
	if (r < 0)
		return r;
	last = &s->parts[s->count - 1];
	last->fd = TAKE_FD(fd);
	last->head_error = head < 0 ? head : parse_head(head, &last->head);
	for (size_t i = 0; i < s->count; i++)
		read_signature(s->dir, &s->parts[i]);
	return 0;
}

int trail_snapshot(struct trail_snapshot *s, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char dir[4096], name[300];
	_cleanup_close_ int head = -1;
	int r = 0;

	*s = TRAIL_SNAPSHOT_INIT;
	if ((size_t)(base - path) >= sizeof(dir))
		return err_set(e, ENAMETOOLONG, "audit", "%.200s", path);
	memcpy(dir, path, (size_t)(base - path));
	dir[base - path] = '\0';
	if (snprintf(name, sizeof(name), "%s.head", base) >= 256 || base[0] == '\0')
		return err_set(e, EINVAL, "audit", "%.200s is no name of a file", path);
	s->dir = open(dir[0] ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		r = -errno;
	if (r == 0) {
		head = open_part(s->dir, name);
		if (head >= 0)
			r = lock_shared(head);
		else if (head != -ENOENT)
			r = head;
	}
	if (r == 0)
		r = look(s, base, head);
	if (r < 0) {
		trail_snapshot_free(s);
		err_set(e, r, "audit", "%s: %s", path, r == -EAGAIN ? "lock its head" : "read it");
		if (r == -EAGAIN)
			err_remedy(e, "a process that holds its lock is stuck: fuser %s.head",
				   path);
	}
	return r;
}
