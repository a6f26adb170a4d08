/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/guard.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/fold.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

int guard_add(struct guard *g, const char *pattern)
{
	bool negated = *pattern == '!';
	int r;

	if (g->count == GUARD_RULES_MAX)
		return -E2BIG;
	r = path_pattern_compile(&g->rules[g->count].pattern, pattern + negated, NULL);
	if (r < 0)
		return r;
	g->rules[g->count].pattern.fold = true;
	/* What is in it would otherwise be named by nothing while it is made. */
	g->rules[g->count].pattern.dirs = false;
	g->rules[g->count++].negated = negated;
	return 0;
}

/* @path on disk now, with what a move will put there. */
static int open_now(const struct guard *g, const char *path, int flags)
{
	char moved[PATH_MAX];
	const char *rest = g->to ? str_after(path, g->to) : NULL;

	if (rest && (*rest == '/' || *rest == '\0')) {
		if (snprintf(moved, sizeof(moved), "%s%s", g->from, rest) >= (int)sizeof(moved))
			return -ENAMETOOLONG;
		path = moved;
	}
	return sys_openat2(g->top, *path ? path : ".", (uint64_t)flags, 0, BENEATH);
}

/* A link that leads nowhere is there: what it leads to can be made later. */
static bool is_there(int dir, const char *name)
{
	struct stat st;

	return sys_call(SYS_newfstatat, dir, name, &st, AT_SYMLINK_NOFOLLOW) != -ENOENT;
}

/* Would git take it for a git directory, or soon? One that nobody can look at: yes. */
static bool is_git_dir(const struct guard *g, const char *path)
{
	int fd = open_now(g, path, O_PATH | O_DIRECTORY);
	bool is;

	if (fd < 0)
		return fd != -ENOENT && fd != -ENOTDIR;
	is = is_there(fd, "refs") || is_there(fd, "commondir");
	sys_close(fd);
	return is;
}

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool covers(const struct guard *g, const char *path)
{
	for (unsigned i = g->count; i > 0; i--)
		if (path_pattern_covers(&g->rules[i - 1].pattern, path, false))
			return !g->rules[i - 1].negated;
	return false;
}

/* The pattern up to its slash at @at: of a directory that what it is of may be in. */
static bool prefix_matches(const struct path_pattern *p, size_t at, const char *path)
{
	struct path_pattern prefix = *p;

	prefix.len = at;
	return !(at == 2 && memcmp(p->text, "**", 2) == 0) &&
	       path_pattern_match(&prefix, path, true);
}

/* Could something that is protected lie in @path by its name? */
static bool leads_to(const struct guard *g, const char *path)
{
	for (unsigned i = 0; i < g->count; i++) {
		const struct path_pattern *p = &g->rules[i].pattern;

		for (size_t at = 1; at < p->len && !g->rules[i].negated; at++)
			if (p->text[at] == '/' && prefix_matches(p, at, path))
				return true;
	}
	return false;
}

/* Is all in the directory @a judged as if it were in @b? */
static bool alike(const struct guard *g, const char *a, const char *b)
{
	for (unsigned i = 0; i < g->count; i++) {
		const struct path_pattern *p = &g->rules[i].pattern;

		if (path_pattern_covers(p, a, true) != path_pattern_covers(p, b, true))
			return false;
		for (size_t at = 1; at < p->len; at++)
			if (p->text[at] == '/' &&
			    prefix_matches(p, at, a) != prefix_matches(p, at, b))
				return false;
	}
	return true;
}

/* @path with its first @n bytes, a git directory, as ".git" of where that lies. */
static bool as_dot_git(const char *path, size_t n, char ret[PATH_MAX])
{
	size_t parent = n;

	while (parent > 0 && path[parent - 1] != '/')
		parent--;
	return snprintf(ret, PATH_MAX, "%.*s.git/%s", (int)parent, path, path + n + (n > 0)) <
	       PATH_MAX;
}

static bool is_git_name(const char *s, size_t n)
{
	static const char *const names[] = { "config", "config.worktree", "hooks" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == n && memcmp(names[i], s, n) == 0)
			return true;
	return false;
}

struct judged {
	bool is;  /* protected */
	bool git; /* as settings or hooks of git … */
	bool own; /* … of the workspace's own git directory */
};

/* As what lies in a git directory of any name, whose name ends at @n: see guard.h. */
static void judge_git(const struct guard *g, const char *path, size_t n, const char *folded,
		      size_t folded_n, struct judged *j)
{
	char dir[PATH_MAX], git[PATH_MAX];
	bool named = folded_n >= 4 && memcmp(folded + folded_n - 4, ".git", 4) == 0 &&
		     (folded_n == 4 || folded[folded_n - 5] == '/');

	memcpy(dir, path, n);
	dir[n] = '\0';
	if (!named && !is_git_dir(g, dir))
		return;
	if (!as_dot_git(folded, folded_n, git)) {
		j->is = true;
		return;
	}
	if (!covers(g, git) && !leads_to(g, git))
		return;
	j->is |= covers(g, git);
	j->git = true;
	j->own |= n == 0 || streq(dir, ".git");
}

/* @path as a file system tells names least apart; the directories are looked at as they are. */
static struct judged judge(const struct guard *g, const char *path)
{
	struct judged j = { false, false, false };
	const char *f, *at = path;
	char folded[PATH_MAX];

	if (!path_fold(path, folded))
		return (struct judged){ .is = true };
	j.is = covers(g, folded);
	/* Both have as many components. */
	for (f = folded; f && at; f = strchr(f, '/'), at = strchr(at, '/')) {
		size_t n;

		f += *f == '/';
		at += *at == '/';
		n = strcspn(f, "/");
		if (is_git_name(f, n))
			judge_git(g, path, at > path ? (size_t)(at - path) - 1 : 0, folded,
				  f > folded ? (size_t)(f - folded) - 1 : 0, &j);
	}
	return j;
}

/* Does a hook lie in @dir/hooks, or would nobody see it? */
static bool has_hook(int dir)
{
	int fd = sys_openat2(dir, "hooks", O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0, BENEATH);
	DIR *hooks = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	bool has = false;

	if (!hooks) {
		sys_close(fd);
		return fd != -ENOENT;
	}
	while (!has && (d = readdir(hooks))) {
		size_t n = strlen(d->d_name);

		has = !streq(d->d_name, ".") && !streq(d->d_name, "..") &&
		      (n < 8 || !streq(d->d_name + n - 7, ".sample"));
	}
	closedir(hooks);
	return has;
}

/* Are there settings and hooks that nobody has looked at, in what becomes a git directory? */
static bool completes_git_dir(const struct guard *g, const char *path)
{
	char folded[PATH_MAX], dir[PATH_MAX];
	const char *last = last_of(path);
	size_t n = (size_t)(last - path);
	bool bad;
	int fd;

	if (!path_fold(last, folded) || (!streq(folded, "refs") && !streq(folded, "commondir")) ||
	    !covers(g, ".git/config"))
		return false;
	n -= n > 0;
	memcpy(dir, path, n);
	dir[n] = '\0';
	/* What lies in a ".git" has been looked at from the start. */
	if (streq(last_of(dir), ".git") || is_git_dir(g, dir))
		return false;
	fd = open_now(g, dir, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return fd != -ENOENT;
	bad = is_there(fd, "config") || is_there(fd, "config.worktree") || has_hook(fd);
	sys_close(fd);
	return bad;
}

/* A link here would lead to what is protected, or be it. */
static bool misleads(const struct guard *g, const char *path, const struct judged *j)
{
	char folded[PATH_MAX];

	return j->git || !path_fold(path, folded) || leads_to(g, folded);
}

enum guard_verdict guard_write(struct guard *g, const char *path, mode_t type)
{
	struct judged j = judge(g, path);

	if (j.is && j.git && type == S_IFREG &&
	    (streq(last_of(path), "config") || streq(last_of(path), "config.worktree")))
		return GUARD_SETTINGS;
	if (j.is || (type == S_IFLNK && misleads(g, path, &j)) || completes_git_dir(g, path))
		return GUARD_REFUSED;
	return GUARD_FREE;
}

enum guard_verdict guard_remove(struct guard *g, const char *path)
{
	struct judged j = judge(g, path);

	return j.is && (!j.git || j.own) ? GUARD_REFUSED : GUARD_FREE;
}

struct walk {
	struct guard *g;
	const char *top, *to_top;	   /* what is moved, and where it will be */
	char from[PATH_MAX], to[PATH_MAX]; /* of the entry that is looked at */
	unsigned left;
};

static bool append(char path[PATH_MAX], size_t *len, const char *name)
{
	size_t n = strlen(path);

	*len = n;
	if (n + 1 + strlen(name) >= PATH_MAX)
		return false;
	path[n] = '/';
	str_copy(path + n + 1, PATH_MAX - n - 1, name);
	return true;
}

static bool one_changes(struct walk *w)
{
	bool before = judge(w->g, w->from).is, after;

	w->g->from = w->top;
	w->g->to = w->to_top;
	after = judge(w->g, w->to).is;
	w->g->from = w->g->to = NULL;
	return before != after;
}

static bool changes(struct walk *w, int depth);

static bool entry_changes(struct walk *w, const struct dirent *d, int depth)
{
	size_t n, m;
	bool bad;

	if (w->left-- == 0 || !append(w->from, &n, d->d_name) || !append(w->to, &m, d->d_name))
		return true;
	bad = one_changes(w);
	if (!bad && d->d_type != DT_REG && d->d_type != DT_LNK)
		bad = changes(w, depth + 1);
	w->from[n] = w->to[m] = '\0';
	return bad;
}

/* Does anything in w->from become protected as w->to, or cease to be? */
static bool changes(struct walk *w, int depth)
{
	int fd = sys_openat2(w->g->top, w->from, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0, BENEATH);
	const struct dirent *d;
	bool bad = false;
	DIR *dir;

	if (fd == -ENOTDIR)
		return false;
	dir = fd < 0 || depth > GUARD_DEPTH_MAX ? NULL : fdopendir(fd);
	if (!dir) {
		sys_close(fd);
		return true; /* nobody knows */
	}
	while (!bad && (d = readdir(dir)))
		if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
			bad = entry_changes(w, d, depth);
	closedir(dir);
	return bad;
}

static bool is_special(const char *path)
{
	char folded[PATH_MAX];

	return !path_fold(last_of(path), folded) || streq(folded, "hooks");
}

static bool tree_changes(struct guard *g, const char *from, const char *to)
{
	struct walk w = { .g = g, .top = from, .to_top = to, .left = GUARD_WALK_MAX };
	char a[PATH_MAX], b[PATH_MAX];

	if (!path_fold(from, a) || !path_fold(to, b))
		return true;
	if (!is_special(from) && !is_special(to) && alike(g, a, b))
		return false;
	str_copy(w.from, sizeof(w.from), from);
	str_copy(w.to, sizeof(w.to), to);
	return changes(&w, 0);
}

enum guard_verdict guard_move(struct guard *g, const char *from, const char *to, mode_t type)
{
	enum guard_verdict v;

	/* Its own git directory, whose hooks would be gone with it. */
	if (streq(from, ".git") && covers(g, ".git/config"))
		return GUARD_REFUSED;
	if (guard_remove(g, from) != GUARD_FREE)
		return GUARD_REFUSED;
	v = guard_write(g, to, type);
	if (v != GUARD_FREE || type != S_IFDIR)
		return v;
	return tree_changes(g, from, to) ? GUARD_REFUSED : GUARD_FREE;
}

static bool is_file(int top, const char *path, dev_t device, ino_t inode)
{
	struct stat st;

	return sys_call(SYS_newfstatat, top, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}

static bool is_hook(struct guard *g, dev_t device, ino_t inode)
{
	int fd = sys_openat2(g->top, ".git/hooks", O_RDONLY | O_DIRECTORY, 0, BENEATH);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	bool is = false;

	if (!dir) {
		sys_close(fd);
		return false;
	}
	while (!is && (d = readdir(dir)))
		is = d->d_ino == inode && is_file(fd, d->d_name, device, inode);
	closedir(dir);
	return is;
}

bool guard_is_protected_file(struct guard *g, dev_t device, ino_t inode)
{
	char path[PATH_PATTERN_MAX + 1];

	for (unsigned i = 0; i < g->count; i++) {
		const struct path_pattern *p = &g->rules[i].pattern;
		const char *text = p->text;
		size_t n = p->len;

		if (n > 3 && memcmp(text, "**/", 3) == 0) {
			text += 3;
			n -= 3;
		}
		if (g->rules[i].negated || n >= sizeof(path))
			continue;
		memcpy(path, text, n);
		path[n] = '\0';
		if (!strpbrk(path, "*?[\\") && is_file(g->top, path, device, inode))
			return true;
	}
	return is_hook(g, device, inode);
}
