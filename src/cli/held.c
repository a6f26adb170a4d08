/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/held.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "cli/dirs.h"
#include "sys/files.h"
#include "workspace/copy.h"

enum { WAIT_MS = 5000, STEP_MS = 10 };

static int open_all(struct held *h, struct err *e)
{
	static struct dirs dirs;
	int r = dirs_init(&dirs);

	if (r < 0)
		return err_set(e, r, "start", "find Purple's own files");
	h->all = dirs.state ? store_open_all(dirs.state, false) : -ENOENT;
	if (h->all >= 0 || h->all == -ENOENT)
		return 0;
	return err_set(e, h->all, "workspace", "open %s/workspaces", dirs.state);
}

static int open_store(struct held *h, const char *name, struct err *e)
{
	if (strchr(name, ':')) {
		err_set(e, EPROTO, "snapshot",
			"%.80s: snapshots are of workspaces, not of overlays", name);
		return -EPROTO;
	}
	h->dir = h->all < 0 ? -ENOENT : store_open(h->all, name);
	if (h->dir != -ENOENT)
		return h->dir < 0
			       ? err_set(e, h->dir, "workspace", "open the changes of %.80s", name)
			       : 0;
	err_set(e, ENOENT, "workspace", "no sandbox %.80s has changes in review", name);
	err_remedy(e, "`purple run --name NAME -w DIR:review -- COMMAND` makes some; those of a "
		      "sandbox that changed nothing are gone with it");
	return -ENOENT;
}

static int read_meta(struct held *h, struct err *e)
{
	const struct store_meta *m = &h->meta;
	int r = store_read(h->dir, &h->meta);

	if (r < 0) {
		err_set(e, r, "workspace", "read what is kept of it");
		return r;
	}
	if (m->mode != STORE_REVIEW) {
		err_set(e, EPROTO, "snapshot", "what %s changes is thrown away when it ends",
			m->name);
		err_remedy(e, "start it with its workspace in review: purple run -w DIR:review");
		return -EPROTO;
	}
	return 0;
}

/* Is it its sandbox that has the lock? */
static bool find_sandbox(struct held *h)
{
	struct err unknown = { 0 };

	if (store_read(h->dir, &h->meta) < 0)
		return false;
	if (sandbox_find(&h->sandbox, h->meta.name, &unknown) == 0 && h->sandbox.sandbox.live &&
	    streq(h->sandbox.sandbox.state.id, h->meta.id))
		return true;
	sandbox_close(&h->sandbox);
	h->sandbox = FOUND_SANDBOX_INIT;
	return false;
}

static int lock(struct held *h, const char *name, struct err *e)
{
	int r = -EWOULDBLOCK;

	for (int ms = 0; ms <= WAIT_MS; ms += STEP_MS) {
		r = store_lock(h->dir, true);
		if (r != -EWOULDBLOCK)
			break;
		h->live = find_sandbox(h);
		if (h->live)
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000 }, NULL);
	}
	if (r == -EWOULDBLOCK) {
		err_set(e, EPROTO, "workspace", "another command is at work in %.80s", name);
		err_remedy(e, "try it again when that has ended");
		return -EPROTO;
	}
	return r < 0 ? err_set(e, r, "workspace", "lock the changes of %.80s", name) : 0;
}

int held_open(struct held *h, const char *name, bool live_ok, struct err *e)
{
	int r = open_all(h, e);

	if (r == 0)
		r = open_store(h, name, e);
	if (r == 0)
		r = lock(h, name, e);
	if (r == 0 && h->live && !live_ok) {
		err_set(e, EPROTO, "workspace", "the sandbox %.80s is running", name);
		err_remedy(e, "`purple stop %.80s` ends it; its changes stay", name);
		return -EPROTO;
	}
	if (r == 0)
		r = read_meta(h, e);
	if (r < 0 || !h->live || h->meta.form == STORE_OVERLAY)
		return r < 0 ? r : copy_settle(h->dir, &h->meta, e);
	return copy_settle_idle(h->dir, &h->meta, e); /* refuses, and says why */
}

int held_look(struct held *h, const char *name, struct err *e)
{
	int r = open_all(h, e);

	if (r == 0)
		r = open_store(h, name, e);
	if (r == 0)
		r = read_meta(h, e);
	return r < 0 ? r : copy_settle_idle(h->dir, &h->meta, e);
}

void held_close(struct held *h)
{
	sandbox_close(&h->sandbox);
	sys_close(h->dir);
	sys_close(h->all);
	*h = (struct held)HELD_INIT;
}
