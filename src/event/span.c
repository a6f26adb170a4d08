/* SPDX-License-Identifier: Apache-2.0 */
#include "event/span.h"

#include <inttypes.h>
#include <string.h>

enum { KIND_INTERNAL = 1, STATUS_ERROR = 2 };
/* enum SpanFlags: whether the parent is remote is known, and so. */
enum { HAS_IS_REMOTE = 0x100, IS_REMOTE = 0x200 };

static void add_hex(struct buf *b, const char *key, const uint8_t *id, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * TRACE_ID_SIZE];

	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digits[id[i] >> 4];
		text[2 * i + 1] = digits[id[i] & 15];
	}
	buf_puts(b, key);
	buf_puts(b, "\"");
	buf_add(b, text, 2 * size);
	buf_puts(b, "\"");
}

static void add_text(struct buf *b, const char *s, size_t len, size_t max)
{
	buf_puts(b, "\"");
	event_escape(b, s, MIN(len, max), true);
	buf_puts(b, len > max ? "…\"" : "\"");
}

void span_begin(struct span_writer *w, struct buf *b, const struct span *s)
{
	unsigned flags = s->context.flags;

	if (s->parent)
		flags |= HAS_IS_REMOTE | (s->remote ? IS_REMOTE : 0);
	*w = (struct span_writer){ .b = b, .error = s->error };
	add_hex(b, "{\"traceId\":", s->context.trace_id, TRACE_ID_SIZE);
	add_hex(b, ",\"spanId\":", s->context.span_id, SPAN_ID_SIZE);
	if (s->state) {
		buf_puts(b, ",\"traceState\":");
		add_text(b, s->state, strlen(s->state), TRACESTATE_MAX);
	}
	if (s->parent)
		add_hex(b, ",\"parentSpanId\":", s->parent, SPAN_ID_SIZE);
	buf_printf(b,
		   ",\"flags\":%u,\"name\":\"%s\",\"kind\":%d,\"startTimeUnixNano\":\"%" PRIu64
		   "\",\"endTimeUnixNano\":\"%" PRIu64 "\",\"attributes\":[",
		   flags, s->name, KIND_INTERNAL, s->start_ns, MAX(s->start_ns, s->end_ns));
}

static void key(struct span_writer *w, const char *name, const char *kind)
{
	buf_puts(w->b, w->more ? ",{\"key\":\"" : "{\"key\":\"");
	buf_puts(w->b, name);
	buf_puts(w->b, "\",\"value\":{\"");
	buf_puts(w->b, kind);
	buf_puts(w->b, "\":");
	w->more = true;
}

void span_bytes(struct span_writer *w, const char *name, const char *value, size_t len)
{
	key(w, name, "stringValue");
	add_text(w->b, value, len, EVENT_TEXT_MAX);
	buf_puts(w->b, "}}");
}

void span_text(struct span_writer *w, const char *name, const char *value)
{
	if (value)
		span_bytes(w, name, value, strlen(value));
}

void span_number(struct span_writer *w, const char *name, int64_t value)
{
	key(w, name, "intValue");
	buf_printf(w->b, "\"%" PRId64 "\"}}", value);
}

void span_list(struct span_writer *w, const char *name, const char *strings, size_t len)
{
	size_t left = MIN(len, (size_t)EVENT_LIST_MAX);
	bool more = false;

	key(w, name, "arrayValue");
	buf_puts(w->b, "{\"values\":[");
	for (int i = 0; left > 0 && i < SPAN_ITEMS_MAX; i++) {
		size_t n = strnlen(strings, left);

		buf_puts(w->b, more ? ",{\"stringValue\":" : "{\"stringValue\":");
		add_text(w->b, strings, n, EVENT_TEXT_MAX);
		buf_puts(w->b, "}");
		more = true;
		n = MIN(n + 1, left);
		strings += n;
		left -= n;
	}
	if (left > 0 || len > EVENT_LIST_MAX)
		buf_puts(w->b, ",{\"stringValue\":\"…\"}");
	buf_puts(w->b, "]}}}");
}

void span_events(struct span_writer *w)
{
	buf_puts(w->b, "],\"events\":[");
	w->more = false;
}

static void end_event(struct span_writer *w)
{
	if (w->in_event)
		buf_puts(w->b, "]}");
	w->in_event = false;
}

void span_event(struct span_writer *w, const char *name, uint64_t time_ns)
{
	bool first = !w->in_event && !w->more;

	end_event(w);
	buf_printf(w->b, "%s{\"timeUnixNano\":\"%" PRIu64 "\",\"name\":\"%s\",\"attributes\":[",
		   first ? "" : ",", time_ns, name);
	w->in_event = true;
	w->more = false;
}

void span_events_add(struct span_writer *w, const struct buf *encoded)
{
	bool first = !w->in_event && !w->more;

	if (encoded->len == 0)
		return;
	end_event(w);
	buf_puts(w->b, first ? "" : ",");
	buf_add(w->b, encoded->data, encoded->len);
	w->more = true;
}

void span_end(struct span_writer *w, uint64_t dropped)
{
	end_event(w);
	buf_puts(w->b, "]");
	if (dropped)
		buf_printf(w->b, ",\"droppedEventsCount\":%u", (unsigned)MIN(dropped, UINT32_MAX));
	if (w->error) {
		buf_printf(w->b, ",\"status\":{\"code\":%d,\"message\":", STATUS_ERROR);
		add_text(w->b, w->error, strlen(w->error), EVENT_TEXT_MAX);
		buf_puts(w->b, "}");
	}
	buf_puts(w->b, "}");
}

static void add_hex_list(struct span_writer *w, const char *name, const struct event_value *v)
{
	const uint64_t *values = v->data;

	key(w, name, "arrayValue");
	buf_puts(w->b, "{\"values\":[");
	for (size_t i = 0; i < v->len; i++)
		buf_printf(w->b, "%s{\"stringValue\":\"0x%" PRIx64 "\"}", i ? "," : "", values[i]);
	buf_puts(w->b, "]}}}");
}

void span_event_encode(const struct event *ev, uint64_t time_ns, struct buf *b)
{
	const struct event_info *info = &event_table[ev->type];
	struct span_writer w = { .b = b, .more = b->len > 0 };

	span_event(&w, info->name, time_ns);
	for (int i = 0; i < info->fields_count; i++) {
		const struct event_field_info *f = &event_fields[info->fields[i]];
		const struct event_value *v = &ev->values[i];
		char name[48] = "purple.";

		if (!(ev->set >> info->fields[i] & 1))
			continue;
		strncat(name, f->name, sizeof(name) - sizeof("purple."));
		if (f->kind == EK_TEXT)
			span_bytes(&w, name, v->data, v->len);
		else if (f->kind == EK_LIST)
			span_list(&w, name, v->data, v->len);
		else if (f->kind == EK_HEX)
			add_hex_list(&w, name, v);
		else
			span_number(&w, name, (int64_t)v->number);
	}
	end_event(&w);
}
