/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `--report FILE` or `--report fd:N`: how it ended, as one JSON object and a
 * newline:
 *
 *	version      1
 *	profile      the policy's name
 *	status       what purple exits with
 *	reason       "exited", "signalled", "killed" or "not started"
 *	signal       with "signalled" and "killed"
 *	error        {stage, message, remedy}, with "not started"
 *	downgrades   [{what, why}], under best-effort
 *	usage        {wall_ms, user_ms, system_ms, max_rss_kb} of the whole sandbox
 */
#ifndef PURPLE_CLI_REPORT_H
#define PURPLE_CLI_REPORT_H

#include <time.h>

#include "base/err.h"
#include "plan/plan.h"
#include "supervisor/run.h"

struct report {
	int fd; /* -1: no report wanted */
	const struct plan *plan;
	struct timespec start;
};

#define REPORT_INIT ((struct report){ .fd = -1 })

/* Open what @where names, NULL for none. The file is made or emptied. */
int report_open(struct report *r, const char *where, struct err *e);
/* Close every descriptor above 2 but the report's. */
void report_close_others(const struct report *r);
void report_write(struct report *r, const struct outcome *out, const struct err *e);

#endif
