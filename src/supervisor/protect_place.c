/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a path leads, up to its last name. It is a guess that PID 1 checks, by the true path
 * of the directory, before it does anything; a wrong one costs another round. What we say is
 * not in an area goes on to the kernel, where Landlock refuses it if it is in one after all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "supervisor/protect.h"
#include "supervisor/watch_internal.h"
#include "sys/files.h"

static _cold_data_ struct {
	struct area areas[PROTECT_AREAS];
	int count; /* -1: none can be used */
	int root;  /* of the sandbox; owned */
	bool open;
} places;

const struct area *protect_area(int i)
{
	return &places.areas[i];
}

static void add_area(const char *path, bool judged)
{
	struct area *a = &places.areas[places.count];

	if (places.count == PROTECT_AREAS) /* what is beneath the rest is read-only then */
		return;
	str_copy(a->path, sizeof(a->path), path);
	a->len = streq(path, "/") ? 0 : strlen(path);
	a->free = !judged;
	a->fd = sys_openat2(places.root, path, O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
	if (a->fd >= 0)
		places.count++;
}

bool protect_open_areas(const struct supervisor *s, pid_t pid)
{
	const struct plan_mount *m = plan_items(s->plan, mounts, struct plan_mount);
	char path[PATH_MAX];

	if (places.open)
		return places.count > 0;
	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	places.root = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
	if (places.root < 0)
		return false;
	places.open = true;
	places.count = 0;
	for (uint32_t i = 0; i < s->plan->mounts.count; i++) {
		const char *target;

		if (!jail_is_guarded(s->plan, s->launch, &m[i]))
			continue;
		target = jail_target(s->plan, s->launch, &m[i], path);
		if (target)
			add_area(target, jail_is_judged(s->plan, s->launch, &m[i]));
	}
	return places.count > 0;
}

void protect_close_areas(void)
{
	if (!places.open)
		return;
	for (int i = 0; i < places.count; i++)
		sys_close(places.areas[i].fd);
	sys_close(places.root);
	places.open = false;
}

/* The innermost area that @path is in, or is; -1. */
static int find_area(const char *path)
{
	int best = -1;

	for (int i = 0; i < places.count; i++) {
		const struct area *a = &places.areas[i];

		if (strncmp(path, a->path, a->len) == 0 &&
		    (path[a->len] == '/' || path[a->len] == '\0') &&
		    (best < 0 || a->len > places.areas[best].len))
			best = i;
	}
	return best;
}

/* The true path of the directory @dir inside; false: none, or nobody can say. */
static bool true_path(const char *dir, char ret[PATH_MAX])
{
	int fd = sys_openat2(places.root, dir, O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
	char link[32];
	long n;

	if (fd < 0)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = sys_call(SYS_readlinkat, AT_FDCWD, link, ret, PATH_MAX - 1);
	sys_close(fd);
	ret[n < 0 ? 0 : n] = '\0';
	return n > 0 && ret[0] == '/';
}

/* ".." behind a name is that name's true parent, which the text does not say. */
static bool has_turn(const char *path)
{
	bool name = false;

	while (*path) {
		size_t n;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 2 && memcmp(path, "..", 2) == 0) {
			if (name)
				return true;
		} else if (n > 0 && !(n == 1 && *path == '.')) {
			name = true;
		}
		path += n;
	}
	return false;
}

/* Cut @path into a directory, which stays in it, and the last name with its '/'. */
static int cut(char *path, char name[NAME_MAX + 2])
{
	size_t n = strlen(path), end = n, from;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (from = end; from > 0 && path[from - 1] != '/'; from--)
		;
	if (end - from > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, path + from, end - from);
	if (end == 0)
		name[end++] = '.'; /* the root itself */
	else if (end < n)
		name[end++ - from] = '/';
	name[end - from] = '\0';
	path[from] = '\0';
	return 0;
}

/* A directory on the way may be a link into an area. */
static void follow_way(struct asked_place *p)
{
	char path[PATH_MAX];

	if (str_after(p->dir, "/proc/") || str_after(p->dir, "/dev/") || streq(p->dir, "/dev"))
		return;
	if (true_path(p->dir, path))
		protect_came_out(p, path);
}

/* The file itself may be one, which an open follows. */
static void follow_last(struct asked_place *p)
{
	char path[2 * PATH_MAX], to[PATH_MAX], link[32];
	long n;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", p->dir, p->name) >= PATH_MAX)
		return;
	fd = sys_openat2(places.root, path, O_PATH, 0, RESOLVE_IN_ROOT);
	if (fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = sys_call(SYS_readlinkat, AT_FDCWD, link, to, sizeof(to) - 1);
	sys_close(fd);
	to[n < 0 ? 0 : n] = '\0';
	if (to[0] != '/' || find_area(to) < 0 || cut(to, p->name) < 0)
		return;
	watch_normalize(to);
	protect_came_out(p, to);
}

void protect_came_out(struct asked_place *p, const char *dir)
{
	str_copy(p->dir, sizeof(p->dir), dir);
	p->area = find_area(dir);
}

/*
 * What the caller's descriptor leads to, named first in @name ("/proc/self/fd/3/x"), has the
 * name that @path begins with, but perhaps outside: is it the file of that name inside?
 */
static bool is_same_inside(pid_t tid, const char *name, const char *path)
{
	const char *fds = strstr(name, "/fd/"), *last = strrchr(name, '/') + 1;
	int fd, number = streq(last, "stdin") ? 0 : streq(last, "stdout") ? 1 : 2;
	char none[] = "", *rest = none, link[64], file[PATH_MAX];
	struct stat inside, theirs;
	bool same;

	if (fds)
		number = (int)strtol(fds + strlen("/fd/"), &rest, 10);
	str_copy(file, MIN(sizeof(file), strlen(path) - strlen(rest) + 1), path);
	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)tid, number);
	if (sys_call(SYS_newfstatat, AT_FDCWD, link, &theirs, 0) != 0)
		return false;
	fd = sys_openat2(places.root, file, O_PATH | O_NOFOLLOW, 0, RESOLVE_IN_ROOT);
	if (fd < 0)
		return false;
	same = sys_call(SYS_newfstatat, fd, "", &inside, AT_EMPTY_PATH) == 0 &&
	       inside.st_dev == theirs.st_dev && inside.st_ino == theirs.st_ino;
	sys_close(fd);
	return same;
}

int protect_place(const struct asked *a, struct asked_place *p, const char *text)
{
	static _cold_data_ char path[WATCH_PATH], resolved[PATH_MAX];
	pid_t tid = (pid_t)a->n.pid;
	int r;

	if (!*text)
		return -ENOENT;
	if (!watch_join(tid, p->dirfd, text, path))
		return -EBADF;
	if (*text != '/' && strlen(path) >= sizeof(path) - 1) /* cut, perhaps */
		return -ENAMETOOLONG;
	str_copy(resolved, sizeof(resolved), path);
	/* What is only outside the kernel opens, if Landlock lets it. */
	if (p->follow && watch_reopened(tid, path) && !is_same_inside(tid, resolved, path))
		return -ENOENT;
	r = cut(path, p->name);
	if (r < 0)
		return r;
	if (has_turn(path) && true_path(path, resolved))
		str_copy(path, sizeof(path), resolved);
	else
		watch_normalize(path);
	protect_came_out(p, path);
	if (p->area < 0)
		follow_way(p);
	if (p->area < 0 && p->follow && !str_after(p->dir, "/proc/") && !str_after(p->dir, "/dev"))
		follow_last(p);
	return 0;
}

bool protect_relative(const struct asked_place *p, char ret[PATH_MAX])
{
	const char *dir = p->dir + protect_area(p->area)->len;
	int n;

	dir += *dir == '/';
	n = snprintf(ret, PATH_MAX, "%s%s%.*s", dir, *dir ? "/" : "", (int)strcspn(p->name, "/"),
		     p->name);
	return n > 0 && n < PATH_MAX;
}
