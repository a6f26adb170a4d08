/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stores (workspace/store.h) whose changes wait for a person, for the commands that list
 * them. Bounded: of more than WAITING_MAX the rest is counted.
 */
#ifndef PURPLE_CLI_WAITING_H
#define PURPLE_CLI_WAITING_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "workspace/store.h"

enum { WAITING_MAX = 256 };

struct waiting_store {
	char name[STORE_NAME_MAX + 1], id[STORE_ID_LEN + 1];
	bool live;	     /* a sandbox still adds to them */
	uint64_t created_ns; /* CLOCK_REALTIME */
	char path[PATH_MAX]; /* of the workspace */
};

struct waiting {
	struct waiting_store *items; /* by name */
	unsigned count, more;
};

/*
 * Those of @all (store_open_all(); -1: none), in review. @sweep: remove first what killed
 * supervisors left that nobody waits for, of at most WAITING_SWEEP stores. 0 or -ENOMEM.
 */
enum { WAITING_SWEEP = 256 };
int waiting_load(struct waiting *w, int all, bool sweep);
void waiting_free(struct waiting *w);
#define _cleanup_waiting_ _cleanup_(waiting_free)

/* The one called @name; NULL: there is none. */
const struct waiting_store *waiting_find(const struct waiting *w, const char *name);

#endif
