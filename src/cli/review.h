/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands of purple-workspace share: the changes of one sandbox, open, and the
 * words of their command lines. Errors are in struct err; only commands print.
 */
#ifndef PURPLE_CLI_REVIEW_H
#define PURPLE_CLI_REVIEW_H

#include "workspace/change.h"
#include "workspace/store.h"

struct review {
	int all, dir, host; /* STATE/workspaces, the store, the workspace: owned */
	int layers[STORE_LAYERS_MAX];
	struct store_meta meta;
	struct layer_stack stack; /* of the layers that m.top stands on; all paths */
	bool live;		  /* its sandbox lives, or another command is at work */
};

#define REVIEW_INIT                              \
	{                                        \
		.all = -1, .dir = -1, .host = -1 \
	}

/*
 * Open what the sandbox *@word changed. If that is no sandbox with changes (or NULL), it is
 * the one whose workspace the current directory lies in, and *@word is left for a path;
 * otherwise it becomes NULL. @v is large: not for the stack. review_close() it in any case.
 */
int review_open(struct review *v, const char **word, struct err *e);
/*
 * Likewise those in the overlay @n of the sandbox @name. -ENOENT without an error: there are
 * none. Who names a sandbox means all of it: its workspace, then these.
 */
int review_open_part(struct review *v, const char *name, unsigned n, struct err *e);
void review_close(struct review *v);
#define _cleanup_review_ _cleanup_(review_close)

/*
 * What is written as @path on the command line, relative to the workspace, in @ret: from
 * the current directory if that is in the workspace, otherwise from the workspace's own.
 */
int review_path(const struct review *v, const char *path, char ret[PATH_MAX], struct err *e);

/*
 * Finish what an apply that was cut off has left, if there is one and nobody is at work there;
 * says so on standard error. 0, or -errno.
 */
int review_recover(const struct store_meta *m, int dir, int host, struct err *e);

int cmd_apply(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_discard(int argc, char **argv);

#endif
