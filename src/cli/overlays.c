/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/overlays.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/layers.h"
#include "sys/files.h"
#include "workspace/store.h"

_Static_assert((int)STORE_PARTS_MAX == (int)PLAN_OVERLAYS_MAX, "one store each");

/* What the launcher and PID 1 know of one. */
struct overlay {
	char path[PATH_MAX], upper[32], name[STORE_NAME_MAX + 1];
};

static _cold_data_ struct {
	char id[SANDBOX_ID_LEN + 1];
	struct launch_layers layers[PLAN_OVERLAYS_MAX];
	struct run_store stores[PLAN_OVERLAYS_MAX];
	struct overlay overlays[PLAN_OVERLAYS_MAX];
} all;

static int make(struct run_store *t, const char *source, bool review, const char *state,
		const char *id, bool resume, struct err *e)
{
	static _cold_data_ struct store_meta m;
	int r;

	t->lower = sys_open_canonical(source, O_PATH | O_DIRECTORY);
	if (t->lower < 0)
		return err_set(e, t->lower, "workspace", "open %s", source);
	r = layers_describe(&m, source, t->lower, t->name, id, review, e);
	if (r < 0)
		return r;
	t->all = state ? store_open_all(state, true) : -ENOENT;
	if (t->all < 0) {
		err_set(e, t->all, "workspace", "no directory for what changes in %s", source);
		err_remedy(e, "set XDG_STATE_HOME or HOME");
		return t->all;
	}
	if (resume)
		t->dir = store_open(t->all, m.name);
	if (t->dir >= 0) {
		sys_close(TAKE_FD(t->dir));
		r = layers_reopen(&m, t, e);
	} else {
		t->dir = store_make(t->all, &m, e);
		r = MIN(t->dir, 0);
	}
	if (r < 0)
		return r;
	t->layer = store_open_layer(t->dir, &m, m.top);
	t->mode_bits = m.mode_bits;
	t->keep = review;
	return t->layer < 0 ? err_set(e, t->layer, "workspace", "open the layer of %s", t->name)
			    : 0;
}

static int resolve(int fd, char path[PATH_MAX])
{
	char link[32];
	long n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = sys_call(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
	path[MAX(n, 0L)] = '\0';
	return n < 0 ? (int)n : 0;
}

/* The @n-th of all, that @m is. */
static int prepare(unsigned n, const struct plan *p, const struct plan_mount *m,
		   const struct dirs *dirs, struct run_request *request, struct err *e)
{
	struct overlay *o = &all.overlays[n];
	struct run_store *t = &all.stores[request->overlays_count];
	const char *source = plan_string(p, m->source);
	int r;

	all.layers[n] = (struct launch_layers){ .fd = -1 };
	if (m->flags & PMF_MEMORY)
		return 0;
	*t = (struct run_store){ .all = -1, .dir = -1, .layer = -1, .lower = -1, .name = o->name };
	store_part(request->name ? request->name : request->id, n + 1, o->name);
	request->overlays = all.stores;
	request->overlays_count++;
	r = make(t, source, m->flags & PMF_REVIEW, dirs->state, request->id,
		 request->store && request->store->resumed, e);
	if (r < 0)
		return r;
	r = resolve(t->dir, o->path);
	if (r < 0)
		return err_set(e, r, "workspace", "find the path of the layers");
	snprintf(o->upper, sizeof(o->upper), STORE_LAYERS "/1");
	all.layers[n] = (struct launch_layers){
		.path = o->path, .fd = t->dir, .upper = o->upper, .work = STORE_WORK
	};
	return 0;
}

int overlays_prepare(struct launch *l, const struct plan *p, const struct dirs *dirs,
		     struct run_request *request, struct err *e)
{
	const struct plan_mount *m = plan_items(p, mounts, struct plan_mount);
	unsigned n = 0;
	int r = 0;

	for (uint32_t i = 0; i < p->mounts.count && r == 0; i++) {
		const char *target = plan_string(p, m[i].target);
		const char *rest = l->workspace && target ? str_after(l->workspace, target) : NULL;

		if (m[i].kind != PM_OVERLAY)
			continue;
		l->overlays = all.layers;
		if (rest && (*rest == '/' || *rest == '\0'))
			return err_set(e, EPROTO, "workspace",
				       "%s lies in %s (filesystem.overlays)", l->workspace, target);
		if (!request->id) {
			r = sandbox_make_id(all.id);
			if (r < 0)
				return err_set(e, r, "start", "make an id");
			request->id = all.id;
		}
		r = prepare(n++, p, &m[i], dirs, request, e);
	}
	return r;
}

void overlays_drop(struct run_request *request)
{
	for (unsigned i = 0; i < request->overlays_count; i++) {
		struct run_store *t = &request->overlays[i];

		sys_close(TAKE_FD(t->layer));
		sys_close(TAKE_FD(t->lower));
		if (t->resumed)
			sys_close(TAKE_FD(t->dir));
		else if (t->dir >= 0)
			store_remove(t->all, t->name, TAKE_FD(t->dir));
		sys_close(TAKE_FD(t->all));
	}
	request->overlays_count = 0;
}
