/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a supervisor and purple-otlp, which sends its spans to a collector: OTLP/HTTP
 * with JSON, opentelemetry.io/docs/specs/otlp. A SEQPACKET socket pair.
 *
 * The supervisor sends OTLP_CONFIG before it starts purple-otlp, which does not wait for
 * it; then an OTLP_SPAN for each span, never waiting: what
 * does not fit into the socket is lost, and counted there. It closes its end, or
 * shuts it, when there is nothing more. purple-otlp sends batches; it answers with a
 * struct otlp_told when its counts have changed, and a last one (@done) before it ends.
 *
 * Limits: it holds at most OTLP_QUEUE_MAX bytes; a batch is tried OTLP_TRIES times, and
 * is given up after OTLP_BATCH_MS; after the supervisor's end it lives for at most
 * OTLP_LINGER_MS. What is given up is dropped and counted: in otlp_told, and in the file that is
 * OTLP_COUNTS_FD (if it is open), in which all sandboxes of a user add up: at @counts_at two
 * uint64_t, spans exported and dropped.
 */
#ifndef PURPLE_EVENT_OTLP_H
#define PURPLE_EVENT_OTLP_H

#include <stdint.h>

#include "event/span.h"

enum { OTLP_CONTROL_FD = 3, OTLP_COUNTS_FD = 4 };
enum { OTLP_QUEUE_MAX = 1 << 20, OTLP_BATCH_SPANS = 512, OTLP_BATCH_BYTES = 256 << 10 };
enum { OTLP_TRIES = 5, OTLP_FIRST_RETRY_MS = 250, OTLP_BATCH_MS = 30000, OTLP_LINGER_MS = 5000 };
enum { OTLP_DELAY_MS = 1000, OTLP_REQUEST_MS = 4000, OTLP_RESOLVE_MS = 3000 };

enum otlp_type {
	OTLP_CONFIG =
		1, /* the endpoint, or "", and its NUL; attributes of the resource, and a NUL */
	OTLP_SPAN  /* one, JSON */
};
enum { OTLP_CALLER = 1 }; /* a flag of OTLP_CONFIG: the caller's OTEL_* variables count */

struct otlp_head {     /* of a message of the supervisor's; what it is of follows */
	uint32_t type; /* enum otlp_type */
	uint32_t flags;
	uint32_t counts_at; /* OTLP_CONFIG; aligned to 8 */
	uint32_t pad;
};

struct otlp_told {
	uint64_t exported, dropped; /* spans, so far */
	uint32_t done;
	char why[164]; /* why the last was dropped; "" if none was. Hostile: a server's words */
};

#endif
