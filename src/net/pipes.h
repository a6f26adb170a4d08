/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes for splice(2), which a flow has only while bytes are on their way. Up
 * to PIPES_KEPT idle ones are kept; all that are here are empty.
 */
#ifndef PURPLE_NET_PIPES_H
#define PURPLE_NET_PIPES_H

enum {
	PIPES_KEPT = 32,
	/* Asked for; a user over pipe-user-pages-soft gets less, see pipe(7), which only is slower.
	 */
	PIPES_BYTES = 256 << 10,
};

struct pipes {
	int kept[PIPES_KEPT][2];
	unsigned count;
};

/* One for @ret, to read from [0] and write to [1]. 0 or -errno. */
int pipes_take(struct pipes *p, int ret[2]);
/* Give an empty one back. @pipe becomes -1. */
void pipes_give(struct pipes *p, int pipe[2]);
/* End one with bytes in it, or none at all. */
void pipes_close(int pipe[2]);
void pipes_free(struct pipes *p);

#endif
