/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a trail: see trail_reader.h. */
#include "cli/trail_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "event/trail.h"

enum {
	READER_ROOM = 256 * 1024,
	LINE_MAX_BYTES = 2 * EVENT_LINE_MAX, /* of a later Purple, too */
	COMPLAINTS_MAX = 20
};

static void complain(struct trail_reader *r, uint64_t line, const char *what)
{
	_cleanup_buf_ struct buf b = BUF_INIT(2 * PATH_MAX);

	if (r->damaged++ > COMPLAINTS_MAX || r->quiet)
		return;
	buf_puts(&b, "purple: audit: ");
	line_put(&b, r->path);
	if (r->number > 0)
		buf_printf(&b, ".%llu", (unsigned long long)r->number);
	buf_printf(&b, ":%llu: %s\n", (unsigned long long)line, what);
	if (r->damaged > COMPLAINTS_MAX)
		buf_puts(&b, "purple: audit: further ones are only counted\n");
	write_full(STDERR_FILENO, b.data, b.len);
}

static int open_file(const struct trail_reader *r, uint64_t number)
{
	char name[NAME_MAX + 32];
	struct stat st;
	int fd;

	if (number > 0)
		snprintf(name, sizeof(name), "%.255s.%llu", r->base, (unsigned long long)number);
	else
		snprintf(name, sizeof(name), "%.255s", r->base);
	fd = openat(r->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

/* The number of an older file from its name; 0: it is none. */
static uint64_t older_number(const struct trail_reader *r, const char *name)
{
	const char *rest = str_after(name, r->base);
	uint64_t n;

	if (!rest || rest[0] != '.' || rest[1] < '1' || rest[1] > '9' || strlen(rest) > 19)
		return 0;
	for (const char *p = rest + 1; *p; p++)
		if (*p < '0' || *p > '9')
			return 0;
	return parse_u64(rest + 1, &n) == 0 ? n : 0;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Those behind number @after. */
static int find_older(struct trail_reader *r, uint64_t after)
{
	int fd = openat(r->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	size_t room = 0;

	if (!d) {
		int error = errno;

		close_fdp(&fd);
		return -error;
	}
	r->older_count = r->older_next = 0;
	free(TAKE_PTR(r->older));
	for (struct dirent *entry; (entry = readdir(d));) {
		uint64_t n = older_number(r, entry->d_name);

		if (n <= after)
			continue;
		if (r->older_count == room) {
			uint64_t *more;

			room = room ? 2 * room : 16;
			more = reallocarray(r->older, room, sizeof(*more));
			if (!more) {
				closedir(d);
				return -ENOMEM;
			}
			r->older = more;
		}
		r->older[r->older_count++] = n;
	}
	closedir(d);
	if (r->older_count > 0)
		qsort(r->older, r->older_count, sizeof(*r->older), by_number);
	return 0;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static void begin_file(struct trail_reader *r, int fd, uint64_t number)
{
	close_fdp(&r->fd);
	r->fd = fd;
	r->number = number;
	r->offset = 0;
	r->line = 0;
	r->from = r->to = 0;
	r->skipping = false;
}

/* The next file, older ones first. False: there is none. */
static bool next_file(struct trail_reader *r)
{
	while (r->older_next < r->older_count) {
		uint64_t n = r->older[r->older_next++];
		int fd = open_file(r, n);

		if (fd >= 0 && r->live >= 0 && same_file(fd, r->live)) {
			/* It was rotated after we opened it. */
			close(fd);
			begin_file(r, TAKE_FD(r->live), n);
			return true;
		}
		if (fd >= 0) {
			begin_file(r, fd, n);
			return true;
		}
	}
	if (r->live < 0)
		return false;
	begin_file(r, TAKE_FD(r->live), 0);
	return true;
}

static int not_there(struct trail_reader *r, int code, struct err *e)
{
	_cleanup_buf_ struct buf b = BUF_INIT(2 * PATH_MAX);

	line_put(&b, r->path);
	err_set(e, code, "audit", "%.400s", b.data ? b.data : "");
	if (code == -ENOENT)
		err_remedy(e, "a trail is written by `purple run --audit`; --file names another");
	else if (code == -EACCES)
		err_remedy(e,
			   "is HOME that of another user? Set it to a directory of yours, or name "
			   "the file: --file");
	return -e->code;
}

static int no_path(int code, struct err *e)
{
	if (code == 0)
		return err_set(e, ENAMETOOLONG, "audit", "the path of the trail");
	err_set(e, EPROTO, "audit", "there is no home, and so no trail");
	err_remedy(e, "set HOME, or name the file: --file");
	return -EPROTO;
}

int trail_reader_open(struct trail_reader *r, const char *path, bool follow, struct err *e)
{
	char folder[PATH_MAX];
	char *slash;
	int n = 0;

	r->follow = follow;
	if (path ? !str_copy(r->path, sizeof(r->path), path)
		 : (n = trail_default_path(r->path, sizeof(r->path))) < 0)
		return no_path(n, e);
	r->room = malloc(READER_ROOM);
	if (!r->room)
		return err_set(e, ENOMEM, "audit", "memory");
	str_copy(folder, sizeof(folder), r->path);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	r->base = slash ? strrchr(r->path, '/') + 1 : r->path;
	r->dir = open(slash ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r->dir < 0)
		return not_there(r, -errno, e);
	/* First this, then the others: what is rotated meanwhile is among them. */
	r->live = open_file(r, 0);
	n = r->live < 0 && !(follow && r->live == -ENOENT) ? r->live : find_older(r, 0);
	if (n < 0)
		return not_there(r, n, e);
	if (follow) {
		r->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (r->inotify >= 0 && inotify_add_watch(r->inotify, slash ? folder : ".",
							 IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
			close_fdp(&r->inotify);
	}
	next_file(r);
	return 0;
}

void trail_reader_to_end(struct trail_reader *r)
{
	struct stat st;

	if (r->live >= 0)
		begin_file(r, TAKE_FD(r->live), 0);
	r->older_next = r->older_count;
	if (r->fd < 0 || fstat(r->fd, &st) < 0)
		return;
	/* Back to the last newline: a line may be half written. */
	for (uint64_t end = (uint64_t)st.st_size; end > 0;) {
		uint64_t begin = end > READER_ROOM ? end - READER_ROOM : 0;
		ssize_t n = pread(r->fd, r->room, (size_t)(end - begin), (off_t)begin);
		const char *newline = n > 0 ? memrchr(r->room, '\n', (size_t)n) : NULL;

		r->offset = newline ? begin + (uint64_t)(newline - r->room) + 1 : begin;
		end = newline || n <= 0 ? 0 : begin;
	}
}

/* 1: there is more in the room; 0: not now. */
static int refill(struct trail_reader *r)
{
	ssize_t n;

	if (r->from > 0) {
		memmove(r->room, r->room + r->from, r->to - r->from);
		r->to -= r->from;
		r->from = 0;
	}
	do
		n = pread(r->fd, r->room + r->to, READER_ROOM - r->to, (off_t)r->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r->offset += (uint64_t)n;
	r->to += (size_t)n;
	return n > 0;
}

/* The next whole line of the file, without its newline. 1, 0, -errno. */
static int take_line(struct trail_reader *r, const char **ret, size_t *len)
{
	size_t seen = 0; /* bytes without a newline */

	for (;;) {
		char *start = r->room + r->from;
		char *newline = memchr(start + seen, '\n', r->to - r->from - seen);
		int n;

		if (newline) {
			*ret = start;
			*len = (size_t)(newline - start);
			r->from += *len + 1;
			r->line++;
			if (r->skipping || *len > LINE_MAX_BYTES) {
				r->skipping = false;
				seen = 0;
				complain(r, r->line, "too long for a line of a trail; skipped");
				continue;
			}
			return 1;
		}
		seen = r->to - r->from;
		if (seen > LINE_MAX_BYTES) {
			r->skipping = true;
			r->from = r->to;
			seen = 0;
		}
		n = refill(r);
		if (n <= 0)
			return n;
	}
}

/* How many bytes of the file the head says that count; UINT64_MAX: there is no head. */
static uint64_t counted(const struct trail_reader *r)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4096);
	struct trail_head head;
	char name[NAME_MAX + 32];

	if (r->number > 0)
		snprintf(name, sizeof(name), "%.220s.%llu.head", r->base,
			 (unsigned long long)r->number);
	else
		snprintf(name, sizeof(name), "%.240s.head", r->base);
	if (read_file_at(r->dir, name, &b) < 0 || !b.data ||
	    trail_head_parse(b.data, b.len, &head) < 0)
		return UINT64_MAX;
	return head.size;
}

/* At the end of a file that will not be read again. */
static void end_file(struct trail_reader *r)
{
	if (r->skipping || (r->to > r->from && r->offset - (r->to - r->from) < counted(r)))
		complain(r, r->line + 1, "cut off; skipped");
	r->from = r->to;
	r->skipping = false;
}

/* While following: has the live file been rotated? Then what comes next is found. */
static bool rotated(struct trail_reader *r)
{
	struct stat ours, now;
	uint64_t after = 0;

	if (r->number > 0)
		return false;
	if (fstatat(r->dir, r->base, &now, 0) < 0)
		return false; /* not there yet */
	if (r->fd >= 0 &&
	    (fstat(r->fd, &ours) < 0 || (ours.st_dev == now.st_dev && ours.st_ino == now.st_ino)))
		return false;
	r->live = open_file(r, 0);
	if (r->live < 0 || find_older(r, 0) < 0) {
		close_fdp(&r->live);
		return false;
	}
	for (size_t i = 0; r->fd >= 0 && i < r->older_count; i++) {
		int fd = open_file(r, r->older[i]);

		if (fd >= 0 && same_file(fd, r->fd))
			after = r->older[i];
		close_fdp(&fd);
	}
	/* Removed, not rotated: only the new file follows; a gap shows in the numbers. */
	while (r->older_next < r->older_count && (after == 0 || r->older[r->older_next] <= after))
		r->older_next++;
	return true;
}

/*
 * Half a line is read again: a writer that died in it is followed by one who cuts it
 * off. What is shorter than what we have read otherwise was cut by a stranger.
 */
static void step_back(struct trail_reader *r)
{
	struct stat st;

	r->offset -= r->to - r->from;
	r->from = r->to = 0;
	if (r->fd < 0 || fstat(r->fd, &st) < 0 || (uint64_t)st.st_size >= r->offset)
		return;
	complain(r, r->line, "the file was cut behind this line");
	r->offset = (uint64_t)st.st_size;
}

static void check_seq(struct trail_reader *r, const struct trail_line *l)
{
	char what[128];

	if (r->seq_known && l->seq != r->next_seq) {
		if (l->seq > r->next_seq)
			snprintf(what, sizeof(what), "%llu lines before this one are missing",
				 (unsigned long long)(l->seq - r->next_seq));
		else
			snprintf(what, sizeof(what), "line number %llu is out of order",
				 (unsigned long long)l->seq);
		complain(r, r->line, what);
	}
	r->seq_known = true;
	r->next_seq = l->seq + 1;
}

/* The file's end: 1: another follows; 0: no more for now. */
static int at_end(struct trail_reader *r)
{
	if (r->number > 0 || !r->follow) {
		if (r->fd >= 0)
			end_file(r);
		return next_file(r);
	}
	if (!rotated(r)) {
		step_back(r);
		return 0;
	}
	/* What was written to the old one between our look and its rotation. */
	if (r->fd >= 0 && refill(r) > 0) {
		close_fdp(&r->live);
		r->older_next = r->older_count = 0;
		return 1;
	}
	if (r->fd >= 0)
		end_file(r);
	return next_file(r);
}

int trail_reader_next(struct trail_reader *r, struct trail_line *l, struct err *e)
{
	for (;;) {
		const char *text, *wrong;
		size_t len;
		int n = r->fd >= 0 ? take_line(r, &text, &len) : 0;

		if (n < 0)
			return not_there(r, n, e);
		if (n == 0) {
			if (at_end(r))
				continue;
			return 0;
		}
		if (r->only && !memmem(text, len, r->only, strlen(r->only)))
			continue;
		wrong = line_parse(l, text, len);
		if (wrong) {
			char what[128];

			snprintf(what, sizeof(what), "damaged: %.80s; skipped", wrong);
			complain(r, r->line, what);
			r->seq_known = false; /* one complaint is enough */
			continue;
		}
		if (!r->only)
			check_seq(r, l);
		r->lines++;
		return 1;
	}
}

void trail_reader_wait(struct trail_reader *r, int ms)
{
	struct pollfd p = { .fd = r->inotify, .events = POLLIN };
	char events[4096] __attribute__((aligned(8)));

	/* Without inotify, and where it tells nothing (network file systems), look by the clock. */
	if (poll(&p, 1, r->inotify >= 0 ? MIN(ms, 1000) : MIN(ms, 200)) > 0)
		while (read(r->inotify, events, sizeof(events)) > 0)
			;
}

void trail_reader_close(struct trail_reader *r)
{
	close_fdp(&r->fd);
	close_fdp(&r->live);
	close_fdp(&r->dir);
	close_fdp(&r->inotify);
	free(r->older);
	free(r->room);
	*r = TRAIL_READER_INIT;
}
