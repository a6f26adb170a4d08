/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that a protected workspace has observed (FO_PROTECT of plan/filter.c has the same
 * names), and where each has its arguments. Others that write names or open files are refused
 * by Landlock (mount(2) and its kin, open_by_handle_at(2) by its capability, io_uring by the
 * filter), or make a socket's name (bind(2)). chmod(2), chown(2), utimensat(2) and setxattr(2)
 * are not here: they change no content, and are not held.
 */
#include <errno.h>
#include <linux/openat2.h>
#include <string.h>

#include "supervisor/protect.h"
#include "supervisor/watch_internal.h"
#include "sys/files.h"

enum { NONE = -1, BY_CWD = -2 };

static const struct call {
	int nr;
	enum door_op op;
	signed char dirfd, path, dirfd2, path2; /* numbers of arguments */
	signed char flags, mode, number, text;
} calls[] = {
#ifdef SYS_open
	{ SYS_open, DOOR_OPEN, BY_CWD, 0, NONE, NONE, 1, 2, NONE, NONE },
	{ SYS_creat, DOOR_OPEN, BY_CWD, 0, NONE, NONE, NONE, 1, NONE, NONE },
	{ SYS_mkdir, DOOR_MKDIR, BY_CWD, 0, NONE, NONE, NONE, 1, NONE, NONE },
	{ SYS_mknod, DOOR_MKNOD, BY_CWD, 0, NONE, NONE, NONE, 1, 2, NONE },
	{ SYS_symlink, DOOR_SYMLINK, BY_CWD, 1, NONE, NONE, NONE, NONE, NONE, 0 },
	{ SYS_link, DOOR_LINK, BY_CWD, 0, BY_CWD, 1, NONE, NONE, NONE, NONE },
	{ SYS_unlink, DOOR_UNLINK, BY_CWD, 0, NONE, NONE, NONE, NONE, NONE, NONE },
	{ SYS_rmdir, DOOR_UNLINK, BY_CWD, 0, NONE, NONE, NONE, NONE, NONE, NONE },
	{ SYS_rename, DOOR_RENAME, BY_CWD, 0, BY_CWD, 1, NONE, NONE, NONE, NONE },
#endif
#ifdef SYS_renameat
	{ SYS_renameat, DOOR_RENAME, 0, 1, 2, 3, NONE, NONE, NONE, NONE },
#endif
	{ SYS_openat, DOOR_OPEN, 0, 1, NONE, NONE, 2, 3, NONE, NONE },
	{ SYS_openat2, DOOR_OPEN, 0, 1, NONE, NONE, NONE, NONE, NONE, NONE },
	{ SYS_truncate, DOOR_TRUNCATE, BY_CWD, 0, NONE, NONE, NONE, NONE, 1, NONE },
	{ SYS_mkdirat, DOOR_MKDIR, 0, 1, NONE, NONE, NONE, 2, NONE, NONE },
	{ SYS_mknodat, DOOR_MKNOD, 0, 1, NONE, NONE, NONE, 2, 3, NONE },
	{ SYS_symlinkat, DOOR_SYMLINK, 1, 2, NONE, NONE, NONE, NONE, NONE, 0 },
	{ SYS_linkat, DOOR_LINK, 0, 1, 2, 3, 4, NONE, NONE, NONE },
	{ SYS_unlinkat, DOOR_UNLINK, 0, 1, NONE, NONE, 2, NONE, NONE, NONE },
	{ SYS_renameat2, DOOR_RENAME, 0, 1, 2, 3, 4, NONE, NONE, NONE },
};

static uint32_t number_at(const struct seccomp_notif *n, int arg)
{
	return arg < 0 ? 0 : (uint32_t)n->data.args[arg];
}

static void put_place(const struct seccomp_notif *n, struct asked_place *p, int dirfd, int path)
{
	p->dirfd = dirfd == BY_CWD ? AT_FDCWD : (int)n->data.args[dirfd];
	p->address = n->data.args[path];
	p->follow = false;
	p->area = -1;
}

/* Its flags are in memory. Programs fall back where it says ENOSYS, as it does by default. */
static int read_how(const struct seccomp_notif *n, struct asked *a)
{
	struct open_how how;

	if (n->data.args[3] < sizeof(how))
		return -EINVAL;
	if (watch_bytes((pid_t)n->pid, n->data.args[2], &how, sizeof(how)) < 0)
		return -EFAULT;
	a->flags = (uint32_t)how.flags;
	a->mode = (uint32_t)how.mode;
	return how.resolve || n->data.args[3] > sizeof(how) ? -ENOSYS : 0;
}

static int settle_open(const struct seccomp_notif *n, struct asked *a)
{
	int r = 0;

	if (n->data.nr == SYS_openat2)
		r = read_how(n, a);
#ifdef SYS_creat
	if (n->data.nr == SYS_creat)
		a->flags = O_WRONLY | O_CREAT | O_TRUNC;
#endif
	if (r == -EINVAL || r == -EFAULT)
		return 1; /* the kernel will say so */
	if (a->flags & O_PATH || !(a->flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)))
		return 1;
	a->makes = a->flags & O_CREAT || (a->flags & O_TMPFILE) == O_TMPFILE;
	a->cloexec = a->flags & O_CLOEXEC;
	a->at[0].follow = true;
	return r;
}

static int settle(const struct seccomp_notif *n, struct asked *a)
{
	switch (a->op) {
	case DOOR_OPEN:
		return settle_open(n, a);
	case DOOR_TRUNCATE:
		a->at[0].follow = true;
		return 0;
	case DOOR_MKDIR:
	case DOOR_MKNOD:
		a->makes = true;
		return 0;
	case DOOR_UNLINK:
#ifdef SYS_rmdir
		if (n->data.nr == SYS_rmdir)
			a->flags = AT_REMOVEDIR;
#endif
		return 0;
	case DOOR_LINK:
		a->at[0].follow = a->flags & AT_SYMLINK_FOLLOW;
		if (a->flags & AT_EMPTY_PATH)
			a->op = DOOR_LINK_FD;
		return 0;
	default:
		return 0;
	}
}

int protect_read(const struct seccomp_notif *n, struct asked *a)
{
	a->n = *n;
	a->fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const struct call *c = &calls[i];

		if (c->nr != n->data.nr)
			continue;
		a->op = c->op;
		a->flags = number_at(n, c->flags);
		a->mode = number_at(n, c->mode);
		a->number = c->number < 0 ? 0 : n->data.args[c->number];
		a->umask = a->checks = 0;
		a->makes = a->cloexec = false;
		a->tries = 0;
		a->text[0] = '\0';
		a->count = c->path2 < 0 ? 1 : 2;
		put_place(n, &a->at[0], c->dirfd, c->path);
		if (a->count == 2)
			put_place(n, &a->at[1], c->dirfd2, c->path2);
		if (c->text >= 0 && watch_string((pid_t)n->pid, n->data.args[c->text], a->text,
						 sizeof(a->text)) < 0)
			return 1;
		return settle(n, a);
	}
	return 1;
}
