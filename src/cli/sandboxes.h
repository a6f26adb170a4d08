/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands of purple-sandbox share: the sandboxes of this user, one by
 * its name or id, words to its supervisor, and the command line. Not for the
 * static launcher. Errors are in struct err; only the commands print.
 */
#ifndef PURPLE_CLI_SANDBOXES_H
#define PURPLE_CLI_SANDBOXES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "supervisor/control.h"
#include "supervisor/state.h"

struct sandbox {
	struct sandbox_state state;
	bool live;
	bool readable; /* else only the name is known, and that it is live */
	bool damaged;  /* its state file is rubbish; else one that is not readable starts */
};

struct sandboxes {
	struct sandbox **items; /* by the time of their start, then by name */
	size_t count, room;
	struct arena memory; /* what they point to */
};

#define SANDBOXES_INIT ((struct sandboxes){ .memory = ARENA_INIT(64 << 20) })

/*
 * All that there are, records too. What dead supervisors left is removed, their
 * control groups as well. None at all is no error.
 */
int sandboxes_load(struct sandboxes *l, struct err *e);
void sandboxes_free(struct sandboxes *l);
#define _cleanup_sandboxes_ _cleanup_(sandboxes_free)

/* The directory of all: a descriptor; -ENOENT without an error: there is none. */
int sandboxes_open(struct err *e);
int sandboxes_open_or_make(struct err *e); /* the same; a descriptor, or an error */

/* One, open. */
struct found_sandbox {
	int all, dir;		/* owned */
	struct sandbox sandbox; /* its texts are not kept */
};

#define FOUND_SANDBOX_INIT ((struct found_sandbox){ .all = -1, .dir = -1 })

/*
 * The sandbox called @name, or whose id it is. One that a dead supervisor left
 * is removed and not found. The error names one that was perhaps meant.
 */
int sandbox_find(struct found_sandbox *f, const char *name, struct err *e);
void sandbox_close(struct found_sandbox *f);
#define _cleanup_sandbox_ _cleanup_(sandbox_close)

/* Remove what dead supervisors left in @all, unless it is -1, and groups that nobody holds. */
void sandboxes_sweep(int all);

/*
 * Connect to the supervisor of @f. An error if it has ended. An answer that does
 * not come within some seconds is -EAGAIN to whoever receives.
 * @wake: if the supervisor itself is suspended (Ctrl-Z), let it go on.
 */
int sandbox_talk(const struct found_sandbox *f, bool wake, struct err *e);

/* Send, and receive its answer, of type @want. */
int sandbox_ask(int fd, const char *name, enum control_type request, uint32_t value,
		enum control_type want, struct control_message *answer, struct err *e);
/* Only the former. */
int sandbox_tell(int fd, const char *name, enum control_type request, uint32_t value,
		 struct err *e);
/* Only the latter. @patient: however long it takes. */
int sandbox_hear(int fd, const char *name, bool patient, enum control_type want,
		 struct control_message *answer, struct err *e);

/* The same for an answer with descriptors: room and count in *@nfds; they are the caller's. */
int sandbox_hear_fds(int fd, const char *name, enum control_type want,
		     struct control_message *answer, int *fds, unsigned *nfds, struct err *e);

/* Wait until nobody holds the lock of @dir any more: at most @ms. */
bool sandbox_wait_unlocked(int dir, int ms);

/* The command line. */
enum { OPTION_VALUES_MAX = 64 };

struct option_values {
	const char *items[OPTION_VALUES_MAX];
	int count;
};

struct option_word {
	char letter;	    /* 0: none */
	const char *name;   /* without the dashes */
	const char **value; /* takes one; or */
	bool *flag;
	struct option_values *values; /* takes one each time that it is given */
};

struct command_line {
	const char *const *help; /* lines, NULL at the end */
	const char *usage;	 /* one line, for the remedy */
	const struct option_word *options;
	size_t options_count;
	int least, most; /* names; most -1: any number */
};

/*
 * Take the options out of @argv; what is left are names, NULL at the end, and their
 * number in *names. 1: the help was asked for and printed.
 */
int command_line(const struct command_line *c, int argc, char **argv, int *names, struct err *e);

/* Print @e, and the exit status for it. */
int command_failed(const struct err *e);
/* What was gathered to standard output. 0 or EXIT_PURPLE. */
int command_output(const struct buf *out);

/* @s as a terminal may see it, at most @columns wide (0: all of it), filled up if @pad. */
void put_cell(struct buf *b, const char *s, size_t columns, bool pad);
/* Its width. */
size_t cell_width(const char *s);

int cmd_ps(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_net(int argc, char **argv);
int cmd_intent(int argc, char **argv);
int cmd_metrics(int argc, char **argv);

#endif
