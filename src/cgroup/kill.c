/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freeze, kill, remove, sweep. Version 2: cgroup.freeze, cgroup.events,
 * cgroup.kill (Linux 5.14). Version 1: freezer.state; what is frozen cannot
 * fork, so the list of processes is whole, and SIGKILL waits until the thaw.
 */
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/str.h"
#include "cgroup/internal.h"
#include "sys/files.h"
#include "sys/process.h"

enum { WAIT_MS = 2000, SWEEP_WAIT_MS = 200, KILL_ROUNDS = 100 };

static bool is_frozen(int fd, bool v2, bool frozen)
{
	char text[256];
	uint64_t v;

	if (cg_read(fd, v2 ? "cgroup.events" : "freezer.state", text, sizeof(text)) < 0)
		return true; /* the group has gone */
	if (!v2)
		return streq(text, frozen ? "FROZEN\n" : "THAWED\n");
	return !cg_keyed(text, "frozen", &v) || v == frozen;
}

int cg_freeze_dir(int fd, bool v2, bool frozen, unsigned tries)
{
	const char *file = v2 ? "cgroup.freeze" : "freezer.state";
	const char *value = v2 ? (frozen ? "1" : "0") : frozen ? "FROZEN" : "THAWED";

	for (unsigned i = 0;; i++) {
		/* Version 1 freezes anew who has woken up since: freezer-subsystem.rst. */
		int r = i == 0 || !v2 ? sys_write_file(fd, file, value, strlen(value)) : 0;

		if (r < 0)
			return r;
		if (is_frozen(fd, v2, frozen))
			return 0;
		if (i >= tries)
			return -ETIMEDOUT;
		cg_sleep_ms(1);
	}
}

static int tracking_fd(const struct cg_leaf *l)
{
	return l->v2_fd >= 0 ? l->v2_fd : l->v1_fds[PC_FREEZER];
}

int cg_freeze(const struct cg_leaf *l, bool frozen)
{
	int fd = tracking_fd(l);

	return fd < 0 ? -ENOENT : cg_freeze_dir(fd, l->v2_fd >= 0, frozen, WAIT_MS);
}

/* SIGKILL to each of the group. Returns how many there were, or -errno. */
static long kill_listed(int fd)
{
	int procs = sys_openat(fd, "cgroup.procs", O_RDONLY, 0);
	char buf[CG_TEXT];
	size_t used = 0;
	long n, count = 0;

	if (procs < 0)
		return procs;
	while ((n = sys_read(procs, buf + used, sizeof(buf) - 1 - used)) > 0) {
		char *line = buf, *end;

		used += (size_t)n;
		buf[used] = '\0';
		while ((end = strchr(line, '\n'))) {
			const char *rest;
			uint64_t pid = cg_digits(line, &rest);

			/* 0: a process that our pid namespace does not show */
			if (pid > 0 && pid <= INT_MAX) {
				sys_call(SYS_kill, (long)pid, SIGKILL);
				count++;
			}
			line = end + 1;
		}
		used -= (size_t)(line - buf);
		memmove(buf, line, used);
	}
	sys_close(procs);
	return n < 0 ? n : count;
}

int cg_kill_dir(int fd, bool v2)
{
	int r = v2 ? sys_write_file(fd, "cgroup.kill", "1", 1) : -ENOENT;
	bool whole;
	long n;

	if (r != -ENOENT)
		return r == -ENODEV ? 0 : r;
	whole = cg_freeze_dir(fd, v2, true, 100) == 0;
	n = kill_listed(fd);
	/* What would not freeze may have forked meanwhile: until nobody is left. */
	for (int i = 0; !whole && n > 0 && i < KILL_ROUNDS; i++) {
		cg_freeze_dir(fd, v2, false, 0);
		cg_sleep_ms(1);
		n = kill_listed(fd);
	}
	r = cg_freeze_dir(fd, v2, false, 100);
	return n < 0 ? (int)n : r;
}

int cg_kill(const struct cg_leaf *l)
{
	int fd = tracking_fd(l);

	return fd < 0 ? -ENOENT : cg_kill_dir(fd, l->v2_fd >= 0);
}

int cg_rmdir(int dirfd, const char *name, unsigned tries)
{
	for (unsigned i = 0;; i++) {
		int r = (int)sys_call(SYS_unlinkat, dirfd, name, AT_REMOVEDIR);

		if (r == -ENOENT || r == -ENODEV)
			return 0;
		if (r != -EBUSY || i >= tries)
			return r;
		cg_sleep_ms(1);
	}
}

/* The first directory holds the lock, so it goes last. */
int cg_remove(struct cg_leaf *l)
{
	char up[sizeof(l->name) + 4] = "../";
	int first = tracking_fd(l), ret = 0, r;

	str_copy(up + 3, sizeof(up) - 3, l->name);
	for (int c = PLAN_CONTROLLERS - 1; c >= 0; c--) {
		if (l->v1_fds[c] < 0 || l->v1_fds[c] == first)
			continue;
		r = cg_rmdir(l->v1_fds[c], up, WAIT_MS);
		ret = ret ? ret : r;
	}
	if (first >= 0 && ret == 0)
		ret = cg_rmdir(first, up, WAIT_MS);
	cg_close(l);
	return ret;
}

struct sweep {
	const struct cg_site *site;
	int base;
	bool v2;
	unsigned left, removed;
	bool (*known)(const char *id, void *arg);
	void *known_arg;
};

static void remove_everywhere(struct sweep *w, const char *name)
{
	const struct cg_site *s = w->site;
	char path[CG_PATH];

	for (unsigned c = 0; c < PLAN_CONTROLLERS; c++) {
		if (s->v1[c][0] == '\0' || (!w->v2 && c == PC_FREEZER))
			continue;
		/* What stays keeps the first directory, for the next who sweeps. */
		if (cg_join(path, s->v1[c], name) && cg_rmdir(AT_FDCWD, path, SWEEP_WAIT_MS) < 0)
			return;
	}
	if (cg_rmdir(w->base, name, SWEEP_WAIT_MS) == 0)
		w->removed++;
}

static int look_at(const char *name, void *arg)
{
	struct sweep *w = arg;
	const char *id = str_after(name, CG_PREFIX);
	int fd;

	if (!id || (w->known && w->known(id, w->known_arg)))
		return 0;
	if (w->left == 0)
		return 1;
	w->left--;
	fd = sys_openat(w->base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return 0;
	if (sys_call(SYS_flock, fd, LOCK_EX | LOCK_NB) == 0) {
		cg_kill_dir(fd, w->v2);
		remove_everywhere(w, name);
	}
	sys_close(fd);
	return 0;
}

unsigned cg_sweep(const struct cg_site *s, unsigned most, uint64_t seed,
		  bool (*known)(const char *id, void *arg), void *arg)
{
	struct sweep w = {
		.site = s, .v2 = s->v2[0] != '\0', .left = most, .known = known, .known_arg = arg
	};
	long from = (long)(seed * 0x9e3779b97f4a7c15ULL >> 33); /* below 2^31, spread */

	if (s->kind == CG_NONE || s->kind == CG_SCOPE)
		return 0;
	w.base = sys_openat(AT_FDCWD, w.v2 ? s->v2 : s->v1[PC_FREEZER], O_RDONLY | O_DIRECTORY, 0);
	if (w.base < 0)
		return 0;
	/* kernfs orders a directory by a hash of the names, which is the offset. */
	if (sys_call(SYS_lseek, w.base, from, 0) < 0)
		sys_call(SYS_lseek, w.base, 0, 0);
	if (cg_each_entry(w.base, look_at, &w) == 0 && w.left > 0 && from > 0) {
		sys_call(SYS_lseek, w.base, 0, 0);
		cg_each_entry(w.base, look_at, &w);
	}
	sys_close(w.base);
	return w.removed;
}
