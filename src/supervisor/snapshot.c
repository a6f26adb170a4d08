/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "supervisor/internal.h"

bool snapshot_is_made(const struct supervisor *s)
{
	return s->served && s->snapshot.client >= 0;
}

/* Why not now, or never. */
static int may_begin(const struct supervisor *s, struct err *e)
{
	const struct run_store *t = s->request->store;

	if (!t || t->dir < 0 || !t->keep) {
		err_set(e, EPROTO, s->state.name, "its workspace is not in review");
		err_remedy(e, "start it so: purple run -w DIR:review");
		return -EPROTO;
	}
	if (snapshot_is_made(s))
		return err_set(e, EBUSY, s->state.name, "a snapshot of it is being made");
	/* PID 1 may be about to start one, whom nothing stops yet. */
	for (int i = 0; s->request->stays && i < INIT_COMMANDS_MAX; i++)
		if (s->commands[i].used && !s->commands[i].started)
			return err_set(e, EBUSY, s->state.name, "a command in it is starting");
	if (s->phase == SANDBOX_STARTING)
		return err_set(e, EBUSY, s->state.name, "it is still starting");
	if (s->phase == SANDBOX_RUNNING || s->phase == SANDBOX_PAUSED)
		return 0;
	return err_set(e, EPROTO, s->state.name, "it is about to end");
}

static int choose_label(struct snapshot *t, const struct store_meta *m, const char *label,
			size_t len, struct err *e)
{
	if (len == 0 || label[len - 1] != '\0' || !str_copy(t->label, sizeof(t->label), label))
		return err_set(e, EINVAL, "snapshot", "that is no label of a snapshot");
	if (t->label[0] == '\0')
		snapshot_new_label(m, t->label);
	return snapshot_check_label(m, t->label, e);
}

static int stop_all(struct supervisor *s, struct err *e)
{
	int r;

	s->snapshot.thaw = s->phase == SANDBOX_RUNNING;
	r = s->snapshot.thaw ? supervisor_event(s, LIFE_PAUSE) : 0;
	return r < 0 ? err_set(e, r, s->state.name, "stop all its processes") : 0;
}

int snapshot_begin(struct supervisor *s, int n, const char *label, size_t len,
		   struct control_message *answer, struct err *e)
{
	static _cold_data_ struct store_meta m;
	struct snapshot *t = &s->snapshot;
	int r = may_begin(s, e);

	if (r < 0)
		return r;
	r = store_read(s->request->store->dir, &m);
	if (r < 0)
		return err_set(e, r, "snapshot", "read what is kept of it");
	r = choose_label(t, &m, label, len, e);
	if (r < 0)
		return r;
	r = snapshot_next(&m, &t->number);
	if (r < 0)
		return err_set(e, ENOSPC, "snapshot", "%s has %d layers, and there may be no more",
			       m.name, STORE_LAYERS_MAX);
	r = stop_all(s, e);
	if (r < 0)
		return r;
	t->torn = false;
	t->client = n;
	len = strlen(t->label) + 1;
	answer->head = CONTROL_HEAD(CONTROL_SNAPSHOT_IS, t->number, len);
	memcpy(answer->bytes, t->label, len);
	return 0;
}

void snapshot_abandon(struct supervisor *s, int n)
{
	if (!snapshot_is_made(s) || s->snapshot.client != n)
		return;
	s->snapshot.client = -1;
	if (s->snapshot.thaw && s->phase == SANDBOX_PAUSED && !s->suspended)
		supervisor_event(s, LIFE_RESUME);
}

int snapshot_end(struct supervisor *s, int n, uint32_t number, struct err *e)
{
	static _cold_data_ struct store_meta m;
	const struct snapshot t = s->snapshot;
	const int dir = s->request->store ? s->request->store->dir : -1;
	int r;

	if (t.client != n || number != t.number)
		return err_set(e, EPROTO, s->state.name, "a request that makes no sense");
	if (t.torn || s->phase != SANDBOX_PAUSED) {
		snapshot_abandon(s, n);
		return err_set(e, EINTR, "snapshot",
			       "%s did not wait for it: it was let go on, or ended", s->state.name);
	}
	r = store_read(dir, &m);
	if (r == 0)
		r = snapshot_add_copy(dir, &m, number, t.label);
	snapshot_abandon(s, n);
	return r < 0 ? err_set(e, r, "snapshot", "write down the snapshot %s", t.label) : 0;
}
