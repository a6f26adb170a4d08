/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An account as one HTML file that needs nothing else: no script, no network, and a
 * Content-Security-Policy that allows neither. See audit_report.h.
 */
#include "cli/audit_html.h"

#include <string.h>

#include "base/str.h"
#include "config.h"

enum { ROWS_OPEN = 60, ROWS_MAX = 2000 };

struct page {
	const json_t *root;
	uint64_t begin_ns;
	struct buf *b;
};

static void fact(struct buf *b, const char *label, const char *s)
{
	if (!*s)
		return;
	buf_printf(b, "<div><dt>%s</dt><dd>", label);
	html_put(b, s);
	buf_puts(b, "</dd></div>");
}

static void moment(struct buf *b, const char *label, const char *time)
{
	char text[TIME_TEXT];
	uint64_t ns;

	if (!time_parse(time, &ns))
		return;
	time_format(ns, text);
	text[10] = ' ';
	fact(b, label, text);
}

static void facts(const struct page *p)
{
	const json_t *sandbox = json_object_get(p->root, "sandbox");
	const json_t *end = json_object_get(p->root, "end");
	_cleanup_buf_ struct buf text = BUF_INIT(4096);

	buf_puts(p->b, "<dl class=\"facts\">");
	fact(p->b, "Policy", report_string(sandbox, "profile"));
	fact(p->b, "Workspace", report_string(sandbox, "workspace"));
	moment(p->b, "Created", report_string(p->root, "created"));
	moment(p->b, "Ended", report_string(p->root, "ended"));
	if (json_object_get(end, "duration_ms")) {
		report_duration(&text, report_number(end, "duration_ms"));
		fact(p->b, "Duration", text.data);
	}
	if (json_object_get(end, "cpu_us")) {
		text.len = 0;
		report_duration(&text, report_number(end, "cpu_us") / 1000);
		fact(p->b, "Processor time", text.data);
	}
	if (report_number(end, "memory_peak") > 0) {
		text.len = 0;
		report_bytes(&text, report_number(end, "memory_peak"));
		fact(p->b, "Memory at most", text.data);
	}
	text.len = 0;
	report_changes(&text, end);
	if (text.len)
		fact(p->b, "Changes that wait for review", text.data);
	if (json_object_get(sandbox, "uid")) {
		text.len = 0;
		buf_printf(&text, "%llu", (unsigned long long)report_number(sandbox, "uid"));
		fact(p->b, "User", text.data);
	}
	fact(p->b, "Id", report_string(sandbox, "id"));
	buf_puts(p->b, "</dl>\n");
}

static const char *outcome_class(const json_t *root)
{
	const json_t *end = json_object_get(root, "end");

	if (json_is_true(json_object_get(root, "running")))
		return "";
	return json_object_get(end, "status") && report_number(end, "status") == 0 &&
			       report_number(end, "signal") == 0
		       ? " ok"
		       : " bad";
}

static void header(const struct page *p)
{
	const json_t *sandbox = json_object_get(p->root, "sandbox");
	const char *name = report_string(sandbox, "name");
	_cleanup_buf_ struct buf outcome = BUF_INIT(8192);

	report_how_it_ended(&outcome, p->root);
	name = *name ? name : report_string(sandbox, "id");
	buf_puts(p->b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		       "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
		       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		       "<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
	html_put(p->b, name);
	buf_puts(p->b, " – what the sandbox did</title>\n<style>\n");
	buf_puts(p->b, html_style);
	buf_puts(p->b, "</style></head>\n<body><main>\n<header>"
		       "<p class=\"brand\">Purple · what a sandbox did</p>\n<h1>");
	html_put(p->b, name);
	buf_printf(p->b, " <span class=\"badge%s\">", outcome_class(p->root));
	html_put(p->b, outcome.data ? outcome.data : "");
	buf_puts(p->b, "</span></h1>\n<div class=\"command\">");
	html_words(p->b, json_object_get(sandbox, "command"));
	buf_puts(p->b, "</div>\n");
	facts(p);
	buf_puts(p->b, "</header>\n");
}

static uint64_t total(const json_t *root, const char *section, const char *key)
{
	const json_t *list = json_object_get(root, section);
	uint64_t n = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		if (!key || json_is_string(json_object_get(one, key)))
			n++;
		else if (json_is_array(json_object_get(one, key)))
			n += json_array_size(json_object_get(one, key));
		else
			n += report_number(one, key);
	}
	return n;
}

static void tile(const struct page *p, const char *target, const char *class, uint64_t n,
		 const char *label)
{
	buf_printf(p->b, "<li><a href=\"#%s\" class=\"%s\"><b>", target, n > 0 ? class : "");
	html_number(p->b, n);
	buf_printf(p->b, "</b><span>%s</span></a></li>", label);
}

static void tiles(const struct page *p)
{
	const json_t *hosts = json_object_get(p->root, "hosts");
	uint64_t reached = 0;

	for (size_t i = 0; i < json_array_size(hosts); i++)
		reached += report_number(json_array_get(hosts, i), "allowed") > 0;
	buf_puts(p->b, "<ul class=\"tiles\">");
	tile(p, "processes", "",
	     total(p->root, "processes", NULL) - total(p->root, "processes", "error"),
	     "programs executed");
	tile(p, "hosts", "", reached, "hosts reached");
	tile(p, "written", "", total(p->root, "written", NULL), "files written outside");
	tile(p, "refused", "bad", total(p->root, "refused", "count"), "times refused");
	if (json_array_size(json_object_get(p->root, "intents")) > 0)
		tile(p, "intents", "warn", total(p->root, "intents", "unannounced"),
		     "not announced");
	tile(p, "limits", "warn", total(p->root, "limits", NULL), "limits reached");
	buf_puts(p->b, "</ul>\n");
}

static void note(const struct page *p, const char *class, const char *label, const json_t *o,
		 const char *const *keys)
{
	const char *separator = ": ";

	buf_printf(p->b, "<div class=\"note %s\"><b>%s</b>", class, label);
	for (; *keys; keys++) {
		const json_t *v = json_object_get(o, *keys);
		_cleanup_buf_ struct buf text = BUF_INIT(1 << 18);

		if (!v)
			continue;
		line_put_value(&text, v);
		buf_puts(p->b, separator);
		html_text(p->b, text.data ? text.data : "");
		separator = " – ";
	}
	buf_puts(p->b, " ");
	html_time(p->b, report_string(o, "time"), p->begin_ns);
	buf_puts(p->b, "</div>\n");
}

/* What whoever reads this must know first. */
static void notes(const struct page *p)
{
	static const struct {
		const char *section, *class, *label, *keys[5];
	} kinds[] = {
		{ "errors", "bad", "Error", { "stage", "message", "reason", "error", NULL } },
		{ "gaps", "bad", "Lines of the trail are missing", { "count", "reason", NULL } },
		{ "downgrades", "", "Not enforced on this machine", { "layer", "reason", NULL } },
	};
	uint64_t damaged = report_number(json_object_get(p->root, "trail"), "damaged");

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const json_t *list = json_object_get(p->root, kinds[i].section);

		for (size_t k = 0; k < MIN(json_array_size(list), (size_t)ROWS_OPEN); k++)
			note(p, kinds[i].class, kinds[i].label, json_array_get(list, k),
			     kinds[i].keys);
	}
	if (damaged > 0)
		buf_printf(p->b,
			   "<p class=\"note bad\"><b>%llu lines of the trail are damaged or "
			   "missing</b>; what they said is not in here.</p>\n",
			   (unsigned long long)damaged);
}

static void put_allow(struct buf *b, const json_t *o)
{
	const char *allow = report_string(o, "allow"), *advice = report_string(o, "advice");

	if (!*allow && !*advice)
		return;
	buf_puts(b, "<span class=\"allow\"><small>");
	buf_puts(b, *allow ? "would be allowed by</small>" : "</small>");
	if (*allow)
		html_code(b, allow);
	if (*advice)
		html_put(b, advice);
	buf_puts(b, "</span>");
}

static void limit_row(const struct page *p, const json_t *o)
{
	buf_puts(p->b, "<li><span class=\"kind\">");
	html_put(p->b, report_string(o, "limit"));
	if (report_number(o, "value") > 0)
		buf_printf(p->b, ": %llu", (unsigned long long)report_number(o, "value"));
	buf_puts(p->b, "</span> ");
	html_text(p->b, report_string(o, "message"));
	html_times(p->b, report_number(o, "count"));
	buf_puts(p->b, " ");
	html_time(p->b, report_string(o, "time"), p->begin_ns);
	put_allow(p->b, o);
	buf_puts(p->b, "</li>\n");
}

static void refused_row(const struct page *p, const json_t *o)
{
	struct buf *b = p->b;

	buf_puts(b, "<li><span class=\"kind\">");
	html_put(b, report_string(o, "type"));
	buf_puts(b, "</span> ");
	html_code(b, report_string(o, "what"));
	html_times(b, report_number(o, "count"));
	html_codes(b, " <span class=\"by\">by ", json_object_get(o, "by"));
	buf_puts(b, json_array_size(json_object_get(o, "by")) ? "</span> " : " ");
	html_time(b, report_string(o, "first"), p->begin_ns);
	put_allow(b, o);
	buf_puts(b, "</li>\n");
}

static void expectations(struct buf *b, const char *label, const json_t *list)
{
	if (json_array_size(list) == 0)
		return;
	buf_puts(b, "<div>");
	html_codes(b, label, list);
	buf_puts(b, "</div>");
}

static void intent_row(const struct page *p, const json_t *o)
{
	const json_t *list = json_object_get(o, "unannounced");
	struct buf *b = p->b;

	buf_puts(b, "<li class=\"intent\"><h3>“");
	html_text(b, report_string(o, "text"));
	buf_puts(b, "” ");
	html_time(b, report_string(o, "time"), p->begin_ns);
	buf_puts(b, "</h3>");
	expectations(
		b, "<span class=\"yes\">✓ announced and done</span>: ", json_object_get(o, "met"));
	expectations(b, "<span class=\"nothing\">announced, not done</span>: ",
		     json_object_get(o, "unmet"));
	if (json_array_size(list) > 0)
		buf_puts(b, "<ul>");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		buf_puts(b, "<li><span class=\"no\">");
		html_put(b, report_string(one, "message"));
		buf_puts(b, ":</span> ");
		html_code(b, report_string(one, "what"));
		html_times(b, report_number(one, "count"));
		buf_puts(b, report_number(one, "refused") > 0
				    ? " <span class=\"kind\">refused</span></li>"
				    : "</li>");
	}
	if (json_array_size(list) > 0)
		buf_puts(b, "</ul>");
	else
		buf_puts(b,
			 "<p class=\"nothing\">Nothing was done that had not been announced.</p>");
	buf_puts(b, "</li>\n");
}

static void plain_row(const struct page *p, const json_t *o)
{
	json_t *all = json_incref((json_t *)(uintptr_t)o);
	const char *key, *separator = "";
	const json_t *value;

	buf_puts(p->b, "<li>");
	json_object_foreach(all, key, value)
	{
		if (streq(key, "time") || streq(key, "type"))
			continue;
		buf_printf(p->b, "%s<span class=\"by\">%s</span> ", separator, key);
		if (json_is_array(value)) {
			html_words(p->b, value);
		} else {
			_cleanup_buf_ struct buf text = BUF_INIT(1 << 18);

			line_put_value(&text, value);
			html_code(p->b, text.data ? text.data : "");
		}
		separator = " · ";
	}
	json_decref(all);
	buf_puts(p->b, " ");
	html_time(p->b, report_string(o, "time"), p->begin_ns);
	buf_puts(p->b, "</li>\n");
}

static void host_row(const struct page *p, const json_t *o)
{
	struct buf *b = p->b;

	buf_puts(b, "<tr><td>");
	html_code(b, report_string(o, "host"));
	if (report_number(o, "port") > 0)
		buf_printf(b, " <span class=\"by\">port %llu%s</span>",
			   (unsigned long long)report_number(o, "port"),
			   streq(report_string(o, "proto"), "udp") ? "/udp" : "");
	buf_puts(b, "</td><td>");
	html_codes(b, "", json_object_get(o, "addresses"));
	buf_puts(b, "</td><td class=\"n\">");
	if (report_number(o, "allowed") > 0)
		buf_printf(b, "<span class=\"yes\">%llu</span>",
			   (unsigned long long)report_number(o, "allowed"));
	buf_puts(b, "</td><td class=\"n\">");
	if (report_number(o, "refused") > 0)
		buf_printf(b, "<span class=\"no\">%llu</span>",
			   (unsigned long long)report_number(o, "refused"));
	buf_puts(b, "</td></tr>\n");
}

static void written_row(const struct page *p, const json_t *o)
{
	buf_puts(p->b, "<li>");
	html_code(p->b, report_string(o, "path"));
	html_times(p->b, report_number(o, "count"));
	html_codes(p->b, " <span class=\"by\">by ", json_object_get(o, "by"));
	buf_puts(p->b, json_array_size(json_object_get(o, "by")) ? "</span> " : " ");
	html_time(p->b, report_string(o, "first"), p->begin_ns);
	buf_puts(p->b, "</li>\n");
}

static void process_row(const struct page *p, const json_t *o)
{
	uint64_t depth = report_number(o, "depth");
	struct buf *b = p->b;

	buf_puts(b, "<li>");
	html_time(b, report_string(o, "started"), p->begin_ns);
	buf_printf(b, "<div class=\"in%s\" style=\"--d:%llu\">",
		   json_is_true(json_object_get(o, "in_place")) ? " same"
		   : depth > 0					? " sub"
								: "",
		   (unsigned long long)depth);
	if (json_array_size(json_object_get(o, "argv")) > 0)
		html_words(b, json_object_get(o, "argv"));
	else
		html_code(b, report_string(o, "path"));
	buf_printf(b, " <span class=\"count\">%llu</span>",
		   (unsigned long long)report_number(o, "pid"));
	if (*report_string(o, "error")) {
		buf_puts(b, " <span class=\"no\">not executed: ");
		html_put(b, report_string(o, "error"));
		buf_puts(b, "</span>");
	} else if (report_number(o, "signal") > 0) {
		buf_printf(b, " <span class=\"no\">signal %llu</span>",
			   (unsigned long long)report_number(o, "signal"));
	} else if (json_integer_value(json_object_get(o, "status")) != 0) {
		buf_printf(b, " <span class=\"no\">status %lld</span>",
			   (long long)json_integer_value(json_object_get(o, "status")));
	}
	buf_puts(b, "</div></li>\n");
}

static void timeline_row(const struct page *p, const json_t *o)
{
	const char *severity = report_string(o, "severity");
	bool intent = streq(report_string(o, "type"), "intent");

	buf_puts(p->b, "<li>");
	html_time(p->b, report_string(o, "time"), p->begin_ns);
	buf_puts(p->b, "<span class=\"");
	html_put(p->b, intent ? "intent" : severity);
	buf_puts(p->b, "\">");
	html_code(p->b, report_string(o, "text"));
	html_times(p->b, report_number(o, "count"));
	buf_puts(p->b, "</span></li>\n");
}

#define HOSTS_HEAD                                                                      \
	"<table><thead><tr><th>Host</th><th>Addresses</th><th class=\"n\">reached</th>" \
	"<th class=\"n\">refused</th></tr></thead><tbody>"

/* clang-format off */
static const struct part {
	const char *section, *title, *open, *close;
	void (*row)(const struct page *p, const json_t *o);
} parts[] = {
	{ "refused", "Refused", "<ul class=\"rows\">", "</ul>", refused_row },
	{ "intents", "Announced, and what was not", "<ul class=\"rows\">", "</ul>", intent_row },
	{ "limits", "Limits reached", "<ul class=\"rows\">", "</ul>", limit_row },
	{ "hosts", "Connections", HOSTS_HEAD, "</tbody></table>", host_row },
	{ "names", "Names looked up", HOSTS_HEAD, "</tbody></table>", host_row },
	{ "written", "Written outside the workspace", "<ul class=\"rows tight\">", "</ul>", written_row },
	{ "outputs", "Collected results", "<ul class=\"rows\">", "</ul>", plain_row },
	{ "requests", "Commands from outside", "<ul class=\"rows\">", "</ul>", plain_row },
	{ "changes", "Changes of the policy while it ran", "<ul class=\"rows\">", "</ul>", plain_row },
	{ "processes", "Processes", "<ul class=\"rows tree\">", "</ul>", process_row },
	{ "timeline", "Time line", "<ul class=\"rows tl\">", "</ul>", timeline_row },
};
/* clang-format on */

static void put_part(const struct page *p, const struct part *part)
{
	const json_t *list = json_object_get(p->root, part->section);
	size_t count = json_array_size(list), shown = MIN(count, (size_t)ROWS_MAX);
	unsigned long long left =
		count - shown + report_number(json_object_get(p->root, "left_out"), part->section);

	if (count == 0)
		return;
	buf_printf(p->b, "<section id=\"%s\"><h2>%s<small>%llu</small></h2>%s\n", part->section,
		   part->title, shown + left, part->open);
	for (size_t i = 0; i < shown; i++) {
		if (i == ROWS_OPEN)
			buf_printf(p->b, "%s<details><summary>%zu more</summary>%s", part->close,
				   shown - i, part->open);
		part->row(p, json_array_get(list, i));
	}
	buf_puts(p->b, part->close);
	if (left > 0)
		buf_printf(p->b, "<p class=\"nothing\">and %llu more, which only the trail has</p>",
			   left);
	buf_puts(p->b, shown > ROWS_OPEN ? "</details></section>\n" : "</section>\n");
}

static void footer(const struct page *p)
{
	const json_t *trail = json_object_get(p->root, "trail");

	buf_printf(p->b, "<footer>From %llu lines, number %llu to %llu, of the audit trail ",
		   (unsigned long long)report_number(trail, "lines"),
		   (unsigned long long)report_number(trail, "first_seq"),
		   (unsigned long long)report_number(trail, "last_seq"));
	html_code(p->b, report_string(trail, "file"));
	buf_puts(p->b, ", by Purple " PURPLE_VERSION ". Whether the trail is whole, "
		       "<code>purple audit verify</code> says. Times are UTC, or since the "
		       "beginning.</footer>\n</main></body></html>\n");
}

void report_html(const json_t *root, struct buf *b)
{
	struct page p = { .root = root, .b = b };

	time_parse(report_string(json_object_get(root, "activity"), "from"), &p.begin_ns);
	header(&p);
	tiles(&p);
	notes(&p);
	html_lanes(root, p.begin_ns, b);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		put_part(&p, &parts[i]);
	footer(&p);
}
