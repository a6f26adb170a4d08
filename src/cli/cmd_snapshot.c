/* SPDX-License-Identifier: Apache-2.0 */
/* purple snapshot, rollback and fork: the layers of what a sandbox changed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/held.h"
#include "workspace/snapshot.h"

static const char *const snapshot_help[] = {
	"Keeps what the sandbox NAME has changed in its workspace so far under LABEL, or under the",
	"next number; what it changes from then on lies on that. `purple rollback` goes back to it.",
	"",
	"  -h, --help            this text",
	NULL,
};

static int snapshot(struct held *h, const char *name, const char *label, struct err *e)
{
	char number[STORE_NAME_MAX + 1];
	int r = held_open(h, name, false, e);

	if (r < 0)
		return r;
	if (!label) {
		snapshot_new_label(&h->meta, number);
		label = number;
	}
	r = snapshot_take(h->dir, &h->meta, label, e);
	if (r == 0)
		printf("%s\n", label);
	return r;
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
	static const struct command_line line = {
		snapshot_help, "purple snapshot NAME [LABEL]", NULL, 0, 1, 2,
	};
	struct err e = { 0 };
	int words, r = command_line(&line, argc, argv, &words, &e);

	if (r == 1)
		return 0;
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
	char kept[STORE_NAME_MAX + 1] = "";
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
	"to the other from then on. Nothing is copied.",
	"",
	"      --at LABEL        as they were at that snapshot",
	"  -h, --help            this text",
	NULL,
};

static int make_fork(struct held *h, char **words, const char *at, struct err *e)
{
	static struct store_meta made;
	int r = held_open(h, words[0], false, e);

	if (r < 0)
		return r;
	if (!sandbox_name_ok(words[1])) {
		err_set(e, EPROTO, "usage",
			"%.80s is no name: lower-case letters, digits, dots, dashes and underscores, "
			"at most %d",
			words[1], SANDBOX_NAME_MAX);
		return -EPROTO;
	}
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
