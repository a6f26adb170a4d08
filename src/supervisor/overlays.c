/* SPDX-License-Identifier: Apache-2.0 */
/* Directories beside the workspace that a sandbox may not change at once. */
#include <stdio.h>

#include "base/str.h"
#include "supervisor/internal.h"
#include "sys/files.h"
#include "workspace/store.h"
#include "workspace/usage.h"

void overlays_usage(const struct supervisor *s, const struct usage_limits *limits, struct usage *u)
{
	for (unsigned i = 0; i < s->request->overlays_count && !u->full; i++) {
		const struct run_store *t = &s->request->overlays[i];
		struct usage one;

		if (!t->keep || usage_of_layer(t->layer, -1, t->mode_bits, limits, &one) < 0)
			continue;
		u->bytes += one.bytes;
		u->files += one.files;
		u->more |= one.more;
		u->full |= one.full || (limits->bytes && u->bytes > limits->bytes) ||
			   (limits->files && u->files > limits->files);
	}
}

/* Are there changes that wait? */
static bool end_one(struct supervisor *s, struct run_store *t)
{
	static const struct usage_limits all;
	struct outcome *o = s->out;
	struct usage u = { 0 };
	int r = t->keep ? usage_of_layer(t->layer, t->lower, t->mode_bits, &all, &u) : 0;
	bool kept = t->keep && (r < 0 || u.changes > 0);

	sys_close(TAKE_FD(t->layer));
	sys_close(TAKE_FD(t->lower));
	if (kept) {
		o->changes += u.changes;
		o->changes_added += u.added;
		o->changes_modified += u.modified;
		o->changes_deleted += u.deleted;
		sys_close(TAKE_FD(t->dir));
		return true;
	}
	r = store_remove(t->all, t->name, TAKE_FD(t->dir));
	if (r < 0) {
		struct err e = { 0 };

		err_set(&e, r, "workspace", "remove what was changed and is not kept");
		err_print(&e);
	}
	return false;
}

void overlays_end(struct supervisor *s)
{
	static _cold_data_ char name[STORE_NAME_MAX + 1];
	bool any = false;

	for (unsigned i = 0; i < s->request->overlays_count; i++) {
		struct run_store *t = &s->request->overlays[i];

		if (t->dir >= 0 && end_one(s, t)) {
			store_part(t->name, 0, name);
			any = true;
		}
		sys_close(TAKE_FD(t->all));
	}
	if (any && !s->out->store)
		s->out->store = name;
	if (any) {
		char line[3 * SANDBOX_NAME_MAX + 160];

		run_changes_line(s->out, line, sizeof(line));
		output_note(s, "workspace", line);
	}
}
