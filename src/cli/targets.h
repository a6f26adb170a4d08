/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several sandboxes at once: each step goes to all of them before the next one is
 * waited for, so that they end side by side. Whatever fails for one is printed,
 * and the others go on. Not for the static launcher.
 */
#ifndef PURPLE_CLI_TARGETS_H
#define PURPLE_CLI_TARGETS_H

#include "cli/sandboxes.h"

enum { STATUS_UNKNOWN = -1 };

struct target {
	const char *name;
	struct found_sandbox found;
	int fd;	    /* of the supervisor; -1: it has ended, or failed */
	int status; /* how it ended */
	bool failed;
};

struct targets {
	struct target *items;
	int count;
	int failed;	    /* exit status of the first failure */
	bool end_ok;	    /* one that has ended, or does while we ask, is no fault */
	bool status_wanted; /* if it is known how */
	bool remains_ok;    /* or if its supervisor was killed meanwhile */
	bool find_only;	    /* do not connect */
	bool none_ok;	    /* one that there is not is no fault either */
};

/*
 * Find all @names and connect. 0, or the exit status when nothing can be done.
 * @wake: as of sandbox_talk().
 */
int targets_open(struct targets *t, char **names, int count, bool wake);
/* To be told of the end; before whatever brings it. */
void targets_watch(struct targets *t);
/* Ask each that lives @request, whose answer is OK. */
void targets_ask(struct targets *t, enum control_type request, uint32_t value);
/* Until all have ended, and their supervisors with them. */
void targets_wait(struct targets *t);
void target_failed(struct targets *t, struct target *one, const struct err *e);
void targets_free(struct targets *t);
#define _cleanup_targets_ _cleanup_(targets_free)

#endif
