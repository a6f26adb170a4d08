/* SPDX-License-Identifier: Apache-2.0 */
/* purple snapshot, rollback and fork: the layers of what a sandbox changed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/held.h"
#include "sys/files.h"
#include "workspace/snapshot.h"

static const char *const snapshot_help[] = {
	"Keeps what the sandbox NAME has changed in its workspace so far under LABEL, or under the",
	"next number; what it changes from then on lies on that. `purple rollback` goes back to it.",
	"One that runs is stopped while what it has changed since the last snapshot is copied.",
	"",
	"      --live            with its processes: refused, only files can be kept",
	"  -h, --help            this text",
	NULL,
};

static int snapshot(struct held *h, const char *name, const char *label, struct err *e)
{
	char made[STORE_LABEL_MAX + 1];
	int r;

	if (label && !snapshot_label_ok(label))
		return snapshot_check_label(&h->meta, label, e);
	r = held_open(h, name, true, e);
	if (r < 0)
		return r;
	if (h->live) {
		r = snapshot_live(h, label ? label : "", made, e);
	} else {
		snapshot_new_label(&h->meta, made);
		if (label)
			str_copy(made, sizeof(made), label);
		r = snapshot_take(h->dir, &h->meta, made, e);
	}
	if (r == 0)
		printf("%s\n", made);
	return r;
}

/* CRIU would have to restore the namespaces, the filter and its listener with them. */
static int refuse_live(struct err *e)
{
	err_set(e, EOPNOTSUPP, "snapshot",
		"--live: what processes have in memory cannot be kept: Purple does not drive CRIU");
	err_remedy(e, "without --live it keeps the files, of a running sandbox, too");
	return -EOPNOTSUPP;
}

static int finish(struct held *h, int r, const struct err *e)
{
	held_close(h);
	if (r < 0)
		return command_failed(e);
	return fflush(stdout) < 0 ? EXIT_PURPLE : 0;
}

static struct held held = HELD_INIT;

int cmd_snapshot(int argc, char **argv)
{
	bool live = false;
	const struct option_word options[] = { { 0, "live", NULL, &live, NULL } };
	const struct command_line line = {
		snapshot_help, "purple snapshot NAME [LABEL]", options, ARRAY_SIZE(options), 1, 2,
	};
	struct err e = { 0 };
	int words, r = command_line(&line, argc, argv, &words, &e);

	if (r == 1)
		return 0;
	if (r == 0 && live)
		r = refuse_live(&e);
	if (r == 0)
		r = snapshot(&held, argv[0], words > 1 ? argv[1] : NULL, &e);
	return finish(&held, r, &e);
}

static const char *const rollback_help[] = {
	"Lets what the sandbox NAME has changed in its workspace be again what it was at the snapshot",
	"LABEL; `purple run --name NAME --resume` goes on from there. What was changed since the last",
	"snapshot becomes one of its own, so that nothing is lost. A sandbox that runs is stopped",
	"first, by `purple stop`.",
	"",
	"  -h, --help            this text",
	NULL,
};

int cmd_rollback(int argc, char **argv)
{
	static const struct command_line line = {
		rollback_help, "purple rollback NAME LABEL", NULL, 0, 2, 2,
	};
	char kept[STORE_LABEL_MAX + 1] = "";
	struct err e = { 0 };
	int words, r = command_line(&line, argc, argv, &words, &e);

	if (r == 1)
		return 0;
	if (r == 0)
		r = held_open(&held, argv[0], false, &e);
	if (r == 0)
		r = snapshot_roll_back(held.dir, &held.meta, argv[1], kept, &e);
	if (r == 0 && kept[0])
		fprintf(stderr, "purple: what was changed last is the snapshot %s\n", kept);
	return finish(&held, r, &e);
}

static const char *const fork_help[] = {
	"Makes changes NEW that are what the sandbox NAME has changed in its workspace, or had at the",
	"snapshot LABEL; `purple run --name NEW --resume` goes on in them. Neither sees what happens",
	"to the other from then on. Nothing is copied, but for one that runs: as for a snapshot, which",
	"it then has.",
	"",
	"      --at LABEL        as they were at that snapshot",
	"  -h, --help            this text",
	NULL,
};

/* What a live one is now, as a snapshot; and its meta again, with that in it. */
static int freeze_live(struct held *h, const char *name, char label[STORE_LABEL_MAX + 1],
		       struct err *e)
{
	int there = store_open(h->all, name), r;

	/* Before anything is copied for it. */
	if (there >= 0) {
		sys_close(there);
		return err_set(e, EEXIST, "workspace", "there are changes of %s already", name);
	}
	r = snapshot_live(h, "", label, e);
	if (r == 0)
		r = store_read(h->dir, &h->meta);
	return r < 0 && !err_is_set(e) ? err_set(e, r, "workspace", "read what is kept of it") : r;
}

static int make_fork(struct held *h, char **words, const char *at, struct err *e)
{
	static struct store_meta made;
	char label[STORE_LABEL_MAX + 1];
	int r;

	if (!sandbox_name_ok(words[1])) {
		err_set(e, EPROTO, "usage",
			"%.80s is no name: lower-case letters, digits, dots, dashes and underscores, "
			"at most %d",
			words[1], SANDBOX_NAME_MAX);
		return -EPROTO;
	}
	r = held_open(h, words[0], true, e);
	if (r == 0 && h->live && h->sandbox.sandbox.state.phase == SANDBOX_STARTING)
		r = err_set(e, EBUSY, "state", "%s is still starting", h->meta.name);
	if (r == 0 && h->live && !at) {
		r = freeze_live(h, words[1], label, e);
		at = label;
	}
	if (r < 0)
		return r;
	str_copy(made.name, sizeof(made.name), words[1]);
	r = sandbox_make_id(made.id);
	if (r < 0)
		return err_set(e, r, "start", "make an id");
	return snapshot_fork(h->all, h->dir, &h->meta, at, &made, e);
}

int cmd_fork(int argc, char **argv)
{
	const char *at = NULL;
	const struct option_word options[] = { { 0, "at", &at, NULL, NULL } };
	const struct command_line line = {
		fork_help, "purple fork NAME NEW [--at LABEL]", options, ARRAY_SIZE(options), 2, 2,
	};
	struct err e = { 0 };
	int words, r = command_line(&line, argc, argv, &words, &e);

	if (r == 1)
		return 0;
	if (r == 0)
		r = make_fork(&held, argv, at, &e);
	return finish(&held, r, &e);
}
