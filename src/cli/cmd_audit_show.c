/* SPDX-License-Identifier: Apache-2.0 */
/* purple audit show, purple events: the lines of a trail that are wanted, in three forms. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/cmd_audit.h"
#include "cli/line_filter.h"
#include "cli/ocsf.h"
#include "cli/sandboxes.h"

enum { EXIT_DAMAGED = 1, OUTPUT_AT = 1 << 16, TAIL_MAX = 100000, WAIT_MS = 1000 };

enum form { FORM_TEXT, FORM_JSON, FORM_OCSF };

struct show {
	struct line_filter filter;
	struct trail_reader reader;
	const char *file, *format, *tail;
	bool follow, colour, json;
	bool seen; /* the sandbox that is named, or its absence was told */
	enum form form;
	struct buf out;
	/* With --tail: the last ones, each by itself; a ring. */
	char **last;
	size_t last_max, last_count, last_next;
};

static const char *const severity_colours[ES_SEVERITIES] = { "", "\033[36m", "\033[33m",
							     "\033[31m" };

static void put_text(const struct show *s, const struct trail_line *l, struct buf *b)
{
	const char *colour = s->colour ? severity_colours[l->severity] : "";
	const char *allow = line_text(l, EF_ALLOW);
	char time[TIME_TEXT];

	time_format(l->time_ns, time);
	buf_printf(b, "%s%s ", colour, time);
	line_put(b, l->name[0] ? l->name : l->sandbox);
	buf_printf(b, " %s ", event_severity_names[l->severity]);
	line_put(b, l->type);
	buf_puts(b, ": ");
	line_describe(l, b);
	if (line_number(l, EF_COUNT) > 1 && l->known != EV_AUDIT_GAP)
		buf_printf(b, " (%llu times)", (unsigned long long)line_number(l, EF_COUNT));
	buf_puts(b, *colour ? "\033[0m\n" : "\n");
	if (allow && *allow) {
		buf_puts(b, "    to allow it: ");
		line_put(b, allow);
		buf_puts(b, "\n");
	}
}

static int add_json(const char *data, size_t len, void *arg)
{
	buf_add(arg, data, len);
	return 0;
}

static void put_line(const struct show *s, const struct trail_line *l, struct buf *b)
{
	json_t *o;

	if (s->form == FORM_TEXT)
		return put_text(s, l, b);
	o = s->form == FORM_OCSF ? ocsf_event(l) : json_incref(l->fields);
	json_dump_callback(o, add_json, b, JSON_COMPACT);
	buf_puts(b, "\n");
	json_decref(o);
}

static int flush(struct show *s, struct err *e)
{
	int r = s->out.failed
			? -ENOMEM
			: write_full(STDOUT_FILENO, s->out.data ? s->out.data : "", s->out.len);

	s->out.len = 0;
	return r == 0 ? 0 : err_set(e, r, "output", "write");
}

static int keep_last(struct show *s, const struct trail_line *l, struct err *e)
{
	struct buf b = BUF_INIT(16 * EVENT_LINE_MAX);

	put_line(s, l, &b);
	if (b.failed) {
		buf_free(&b);
		return err_set(e, ENOMEM, "output", "memory");
	}
	free(s->last[s->last_next]);
	s->last[s->last_next] = b.data;
	s->last_next = (s->last_next + 1) % s->last_max;
	s->last_count = MIN(s->last_count + 1, s->last_max);
	return 0;
}

static int put_last(struct show *s, struct err *e)
{
	size_t at = (s->last_next + s->last_max - s->last_count) % MAX(s->last_max, (size_t)1);
	int r = 0;

	for (size_t i = 0; i < s->last_count && r == 0; i++) {
		buf_puts(&s->out, s->last[(at + i) % s->last_max]);
		if (s->out.len > OUTPUT_AT)
			r = flush(s, e);
	}
	for (size_t i = 0; i < s->last_max; i++)
		free(s->last[i]);
	free(TAKE_PTR(s->last));
	s->last_max = s->last_count = 0;
	return r;
}

static bool is_named(const struct show *s, const struct trail_line *l)
{
	return s->filter.sandbox &&
	       (streq(s->filter.sandbox, l->sandbox) || streq(s->filter.sandbox, l->name));
}

static bool is_end(const struct show *s, const struct trail_line *l)
{
	return s->follow && (l->known == EV_SANDBOX_ENDED || l->known == EV_SETUP_ERROR) &&
	       is_named(s, l);
}

/* A name with a typo, or a sandbox without an audit; who follows may be there before it is. */
static int unseen(struct show *s, struct err *e)
{
	if (!s->filter.sandbox || s->seen)
		return 0;
	s->seen = true;
	err_set(e, EPROTO, "audit", "the trail says nothing of a sandbox %.60s", s->filter.sandbox);
	err_remedy(e, "`purple audit show --type sandbox.created` lists all; only those that run "
		      "with --audit are in it");
	if (!s->follow)
		return -EPROTO;
	command_failed(e);
	return 0;
}

/* One line. 1: it was the last that is wanted. */
static int take(struct show *s, const struct trail_line *l, struct err *e)
{
	int r = 0;

	s->seen = s->seen || is_named(s, l);
	if (line_filter_match(&s->filter, l)) {
		if (s->last_max > 0) {
			r = keep_last(s, l, e);
		} else {
			put_line(s, l, &s->out);
			if (s->out.len > OUTPUT_AT)
				r = flush(s, e);
		}
	}
	return r < 0 ? r : is_end(s, l);
}

static int show_all(struct show *s, struct err *e)
{
	int r;

	for (;;) {
		_cleanup_line_ struct trail_line l = { 0 };

		r = trail_reader_next(&s->reader, &l, e);
		if (r < 0)
			return r;
		if (r == 1) {
			r = take(s, &l, e);
			if (r == 0)
				continue;
			if (r < 0)
				return r;
		}
		if (s->last_max > 0)
			r = put_last(s, e) < 0 ? -1 : r;
		if (r >= 0 && flush(s, e) < 0)
			r = -1;
		if (r == 0 && unseen(s, e) < 0)
			return -EPROTO;
		if (r != 0 || !s->follow)
			return MIN(r, 0);
		trail_reader_wait(&s->reader, WAIT_MS);
	}
}

static int usage(const struct command_line *line, struct err *e)
{
	err_remedy(e, "%s", line->usage);
	return -EPROTO;
}

static int show_init(struct show *s, const struct command_line *line, const char *name,
		     struct err *e)
{
	static const char *const forms[] = { "text", "json", "ocsf" };
	const char *no_colour = getenv("NO_COLOR");
	uint64_t n;
	size_t i;

	if (s->json && !s->format)
		s->format = "json";
	for (i = 0; s->format && i < ARRAY_SIZE(forms) && !streq(forms[i], s->format); i++)
		;
	if (i == ARRAY_SIZE(forms)) {
		err_set(e, EPROTO, "usage", "there is no format %.40s; text, json or ocsf",
			s->format);
		return usage(line, e);
	}
	s->form = (enum form)i;
	s->colour = s->form == FORM_TEXT && isatty(STDOUT_FILENO) && !(no_colour && *no_colour);
	if (name && s->filter.sandbox && !streq(name, s->filter.sandbox)) {
		err_set(e, EPROTO, "usage", "two sandboxes are named");
		return usage(line, e);
	}
	if (name)
		s->filter.sandbox = name;
	if (s->tail) {
		if (parse_u64(s->tail, &n) < 0 || n < 1 || n > TAIL_MAX) {
			err_set(e, EPROTO, "usage", "--tail: a number from 1 to %d, not %.40s",
				TAIL_MAX, s->tail);
			return usage(line, e);
		}
		s->last_max = (size_t)n;
		s->last = calloc(s->last_max, sizeof(*s->last));
		if (!s->last)
			return err_set(e, ENOMEM, "output", "memory");
	}
	return line_filter_init(&s->filter, e);
}

static int run(struct show *s, struct err *e)
{
	int r = trail_reader_open(&s->reader, s->file, s->follow, e);

	if (r == 0 && s->follow && !s->filter.sandbox && !s->filter.since && s->last_max == 0)
		trail_reader_to_end(&s->reader);
	if (r == 0)
		r = show_all(s, e);
	/* A reader that has gone away, as head(1) does, is no fault. */
	if (r < 0 && e->code == EPIPE)
		return 0;
	r = r < 0 ? command_failed(e) : s->reader.damaged > 0 ? EXIT_DAMAGED : 0;
	trail_reader_close(&s->reader);
	buf_free(&s->out);
	return r;
}

static const char filter_help[] =
	"      --sandbox NAME      only of the one with this name or id; or as an argument\n"
	"      --type TYPE[,…]     only of these types; with globs: 'net.*', '*.denied'\n"
	"      --since, --until TIME\n"
	"                          2026-11-24T18:49:53Z, 2026-11-24 (UTC), or how long ago:\n"
	"                          30s, 10m, 2h, 1d\n"
	"      --grep TEXT         only with this text in what happened or in a field\n"
	"      --severity LEVEL    only this and graver: info, notice, warning, error\n"
	"      --tail N            only the last N of them\n"
	"      --format FORMAT     text; json: the lines as they are; ocsf: events of the\n"
	"                          Open Cybersecurity Schema Framework 1.5\n"
	"      --json              the same as --format json\n"
	"      --file TRAIL        this trail instead of one's own\n"
	"  -h, --help              this text\n"
	"\n"
	"Types: sandbox.created sandbox.started sandbox.ended setup.error layer.downgraded\n"
	"policy.changed exec.requested process.exec process.exit file.write file.open\n"
	"file.denied dns.allowed dns.denied net.allowed net.denied net.lost api.call\n"
	"syscall.denied output.collected limit.reached intent audit.opened audit.gap";

static const char *const show_help[] = {
	"Prints what an audit trail says, its rotated files too, oldest first. Exits 1 if lines are",
	"damaged; they are named and left out. Only `purple audit verify` judges whether the trail",
	"is whole.",
	"",
	filter_help,
	NULL,
};

static const char *const events_help[] = {
	"Prints the events of the audit trail; with -f those to come, until Ctrl-C or until the",
	"sandbox that is named has ended. With -f, old ones only of the sandbox that is named, or",
	"with --since or --tail.",
	"",
	"  -f, --follow            go on as they happen, over rotations",
	filter_help,
	NULL,
};

static int show(int argc, char **argv, const char *const *help, const char *words, bool can_follow)
{
	struct show s = { .reader = TRAIL_READER_INIT, .out = BUF_INIT(64 << 20) };
	const struct option_word options[] = {
		{ 0, "sandbox", &s.filter.sandbox, NULL },
		{ 0, "type", &s.filter.types, NULL },
		{ 0, "since", &s.filter.since, NULL },
		{ 0, "until", &s.filter.until, NULL },
		{ 0, "grep", &s.filter.grep, NULL },
		{ 0, "severity", &s.filter.severity, NULL },
		{ 0, "tail", &s.tail, NULL },
		{ 0, "format", &s.format, NULL },
		{ 0, "json", NULL, &s.json },
		{ 0, "file", &s.file, NULL },
		{ 'f', "follow", NULL, &s.follow },
	};
	const struct command_line line = {
		help, words, options, ARRAY_SIZE(options) - !can_follow, 0, 1,
	};
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r == 0)
		r = show_init(&s, &line, names > 0 ? argv[0] : NULL, &e);
	if (r < 0)
		return command_failed(&e);
	return run(&s, &e);
}

int cmd_audit_show(int argc, char **argv)
{
	return show(argc, argv, show_help, "purple audit show [OPTION…] [NAME]", false);
}

int cmd_events(int argc, char **argv)
{
	return show(argc, argv, events_help, "purple events [-f] [OPTION…] [NAME]", true);
}
