/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/sandboxes.h"

enum { OUTPUT_MAX = 64 << 20, CELL = 80 };

static const char *const help[] = {
	"Shows what sandboxes use, those that are named or all that run. A - stands for what this",
	"host does not count.",
	"",
	"  -f, --follow   again every second, until they have ended",
	"      --json     one JSON array; with --follow one a line",
	"  -h, --help     this text",
	NULL,
};

/* The figures, in this order, in the table and as JSON. */
enum unit { COUNT, BYTES, MICROSECONDS };
static const struct figure {
	const char *title; /* NULL: only in JSON */
	const char *key;
	enum unit unit;
	size_t off;
} figures[] = {
#define USAGE(member) offsetof(struct control_stats, usage.member)
	{ "CPU", "cpu_us", MICROSECONDS, USAGE(cpu_us) },
	{ NULL, "user_us", MICROSECONDS, USAGE(user_us) },
	{ NULL, "system_us", MICROSECONDS, USAGE(system_us) },
	{ "THROTTLED", "throttled_us", MICROSECONDS, USAGE(throttled_us) },
	{ NULL, "throttled_periods", COUNT, USAGE(throttled_count) },
	{ "MEMORY", "memory_bytes", BYTES, USAGE(memory) },
	{ "PEAK", "memory_peak_bytes", BYTES, USAGE(memory_peak) },
	{ "LIMIT", "memory_limit_bytes", BYTES, offsetof(struct control_stats, memory_limit) },
	{ NULL, "swap_bytes", BYTES, USAGE(swap) },
	{ "OOM", "oom_kills", COUNT, USAGE(oom_kills) },
	{ "PIDS", "pids", COUNT, USAGE(pids) },
	{ NULL, "pids_peak", COUNT, USAGE(pids_peak) },
	{ "LIMIT", "pids_limit", COUNT, offsetof(struct control_stats, pids_limit) },
	{ NULL, "forks_refused", COUNT, USAGE(pids_refused) },
	{ "READ", "io_read_bytes", BYTES, USAGE(io_read) },
	{ "WRITTEN", "io_written_bytes", BYTES, USAGE(io_written) },
#undef USAGE
};

static bool is_limit(const struct figure *f)
{
	return f->off == offsetof(struct control_stats, memory_limit) ||
	       f->off == offsetof(struct control_stats, pids_limit);
}

static bool value_of(const struct control_stats *s, const struct figure *f, uint64_t *ret)
{
	memcpy(ret, (const char *)s + f->off, sizeof(*ret));
	return is_limit(f) ? *ret != 0 : *ret != CG_UNKNOWN;
}

struct measured {
	char name[SANDBOX_NAME_MAX + 1];
	struct control_stats stats;
};

static void add_json(struct buf *b, const struct measured *m)
{
	buf_puts(b, "{\"name\": ");
	buf_json_string(b, m->name);
	buf_printf(b, ", \"commands\": %u, \"counted_by\": \"%s\"", m->stats.commands,
		   m->stats.from_cgroup ? "cgroup" : "processes");
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		uint64_t v;

		if (value_of(&m->stats, &figures[i], &v))
			buf_printf(b, ", \"%s\": %" PRIu64, figures[i].key, v);
		else
			buf_printf(b, ", \"%s\": null", figures[i].key);
	}
	buf_puts(b, "}");
}

static void format(char cell[CELL], const struct control_stats *s, const struct figure *f)
{
	static const char units[] = "BKMGT";
	uint64_t v;
	int unit = 0;
	double d;

	if (!value_of(s, f, &v)) {
		str_copy(cell, CELL, "-");
	} else if (f->unit == COUNT) {
		snprintf(cell, CELL, "%" PRIu64, v);
	} else if (f->unit == MICROSECONDS) {
		snprintf(cell, CELL, "%" PRIu64 ".%02" PRIu64 "s", v / 1000000, v / 10000 % 100);
	} else {
		for (d = (double)v; d >= 1024 && unit < 4; unit++)
			d /= 1024;
		snprintf(cell, CELL, unit && d < 10 ? "%.1f%c" : "%.0f%c", d, units[unit]);
	}
}

static void put_table(struct buf *b, const struct measured *items, size_t count)
{
	size_t widths[ARRAY_SIZE(figures)], name = strlen("NAME");
	char cell[CELL];

	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		widths[i] = figures[i].title ? strlen(figures[i].title) : 0;
	for (size_t n = 0; n < count; n++) {
		name = MAX(name, strlen(items[n].name));
		for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
			format(cell, &items[n].stats, &figures[i]);
			widths[i] = MAX(widths[i], strlen(cell));
		}
	}
	buf_printf(b, "%-*s", (int)name, "NAME");
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		if (figures[i].title)
			buf_printf(b, "  %*s", (int)widths[i], figures[i].title);
	buf_puts(b, "\n");
	for (size_t n = 0; n < count; n++) {
		buf_printf(b, "%-*s", (int)name, items[n].name);
		for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
			if (!figures[i].title)
				continue;
			format(cell, &items[n].stats, &figures[i]);
			buf_printf(b, "  %*s", (int)widths[i], cell);
		}
		buf_puts(b, "\n");
	}
}

static int measure(const char *name, struct measured *m, struct err *e)
{
	_cleanup_sandbox_ struct found_sandbox f = FOUND_SANDBOX_INIT;
	static struct control_message answer;
	_cleanup_close_ int fd = -1;
	int r = sandbox_find(&f, name, e);

	if (r < 0)
		return r;
	fd = sandbox_talk(&f, false, e);
	if (fd < 0)
		return fd;
	str_copy(m->name, sizeof(m->name), f.sandbox.state.name);
	r = sandbox_ask(fd, m->name, CONTROL_STATS, 0, CONTROL_STATS_ARE, &answer, e);
	m->stats = answer.stats;
	return r;
}

/* All that are named (each failure is told), or all that run (then one that goes is none). */
static int measure_all(char **names, int count, struct measured **ret, size_t *found, int *failed)
{
	_cleanup_sandboxes_ struct sandboxes l = SANDBOXES_INIT;
	struct err e = { 0 };
	size_t most;

	*failed = 0;
	*found = 0;
	if (count == 0 && sandboxes_load(&l, &e) < 0)
		return command_failed(&e);
	most = count ? (size_t)count : l.count;
	*ret = calloc(most + 1, sizeof(**ret));
	if (!*ret) {
		err_set(&e, ENOMEM, "stats", "make a list");
		return command_failed(&e);
	}
	for (size_t i = 0; i < most; i++) {
		if (!count && !l.items[i]->live)
			continue;
		memset(&e, 0, sizeof(e));
		if (measure(count ? names[i] : l.items[i]->state.name, &(*ret)[*found], &e) == 0)
			(*found)++;
		else if (count)
			*failed = command_failed(&e);
	}
	return 0;
}

static int show(const struct measured *items, size_t count, bool json, bool again)
{
	_cleanup_buf_ struct buf b = BUF_INIT(OUTPUT_MAX);

	if (!json) {
		if (again && isatty(STDOUT_FILENO))
			buf_puts(&b, "\033[H\033[J"); /* to the corner; clear from there */
		put_table(&b, items, count);
		return command_output(&b);
	}
	buf_puts(&b, "[");
	for (size_t i = 0; i < count; i++) {
		buf_puts(&b, again ? (i ? ", " : "") : i ? ",\n" : "\n");
		add_json(&b, &items[i]);
	}
	buf_puts(&b, again || !count ? "]\n" : "\n]\n");
	return command_output(&b);
}

int cmd_stats(int argc, char **argv)
{
	bool on = false, json = false;
	const struct option_word options[] = {
		{ 'f', "follow", NULL, &on },
		{ 0, "json", NULL, &json },
	};
	const struct command_line line = {
		help, "purple stats [--json] [-f] [NAME…]", options, ARRAY_SIZE(options), 0, -1,
	};
	struct err e = { 0 };
	int names, failed, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r < 0)
		return command_failed(&e);
	for (bool first = true;; first = false) {
		_cleanup_free_ struct measured *items = NULL;
		size_t count;

		r = measure_all(argv, names, &items, &count, &failed);
		if (r == 0 && (count || (first && (json || !failed))))
			r = show(items, count, json, on);
		if (r || failed || !on || !count)
			return r ? r : failed;
		sleep(1);
	}
}
