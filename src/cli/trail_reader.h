/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the audit trail (event/trail.h): its files one after the other, oldest
 * first, a line at a time; and on over rotations, for one that follows. For the
 * dynamic programs: JSON by jansson.
 *
 * Nothing here judges the chain; that is `purple audit verify`. But files may be
 * damaged: a line that is not one of event/event.h is reported on standard error,
 * counted and skipped, and so is a number that is missing between two lines.
 * Whole lines count, also those that the head does not know yet: whoever appends
 * next takes them over. What stands behind the last newline is still being
 * written, unless the head says that it counts.
 */
#ifndef PURPLE_CLI_TRAIL_READER_H
#define PURPLE_CLI_TRAIL_READER_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "event/event.h"

struct trail_line {
	json_t *fields; /* owned: the whole object */
	/* Of @fields; safe to print by line_put() only. */
	const char *sandbox, *name, *type, *time;
	int known; /* enum event_type; -1: of a later Purple */
	enum event_severity severity;
	uint64_t seq, time_ns;
};

struct trail_reader {
	char path[PATH_MAX]; /* as it was given */
	int dir;	     /* that it is in */
	const char *base;    /* its name there, in @path */
	uint64_t *older;     /* numbers of older files that are still to be read */
	size_t older_count, older_next;
	int fd;		 /* that is being read; -1: none */
	uint64_t number; /* of it; 0: @path itself */
	int live;	 /* @path, opened before the older ones were looked for; -1: taken */
	uint64_t offset; /* in the file, of the byte behind those in @room */
	uint64_t line;	 /* number of the line in the file */
	uint64_t next_seq;
	bool seq_known;
	char *room; /* READER_ROOM bytes; [from, to) is not yet read */
	size_t from, to;
	bool skipping; /* within a line that is too long */
	int inotify;   /* -1: look now and then */
	bool follow;
	bool quiet; /* count what is damaged, and do not say it */
	/* Lines without this text are passed over unread: for a first look at a long trail. */
	const char *only;
	uint64_t damaged; /* lines, and places where some are missing */
	uint64_t lines;
};

#define TRAIL_READER_INIT ((struct trail_reader){ .dir = -1, .fd = -1, .live = -1, .inotify = -1 })

/*
 * @path NULL: the caller's own trail. @follow: it need not be there yet, and
 * trail_reader_wait() works.
 */
int trail_reader_open(struct trail_reader *r, const char *path, bool follow, struct err *e);
/* Only what is written from now on. */
void trail_reader_to_end(struct trail_reader *r);
/* 1: @l is the next, and the caller's; 0: there is no more, for now; -errno. */
int trail_reader_next(struct trail_reader *r, struct trail_line *l, struct err *e);
/* Until something is perhaps written, or for @ms. */
void trail_reader_wait(struct trail_reader *r, int ms);
void trail_reader_close(struct trail_reader *r);
#define _cleanup_trail_reader_ _cleanup_(trail_reader_close)

/* A line from its text. NULL, or what is wrong with it. */
const char *line_parse(struct trail_line *l, const char *text, size_t len);
void line_free(struct trail_line *l);
#define _cleanup_line_ _cleanup_(line_free)

/* A field's text, or NULL; its number, or 0. */
const char *line_text(const struct trail_line *l, enum event_field f);
uint64_t line_number(const struct trail_line *l, enum event_field f);

/*
 * @s of a line, as event/event.h writes it: as it is, but for what a correct line
 * does not have and a screen would obey.
 */
void line_put(struct buf *b, const char *s);
/* The same of a word of a command, in quotes of a shell where it needs them. */
void line_put_word(struct buf *b, const char *s);
/* A field's value for people; "-" if it is not set. */
void line_put_value(struct buf *b, const json_t *value);
/* What happened, for people: the table's text with the values. */
void line_describe(const struct trail_line *l, struct buf *b);

/* RFC 3339 with any fraction and offset; false: it is none. */
bool time_parse(const char *s, uint64_t *ns);
/* "2026-11-24T18:49:53.123Z" */
enum { TIME_TEXT = 32 };
void time_format(uint64_t ns, char ret[TIME_TEXT]);

/* Where the caller's trail is without a word of the policy; -ENAMETOOLONG, -ENOENT: no home. */
int trail_default_path(char *ret, size_t size);

#endif
