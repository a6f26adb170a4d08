/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store (workspace/store.h) of a sandbox whose workspace is not written at
 * once. For the static launcher.
 */
#ifndef PURPLE_CLI_LAYERS_H
#define PURPLE_CLI_LAYERS_H

#include "base/err.h"
#include "cli/dirs.h"
#include "cli/options.h"
#include "jail/launch.h"
#include "plan/plan.h"
#include "supervisor/run.h"
#include "workspace/store.h"

/*
 * After launch_prepare(): fill in @l->layers, and @store, @request->store and
 * @request->id if the changes go into the state directory. Removes what killed
 * supervisors left there. Static memory: one a process.
 */
int layers_prepare(struct launch *l, const struct plan *p, const struct run_options *o,
		   const struct dirs *dirs, struct run_store *store, struct run_request *request,
		   struct err *e);

/*
 * The start has failed with @e: was it because the kernel refuses an overlay of the
 * workspace? Then say so, clear @e, and let the next layers_prepare() make a copy. Once.
 */
bool layers_fall_back(struct err *e);

/* Of --resume, before there is a plan: let @o have the workspace of the store @o->name. */
int layers_resume(struct run_options *o, const struct dirs *dirs, struct err *e);

/*
 * Open and lock the store of the name @m->name in @store->all, in which a sandbox described
 * by @m shall go on; @m is then what it is.
 */
int layers_reopen(struct store_meta *m, struct run_store *store, struct err *e);

/* @m as a new store of the directory @fd at @path has it; no layers yet. */
int layers_describe(struct store_meta *m, const char *path, int fd, const char *name,
		    const char *id, bool review, struct err *e);

/* It comes to no start: remove what layers_prepare() made, if it did. */
void layers_drop(struct run_request *request);

#endif
