/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an apply is about to do, written down before it does it, and what it has done.
 *
 * STORE_JOURNAL exists while an apply is under way, or if one was cut off. It is replaced
 * by rename(2) after fdatasync(2), so it is always whole, and has one of two phases: first
 * the new files are made beside those that they are for, under the names that the journal
 * has for them; then, when the journal has their inodes too, they get their names. Who
 * finds one takes the steps that were not taken back, file by file: apply_recover().
 *
 * STORE_LANDED says what was left on the host by us: a path whose device, inode and ctime
 * are as it says has not been changed by anybody else since, however young it is.
 *
 * Both are records that end with a NUL, and a checksum. They lie beside the layers: nothing
 * in them is a sandbox's but the bytes of the paths. Who writes holds the store's lock.
 * Returns 0 or -errno; -EBADMSG: not what these functions write.
 */
#ifndef PURPLE_WORKSPACE_JOURNAL_H
#define PURPLE_WORKSPACE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/arena.h"

#define STORE_LANDED "landed"

enum { JOURNAL_MAX = 512 << 20, JOURNAL_NAME = 32 };

enum step_kind {
	STEP_ADD,     /* the temporary gets the name, which nobody has */
	STEP_REPLACE, /* it changes places with who has the name, who is then removed */
	STEP_DELETE,  /* who has the name gets the temporary one, and is removed */
	STEP_META,    /* a directory's mode, owner and xattrs, in place */
	STEP_INSIDE,  /* lands with a directory above it, which is a step */
	STEP_TOUCHED, /* not changed, but its ctime: a directory, another name of a file */
	STEP_KINDS
};

enum step_state { STEP_OPEN, STEP_LANDED, STEP_BACK, STEP_LOST };

/* What a rename does not change of a file. Of a directory: device, inode, type and @tree. */
struct file_id {
	uint64_t dev, ino, size;
	int64_t mtime_ns;
	uint32_t mode; /* 0: nothing */
	uint64_t tree; /* of a directory that is to go: all that is in it; host_tree() */
};

struct step {
	enum step_kind kind;
	const char *path; /* relative to the workspace; "." is itself */
	uint64_t key;	  /* of its temporary names */
	struct file_id before, after;
	/* Not written: */
	enum step_state state;
	bool untidy;  /* its temporary could not be removed */
	bool widened; /* a directory, which its owner may write meanwhile */
};

struct journal {
	bool committing; /* the second phase: @after is known */
	struct step *steps;
	size_t count;
	struct arena memory;
};

#define JOURNAL_INIT ((struct journal){ .memory = ARENA_INIT(JOURNAL_MAX) })

int journal_add(struct journal *j, const struct step *s); /* copies the path */
int journal_write(int store, const struct journal *j);
int journal_read(int store, struct journal *j); /* -ENOENT: none */
int journal_remove(int store);
bool journal_exists(int store);
void journal_free(struct journal *j);
#define _cleanup_journal_ _cleanup_(journal_free)

/* The names of a step's file beside its own: before it has landed, and when it is to go. */
void journal_name(const struct step *s, bool gone, char ret[JOURNAL_NAME]);

/* From what stat(2) says. */
void file_id_set(struct file_id *id, const struct stat *st);
/* The same file, as far as it tells; trees are not compared. */
bool file_id_is(const struct file_id *id, const struct stat *st);

struct landed {
	const char *path;
	uint64_t dev, ino;
	int64_t ctime_ns;
};

struct landed_list {
	struct landed *items; /* by path */
	size_t count;
	struct arena memory;
};

int landed_read(int store, struct landed_list *l); /* none at all is empty */
/* What @l has and what is to be added of @more, which goes first; @more need not be sorted. */
int landed_write(int store, const struct landed_list *l, struct landed *more, size_t count);
const struct landed *landed_find(const struct landed_list *l, const char *path);
void landed_free(struct landed_list *l);
#define _cleanup_landed_ _cleanup_(landed_free)

static inline int64_t time_ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

#endif
