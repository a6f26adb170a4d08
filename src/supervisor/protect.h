/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A protected workspace: calls of commands that would write in it, judged here and carried
 * out by PID 1. The theory of operation is in jail/door.h, the rules in workspace/guard.h.
 *
 *	protect_calls.c	what a call asks for: the table of calls, by name
 *	protect_place.c	where that is: paths as the kernel would walk them
 *	protect.c	judges, asks PID 1, answers; keeps those that wait
 *
 * One call at a time is with PID 1; others wait here, or in the kernel. A call that would
 * block (a FIFO that nobody reads) is tried again every few milliseconds, and blocks no other.
 */
#ifndef PURPLE_SUPERVISOR_PROTECT_H
#define PURPLE_SUPERVISOR_PROTECT_H

#include <linux/seccomp.h>
#include <poll.h>

#include "jail/door.h"
#include "supervisor/internal.h"
#include "workspace/guard.h"

enum {
	PROTECT_WAITING = 1024, /* calls that wait here; more: EAGAIN */
	PROTECT_LATE = 32,	/* of those that would block */
	PROTECT_LATE_MS = 10,
	PROTECT_TRIES = 48, /* links on a path, as MAXSYMLINKS, and some */
	PROTECT_AREAS = 16, /* directories where commands only write by PID 1 */
};

/* A name in a directory, both as inside. */
struct asked_place {
	int dirfd;
	uint64_t address;			/* of the path, in the caller */
	bool follow;				/* a link there is followed */
	char dir[PATH_MAX], name[NAME_MAX + 2]; /* a '/' at the end of the name is the caller's */
	int area;				/* that it is in; -1: none */
};

/* What a call asks for, of which nothing is the caller's any more. */
struct asked {
	struct seccomp_notif n;
	enum door_op op;
	uint32_t flags, mode, umask, checks;
	uint64_t number;
	bool makes, cloexec; /* makes: the caller's umask is needed */
	unsigned count;	     /* of places */
	struct asked_place at[2];
	char text[PATH_MAX];
	int fd; /* owned: goes with it; -1 */
	unsigned tries;
};

/* protect_calls.c: 0; 1: it is none that has to be looked at; -errno: nobody can say. */
int protect_read(const struct seccomp_notif *n, struct asked *a);

/* protect_place.c: from inside, its root; see there. */
struct area {
	char path[PATH_MAX];
	size_t len;
	int fd;	   /* O_PATH; owned */
	bool free; /* nothing of the host's: it is the workspace that lies in it */
};
/* Fill in @p->dir, name and area from @text as the caller of @a means it. 0 or -errno. */
int protect_place(const struct asked *a, struct asked_place *p, const char *text);
/* The same where PID 1 said that it came out. */
void protect_came_out(struct asked_place *p, const char *dir);
/* Relative to its area, without a '/' at the end. False: too long. */
bool protect_relative(const struct asked_place *p, char ret[PATH_MAX]);
const struct area *protect_area(int i);
bool protect_open_areas(const struct supervisor *s, pid_t pid); /* the first time; false: none */
void protect_close_areas(void);

/* protect.c: called by watch.c */
/* Is it PID 1 that asks, for somebody? */
bool protect_is_door(const struct supervisor *s, const struct seccomp_notif *n);
/* True: it is taken over, and will be answered. */
bool protect_takes(struct supervisor *s, const struct seccomp_notif *n);
void protect_prepare(const struct supervisor *s, struct pollfd *fd);
void protect_handle(struct supervisor *s, const struct pollfd *fd);
void protect_tick(struct supervisor *s, uint64_t now);
void protect_end(void);

#endif
