/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all probes share. A probe tries one thing that a sandbox must not let
 * through, and ends with what came of it:
 *	 0  contained: refused; the evidence is printed
 *	 1  ESCAPED: it worked
 *	77  it cannot be tried here; why is printed
 * Static, no library but libc, and no privilege of its own.
 */
#ifndef PROBE_H
#define PROBE_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONTAINED = 0, ESCAPED = 1, CANNOT = 77 };

__attribute__((__noreturn__, __format__(__printf__, 2, 3))) static inline void
verdict(int status, const char *fmt, ...)
{
	static const char *const words[] = { "contained: ", "ESCAPED: " };
	va_list ap;

	fputs(status == CANNOT ? "cannot: " : words[status], stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	_exit(status);
}

/* The usual end: @r of a system call, errno set. */
__attribute__((__noreturn__)) static inline void judge(long r, const char *what)
{
	if (r < 0)
		verdict(CONTAINED, "%s: %s", what, strerror(errno));
	verdict(ESCAPED, "%s worked (%ld)", what, r);
}

__attribute__((__noreturn__)) static inline void usage(const char *text)
{
	fprintf(stderr, "usage: %s\n", text);
	_exit(2);
}

/* @fn in a child that the kernel may kill: its wait status, or -1. */
static inline int in_child(void (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(99);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return status;
}

#endif
