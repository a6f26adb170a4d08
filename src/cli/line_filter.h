/* SPDX-License-Identifier: Apache-2.0 */
/* Which lines of a trail are wanted: the filters of `purple audit show` and `purple events`. */
#ifndef PURPLE_CLI_LINE_FILTER_H
#define PURPLE_CLI_LINE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/trail_reader.h"

struct line_filter {
	/* As on the command line; NULL: not given. */
	const char *sandbox, *types, *since, *until, *grep, *severity;
	uint64_t since_ns, until_ns;
	enum event_severity least;
};

/* Check and read the texts. */
int line_filter_init(struct line_filter *f, struct err *e);
bool line_filter_match(const struct line_filter *f, const struct trail_line *l);

/* "2026-11-24T18:49:53Z", "2026-11-24", "10m", "2h ago". */
int moment_parse(const char *s, uint64_t now_ns, uint64_t *ns);

#endif
