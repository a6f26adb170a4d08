/* SPDX-License-Identifier: Apache-2.0 */
/*
 * W3C Trace Context (www.w3.org/TR/trace-context-2): who caused what, across programs.
 * The values of TRACEPARENT and TRACESTATE come from whoever started us, and are
 * taken strictly: what the recommendation calls invalid is as if it were not there. Pure.
 */
#ifndef PURPLE_EVENT_TRACE_CONTEXT_H
#define PURPLE_EVENT_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

enum { TRACE_ID_SIZE = 16, SPAN_ID_SIZE = 8 };
enum { TRACEPARENT_LEN = 55, TRACESTATE_MAX = 512, TRACESTATE_MEMBERS = 32 };
enum { TRACE_SAMPLED = 1, TRACE_RANDOM = 2 }; /* §3.2.2.5; other flags are not passed on */

struct trace_context {
	uint8_t trace_id[TRACE_ID_SIZE];
	uint8_t span_id[SPAN_ID_SIZE];
	uint8_t flags;
};

/* False: it is none, and @ret is as it was. NULL is none. */
bool trace_context_parse(const char *traceparent, struct trace_context *ret);

/* Of version 00. */
void trace_context_format(const struct trace_context *c, char ret[TRACEPARENT_LEN + 1]);

/* A list that can be passed on as it is: §3.3. An empty one, and NULL, cannot. */
bool trace_state_ok(const char *tracestate);

#endif
