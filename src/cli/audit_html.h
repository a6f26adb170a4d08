/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of an account's HTML. Private to audit_html*.c. Whatever comes from a trail
 * goes through html_put(), html_text() or html_code().
 */
#ifndef PURPLE_CLI_AUDIT_HTML_H
#define PURPLE_CLI_AUDIT_HTML_H

#include "cli/audit_report.h"

extern const char html_style[];

/* Text, escaped for elements and for attributes in double quotes. */
void html_put(struct buf *b, const char *s);
/* The same, apart from the text around in direction; long ones fold. */
void html_text(struct buf *b, const char *s);
/* As code. */
void html_code(struct buf *b, const char *s);
/* A list of texts as code, with commas. */
void html_codes(struct buf *b, const char *before, const json_t *list);
/* A command's words, as a shell would take them. */
void html_words(struct buf *b, const json_t *list);
/* "+1.234 s" since @begin_ns, the whole time in its title. */
void html_time(struct buf *b, const char *time, uint64_t begin_ns);
/* With thin blanks: 100 000. */
void html_number(struct buf *b, uint64_t n);
void html_times(struct buf *b, uint64_t count);

/* When what happened: a row of bars for each lane. */
void html_lanes(const json_t *root, uint64_t begin_ns, struct buf *b);

#endif
