/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `purple top`: what the sandboxes of this user use, by what they use most.
 *
 *	cmd_top.c     options; the loop; batches of text for scripts
 *	top_model.c   figures of now and of before, so rates; the order; no terminal
 *	top_screen.c  curses: the list, the line of keys, questions
 *	top_show.c    one sandbox, as lines
 *
 * All that comes from inside (a command, a refused path) is escaped by put_cell() before
 * a terminal sees it; names are of plain letters.
 */
#ifndef PURPLE_CLI_TOP_H
#define PURPLE_CLI_TOP_H

#include "base/buf.h"
#include "serve/gather.h"

enum top_key {
	TOP_CPU,
	TOP_MEMORY,
	TOP_NETWORK,
	TOP_DENIALS,
	TOP_PIDS,
	TOP_TIME, /* that it runs */
	TOP_NAME,
	TOP_KEYS
};
extern const char *const top_key_names[TOP_KEYS]; /* "cpu", … */

/* What is not known, or not yet, is negative. */
struct top_row {
	char name[SANDBOX_NAME_MAX + 1], id[SANDBOX_ID_LEN + 1];
	char profile[SANDBOX_NAME_MAX + 1];
	enum sandbox_phase phase;
	bool answered;
	double cpu;    /* processors' hundredths, since the look before; first: since its start */
	double memory; /* bytes */
	double pids;
	double in, out;	 /* bytes a second */
	double denials;	 /* all so far */
	double age;	 /* seconds */
	double cpu_time; /* seconds */
};

struct top {
	struct gathered before, now; /* owned */
	struct top_row *rows;	     /* owned; as many as now.count, in order */
	enum top_key key;
	bool reverse;
};

/* Look again: @all as of gather(). 0 or -errno: the rows are as before. */
int top_look(struct top *t, int all);
/* By the key; after a change of it. */
void top_sort(struct top *t);
/* The key of that name, or -1. */
int top_key_find(const char *name);
/* The place of the sandbox @id among the rows, or -1. */
long top_find(const struct top *t, const char *id);
void top_free(struct top *t);

/* Two lines: how many and what they use together. With their ends. */
void top_put_summary(struct buf *b, const struct top *t);
/* The titles, and one row, @columns wide (0: no more than it takes), without the end. */
void top_put_titles(struct buf *b, const struct top *t, size_t columns);
void top_put_row(struct buf *b, const struct top *t, const struct top_row *row, size_t columns);

/* All about one, in lines that may be long. What cannot be had is said there. */
void top_show(struct buf *b, const struct top *t, const char *id);

/* Until q. 0, an exit status, or 128 + the signal that ended it. */
int top_screen(struct top *t, int all, unsigned delay_ms);

int cmd_top(int argc, char **argv);

#endif
