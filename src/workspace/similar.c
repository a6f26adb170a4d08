/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/similar.h"

#include <errno.h>
#include <git2.h>
#include <git2/sys/hashsig.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "workspace/patch.h"

enum { DIRS_MAX = 16 };

/* A file, and what it is compared by; owned. */
struct side {
	struct change *change; /* NULL: only @path is known, in a directory that is gone */
	const char *path;
	uint64_t size;
	git_hashsig *sig; /* NULL: it is like nothing */
	bool taken;
};

struct search {
	struct changes *c;
	const struct layer_stack *s;
	struct side gone[SIMILAR_FILES_MAX], added[SIMILAR_FILES_MAX];
	size_t gone_count, added_count;
	const struct change *dirs[DIRS_MAX];
	unsigned dirs_count;
	uint64_t total;
	uint8_t scores[SIMILAR_FILES_MAX][SIMILAR_FILES_MAX]; /* added, gone; score() */
};

static git_hashsig *sign(int fd)
{
	_cleanup_buf_ struct buf b = BUF_INIT(SIMILAR_SIZE_MAX + 1);
	git_hashsig *sig = NULL;

	if (fd < 0 || read_all(fd, &b) < 0 || b.len == 0 || memchr(b.data, '\0', b.len))
		return NULL;
	return git_hashsig_create(&sig, b.data, b.len, GIT_HASHSIG_NORMAL) < 0 ? NULL : sig;
}

static bool is_candidate(const struct change_file *f)
{
	return S_ISREG(f->mode) && f->size > 0 && f->size <= SIMILAR_SIZE_MAX;
}

static void add_side(struct search *s, bool gone, struct change *change, const char *path,
		     uint64_t size, int fd)
{
	size_t *count = gone ? &s->gone_count : &s->added_count;
	struct side *to = (gone ? s->gone : s->added) + *count;

	if (*count == SIMILAR_FILES_MAX || s->total + size > SIMILAR_TOTAL_MAX)
		return;
	*to = (struct side){ .change = change, .path = path, .size = size, .sig = sign(fd) };
	s->total += size;
	++*count;
}

/* In a directory that is gone, where it would be if only one above it had another name. */
static int add_from_dirs(struct search *s, const struct change *added)
{
	char path[2 * PATH_MAX];
	struct stat st;

	for (const char *rest = added->path; (rest = strchr(rest, '/')); rest++)
		for (unsigned i = 0; i < s->dirs_count && s->gone_count < SIMILAR_FILES_MAX; i++) {
			_cleanup_close_ int fd = -1;
			const char *kept;

			if (snprintf(path, sizeof(path), "%s%s", s->dirs[i]->path, rest) >=
			    PATH_MAX)
				continue;
			fd = layer_open(s->s->host, path);
			if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
			    st.st_size == 0 || st.st_size > SIMILAR_SIZE_MAX)
				continue;
			kept = arena_strdup(&s->c->memory, path);
			if (!kept)
				return -ENOMEM;
			add_side(s, true, NULL, kept, (uint64_t)st.st_size, fd);
		}
	return 0;
}

static int gather(struct search *s)
{
	int r = 0;

	for (size_t i = 0; i < s->c->count; i++) {
		struct change *it = &s->c->items[i];

		if (it->kind == CHANGE_DELETED && S_ISDIR(it->before.mode) &&
		    s->dirs_count < DIRS_MAX)
			s->dirs[s->dirs_count++] = it;
		if (it->kind == CHANGE_DELETED && !it->renamed_to && is_candidate(&it->before)) {
			_cleanup_close_ int fd = change_open_before(it, s->s);

			add_side(s, true, it, it->path, it->before.size, fd);
		}
	}
	for (size_t i = 0; i < s->c->count && r == 0; i++) {
		struct change *it = &s->c->items[i];

		if (it->kind != CHANGE_ADDED || it->renamed_from || it->link_to ||
		    !is_candidate(&it->after) || !(s->gone_count || s->dirs_count))
			continue;
		if (s->added_count < SIMILAR_FILES_MAX) {
			_cleanup_close_ int fd = change_open_after(it, s->s);

			add_side(s, false, it, it->path, it->after.size, fd);
			r = add_from_dirs(s, it);
		}
	}
	return r;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* 0 to 201: of two that are as much alike the one of the same name. */
static uint8_t score(const struct side *gone, const struct side *added)
{
	uint64_t less = MIN(gone->size, added->size), more = MAX(gone->size, added->size);
	int percent;

	if (!gone->sig || !added->sig || less * 4 < more)
		return 0;
	percent = git_hashsig_compare(gone->sig, added->sig);
	if (percent < SIMILAR_LEAST)
		return 0;
	return (uint8_t)(2 * MIN(percent, 100) +
			 streq(base_name(gone->path), base_name(added->path)));
}

static void pair(struct side *gone, struct side *added, unsigned percent)
{
	gone->taken = added->taken = true;
	added->change->renamed_from = gone->path;
	/* What has all lines in another order is not the same. */
	added->change->similarity = MIN(percent, 99U);
	if (gone->change)
		gone->change->renamed_to = added->path;
}

/* The best of all pairs first, as long as there are any. */
static void match(struct search *s)
{
	uint8_t best;

	for (size_t i = 0; i < s->added_count; i++)
		for (size_t k = 0; k < s->gone_count; k++)
			s->scores[i][k] = score(&s->gone[k], &s->added[i]);
	do {
		size_t gone = 0, added = 0;

		best = 0;
		for (size_t i = 0; i < s->added_count; i++)
			for (size_t k = 0; k < s->gone_count && !s->added[i].taken; k++)
				if (s->scores[i][k] > best && !s->gone[k].taken) {
					best = s->scores[i][k];
					gone = k;
					added = i;
				}
		if (best)
			pair(&s->gone[gone], &s->added[added], best / 2);
	} while (best);
}

int changes_find_similar(struct changes *c, const struct layer_stack *stack)
{
	struct search *s = arena_alloc(&c->memory, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	memset(s, 0, sizeof(*s));
	s->c = c;
	s->s = stack;
	if (patch_ready() < 0)
		return -ENOMEM;
	r = gather(s);
	if (r == 0)
		match(s);
	for (size_t i = 0; i < s->gone_count; i++)
		git_hashsig_free(s->gone[i].sig);
	for (size_t i = 0; i < s->added_count; i++)
		git_hashsig_free(s->added[i].sig);
	return r;
}

void changes_forget_renames(struct changes *c)
{
	for (size_t i = 0; i < c->count; i++) {
		c->items[i].renamed_from = c->items[i].renamed_to = NULL;
		c->items[i].similarity = 0;
	}
}
