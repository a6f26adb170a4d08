/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/dirs.h"
#include "cli/sandboxes.h"
#include "cli/waiting.h"
#include "sys/files.h"

enum { OUTPUT_MAX = 64 << 20, CELL = 80 };

static const char *const help[] = {
	"Lists the sandboxes that run, and clears away what dead supervisors have left.",
	"",
	"  -a, --all     those too that have ended and left a record, or changes that wait",
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

#define WAITS "changes wait"

/* Of one that has ended, and of which there is nothing else. */
static void add_store_json(struct buf *b, const struct waiting_store *s)
{
	buf_puts(b, "{");
	add_text(b, "name", s->name);
	add_text(b, "id", s->id);
	add_text(b, "state", WAITS);
	add_number(b, "started_ms", s->created_ns / 1000000);
	add_text(b, "workspace", s->path);
	buf_puts(b, ", \"changes_wait\": true}");
}

/* They are in a review that nobody adds to any more. */
static bool changes_wait(const struct waiting *w, const char *name)
{
	const struct waiting_store *s = waiting_find(w, name);

	return s && !s->live;
}

static void add_json(struct buf *b, const struct sandbox *s, bool waits)
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
	buf_printf(b, ", \"changes_wait\": %s}", waits ? "true" : "false");
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

static void make_store_row(struct row *r, const struct waiting_store *s, uint64_t now)
{
	r->cells[0] = s->name;
	r->cells[1] = s->id;
	r->cells[2] = WAITS;
	put_age(r->age, CELL, now, s->created_ns / 1000000);
	r->cells[3] = r->age;
	r->cells[4] = "-";
	r->command = "-";
}

static void make_row(struct row *r, const struct sandbox *s, bool waits, uint64_t now)
{
	const struct sandbox_state *t = &s->state;

	r->cells[0] = t->name;
	r->cells[1] = t->id[0] ? t->id : "-";
	r->cells[2] = s->readable ? sandbox_phase_names[t->phase] : unreadable(s);
	if (s->readable && t->phase == SANDBOX_ENDED) {
		snprintf(r->state, CELL, "ended: %d, %.31s%s", t->exit_status, t->reason,
			 waits ? "; " WAITS : "");
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

/* What is listed: sandboxes, and stores of which no sandbox is known any more. */
struct listing {
	struct sandboxes sandboxes;
	struct waiting waiting;
	bool all;
};

static bool is_listed(const struct listing *l, const struct sandbox *s)
{
	return l->all || s->live;
}

static bool is_orphan(const struct listing *l, const struct waiting_store *w)
{
	if (w->live)
		return false; /* it is about to be listed, or to end */
	for (size_t i = 0; i < l->sandboxes.count; i++)
		if (streq(l->sandboxes.items[i]->state.name, w->name))
			return false;
	return true;
}

/* Each row to @each, in order. */
static void each_row(const struct listing *l, void (*each)(void *data, const struct row *r),
		     void *data)
{
	uint64_t now = wall_ms();
	static struct row r;

	for (size_t i = 0; i < l->sandboxes.count; i++) {
		const struct sandbox *s = l->sandboxes.items[i];

		if (!is_listed(l, s))
			continue;
		make_row(&r, s, changes_wait(&l->waiting, s->state.name), now);
		each(data, &r);
	}
	for (unsigned i = 0; l->all && i < l->waiting.count; i++) {
		if (!is_orphan(l, &l->waiting.items[i]))
			continue;
		make_store_row(&r, &l->waiting.items[i], now);
		each(data, &r);
	}
}

struct table {
	struct buf *b;
	size_t widths[COLUMNS], screen;
};

static void measure(void *data, const struct row *r)
{
	struct table *t = data;

	for (int i = 0; i < COLUMNS; i++)
		t->widths[i] = MAX(t->widths[i], cell_width(r->cells[i]));
}

static void put(void *data, const struct row *r)
{
	const struct table *t = data;

	put_row(t->b, r, t->widths, t->screen);
}

static void put_table(struct buf *b, const struct listing *l)
{
	static const struct row head = { .cells = { "NAME", "ID", "STATE", "SINCE", "PROFILE" },
					 .command = "COMMAND" };
	struct winsize w = { .ws_col = 0 };
	struct table t = { .b = b };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
	t.screen = w.ws_col;
	measure(&t, &head);
	each_row(l, measure, &t);
	put(&t, &head);
	each_row(l, put, &t);
}

static void put_json(struct buf *b, const struct listing *l)
{
	bool first = true;

	buf_puts(b, "[");
	for (size_t n = 0; n < l->sandboxes.count; n++) {
		const struct sandbox *s = l->sandboxes.items[n];

		if (!is_listed(l, s))
			continue;
		buf_puts(b, first ? "\n" : ",\n");
		add_json(b, s, changes_wait(&l->waiting, s->state.name));
		first = false;
	}
	for (unsigned i = 0; l->all && i < l->waiting.count; i++) {
		if (!is_orphan(l, &l->waiting.items[i]))
			continue;
		buf_puts(b, first ? "\n" : ",\n");
		add_store_json(b, &l->waiting.items[i]);
		first = false;
	}
	buf_puts(b, first ? "]\n" : "\n]\n");
}

static void put_name(void *data, const struct row *r)
{
	buf_printf(data, "%s\n", r->cells[0]);
}

static int load(struct listing *l, struct err *e)
{
	static struct dirs dirs;
	int all, r = sandboxes_load(&l->sandboxes, e);

	if (r == 0 && (r = dirs_init(&dirs)) < 0)
		return err_set(e, r, "start", "find Purple's own files");
	if (r < 0)
		return r;
	all = dirs.state ? store_open_all(dirs.state, false) : -ENOENT;
	r = waiting_load(&l->waiting, all, true);
	sys_close(all);
	return r < 0 ? err_set(e, -r, "workspace", "list what waits for review") : 0;
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
	_cleanup_buf_ struct buf b = BUF_INIT(OUTPUT_MAX);
	struct listing l = { .sandboxes = SANDBOXES_INIT };
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	l.all = all;
	if (r == 0 && quiet && json) {
		r = err_set(&e, EPROTO, "usage", "--quiet and --json exclude each other");
		err_remedy(&e, "%s", line.usage);
	}
	if (r == 0)
		r = load(&l, &e);
	if (r == 0 && json)
		put_json(&b, &l);
	else if (r == 0 && quiet)
		each_row(&l, put_name, &b);
	else if (r == 0)
		put_table(&b, &l);
	r = r < 0 ? command_failed(&e) : command_output(&b);
	sandboxes_free(&l.sandboxes);
	waiting_free(&l.waiting);
	return r;
}
