/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/waiting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sys/files.h"

struct gather {
	struct waiting *w;
	int all, failed;
};

static void add(struct gather *g, const struct store_meta *m, bool live)
{
	struct waiting *w = g->w;
	struct waiting_store *s;

	if (w->count == WAITING_MAX) {
		w->more++;
		return;
	}
	s = realloc(w->items, (w->count + 1) * sizeof(*s));
	if (!s) {
		g->failed = -ENOMEM;
		return;
	}
	w->items = s;
	s += w->count++;
	str_copy(s->name, sizeof(s->name), m->name);
	str_copy(s->id, sizeof(s->id), m->id);
	str_copy(s->path, sizeof(s->path), m->path);
	s->created_ns = m->created_ns;
	s->live = live;
}

static bool look(void *data, const char *name)
{
	static struct store_meta m;
	struct gather *g = data;
	int dir = store_open(g->all, name);

	if (dir >= 0 && store_read(dir, &m) == 0 && m.mode == STORE_REVIEW)
		add(g, &m, store_is_live(dir));
	sys_close(dir);
	return g->failed == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct waiting_store *)a)->name,
		      ((const struct waiting_store *)b)->name);
}

int waiting_load(struct waiting *w, int all, bool sweep)
{
	struct gather g = { .w = w, .all = all };

	*w = (struct waiting){ 0 };
	if (all < 0)
		return 0;
	if (sweep)
		store_sweep(all, WAITING_SWEEP);
	store_each(all, look, &g);
	if (w->count > 1)
		qsort(w->items, w->count, sizeof(*w->items), by_name);
	return g.failed;
}

void waiting_free(struct waiting *w)
{
	free(w->items);
	*w = (struct waiting){ 0 };
}

const struct waiting_store *waiting_find(const struct waiting *w, const char *name)
{
	for (unsigned i = 0; i < w->count; i++)
		if (streq(w->items[i].name, name))
			return &w->items[i];
	return NULL;
}
