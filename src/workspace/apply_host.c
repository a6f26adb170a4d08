/* SPDX-License-Identifier: Apache-2.0 */
/* What the host's workspace is like, for an apply. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/apply_internal.h"

static const uint64_t beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
				RESOLVE_NO_XDEV;

void path_parent(const char *path, char ret[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? MIN((size_t)(slash - path), (size_t)PATH_MAX - 1) : 0;

	/* @ret may be @path. */
	if (slash)
		memmove(ret, path, n);
	else
		ret[n++] = '.';
	ret[n] = '\0';
}

int host_open_parent(int host, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	path_parent(path, parent);
	*name = slash ? slash + 1 : path;
	return sys_openat2(host, parent, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, beneath);
}

bool host_unchanged(const struct apply *a, const char *path, uint64_t dev, uint64_t ino,
		    int64_t ctime_ns)
{
	const struct landed *ours;

	if (ctime_ns < a->stamp_ns)
		return true;
	ours = landed_find(&a->landed, path);
	return ours && ours->dev == dev && ours->ino == ino && ours->ctime_ns == ctime_ns;
}

struct tree_walk {
	int host;
	const char *top;
	const struct apply *a;
	char *where;
	uint64_t sum;
	struct arena memory;
	const char **pending; /* relative to @top; "": itself */
	size_t count;
};

/* Sums do not depend on the order in which a directory has its names. */
static uint64_t sum_entry(const char *path, const struct stat *st)
{
	uint64_t facts[5] = { st->st_dev, st->st_ino, st->st_mode & S_IFMT }, first;
	uint8_t sum[SHA256_SIZE];
	struct sha256 s;

	if (!S_ISDIR(st->st_mode)) {
		facts[2] = st->st_mode;
		facts[3] = (uint64_t)st->st_size;
		facts[4] = (uint64_t)time_ns(&st->st_mtim);
	}
	sha256_init(&s);
	sha256_add(&s, facts, sizeof(facts));
	sha256_add(&s, path, strlen(path));
	sha256_done(&s, sum);
	memcpy(&first, sum, sizeof(first));
	return first;
}

/* 1: somebody changed it. */
static int tree_entry(struct tree_walk *w, const char *path, const struct stat *st)
{
	char full[PATH_MAX + NAME_MAX + 2];

	snprintf(full, sizeof(full), "%s/%s", w->top, path);
	if (w->a && !host_unchanged(w->a, full, st->st_dev, st->st_ino, time_ns(&st->st_ctim))) {
		str_copy(w->where, PATH_MAX, full);
		return 1;
	}
	w->sum += sum_entry(path, st);
	if (!S_ISDIR(st->st_mode))
		return 0;
	w->pending = arena_grow(&w->memory, w->pending, w->count, sizeof(*w->pending));
	if (w->pending)
		w->pending[w->count] = arena_strdup(&w->memory, path);
	return w->pending && w->pending[w->count++] ? 0 : -ENOMEM;
}

static int tree_directory(struct tree_walk *w, const char *path)
{
	char full[PATH_MAX], below[PATH_MAX];
	struct dirent *entry;
	DIR *d;
	int fd, r = 0;

	if ((size_t)snprintf(full, sizeof(full), "%s%s%s", w->top, *path ? "/" : "", path) >=
	    sizeof(full))
		return -ENAMETOOLONG;
	fd = sys_openat2(w->host, full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, beneath);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		r = fd < 0 ? fd : -errno;
		sys_close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(d))) {
		struct stat st;

		if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
			continue;
		if ((size_t)snprintf(below, sizeof(below), "%s%s%s", path, *path ? "/" : "",
				     entry->d_name) >= sizeof(below))
			r = -ENAMETOOLONG;
		else if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		else
			r = tree_entry(w, below, &st);
	}
	if (r == 0)
		r = -errno;
	closedir(d);
	return r;
}

int host_tree(int host, const char *path, uint64_t *tree, const struct apply *a,
	      char where[PATH_MAX])
{
	struct tree_walk w = {
		.host = host,
		.top = path,
		.a = a,
		.where = where,
		.memory = ARENA_INIT(LAYER_MEMORY_MAX),
	};
	int r = tree_directory(&w, "");

	while (r == 0 && w.count > 0)
		r = tree_directory(&w, w.pending[--w.count]);
	*tree = w.sum;
	arena_free(&w.memory);
	return r;
}
