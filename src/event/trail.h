/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit trail: a file of lines (event/event.h), each with the hash of the
 * one before, that any number of supervisors append to.
 *
 *	PATH		the lines
 *	PATH.head	"purple-trail 1 seq=%020llu size=%020llu hash=%64s\n": the
 *			next number, the bytes of PATH that count, and the SHA-256 of
 *			the last line (without its newline). Its lock is the trail's.
 *	PATH.sig	an Ed25519 signature of a head, when there is a key; made by
 *			`purple-audit sign`, not here
 *	PATH.1, …	older files, oldest first: 1, 2, 3 …, each with its head (PATH.1.head)
 *			and signature
 *
 * "seq" counts over all files, from 1; "prev" of the first line of all is 64 zeros,
 * that of a later file's first line is the hash of the last line of the file before.
 * Every file begins with an audit.opened. So a line that is changed, missing or out
 * of order breaks the chain, and what is cut off at the end disagrees with the head.
 *
 * Appending: flock(2) PATH.head, never waiting longer than the caller allows; if
 * PATH is no longer the file that is open (rotated by somebody else, moved away,
 * removed), open it anew; lines behind the head's size were written by somebody who
 * died before the head was: whole ones that continue the chain are taken over, the
 * rest is cut off and an audit.gap says how much; write all lines by one pwrite(2),
 * then the head. A crash loses at most what was being written. Nothing is fsync'ed
 * but at the end of a sandbox and at rotation.
 *
 * Rotation, each step of which may be the last one: PATH.N.head is written, PATH
 * renamed to PATH.N, PATH.head says size=0, PATH.sig renamed to PATH.N.sig. A head
 * with a size whose PATH is missing or empty is such a crash, or somebody has moved
 * the file away: the next writer says size=0 and begins a new file, which continues
 * the chain. So a head whose size is not 0 is always one of the PATH that is there.
 *
 * Whoever has written once remembers the head. If that is older afterwards, or gone,
 * the chain goes on from what is remembered, and so a reader finds the hole.
 *
 * For the static supervisor: no libraries. Everything by descriptor; no link is
 * followed but root's own on the way to the directory; the files are 0600. A file or
 * directory that another user owns or may write is refused; so is a PATH that is
 * there and is no trail.
 */
#ifndef PURPLE_EVENT_TRAIL_H
#define PURPLE_EVENT_TRAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"
#include "event/event.h"

enum { TRAIL_HEAD_SIZE = sizeof("purple-trail 1 seq= size= hash=\n") - 1 + 20 + 20 + 64 };
enum { TRAIL_PENDING_MAX = 4 << 20 }; /* bytes that wait to be written; more is lost, and counted */

struct trail_head {
	uint64_t seq; /* of the next line */
	uint64_t size;
	uint8_t hash[SHA256_SIZE];
};

struct trail {
	char path[4096];
	const char *base;  /* its name, in path */
	int dir;	   /* that PATH is in */
	int file;	   /* PATH, O_APPEND-less; -1: not open */
	int head;	   /* PATH.head */
	uint64_t ino, dev; /* of PATH */
	uint64_t head_ino;
	uint64_t rotate_bytes;	      /* 0: never; a file has more by at most one flush */
	const char *sandbox, *name;   /* for lines of the trail's own; NULL: "" */
	struct buf pending;	      /* event_encode()d, NUL-terminated each */
	uint64_t pending_lines, lost; /* lines; lost: to be told by an audit.gap */
	uint64_t lost_total;
	struct trail_head known; /* as last written here; seq 0: not yet */
};

/*
 * Open it, and make it with its directory (0700) where it is missing. Sets all of @t
 * but rotate_bytes, sandbox and name. -errno with @e set and nothing open.
 */
int trail_open(struct trail *t, const char *path, struct err *e);

/* Remember @ev for the next trail_flush(). Over TRAIL_PENDING_MAX: counted as lost. */
void trail_add(struct trail *t, const struct event *ev);

/*
 * Write what is pending. 0; -EAGAIN: another has the lock, after @wait_ms; the
 * lines stay pending; another -errno with @e set (the disk is full, the file
 * cannot be opened any more …): they stay pending as well, and the file is as before.
 */
int trail_flush(struct trail *t, unsigned wait_ms, struct err *e);

void trail_sync(struct trail *t);
void trail_close(struct trail *t); /* what is pending is lost */

/* The text of a head; -EBADMSG if it is none. */
int trail_head_parse(const char *text, size_t len, struct trail_head *ret);
void trail_head_format(const struct trail_head *h, char ret[TRAIL_HEAD_SIZE + 1]);

#endif
