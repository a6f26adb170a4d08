/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the caller's terminal and the sandbox's own: bytes both ways, window
 * size, raw mode on the caller's side so that Ctrl-C and Ctrl-Z become signals
 * inside and not here. See termios(3), pty(7).
 *
 * The sandbox never holds a descriptor of the caller's terminal, so nothing it
 * does (TIOCSTI, TIOCLINUX, settings) reaches it.
 */
#ifndef PURPLE_SUPERVISOR_PTY_H
#define PURPLE_SUPERVISOR_PTY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

enum { PTY_POLLFDS = 3 };

/* One direction: what was read and is not written yet. */
struct pty_pipe {
	size_t len, off;
	char *data; /* a page-sized buffer of pty.c */
};

struct pty {
	int master;	    /* -1: no terminal (yet); the jail owns it */
	int in, out, local; /* descriptors 0-2 of the caller that are terminals; -1: none */
	bool raw;	    /* @saved holds settings to put back, and we read @in */
	bool in_closed;	    /* the caller's input has ended */
	bool held_cr;	    /* a "\r" was read that may belong to a "\n" */
	struct termios saved;
	struct pty_pipe inward, outward;
};

#define PTY_INIT ((struct pty){ .master = -1, .in = -1, .out = -1, .local = -1 })

/* @terminal: bit n says that descriptor n is a terminal. */
void pty_open(struct pty *p, int master, unsigned terminal);
void pty_resize(struct pty *p);
/*
 * In the foreground (again): raw mode, and read. A background job leaves the
 * terminal's settings and its input to whoever has them.
 */
void pty_foreground(struct pty *p);
/* Before we are stopped: the settings that the caller had. */
void pty_release(struct pty *p);

/* In the background with a terminal: nobody tells us when that changes. */
static inline bool pty_in_background(const struct pty *p)
{
	return p->master >= 0 && p->in >= 0 && !p->raw;
}
/* Fill PTY_POLLFDS entries, and act on them after poll(2). */
void pty_prepare(struct pty *p, struct pollfd *fds);
void pty_handle(struct pty *p, const struct pollfd *fds);
/* The sandbox has ended: deliver the rest of its output, restore the terminal. */
void pty_finish(struct pty *p);

#endif
