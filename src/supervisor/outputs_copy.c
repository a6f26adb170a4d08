/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/outputs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

/* From where both stand: the next @n bytes. */
static int copy_bytes(int from, int to, off_t n)
{
	while (n > 0) {
		long r = sys_call(SYS_sendfile, to, from, 0, (size_t)MIN(n, (off_t)1 << 30));

		if (r == -EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? (int)r : -EIO;
		n -= r;
	}
	return 0;
}

static int copy_content(int from, int to, off_t size)
{
	off_t at = 0, end;
	int r = 0;

	while (r == 0 && at < size) {
		at = (off_t)sys_call(SYS_lseek, from, at, SEEK_DATA);
		if (at < 0) /* ENXIO: a hole up to the end */
			break;
		end = (off_t)sys_call(SYS_lseek, from, at, SEEK_HOLE);
		if (end < 0)
			return (int)end;
		sys_call(SYS_lseek, from, at, SEEK_SET);
		sys_call(SYS_lseek, to, at, SEEK_SET);
		r = copy_bytes(from, to, end - at);
		at = end;
	}
	return r < 0 ? r : (int)sys_call(SYS_ftruncate, to, size);
}

/* Its name, if that is free. */
static int rename_new(int dir, const char *temporary, const char *name)
{
	int r = (int)sys_call(SYS_renameat2, dir, temporary, dir, name, RENAME_NOREPLACE);

	if (r != -EINVAL) /* not every file system can */
		return r;
	r = (int)sys_call(SYS_linkat, dir, temporary, dir, name, 0);
	return r < 0 ? r : (int)sys_call(SYS_unlinkat, dir, temporary, 0);
}

/* "NAME.ID" */
static int other_name(const char *name, const struct output_place *to, char *landed)
{
	return snprintf(landed, NAME_MAX + 1, "%s.%s", name, to->id) > NAME_MAX ? -ENAMETOOLONG : 0;
}

static int finish(int fd, const struct stat *st, const struct output_place *to)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };
	int r = to->chown ? (int)sys_call(SYS_fchown, fd, to->uid, to->gid) : 0;

	if (r == 0)
		r = (int)sys_call(SYS_fchmod, fd, st->st_mode & 0777);
	if (r == 0)
		sys_call(SYS_utimensat, fd, NULL, times, 0);
	return r;
}

int output_copy(int from, const char *name, const struct stat *st, const struct output_place *to,
		char *landed)
{
	char temporary[64];
	struct stat now;
	int in, out, r;

	if (!to->chown &&
	    !(st->st_mode & 0400)) /* who has made it may have taken us the right to read it */
		sys_call(SYS_fchmodat, from, name, 0600);
	in = sys_openat2(from, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0,
			 OUTPUT_BENEATH);
	if (in < 0)
		return in;
	snprintf(temporary, sizeof(temporary), ".purple-%s-%u", to->id, (*to->serial)++);
	out = sys_openat2(to->dir, temporary, O_WRONLY | O_CREAT | O_EXCL, 0600, OUTPUT_BENEATH);
	r = MIN(out, 0);
	if (r == 0)
		r = (int)sys_call(SYS_newfstatat, in, "", &now, AT_EMPTY_PATH);
	if (r == 0)
		r = now.st_ino == st->st_ino && S_ISREG(now.st_mode)
			    ? copy_content(in, out, st->st_size)
			    : -ESTALE;
	if (r == 0)
		r = finish(out, st, to);
	if (r == 0) {
		str_copy(landed, NAME_MAX + 1, name);
		r = rename_new(to->dir, temporary, name);
	}
	if (r == -EEXIST && out >= 0) {
		r = other_name(name, to, landed);
		r = r < 0 ? r : rename_new(to->dir, temporary, landed);
	}
	if (r < 0 && out >= 0)
		sys_call(SYS_unlinkat, to->dir, temporary, 0);
	sys_close(out);
	sys_close(in);
	return r;
}

static int make_dir(const char *name, const struct output_place *to)
{
	int r = sys_mkdirat(to->dir, name, 0755);
	bool made = r == 0;

	if (r < 0 && r != -EEXIST)
		return r;
	r = sys_openat2(to->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, OUTPUT_BENEATH);
	if (r >= 0 && made && to->chown)
		sys_call(SYS_fchown, r, to->uid, to->gid);
	return r;
}

int output_dir(const char *name, const struct output_place *to, char *landed)
{
	int fd = make_dir(name, to), r;

	str_copy(landed, NAME_MAX + 1, name);
	if (fd != -ENOTDIR && fd != -ELOOP && fd != -EXDEV)
		return fd;
	r = other_name(name, to, landed);
	return r < 0 ? r : make_dir(landed, to);
}
