/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a line one of a chain: its number, and the hash of the line before. Pure. */
#ifndef PURPLE_EVENT_TRAIL_LINE_H
#define PURPLE_EVENT_TRAIL_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "event/trail.h"

#define TRAIL_SEQ "{\"seq\":"
#define TRAIL_PREV "\"prev\":\""
enum { TRAIL_PREV_SIZE = sizeof(TRAIL_PREV) - 1 + 2 * SHA256_SIZE + 2 }; /* with "} */

struct trail_link {
	uint64_t seq;
	uint8_t prev[SHA256_SIZE];
};

/* The link of a line (without its newline); -EBADMSG if it has none. Does not read its middle. */
int trail_link_parse(const char *line, size_t len, struct trail_link *ret);

/* The SHA-256 of a line, without its newline. */
void trail_hash(const char *line, size_t len, uint8_t ret[SHA256_SIZE]);

/* Does the line continue the chain at @h? Then @h is moved behind it. */
bool trail_continue(struct trail_head *h, const char *line, size_t len);

/*
 * Add the line with event_encode()'s text @middle to @b, and move @h behind it.
 * That grows by less than TRAIL_LINK_ROOM bytes.
 */
enum { TRAIL_LINK_ROOM = 128 };
void trail_line(struct buf *b, struct trail_head *h, const char *middle, size_t len);

#endif
