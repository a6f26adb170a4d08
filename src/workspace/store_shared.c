/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers that several stores stand on. Which of them are still needed is asked of all
 * metas under the lock that whoever adds one to a meta holds as well. What is not needed is
 * given another name there, and removed when the lock is free again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/internal.h"

#define DEAD ".dead-"

enum { WAIT_MS = 2000, NAME_ROOM = STORE_LAYER_PATH, BATCH = 64 };

bool store_has_shared(int all)
{
	return sys_call(SYS_faccessat, all, STORE_SHARED, 0) == 0;
}

int store_lock_shared(int all)
{
	/* Of an open file of its own: @all may be somebody's copy. */
	int fd = sys_openat(all, ".", O_RDONLY | O_DIRECTORY, 0), r = fd;

	for (int ms = 0; fd >= 0; ms++) {
		r = (int)sys_call(SYS_flock, fd, LOCK_EX | LOCK_NB);
		if (r != -EWOULDBLOCK || ms == WAIT_MS)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	if (r >= 0)
		return fd;
	sys_close(fd);
	return r == -EWOULDBLOCK ? -EBUSY : r;
}

/* Layers that may be unneeded: those that no meta was seen to name yet. */
struct candidates {
	int all;
	char names[BATCH][NAME_ROOM]; /* "": it is needed */
	unsigned count;
	char after[NAME_ROOM]; /* the next batch begins behind it */
	bool full, unsure;
};

/* The BATCH lowest names behind the last batch's. */
static bool add_candidate(void *data, const char *name)
{
	struct candidates *c = data;
	unsigned at = c->count;

	if (strlen(name) >= NAME_ROOM || str_after(name, DEAD) || strcmp(name, c->after) <= 0)
		return true;
	while (at > 0 && strcmp(c->names[at - 1], name) > 0)
		at--;
	if (at == BATCH)
		return c->full = true;
	if (c->count == BATCH) {
		c->full = true;
		c->count--;
	}
	memmove(c->names[at + 1], c->names[at], (c->count - at) * NAME_ROOM);
	str_copy(c->names[at], NAME_ROOM, name);
	c->count++;
	return true;
}

static void is_needed(struct candidates *c, const char *name)
{
	for (unsigned i = 0; i < c->count; i++)
		if (streq(c->names[i], name))
			c->names[i][0] = '\0';
}

static bool ask_store(void *data, const char *name)
{
	static _cold_data_ struct store_meta m;
	struct candidates *c = data;
	int dir = store_open_entry(c->all, name), r = dir < 0 ? dir : store_read(dir, &m);
	char path[STORE_LAYER_PATH];

	sys_close(dir);
	/* Without a meta it stands on nothing: who forks writes one before the lock is free. */
	if (r < 0 && r != -ENOENT)
		c->unsure = true;
	for (unsigned i = 0; r == 0 && i < m.layers_count; i++) {
		store_format_shared(path, &m, &m.layers[i]);
		is_needed(c, path + strlen(STORE_SHARED "/"));
	}
	return !c->unsure;
}

static void bury(struct candidates *c)
{
	for (unsigned i = 0; i < c->count && !c->unsure; i++) {
		char from[2 * NAME_ROOM], to[2 * NAME_ROOM];

		if (!c->names[i][0])
			continue;
		snprintf(from, sizeof(from), STORE_SHARED "/%s", c->names[i]);
		snprintf(to, sizeof(to), STORE_SHARED "/" DEAD "%s", c->names[i]);
		renameat(c->all, from, c->all, to);
	}
}

static void mark(int all, int shared)
{
	static _cold_data_ struct candidates c;

	c = (struct candidates){ .all = all };
	do {
		c.count = 0;
		c.full = false;
		store_each_entry(shared, add_candidate, &c);
		if (c.count)
			str_copy(c.after, sizeof(c.after), c.names[c.count - 1]);
		if (c.count)
			store_each(all, ask_store, &c);
		bury(&c);
	} while (c.full && !c.unsure);
}

static bool remove_dead(void *data, const char *name)
{
	if (str_after(name, DEAD))
		store_remove_tree(*(int *)data, name);
	return true;
}

void store_sweep_shared(int all)
{
	int shared, lock;

	shared = sys_openat(all, STORE_SHARED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (shared < 0)
		return;
	lock = store_lock_shared(all);
	if (lock >= 0)
		mark(all, shared);
	sys_close(lock);
	store_each_entry(shared, remove_dead, &shared);
	sys_close(shared);
	/* If it is empty now; under the lock, because who forks makes it. */
	lock = store_lock_shared(all);
	if (lock >= 0)
		sys_call(SYS_unlinkat, all, STORE_SHARED, AT_REMOVEDIR);
	sys_close(lock);
}
