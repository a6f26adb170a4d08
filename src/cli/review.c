/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/review.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/dirs.h"
#include "sys/files.h"
#include "workspace/apply.h"
#include "workspace/copy.h"

static int open_all(struct review *v, struct err *e)
{
	static struct dirs dirs;
	int r = dirs_init(&dirs);

	if (r < 0)
		return err_set(e, r, "start", "find Purple's own files");
	if (!dirs.state)
		return err_set(e, ENOENT, "workspace", "no home directory");
	v->all = store_open_all(dirs.state, false);
	if (v->all >= 0 || v->all == -ENOENT)
		return 0;
	return err_set(e, v->all, "workspace", "open %s/workspaces", dirs.state);
}

/* Where @path lies in @top: "" for itself, NULL: not at all. */
static const char *path_in(const char *path, const char *top)
{
	const char *rest = str_after(path, streq(top, "/") ? "" : top);

	if (!rest || (*rest && *rest != '/'))
		return NULL;
	return rest + strspn(rest, "/");
}

struct choice {
	struct review *v;
	char cwd[PATH_MAX], name[STORE_NAME_MAX + 1];
	char here[300], elsewhere[300]; /* names, as many as there is room for */
	unsigned count;
};

static void list_name(char *list, size_t size, const char *name)
{
	size_t n = strlen(list);

	if (n + strlen(name) + sizeof(", , …") < size)
		snprintf(list + n, size - n, "%s%s", n ? ", " : "", name);
	else if (n && !strstr(list, "…"))
		snprintf(list + n, size - n, ", …");
}

static bool lies_here(void *data, const char *name)
{
	static struct store_meta m;
	struct choice *c = data;
	int dir = store_open(c->v->all, name);

	if (dir >= 0 && store_read(dir, &m) == 0 && path_in(c->cwd, m.path)) {
		str_copy(c->name, sizeof(c->name), name);
		list_name(c->here, sizeof(c->here), name);
		c->count++;
	} else if (dir >= 0) {
		list_name(c->elsewhere, sizeof(c->elsewhere), name);
	}
	sys_close(dir);
	return true;
}

/* The first of its overlays that has changes, if its workspace has none. */
static int open_any_part(const struct review *v, const char *name)
{
	char part[STORE_NAME_MAX + 1];
	int dir = -ENOENT;

	for (unsigned n = 1; dir == -ENOENT && !strchr(name, ':') && n <= STORE_PARTS_MAX; n++) {
		store_part(name, n, part);
		dir = store_open(v->all, part);
	}
	return dir;
}

static int choose(struct review *v, const char **word, struct err *e)
{
	struct choice c = { .v = v };

	if (v->all >= 0 && *word) {
		v->dir = store_open(v->all, *word);
		if (v->dir == -ENOENT)
			v->dir = open_any_part(v, *word);
		if (v->dir >= 0) {
			*word = NULL;
			return 0;
		}
		if (v->dir != -ENOENT)
			return err_set(e, v->dir, "workspace", "open the changes of %.80s", *word);
	}
	if (v->all >= 0 && getcwd(c.cwd, sizeof(c.cwd)))
		store_each(v->all, lies_here, &c);
	if (c.count == 0) {
		if (*word)
			err_set(e, ENOENT, "workspace",
				"%.80s is no sandbox with changes, and none has its workspace here",
				*word);
		else
			err_set(e, ENOENT, "workspace", "no changes of a workspace here%s%s",
				c.elsewhere[0] ? "; elsewhere wait those of " : "", c.elsewhere);
		err_remedy(e, c.elsewhere[0] ? "`purple diff NAME` shows them"
					     : "`purple run -w .:review -- COMMAND` makes some");
		return -ENOENT;
	}
	if (c.count > 1) {
		err_set(e, EPROTO, "workspace", "%u sandboxes have changes of this directory: %s",
			c.count, c.here);
		err_remedy(e,
			   "name one: `purple diff %s` shows them, `purple discard %s` drops them",
			   c.name, c.name);
		return -EPROTO;
	}
	v->dir = store_open(v->all, c.name);
	return v->dir < 0 ? err_set(e, v->dir, "workspace", "open the changes of %s", c.name) : 0;
}

static int open_host(struct review *v, struct err *e)
{
	struct stat st;

	v->host = sys_open_canonical(v->meta.path, O_RDONLY | O_DIRECTORY);
	if (v->host < 0)
		return err_set(e, v->host, "workspace", "open the workspace %s", v->meta.path);
	if (fstat(v->host, &st) < 0)
		return err_set(e, errno, "workspace", "look at the workspace %s", v->meta.path);
	if (st.st_dev == v->meta.dev && st.st_ino == v->meta.ino)
		return 0;
	err_set(e, ESTALE, "workspace", "%s is another directory than the sandbox had",
		v->meta.path);
	err_remedy(e, "move the old one back; `purple discard %s` drops the changes", v->meta.name);
	return -ESTALE;
}

static int open_layers(struct review *v, struct err *e)
{
	uint32_t numbers[STORE_LAYERS_MAX];
	int count = store_stack(&v->meta, v->meta.top, numbers);

	for (int i = 0; i < count; i++) {
		int fd = store_open_layer(v->dir, &v->meta, numbers[i]);

		if (fd < 0)
			return err_set(e, fd, "workspace", "open layer %u of %s", numbers[i],
				       v->meta.name);
		v->layers[v->stack.count++] = fd;
	}
	return count < 0 ? err_set(e, count, "workspace", "%s: its layers", v->meta.name) : 0;
}

int review_recover(const struct store_meta *m, int dir, int host, struct err *e)
{
	int again, r;
	size_t landed = 0;

	if (!journal_exists(dir))
		return 0;
	/* The lock is of this open file, and goes with it. */
	again = sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	r = again < 0 ? again : store_lock(again, true);
	if (r == 0)
		r = apply_recover(again, host, &landed, e);
	sys_close(again);
	if (r == -EWOULDBLOCK)
		return 0;
	if (r == 1)
		fprintf(stderr,
			"purple: workspace: an apply of %s was cut off: %zu of its steps are done, "
			"the rest waits\n",
			m->name, landed);
	return r < 0 ? err_set(e, r, "workspace", "tidy up after an apply that was cut off") : 0;
}

static int open_rest(struct review *v, struct err *e)
{
	int r = store_read(v->dir, &v->meta);
	if (r == -ENOENT) {
		/* Who was removing it was killed. */
		store_sweep(v->all, 0);
		return err_set(e, r, "workspace", "what it changed was applied or dropped");
	}
	if (r < 0)
		return err_set(e, r, "workspace", "read what is kept of it");
	r = copy_settle_idle(v->dir, &v->meta, e);
	if (r < 0)
		return r;
	v->live = store_is_live(v->dir);
	r = open_host(v, e);
	if (r == 0)
		r = review_recover(&v->meta, v->dir, v->host, e);
	if (r == 0)
		r = open_layers(v, e);
	v->stack.host = v->host;
	v->stack.layers = v->layers;
	return r;
}

int review_open(struct review *v, const char **word, struct err *e)
{
	int r = open_all(v, e);

	if (r == 0)
		r = choose(v, word, e);
	return r < 0 ? r : open_rest(v, e);
}

int review_open_part(struct review *v, const char *name, unsigned n, struct err *e)
{
	char part[STORE_NAME_MAX + 1];
	int r = open_all(v, e);

	if (r < 0)
		return r;
	store_part(name, n, part);
	v->dir = v->all < 0 ? -ENOENT : store_open(v->all, part);
	if (v->dir == -ENOENT)
		return -ENOENT;
	return v->dir < 0 ? err_set(e, v->dir, "workspace", "open the changes of %s", part)
			  : open_rest(v, e);
}

void review_close(struct review *v)
{
	for (unsigned i = 0; i < v->stack.count; i++)
		sys_close(v->layers[i]);
	v->stack.count = 0;
	sys_close(v->host);
	sys_close(v->dir);
	sys_close(v->all);
	v->host = v->dir = v->all = -1;
}

/* Add the components of @path to @ret, which they may shorten by "..". False: out of it. */
static bool add_path(char ret[PATH_MAX], const char *path)
{
	while (*path) {
		const char *end = strchrnul(path, '/');
		size_t n = (size_t)(end - path), have = strlen(ret);

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			char *slash = strrchr(ret, '/');

			if (!have)
				return false;
			*(slash ? slash : ret) = '\0';
		} else if (n > 0 && !(n == 1 && path[0] == '.')) {
			if (have + n + 2 > PATH_MAX)
				return false;
			if (have)
				ret[have++] = '/';
			memcpy(ret + have, path, n);
			ret[have + n] = '\0';
		}
		path = *end ? end + 1 : end;
	}
	return true;
}

int review_path(const struct review *v, const char *path, char ret[PATH_MAX], struct err *e)
{
	char cwd[PATH_MAX];
	const char *here = NULL;

	ret[0] = '\0';
	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)))
		here = path_in(cwd, v->meta.path);
	if (path[0] == '/') {
		path = path_in(path, v->meta.path);
		if (path && add_path(ret, path))
			return 0;
	} else if (add_path(ret, here ? here : "") && add_path(ret, path)) {
		return 0;
	}
	return err_set(e, EPROTO, "usage", "that path is not in the workspace %s", v->meta.path);
}
