/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/layers.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "supervisor/state.h"
#include "sys/files.h"
#include "workspace/copy.h"
#include "workspace/store.h"
#include "workspace/usage.h"

enum { SWEEP = 16 };

/* The kernel has refused an overlay, and why; so it is a copy. */
static bool refused, copying;
static _cold_data_ struct err refusal;

static void tell_progress(uint64_t files)
{
	struct err e = { 0 };

	err_set(&e, EPROTO, "workspace", "copying; %llu files so far", (unsigned long long)files);
	err_print(&e);
}

bool layers_fall_back(struct err *e)
{
	struct err told = { 0 };

	/* EPROTO: it is we who say that it cannot be, and why. */
	if (!refused || copying || e->code == EPROTO)
		return false;
	copying = true;
	refusal = *e;
	err_set(&told, EPROTO, "workspace",
		"the kernel refuses an overlay here (%s); the sandbox works in a copy",
		strerror(e->code));
	err_print(&told);
	*e = (struct err){ 0 };
	return true;
}

/* In the layer on top of the store, which nobody waits for until it is whole. */
static int make_copy(const struct launch *l, const struct plan *p, struct store_meta *m,
		     struct run_store *store, enum store_mode mode, struct err *e)
{
	static const struct usage_limits all;
	struct usage u = { 0 };
	int r = copy_make(l->workspace_fd, store->dir, m, tell_progress, e), layer;

	if (r == -EXDEV) /* what is mounted in it is no part of a copy either */
		*e = refusal;
	if (r < 0)
		return r;
	m->mode = mode;
	r = store_write(store->dir, m);
	if (r < 0)
		return err_set(e, r, "workspace", "write down that %s has a copy", m->name);
	store->copy = true;
	if (!p->workspace_bytes && !p->workspace_files)
		return 0;
	layer = store_open_layer(store->dir, m, m->top);
	r = layer < 0 ? layer : usage_of_layer(layer, -1, m->mode_bits, &all, &u);
	sys_close(layer);
	store->copied_bytes = u.bytes;
	store->copied_files = u.files;
	return r < 0 ? err_set(e, r, "workspace", "count what was copied") : 0;
}

/* What is open as @fd, canonical, in @path of PATH_MAX bytes. */
static int resolve(int fd, char *path)
{
	char link[32];
	long n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = sys_call(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
	if (n >= 0)
		path[n] = '\0';
	return n < 0 ? (int)n : 0;
}

int layers_describe(struct store_meta *m, const char *path, int fd, const char *name,
		    const char *id, bool review, struct err *e)
{
	struct stat st;

	if (sys_call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) != 0)
		return err_set(e, EIO, "workspace", "%s", path);
	memset(m, 0, sizeof(*m));
	str_copy(m->name, sizeof(m->name), name);
	str_copy(m->id, sizeof(m->id), id);
	str_copy(m->path, sizeof(m->path), path);
	m->mode = review ? STORE_REVIEW : STORE_SCRATCH;
	m->form = STORE_OVERLAY;
	m->dev = st.st_dev;
	m->ino = st.st_ino;
	m->uid = st.st_uid;
	m->gid = st.st_gid;
	m->mode_bits = st.st_mode & 07777;
	return 0;
}

static int open_all(const struct dirs *dirs, struct run_store *store, struct err *e)
{
	if (!dirs->state) {
		err_set(e, EPROTO, "workspace", "there is no directory for what changes");
		err_remedy(e, "set XDG_STATE_HOME or HOME");
		return -EPROTO;
	}
	store->all = store_open_all(dirs->state, true);
	if (store->all < 0)
		return err_set(e, store->all, "workspace", "%s/workspaces", dirs->state);
	return 0;
}

static int no_changes(const char *name, struct err *e)
{
	err_set(e, ENOENT, "workspace", "no changes of a sandbox %s wait", name);
	err_remedy(e, "without --resume it starts with the workspace as it is");
	return -ENOENT;
}

int layers_resume(struct run_options *o, const struct dirs *dirs, struct err *e)
{
	static _cold_data_ struct store_meta m;
	struct run_store store = { .all = -1 };
	int r = open_all(dirs, &store, e), dir = -1;

	if (r == 0) {
		dir = store_open(store.all, o->name);
		r = dir < 0 ? dir : store_read(dir, &m);
		if (r == -ENOENT)
			no_changes(o->name, e);
		else if (r < 0)
			err_set(e, r, "workspace", "read what is kept of %s", o->name);
	}
	sys_close(dir);
	sys_close(store.all);
	return r < 0 ? r : run_options_resume(o, m.path, e);
}

/* What is locked is a live sandbox's, or a command is at work. */
static int lock_changes(int dir, const char *name, struct err *e)
{
	int r = store_lock_soon(dir);

	if (r == 0)
		return 0;
	if (r == -ESTALE)
		return no_changes(name, e);
	err_set(e, r == -EWOULDBLOCK ? EPROTO : -r, "workspace", "the changes of %s are in use",
		name);
	err_remedy(e,
		   "`purple ps` says whether a sandbox is running in them; `purple fork %s NEW` "
		   "makes others of them",
		   name);
	return -EPROTO;
}

/* Is the store @m what the sandbox that is described as @now may go on in? */
static int check_changes(const struct store_meta *m, const struct store_meta *now, struct err *e)
{
	if (m->mode != STORE_REVIEW || m->form != STORE_OVERLAY)
		return no_changes(now->name, e);
	if (m->dev == now->dev && m->ino == now->ino)
		return 0;
	err_set(e, ESTALE, "workspace", "%s changed another directory: %.400s", m->name, m->path);
	err_remedy(e, "--resume goes without -w");
	return -ESTALE;
}

int layers_reopen(struct store_meta *m, struct run_store *store, struct err *e)
{
	static _cold_data_ struct store_meta now;
	int r;

	now = *m;
	store->resumed = true;
	store->dir = store_open(store->all, m->name);
	if (store->dir < 0)
		return store->dir == -ENOENT ? no_changes(m->name, e)
					     : err_set(e, store->dir, "workspace",
						       "open what %s changed", m->name);
	r = lock_changes(store->dir, m->name, e);
	if (r < 0)
		return r;
	r = store_read(store->dir, m);
	if (r < 0)
		return err_set(e, r, "workspace", "read what is kept of %s", now.name);
	/* Its temporaries would be seen inside. */
	if (faccessat(store->dir, STORE_JOURNAL, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		err_set(e, EBUSY, "workspace", "an apply of %s was cut off", m->name);
		err_remedy(e, "`purple diff %s` tidies up after it", m->name);
		return -EBUSY;
	}
	r = copy_settle(store->dir, m, e);
	if (r == 0)
		r = check_changes(m, &now, e);
	if (r < 0)
		return r;
	/* The shared ones of its layers keep the name that they have. */
	if (!m->tree[0])
		str_copy(m->tree, sizeof(m->tree), m->id);
	str_copy(m->id, sizeof(m->id), now.id);
	r = store_renew_work(store->dir);
	if (r == 0)
		r = store_write(store->dir, m);
	return r < 0 ? err_set(e, r, "workspace", "write down who goes on in %s", m->name) : 0;
}

static int make_changes(struct store_meta *m, struct run_store *store, struct err *e)
{
	store_sweep(store->all, SWEEP);
	store->dir = store_make(store->all, m, e);
	return MIN(store->dir, 0);
}

/* Where the layers of @m lie, newest first, as PID 1 shall mount them. */
static int list_layers(const struct store_meta *m, const struct run_store *store,
		       struct launch_layers *l, struct err *e)
{
	enum { ROOM = STORE_NAME_MAX + STORE_LAYER_PATH + 1 };
	static _cold_data_ char path[PATH_MAX], work[ROOM], names[STORE_LAYERS_MAX][ROOM];
	static _cold_data_ const char *lower[STORE_LAYERS_MAX];
	static _cold_data_ uint32_t stack[STORE_LAYERS_MAX];
	char one[STORE_LAYER_PATH];
	bool shared, any = false;
	int count = store_stack(m, m->top, stack), r = MIN(count, 0);

	for (int i = 0; i < count && r == 0 && !any; i++)
		r = store_layer_path(store->dir, m, stack[i], one, &any);
	for (int i = 0; i < count && r == 0; i++) {
		r = store_layer_path(store->dir, m, stack[i], one, &shared);
		/* From the directory of all stores, if some are not in this one. */
		snprintf(names[i], ROOM, "%s%s%s", any && !shared ? m->name : "",
			 any && !shared ? "/" : "", one);
		if (i > 0)
			lower[i - 1] = names[i];
	}
	snprintf(work, ROOM, "%s%s" STORE_WORK, any ? m->name : "", any ? "/" : "");
	*l = (struct launch_layers){ .path = path,
				     .fd = any ? store->all : store->dir,
				     .upper = names[0],
				     .work = work,
				     .lower = lower,
				     .lower_count = (unsigned)MAX(count - 1, 0) };
	if (r == 0)
		r = resolve(l->fd, path);
	return r < 0 ? err_set(e, r, "workspace", "find the layers of %s", m->name) : 0;
}

static int not_in_review(struct err *e)
{
	err_set(e, EPROTO, "usage", "--resume goes with a workspace in review");
	err_remedy(e, "the policy or an option says otherwise; -w DIR:review");
	return -EPROTO;
}

/* What was changed before counts, too, where changes are limited. */
static int count_below(const struct store_meta *m, const struct plan *p, struct run_store *store,
		       struct err *e)
{
	const struct usage_limits limits = { p->workspace_bytes, p->workspace_files };
	static _cold_data_ uint32_t stack[STORE_LAYERS_MAX];
	int count = limits.bytes || limits.files ? store_stack(m, m->top, stack) : 0, r = 0;
	struct usage u;

	for (int i = 1; i < count && r == 0; i++) {
		int layer = store_open_layer(store->dir, m, stack[i]);

		r = layer < 0 ? layer : usage_of_layer(layer, -1, 0, &limits, &u);
		sys_close(layer);
		store->below_bytes += u.bytes;
		store->below_files += u.files;
	}
	return r < 0 ? err_set(e, r, "workspace", "count what %s has changed", m->name) : 0;
}

/* The mode that the workspace's own directory had when the layer on top was empty. */
static uint32_t bits_below(const struct store_meta *m, const struct run_store *store)
{
	const struct store_layer *top = store_layer(m, m->top);
	int below = top->parent ? store_open_layer(store->dir, m, top->parent) : -1;
	uint32_t bits = m->mode_bits;
	struct stat st;

	if (below >= 0 && sys_call(SYS_newfstatat, below, "", &st, AT_EMPTY_PATH) == 0)
		bits = st.st_mode & 07777;
	sys_close(below);
	return bits;
}

int layers_prepare(struct launch *l, const struct plan *p, const struct run_options *o,
		   const struct dirs *dirs, struct run_store *store, struct run_request *request,
		   struct err *e)
{
	static _cold_data_ struct store_meta meta;
	static _cold_data_ char id[SANDBOX_ID_LEN + 1];
	static struct launch_layers layers;
	const struct plan_mount *m = plan_workspace(p);
	enum store_mode mode;
	int r;

	if (o->resume && !(m && m->flags & PMF_REVIEW))
		return not_in_review(e);
	if (!m || !(m->flags & PMF_LAYERED))
		return 0;
	layers = (struct launch_layers){ .fd = -1, .refused = &refused };
	l->layers = &layers;
	if (m->flags & PMF_MEMORY && !copying)
		return 0;
	if (o->resume && copying) {
		*e = refusal;
		err_remedy(e, "what waits for review can be gone on in only by an overlay");
		return -e->code;
	}
	*store = (struct run_store){ .all = -1, .dir = -1, .layer = -1 };
	request->store = store;
	r = sandbox_make_id(id);
	if (r < 0)
		return err_set(e, r, "start", "make an id");
	r = layers_describe(&meta, l->workspace, l->workspace_fd, o->name ? o->name : id, id,
			    m->flags & PMF_REVIEW, e);
	mode = meta.mode;
	if (copying)
		meta.mode = STORE_SCRATCH;
	if (r == 0)
		r = open_all(dirs, store, e);
	store->name = meta.name;
	if (r == 0)
		r = (o->resume ? layers_reopen : make_changes)(&meta, store, e);
	if (r == 0 && copying)
		r = make_copy(l, p, &meta, store, mode, e);
	if (r == 0)
		r = list_layers(&meta, store, &layers, e);
	layers.refused = &refused;
	layers.copy = copying;
	if (r == 0)
		r = count_below(&meta, p, store, e);
	if (r < 0)
		return r;
	store->layer = store_open_layer(store->dir, &meta, meta.top);
	if (store->layer < 0)
		return err_set(e, store->layer, "workspace", "open the layer of %s", meta.name);
	store->layers = layers.lower_count + 1;
	store->mode_bits = bits_below(&meta, store);
	store->keep = m->flags & PMF_REVIEW;
	request->id = id;
	return 0;
}

void layers_drop(struct run_request *request)
{
	struct run_store *t = request->store;

	if (!t)
		return;
	sys_close(TAKE_FD(t->layer));
	if (t->resumed)
		sys_close(TAKE_FD(t->dir));
	else if (t->dir >= 0)
		store_remove(t->all, t->name, TAKE_FD(t->dir));
	sys_close(TAKE_FD(t->all));
}
