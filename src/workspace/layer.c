/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/layer.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/str.h"
#include "sys/files.h"

enum host_state {
	HOST_NONE,  /* no directory there */
	HOST_BELOW, /* what no layer has shows through */
	HOST_HIDDEN /* what no layer has is gone */
};

/* A directory that waits to be walked. */
struct pending {
	struct pending *next;
	const char *path;
	enum host_state host;
	unsigned count;
	uint16_t layers[]; /* those that have it, newest first; none below counts */
};

struct walk {
	const struct layer_stack *s;
	int (*each)(void *data, const struct layer_item *item);
	void *data;
	struct err *e;
	struct arena memory;
	struct pending *pending;
};

/* The directory that is walked. */
struct here {
	const struct pending *p;
	int fds[LAYERS_MAX], host;
	struct arena memory;
	char **names;
	size_t count;
};

static const uint64_t beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
				RESOLVE_NO_XDEV;

static int open_beneath(int root, const char *path, uint64_t flags)
{
	return sys_openat2(root, *path ? path : ".", flags | O_NOFOLLOW, 0, beneath);
}

int layer_open_path(int root, const char *path)
{
	return open_beneath(root, path, O_PATH);
}

int layer_open(int root, const char *path)
{
	_cleanup_close_ int fd = layer_open_path(root, path);
	char self[32];
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -EINVAL;
	/* What was looked at, and not what has that name by now: opening a device acts. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return sys_openat(AT_FDCWD, self, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
}

static bool is_below(const char *path, const char *top)
{
	const char *rest = str_after(path, top);

	return *top == '\0' || (rest && (*rest == '\0' || *rest == '/'));
}

bool layer_wanted(const struct layer_stack *s, const char *path, bool above)
{
	for (size_t i = 0; i < s->only_count; i++)
		if (is_below(path, s->only[i]) || (above && is_below(s->only[i], path)))
			return true;
	return !s->only_count;
}

/* An xattr of overlayfs of the entry @name of @dir: its length, 0: it has none; -errno. */
static int overlay_xattr(int dir, const char *name, const char *which, char *first)
{
	static const char *const kinds[] = { "user", "trusted" };
	char path[NAME_MAX + 64], xattr[64], value[256];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		ssize_t n;

		snprintf(xattr, sizeof(xattr), "%s.overlay.%s", kinds[i], which);
		n = lgetxattr(path, xattr, value, sizeof(value));
		if (n >= 0 || errno == ERANGE) {
			*first = n > 0 ? value[0] : '\0';
			return n > 0 ? (int)n : 1;
		}
		/* EPERM: trusted.*, and user.* of what is neither a file nor a directory. */
		if (errno != ENODATA && errno != EOPNOTSUPP && errno != EPERM)
			return -errno;
	}
	return 0;
}

enum shape { SHAPE_NONE, SHAPE_WHITEOUT, SHAPE_FILE, SHAPE_DIR, SHAPE_OPAQUE };

/* What the entry @name of the layer's directory @dir is: enum shape or -errno. */
static int shape_of(int dir, const char *name, struct stat *st)
{
	char first = '\0';
	int r;

	if (fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? SHAPE_NONE : -errno;
	if (S_ISCHR(st->st_mode) && st->st_rdev == 0)
		return SHAPE_WHITEOUT;
	if (S_ISREG(st->st_mode) && st->st_size == 0) {
		r = overlay_xattr(dir, name, "whiteout", &first);
		if (r != 0)
			return r < 0 ? r : SHAPE_WHITEOUT;
	}
	if (S_ISREG(st->st_mode)) {
		r = overlay_xattr(dir, name, "metacopy", &first);
		return r < 0 ? r : r > 0 ? -EOPNOTSUPP : SHAPE_FILE;
	}
	if (!S_ISDIR(st->st_mode))
		return SHAPE_FILE;
	r = overlay_xattr(dir, name, "redirect", &first);
	if (r != 0)
		return r < 0 ? r : -EOPNOTSUPP;
	r = overlay_xattr(dir, name, "opaque", &first);
	/* "x" says only that there may be whiteouts by xattr in it. */
	return r < 0 ? r : r > 0 && first == 'y' ? SHAPE_OPAQUE : SHAPE_DIR;
}

static int too_much(struct walk *w)
{
	err_set(w->e, E2BIG, "workspace", "there are too many changes to list");
	err_remedy(w->e, "name a part of the workspace");
	return -E2BIG;
}

static int tell_error(struct walk *w, const char *path, int r)
{
	struct layer_item item = { .path = path, .error = -r };

	return w->each(w->data, &item);
}

static int push(struct walk *w, const char *path, enum host_state host, const uint16_t *layers,
		unsigned count)
{
	struct pending *p = arena_alloc(&w->memory,
					sizeof(*p) + (size_t)count * sizeof(p->layers[0]));

	if (!p)
		return too_much(w);
	*p = (struct pending){ .path = path, .host = host, .count = count, .next = w->pending };
	memcpy(p->layers, layers, count * sizeof(p->layers[0]));
	w->pending = p;
	return 0;
}

static int collect(int fd, struct here *h)
{
	int again = sys_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0), r = 0;
	DIR *d = again < 0 ? NULL : fdopendir(again);
	struct dirent *entry;

	if (!d) {
		r = again < 0 ? again : -errno;
		sys_close(again);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(d))) {
		if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
			continue;
		h->names = arena_grow(&h->memory, h->names, h->count, sizeof(*h->names));
		if (h->names)
			h->names[h->count] = arena_strdup(&h->memory, entry->d_name);
		if (!h->names || !h->names[h->count++])
			r = -E2BIG;
	}
	if (r == 0)
		r = -errno;
	closedir(d);
	return r;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of all that has the directory, each once. */
static int list(struct here *h)
{
	size_t kept = 0;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < h->p->count; i++)
		r = collect(h->fds[i], h);
	if (r == 0 && h->p->host == HOST_HIDDEN)
		r = collect(h->host, h);
	if (r < 0 || !h->count)
		return r;
	qsort(h->names, h->count, sizeof(*h->names), by_bytes);
	for (size_t i = 1; i < h->count; i++)
		if (!streq(h->names[i], h->names[kept]))
			h->names[++kept] = h->names[i];
	h->count = kept + 1;
	return 0;
}

/*
 * One name through all layers, newest first. Until something ends the search: a file,
 * a whiteout, an opaque directory.
 */
static int look(const struct here *h, const char *name, struct layer_item *item, uint16_t *dirs,
		unsigned *count, bool *cut)
{
	*cut = h->p->host == HOST_HIDDEN;
	*count = 0;
	for (unsigned i = 0; i < h->p->count; i++) {
		struct stat st;
		int shape = shape_of(h->fds[i], name, &st);

		if (shape < 0)
			return shape;
		if (shape == SHAPE_NONE)
			continue;
		if (shape != SHAPE_WHITEOUT && !item->is) {
			item->is = true;
			item->after = st;
			item->layer = h->p->layers[i];
		}
		if (shape == SHAPE_DIR || shape == SHAPE_OPAQUE)
			dirs[(*count)++] = h->p->layers[i];
		if (shape != SHAPE_DIR) {
			*cut = true;
			break;
		}
	}
	return 0;
}

static int visit(struct walk *w, const struct here *h, const char *name)
{
	const char *top = h->p->path;
	struct layer_item item = { 0 };
	enum host_state host = HOST_NONE;
	uint16_t dirs[LAYERS_MAX];
	unsigned count;
	bool cut;
	int r;

	item.path = arena_printf(&w->memory, "%s%s%s", top, *top ? "/" : "", name);
	if (!item.path)
		return too_much(w);
	if (!layer_wanted(w->s, item.path, true))
		return 0;
	if (strlen(item.path) >= PATH_MAX)
		return tell_error(w, item.path, -ENAMETOOLONG);
	r = look(h, name, &item, dirs, &count, &cut);
	if (r == 0 && h->host >= 0) {
		item.was = fstatat(h->host, name, &item.before, AT_SYMLINK_NOFOLLOW) == 0;
		if (!item.was && errno != ENOENT)
			r = -errno;
	}
	if (r < 0) {
		item.error = -r;
		return w->each(w->data, &item);
	}
	/* Above what is wanted: what became of that, unless there is more to walk. */
	if ((item.is || item.was) && layer_wanted(w->s, item.path, !count))
		r = w->each(w->data, &item);
	if (r < 0 || !count)
		return r;
	if (item.was && S_ISDIR(item.before.st_mode))
		host = cut ? HOST_HIDDEN : HOST_BELOW;
	return push(w, item.path, host, dirs, count);
}

static int walk_open(struct walk *w, struct here *h)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < h->p->count; i++) {
		h->fds[i] = open_beneath(w->s->layers[h->p->layers[i]], h->p->path,
					 O_RDONLY | O_DIRECTORY);
		r = MIN(h->fds[i], 0);
	}
	if (r == 0 && h->p->host != HOST_NONE) {
		h->host = open_beneath(w->s->host, h->p->path,
				       (h->p->host == HOST_HIDDEN ? O_RDONLY : O_PATH) |
					       O_DIRECTORY);
		r = MIN(h->host, 0);
	}
	return r < 0 ? r : list(h);
}

static int walk_one(struct walk *w, const struct pending *p)
{
	struct here h = { .p = p, .host = -1, .memory = ARENA_INIT(LAYER_MEMORY_MAX / 2) };
	int r;

	memset(h.fds, -1, sizeof(h.fds));
	r = walk_open(w, &h);
	if (r == -E2BIG)
		r = too_much(w);
	else if (r < 0)
		r = tell_error(w, p->path, r);
	else
		for (size_t i = 0; r >= 0 && i < h.count; i++)
			r = visit(w, &h, h.names[i]);
	for (unsigned i = 0; i < p->count; i++)
		sys_close(h.fds[i]);
	sys_close(h.host);
	arena_free(&h.memory);
	return r;
}

/* The workspace's own directory: the newest layer's root has what was done to it. */
static int walk_root(struct walk *w)
{
	struct layer_item item = { .path = "", .was = true, .is = true };
	uint16_t all[LAYERS_MAX];

	if (w->s->count == 0)
		return 0;
	if (w->s->count > LAYERS_MAX)
		return err_set(w->e, E2BIG, "workspace", "%u layers", w->s->count);
	for (unsigned i = 0; i < w->s->count; i++)
		all[i] = (uint16_t)i;
	if (fstat(w->s->host, &item.before) < 0 || fstat(w->s->layers[0], &item.after) < 0)
		return err_set(w->e, errno, "workspace", "look at its directory");
	if (layer_wanted(w->s, "", false)) {
		int r = w->each(w->data, &item);

		if (r < 0)
			return r;
	}
	return push(w, "", HOST_BELOW, all, w->s->count);
}

int layer_walk(const struct layer_stack *s, int (*each)(void *data, const struct layer_item *item),
	       void *data, struct err *e)
{
	struct walk w = {
		.s = s,
		.each = each,
		.data = data,
		.e = e,
		.memory = ARENA_INIT(LAYER_MEMORY_MAX / 2),
	};
	int r = walk_root(&w);

	while (r >= 0 && w.pending) {
		const struct pending *p = w.pending;

		w.pending = p->next;
		r = walk_one(&w, p);
	}
	arena_free(&w.memory);
	return r < 0 ? r : 0;
}
