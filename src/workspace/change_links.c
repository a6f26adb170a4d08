/* SPDX-License-Identifier: Apache-2.0 */
/* Which changes are names of one file, and which are a file's new name. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "workspace/change.h"

enum {
	RENAME_SIZE_MAX = 64 << 20, /* bytes of a file that is looked for */
	RENAME_TRIES = 16,	    /* that have the same size */
	RENAME_DIRS_MAX = 64,	    /* directories that are gone, looked into */
	RENAME_LOOKS_MAX = 200000   /* in all of those together */
};

/* One name first that is as it was: it stays where it is. */
static int by_inode(const void *a, const void *b)
{
	const struct change *x = *(struct change *const *)a, *y = *(struct change *const *)b;

	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	if (x->after.ino != y->after.ino)
		return x->after.ino < y->after.ino ? -1 : 1;
	if ((x->kind == CHANGE_NONE) != (y->kind == CHANGE_NONE))
		return x->kind == CHANGE_NONE ? -1 : 1;
	return strcmp(x->path, y->path);
}

int changes_find_links(struct changes *c)
{
	struct change **sorted = arena_alloc(&c->memory, (c->count + 1) * sizeof(struct change *));
	size_t n = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < c->count; i++)
		if (S_ISREG(c->items[i].after.mode) && c->items[i].after.nlink > 1)
			sorted[n++] = &c->items[i];
	if (n)
		qsort(sorted, n, sizeof(struct change *), by_inode);
	for (size_t i = 1; i < n; i++) {
		struct change *before = sorted[i - 1], *it = sorted[i];

		if (it->layer == before->layer && it->after.ino == before->after.ino &&
		    it->kind != CHANGE_NONE)
			it->link_to = before->link_to ? before->link_to : before->path;
	}
	return 0;
}

struct gone {
	struct change *change;
	bool taken;
};

struct search {
	struct changes *c;
	const struct layer_stack *s;
	struct gone *files; /* by size */
	size_t files_count;
	const struct change *dirs[RENAME_DIRS_MAX];
	unsigned dirs_count, looks;
};

static int by_size(const void *a, const void *b)
{
	uint64_t x = ((const struct gone *)a)->change->before.size;
	uint64_t y = ((const struct gone *)b)->change->before.size;

	return x < y ? -1 : x > y;
}

static bool has_content_of(const struct search *s, const struct change *added, const char *path)
{
	_cleanup_close_ int a = -1, b = layer_open(s->s->host, path);
	struct stat st;

	if (b >= 0)
		a = change_open_after(added, s->s);
	return a >= 0 && fstat(b, &st) == 0 && S_ISREG(st.st_mode) &&
	       change_same_content(a, b) == 1;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Among single files: one of the same name if there is one. */
static bool search_files(const struct search *s, struct change *added)
{
	size_t low = 0, high = s->files_count;
	unsigned tries = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->files[middle].change->before.size < added->after.size)
			low = middle + 1;
		else
			high = middle;
	}
	for (int same_name = 1; same_name >= 0; same_name--)
		for (size_t i = low; i < s->files_count && tries < RENAME_TRIES; i++) {
			struct gone *g = &s->files[i];

			if (g->change->before.size != added->after.size)
				break;
			if (g->taken ||
			    same_name != streq(base_name(g->change->path), base_name(added->path)))
				continue;
			tries++;
			if (!has_content_of(s, added, g->change->path))
				continue;
			g->taken = true;
			added->renamed_from = g->change->path;
			added->similarity = 100;
			g->change->renamed_to = added->path;
			return true;
		}
	return false;
}

/* In a directory that is gone: where it would be if the one above it had that one's name. */
static int search_dirs(struct search *s, struct change *added)
{
	char path[2 * PATH_MAX];

	for (const char *rest = added->path; (rest = strchr(rest, '/')); rest++)
		for (unsigned i = 0; i < s->dirs_count && s->looks < RENAME_LOOKS_MAX; i++) {
			s->looks++;
			snprintf(path, sizeof(path), "%s%s", s->dirs[i]->path, rest);
			if (strlen(path) >= PATH_MAX || !has_content_of(s, added, path))
				continue;
			added->renamed_from = arena_strdup(&s->c->memory, path);
			added->similarity = 100;
			return added->renamed_from ? 0 : -ENOMEM;
		}
	return 0;
}

int changes_find_renames(struct changes *c, const struct layer_stack *stack)
{
	struct search s = { .c = c, .s = stack };
	int r = 0;

	s.files = arena_alloc(&c->memory, (c->count + 1) * sizeof(*s.files));
	if (!s.files)
		return -ENOMEM;
	for (size_t i = 0; i < c->count; i++) {
		struct change *it = &c->items[i];

		if (it->kind != CHANGE_DELETED)
			continue;
		if (S_ISREG(it->before.mode) && it->before.size > 0)
			s.files[s.files_count++].change = it;
		else if (S_ISDIR(it->before.mode) && s.dirs_count < RENAME_DIRS_MAX)
			s.dirs[s.dirs_count++] = it;
	}
	if (s.files_count)
		qsort(s.files, s.files_count, sizeof(*s.files), by_size);
	for (size_t i = 0; r == 0 && i < c->count; i++) {
		struct change *it = &c->items[i];

		if (it->kind != CHANGE_ADDED || !S_ISREG(it->after.mode) || it->link_to ||
		    it->after.size == 0 || it->after.size > RENAME_SIZE_MAX)
			continue;
		if (!search_files(&s, it))
			r = search_dirs(&s, it);
	}
	return r;
}
