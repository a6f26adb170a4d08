/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of one sandbox, held by a command that changes it: its lock is ours, so that
 * neither its sandbox nor another command is at work in it.
 */
#ifndef PURPLE_CLI_HELD_H
#define PURPLE_CLI_HELD_H

#include "base/err.h"
#include "cli/sandboxes.h"
#include "workspace/store.h"

struct held {
	int all, dir; /* STATE/workspaces, the store: owned */
	bool live;    /* its sandbox lives, and has the lock: what we have read may change */
	struct found_sandbox sandbox; /* @live: this one */
	struct store_meta meta;
};

#define HELD_INIT                                                   \
	{                                                           \
		.all = -1, .dir = -1, .sandbox = FOUND_SANDBOX_INIT \
	}

/*
 * Hold what the sandbox @name changed, a review in layers. While another command has it
 * this waits, at most some seconds. If its sandbox lives: with @live_ok it is left open
 * without the lock, otherwise this is an error. @h is large: not for the stack. held_close()
 * it in any case.
 */
int held_open(struct held *h, const char *name, bool live_ok, struct err *e);
/* The same without a lock, to look at it. */
int held_look(struct held *h, const char *name, struct err *e);
void held_close(struct held *h);

/*
 * snapshot_live.c: of a live one. Nothing in it runs meanwhile, and the layer on top is copied.
 * @label: "": the next number; what it is called in @made.
 */
int snapshot_live(struct held *h, const char *label, char made[STORE_LABEL_MAX + 1], struct err *e);

int cmd_snapshot(int argc, char **argv);
int cmd_snapshots(int argc, char **argv);
int cmd_rollback(int argc, char **argv);
int cmd_fork(int argc, char **argv);

#endif
