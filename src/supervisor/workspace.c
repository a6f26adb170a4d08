/* SPDX-License-Identifier: Apache-2.0 */
/* The workspace of a sandbox that may not change it at once. */
#include <signal.h>
#include <stdio.h>

#include "supervisor/internal.h"
#include "sys/files.h"
#include "workspace/copy.h"
#include "workspace/store.h"
#include "workspace/usage.h"

int run_changes_line(const struct outcome *o, char *ret, size_t size)
{
	if (o->changes_above)
		return snprintf(ret, size,
				"purple: changes wait, %llu of them since the last snapshot: "
				"purple diff %s, purple apply %s, purple discard %s\n",
				(unsigned long long)o->changes, o->store, o->store, o->store);
	return snprintf(ret, size,
			"purple: %llu %s: purple diff %s, purple apply %s, purple discard %s\n",
			(unsigned long long)o->changes,
			o->changes == 1 ? "change waits" : "changes wait", o->store, o->store,
			o->store);
}

/* ms between two walks: at least so many, and so many times what the last one took. */
enum { LOOK_MS = 500, LOOK_SHARE = 20, FULL_GRACE_MS = 1000 };
/* So many walks in a row that did not see all: somebody hides what the limit is for. */
enum { BLIND_MAX = 6 };

void workspace_look(struct supervisor *s, uint64_t now)
{
	const struct usage_limits all = { s->plan->workspace_bytes, s->plan->workspace_files };
	const struct run_store *t = s->request->store;
	static _cold_data_ unsigned blind;
	struct usage_limits limits;
	struct usage u;

	if ((!t && !s->request->overlays_count) || (!all.bytes && !all.files))
		return;
	/* What lies below counts, too; 0 would be no limit. */
	limits = all;
	if (t && all.bytes)
		limits.bytes -= MIN(t->below_bytes, all.bytes - 1);
	if (t && all.files)
		limits.files -= MIN(t->below_files, all.files - 1);
	/* Of a copy, what it is more than that. */
	limits.bytes += t && all.bytes ? t->copied_bytes : 0;
	limits.files += t && all.files ? t->copied_files : 0;
	u = (struct usage){ 0 };
	if (now && (!t || usage_of_layer(t->layer, -1, t->mode_bits, &limits, &u) == 0)) {
		overlays_usage(s, &limits, &u);
		blind = u.full ? BLIND_MAX : u.more ? blind + 1 : 0;
	}
	if (blind == BLIND_MAX) {
		blind = 0;
		supervisor_stop(s, SIGTERM, FULL_GRACE_MS, "workspace full", -1);
		return;
	}
	s->workspace_at = supervisor_now();
	s->workspace_at += MAX(now ? (s->workspace_at - now) * LOOK_SHARE : 0, (uint64_t)LOOK_MS);
}

/* What was changed in a copy becomes a layer; if that fails, the next command tries again. */
static void settle(struct supervisor *s, const struct run_store *t)
{
	static _cold_data_ struct store_meta m;
	struct err e = { 0 };
	int r = s->out->started ? store_read(t->dir, &m) : -ECANCELED;

	if (r == 0 && copy_settle(t->dir, &m, &e) < 0)
		err_print(&e);
}

void workspace_end(struct supervisor *s)
{
	static const struct usage_limits all;
	struct run_store *t = s->request->store;
	struct usage u = { 0 };
	char line[3 * SANDBOX_NAME_MAX + 160];
	int r = 0;

	if (!t || t->dir < 0)
		return;
	if (t->copy && t->keep)
		settle(s, t);
	if (t->keep && (!t->copy || s->out->started))
		r = usage_of_layer(t->layer, s->launch->workspace_fd, t->mode_bits, &all, &u);
	sys_close(TAKE_FD(t->layer));
	if (t->keep && (r < 0 || u.changes > 0 || t->resumed)) {
		store_sync(t->dir);
		s->out->changes_above = t->layers > 1;
		s->out->changes = u.changes;
		s->out->changes_added = u.added;
		s->out->changes_modified = u.modified;
		s->out->changes_deleted = u.deleted;
		s->out->store = t->name;
		run_changes_line(s->out, line, sizeof(line));
		output_note(s, "workspace", line);
		sys_close(TAKE_FD(t->dir));
	} else {
		r = store_remove(t->all, t->name, TAKE_FD(t->dir));
		if (r < 0) {
			struct err e = { 0 };

			err_set(&e, r, "workspace", "remove what was changed and is not kept");
			err_print(&e);
		}
	}
	sys_close(TAKE_FD(t->all));
}
