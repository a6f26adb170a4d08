/* SPDX-License-Identifier: Apache-2.0 */
/* An account as text for a terminal. See audit_report.h. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/audit_report.h"

enum { ROWS_MAX = 200, INDENT_MAX = 24 };

static void put_times(struct buf *b, uint64_t count)
{
	if (count > 1)
		buf_printf(b, " (%llu times)", (unsigned long long)count);
}

/* "18:49:53.123", or "-". */
static void put_clock(struct buf *b, const char *time)
{
	if (strlen(time) >= 23)
		buf_add(b, time + 11, 12);
	else
		buf_puts(b, "-");
}

static void put_pair(struct buf *b, const char *label, const char *s)
{
	if (!*s)
		return;
	buf_printf(b, "  %-11s", label);
	line_put(b, s);
	buf_puts(b, "\n");
}

static void put_moment(struct buf *b, const char *label, const char *time)
{
	char text[TIME_TEXT];
	uint64_t ns;

	if (!time_parse(time, &ns))
		return;
	time_format(ns, text);
	put_pair(b, label, text);
}

static void put_list(struct buf *b, const char *before, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));

		buf_puts(b, i == 0 ? before : ", ");
		line_put(b, s ? s : "");
	}
}

static void head(const json_t *root, struct buf *b)
{
	const json_t *sandbox = json_object_get(root, "sandbox"),
		     *end = json_object_get(root, "end");
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);

	buf_puts(b, "Sandbox ");
	line_put(b, report_string(sandbox, "name"));
	buf_puts(b, " (");
	line_put(b, report_string(sandbox, "id"));
	buf_puts(b, ")\n\n");
	put_pair(b, "policy", report_string(sandbox, "profile"));
	line_put_value(&text, json_object_get(sandbox, "command"));
	put_pair(b, "command", text.data ? text.data : "");
	put_pair(b, "workspace", report_string(sandbox, "workspace"));
	put_moment(b, "created", report_string(root, "created"));
	put_moment(b, "started", report_string(root, "started"));
	put_moment(b, "ended", report_string(root, "ended"));
	text.len = 0;
	report_how_it_ended(&text, root);
	put_pair(b, "outcome", text.data);
	text.len = 0;
	if (json_object_get(end, "duration_ms")) {
		report_duration(&text, report_number(end, "duration_ms"));
		if (json_object_get(end, "cpu_us")) {
			buf_puts(&text, ", processors ");
			report_duration(&text, report_number(end, "cpu_us") / 1000);
		}
		if (report_number(end, "memory_peak") > 0) {
			buf_puts(&text, ", memory at most ");
			report_bytes(&text, report_number(end, "memory_peak"));
		}
		put_pair(b, "used", text.data);
	}
	text.len = 0;
	report_changes(&text, end);
	if (text.len)
		put_pair(b, "to review", text.data);
}

static void timeline_row(const json_t *o, struct buf *b)
{
	put_clock(b, report_string(o, "time"));
	buf_printf(b, "  %-8s", report_string(o, "severity"));
	line_put(b, report_string(o, "text"));
	put_times(b, report_number(o, "count"));
}

static void process_row(const json_t *o, struct buf *b)
{
	size_t depth = (size_t)report_number(o, "depth");

	put_clock(b, report_string(o, "started"));
	buf_printf(b, "  %*s", (int)MIN(2 * depth, (size_t)INDENT_MAX), "");
	if (json_is_true(json_object_get(o, "in_place")))
		buf_puts(b, "= ");
	if (json_array_size(json_object_get(o, "argv")) > 0)
		line_put_value(b, json_object_get(o, "argv"));
	else
		line_put(b, report_string(o, "path"));
	buf_printf(b, "  [%llu", (unsigned long long)report_number(o, "pid"));
	if (*report_string(o, "error")) {
		buf_puts(b, ", not executed: ");
		line_put(b, report_string(o, "error"));
	} else if (report_number(o, "signal") > 0) {
		buf_printf(b, ", signal %llu", (unsigned long long)report_number(o, "signal"));
	} else if (json_object_get(o, "status")) {
		buf_printf(b, ", status %lld",
			   (long long)json_integer_value(json_object_get(o, "status")));
	}
	buf_puts(b, "]");
}

static void host_row(const json_t *o, struct buf *b)
{
	line_put(b, report_string(o, "host"));
	if (report_number(o, "port") > 0)
		buf_printf(b, ":%llu", (unsigned long long)report_number(o, "port"));
	if (streq(report_string(o, "proto"), "udp"))
		buf_puts(b, "/udp");
	put_list(b, "  ", json_object_get(o, "addresses"));
	if (report_number(o, "allowed") > 0)
		buf_printf(b, "  reached %llu", (unsigned long long)report_number(o, "allowed"));
	if (report_number(o, "refused") > 0)
		buf_printf(b, "  REFUSED %llu", (unsigned long long)report_number(o, "refused"));
}

static void written_row(const json_t *o, struct buf *b)
{
	line_put(b, report_string(o, "path"));
	put_list(b, "  ", json_object_get(o, "access"));
	put_list(b, "  by ", json_object_get(o, "by"));
	put_times(b, report_number(o, "count"));
}

static void put_allow(struct buf *b, const json_t *o)
{
	const char *allow = report_string(o, "allow"), *advice = report_string(o, "advice");

	if (*allow) {
		buf_puts(b, "\n      to allow it: ");
		line_put(b, allow);
	}
	if (*advice) {
		buf_puts(b, "\n      ");
		line_put(b, advice);
	}
}

static void limit_row(const json_t *o, struct buf *b)
{
	put_clock(b, report_string(o, "time"));
	buf_puts(b, "  ");
	line_put(b, report_string(o, "limit"));
	if (report_number(o, "value") > 0)
		buf_printf(b, " %llu", (unsigned long long)report_number(o, "value"));
	buf_puts(b, ": ");
	line_put(b, report_string(o, "message"));
	put_times(b, report_number(o, "count"));
	put_allow(b, o);
}

static void refused_row(const json_t *o, struct buf *b)
{
	line_put(b, report_string(o, "what"));
	put_times(b, report_number(o, "count"));
	put_list(b, "  by ", json_object_get(o, "by"));
	put_allow(b, o);
}

/* "key: value, …" of what has no row of its own. */
static void plain_row(const json_t *o, struct buf *b)
{
	const char *separator = "  ", *key;
	const json_t *value;
	json_t *all = json_incref((json_t *)(uintptr_t)o);

	put_clock(b, report_string(o, "time"));
	json_object_foreach(all, key, value)
	{
		if (streq(key, "time") || streq(key, "type"))
			continue;
		buf_printf(b, "%s%s: ", separator, key);
		line_put_value(b, value);
		separator = ", ";
	}
	json_decref(all);
}

static void intent_row(const json_t *o, struct buf *b)
{
	const json_t *list = json_object_get(o, "unannounced");

	put_clock(b, report_string(o, "time"));
	buf_puts(b, "  ");
	line_put(b, report_string(o, "text"));
	put_list(b, "\n      announced and done: ", json_object_get(o, "met"));
	put_list(b, "\n      announced, not done: ", json_object_get(o, "unmet"));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		buf_puts(b, "\n    ! ");
		line_put(b, report_string(one, "message"));
		buf_puts(b, ": ");
		line_put(b, report_string(one, "what"));
		put_times(b, report_number(one, "count"));
		if (report_number(one, "refused") > 0)
			buf_puts(b, ", refused");
	}
	if (json_array_size(list) == 0)
		buf_puts(b, "\n      nothing else was done");
}

/* clang-format off */
static const struct {
	const char *section, *title;
	void (*row)(const json_t *o, struct buf *b);
} parts[] = {
	{ "errors",	"Errors",				plain_row },
	{ "gaps",	"Gaps in the trail",			plain_row },
	{ "downgrades", "Not enforced here",			plain_row },
	{ "refused",	"Refused",				refused_row },
	{ "intents",	"Announced, and what was not",		intent_row },
	{ "limits",	"Limits that were reached",		limit_row },
	{ "hosts",	"Connections",				host_row },
	{ "names",	"Names looked up",			host_row },
	{ "written",	"Written outside the workspace",	written_row },
	{ "outputs",	"Collected results",			plain_row },
	{ "requests",	"Commands from outside",		plain_row },
	{ "changes",	"Changes of the policy while it ran",	plain_row },
	{ "processes",	"Processes",				process_row },
	{ "timeline",	"Time line",				timeline_row },
};
/* clang-format on */

static void put_part(const json_t *root, size_t i, struct buf *b)
{
	const json_t *list = json_object_get(root, parts[i].section);
	size_t count = json_array_size(list), shown = MIN(count, (size_t)ROWS_MAX);
	uint64_t left = count - shown +
			report_number(json_object_get(root, "left_out"), parts[i].section);

	if (count == 0)
		return;
	buf_printf(b, "\n%s\n", parts[i].title);
	for (size_t k = 0; k < shown; k++) {
		buf_puts(b, "  ");
		parts[i].row(json_array_get(list, k), b);
		buf_puts(b, "\n");
	}
	if (left > 0)
		buf_printf(b, "  … and %llu more\n", (unsigned long long)left);
}

void report_text(const json_t *root, struct buf *b)
{
	const json_t *trail = json_object_get(root, "trail");

	head(root, b);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		put_part(root, i, b);
	buf_printf(b, "\n%llu lines, number %llu to %llu, of ",
		   (unsigned long long)report_number(trail, "lines"),
		   (unsigned long long)report_number(trail, "first_seq"),
		   (unsigned long long)report_number(trail, "last_seq"));
	line_put(b, report_string(trail, "file"));
	if (report_number(trail, "damaged") > 0)
		buf_printf(b, "; %llu of the trail are damaged or missing",
			   (unsigned long long)report_number(trail, "damaged"));
	buf_puts(b, "\n");
}
