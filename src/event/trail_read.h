/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trail as readers see it: all its files, at one moment. For programs of their
 * own; the supervisor needs none of it.
 *
 * Older files are PATH.N, and PATH-N (what other rotators write), in the order of
 * their lines' numbers; others that only have such a name are left out. Files that are compressed
 * are not read. PATH itself is the last one. Names are relative to the directory.
 */
#ifndef PURPLE_EVENT_TRAIL_READ_H
#define PURPLE_EVENT_TRAIL_READ_H

#include <stdint.h>

#include "base/err.h"
#include "base/macros.h"
#include "event/trail.h"

struct trail_part {
	char name[256];
	uint64_t first; /* number of its first line */
	int fd;		/* only PATH's is open; owned */
	uint64_t size;	/* when it was looked at; of PATH: while no writer was at it */
	int head_error; /* 0: there is a head; -ENOENT, or -EBADMSG: it is none */
	struct trail_head head;
	char sig[1024]; /* its signature file; none: empty */
	size_t sig_len;
};

struct trail_snapshot {
	int dir;		  /* owned */
	struct trail_part *parts; /* oldest first; owned */
	size_t count, room;
};

/*
 * 0; -ENOENT with @e set: there is no such trail. Waits for writers, but not for one
 * that is stuck: -EAGAIN with @e set, after 10 s.
 */
int trail_snapshot(struct trail_snapshot *s, const char *path, struct err *e);
void trail_snapshot_free(struct trail_snapshot *s);
#define _cleanup_trail_snapshot_ _cleanup_(trail_snapshot_free)
#define TRAIL_SNAPSHOT_INIT ((struct trail_snapshot){ .dir = -1 })

/* Open the part with number @i, to read: a descriptor of the caller's, or -errno. */
int trail_part_open(const struct trail_snapshot *s, size_t i);

#endif
