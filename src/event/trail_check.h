/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a trail as it was written? Pure: lines, ends of files and signed heads are fed
 * in order; faults come out. One pass, a line is looked at once.
 *
 * A line tells the hash of the line before it. So where the two differ, it is the
 * line after that which says who is right: if it has this line's hash, this line is
 * sound, and the one before was changed. A line that is not where its number belongs
 * was moved if it is found elsewhere, else others are missing. After a fault the
 * reading goes on from what is there, so that each fault is told once.
 */
#ifndef PURPLE_EVENT_TRAIL_CHECK_H
#define PURPLE_EVENT_TRAIL_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "event/trail.h"

enum trail_fault_kind {
	TF_CHANGED,   /* not what was written, or no line of a trail at all */
	TF_MISSING,   /* @seq to @to were before this line */
	TF_OLDER,     /* the same, before the first line of all */
	TF_REORDERED, /* @seq stands here, before ones that belong before it */
	TF_REPEATED,  /* @seq to @to were there before */
	TF_JOINED,    /* lines without a newline between them */
	TF_CUT,	      /* lines from @seq on are not there, or a part of the last one */
	TF_HEAD,      /* the head is none, or is not of this file */
	TF_SIGNATURE, /* @seq: the next line's number in the head that is signed */
	TRAIL_FAULTS
};

extern const char *const trail_fault_words[TRAIL_FAULTS]; /* "changed", … */

struct trail_place {
	uint32_t file; /* number of trail_check_file(), from 0 */
	uint64_t line; /* in it, from 1; 0: the file as a whole */
};

struct trail_fault {
	enum trail_fault_kind kind;
	struct trail_place at;
	uint64_t seq, to; /* to: 0 or the last of several */
	const char *why;  /* constant */
};

/* A head that somebody has signed. */
struct trail_claim {
	struct trail_head head;
	uint32_t file; /* that the signature is of; for the fault */
	bool met;      /* it holds; set here */
};

struct trail_range {
	uint64_t from, to;
	struct trail_place at; /* of the line that came instead */
	uint64_t seq;	       /* its number */
	bool moved;	       /* some of the range came later: that is told */
};

enum { TRAIL_FAULTS_MAX = 10000 };

struct trail_check {
	struct trail_head chain; /* what the next line has to continue; size: of this file */
	uint32_t files;
	uint64_t line; /* in this file */
	uint64_t lines, bytes;
	bool started;  /* a line was seen, in any file */
	bool loose;    /* the line before is bad: its hash says nothing */
	bool fragment; /* the line before was no line; what follows may be the rest of it */
	bool head_off; /* the last file's head has another hash: the next line tells why */
	bool file_bad; /* this file had a fault */
	bool out_of_memory;
	/* This line's link differs from the hash of the one before: which of them is it? */
	bool doubt;
	struct trail_place last;	/* line before */
	struct trail_place doubt_at[2]; /* the line before it, and it */
	uint64_t doubt_seq;		/* of the latter */
	uint64_t last_repeated;		/* seq of the line before, where that is a repeated one */
	struct trail_fault *faults;	/* owned; by place after trail_check_done() */
	size_t faults_count, faults_room;
	uint64_t faults_more;	     /* that did not fit */
	struct trail_range *missing; /* owned */
	size_t missing_count, missing_room;
	struct trail_claim *claims; /* the caller's; by seq */
	size_t claims_count, claims_next;
};

void trail_check_init(struct trail_check *c);
void trail_check_free(struct trail_check *c);

/* A new file. */
void trail_check_file(struct trail_check *c);
/* A line, without its newline. */
void trail_check_line(struct trail_check *c, const char *line, size_t len);
/*
 * The file ends; @rest: bytes without a newline that were at its end. @head: as the
 * file's head says; NULL: it has none. What a killed writer has left is not fed.
 */
void trail_check_file_end(struct trail_check *c, const char *rest, size_t rest_len,
			  const struct trail_head *head);

/*
 * Is what is behind the last file's head what a killed writer leaves: lines that
 * continue the chain, and the start of one? The next writer takes care of it.
 */
bool trail_check_is_left(const struct trail_head *head, const char *rest, size_t len);

/* A fault that the caller has found. */
void trail_check_fault(struct trail_check *c, const struct trail_fault *f);

/* All was fed. 0; -ENOMEM: it cannot be said. */
int trail_check_done(struct trail_check *c);

#endif
