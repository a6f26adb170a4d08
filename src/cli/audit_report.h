/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account of one sandbox, from its lines of the trail: gathered once, as one JSON
 * object, which `--format json` prints and which the texts are made from.
 *
 *	sandbox     id, name, profile, plan, command, workspace, uid, pid
 *	created, started, ended   times, or absent; "running": true, if its end is not there
 *	end         reason, status, signal, duration_ms, cpu_us, memory_peak; of a workspace
 *	            in review changes_added, changes_modified, changes_deleted
 *	counts      {type: events}, each with its "count"
 *	activity    from, to, buckets; lanes: {name: [events of each bucket]}
 *	timeline    time, type, severity, text, count, until
 *	processes   in the order of a tree: depth, pid, ppid, path, argv, cwd, started, ended,
 *	            status, signal, error
 *	hosts       host, addresses, port, proto, allowed, refused, first, last
 *	names       host, addresses, allowed, refused
 *	written     path, access, count, first, last, by
 *	refused     type, what, count, first, last, error, layer, rule, reason, allow, advice, by
 *	limits, outputs, downgrades, gaps, errors, changes, requests   time and the fields
 *	intents     time, text, expect, until, events, met, unmet, unannounced: rule, message,
 *	            what, count, first, refused
 *	left_out    {section: how many more there were}
 *	trail       file, first_seq, last_seq, lines, damaged
 *
 * Memory is bounded: a section takes at most REPORT_ITEMS, what is more is counted.
 * All texts are as the trail has them, escaped by event/event.h; a form escapes them for
 * itself once more.
 */
#ifndef PURPLE_CLI_AUDIT_REPORT_H
#define PURPLE_CLI_AUDIT_REPORT_H

#include "cli/intent_rules.h"
#include "cli/trail_reader.h"

enum { REPORT_ITEMS = 5000, REPORT_BUCKETS = 120 };

struct report {
	json_t *root; /* owned */
	const struct intent_rules *rules;
	/* By key, for what comes again; owned. */
	json_t *keys;
	json_t *intent; /* the last one; of @root */
	uint64_t begin_ns, end_ns;
	uint64_t lines;
};

/* Of which sandbox, and when. */
struct report_subject {
	char id[128];
	uint64_t begin_ns, end_ns;
	uint64_t sandboxes; /* that have the name */
};

/* Find the id of @name: an id, or the name of the last one called so. -ENOENT. */
int report_find(struct trail_reader *r, const char *name, struct report_subject *s, struct err *e);

int report_begin(struct report *p, const struct report_subject *s,
		 const struct intent_rules *rules);
void report_add(struct report *p, const struct trail_line *l);
/* The rest, when all lines were added. */
void report_end(struct report *p, const struct trail_reader *r);
void report_free(struct report *p);

/* Part of the former two: audit_intents.c, audit_tree.c. */
void report_add_intent(struct report *p, const struct trail_line *l);
void report_end_intents(struct report *p);
void report_add_process(struct report *p, const struct trail_line *l);
void report_end_processes(struct report *p);

/* For them: a new item of a section. NULL: there is no more room, it was counted. */
json_t *report_item(struct report *p, const char *section, const char *key, bool *fresh);
void report_copy(json_t *to, const struct trail_line *l, enum event_field f);
void report_count(json_t *o, const char *key, uint64_t by);
/* A program that is not where PATH was searched for it. */
bool report_is_search(const struct trail_line *l);
uint64_t report_times(const struct trail_line *l); /* how often it happened */

/* The forms; @b takes the whole text. */
void report_text(const json_t *root, struct buf *b);
void report_html(const json_t *root, struct buf *b);

/* What the forms share. */
const char *report_string(const json_t *o, const char *key); /* "" if it is not there */
uint64_t report_number(const json_t *o, const char *key);
/* "1.62 s", "3 min 5 s", "2 h 4 min" */
void report_duration(struct buf *b, uint64_t ms);
void report_bytes(struct buf *b, uint64_t bytes);
/* "3 files added, 1 modified, 2 deleted"; nothing if none wait for review */
void report_changes(struct buf *b, const json_t *end);
/* "exited with status 3", "killed by signal 9 (timeout)", "still running" */
void report_how_it_ended(struct buf *b, const json_t *root);

#endif
