/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of every sandbox of this user, on disk: a directory for each
 * in RUNTIME/sandboxes (RUNTIME: see struct dirs), mode 0700, named as the
 * sandbox is.
 *
 *	state     struct sandbox_state as text, key=value lines, control
 *	          characters escaped, a checksum; written over where it is, by one
 *	          write(2): a reader that meets it sees so, and reads again
 *	control   the supervisor's socket, see supervisor/control.h
 *	log       output of a detached command (log.1: older), ≤ 10 MiB each
 *
 * Beside those directories is the files .totals-…, see supervisor/totals.h.
 *
 * The supervisor holds flock(LOCK_EX) on the directory while it lives. So:
 *
 *	locked                    a live one
 *	unlocked, state=ended     a record, kept for ps -a, wait, logs and rm
 *	unlocked otherwise        left by a supervisor that was killed (the kernel
 *	                          has then killed what ran inside): to be removed
 *
 * It holds the state file's lock as well, which is only for who lists many: a
 * record and a proof of life by one open file. One that is not locked proves
 * nothing: then the directory's is asked.
 *
 * A state file that is cut off or rubbish counts as the last. Everything is by
 * descriptor; names are checked before they are used. For the static launcher
 * too: no malloc, no stdio but snprintf. Returns 0 or -errno.
 */
#ifndef PURPLE_SUPERVISOR_STATE_H
#define PURPLE_SUPERVISOR_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { SANDBOX_ID_LEN = 12, SANDBOX_NAME_MAX = 64, SANDBOX_TEXT = 1024 };

/* States of the lifecycle; the table of supervisor/lifecycle.h. */
enum sandbox_phase {
	SANDBOX_STARTING,
	SANDBOX_RUNNING,
	SANDBOX_PAUSED,
	SANDBOX_STOPPING,
	SANDBOX_ENDED,
	SANDBOX_PHASES
};
extern const char *const sandbox_phase_names[SANDBOX_PHASES]; /* "starting", … */

enum sandbox_kind {
	SANDBOX_FOREGROUND, /* run: its directory goes when it ends */
	SANDBOX_DETACHED,   /* run --detach: has a log, leaves a record */
	SANDBOX_CREATED,    /* create: no command of its own, leaves a record */
	SANDBOX_KINDS
};
extern const char *const sandbox_kind_names[SANDBOX_KINDS]; /* "run", "detached", "created" */

struct sandbox_state {
	char id[SANDBOX_ID_LEN + 1];
	char name[SANDBOX_NAME_MAX + 1];
	enum sandbox_phase phase;
	enum sandbox_kind kind;
	bool stays;		       /* takes exec and attach */
	bool terminal;		       /* its command has one */
	pid_t supervisor, pid1;	       /* pid1 as we see it; 0: not yet */
	uint64_t started_ms, ended_ms; /* CLOCK_REALTIME; 0: not yet */
	int exit_status;	       /* ended only */
	char reason[32];	       /* ended only: as in the report */
	char profile[SANDBOX_NAME_MAX + 1];
	/* Borrowed, cut to less than SANDBOX_TEXT; of one that was read: until the next is. */
	const char *workspace;
	const char *command; /* arguments, joined by blanks, cut with "…" */
};

/* 12 characters of [a-z2-7] from getrandom(2). */
int sandbox_make_id(char id[SANDBOX_ID_LEN + 1]);
/* [a-z0-9][a-z0-9._-]{0,63} */
bool sandbox_name_ok(const char *name);

/*
 * The directory of all sandboxes below @runtime, made (0700) if @make. A
 * descriptor or -errno: -ENOENT when there is none and @make is not set;
 * -EPERM when it is not ours alone (owner, mode, a link).
 */
int state_open_all(const char *runtime, bool make);

/*
 * Make and lock the directory of @name. The descriptor, whose lock goes with
 * the last process that holds it, or -errno with @e set: -EEXIST: the name is
 * used by a live one, or by a record (the message says which, and the remedy).
 * What a dead supervisor left under that name is removed first.
 */
int state_claim(int all, const char *name, struct err *e);

/* Open the directory of @name, or of the sandbox whose id it is. -ENOENT. */
int state_open(int all, const char *name);
/* Does somebody hold the lock? Asked by a shared lock that is dropped at once. */
bool state_is_live(int dir);

/* The state file of our own sandbox, open and locked from the first state_write() on. */
struct state_file {
	int fd; /* owned; -1: not yet */
	size_t size;
};

#define STATE_FILE_INIT ((struct state_file){ .fd = -1 })

int state_write(int dir, struct state_file *f, const struct sandbox_state *s);
/* -EBADMSG: rubbish; then @s is empty. */
int state_read(int dir, struct sandbox_state *s);
/*
 * The same of the sandbox @name in @all. 1: and its supervisor lives, or died so
 * recently that one of its processes still holds the lock; 0: ask state_is_live().
 */
int state_look(int all, const char *name, struct sandbox_state *s);

/*
 * Remove the directory @name, which is open (and locked by us) as @dir, with all
 * that a supervisor puts there. Closes @dir.
 */
int state_remove(int all, const char *name, int dir);

/*
 * Remove what dead supervisors left, looking at no more than @most directories
 * (0: all). Live ones and records stay. Returns how many were removed.
 */
unsigned state_sweep(int all, unsigned most);

/* The control socket in @dir. A connected or a listening (non-blocking) one, or -errno. */
int state_connect(int dir);
int state_connect_now(int dir); /* non-blocking; -EAGAIN: more wait for it than it lets in */
int state_listen(int dir);

#endif
