/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is removed here was made inside: directories that their owner may not
 * enter, names of any bytes, trees that are deeper than a path may be long. A
 * tree is taken down by moving directories that lie deep up to its root, so
 * that no more than two directories are open.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"
#include "sys/listing.h"
#include "workspace/internal.h"
#include "workspace/store.h"

/* Open the directory @name to empty it, whatever its mode. */
static int open_dir(int dir, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
	int fd = sys_openat(dir, name, flags, 0), path;
	struct stat st;
	char self[32];

	if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 0700) == 0700)
		return fd;
	if (fd < 0 && fd != -EACCES)
		return fd;
	sys_close(fd);
	/* Not by its name: a link may take its place. */
	path = sys_openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (path < 0)
		return path;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", path);
	sys_call(SYS_fchmodat, AT_FDCWD, self, 0700);
	fd = sys_openat(path, ".", O_RDONLY | O_DIRECTORY, 0);
	sys_close(path);
	return fd;
}

/*
 * One directory: what is no directory goes, what is one and empty too; others are
 * moved into @top under names of our own, for later.
 */
static int flatten(int top, int dir, uint64_t *serial)
{
	struct sys_listing l;
	const char *name;
	char aside[32];
	int r = 0;

	sys_list(&l, dir);
	while (r == 0 && (name = sys_list_next(&l))) {
		int is = (int)sys_call(SYS_unlinkat, dir, name, 0);

		if (is == 0 || is == -ENOENT)
			continue;
		is = (int)sys_call(SYS_unlinkat, dir, name, AT_REMOVEDIR);
		if (is == 0 || is == -ENOENT)
			continue;
		if (is != -ENOTEMPTY && is != -EEXIST)
			return is;
		if (dir == top)
			continue;
		do {
			snprintf(aside, sizeof(aside), ".gone-%llu", (unsigned long long)++*serial);
			/* A directory that we may not write cannot be moved: its ".." changes. */
			is = open_dir(dir, name);
			sys_close(is);
			r = (int)sys_call(SYS_renameat2, dir, name, top, aside,
					  1 /* RENAME_NOREPLACE */);
		} while (r == -EEXIST);
	}
	return r < 0 ? r : sys_list_error(&l);
}

static int empty(int top)
{
	uint64_t serial = 0;

	/* Until nothing is left; each round removes at least a level of one tree. */
	for (;;) {
		struct sys_listing l;
		const char *name;
		bool any = false;
		int r;

		sys_call(SYS_lseek, top, 0, SEEK_SET);
		r = flatten(top, top, &serial);
		if (r < 0)
			return r;
		sys_call(SYS_lseek, top, 0, SEEK_SET);
		sys_list(&l, top);
		while ((name = sys_list_next(&l))) {
			int dir = open_dir(top, name);

			any = true;
			r = dir < 0 ? dir : flatten(top, dir, &serial);
			sys_close(dir);
			if (r == 0)
				r = (int)sys_call(SYS_unlinkat, top, name, AT_REMOVEDIR);
			if (r < 0 && r != -ENOTEMPTY && r != -ENOENT)
				return r;
		}
		r = sys_list_error(&l);
		if (r < 0)
			return r;
		if (!any)
			return 0;
	}
}

int store_remove_tree(int dir, const char *name)
{
	int top = open_dir(dir, name), r;

	if (top < 0)
		return top == -ENOENT ? 0 : top;
	r = empty(top);
	sys_close(top);
	return r < 0 ? r : (int)sys_call(SYS_unlinkat, dir, name, AT_REMOVEDIR);
}

int store_empty(int dir)
{
	int all, lock;

	/* First what says that it is a store: from here on nobody waits for it. */
	sys_call(SYS_unlinkat, dir, STORE_META, 0);
	/* Who has read it just before, to fork it, is to be done with the layers. */
	all = sys_openat(dir, "..", O_PATH | O_DIRECTORY, 0);
	lock = all < 0 ? all : store_lock_shared(all);
	sys_close(all);
	if (lock < 0)
		return lock;
	sys_close(lock);
	sys_call(SYS_lseek, dir, 0, SEEK_SET);
	return empty(dir);
}

int store_renew_work(int dir)
{
	int work = open_dir(dir, STORE_WORK), r;

	if (work < 0)
		return work;
	r = store_remove_tree(work, "work");
	sys_close(work);
	return r;
}

int store_remove(int all, const char *name, int dir)
{
	int r = store_empty(dir);

	if (r == 0)
		r = (int)sys_call(SYS_unlinkat, all, name, AT_REMOVEDIR);
	sys_close(dir);
	if (store_has_shared(all))
		store_sweep_shared(all);
	return r;
}

/*
 * A store without a meta was being made, or removed. One that is rubbish may hold
 * somebody's work: that is for a person to remove.
 */
static bool is_waited_for(int dir)
{
	static _cold_data_ struct store_meta m;
	int r = store_read(dir, &m);

	return r == 0 ? m.mode != STORE_SCRATCH : r != -ENOENT;
}

int store_sweep_one(int all, const char *name, bool *live)
{
	int dir = store_open_entry(all, name), r;

	*live = false;
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	r = store_lock(dir, true);
	if (r == 0 && !is_waited_for(dir))
		return store_remove(all, name, dir);
	sys_close(dir);
	*live = r == -EWOULDBLOCK;
	return r == -ESTALE ? 0 : r == 0 || *live ? -EEXIST : r;
}

void store_each_entry(int dir, bool (*each)(void *data, const char *name), void *data)
{
	struct sys_listing l;
	const char *name;

	sys_list(&l, sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0));
	if (l.fd < 0)
		return;
	while ((name = sys_list_next(&l)))
		if (!each(data, name))
			break;
	sys_close(l.fd);
}

struct of_stores {
	bool (*each)(void *data, const char *name);
	void *data;
};

static bool is_store(void *data, const char *name)
{
	const struct of_stores *o = data;

	return !store_name_ok(name) || o->each(o->data, name);
}

void store_each(int all, bool (*each)(void *data, const char *name), void *data)
{
	struct of_stores o = { each, data };

	store_each_entry(all, is_store, &o);
}

struct sweep {
	int all;
	unsigned most, looked, removed;
};

static bool sweep_each(void *data, const char *name)
{
	struct sweep *s = data;
	bool live;

	s->removed += store_sweep_one(s->all, name, &live) == 0;
	return ++s->looked != s->most;
}

unsigned store_sweep(int all, unsigned most)
{
	struct sweep s = { .all = all, .most = most };

	store_each(all, sweep_each, &s);
	return s.removed;
}
