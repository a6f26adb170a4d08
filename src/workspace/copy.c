/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/copy.h"

#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "base/str.h"
#include "sys/files.h"
#include "sys/listing.h"
#include "workspace/internal.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
#define BASE_NEW STORE_COPY_BASE ".new"

enum { WAITING_BYTES = 4 << 20, TELL_AFTER_S = 2 };

struct level {
	int from, to;
	size_t path, waiting; /* lengths when it was entered */
};

static _cold_data_ struct copying {
	struct err *e;
	void (*told)(uint64_t files);
	int64_t began_s;
	uint64_t files;
	struct copy_file base;
	char path[PATH_MAX]; /* of what is looked at, from the top */
	struct level levels[COPY_DEPTH_MAX];
	int depth;
	char waiting[WAITING_BYTES]; /* directories that are to be entered, by name */
	size_t waiting_len;
	char block[65536];
	struct sys_listing listing;
} copying;

static int failed(struct copying *c, int code, const char *what)
{
	return err_set(c->e, code, "workspace", "copy it: %s %s", what,
		       *c->path ? c->path : "the directory itself");
}

static int look(int fd, const char *name, struct stat *st)
{
	return (int)sys_call(SYS_newfstatat, fd, name, st,
			     AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH));
}

static int note(struct copying *c, int to, const char *name, bool is_dir)
{
	struct copy_record record = { .kind = is_dir ? COPY_DIR : COPY_FILE };
	struct stat st;
	int r = look(to, name, &st);

	if (r < 0)
		return failed(c, r, "look at");
	record.ino = st.st_ino;
	record.ctime_ns = st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec;
	r = copy_file_put(&c->base, &record, c->path);
	return r < 0 ? failed(c, r, "write down") : 0;
}

static int64_t now_s(void)
{
	struct timespec t = { 0 };

	sys_call(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Sockets and pipes have no say here: only regular files come. */
static int copy_blocks(struct copying *c, int from, int to, off_t at, off_t end)
{
	while (at < end) {
		size_t n = (size_t)MIN(end - at, (off_t)1 << 30);
		loff_t in = at, out = at;
		long got = sys_call(SYS_copy_file_range, from, &in, to, &out, n, 0);

		if (got < 0) { /* between these two file systems, or not of this one */
			got = sys_call(SYS_pread64, from, c->block, MIN(n, sizeof(c->block)), at);
			if (got > 0)
				got = sys_call(SYS_pwrite64, to, c->block, got, at);
		}
		if (got == 0) /* it was cut meanwhile */
			return 0;
		if (got < 0)
			return (int)got;
		at += got;
	}
	return 0;
}

static int copy_content(struct copying *c, int from, int to, off_t size)
{
	off_t at = 0;
	int r = 0;

	if (sys_call(SYS_ioctl, to, FICLONE, from) == 0)
		return 0;
	while (r == 0 && at < size) {
		off_t data = (off_t)sys_call(SYS_lseek, from, at, SEEK_DATA), end;

		if (data == -ENXIO) /* a hole up to the end */
			break;
		if (data < 0)
			data = at;
		end = (off_t)sys_call(SYS_lseek, from, data, SEEK_HOLE);
		end = end > data ? MIN(end, size) : size;
		r = copy_blocks(c, from, to, data, end);
		at = end;
	}
	return r < 0 ? r : (int)sys_call(SYS_ftruncate, to, size);
}

/* Without root what belongs to others becomes ours: that is no change, for it stays as it is. */
static int copy_attributes(int from, int to, const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	int r = store_copy_attributes(from, to, false);

	if (r != -EPERM)
		return r;
	r = (int)sys_call(SYS_fchmod, to, st->st_mode & 01777);
	sys_call(SYS_utimensat, to, NULL, times, 0);
	return r;
}

static int copy_regular(struct copying *c, int from, const char *name, int to)
{
	int in = sys_openat2(from, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0, BENEATH);
	int out = sys_openat2(to, name, O_WRONLY | O_CREAT | O_EXCL, in < 0 ? 0 : 0600, BENEATH), r;
	struct stat st;

	r = out < 0 ? out : in == -EACCES || in == -EPERM ? 0 : in < 0 ? in : look(in, "", &st);
	if (r == 0 && in >= 0)
		r = S_ISREG(st.st_mode) ? copy_content(c, in, out, st.st_size) : -ESTALE;
	if (r == 0 && in >= 0)
		r = copy_attributes(in, out, &st);
	sys_close(out);
	sys_close(in);
	return r;
}

static int copy_link(int from, const char *name, int to)
{
	char target[PATH_MAX];
	long n = sys_call(SYS_readlinkat, from, name, target, sizeof(target) - 1);

	if (n < 0)
		return (int)n;
	target[n] = '\0';
	return sys_symlinkat(target, to, name);
}

static int wait_for(struct copying *c, const char *name)
{
	size_t n = strlen(name) + 1;

	if (n > sizeof(c->waiting) - c->waiting_len)
		return -E2BIG;
	memcpy(c->waiting + c->waiting_len, name, n);
	c->waiting_len += n;
	return 0;
}

static int copy_other(int from, const char *name, const struct stat *st, int to)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	int r = S_ISLNK(st->st_mode)
			? copy_link(from, name, to)
			: (int)sys_call(SYS_mknodat, to, name, (st->st_mode & (S_IFMT | 0777)), 0);

	if (r < 0)
		return r;
	sys_call(SYS_fchownat, to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW);
	if (!S_ISLNK(st->st_mode))
		sys_call(SYS_fchmodat, to, name, st->st_mode & 0777);
	sys_call(SYS_utimensat, to, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

/* One name of the directory on top, which @c->path ends with. */
static int copy_one(struct copying *c, const char *name)
{
	const struct level *top = &c->levels[c->depth - 1];
	struct stat st;
	int r = look(top->from, name, &st);

	if (r == -ENOENT)
		return 0;
	if (++c->files > COPY_FILES_MAX)
		return failed(c, -E2BIG, "there are too many files;");
	if (c->told && c->files % 256 == 0 && now_s() - c->began_s >= TELL_AFTER_S) {
		c->told(c->files);
		c->told = NULL;
	}
	if (r < 0)
		return failed(c, r, "look at");
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode))
		r = wait_for(c, name);
	else
		r = S_ISREG(st.st_mode) ? copy_regular(c, top->from, name, top->to)
					: copy_other(top->from, name, &st, top->to);
	if (r == -ENOENT) /* removed just now */
		return 0;
	if (r < 0)
		return failed(c, r, "copy");
	return S_ISDIR(st.st_mode) ? 0 : note(c, top->to, name, false);
}

/* Add a name to the path; how long it was. */
static int push(struct copying *c, const char *name, size_t *was)
{
	size_t n = strlen(name), at = strlen(c->path);

	*was = at;
	if (at + n + 2 > sizeof(c->path))
		return failed(c, -ENAMETOOLONG, "in");
	if (at)
		c->path[at++] = '/';
	memcpy(c->path + at, name, n + 1);
	return 0;
}

static int copy_entries(struct copying *c)
{
	const char *name;
	int r = 0;

	sys_list(&c->listing, c->levels[c->depth - 1].from);
	while (r == 0 && (name = sys_list_next(&c->listing))) {
		size_t was;

		r = push(c, name, &was);
		r = r < 0 ? r : copy_one(c, name);
		c->path[was] = '\0';
	}
	if (r == 0 && sys_list_error(&c->listing) < 0)
		r = failed(c, sys_list_error(&c->listing), "list");
	return r;
}

/* The directories @from and @to are open; theirs is the name that @c->path ends with. */
static int enter(struct copying *c, int from, int to)
{
	struct level *next = &c->levels[c->depth];

	*next = (struct level){ from, to, strlen(c->path), c->waiting_len };
	c->depth++;
	return from < 0 ? 0 : copy_entries(c); /* one that we may not list stays empty */
}

static int enter_name(struct copying *c, const char *name)
{
	const struct level *top = &c->levels[c->depth - 1];
	int from, to, r;

	if (c->depth == COPY_DEPTH_MAX)
		return failed(c, -E2BIG, "it is too deep:");
	from = sys_openat2(top->from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, BENEATH);
	if (from == -ENOENT || from == -ENOTDIR || from == -ELOOP)
		return 0;
	if (from < 0 && from != -EACCES)
		return failed(c, from, "open");
	r = sys_mkdirat(top->to, name, from < 0 ? 0 : 0700);
	to = r < 0 ? r
		   : sys_openat2(top->to, name, (from < 0 ? O_PATH : O_RDONLY) | O_DIRECTORY, 0,
				 BENEATH);
	if (to < 0) {
		sys_close(from);
		return failed(c, to, "make");
	}
	return enter(c, from, to);
}

static int leave(struct copying *c)
{
	struct level *top = &c->levels[c->depth - 1];
	struct stat st;
	int r = 0;

	c->path[top->path] = '\0';
	if (top->from >= 0) {
		r = look(top->from, "", &st);
		r = r < 0 ? r : copy_attributes(top->from, top->to, &st);
		if (r < 0)
			failed(c, r, "set the attributes of");
	}
	if (r == 0)
		r = note(c, top->to, "", true);
	c->depth--;
	if (c->depth == 0)
		return r; /* they are the caller's */
	sys_close(top->to);
	sys_close(top->from);
	return r;
}

static int copy_all(struct copying *c, int from, int to)
{
	int r = enter(c, from, to);

	while (r == 0 && c->depth > 0) {
		const struct level *top = &c->levels[c->depth - 1];
		size_t at = c->waiting_len, was;

		if (at == top->waiting) {
			r = leave(c);
			continue;
		}
		for (at--; at > top->waiting && c->waiting[at - 1] != '\0'; at--)
			;
		c->waiting_len = at;
		c->path[top->path] = '\0';
		r = push(c, c->waiting + at, &was);
		r = r < 0 ? r
			  : enter_name(c,
				       strrchr(c->path, '/') ? strrchr(c->path, '/') + 1 : c->path);
	}
	while (c->depth > 1) {
		sys_close(c->levels[--c->depth].to);
		sys_close(c->levels[c->depth].from);
	}
	return r;
}

/* From now on every change has a ctime that no file of the copy has. */
static int wait_for_clock(int dir)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	struct stat first, now;
	int r = look(dir, BASE_NEW, &first);

	for (int i = 0; r == 0 && i < 3000; i++) {
		r = (int)sys_call(SYS_fchmodat, dir, BASE_NEW, 0600);
		r = r < 0 ? r : look(dir, BASE_NEW, &now);
		if (r < 0 || now.st_ctim.tv_sec != first.st_ctim.tv_sec ||
		    now.st_ctim.tv_nsec != first.st_ctim.tv_nsec)
			return r;
		sys_call(SYS_nanosleep, &moment, NULL);
	}
	return r < 0 ? r : -ETIME;
}

int copy_make(int host, int dir, struct store_meta *m, void (*told)(uint64_t files), struct err *e)
{
	struct copying *c = &copying;
	int from, to, r;

	c->e = e;
	c->told = told;
	c->began_s = now_s();
	c->files = 0;
	c->depth = 0;
	c->waiting_len = 0;
	c->path[0] = '\0';
	from = sys_openat(host, ".", O_RDONLY | O_DIRECTORY, 0);
	to = store_open_layer(dir, m, m->top);
	r = from < 0 ? failed(c, from, "open") : to < 0 ? failed(c, to, "open the copy of") : 0;
	if (r == 0) {
		r = copy_file_make(&c->base, dir, BASE_NEW);
		r = r < 0 ? failed(c, r, "write down") : copy_all(c, from, to);
		if (r == 0) {
			r = copy_file_close(&c->base);
			r = r < 0 ? r : wait_for_clock(dir);
			if (r == 0)
				r = (int)sys_call(SYS_renameat2, dir, BASE_NEW, dir,
						  STORE_COPY_BASE, 0);
			if (r < 0)
				failed(c, r, "finish");
		}
	}
	sys_close(to);
	sys_close(from);
	if (r == 0)
		m->form = STORE_COPY;
	return r;
}
