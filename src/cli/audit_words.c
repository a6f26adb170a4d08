/* SPDX-License-Identifier: Apache-2.0 */
/* What the forms of an account share. See audit_report.h. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/audit_report.h"

const char *report_string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

uint64_t report_number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

void report_duration(struct buf *b, uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		buf_printf(b, "%llu ms", (unsigned long long)ms);
	else if (s < 60)
		buf_printf(b, "%llu.%02llu s", (unsigned long long)s,
			   (unsigned long long)(ms % 1000 / 10));
	else if (s < 3600)
		buf_printf(b, "%llu min %llu s", (unsigned long long)(s / 60),
			   (unsigned long long)(s % 60));
	else
		buf_printf(b, "%llu h %llu min", (unsigned long long)(s / 3600),
			   (unsigned long long)(s / 60 % 60));
}

void report_bytes(struct buf *b, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double n = (double)bytes / 1024;
	size_t i = 0;

	for (; n >= 1024 && i < ARRAY_SIZE(units) - 1; i++)
		n /= 1024;
	buf_printf(b, "%.1f %s", n, units[i]);
}

void report_changes(struct buf *b, const json_t *end)
{
	static const struct {
		const char *key, *word;
	} kinds[] = { { "changes_added", "added" },
		      { "changes_modified", "modified" },
		      { "changes_deleted", "deleted" } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t n = report_number(end, kinds[i].key);

		if (n > 0)
			buf_printf(b, "%s%llu%s %s", b->len ? ", " : "", (unsigned long long)n,
				   b->len   ? ""
				   : n == 1 ? " file"
					    : " files",
				   kinds[i].word);
	}
}

void report_how_it_ended(struct buf *b, const json_t *root)
{
	const json_t *end = json_object_get(root, "end");
	const char *reason = report_string(end, "reason");

	if (json_is_true(json_object_get(root, "running"))) {
		buf_puts(b, "its end is not in the trail: it runs, or was lost");
		return;
	}
	if (streq(reason, "not started")) {
		buf_puts(b, reason);
		return;
	}
	if (report_number(end, "signal") > 0)
		buf_printf(b, "ended by signal %llu",
			   (unsigned long long)report_number(end, "signal"));
	else if (json_object_get(end, "status"))
		buf_printf(b, "exited with status %lld",
			   (long long)json_integer_value(json_object_get(end, "status")));
	else
		buf_puts(b, "ended");
	if (*reason && !streq(reason, "exited")) {
		buf_puts(b, " (");
		line_put(b, reason);
		buf_puts(b, ")");
	}
}
