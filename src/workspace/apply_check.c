/* SPDX-License-Identifier: Apache-2.0 */
/* What of an apply can be, before anything is touched. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/apply_internal.h"

const char *const apply_state_names[APPLY_STATES] = {
	"left", "wanted", "conflict", "refused", "applied", "failed",
};

static const char changed[] = "was changed on the host meanwhile";

int apply_init(struct apply *a, struct err *e)
{
	int r;

	a->memory = ARENA_INIT(LAYER_MEMORY_MAX);
	a->journal = JOURNAL_INIT;
	r = store_base(a->store, a->meta, &a->stamp_ns);
	if (r < 0)
		return err_set(e, r, "workspace", "see when %s began", a->meta->name);
	r = landed_read(a->store, &a->landed);
	if (r < 0)
		return err_set(e, r, "workspace", "read what was applied of %s", a->meta->name);
	a->items = arena_alloc(&a->memory, (a->changes->count + 1) * sizeof(*a->items));
	if (!a->items)
		return err_set(e, ENOMEM, "workspace", "too many changes");
	return 0;
}

void apply_free(struct apply *a)
{
	journal_free(&a->journal);
	landed_free(&a->landed);
	arena_free(&a->memory);
}

size_t apply_count(const struct apply *a, enum apply_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < a->changes->count; i++)
		n += a->items[i].state == state;
	return n;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct change *)a)->path, ((const struct change *)b)->path);
}

static size_t find_change(const struct apply *a, const char *path)
{
	const struct change key = { .path = path };
	const struct changes *c = a->changes;
	const struct change *found =
		c->count ? bsearch(&key, c->items, c->count, sizeof(key), by_path) : NULL;

	return found ? (size_t)(found - c->items) : NO_ITEM;
}

size_t apply_parent(const struct apply *a, size_t i)
{
	char parent[PATH_MAX];
	size_t found;

	if (!strchr(a->changes->items[i].path, '/'))
		return NO_ITEM;
	path_parent(a->changes->items[i].path, parent);
	found = find_change(a, parent);
	return found != NO_ITEM && makes_directory(&a->changes->items[found]) ? found : NO_ITEM;
}

static void set(struct apply_item *item, enum apply_state state, const char *why)
{
	item->state = state;
	item->why = why;
}

/* What is wanted wants the new directories above it. */
static void want_parents(struct apply *a)
{
	for (size_t i = a->changes->count; i-- > 0;) {
		size_t parent = a->items[i].state == APPLY_WANTED ? apply_parent(a, i) : NO_ITEM;

		if (parent != NO_ITEM && !a->items[parent].barred)
			a->items[parent].state = APPLY_WANTED;
	}
}

/* Of the host's file, or of the one inside: does @path lead to the xattr? */
static bool has_capability(int root, const char *path)
{
	_cleanup_close_ int fd = layer_open_path(root, path);
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return fd >= 0 && getxattr(self, "security.capability", NULL, 0) >= 0;
}

static bool is_immutable(int root, const char *path)
{
	_cleanup_close_ int fd = layer_open_path(root, path);
	struct statx st = { 0 };

	return fd >= 0 && statx(fd, "", AT_EMPTY_PATH, 0, &st) == 0 &&
	       st.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND);
}

static void check_refused(struct apply *a, size_t i)
{
	const struct change *c = &a->changes->items[i];
	struct apply_item *item = &a->items[i];
	uint32_t mode = c->after.mode;

	if (c->kind == CHANGE_UNREADABLE) {
		set(item, APPLY_REFUSED, "cannot be read");
		item->error = c->error;
	} else if (S_ISSOCK(mode)) {
		set(item, APPLY_REFUSED, "is a socket, which nobody could listen at any more");
	} else if (S_ISCHR(mode) || S_ISBLK(mode)) {
		set(item, APPLY_REFUSED, "is a device");
	} else if (S_ISREG(mode) && mode & (S_ISUID | S_ISGID) && !a->allow_setid) {
		set(item, APPLY_REFUSED, "runs with another's rights; --allow-setid applies it");
	} else if (S_ISREG(mode) && !a->allow_setid &&
		   has_capability(a->stack->layers[c->layer], c->path)) {
		set(item, APPLY_REFUSED, "has file capabilities; --allow-setid applies it");
	} else if (c->before.mode && is_immutable(a->host, change_path(c))) {
		set(item, APPLY_REFUSED, "is immutable on the host; see chattr(1)");
	}
}

/*
 * A directory on the way there. Who makes or removes something in it changes both of its
 * times; who moves it here, or changes its mode, only its ctime.
 */
static bool moved_meanwhile(const struct apply *a, const char *path)
{
	_cleanup_close_ int fd = layer_open_path(a->host, path);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return true;
	return time_ns(&st.st_mtim) < a->stamp_ns &&
	       !host_unchanged(a, path, st.st_dev, st.st_ino, time_ns(&st.st_ctim));
}

static int note_where(struct apply *a, struct apply_item *item, const char *why, const char *where)
{
	set(item, APPLY_CONFLICT, why);
	item->where = arena_strdup(&a->memory, where);
	return item->where ? 0 : -ENOMEM;
}

/*
 * The directories above it, from its own up to the workspace, which is known by its inode.
 * @good: the one that was looked at last, with those above it.
 */
static int check_above(struct apply *a, size_t i, char good[PATH_MAX])
{
	char path[PATH_MAX], own[PATH_MAX];

	path_parent(a->changes->items[i].path, own);
	if (streq(own, good))
		return 0;
	str_copy(path, sizeof(path), own);
	for (; !streq(path, "."); path_parent(path, path)) {
		if (moved_meanwhile(a, path))
			return note_where(a, &a->items[i],
					  "is in a directory that was changed on the host", path);
	}
	str_copy(good, PATH_MAX, own);
	return 0;
}

/* Was it made by copying what the host had (overlay.origin), in the oldest layer that has it? */
static bool was_copied_up(const struct apply *a, const char *path)
{
	for (unsigned k = a->stack->count; k-- > 0;) {
		_cleanup_close_ int fd = layer_open_path(a->stack->layers[k], path);
		struct stat st;
		char self[32];

		if (fd < 0 || fstat(fd, &st) < 0 || S_ISCHR(st.st_mode))
			continue;
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		return getxattr(self, "user.overlay.origin", NULL, 0) >= 0 ||
		       getxattr(self, "trusted.overlay.origin", NULL, 0) >= 0;
	}
	return false;
}

/*
 * What is new may be what somebody has deleted on the host: if the directory was changed
 * by others, and it is not a file that has got here by a rename.
 */
static bool deleted_meanwhile(const struct apply *a, const struct change *c)
{
	char parent[PATH_MAX];
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (c->kind != CHANGE_ADDED || !was_copied_up(a, c->path))
		return false;
	for (size_t i = 0; S_ISREG(c->after.mode) && i < a->changes->count; i++)
		if (a->changes->items[i].kind == CHANGE_DELETED)
			return false;
	path_parent(c->path, parent);
	fd = layer_open_path(a->host, streq(parent, ".") ? "" : parent);
	return fd >= 0 && fstat(fd, &st) == 0 &&
	       !host_unchanged(a, parent, st.st_dev, st.st_ino, time_ns(&st.st_ctim));
}

static int check_tree(struct apply *a, size_t i)
{
	const struct change *c = &a->changes->items[i];
	char where[PATH_MAX] = "";
	int r = host_tree(a->host, c->path, &a->items[i].tree, a, where);

	if (r == 1)
		return note_where(a, &a->items[i],
				  "has something that was changed on the host meanwhile", where);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		set(&a->items[i], APPLY_CONFLICT, "cannot be looked through on the host");
		a->items[i].error = -r;
	}
	return 0;
}

static int check_conflict(struct apply *a, size_t i)
{
	const struct change *c = &a->changes->items[i];
	const struct change_file *f = &c->before;
	struct apply_item *item = &a->items[i];
	bool root = streq(c->path, ".");

	if (root && (f->mode & 07777) != a->meta->mode_bits)
		set(item, APPLY_CONFLICT, changed);
	if (root)
		return 0;
	if (apply_parent(a, i) == NO_ITEM && deleted_meanwhile(a, c))
		set(item, APPLY_CONFLICT, "was deleted on the host meanwhile");
	else if (f->mode && !host_unchanged(a, c->path, f->dev, f->ino, f->ctime_ns))
		set(item, APPLY_CONFLICT,
		    c->after.mode ? changed : "is new or changed on the host");
	else if (S_ISDIR(f->mode) && !S_ISDIR(c->after.mode))
		return check_tree(a, i);
	return 0;
}

/* What is in a directory that does not land cannot either. */
static void follow_parent(struct apply *a, size_t i)
{
	size_t parent = apply_parent(a, i);
	const struct apply_item *above = parent == NO_ITEM ? NULL : &a->items[parent];
	struct apply_item *item = &a->items[i];

	if (!above || above->state == APPLY_WANTED)
		return;
	item->state = above->state == APPLY_CONFLICT ? APPLY_CONFLICT : APPLY_LEFT;
	item->why = "its directory is not applied";
	item->where = a->changes->items[parent].path;
}

int apply_check(struct apply *a, struct err *e)
{
	char good[PATH_MAX] = "";
	int r = 0;

	want_parents(a);
	for (size_t i = 0; r == 0 && i < a->changes->count; i++) {
		struct apply_item *item = &a->items[i];

		if (item->state == APPLY_WANTED)
			check_refused(a, i);
		if (item->state == APPLY_WANTED)
			follow_parent(a, i);
		if (item->state == APPLY_WANTED)
			r = check_conflict(a, i);
		if (r == 0 && item->state == APPLY_WANTED && apply_parent(a, i) == NO_ITEM)
			r = check_above(a, i, good);
	}
	return r < 0 ? err_set(e, r, "workspace", "too many changes") : 0;
}
