/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a copy. They are in the store, where nobody inside can write. */
#include <limits.h>
#include <string.h>

#include "base/macros.h"
#include "sys/files.h"
#include "workspace/internal.h"

int copy_file_make(struct copy_file *f, int dir, const char *name)
{
	sys_call(SYS_unlinkat, dir, name, 0); /* of who was killed */
	f->at = f->len = 0;
	f->fd = sys_openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	return MIN(f->fd, 0);
}

static int flush(struct copy_file *f)
{
	for (size_t at = 0; at < f->len;) {
		long n = sys_write(f->fd, f->room + at, f->len - at);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		at += (size_t)n;
	}
	f->len = 0;
	return 0;
}

int copy_file_put(struct copy_file *f, struct copy_record *record, const char *path)
{
	int r = 0;

	record->length = (uint16_t)strlen(path);
	if (f->len + sizeof(*record) + record->length > sizeof(f->room))
		r = flush(f);
	if (r < 0)
		return r;
	memcpy(f->room + f->len, record, sizeof(*record));
	memcpy(f->room + f->len + sizeof(*record), path, record->length);
	f->len += sizeof(*record) + record->length;
	return 0;
}

int copy_file_close(struct copy_file *f)
{
	int r = flush(f);

	if (r == 0)
		r = (int)sys_call(SYS_fdatasync, f->fd);
	sys_close(f->fd);
	return r;
}

int copy_file_open(struct copy_file *f, int dir, const char *name)
{
	f->at = f->len = 0;
	f->fd = sys_openat(dir, name, O_RDONLY | O_NOFOLLOW, 0);
	return MIN(f->fd, 0);
}

/* The next @n bytes. 1, 0: there are none; -EBADMSG: fewer. */
static int take(struct copy_file *f, void *to, size_t n)
{
	while (f->len - f->at < n) {
		long got;

		memmove(f->room, f->room + f->at, f->len - f->at);
		f->len -= f->at;
		f->at = 0;
		got = sys_read(f->fd, f->room + f->len, sizeof(f->room) - f->len);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return f->len ? -EBADMSG : 0;
		f->len += (size_t)got;
	}
	memcpy(to, f->room + f->at, n);
	f->at += n;
	return 1;
}

int copy_file_get(struct copy_file *f, struct copy_record *record, char *path)
{
	int r = take(f, record, sizeof(*record));

	if (r <= 0)
		return r;
	if (record->length >= PATH_MAX || record->kind >= COPY_KINDS)
		return -EBADMSG;
	path[record->length] = '\0';
	r = record->length ? take(f, path, record->length) : 1;
	return r == 0 ? -EBADMSG : r;
}
