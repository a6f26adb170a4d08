/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/change.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/internal.h"

const char *const change_kind_names[CHANGE_KINDS] = {
	"none", "added", "modified", "deleted", "type", "meta", "unreadable",
};

enum { XATTRS_MAX = 64 << 10, BLOCK = 64 << 10 };

struct reading {
	struct changes *c;
	const struct layer_stack *s;
	struct err *e;
};

const char *change_path(const struct change *c)
{
	return streq(c->path, ".") ? "" : c->path;
}

static int open_same(int root, const char *path, const struct change_file *f)
{
	int fd = layer_open(root, path);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && st.st_ino == f->ino && st.st_dev == f->dev)
		return fd;
	sys_close(fd);
	return -ESTALE;
}

int change_open_after(const struct change *c, const struct layer_stack *s)
{
	return c->after.mode ? open_same(s->layers[c->layer], change_path(c), &c->after) : -ENOENT;
}

int change_open_before(const struct change *c, const struct layer_stack *s)
{
	return c->before.mode ? open_same(s->host, change_path(c), &c->before) : -ENOENT;
}

/* Where the next data is, at or behind @at; @size if there are none. */
static off_t next_data(int fd, off_t at, off_t size)
{
	off_t data = lseek(fd, at, SEEK_DATA);

	return data >= 0 ? MIN(data, size) : errno == ENXIO ? size : at;
}

int change_same_content(int a, int b)
{
	static char left[BLOCK], right[BLOCK];
	struct stat x, y;
	off_t at = 0;

	if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
		return -errno;
	if (x.st_size != y.st_size)
		return 0;
	while (at < x.st_size) {
		ssize_t n, m;

		at = MIN(next_data(a, at, x.st_size), next_data(b, at, x.st_size));
		n = pread(a, left, BLOCK, at);
		m = n < 0 ? -1 : pread(b, right, BLOCK, at);
		if (n < 0 || m < 0)
			return -errno;
		n = MIN(n, m);
		if (n == 0)
			return at >= x.st_size; /* one was cut meanwhile */
		if (memcmp(left, right, (size_t)n) != 0)
			return 0;
		at += n;
	}
	return 1;
}

static void fill(struct change_file *f, const struct stat *st)
{
	*f = (struct change_file){
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.nlink = (uint32_t)st->st_nlink,
		.size = (uint64_t)st->st_size,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.rdev = st->st_rdev,
		.mtime_ns = st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
		.ctime_ns = st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
	};
}

static int read_target(struct changes *c, int fd, struct change_file *f)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(fd, "", target, sizeof(target));

	if (n < 0)
		return -errno;
	f->target = arena_strndup(&c->memory, target, (size_t)n);
	return f->target ? 0 : -ENOMEM;
}

const char *xattr_inside_name(const char *name, bool layer, char room[XATTR_NAME_ROOM])
{
	const char *escaped = str_after(name, "user.overlay.");

	if (escaped) {
		const char *rest = str_after(escaped, "overlay.");

		/* Of the host's own nothing is seen inside. */
		if (!rest || !layer)
			return NULL;
		snprintf(room, XATTR_NAME_ROOM, "user.overlay.%s", rest);
		return room;
	}
	if (str_after(name, "user.") || streq(name, "security.capability") ||
	    str_after(name, "system.posix_acl_"))
		return name;
	return NULL;
}

/* The xattr that is @name inside: on disk, in a layer or on the host. */
static ssize_t get_xattr(const char *self, const char *name, bool layer, char *value)
{
	const char *rest = layer ? str_after(name, "user.overlay.") : NULL;
	char room[2 * XATTR_NAME_MAX];
	ssize_t n;

	if (rest)
		snprintf(room, sizeof(room), "user.overlay.overlay.%s", rest);
	n = getxattr(self, rest ? room : name, value, XATTRS_MAX);
	return n < 0 ? -errno : n;
}

static int note_xattr(struct changes *c, struct change *change, const char *name)
{
	const char **names = arena_grow(&c->memory, (void *)(uintptr_t)change->xattrs,
					change->xattrs_count, sizeof(*names));

	if (!names)
		return -ENOMEM;
	names[change->xattrs_count] = arena_strdup(&c->memory, name);
	change->xattrs = names;
	if (!names[change->xattrs_count])
		return -ENOMEM;
	change->xattrs_count++;
	change->what |= CHANGE_XATTRS;
	return 0;
}

/* Those of @fd that @other (-1: nothing) does not have, or, if @layer, has otherwise. */
static int xattrs_beside(struct changes *c, struct change *change, int fd, int other, bool layer)
{
	static char names[XATTRS_MAX], mine[XATTRS_MAX], its[XATTRS_MAX];
	char self[32], beside[32], room[XATTR_NAME_ROOM];
	ssize_t n, a, b;
	int r = 0;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	snprintf(beside, sizeof(beside), "/proc/self/fd/%d", other);
	n = listxattr(self, names, sizeof(names));
	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *s = names; r == 0 && s < names + n; s += strlen(s) + 1) {
		const char *name = xattr_inside_name(s, layer, room);

		if (!name)
			continue;
		a = get_xattr(self, name, layer, mine);
		b = other < 0 ? -ENODATA : get_xattr(beside, name, !layer, its);
		if (a < 0 && a != -ENODATA)
			return (int)a;
		if (b < 0 && b != -ENODATA && b != -EOPNOTSUPP)
			return (int)b;
		/* What both have was compared from the layer's side. */
		if (a < 0 || (b >= 0 && (!layer || (a == b && memcmp(mine, its, (size_t)a) == 0))))
			continue;
		r = note_xattr(c, change, name);
	}
	return r;
}

static int compare_files(struct reading *r, struct change *c)
{
	_cleanup_close_ int before = -1, after = -1;
	int same;

	if (c->before.size != c->after.size) {
		c->what |= CHANGE_CONTENT;
		return 0;
	}
	after = change_open_after(c, r->s);
	before = change_open_before(c, r->s);
	same = after < 0 ? after : before < 0 ? before : change_same_content(after, before);
	if (same < 0)
		return same;
	c->what |= same ? 0 : CHANGE_CONTENT;
	return 0;
}

/* Both are there and of the same type. */
static int compare(struct reading *r, struct change *c)
{
	const struct change_file *a = &c->before, *b = &c->after;
	uint32_t type = b->mode & S_IFMT;

	if (a->mode != b->mode && type != S_IFLNK)
		c->what |= CHANGE_MODE;
	/* The root of a layer belongs to who made it. */
	if ((a->uid != b->uid || a->gid != b->gid) && *change_path(c))
		c->what |= CHANGE_OWNER;
	if (type == S_IFLNK && !streq(a->target, b->target))
		c->what |= CHANGE_TARGET;
	if ((type == S_IFCHR || type == S_IFBLK) && a->rdev != b->rdev)
		c->what |= CHANGE_DEVICE;
	return type == S_IFREG ? compare_files(r, c) : 0;
}

static int look_at_both(struct reading *r, struct change *c)
{
	_cleanup_close_ int before = -1, after = -1;
	bool links = S_ISLNK(c->after.mode), same_type;
	int rc = 0;

	same_type = !((c->before.mode ^ c->after.mode) & S_IFMT);
	if (c->after.mode) {
		after = layer_open_path(r->s->layers[c->layer], change_path(c));
		rc = MIN(after, 0);
	}
	if (rc == 0 && c->before.mode) {
		before = layer_open_path(r->s->host, change_path(c));
		rc = MIN(before, 0);
	}
	if (rc == 0 && links)
		rc = read_target(r->c, after, &c->after);
	if (rc == 0 && S_ISLNK(c->before.mode))
		rc = read_target(r->c, before, &c->before);
	if (rc == 0 && c->after.mode && !links)
		rc = xattrs_beside(r->c, c, after, same_type ? before : -1, true);
	if (rc == 0 && c->after.mode && !links && same_type && before >= 0)
		rc = xattrs_beside(r->c, c, before, after, false);
	if (rc == 0 && c->before.mode && c->after.mode && same_type)
		rc = compare(r, c);
	return rc;
}

static enum change_kind kind_of(const struct change *c)
{
	if (!c->after.mode)
		return CHANGE_DELETED;
	if (!c->before.mode)
		return CHANGE_ADDED;
	if ((c->before.mode ^ c->after.mode) & S_IFMT)
		return CHANGE_TYPE;
	if (c->what & (CHANGE_CONTENT | CHANGE_TARGET | CHANGE_DEVICE))
		return CHANGE_MODIFIED;
	return c->what ? CHANGE_META : CHANGE_NONE;
}

static const struct flag *find_flag(const struct change *c)
{
	struct flag_facts f = {
		.path = c->path,
		.mode = c->after.mode,
		.mode_before = c->before.mode,
		.content = c->kind != CHANGE_META,
		.target = c->kind == CHANGE_META ? NULL : c->after.target,
	};

	for (unsigned i = 0; i < c->xattrs_count; i++)
		f.capabilities |= streq(c->xattrs[i], "security.capability");
	return flag_of(&f);
}

static int too_much(struct err *e)
{
	err_set(e, E2BIG, "workspace", "there are too many changes to list");
	err_remedy(e, "name a part of the workspace");
	return -E2BIG;
}

static int take(void *data, const struct layer_item *item)
{
	struct reading *r = data;
	struct changes *c = r->c;
	struct change *change;
	int rc = -item->error;

	c->items = arena_grow(&c->memory, c->items, c->count, sizeof(*c->items));
	if (!c->items)
		return too_much(r->e);
	change = &c->items[c->count];
	*change = (struct change){ .layer = item->layer };
	change->path = *item->path ? arena_strdup(&c->memory, item->path) : ".";
	if (!change->path)
		return too_much(r->e);
	if (item->was)
		fill(&change->before, &item->before);
	if (item->is)
		fill(&change->after, &item->after);
	if (rc == 0)
		rc = look_at_both(r, change);
	if (rc == -ENOMEM)
		return too_much(r->e);
	change->kind = rc < 0 ? CHANGE_UNREADABLE : kind_of(change);
	change->error = -rc;
	if (change->kind == CHANGE_ADDED || change->kind == CHANGE_TYPE)
		change->what |= S_ISREG(change->after.mode) ? CHANGE_CONTENT : 0;
	else if (change->what && !S_ISDIR(change->after.mode) &&
		 change->before.mtime_ns != change->after.mtime_ns)
		change->what |= CHANGE_TIME;
	if (change->kind != CHANGE_NONE && rc == 0)
		change->flag = find_flag(change);
	/* What did not change may be what a new link is a link to. */
	if (change->kind != CHANGE_NONE || (S_ISREG(change->after.mode) && change->after.nlink > 1))
		c->count++;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct change *)a)->path, ((const struct change *)b)->path);
}

int changes_read(struct changes *c, const struct layer_stack *s, struct err *e)
{
	struct reading r = { .c = c, .s = s, .e = e };
	size_t kept = 0;
	int rc;

	*c = (struct changes){ .memory = ARENA_INIT(LAYER_MEMORY_MAX) };
	rc = layer_walk(s, take, &r, e);
	if (rc < 0 || !c->count)
		return rc;
	qsort(c->items, c->count, sizeof(*c->items), by_path);
	if (changes_find_links(c) < 0 || changes_find_renames(c, s) < 0)
		return too_much(e);
	for (size_t i = 0; i < c->count; i++)
		if (c->items[i].kind != CHANGE_NONE)
			c->items[kept++] = c->items[i];
	c->count = kept;
	return 0;
}

void changes_free(struct changes *c)
{
	arena_free(&c->memory);
	*c = (struct changes){ 0 };
}
