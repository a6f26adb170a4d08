/* SPDX-License-Identifier: Apache-2.0 */
/* The workspace of a sandbox that may not change it at once. */
#include <stdio.h>

#include "supervisor/internal.h"
#include "sys/files.h"
#include "workspace/store.h"
#include "workspace/usage.h"

int run_changes_line(const struct outcome *o, char *ret, size_t size)
{
	return snprintf(ret, size,
			"purple: %llu %s: purple diff %s, purple apply %s, purple discard %s\n",
			(unsigned long long)o->changes,
			o->changes == 1 ? "change waits" : "changes wait", o->store, o->store,
			o->store);
}

void workspace_end(struct supervisor *s)
{
	static const struct usage_limits all;
	struct run_store *t = s->request->store;
	struct usage u = { 0 };
	char line[4 * SANDBOX_NAME_MAX + 128];
	int r = 0;

	if (!t || t->dir < 0)
		return;
	if (t->keep)
		r = usage_of_layer(t->layer, s->launch->workspace_fd, t->mode_bits, &all, &u);
	sys_close(TAKE_FD(t->layer));
	if (t->keep && (r < 0 || u.changes > 0)) {
		s->out->changes = u.changes;
		s->out->store = t->name;
		run_changes_line(s->out, line, sizeof(line));
		output_note(s, line);
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
