/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/internal.h"
#include "workspace/journal.h"
#include "workspace/usage.h"

static struct store_layer *layer_of(struct store_meta *m, uint32_t number)
{
	return (struct store_layer *)(uintptr_t)store_layer(m, number);
}

static int failed(const struct store_meta *m, int code, const char *what, struct err *e)
{
	if (code != -ENOSPC || m->layers_count < STORE_LAYERS_MAX)
		return err_set(e, code, "snapshot", "%s: %s", m->name, what);
	err_set(e, ENOSPC, "snapshot", "%s has %d layers, and more do not fit on each other",
		m->name, STORE_LAYERS_MAX);
	err_remedy(e,
		   "purple apply lands what they hold; `purple fork %s NEW --at LABEL` goes on "
		   "from one with fewer below it",
		   m->name);
	return code;
}

struct tidy {
	const struct store_meta *m;
	int layers;
};

/* What no meta names: its layer was dropped, or never came to be one. */
static bool tidy_one(void *data, const char *name)
{
	const struct tidy *t = data;
	const struct store_layer *l = NULL;
	uint64_t n;

	if (parse_u64(name, &n) == 0 && n <= INT32_MAX)
		l = store_layer(t->m, (uint32_t)n);
	if (!l || l->tree[0])
		store_remove_tree(t->layers, name);
	return true;
}

static void tidy(int dir, const struct store_meta *m)
{
	struct tidy t = { .m = m };

	t.layers = sys_openat(dir, STORE_LAYERS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (t.layers >= 0)
		store_each_entry(t.layers, tidy_one, &t);
	sys_close(t.layers);
}

int snapshot_take(int dir, struct store_meta *m, const char *label, struct err *e)
{
	uint32_t top = m->top;
	int r = snapshot_check_label(m, label, e);

	if (r < 0)
		return r;
	tidy(dir, m);
	r = store_add_layer(dir, m, top);
	if (r < 0)
		return failed(m, r, "put a layer on the snapshot", e);
	snapshot_label(layer_of(m, top), label);
	r = store_write(dir, m);
	return r < 0 ? failed(m, r, "write down the snapshot", e) : 0;
}

/* Has nothing been changed in the layer on top? -errno. */
static int is_empty(int dir, const struct store_meta *m)
{
	static const struct usage_limits some = { .files = 1 };
	const struct store_layer *top = store_layer(m, m->top);
	int layer = store_open_layer(dir, m, m->top), below = -1, r = MIN(layer, 0);
	uint32_t bits = m->mode_bits;
	struct usage u = { 0 };
	struct stat st;

	if (r == 0 && top->parent) {
		below = store_open_layer(dir, m, top->parent);
		r = below < 0 ? below
			      : (int)sys_call(SYS_newfstatat, below, "", &st, AT_EMPTY_PATH);
		bits = r == 0 ? st.st_mode & 07777 : 0;
	}
	if (r == 0)
		r = usage_of_layer(layer, -1, bits, &some, &u);
	sys_close(below);
	sys_close(layer);
	return r < 0 ? r : u.files == 0 && u.changes == 0;
}

static const struct store_layer *find(const struct store_meta *m, const char *label, struct err *e)
{
	const struct store_layer *l = store_labelled(m, label);

	if (l)
		return l;
	if (snapshot_label_ok(label))
		err_set(e, ENOENT, "snapshot", "%s has no snapshot %s", m->name, label);
	else
		err_set(e, ENOENT, "snapshot", "%s has no such snapshot", m->name);
	err_remedy(e, "`purple snapshots %s` lists them", m->name);
	return NULL;
}

static void forget_layer(struct store_meta *m, uint32_t number)
{
	const size_t at = (size_t)(store_layer(m, number) - m->layers);

	m->layers_count--;
	memmove(&m->layers[at], &m->layers[at + 1], (m->layers_count - at) * sizeof(m->layers[0]));
	memset(&m->layers[m->layers_count], 0, sizeof(m->layers[0]));
}

int snapshot_roll_back(int dir, struct store_meta *m, const char *label,
		       char kept[STORE_LABEL_MAX + 1], struct err *e)
{
	const struct store_layer *to = find(m, label, e);
	uint32_t top = m->top;
	int r, empty;

	kept[0] = '\0';
	if (!to)
		return -ENOENT;
	tidy(dir, m);
	empty = is_empty(dir, m);
	if (empty < 0)
		return failed(m, empty, "look at what was changed last", e);
	r = store_add_layer(dir, m, to->number);
	if (r < 0)
		return failed(m, r, "put a layer on the snapshot", e);
	if (empty) {
		forget_layer(m, top);
	} else {
		snapshot_new_label(m, kept);
		snapshot_label(layer_of(m, top), kept);
	}
	r = store_write(dir, m);
	if (r < 0)
		return failed(m, r, "write down where it is now", e);
	tidy(dir, m);
	return 0;
}

/* Layer @l of @m, which is frozen, to where others may stand on it. */
static int share(int all, int dir, const struct store_meta *m, const struct store_layer *l)
{
	char own[STORE_LAYER_PATH], shared[STORE_LAYER_PATH];

	store_format_shared(shared, m, l);
	snprintf(own, sizeof(own), STORE_LAYERS "/%u", l->number);
	if (!l->tree[0]) {
		int r = (int)sys_call(SYS_renameat2, dir, own, all, shared, 0);

		if (r != -ENOENT)
			return r;
	}
	return (int)sys_call(SYS_faccessat, all, shared, 0);
}

/* The stack of @m from layer @number down, as the layers 1, 2, … of @f. */
static int share_stack(int all, int dir, const struct store_meta *m, uint32_t number,
		       struct store_meta *f)
{
	static uint32_t stack[STORE_LAYERS_MAX];
	int count = store_stack(m, number, stack), r = MIN(count, 0);

	if (count == STORE_LAYERS_MAX)
		r = -ENOSPC;
	if (r == 0)
		r = sys_mkdirat(all, STORE_SHARED, 0700);
	if (r == -EEXIST)
		r = 0;
	f->layers_count = 0;
	for (int i = count; i-- > 0 && r == 0;) {
		const struct store_layer *l = store_layer(m, stack[i]);
		struct store_layer *to = &f->layers[f->layers_count];

		r = share(all, dir, m, l);
		*to = *l;
		to->parent = f->layers_count++;
		to->number = f->layers_count;
		if (l->tree[0])
			continue;
		str_copy(to->tree, sizeof(to->tree), m->tree[0] ? m->tree : m->id);
		to->tree_number = l->number;
	}
	return r;
}

/* What an apply has left on the host is known to the fork, too. */
static int copy_landed(int dir, int to)
{
	static const struct landed_list none;
	_cleanup_landed_ struct landed_list l = { 0 };
	int r = landed_read(dir, &l);

	return r < 0 ? r : landed_write(to, &none, l.items, l.count);
}

/* Under the lock for shared layers. */
static int fill_fork(int all, int dir, const struct store_meta *m, uint32_t number, int to,
		     struct store_meta *f)
{
	/* It may have been removed since it was read, or its snapshots been written anew. */
	int r = sys_call(SYS_faccessat, dir, STORE_META, 0) < 0 ? -ESTALE : 0;

	if (r == 0)
		r = copy_landed(dir, to);
	if (r == 0)
		r = share_stack(all, dir, m, number, f);
	if (r == 0)
		r = store_add_layer(to, f, f->layers_count);
	f->mode = STORE_REVIEW;
	return r < 0 ? r : store_write(to, f);
}

/* The layer that a fork of the store as it is stands on; nobody writes it any more. */
static int freeze(int dir, struct store_meta *m, uint32_t *number)
{
	int r = is_empty(dir, m);

	*number = r == 1 ? store_layer(m, m->top)->parent : m->top;
	if (r)
		return MIN(r, 0);
	tidy(dir, m);
	r = store_add_layer(dir, m, m->top);
	return r < 0 ? r : store_write(dir, m);
}

int snapshot_fork(int all, int dir, struct store_meta *m, const char *label, struct store_meta *f,
		  struct err *e)
{
	const struct store_layer *at = label ? find(m, label, e) : NULL;
	uint32_t number = at ? at->number : 0;
	int64_t base;
	int r = label && !at ? -ENOENT : store_base(dir, m, &base), to, lock;

	if (r < 0)
		return err_is_set(e) ? r : failed(m, r, "read when it began", e);
	str_copy(f->path, sizeof(f->path), m->path);
	/* A sweep removes it while it is not whole. */
	f->mode = STORE_SCRATCH;
	f->form = m->form;
	f->dev = m->dev;
	f->ino = m->ino;
	f->uid = m->uid;
	f->gid = m->gid;
	f->mode_bits = m->mode_bits;
	f->base_ns = (uint64_t)base;
	to = store_make(all, f, e);
	if (to < 0)
		return to;
	if (!label)
		r = freeze(dir, m, &number);
	lock = r < 0 ? r : store_lock_shared(all);
	r = lock < 0 ? lock : fill_fork(all, dir, m, number, to, f);
	sys_close(lock);
	if (r == 0) {
		tidy(to, f);
		sys_close(to);
		return 0;
	}
	store_remove(all, f->name, to);
	return failed(m, r, "share its layers", e);
}
