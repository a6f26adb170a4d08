/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plan says of a path. By the text: where the permission bits, a link made
 * inside, or the file's absence answer first, the caller gets another errno, or none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "policy/path.h"
#include "supervisor/watch_internal.h"
#include "sys/files.h"
#include "sys/landlock.h"

/* Is @path @dir, or below it? */
static bool is_below(const char *path, const char *dir, size_t len)
{
	if (len == 1)
		return true; /* "/" */
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The first @n bytes of @first and then @second, as much as there is room for. */
static void put(char buf[WATCH_PATH], const char *first, size_t n, const char *second)
{
	n = MIN(n, (size_t)WATCH_PATH - 1);
	memcpy(buf, first, n);
	str_copy(buf + n, WATCH_PATH - n, second);
}

/* Where @m is, in @buf if it has to be put together; NULL: nowhere. */
static const char *target(const struct supervisor *s, const struct plan_mount *m,
			  char buf[WATCH_PATH])
{
	const char *at = plan_string(s->plan, m->target), *workspace = s->launch->workspace;

	if (m->kind == PM_WORKSPACE)
		return workspace;
	if (!at || at[0] == '/')
		return at;
	if (!workspace)
		return NULL;
	put(buf, workspace, strlen(workspace), at + 1);
	return buf;
}

bool watch_in_workspace(const struct supervisor *s, const char *path)
{
	const char *workspace = s->launch->workspace;

	return workspace && is_below(path, workspace, strlen(workspace));
}

static int find(const char *path, uint64_t flags, uint64_t resolve)
{
	return sys_openat2(watch.root, path, O_PATH | O_CLOEXEC | flags, 0,
			   RESOLVE_IN_ROOT | resolve);
}

/* Where the descriptor @fd leads, which becomes closed. */
static bool name_of(int fd, char ret[WATCH_PATH])
{
	char link[64];
	long n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = sys_call(SYS_readlinkat, AT_FDCWD, link, ret, WATCH_PATH - 1);
	sys_close(fd);
	ret[n < 0 ? 0 : n] = '\0';
	return ret[0] == '/';
}

/* The file's own name, of one that is not there yet its directory's and its. */
static bool find_name(const char *raw, char ret[WATCH_PATH])
{
	static _cold_data_ char parent[WATCH_PATH];
	int fd = find(raw, 0, 0), at;
	const char *slash = strrchr(raw, '/');
	size_t len;

	if (fd >= 0)
		return name_of(fd, ret);
	at = fd == -ENOENT ? find(raw, O_NOFOLLOW, 0) : -ELOOP;
	sys_close(at);
	if (at != -ENOENT) /* a link to nowhere */
		return false;
	put(parent, raw, slash > raw ? (size_t)(slash - raw) : 1, "");
	fd = find(parent, 0, 0);
	if (fd < 0 || !name_of(fd, ret))
		return false;
	len = strlen(ret);
	str_copy(ret + len, WATCH_PATH - len, slash + (len == 1));
	return true;
}

bool watch_leads_out(const struct supervisor *s, const char *raw, char path[WATCH_PATH])
{
	static _cold_data_ char name[WATCH_PATH];
	int fd = watch.root < 0 ? -EBADF : find(raw, 0, RESOLVE_CACHED | RESOLVE_NO_SYMLINKS);

	if (fd == -EAGAIN || fd == -EINVAL) /* as a rule a file that is new */
		fd = find(raw, 0, RESOLVE_NO_SYMLINKS);
	sys_close(fd);
	if (fd >= 0 || fd == -ENOENT || fd == -ENOTDIR)
		return false; /* no link is there */
	if (fd != -ELOOP || !find_name(raw, name))
		return true;
	if (watch_in_workspace(s, name))
		return false;
	str_copy(path, WATCH_PATH, name);
	return true;
}

bool watch_is_plain_device(const char *path)
{
	static const char *const below[] = { "/dev/pts", "/dev/fd", "/proc/self/fd" };
	static const char *const devices[] = { "/dev/null",   "/dev/zero",    "/dev/full",
					       "/dev/tty",    "/dev/ptmx",    "/dev/stdin",
					       "/dev/random", "/dev/urandom", "/dev/stdout",
					       "/dev/stderr" };

	for (size_t i = 0; i < ARRAY_SIZE(below); i++)
		if (is_below(path, below[i], strlen(below[i])))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		if (streq(path, devices[i]))
			return true;
	return false;
}

/* One link that the plan has made, at the root as a rule ("/lib" is "usr/lib"). */
static bool follow(const struct supervisor *s, char path[WATCH_PATH])
{
	const struct plan_mount *m = plan_items(s->plan, mounts, struct plan_mount);
	static _cold_data_ char rest[WATCH_PATH];

	for (uint32_t i = 0; i < s->plan->mounts.count; i++) {
		const char *at = plan_string(s->plan, m[i].target), *to;

		if (m[i].kind != PM_SYMLINK || !at || at[0] != '/' ||
		    !is_below(path, at, m[i].target.len))
			continue;
		to = plan_string(s->plan, m[i].source);
		if (!to)
			return false;
		put(rest, to, m[i].source.len, path + m[i].target.len);
		put(path, at, to[0] == '/' ? 0 : (size_t)(strrchr(at, '/') - at + 1), rest);
		return true;
	}
	return false;
}

struct place {
	const struct plan_mount *mount; /* the nearest; NULL: the root itself */
	uint64_t landlock;		/* what all above it grant */
	bool leads;			/* something of the plan is below */
	bool exact;
};

static struct place find_place(const struct supervisor *s, const char *path)
{
	const struct plan_mount *m = plan_items(s->plan, mounts, struct plan_mount);
	struct place p = { .landlock = s->plan->landlock_root };
	size_t best = 0, path_len = strlen(path);

	for (uint32_t i = 0; i < s->plan->mounts.count; i++) {
		static _cold_data_ char buf[WATCH_PATH];
		const char *at = target(s, &m[i], buf);
		size_t len = at ? strlen(at) : 0;

		if (len == 0 || m[i].kind == PM_SYMLINK)
			continue;
		if (is_below(at, path, path_len))
			p.leads = true;
		if (!is_below(path, at, len))
			continue;
		p.landlock |= m[i].landlock;
		if (len < best)
			continue;
		best = len;
		p.mount = &m[i];
		p.exact = path[len] == '\0';
	}
	return p;
}

static bool refuse(struct sighting *t, int error, const char *layer)
{
	t->type = EV_FILE_DENIED;
	t->error = error;
	t->layer = layer;
	return true;
}

static bool is_reading(const struct sighting *t)
{
	return streq(t->access, "read") || streq(t->access, "exec");
}

/* In the tmpfs that is the root, which is read-only: only what the plan made is there. */
static bool refused_in_root(const struct supervisor *s, const char *path, const struct place *p,
			    bool creates, struct sighting *t)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash > path ? (size_t)(slash - path) : 1;
	char parent[WATCH_PATH];

	if (p->leads || p->exact)
		return !is_reading(t) &&
		       refuse(t, p->exact && p->mount && p->mount->kind == PM_FILE ? EROFS : EISDIR,
			      "mount");
	put(parent, path, len, "");
	if (creates && (len == 1 || find_place(s, parent).leads))
		return refuse(t, EROFS, "mount");
	return refuse(t, ENOENT, "mount");
}

/* Where @path is by the plan's links; @real is for it. */
static struct place place_of(const struct supervisor *s, const char *path, char real[WATCH_PATH])
{
	str_copy(real, WATCH_PATH, path);
	for (int links = 0; links < 4 && follow(s, real); links++)
		;
	return find_place(s, real);
}

bool watch_is_one_place(const struct supervisor *s, const char *a, const char *b)
{
	static _cold_data_ char real[WATCH_PATH];
	const struct plan_mount *first = place_of(s, a, real).mount;

	return first == place_of(s, b, real).mount;
}

bool watch_is_there(const char *path)
{
	int fd = watch.root < 0 ? -1 : find(path, O_NOFOLLOW, RESOLVE_CACHED);

	sys_close(fd);
	return fd >= 0;
}

/* In a tmpfs, so that looking waits for nobody. A link may lead elsewhere: then nobody knows. */
static bool is_absent(const char *path)
{
	int fd = watch.root < 0 ? -1 : find(path, O_NOFOLLOW, RESOLVE_NO_SYMLINKS);

	sys_close(fd);
	return fd == -ENOENT;
}

/* Of /tmp and other scratch nobody misses what the host has in its own. */
static bool is_in_home(const struct place *p, const char *path)
{
	char home[PATH_NORMAL_MAX];

	return p->mount && p->mount->kind == PM_SCRATCH && path_to_home(path, home);
}

bool watch_is_missed(const struct supervisor *s, const char *path)
{
	static _cold_data_ char real[WATCH_PATH];
	struct place p;

	if (path[0] != '/')
		return false;
	p = place_of(s, path, real);
	return is_in_home(&p, real) && is_absent(real);
}

/* A shell looks for each program in each place of PATH: only who sees reads sees that. */
static bool tells_of_looking(const struct supervisor *s, const struct sighting *t)
{
	return streq(t->access, "read") || s->plan->audit.flags & PA_OPENS ||
	       s->plan->audit.denials.off;
}

bool watch_refused(const struct supervisor *s, const char *path, bool creates, struct sighting *t)
{
	static _cold_data_ char real[WATCH_PATH];
	bool reads = is_reading(t), absent = t->error == ENOENT;
	struct place p;

	if (path[0] != '/')
		return false;
	p = place_of(s, path, real);
	if (!p.mount || p.mount->kind == PM_DIR || p.mount->kind == PM_FILE)
		return refused_in_root(s, real, &p, creates, t);
	if (p.mount->kind != PM_BIND && p.mount->kind != PM_WORKSPACE &&
	    p.mount->kind != PM_SCRATCH && p.mount->kind != PM_OUTPUT &&
	    p.mount->kind != PM_OVERLAY)
		return false;
	if (!reads && p.mount->flags & PMF_RDONLY)
		return refuse(t, EROFS, "mount");
	if (s->plan->landlock_fs & (reads ? LL_READ_FILE : LL_WRITE_FILE) & ~p.landlock)
		return refuse(t, EACCES, "landlock");
	if (reads && is_in_home(&p, real) && tells_of_looking(s, t) && (absent || is_absent(real)))
		return refuse(t, ENOENT, "mount");
	return false;
}

/* Does a link that the plan has not made lie in the way? It may lead to what we cannot see. */
static bool has_link(const struct supervisor *s, const char *path)
{
	static _cold_data_ char real[WATCH_PATH];
	int fd;

	str_copy(real, sizeof(real), path);
	for (int links = 0; links < 4 && follow(s, real); links++)
		;
	fd = sys_openat2(watch.root, real, O_PATH, 0,
			 RESOLVE_IN_ROOT | RESOLVE_CACHED | RESOLVE_NO_SYMLINKS);
	sys_close(fd);
	return fd == -ELOOP;
}

int watch_lookup(const struct supervisor *s, const char *path)
{
	struct stat st;
	int fd, r;

	if (watch.root < 0 || path[0] != '/' || is_below(path, "/proc", strlen("/proc")))
		return -EAGAIN;
	fd = sys_openat2(watch.root, path, O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_CACHED);
	if (fd < 0)
		return (fd == -ENOENT || fd == -ENOTDIR) && !has_link(s, path) ? -ENOENT : -EAGAIN;
	r = (int)sys_call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH | AT_STATX_DONT_SYNC);
	sys_close(fd);
	if (r == 0 && (!S_ISREG(st.st_mode) || !(st.st_mode & 0111)))
		return -EACCES;
	return 0;
}
