/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of apply. Paths are as in changes: "." is the workspace itself. */
#ifndef PURPLE_WORKSPACE_APPLY_INTERNAL_H
#define PURPLE_WORKSPACE_APPLY_INTERNAL_H

#include "workspace/apply.h"

#define NO_ITEM SIZE_MAX

/* The change of the directory that change @i is in, or NO_ITEM: that one is as it was. */
size_t apply_parent(const struct apply *a, size_t i);
/* Is it a directory that the host does not have, or has something else for? */
static inline bool makes_directory(const struct change *c)
{
	return (c->kind == CHANGE_ADDED || c->kind == CHANGE_TYPE) && S_ISDIR(c->after.mode);
}

/* apply_host.c */

/* O_PATH on the directory of the host that @path is in, and its @name there; or -errno. */
int host_open_parent(int host, const char *path, const char **name);
/* The directory that @path is in: "." for one without a slash. */
void path_parent(const char *path, char ret[PATH_MAX]);

/* Was it changed by nobody but us since the sandbox began? */
bool host_unchanged(const struct apply *a, const char *path, uint64_t dev, uint64_t ino,
		    int64_t ctime_ns);
/*
 * All that is in the directory @path: a number for its names, inodes, sizes, mtimes and modes,
 * in @tree. Of @a (or NULL), @where: the first that was changed meanwhile; then 1.
 */
int host_tree(int host, const char *path, uint64_t *tree, const struct apply *a,
	      char where[PATH_MAX]);

/* apply_stage.c */

/* Make what change @i is to be under @name in @dir. */
int stage_one(struct apply *a, size_t i, int dir, const char *name);
/* A directory's owner, xattrs, mode and (if @times) mtime, when nothing is put into it any more. */
int stage_directory(struct apply *a, size_t i, int fd, bool times);

/* apply_settle.c */

/* What the owner of a directory needs for an apply in it. */
enum { OWNER_WRITES = S_IWUSR | S_IXUSR };

/* Let the caller write in the directory of a STEP_TOUCHED, if it is the caller's. */
int step_widen(int host, struct step *s);

/* Bring the step to one of its ends: landed, or taken back. Again and again if need be. */
int settle_step(int host, bool committing, struct step *s);
/* All; then write down what landed, and remove the journal. */
int settle_all(int store, int host, struct journal *j, struct landed_list *known, struct err *e);

#endif
