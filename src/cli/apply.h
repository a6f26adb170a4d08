/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of `purple apply`. */
#ifndef PURPLE_CLI_APPLY_H
#define PURPLE_CLI_APPLY_H

#include "cli/diff.h"
#include "workspace/apply.h"

struct apply_run {
	struct review *review;
	struct apply apply;
	bool dry, interactive;
	bool quit;    /* nothing more is to be asked */
	bool removed; /* the store, for there is nothing left in it */
};

/* apply_show.c: a line for each change that was to be applied; all, as one object of JSON. */
void apply_show(struct apply_run *run);
void apply_show_json(struct apply_run *run, const struct err *e);

/*
 * apply_ask.c: ask for each change that could be applied, and for the hunks of text, what is to
 * be done; the items are then APPLY_WANTED, perhaps with a text, or APPLY_LEFT.
 */
int apply_ask(struct apply_run *run, struct err *e);

#endif
