/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as TRACEPARENT, as TRACESTATE and as the endpoint of a collector, and as a text in a
 * span. What is taken can be passed on: it is read the same again, and holds nothing
 * that would end a line, a header or a string.
 */
#include "fuzz.h"

#include <string.h>

#include "event/span.h"
#include "policy/endpoint.h"

static void printable(const char *s)
{
	for (; *s; s++)
		require(*s >= ' ' && *s <= '~');
}

static void parent(const char *text)
{
	struct trace_context c, again;
	char out[TRACEPARENT_LEN + 1];

	if (!trace_context_parse(text, &c))
		return;
	trace_context_format(&c, out);
	require(strlen(out) == TRACEPARENT_LEN && strncmp(out + 3, text + 3, 49) == 0);
	require(trace_context_parse(out, &again) && again.flags == c.flags);
}

static void endpoint(const char *text)
{
	struct endpoint e, again;
	const char *why;

	for (int exact = 0; exact < 2; exact++) {
		if (endpoint_parse(text, exact, &e, &why) < 0) {
			require(why);
			continue;
		}
		printable(e.url);
		require(e.port && e.host[0] && !strpbrk(e.host, "/@?# "));
		if (strlen(e.url) >= ENDPOINT_MAX)
			continue;
		require(endpoint_parse(e.url, exact, &again, &why) == 0);
		require(strcmp(e.url, again.url) == 0 && strcmp(e.host, again.host) == 0 &&
			e.port == again.port && e.tls == again.tls);
	}
}

/* Within the quotes no byte is raw that JSON or a terminal would take for something else. */
static void text_in_span(const char *text, size_t size)
{
	_cleanup_buf_ struct buf b = BUF_INIT(SPAN_MAX);
	const struct span s = { .name = "x" };
	struct span_writer w;
	size_t from;

	span_begin(&w, &b, &s);
	from = b.len;
	span_bytes(&w, "k", text, size);
	span_list(&w, "l", text, size);
	require(!b.failed);
	for (size_t i = from; i < b.len; i++)
		require((unsigned char)b.data[i] >= ' ' && b.data[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > 4096)
		return 0;
	text = malloc(size + 1);
	require(text);
	memcpy(text, data, size);
	text[size] = '\0';
	parent(text);
	if (trace_state_ok(text))
		for (const char *s = text; *s; s++)
			require((*s >= ' ' && *s <= '~') || *s == '\t');
	endpoint(text);
	text_in_span(text, size);
	free(text);
	return 0;
}
