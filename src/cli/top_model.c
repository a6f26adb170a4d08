/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "cli/sandboxes.h"
#include "cli/top.h"

enum { CELL = 24, NAME_MIN = 8 };

const char *const top_key_names[TOP_KEYS] = { "cpu",  "memory", "network", "denials",
					      "pids", "time",	"name" };

static double known(uint64_t v)
{
	return v == CG_UNKNOWN ? -1 : (double)v;
}

static const struct gathered_sandbox *find_before(const struct top *t, const char *id)
{
	for (size_t i = 0; i < t->before.count; i++)
		if (t->before.items[i].answered && streq(t->before.items[i].id, id))
			return &t->before.items[i];
	return NULL;
}

static double rate(uint64_t now, uint64_t before, double seconds)
{
	return now >= before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

static double all_denials(const struct control_stats *s)
{
	uint64_t n = 0;

	for (int i = 0; i < EVENT_TYPES; i++) {
		const char *dot = strchr(event_table[i].name, '.');

		n += dot && streq(dot, ".denied") ? s->events[i] : 0;
	}
	return (double)n;
}

static void fill(struct top_row *row, const struct top *t, const struct gathered_sandbox *s)
{
	const struct gathered_sandbox *old = find_before(t, s->id);
	double seconds = (double)(t->now.at_ns - t->before.at_ns) / 1e9;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	memset(row, 0, sizeof(*row));
	str_copy(row->name, sizeof(row->name), s->name);
	str_copy(row->id, sizeof(row->id), s->id);
	str_copy(row->profile, sizeof(row->profile), s->profile);
	row->phase = s->phase;
	row->answered = s->answered;
	row->cpu = row->memory = row->pids = row->in = row->out = row->denials = row->cpu_time = -1;
	row->age = s->started_ms ? (double)now.tv_sec + (double)now.tv_nsec / 1e9 -
					   (double)s->started_ms / 1000
				 : -1;
	if (!s->answered)
		return;
	row->memory = known(s->stats.usage.memory);
	row->pids = known(s->stats.usage.pids);
	row->denials = all_denials(&s->stats);
	if (s->stats.usage.cpu_us != CG_UNKNOWN) {
		row->cpu_time = (double)s->stats.usage.cpu_us / 1e6;
		row->cpu = old && old->stats.usage.cpu_us != CG_UNKNOWN
				   ? rate(s->stats.usage.cpu_us, old->stats.usage.cpu_us, seconds) /
					     1e4
			   : row->age > 0 ? row->cpu_time / row->age * 100
					  : -1;
	}
	if (old && s->stats.has_network) {
		row->in = rate(s->stats.network.down, old->stats.network.down, seconds);
		row->out = rate(s->stats.network.up, old->stats.network.up, seconds);
	}
}

static double key_of(const struct top_row *row, enum top_key key)
{
	switch (key) {
	case TOP_CPU:
		return row->cpu;
	case TOP_MEMORY:
		return row->memory;
	case TOP_NETWORK:
		return row->in + row->out;
	case TOP_DENIALS:
		return row->denials;
	case TOP_PIDS:
		return row->pids;
	case TOP_TIME:
		return row->age;
	default:
		return 0;
	}
}

static enum top_key sort_key;

static int compare(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;
	double p = key_of(x, sort_key), q = key_of(y, sort_key);

	if (p > q || p < q)
		return p > q ? -1 : 1;
	return strcmp(x->name, y->name);
}

void top_sort(struct top *t)
{
	sort_key = t->key;
	if (t->now.count > 1)
		qsort(t->rows, t->now.count, sizeof(*t->rows), compare);
	for (size_t i = 0; t->reverse && i < t->now.count / 2; i++) {
		struct top_row row = t->rows[i], *other = &t->rows[t->now.count - 1 - i];

		t->rows[i] = *other;
		*other = row;
	}
}

int top_look(struct top *t, int all)
{
	struct gathered next = t->before;
	struct top_row *rows;
	int r = gather(all, &next);

	t->before = next; /* its memory is used again */
	if (r < 0)
		return r;
	rows = reallocarray(t->rows, next.count + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	t->rows = rows;
	t->before = t->now;
	t->now = next;
	for (size_t i = 0; i < t->now.count; i++)
		fill(&t->rows[i], t, &t->now.items[i]);
	top_sort(t);
	return 0;
}

int top_key_find(const char *name)
{
	for (int i = 0; i < TOP_KEYS; i++)
		if (streq(name, top_key_names[i]))
			return i;
	return -1;
}

long top_find(const struct top *t, const char *id)
{
	for (size_t i = 0; i < t->now.count; i++)
		if (streq(t->rows[i].id, id))
			return (long)i;
	return -1;
}

void top_free(struct top *t)
{
	gathered_free(&t->before);
	gathered_free(&t->now);
	free(t->rows);
	t->rows = NULL;
}

/* 1023, 1.2K, 45M */
static void put_size(char cell[CELL], double v)
{
	static const char units[] = " KMGTP";
	int unit = 0;

	if (v < 0) {
		str_copy(cell, CELL, "-");
		return;
	}
	for (; v >= 999.5 && unit < 5; unit++)
		v /= 1024;
	if (unit == 0)
		snprintf(cell, CELL, "%.0f", v);
	else
		snprintf(cell, CELL, v < 9.95 ? "%.1f%c" : "%.0f%c", v, units[unit]);
}

static void put_number(char cell[CELL], double v)
{
	if (v < 0)
		str_copy(cell, CELL, "-");
	else if (v < 1e6)
		snprintf(cell, CELL, "%.0f", v);
	else
		snprintf(cell, CELL, "%.0fM", v / 1e6);
}

static void put_percent(char cell[CELL], double v)
{
	if (v < 0)
		str_copy(cell, CELL, "-");
	else
		snprintf(cell, CELL, v < 999.95 ? "%.1f" : "%.0f", v);
}

/* 59s, 12:34, 5:06:07, 3d04h */
static void put_age(char cell[CELL], double v)
{
	unsigned long s = v < 0 ? 0 : (unsigned long)v;

	if (v < 0)
		str_copy(cell, CELL, "-");
	else if (s < 3600)
		snprintf(cell, CELL, "%lu:%02lu", s / 60, s % 60);
	else if (s < 86400)
		snprintf(cell, CELL, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(cell, CELL, "%lud%02luh", s / 86400, s / 3600 % 24);
}

/* Behind the name; right-aligned. */
struct column {
	const char *title;
	int width;
	int least; /* columns of the screen, or it is left out */
	int key;   /* enum top_key; -1: it is not sorted by this */
	double (*value)(const struct top_row *row);
	void (*put)(char cell[CELL], double v);
};

#define VALUE(member)                                         \
	static double get_##member(const struct top_row *row) \
	{                                                     \
		return row->member;                           \
	}
VALUE(cpu)
VALUE(cpu_time)
VALUE(memory)
VALUE(pids)
VALUE(in)
VALUE(out)
VALUE(denials)
VALUE(age)

static const struct column shown[] = {
	{ "CPU%", 6, 0, TOP_CPU, get_cpu, put_percent },
	{ "CPU", 7, 96, -1, get_cpu_time, put_age },
	{ "MEM", 5, 0, TOP_MEMORY, get_memory, put_size },
	{ "PIDS", 5, 0, TOP_PIDS, get_pids, put_number },
	{ "IN/s", 5, 0, TOP_NETWORK, get_in, put_size },
	{ "OUT/s", 5, 0, TOP_NETWORK, get_out, put_size },
	{ "DENIED", 6, 0, TOP_DENIALS, get_denials, put_number },
	{ "TIME", 8, 0, TOP_TIME, get_age, put_age },
};

enum { STATE_WIDTH = 8 };

static bool has_room(const struct column *c, size_t columns)
{
	return columns == 0 || columns >= (size_t)c->least;
}

static size_t name_width(const struct top *t, size_t columns)
{
	size_t rest = 1 + STATE_WIDTH, longest = NAME_MIN;

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		rest += has_room(&shown[i], columns) ? 1 + (size_t)shown[i].width : 0;
	for (size_t i = 0; i < t->now.count; i++)
		longest = MAX(longest, strlen(t->now.items[i].name));
	if (columns == 0)
		return longest;
	return columns < rest + NAME_MIN ? NAME_MIN : MIN(columns - rest, longest);
}

static void put_name(struct buf *b, const char *name, size_t width)
{
	size_t len = strlen(name);

	if (len <= width)
		buf_printf(b, "%-*s", (int)width, name);
	else
		buf_printf(b, "%.*s+", (int)width - 1, name);
}

void top_put_titles(struct buf *b, const struct top *t, size_t columns)
{
	char title[CELL];

	put_name(b, t->key == TOP_NAME ? "NAME*" : "NAME", name_width(t, columns));
	buf_printf(b, " %-*s", STATE_WIDTH, "STATE");
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		const struct column *c = &shown[i];

		if (!has_room(c, columns))
			continue;
		snprintf(title, sizeof(title), "%s%s", c->title, c->key == (int)t->key ? "*" : "");
		/* The star may take the blank in front. */
		buf_printf(b, (int)strlen(title) > c->width ? "%*s" : " %*s",
			   (int)strlen(title) > c->width ? c->width + 1 : c->width, title);
	}
}

void top_put_row(struct buf *b, const struct top *t, const struct top_row *row, size_t columns)
{
	char cell[CELL];

	put_name(b, row->name, name_width(t, columns));
	buf_printf(b, " %-*s", STATE_WIDTH,
		   row->answered || row->phase == SANDBOX_STARTING ? sandbox_phase_names[row->phase]
								   : "silent");
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		if (!has_room(&shown[i], columns))
			continue;
		shown[i].put(cell, shown[i].value(row));
		buf_printf(b, " %*s", shown[i].width, cell);
	}
}

static double positive(double v)
{
	return v > 0 ? v : 0;
}

void top_put_summary(struct buf *b, const struct top *t)
{
	double cpu = 0, memory = 0, in = 0, out = 0, denials = 0, pids = 0;
	char cells[3][CELL];
	struct tm tm = { 0 };
	time_t now = time(NULL);

	for (size_t i = 0; i < t->now.count; i++) {
		cpu += positive(t->rows[i].cpu);
		memory += positive(t->rows[i].memory);
		pids += positive(t->rows[i].pids);
		in += positive(t->rows[i].in);
		out += positive(t->rows[i].out);
		denials += positive(t->rows[i].denials);
	}
	localtime_r(&now, &tm);
	buf_printf(b, "purple top  %02d:%02d:%02d  %zu sandbox%s", tm.tm_hour, tm.tm_min, tm.tm_sec,
		   t->now.count, t->now.count == 1 ? "" : "es");
	for (int i = 0; i < SANDBOX_ENDED; i++)
		if (t->now.phases[i])
			buf_printf(b, ", %zu %s", t->now.phases[i], sandbox_phase_names[i]);
	if (t->now.silent)
		buf_printf(b, ", %zu silent", t->now.silent);
	put_size(cells[0], memory);
	put_size(cells[1], in);
	put_size(cells[2], out);
	buf_printf(b, "\ncpu %.1f%%  memory %s  processes %.0f  in %s/s  out %s/s  denied %.0f\n",
		   cpu, cells[0], pids, cells[1], cells[2], denials);
}
