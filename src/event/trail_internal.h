/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between trail.c (what is pending, and one flush), trail_file.c (the files) and
 * trail_settle.c (what an earlier writer or somebody else left). Functions return
 * 0 or -errno, and then @e is set, unless another thing is said.
 */
#ifndef PURPLE_EVENT_TRAIL_INTERNAL_H
#define PURPLE_EVENT_TRAIL_INTERNAL_H

#include "event/trail.h"
#include "event/trail_line.h"

enum { TRAIL_NAME = 512 }; /* bytes; a name of the trail's files, with its NUL */

/* One flush. */
struct flush {
	struct trail *t;
	struct err *e;
	struct trail_head head; /* as it is on disk, or is to be once settled */
	struct trail_head next; /* behind the lines in @out */
	struct buf out;		/* lines that are to be written */
	struct buf text;	/* of one line */
};

/* The error of an access to PATH or what belongs to it, with what to do about it. */
int trail_failed(struct err *e, const struct trail *t, int code, const char *what);

/* "BASE.head", "BASE.7", "BASE.7.head": @n 0 is none. False if it does not fit. */
bool trail_name(const struct trail *t, uint64_t n, const char *suffix, char ret[TRAIL_NAME]);

int trail_open_dir(struct trail *t, bool make, struct err *e);
/* t->head, opened anew; made where it is missing. */
int trail_open_head(struct trail *t, struct err *e);
/* t->file is what PATH is now, if that is there. *size: its bytes; -1: there is none. */
int trail_open_file(struct trail *t, int64_t *size, struct err *e);
int trail_make_file(struct trail *t, struct err *e);
/* Is what t->head is still PATH.head? Nothing is set. */
bool trail_head_is_named(const struct trail *t);

/* Without @e: 0; -ENODATA: it is empty; -EBADMSG: it is none. */
int trail_read_head(int fd, struct trail_head *ret);
int trail_write_head(struct trail *t, const struct trail_head *h);
/* All of it at @offset, or -errno; what was written of it then is not undone. */
int trail_pwrite(int fd, const void *data, size_t len, uint64_t offset);

/* PATH becomes PATH.N; the head on disk says size=0 afterwards, and so does @h. */
int trail_rotate(struct trail *t, struct trail_head *h, struct err *e);
/* The number N of the newest older file whose head is at @h; 0: there is none. */
uint64_t trail_find_rotated(struct trail *t, const struct trail_head *h);

/* One of the trail's own lines into f->out. */
void trail_own_line(struct flush *f, const struct event *ev);
/* The first line of a file. */
void trail_opened(struct flush *f);
/* See what is there, take over what is whole, cut the rest off, and say so. */
int trail_settle(struct flush *f);

#endif
