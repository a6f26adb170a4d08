/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy that nobody is in any more becomes a layer: see copy.h. First copy.ops is made of
 * copy.base and of the copy, which is not changed; then it is done, as often as it takes.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"
#include "sys/listing.h"
#include "workspace/copy.h"
#include "workspace/internal.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
#define OPS "copy.ops"
#define OPS_NEW OPS ".new"

enum { STRIP_DEPTH_MAX = 400 }; /* directories in one another, each open */

static _cold_data_ struct settling {
	struct copy_file in, out;
	int layer;
	char path[PATH_MAX];
	char parent[PATH_MAX]; /* of the last one, which is open */
	int parent_fd;

	struct {
		int fd;
		size_t waiting;
	} levels[STRIP_DEPTH_MAX];
	int depth;
	char waiting[1 << 20]; /* directories that are to be entered, by name */
	size_t waiting_len;
	char names[65536]; /* of xattrs: XATTR_LIST_MAX */
	struct sys_listing listing;
} settling;

static int look(int fd, const char *name, struct stat *st)
{
	return (int)sys_call(SYS_newfstatat, fd, name, st,
			     AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH));
}

/* The directory that s->path lies in, open until the next call; *@last: the name in it. */
static int open_parent(struct settling *s, const char **last)
{
	const char *slash = strrchr(s->path, '/');
	size_t n = slash ? (size_t)(slash - s->path) : 0;

	*last = slash ? slash + 1 : s->path;
	if (s->parent_fd >= 0 && strlen(s->parent) == n && memcmp(s->parent, s->path, n) == 0)
		return s->parent_fd;
	sys_close(s->parent_fd);
	memcpy(s->parent, s->path, n);
	s->parent[n] = '\0';
	s->parent_fd = sys_openat2(s->layer, n ? s->parent : ".", O_PATH | O_DIRECTORY, 0, BENEATH);
	return s->parent_fd;
}

/* What is to be done about one file of the base; -1: nothing. */
static int judge(struct settling *s, const struct copy_record *was)
{
	const char *last;
	int parent = open_parent(s, &last), r;
	struct stat st;

	/* With the directory that it was in something has happened, which is seen there. */
	if (parent < 0)
		return -1;
	r = look(parent, last, &st);
	if (r == -ENOENT)
		return COPY_WHITEOUT;
	if (r < 0 || st.st_ino != was->ino ||
	    st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec != was->ctime_ns)
		return -1;
	return was->kind == COPY_DIR ? COPY_LEAVE : COPY_PRUNE;
}

static int list_ops(struct settling *s, int dir)
{
	struct copy_record record;
	int r = copy_file_open(&s->in, dir, STORE_COPY_BASE);

	if (r < 0)
		return r;
	r = copy_file_make(&s->out, dir, OPS_NEW);
	while (r >= 0 && (r = copy_file_get(&s->in, &record, s->path)) == 1) {
		/* The top itself is the workspace's. */
		int op = *s->path ? judge(s, &record) : -1;

		record.kind = (uint8_t)op;
		if (op >= 0)
			r = copy_file_put(&s->out, &record, s->path);
	}
	sys_close(s->in.fd);
	if (s->out.fd >= 0) {
		int closed = copy_file_close(&s->out);

		r = r < 0 ? r : closed;
	}
	return r < 0 ? r : (int)sys_call(SYS_renameat2, dir, OPS_NEW, dir, OPS, 0);
}

static int remove_file(int parent, const char *name)
{
	return (int)sys_call(SYS_unlinkat, parent, name, 0);
}

static int remove_dir(int parent, const char *name)
{
	return (int)sys_call(SYS_unlinkat, parent, name, AT_REMOVEDIR);
}

/* As a device, or where there are none (on an overlay itself) as a file with a note. */
static int white_out(int parent, const char *name)
{
	int r = (int)sys_call(SYS_mknodat, parent, name, S_IFCHR, makedev(0, 0)), fd;
	struct stat st;

	if (r == 0 || r == -EACCES)
		return r;
	if (r == -EEXIST && look(parent, name, &st) == 0 && !S_ISREG(st.st_mode))
		return 0;
	/* What is there by now is our own: nothing was. */
	fd = sys_openat2(parent, name, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600, BENEATH);
	r = fd < 0 ? fd : (int)sys_call(SYS_fsetxattr, fd, "user.overlay.whiteout", "y", 1, 0);
	sys_close(fd);
	return r;
}

/* @act in the directory @parent, also if its owner may not write it. */
static int change(int parent, const char *name, int (*act)(int parent, const char *name))
{
	int r = act(parent, name), fd;
	struct stat st;

	if (r != -EACCES || look(parent, "", &st) < 0)
		return r;
	fd = sys_openat(parent, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0 && sys_call(SYS_fchmod, fd, 0700) == 0) {
		r = act(parent, name);
		sys_call(SYS_fchmod, fd, st.st_mode & 07777);
	}
	sys_close(fd);
	return r;
}

static int carry_out(struct settling *s, const struct copy_record *op)
{
	static int (*const changes[COPY_KINDS])(int, const char *) = {
		[COPY_PRUNE] = remove_file,
		[COPY_LEAVE] = remove_dir,
		[COPY_WHITEOUT] = white_out,
	};
	const char *last;
	int parent = open_parent(s, &last), r;

	/* It has gone with all that was in it, when this was done the last time. */
	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	r = change(parent, last, changes[op->kind]);
	/* What is left is compared, and found to be the same; or there are changes in it. */
	if (op->kind != COPY_WHITEOUT &&
	    (r == -ENOENT || r == -ENOTEMPTY || r == -EEXIST || r == -EACCES || r == -EPERM))
		return 0;
	return r;
}

static int do_ops(struct settling *s, int dir, bool whiteouts)
{
	struct copy_record op;
	int r = copy_file_open(&s->in, dir, OPS);

	while (r >= 0 && (r = copy_file_get(&s->in, &op, s->path)) == 1) {
		if (op.kind == COPY_FILE || op.kind == COPY_DIR)
			r = -EBADMSG;
		else if ((op.kind == COPY_WHITEOUT) == whiteouts)
			r = carry_out(s, &op);
	}
	sys_close(s->in.fd);
	return r;
}

/*
 * In a copy programs could set what overlayfs would take for its own notes. On what is
 * left of it these go, as they could not be set in an overlay.
 */
static int strip(struct settling *s, int dir, const char *name, const struct stat *st)
{
	int fd = sys_openat2(dir, name, O_PATH | O_NOFOLLOW, 0, BENEATH), r = MIN(fd, 0);
	bool opened = false;
	char self[32];
	long n;

	if (fd < 0)
		return r == -ENOENT || r == -EACCES ? 0 : r;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = sys_call(SYS_listxattr, self, s->names, sizeof(s->names));
	for (long at = 0; at < n && r == 0; at += (long)strlen(s->names + at) + 1) {
		const char *rest = str_after(s->names + at, "user.overlay.");

		if (!rest || str_after(rest, "overlay."))
			continue;
		r = (int)sys_call(SYS_removexattr, self, s->names + at);
		if (r != -EACCES || opened)
			continue;
		opened = sys_call(SYS_fchmodat, AT_FDCWD, self, 0600) == 0;
		r = (int)sys_call(SYS_removexattr, self, s->names + at);
	}
	if (opened)
		sys_call(SYS_fchmodat, AT_FDCWD, self, st->st_mode & 07777);
	sys_close(fd);
	return r == -ENODATA ? 0 : r;
}

static int strip_entries(struct settling *s, int dir)
{
	const char *name;
	int r = 0;

	sys_list(&s->listing, dir);
	while (r == 0 && (name = sys_list_next(&s->listing))) {
		size_t n = strlen(name) + 1;
		struct stat st;

		r = look(dir, name, &st);
		if (r == -EACCES) /* it may be listed, and not entered */
			return 0;
		if (r == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
			r = strip(s, dir, name, &st);
		if (r < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (n > sizeof(s->waiting) - s->waiting_len)
			return -E2BIG;
		memcpy(s->waiting + s->waiting_len, name, n);
		s->waiting_len += n;
	}
	return r < 0 ? r : sys_list_error(&s->listing);
}

/* The directory @name; what we may not read nobody else of ours reads either. */
static int strip_enter(struct settling *s, int dir, const char *name)
{
	int fd = sys_openat2(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, BENEATH);

	if (fd == -EACCES)
		return 0;
	if (fd < 0)
		return fd;
	if (s->depth == STRIP_DEPTH_MAX) {
		sys_close(fd);
		return -E2BIG;
	}
	s->levels[s->depth].fd = fd;
	s->levels[s->depth++].waiting = s->waiting_len;
	return strip_entries(s, fd);
}

static int strip_all(struct settling *s)
{
	struct stat st;
	int r = look(s->layer, "", &st);

	s->depth = 0;
	s->waiting_len = 0;
	if (r == 0)
		r = strip(s, s->layer, ".", &st);
	if (r == 0)
		r = strip_enter(s, s->layer, ".");
	while (r == 0 && s->depth > 0) {
		size_t at = s->waiting_len, from = s->levels[s->depth - 1].waiting;

		if (at == from) {
			sys_close(s->levels[--s->depth].fd);
			continue;
		}
		for (at--; at > from && s->waiting[at - 1] != '\0'; at--)
			;
		s->waiting_len = at;
		/* The name is open before another takes its room. */
		r = strip_enter(s, s->levels[s->depth - 1].fd, s->waiting + at);
	}
	while (s->depth > 0)
		sys_close(s->levels[--s->depth].fd);
	return r;
}

int copy_settle(int dir, struct store_meta *m, struct err *e)
{
	struct settling *s = &settling;
	struct stat st;
	int r;

	if (m->form != STORE_COPY)
		return 0;
	s->parent_fd = -1;
	s->layer = store_open_layer(dir, m, m->top);
	r = MIN(s->layer, 0);
	if (r == 0 && look(dir, OPS, &st) < 0)
		r = list_ops(s, dir);
	if (r == 0)
		r = do_ops(s, dir, false);
	if (r == 0)
		r = strip_all(s);
	if (r == 0)
		r = do_ops(s, dir, true);
	sys_close(s->parent_fd);
	sys_close(s->layer);
	if (r == 0) {
		m->form = STORE_OVERLAY;
		r = store_write(dir, m);
	}
	if (r < 0)
		return err_set(e, r, "workspace", "find what was changed in the copy of %s",
			       m->name);
	sys_call(SYS_unlinkat, dir, STORE_COPY_BASE, 0);
	sys_call(SYS_unlinkat, dir, OPS, 0);
	return 0;
}

int copy_settle_idle(int dir, struct store_meta *m, struct err *e)
{
	int again, r;

	if (m->form != STORE_COPY)
		return 0;
	again = sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	r = again < 0 ? again : store_lock(again, true);
	if (r == 0)
		r = store_read(again, m);
	if (r == 0)
		r = copy_settle(again, m, e);
	sys_close(again);
	if (r == 0 || err_is_set(e))
		return r;
	if (r != -EWOULDBLOCK)
		return err_set(e, r, "workspace", "open the copy of %s", m->name);
	err_set(e, EBUSY, "workspace",
		"%s works in a copy, for this kernel refused an overlay; what it has changed is "
		"seen when it has ended",
		m->name);
	return -EBUSY;
}
