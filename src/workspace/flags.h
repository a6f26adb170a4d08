/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host would later run or obey, by itself or because somebody does what is
 * ordinary: executes-on-host. A table of paths with the reason for each, and rules for
 * modes and links. A flag says "look at this one", not "this is bad"; what has none is
 * not therefore harmless (a source file is built and run).
 *
 * Paths are compared as the most lenient file system would: without regard to case,
 * blanks and dots at the end of a name and what follows a ':' (NTFS), characters that
 * HFS+ ignores, and letters that fold to ASCII ones (U+017F, U+212A); "git~1" is ".git".
 */
#ifndef PURPLE_WORKSPACE_FLAGS_H
#define PURPLE_WORKSPACE_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flag {
	const char *pattern; /* components, anywhere below the workspace; '*' in one, "**" */
	const char *kind;    /* a word for rules: "git", "editor", "agent", … */
	const char *why;     /* half a sentence: "runs when …" */
};

/* The rows of the table, for those who protect these paths. */
extern const struct flag flag_table[];
extern const size_t flag_table_count;

/*
 * By @path (relative): the row that it is of, or NULL. @link: it is a symbolic link now, so
 * that what should be below it comes from elsewhere.
 */
const struct flag *flag_path(const char *path, bool link);

/* What is known of a file, for flag_of(). */
struct flag_facts {
	const char *path;
	uint32_t mode, mode_before; /* 0: not there */
	bool content;		    /* new or changed */
	bool capabilities;	    /* it has or loses security.capability */
	const char *target;	    /* of a symbolic link that is new or changed; else NULL */
};

/* By all rules; NULL: none. */
const struct flag *flag_of(const struct flag_facts *f);

/* May a link at @path with this target lead out of the workspace? By its words only. */
bool flag_link_leaves(const char *path, const char *target);

#endif
