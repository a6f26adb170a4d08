/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside cgroup/: small text work without stdio and malloc, and the steps that
 * unit tests call one by one.
 */
#ifndef PURPLE_CGROUP_INTERNAL_H
#define PURPLE_CGROUP_INTERNAL_H

#include "cgroup/cgroup.h"

#define CG_PREFIX "purple-" /* of a leaf's name */
#define CG_BASE "purple"    /* root's directory that the leaves are in */
/* That a policy can set a limit of. */
#define CG_LIMITING (1u << PC_CPU | 1u << PC_CPUSET | 1u << PC_MEMORY | 1u << PC_PIDS | 1u << PC_IO)

/* What version 2 does without a controller: cpu.stat and cgroup.freeze are in every group. */
#define CG_V2_ALWAYS (1u << PC_CPUACCT | 1u << PC_FREEZER)

enum { CG_TEXT = 4096, CG_NUMBER = 21 };

/* text.c */

/* @a, a slash if @b does not begin with one, and @b. False, and "", if that is too long. */
bool cg_join(char out[CG_PATH], const char *a, const char *b);
/* @v in decimal. Returns the length. */
size_t cg_number(char out[CG_NUMBER], uint64_t v);
/* The digits at @s; *end gets the place behind them. Saturates. */
uint64_t cg_digits(const char *s, const char **end);
/* Is @word one of the words of @list, which blanks, commas or a newline divide? */
bool cg_has_word(const char *list, const char *word);
/* The number behind "@key " at the begin of a line of @text. */
bool cg_keyed(const char *text, const char *key, uint64_t *ret);
/* The begin of a file, terminated. Returns the length or -errno. */
long cg_read(int dirfd, const char *name, char *buf, size_t size);
bool cg_may_write(const char *dir, const char *name);
void cg_sleep_ms(unsigned ms);

/* Call @fn for each entry of the directory @fd, from where it stands, until that is not 0. */
int cg_each_entry(int fd, int (*fn)(const char *name, void *arg), void *arg);

/* find.c */

struct cg_mount { /* one line of /proc/self/mountinfo; points into it */
	bool v2;
	uint32_t controllers; /* of a version 1 hierarchy */
	const char *root, *point;
};

struct cg_finder {
	struct cg_site *site;
	bool root;		   /* may use the top of each hierarchy */
	char own[CG_TEXT];	   /* /proc/self/cgroup */
	bool mounted;		   /* some hierarchy is */
	bool occupied;		   /* a v2 group that holds processes cannot pass controllers on */
	bool swap_seen, swap_file; /* the limited group has a file for swap */
	char dir[CG_PATH];	   /* the caller's own group of version 2, "": not found */
	const char *only;	   /* this group of version 2, or NULL: from the own one up */
	/* scope.c; NULL, ""; no scope is asked for */
	uid_t uid;
	const char *booted, *runtime; /* /run/systemd/system, $XDG_RUNTIME_DIR */
	char manager[CG_PATH];	      /* the group of the user's systemd */
};

/* Names of controllers as a mask; the rest is left out. */
uint32_t cg_controllers(const char *list);
/* Splits @line in place. False if it is no cgroup mount that we can use. */
bool cg_parse_mount(char *line, struct cg_mount *ret);
/*
 * The caller's group, from the text of /proc/self/cgroup: of version 2, or of
 * the hierarchy of controller @c. False if there is none.
 */
bool cg_own_path(const char *own, bool v2, unsigned c, char out[CG_PATH]);
/* The directory of the group @path below the mount @m. */
bool cg_own_dir(const struct cg_mount *m, const char *path, char out[CG_PATH]);
/* Take one line of mountinfo into account. Changes @line. */
void cg_find_line(struct cg_finder *f, char *line);
/* Kind, controllers and @why from what the lines gave. */
void cg_find_end(struct cg_finder *f);
/* cg_find_line() for each of mountinfo. */
void cg_find_mounts(struct cg_finder *f);
/* May this caller make groups in @dir, which is of version 2? */
bool cg_delegated(const char *dir);
/* If the group @dir has @limit (or @limit is NULL): does it have @swap too? */
void cg_see_swap(struct cg_finder *f, const char *dir, const char *limit, const char *swap);

/* scope.c */

/* Where the group of the user's systemd is on the mount @m of version 2, into f->manager. */
void cg_scope_place(struct cg_finder *f, const struct cg_mount *m);
/* Nothing was found: would systemd give a scope? Then the site is CG_SCOPE. */
void cg_scope_offer(struct cg_finder *f);
/* From the own group @scope into a new one in it, and f->site from there. */
int cg_scope_move(struct cg_finder *f, const char *scope, struct err *e);

/* kill.c */

/* Freeze or thaw the group of the directory @fd (v2 or freezer), waiting @tries ms at most. */
int cg_freeze_dir(int fd, bool v2, bool frozen, unsigned tries);
int cg_kill_dir(int fd, bool v2);
/* rmdir @name below @dirfd, again for @tries ms while a process leaves it. */
int cg_rmdir(int dirfd, const char *name, unsigned tries);

#endif
