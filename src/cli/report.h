/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `--report FILE` or `--report fd:N`: how it ended, as one JSON object and a
 * newline:
 *
 *	version      1
 *	profile      the policy's name
 *	status       what purple exits with
 *	id, name     of a sandbox that had them: not one that ended within 10 ms
 *	reason       "exited", "signalled", "killed", "not started", "stopped" (by
 *	             purple stop), "timeout", "cpu time" or "out of memory"
 *	network      "died", if purple-net did: from then on nothing was reachable;
 *	             network_reason says of what
 *	denials      what was refused, at most 64: [{type: "net.denied", "dns.denied",
 *	             "file.denied", "syscall.denied" or "limit.reached", what, layer, reason, rule,
 *	             count, allow: the line of a policy that would allow it, option: of `purple
 *	             run`, the same, why: why no line does, or what else it takes}], null where
 *	             there is none. Of the network's also host, port (null: a look-up), protocol:
 *	             "tcp", "udp" or "dns", and `address` where a name leads to a special one;
 *	             reason there: "not listed", "blocked", "special address", "another name", "no
 *	             name", "unreachable", "too many names" or "too many connections".
 *	             denials_not_listed: how many more there were. Left out where nothing was
 *	             refused. Files and calls: only where they are observed (audit, denials.file)
 *	changes      {store, added, modified, deleted}: files of the workspace that wait for
 *	             `purple diff STORE`; left out where none do
 *	outputs      [{path, bytes, error}]: what filesystem.output_paths gave, at most 64, with
 *	             an error, an errno's name, where it was not collected; outputs_not_listed
 *	             and outputs_lost: how many more, and how many in all were lost. Left out
 *	             where there are no boxes
 *	signal       where one ended the command or the sandbox
 *	error        {stage, message, remedy}, with "not started"
 *	downgrades   [{what, why}], under best-effort
 *	usage        {wall_ms, user_ms, system_ms, max_rss_kb} of the whole sandbox; with
 *	             a control group, those of its figures that the host has: cpu_us,
 *	             throttled_us, memory_peak_bytes, oom_kills, pids_peak,
 *	             forks_refused, io_read_bytes, io_written_bytes
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
	struct timespec start; /* CLOCK_MONOTONIC, by report_open() */
};

#define REPORT_INIT ((struct report){ .fd = -1 })

/* Open what @where names, NULL for none. The file is made or emptied. */
int report_open(struct report *r, const char *where, struct err *e);
/* Close every descriptor above 2 but the report's. */
void report_close_others(const struct report *r);
void report_write(struct report *r, const struct outcome *out, const struct err *e);

#endif
