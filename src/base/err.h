/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error record of everything above base/ and sys/.
 *
 * Purpose: say what failed, on what object, why, and what to do, in plain
 * data of a fixed size, so that a child which shares our memory, or one at
 * the other end of a pipe, can hand over a whole error in one store or write.
 *
 * Contract: a function that takes `struct err *` returns 0 or a negative
 * errno, and on failure has filled the record once. The first error wins;
 * nobody overwrites an error that is set. Strings are always terminated;
 * too long ones are cut.
 */
#ifndef PURPLE_BASE_ERR_H
#define PURPLE_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

struct err {
	int32_t code;	   /* positive errno, 0 while nothing failed */
	int32_t exit_code; /* the status that the command should end with */
	char stage[24];	   /* the step that failed: "rootfs", "policy", … */
	char message[512]; /* one line: what failed and why, without the errno */
	char remedy[256];  /* what to do about it; may be empty */
};

/* "EACCES"; "errno 99" in @buf of one that is not in the table here. */
enum { ERR_NAME = 16 };
const char *err_name(int code, char buf[ERR_NAME]);

/* Exit status of Purple itself; DESIGN §2. */
enum {
	EXIT_TIMEOUT = 124,    /* the session's time ran out */
	EXIT_PURPLE = 125,     /* Purple failed before the command started */
	EXIT_NOT_EXEC = 126,   /* the command was found but cannot be executed */
	EXIT_NOT_FOUND = 127,  /* the command was not found */
	EXIT_SIGNAL_BASE = 128 /* 128+N: signal N ended the command */
};

/*
 * Fill @e. @code is an errno, of either sign. Returns -|code|, so that a
 * caller can write `return err_set(e, -EINVAL, "rootfs", "…")`.
 */
int err_set(struct err *e, int code, const char *stage, const char *fmt, ...) _printf_(4, 5);

/* Add what to do about it. Keeps an earlier remedy. */
void err_remedy(struct err *e, const char *fmt, ...) _printf_(2, 3);

static inline bool err_is_set(const struct err *e)
{
	return e->code != 0;
}

/*
 * One line (two with a remedy) for a person, newline included:
 *   purple: rootfs: bind /opt/x at /opt/x: No such file or directory
 * Control characters from hostile names come out escaped. Returns the length
 * written to @buf, always terminated and below @size.
 */
size_t err_format(const struct err *e, char *buf, size_t size);

/* err_format() to standard error, in one write. */
void err_print(const struct err *e);

#endif
