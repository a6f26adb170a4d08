/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/sandboxes.h"

enum { OUTPUT_MAX = 64 << 20, CELL = 80 };

static const char *const help[] = {
	"Lists the sandboxes that run, and clears away what dead supervisors have left.",
	"",
	"  -a, --all     those too that have ended and left a record",
	"  -q, --quiet   only the names",
	"      --json    one JSON array, with all that is known",
	"  -h, --help    this text",
	NULL,
};

static void add_text(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, "%s\"%s\": ", b->data[b->len - 1] == '{' ? "" : ", ", key);
	buf_json_string(b, value);
}

static void add_number(struct buf *b, const char *key, uint64_t value)
{
	buf_printf(b, ", \"%s\": %" PRIu64, key, value);
}

static const char *unreadable(const struct sandbox *s)
{
	return s->damaged ? "unreadable" : sandbox_phase_names[SANDBOX_STARTING];
}

static void add_json(struct buf *b, const struct sandbox *s)
{
	const struct sandbox_state *t = &s->state;

	buf_puts(b, "{");
	add_text(b, "name", t->name);
	if (!s->readable) {
		add_text(b, "state", unreadable(s));
		buf_puts(b, "}");
		return;
	}
	add_text(b, "id", t->id);
	add_text(b, "state", sandbox_phase_names[t->phase]);
	add_text(b, "kind", sandbox_kind_names[t->kind]);
	buf_printf(b, ", \"stays\": %s, \"terminal\": %s", t->stays ? "true" : "false",
		   t->terminal ? "true" : "false");
	if (s->live) {
		add_number(b, "supervisor", (uint64_t)t->supervisor);
		if (t->pid1)
			add_number(b, "pid1", (uint64_t)t->pid1);
	}
	add_number(b, "started_ms", t->started_ms);
	if (t->phase == SANDBOX_ENDED) {
		add_number(b, "ended_ms", t->ended_ms);
		add_number(b, "exit_status", (uint64_t)t->exit_status);
		add_text(b, "reason", t->reason);
	}
	add_text(b, "profile", t->profile);
	add_text(b, "workspace", t->workspace);
	add_text(b, "command", t->command);
	buf_puts(b, "}");
}

static uint64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void put_age(char *to, size_t size, uint64_t now, uint64_t started_ms)
{
	static const struct {
		unsigned seconds;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	uint64_t age;

	if (!started_ms) {
		str_copy(to, size, "-");
		return;
	}
	age = now > started_ms ? (now - started_ms) / 1000 : 0;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (age < 2ULL * units[i].seconds && units[i].seconds > 1)
			continue;
		snprintf(to, size, "%" PRIu64 "%c", age / units[i].seconds, units[i].unit);
		return;
	}
}

enum { COLUMNS = 5 }; /* with the width of their widest; then the command */
struct row {
	const char *cells[COLUMNS], *command;
	char state[CELL], age[CELL];
};

static void make_row(struct row *r, const struct sandbox *s, uint64_t now)
{
	const struct sandbox_state *t = &s->state;

	r->cells[0] = t->name;
	r->cells[1] = t->id[0] ? t->id : "-";
	r->cells[2] = s->readable ? sandbox_phase_names[t->phase] : unreadable(s);
	if (s->readable && t->phase == SANDBOX_ENDED) {
		snprintf(r->state, CELL, "ended: %d, %.31s", t->exit_status, t->reason);
		r->cells[2] = r->state;
	}
	put_age(r->age, CELL, now, t->started_ms);
	r->cells[3] = r->age;
	r->cells[4] = t->profile[0] ? t->profile : "-";
	r->command = t->command;
}

static void put_row(struct buf *b, const struct row *r, const size_t *widths, size_t screen)
{
	size_t used = 0;

	for (int i = 0; i < COLUMNS; i++) {
		put_cell(b, r->cells[i], widths[i], true);
		buf_add(b, "  ", 2);
		used += widths[i] + 2;
	}
	put_cell(b, r->command, screen > used + 8 ? screen - used : 0, false);
	buf_add(b, "\n", 1);
}

static void put_table(struct buf *b, const struct sandboxes *l, bool ended)
{
	static const struct row head = { .cells = { "NAME", "ID", "STATE", "SINCE", "PROFILE" },
					 .command = "COMMAND" };
	struct winsize w = { .ws_col = 0 };
	uint64_t now = wall_ms();
	size_t widths[COLUMNS];
	static struct row r;

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
	for (int i = 0; i < COLUMNS; i++)
		widths[i] = strlen(head.cells[i]);
	for (size_t n = 0; n < l->count; n++) {
		if (!ended && !l->items[n]->live)
			continue;
		make_row(&r, l->items[n], now);
		for (int i = 0; i < COLUMNS; i++)
			widths[i] = MAX(widths[i], cell_width(r.cells[i]));
	}
	put_row(b, &head, widths, w.ws_col);
	for (size_t n = 0; n < l->count; n++) {
		if (!ended && !l->items[n]->live)
			continue;
		make_row(&r, l->items[n], now);
		put_row(b, &r, widths, w.ws_col);
	}
}

int cmd_ps(int argc, char **argv)
{
	bool all = false, quiet = false, json = false;
	const struct option_word options[] = {
		{ 'a', "all", NULL, &all },
		{ 'q', "quiet", NULL, &quiet },
		{ 0, "json", NULL, &json },
	};
	const struct command_line line = {
		help, "purple ps [-a] [-q | --json]", options, ARRAY_SIZE(options), 0, 0,
	};
	_cleanup_sandboxes_ struct sandboxes l = SANDBOXES_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT(OUTPUT_MAX);
	struct err e = { 0 };
	bool first = true;
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r == 0 && quiet && json) {
		r = err_set(&e, EPROTO, "usage", "--quiet and --json exclude each other");
		err_remedy(&e, "%s", line.usage);
	}
	if (r == 0)
		r = sandboxes_load(&l, &e);
	if (r < 0)
		return command_failed(&e);
	if (!json && !quiet) {
		put_table(&b, &l, all);
		return command_output(&b);
	}
	if (json)
		buf_puts(&b, "[");
	for (size_t n = 0; n < l.count; n++) {
		if (!all && !l.items[n]->live)
			continue;
		if (json) {
			buf_puts(&b, first ? "\n" : ",\n");
			add_json(&b, l.items[n]);
		} else {
			buf_printf(&b, "%s\n", l.items[n]->state.name);
		}
		first = false;
	}
	if (json)
		buf_puts(&b, first ? "]\n" : "\n]\n");
	return command_output(&b);
}
