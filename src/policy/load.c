/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: a chain of files is read from the child up and applied
 * from the root down. Each file is parsed into a tree of its own, the parent
 * is loaded into the same policy first, then the tree is applied on top.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include "policy/parse.h"

struct chain {
	struct policy *p;
	const struct policy_dirs *dirs; /* NULL: no file may be read */
	struct diags *d;
	struct {
		dev_t dev;
		ino_t ino;
	} files[POLICY_EXTENDS_MAX];
	unsigned depth;
};

static int load_bytes(struct chain *c, const char *file, const void *data, size_t len);

static int add_source(struct policy *p, const char *path, const struct buf *b)
{
	struct policy_source *items = arena_grow(&p->arena, p->sources, p->sources_count,
						 sizeof(*items));
	struct policy_source *s;
	struct sha256 sha;

	if (!items)
		return -ENOMEM;
	p->sources = items;
	s = &p->sources[p->sources_count++];
	s->path = path;
	sha256_init(&sha);
	sha256_add(&sha, b->data ? b->data : "", b->len);
	sha256_done(&sha, s->sha256);
	return 0;
}

/* Remember the files that would win over @found, were they there. */
static int add_absent(struct chain *c, const char *name, const char *found)
{
	const char *const order[] = { c->dirs->admin, c->dirs->user, c->dirs->shipped };
	struct policy *p = c->p;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		const char *path, **items;

		if (!order[i] || order[i][0] == '\0')
			continue;
		path = arena_printf(&p->arena, "%s/%s.yaml", order[i], name);
		if (path && streq(path, found))
			break;
		items = arena_grow(&p->arena, p->absent, p->absent_count, sizeof(*items));
		if (!path || !items)
			return -ENOMEM;
		p->absent = items;
		p->absent[p->absent_count++] = path;
	}
	return 0;
}

/* Has this chain read the file already? Else it is noted. */
static bool chain_has(struct chain *c, const struct stat *st)
{
	for (unsigned i = 0; i < c->depth; i++)
		if (c->files[i].dev == st->st_dev && c->files[i].ino == st->st_ino)
			return true;
	c->files[c->depth].dev = st->st_dev;
	c->files[c->depth].ino = st->st_ino;
	return false;
}

/* @pos is where the file was asked for. */
static int load_file(struct chain *c, const char *file, struct pos pos)
{
	_cleanup_buf_ struct buf b = BUF_INIT(POLICY_FILE_MAX);
	_cleanup_close_ int fd = -1;
	const char *path = arena_strdup(&c->p->arena, file);
	const char *at = c->depth > 0 ? "extends" : "";
	struct stat st;
	int r;

	if (!path)
		return policy_too_large(pos, c->d);
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		diag_error(c->d, pos, at, "cannot read %s: %s", file, strerror(-r));
		return r;
	}
	if (!S_ISREG(st.st_mode))
		return diag_error(c->d, pos, at, "%s is %s; a policy is a regular file", file,
				  S_ISDIR(st.st_mode) ? "a directory" : "a special file");
	if (c->depth == POLICY_EXTENDS_MAX)
		return diag_error(c->d, pos, at, "more than 8 policies extend each other");
	if (chain_has(c, &st))
		return diag_error(c->d, pos, at, "%s extends itself, perhaps over others", file);
	r = st.st_size > POLICY_FILE_MAX ? -EFBIG : read_all(fd, &b);
	if (r == -EFBIG)
		return diag_error(c->d, pos, at, "%s is too large; a policy file may have 1 MiB",
				  file);
	if (r < 0) {
		diag_error(c->d, pos, at, "cannot read %s: %s", file, strerror(-r));
		return r;
	}
	if (add_source(c->p, path, &b) < 0)
		return policy_too_large(pos, c->d);
	c->depth++;
	return load_bytes(c, path, b.data ? b.data : "", b.len);
}

static int load_name(struct chain *c, const char *name, struct pos pos)
{
	const char *at = c->depth > 0 ? "extends" : "";
	char path[PATH_MAX];
	int r = c->dirs ? policy_find(name, c->dirs, path, sizeof(path)) : -ENOENT;

	if (r == -EINVAL)
		return diag_error(c->d, pos, at,
				  "%.80s is not the name of a profile; write a-z 0-9 . _ -, 64 at "
				  "most, without '..', or a path with a '/'",
				  name);
	if (r < 0) {
		bool near = c->dirs && policy_nearest(name, c->dirs, path, sizeof(path));

		diag_error(c->d, pos, at,
			   "there is no profile %.80s; %s%.80s%s`purple profile list` shows those "
			   "there are",
			   name, near ? "did you mean " : "", near ? path : "", near ? "? " : "");
		return r;
	}
	if (add_absent(c, name, path) < 0)
		return policy_too_large(pos, c->d);
	return load_file(c, path, pos);
}

/* The parent of @file, into the same policy. */
static int load_parent(struct chain *c, const char *file, const struct node *extends)
{
	const char *what = extends->text, *slash = strrchr(file, '/');
	char path[PATH_MAX];
	int n;

	if (!c->dirs)
		return diag_error(c->d, extends->pos, "extends",
				  "no other policy can be read here");
	if (!strchr(what, '/'))
		return load_name(c, what, extends->pos);
	if (what[0] == '/' || !slash)
		n = snprintf(path, sizeof(path), "%s", what);
	else
		n = snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - file), file, what);
	if (n < 0 || (size_t)n >= sizeof(path))
		return diag_error(c->d, extends->pos, "extends", "too long for a path");
	return load_file(c, path, extends->pos);
}

static int load_bytes(struct chain *c, const char *file, const void *data, size_t len)
{
	_cleanup_arena_ struct arena tree = ARENA_INIT(POLICY_ARENA_MAX);
	struct node *root = node_parse(&tree, file, data, len, c->d);
	const struct node *extends;

	if (!root)
		return -EINVAL;
	extends = policy_extends(root);
	if (extends && load_parent(c, file, extends) == 0 && c->p->locked)
		diag_error(c->d, extends->pos, "extends", "%.80s is locked by its author",
			   extends->text);
	c->p->name = c->p->description = (struct policy_str){ 0 };
	policy_apply(c->p, root, c->d);
	return c->d->errors > 0 ? -EINVAL : 0;
}

/* A policy without a name is called as its file is. */
static int finish(struct policy *p, const char *file, unsigned errors_before, struct diags *d)
{
	const char *base = strrchr(file, '/');
	size_t n;

	base = base ? base + 1 : file;
	n = strlen(base);
	if (n > 5 && streq(base + n - 5, ".yaml"))
		n -= 5;
	if (!p->name.s)
		p->name.s = arena_strndup(&p->arena, base, n);
	if (!p->name.s)
		policy_too_large((struct pos){ file, 0, 0 }, d);
	return d->errors > errors_before ? -EINVAL : 0;
}

int policy_load(struct policy *p, const char *what, const struct policy_dirs *dirs, struct diags *d)
{
	struct chain c = { .p = p, .dirs = dirs, .d = d };
	unsigned errors = d->errors;
	struct pos pos;
	int r;

	policy_init(p);
	pos = (struct pos){ arena_strdup(&p->arena, what), 0, 0 };
	r = strchr(what, '/') ? load_file(&c, what, pos) : load_name(&c, what, pos);
	return r < 0 && r != -EINVAL ? r : finish(p, what, errors, d);
}

int policy_parse(struct policy *p, const char *name, const void *data, size_t len,
		 const struct policy_dirs *dirs, struct diags *d)
{
	struct chain c = { .p = p, .dirs = dirs, .d = d };
	unsigned errors = d->errors;
	const char *file;

	policy_init(p);
	file = arena_strdup(&p->arena, name);
	if (!file)
		return policy_too_large((struct pos){ 0 }, d);
	load_bytes(&c, file, data, len);
	return finish(p, name, errors, d);
}
