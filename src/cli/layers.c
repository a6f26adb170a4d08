/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/layers.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "supervisor/state.h"
#include "sys/files.h"
#include "workspace/store.h"

enum { SWEEP = 16 };

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

static int describe(struct store_meta *m, const struct launch *l, const struct run_options *o,
		    bool review, const char *id, struct err *e)
{
	struct stat st;

	if (sys_call(SYS_newfstatat, l->workspace_fd, "", &st, AT_EMPTY_PATH) != 0)
		return err_set(e, EIO, "workspace", "%s", l->workspace);
	memset(m, 0, sizeof(*m));
	str_copy(m->name, sizeof(m->name), o->name ? o->name : id);
	str_copy(m->id, sizeof(m->id), id);
	str_copy(m->path, sizeof(m->path), l->workspace);
	m->mode = review ? STORE_REVIEW : STORE_SCRATCH;
	m->form = STORE_OVERLAY;
	m->dev = st.st_dev;
	m->ino = st.st_ino;
	m->uid = st.st_uid;
	m->gid = st.st_gid;
	m->mode_bits = st.st_mode & 07777;
	return 0;
}

static int make(const struct dirs *dirs, struct store_meta *m, struct run_store *store,
		struct err *e)
{
	if (!dirs->state) {
		err_set(e, EPROTO, "workspace", "there is no directory for what changes");
		err_remedy(e, "set XDG_STATE_HOME or HOME");
		return -EPROTO;
	}
	store->all = store_open_all(dirs->state, true);
	if (store->all < 0)
		return err_set(e, store->all, "workspace", "%s/workspaces", dirs->state);
	store_sweep(store->all, SWEEP);
	store->name = m->name;
	store->dir = store_make(store->all, m, e);
	if (store->dir < 0)
		return store->dir;
	store->layer = store_open_layer(store->dir, m->top);
	if (store->layer < 0)
		return err_set(e, store->layer, "workspace", "open the layer of %s", m->name);
	return 0;
}

int layers_prepare(struct launch *l, const struct plan *p, const struct run_options *o,
		   const struct dirs *dirs, struct run_store *store, struct run_request *request,
		   struct err *e)
{
	static _cold_data_ struct store_meta meta;
	static _cold_data_ char path[PATH_MAX], upper[32], id[SANDBOX_ID_LEN + 1];
	static struct launch_layers layers;
	const struct plan_mount *m = plan_workspace(p);
	int r;

	if (!m || !(m->flags & PMF_LAYERED))
		return 0;
	layers = (struct launch_layers){ .fd = -1 };
	l->layers = &layers;
	if (m->flags & PMF_MEMORY)
		return 0;
	*store = (struct run_store){ .all = -1, .dir = -1, .layer = -1 };
	request->store = store;
	r = sandbox_make_id(id);
	if (r < 0)
		return err_set(e, r, "start", "make an id");
	r = describe(&meta, l, o, m->flags & PMF_REVIEW, id, e);
	if (r == 0)
		r = make(dirs, &meta, store, e);
	if (r < 0)
		return r;
	r = resolve(store->dir, path);
	if (r < 0)
		return err_set(e, r, "workspace", "find the path of the layers");
	snprintf(upper, sizeof(upper), STORE_LAYERS "/%u", meta.top);
	layers = (struct launch_layers){
		.path = path, .fd = store->dir, .upper = upper, .work = STORE_WORK
	};
	store->mode_bits = meta.mode_bits;
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
	if (t->dir >= 0)
		store_remove(t->all, t->name, TAKE_FD(t->dir));
	sys_close(TAKE_FD(t->all));
}
