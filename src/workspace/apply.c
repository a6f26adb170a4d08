/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/apply_internal.h"

static int give_up(struct apply *a, size_t i, int r, struct err *e, const char *doing)
{
	a->items[i].state = APPLY_FAILED;
	a->items[i].error = -r;
	a->items[i].why = "the host would not have it";
	err_set(e, r, "workspace", "%s %s", doing, a->changes->items[i].path);
	if (r == -EPERM)
		err_remedy(e, "it may be immutable (lsattr), or another's");
	else if (r == -EINVAL)
		err_remedy(e, "its file system may not rename in exchange, or without replacing");
	return r;
}

/* Plan: which step each change lands with. */

static enum step_kind step_kind(const struct change *c)
{
	if (c->kind == CHANGE_ADDED)
		return STEP_ADD;
	if (c->kind == CHANGE_DELETED)
		return STEP_DELETE;
	return c->kind == CHANGE_META && S_ISDIR(c->after.mode) ? STEP_META : STEP_REPLACE;
}

static void before_id(const struct change *c, struct file_id *id)
{
	const struct change_file *f = &c->before;

	*id = (struct file_id){ .dev = f->dev,
				.ino = f->ino,
				.size = f->size,
				.mtime_ns = f->mtime_ns,
				.mode = f->mode };
}

/* A file or directory whose ctime the apply will change, if it is as it was until then. */
static int plan_touched(struct apply *a, const char *path)
{
	_cleanup_close_ int fd = layer_open_path(a->host, streq(path, ".") ? "" : path);
	struct step s = { .kind = STEP_TOUCHED, .path = path };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 ||
	    !host_unchanged(a, path, st.st_dev, st.st_ino, time_ns(&st.st_ctim)))
		return 0;
	file_id_set(&s.before, &st);
	return journal_add(&a->journal, &s);
}

static int plan_one(struct apply *a, size_t i)
{
	const struct change *c = &a->changes->items[i];
	struct apply_item *item = &a->items[i];
	size_t parent = apply_parent(a, i);
	struct step s = { .kind = step_kind(c), .path = c->path };

	item->link = item->root = i;
	item->step = a->journal.count;
	before_id(c, &s.before);
	s.before.tree = item->tree;
	if (parent != NO_ITEM && a->items[parent].state == APPLY_WANTED) {
		item->root = a->items[parent].root;
		s.kind = STEP_INSIDE;
	} else if (getrandom(&s.key, sizeof(s.key), 0) != sizeof(s.key)) {
		return -EIO;
	}
	return journal_add(&a->journal, &s);
}

/* Directories in which names come and go, each once in a row. */
static int plan_parents(struct apply *a)
{
	char last[PATH_MAX] = "", parent[PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->changes->count; i++) {
		if (a->items[i].state != APPLY_WANTED || a->items[i].root != i)
			continue;
		path_parent(a->changes->items[i].path, parent);
		if (!streq(parent, last))
			r = plan_touched(a, parent);
		memcpy(last, parent, sizeof(last));
	}
	return r;
}

struct by_file {
	unsigned layer;
	uint64_t ino;
	size_t index;
};

static int by_file(const void *a, const void *b)
{
	const struct by_file *x = a, *y = b;

	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/*
 * The host's file that the change is a further name of, if that is what it is inside: the
 * same content, mode and owner, and nobody has changed it.
 */
static bool is_source(const struct apply *a, const struct change *c)
{
	_cleanup_close_ int host = layer_open(a->host, c->link_to), inside = -1;
	struct stat x, y;

	if (host < 0 || fstat(host, &x) < 0 || !S_ISREG(x.st_mode) ||
	    !host_unchanged(a, c->link_to, x.st_dev, x.st_ino, time_ns(&x.st_ctim)))
		return false;
	inside = change_open_after(c, a->stack);
	return inside >= 0 && fstat(inside, &y) == 0 && x.st_mode == y.st_mode &&
	       x.st_uid == y.st_uid && x.st_gid == y.st_gid &&
	       change_same_content(host, inside) == 1;
}

/* Names of one file become names of one file: all of it, and what is there already. */
static int plan_links(struct apply *a)
{
	size_t count = a->changes->count, n = 0;
	struct by_file *files = arena_alloc(&a->memory, (count + 1) * sizeof(*files));
	int r = 0;

	if (!files)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct change *c = &a->changes->items[i];

		if (a->items[i].state == APPLY_WANTED && !a->items[i].text &&
		    S_ISREG(c->after.mode) && c->after.nlink > 1)
			files[n++] = (struct by_file){ c->layer, c->after.ino, i };
	}
	if (n)
		qsort(files, n, sizeof(*files), by_file);
	for (size_t k = 0; r == 0 && k < n; k++) {
		size_t i = files[k].index;
		const struct change *c = &a->changes->items[i];

		if (k > 0 && files[k].layer == files[k - 1].layer &&
		    files[k].ino == files[k - 1].ino) {
			a->items[i].link = a->items[files[k - 1].index].link;
		} else if (c->link_to && is_source(a, c)) {
			a->items[i].host_source = c->link_to;
			r = plan_touched(a, c->link_to);
		}
	}
	return r;
}

static int plan(struct apply *a, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->changes->count; i++)
		if (a->items[i].state == APPLY_WANTED) {
			r = plan_one(a, i);
			if (r < 0)
				return give_up(a, i, r, e, "look at");
		}
	if (r == 0)
		r = plan_links(a);
	if (r == 0)
		r = plan_parents(a);
	return r < 0 ? err_set(e, r, "workspace", "too many changes") : 0;
}

/* Stage: make all that is new. */

/* Where change @i is made: a descriptor of the directory, and its name there. */
static int open_stage(struct apply *a, size_t i, char name[NAME_MAX + 1])
{
	const size_t root = a->items[i].root;
	const char *path = a->changes->items[i].path, *top = a->changes->items[root].path, *last;
	char where[2 * PATH_MAX];
	size_t n;
	int fd;

	path_parent(top, where);
	n = strlen(where);
	where[n++] = '/';
	journal_name(&a->journal.steps[a->items[root].step], false, where + n);
	str_copy(where + strlen(where), PATH_MAX, path + strlen(top));
	fd = host_open_parent(a->host, where, &last);
	if (fd >= 0)
		str_copy(name, NAME_MAX + 1, last);
	return fd;
}

static int stage_link(struct apply *a, size_t i, int dir, const char *name)
{
	const struct apply_item *item = &a->items[i];
	_cleanup_close_ int from = -1;
	char other[NAME_MAX + 1];
	const char *last = other;

	if (item->host_source)
		from = host_open_parent(a->host, item->host_source, &last);
	else
		from = open_stage(a, item->link, other);
	if (from < 0)
		return from;
	return linkat(from, last, dir, name, 0) < 0 ? -errno : 0;
}

static int stage(struct apply *a, size_t i)
{
	const struct apply_item *item = &a->items[i];
	char name[NAME_MAX + 1];
	_cleanup_close_ int dir = open_stage(a, i, name);

	if (dir < 0)
		return dir;
	if (item->link != i || item->host_source)
		return stage_link(a, i, dir, name);
	return stage_one(a, i, dir, name);
}

static bool is_staged(const struct apply *a, size_t i)
{
	enum step_kind kind = a->journal.steps[a->items[i].step].kind;

	return a->items[i].state == APPLY_WANTED && kind != STEP_META && kind != STEP_DELETE;
}

/* A new directory is what it is to be when all is in it; and what was made is known by now. */
static int finish_stage(struct apply *a, size_t i)
{
	char name[NAME_MAX + 1];
	_cleanup_close_ int dir = open_stage(a, i, name), fd = -1;
	struct stat st;
	int r = 0;

	if (dir < 0)
		return dir;
	if (S_ISDIR(a->changes->items[i].after.mode)) {
		fd = sys_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		r = fd < 0 ? fd : stage_directory(a, i, fd, true);
	}
	if (r == 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0)
		file_id_set(&a->journal.steps[a->items[i].step].after, &st);
	return r;
}

/* A directory that is there, in place. */
static int put_meta(struct apply *a, size_t i)
{
	const struct change *c = &a->changes->items[i];
	_cleanup_close_ int path = layer_open_path(a->host, change_path(c)), fd = -1;
	struct stat st;
	char self[32];

	if (path < 0)
		return path;
	if (fstat(path, &st) < 0)
		return -errno;
	if (st.st_ino != c->before.ino || st.st_dev != c->before.dev ||
	    (st.st_mode != c->before.mode && st.st_mode != (c->before.mode | OWNER_WRITES)))
		return -ESTALE;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", path);
	/* Xattrs are for who may write, also those that stay the same. */
	if (geteuid() != 0 && (st.st_mode & OWNER_WRITES) != OWNER_WRITES &&
	    chmod(self, (st.st_mode & 07777) | OWNER_WRITES) < 0)
		return -errno;
	fd = sys_openat(path, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd == -EACCES && chmod(self, (st.st_mode & 07777) | S_IRWXU) == 0)
		fd = sys_openat(path, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	for (unsigned k = 0; k < c->xattrs_count; k++)
		fremovexattr(fd, c->xattrs[k]);
	return stage_directory(a, i, fd, false);
}

/* Directories that their owner may not write: until settle_all(), or put_meta(). */
static int widen_all(struct apply *a, struct err *e)
{
	for (size_t i = 0; geteuid() != 0 && i < a->journal.count; i++) {
		struct step *s = &a->journal.steps[i];
		int r = s->kind == STEP_TOUCHED ? step_widen(a->host, s) : 0;

		if (r < 0)
			return err_set(e, r, "workspace", "become able to write in %s", s->path);
	}
	return 0;
}

/* Its mode is what is to be now. */
static void keep_wide(struct apply *a, const struct step *meta)
{
	for (size_t i = 0; i < a->journal.count; i++)
		if (a->journal.steps[i].widened && streq(a->journal.steps[i].path, meta->path))
			a->journal.steps[i].widened = false;
}

static int stage_all(struct apply *a, struct err *e)
{
	const size_t count = a->changes->count;
	int r = journal_write(a->store, &a->journal);

	if (r < 0)
		return err_set(e, r, "workspace", "write the journal");
	r = widen_all(a, e);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		if (is_staged(a, i)) {
			r = stage(a, i);
			if (r < 0)
				return give_up(a, i, r, e, "write what is to be");
		}
	for (size_t i = count; r == 0 && i-- > 0;)
		if (is_staged(a, i)) {
			r = finish_stage(a, i);
			if (r < 0)
				return give_up(a, i, r, e, "write what is to be");
		}
	return 0;
}

/* Commit: give all its name. */

static bool is_as_before(const struct change *c, const struct file_id *id, const struct stat *st)
{
	if (!file_id_is(id, st))
		return false;
	/* With more names, another step may have changed its ctime. */
	return c->before.nlink > 1 || S_ISDIR(st->st_mode) ||
	       time_ns(&st->st_ctim) == c->before.ctime_ns;
}

static int rename_step(struct apply *a, size_t i, struct step *s)
{
	const struct change *c = &a->changes->items[i];
	char tmp[JOURNAL_NAME];
	const char *name;
	_cleanup_close_ int dir = host_open_parent(a->host, s->path, &name);
	struct stat st;

	if (dir < 0)
		return dir;
	journal_name(s, false, tmp);
	if (s->kind == STEP_ADD)
		return (int)sys_call(SYS_renameat2, dir, tmp, dir, name, RENAME_NOREPLACE);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (!is_as_before(c, &s->before, &st))
		return -ESTALE;
	if (s->kind == STEP_REPLACE)
		return (int)sys_call(SYS_renameat2, dir, tmp, dir, name, RENAME_EXCHANGE);
	return (int)sys_call(SYS_renameat2, dir, name, dir, tmp, RENAME_NOREPLACE);
}

static int conflict(struct apply *a, size_t i)
{
	a->items[i].state = APPLY_CONFLICT;
	a->items[i].why = "was changed on the host at this very moment";
	return 0;
}

static int commit(struct apply *a, size_t i, struct err *e)
{
	struct step *s = &a->journal.steps[a->items[i].step];
	int r = s->kind == STEP_META ? put_meta(a, i) : rename_step(a, i, s);

	if (r == -ESTALE || (r == -EEXIST && s->kind == STEP_ADD))
		return conflict(a, i);
	if (r < 0)
		return give_up(a, i, r, e, "apply");
	if (s->kind == STEP_META) {
		s->state = STEP_LANDED;
		keep_wide(a, s);
		return 0;
	}
	r = settle_step(a->host, true, s);
	if (s->state == STEP_BACK)
		return conflict(a, i);
	return r < 0 ? give_up(a, i, r, e, "tidy up beside") : 0;
}

static int commit_all(struct apply *a, struct err *e)
{
	const size_t count = a->changes->count;
	int r;

	/* Names must not be on disk before what they are names of. */
	r = syncfs(a->host) < 0 ? -errno : 0;
	a->journal.committing = true;
	if (r == 0)
		r = journal_write(a->store, &a->journal);
	if (r < 0) {
		a->journal.committing = false;
		return err_set(e, r, "workspace", "write the journal");
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		if (a->items[i].state == APPLY_WANTED && a->items[i].root == i &&
		    a->journal.steps[a->items[i].step].kind != STEP_META)
			r = commit(a, i, e);
	for (size_t i = count; r == 0 && i-- > 0;)
		if (a->items[i].state == APPLY_WANTED && a->items[i].root == i &&
		    a->journal.steps[a->items[i].step].kind == STEP_META)
			r = commit(a, i, e);
	return r;
}

/* What became of each, by the step that it was to land with. */
static void say_landed(struct apply *a, const bool *planned)
{
	for (size_t i = 0; i < a->changes->count; i++) {
		const struct apply_item *root;

		if (!planned[i])
			continue;
		root = &a->items[a->items[i].root];
		if (a->journal.steps[root->step].state == STEP_LANDED)
			a->items[i].state = APPLY_LANDED;
		else if (root->state == APPLY_CONFLICT && a->items[i].state == APPLY_WANTED)
			a->items[i].state = APPLY_CONFLICT;
	}
}

int apply_land(struct apply *a, struct err *e)
{
	bool *planned = arena_alloc(&a->memory, a->changes->count + 1);
	struct err tidy = { 0 };
	int r, settled;

	if (!planned)
		return err_set(e, ENOMEM, "workspace", "too many changes");
	for (size_t i = 0; i < a->changes->count; i++)
		planned[i] = a->items[i].state == APPLY_WANTED;
	r = plan(a, e);
	if (r < 0 || !a->journal.count)
		return r;
	r = stage_all(a, e);
	if (r == 0)
		r = commit_all(a, e);
	if (!journal_exists(a->store))
		return r;
	settled = settle_all(a->store, a->host, &a->journal, &a->landed, &tidy);
	say_landed(a, planned);
	if (r == 0 && settled < 0) {
		*e = tidy;
		r = settled;
	}
	return r;
}
