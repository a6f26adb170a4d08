/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was refused, gathered: one entry for each cause, with how often, and the line of a
 * policy that would allow it. At most DENIALS_MAX; the rest is counted.
 *
 * What of it comes from inside (names, paths) is hostile; here it is escaped as
 * event/event.h says, so that all texts can be printed.
 */
#ifndef PURPLE_SUPERVISOR_DENIALS_H
#define PURPLE_SUPERVISOR_DENIALS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "event/advice.h"
#include "event/event.h"

enum { DENIALS_MAX = 64, DENIAL_WHAT = 512, DENIAL_LINE = 2400 };

struct denial {
	uint8_t type; /* enum event_type */
	uint8_t udp;
	uint16_t port; /* 0: a look-up */
	uint32_t pad;
	uint64_t count;
	uint64_t told;		/* of them, inside */
	char what[DENIAL_WHAT]; /* "read /opt/x", "ptrace", "a.example:443"; cut */
	char reason[100];	/* "EACCES", "not listed" */
	char layer[24];		/* "mount", "seccomp", "network", "limits" */
	char rule[300];		/* of the policy, that refused; "": not known */
	char host[256];		/* of the network's: name or address; "": of none */
	char address[46];	/* that the name leads to; "": no matter */
	char allow[ADVICE_LINE];
	char why[ADVICE_WHY]; /* see struct advice */
};

struct denials {
	uint32_t count;
	uint32_t pad;
	uint64_t others; /* refusals that no item tells of */
	uint64_t others_told;
	struct denial items[DENIALS_MAX];
};

/* Does an event of @type tell of a refusal? */
bool denial_is(enum event_type type);

/* What @ev tells, @d zeroed. False: it names nothing, but is a count of many. */
bool denial_fill(struct denial *d, const struct event *ev, const struct advice *a);
/* Of one cause: they are one, with a count. */
bool denial_is_same(const struct denial *a, const struct denial *b);
/* A file that is not there inside. */
bool denial_is_absence(const struct denial *d);
/*
 * And the host has not either. Below one's home, and elsewhere on the root's file system: another
 * is not asked, so this waits for no other machine.
 */
bool denial_host_lacks(const struct denial *d);

/*
 * Count what @ev tells. Returns its item, until the next call; NULL if there is none: it
 * names nothing, or there is no room.
 */
const struct denial *denials_add(struct denials *d, const struct event *ev, const struct advice *a);

/* What happened and why and what to do, in one line without its end. */
void denial_line(const struct denial *d, char ret[DENIAL_LINE]);

/* "network", "files", "seccomp" or "limits": what such a line is about. Constant. */
const char *denial_topic(const struct denial *d);

/*
 * One as JSON, without its braces: type (the event's), what, layer, reason, rule, count,
 * allow, option (of `purple run`), why; null where there is none. Of the network's also
 * host, port (null: a look-up), protocol ("tcp", "udp", "dns") and, where it is known, address.
 */
void denial_json(const struct denial *d, struct buf *b);
void denials_json(const struct denials *d, struct buf *b); /* an array of all */

#endif
