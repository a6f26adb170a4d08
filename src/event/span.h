/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One span as a JSON object of OTLP: message Span of opentelemetry/proto/trace/v1/trace.proto,
 * in the JSON of opentelemetry.io/docs/specs/otlp ("JSON Protobuf Encoding"): ids in hexadecimal,
 * enumerations as numbers, 64-bit integers as strings.
 *
 * A writer is used in this order: span_begin(), attributes, span_events(), for each event
 * span_event() and its attributes, span_end(). Texts may be hostile: they are escaped as
 * event/event.h says, and cut to EVENT_TEXT_MAX and EVENT_LIST_MAX.
 */
#ifndef PURPLE_EVENT_SPAN_H
#define PURPLE_EVENT_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "event/event.h"
#include "event/trace_context.h"

enum { SPAN_MAX = 96 * 1024, SPAN_ITEMS_MAX = 128 }; /* bytes of one, JSON; items of a list */

struct span {
	const char *name; /* a constant */
	struct trace_context context;
	const uint8_t *parent;	   /* SPAN_ID_SIZE bytes; NULL: none */
	bool remote;		   /* the parent is another program's */
	const char *state;	   /* TRACESTATE; NULL: none */
	uint64_t start_ns, end_ns; /* CLOCK_REALTIME */
	const char *error;	   /* why it failed; NULL: it did not */
};

struct span_writer {
	struct buf *b; /* the caller's */
	bool more;     /* a comma is due */
	bool in_event;
	const char *error;
};

void span_begin(struct span_writer *w, struct buf *b, const struct span *s);
void span_text(struct span_writer *w, const char *key, const char *value); /* NULL: left out */
void span_bytes(struct span_writer *w, const char *key, const char *value, size_t len);
void span_number(struct span_writer *w, const char *key, int64_t value);
/* Strings, each with its NUL. */
void span_list(struct span_writer *w, const char *key, const char *strings, size_t len);

void span_events(struct span_writer *w);
void span_event(struct span_writer *w, const char *name, uint64_t time_ns);
/* Events that were encoded before, by span_event_encode(), with commas between them. */
void span_events_add(struct span_writer *w, const struct buf *encoded);
void span_end(struct span_writer *w, uint64_t dropped_events);

/* @ev as an event of a span, behind what @b holds; fields are attributes "purple.NAME". */
void span_event_encode(const struct event *ev, uint64_t time_ns, struct buf *b);

#endif
