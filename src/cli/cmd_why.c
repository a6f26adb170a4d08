/* SPDX-License-Identifier: Apache-2.0 */
/* purple why: what one sandbox was refused, and what would allow it; from the trail or a report. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/cmd_audit.h"
#include "cli/sandboxes.h"
#include "cli/trail_reader.h"
#include "supervisor/denials.h"

enum { CAUSES_MAX = 10000, REPORT_MAX = 4 << 20, OUTPUT_MAX = 64 << 20, EXIT_DAMAGED = 1 };

/* How advice of two lines begins, see event/advice.c. */
static const char TWO_LINES[] = "two lines: ";

struct why {
	const char *wanted; /* id or name; NULL: the last */
	char id[128], name[128], profile[128];
	struct denial *items; /* owned */
	size_t count, room;
	uint64_t others;
	bool found;
};

static int keep(struct why *w, const struct denial *new, struct err *e)
{
	for (size_t i = 0; i < w->count; i++)
		if (denial_is_same(&w->items[i], new)) {
			w->items[i].count += new->count;
			return 0;
		}
	if (w->count == CAUSES_MAX) {
		w->others += new->count;
		return 0;
	}
	if (w->count == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		struct denial *grown = realloc(w->items, room * sizeof(*grown));

		if (!grown)
			return err_set(e, ENOMEM, "why", "memory");
		w->items = grown;
		w->room = room;
	}
	w->items[w->count++] = *new;
	return 0;
}

static void take_text(struct trail_line *l, enum event_field f, char *ret, size_t size)
{
	const char *s = line_text(l, f);

	str_copy(ret, size, s ? s : "");
	event_unescape(ret);
}

/* The event that the line tells of, again. Its texts are @room's, which outlives it. */
struct texts {
	char of[EVENT_FIELDS_MAX][4 * EVENT_TEXT_MAX + 8];
};

static void rebuild(struct trail_line *l, struct event *ev, struct texts *room)
{
	const struct event_info *info = &event_table[l->known];

	*ev = (struct event){ .type = (enum event_type)l->known };
	for (int i = 0; i < info->fields_count; i++) {
		const enum event_field f = (enum event_field)info->fields[i];

		if (!json_object_get(l->fields, event_fields[f].name))
			continue;
		if (event_fields[f].kind == EK_TEXT) {
			take_text(l, f, room->of[i], sizeof(room->of[i]));
			event_text(ev, f, room->of[i]);
		} else if (event_fields[f].kind == EK_U64) {
			event_number(ev, f, line_number(l, f));
		}
	}
}

static bool is_wanted(const struct why *w, const struct trail_line *l)
{
	return !w->wanted || streq(w->wanted, l->sandbox) || streq(w->wanted, l->name);
}

/* A name is another sandbox's when that one has ended: the last one counts. */
static void begin(struct why *w, struct trail_line *l)
{
	w->found = true;
	w->count = 0;
	w->others = 0;
	str_copy(w->id, sizeof(w->id), l->sandbox);
	str_copy(w->name, sizeof(w->name), l->name);
	take_text(l, EF_PROFILE, w->profile, sizeof(w->profile));
}

static int take(struct why *w, struct trail_line *l, struct err *e)
{
	static struct texts room;
	struct denial new = { 0 };
	struct advice a = { 0 };
	struct event ev;

	if (!is_wanted(w, l))
		return 0;
	if (l->known == EV_SANDBOX_CREATED)
		begin(w, l);
	if (!w->found || !streq(w->id, l->sandbox) || l->known < 0 ||
	    !denial_is((enum event_type)l->known))
		return 0;
	rebuild(l, &ev, &room);
	take_text(l, EF_ALLOW, a.allow, sizeof(a.allow));
	take_text(l, EF_ADVICE, a.why, sizeof(a.why));
	if (!denial_fill(&new, &ev, &a)) {
		w->others += new.count;
		return 0;
	}
	/* Programs look for many files; and to wait for a processor is no refusal. */
	if (denial_host_lacks(&new) || streq(new.what, "resources.cpu_shares"))
		return 0;
	return keep(w, &new, e);
}

static int read_trail(struct why *w, const char *file, bool *damaged, struct err *e)
{
	_cleanup_trail_reader_ struct trail_reader reader = TRAIL_READER_INIT;
	int r = trail_reader_open(&reader, file, false, e);

	while (r >= 0) {
		_cleanup_line_ struct trail_line l = { 0 };

		r = trail_reader_next(&reader, &l, e);
		if (r <= 0)
			break;
		r = take(w, &l, e);
	}
	*damaged = reader.damaged > 0;
	if (r < 0 || w->found)
		return r;
	err_set(e, EPROTO, "why", "%s tells of no sandbox%s%.80s", reader.path,
		w->wanted ? " " : "", w->wanted ? w->wanted : "");
	err_remedy(e,
		   "a sandbox is written down with audit.enabled: true (--audit); without, `purple "
		   "why --report FILE` reads what --report has written");
	return -EPROTO;
}

static void copy_field(const json_t *from, const char *key, char *ret, size_t size)
{
	const char *s = json_string_value(json_object_get(from, key));

	str_copy(ret, size, s ? s : "");
}

static int take_reported(struct why *w, const json_t *from, struct err *e)
{
	struct denial d = { 0 };
	char type[64];
	int known;

	copy_field(from, "type", type, sizeof(type));
	known = event_type_find(type);
	if (known < 0 || !denial_is((enum event_type)known)) {
		w->others++;
		return 0;
	}
	d.type = (uint8_t)known;
	d.count = (uint64_t)json_integer_value(json_object_get(from, "count"));
	d.port = (uint16_t)json_integer_value(json_object_get(from, "port"));
	copy_field(from, "protocol", type, sizeof(type));
	d.udp = streq(type, "udp");
	copy_field(from, "what", d.what, sizeof(d.what));
	copy_field(from, "layer", d.layer, sizeof(d.layer));
	copy_field(from, "reason", d.reason, sizeof(d.reason));
	copy_field(from, "rule", d.rule, sizeof(d.rule));
	copy_field(from, "allow", d.allow, sizeof(d.allow));
	copy_field(from, "why", d.why, sizeof(d.why));
	copy_field(from, "host", d.host, sizeof(d.host));
	copy_field(from, "address", d.address, sizeof(d.address));
	return keep(w, &d, e);
}

static int read_report(struct why *w, const char *path, struct err *e)
{
	_cleanup_buf_ struct buf b = BUF_INIT(REPORT_MAX);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	json_t *report = NULL, *item;
	int r = fd < 0 ? -errno : read_all(fd, &b);
	size_t i;

	if (r < 0)
		return err_set(e, r, "why", "read %s", path);
	report = json_loadb(b.data ? b.data : "", b.len, 0, NULL);
	if (!json_is_object(report) || !json_object_get(report, "status")) {
		json_decref(report);
		return err_set(e, EPROTO, "why", "%s is no report of `purple run --report`", path);
	}
	copy_field(report, "id", w->id, sizeof(w->id));
	copy_field(report, "name", w->name, sizeof(w->name));
	copy_field(report, "profile", w->profile, sizeof(w->profile));
	w->others = (uint64_t)json_integer_value(json_object_get(report, "denials_not_listed"));
	json_array_foreach(json_object_get(report, "denials"), i, item)
	{
		r = r < 0 ? r : take_reported(w, item, e);
	}
	json_decref(report);
	return MIN(r, 0);
}

static void put_json(const struct why *w, struct buf *b)
{
	buf_puts(b, "{\"sandbox\":");
	buf_json_string(b, w->id);
	buf_puts(b, ",\"name\":");
	buf_json_string(b, w->name);
	buf_puts(b, ",\"profile\":");
	buf_json_string(b, w->profile);
	buf_puts(b, ",\"denials\":[");
	for (size_t i = 0; i < w->count; i++) {
		buf_puts(b, i ? ",\n {" : "\n {");
		denial_json(&w->items[i], b);
		buf_puts(b, "}");
	}
	buf_printf(b, "],\"denials_not_listed\":%llu}\n", (unsigned long long)w->others);
}

static void put_row(struct buf *b, const char *label, const char *text)
{
	if (!text[0])
		return;
	buf_puts(b, label);
	line_put(b, text);
	buf_puts(b, "\n");
}

/* "LINE; LINE", and after another "; " what would do instead. */
static void put_lines(struct buf *b, const char *lines)
{
	static const char between[] = "; ";
	char line[ADVICE_WHY], option[ADVICE_OPTION];
	_cleanup_buf_ struct buf options = BUF_INIT(2 * ADVICE_OPTION);
	const char *p = lines;

	for (int i = 0; i < 2 && p; i++) {
		const char *end = strstr(p, between);

		snprintf(line, sizeof(line), "%.*s", end ? (int)(end - p) : (int)strlen(p), p);
		put_row(b, i ? "             " : "    policy:  ", line);
		advice_option(line, option);
		buf_printf(&options, "%s%s", i ? " " : "", option);
		p = end ? end + strlen(between) : NULL;
	}
	put_row(b, "    option:  ", options.data ? options.data : "");
	put_row(b, "    instead: ", p && str_after(p, "or ") ? str_after(p, "or ") : p ? p : "");
}

static void put_text(const struct why *w, struct buf *b)
{
	char option[ADVICE_OPTION];

	if (w->count == 0 && w->others == 0)
		buf_puts(b, "nothing was refused\n");
	for (size_t i = 0; i < w->count; i++) {
		const struct denial *d = &w->items[i];

		line_put(b, d->what);
		if (d->count > 1)
			buf_printf(b, " (%llu times)", (unsigned long long)d->count);
		buf_puts(b, "\n");
		buf_puts(b, d->type == EV_LIMIT_REACHED ? "    reached: " : "    refused: ");
		line_put(b, d->reason[0] ? d->reason : "-");
		buf_puts(b, ", by ");
		line_put(b, d->layer[0] ? d->layer : "-");
		if (d->rule[0] && !streq(d->rule, d->what)) {
			buf_puts(b, ", ");
			line_put(b, d->rule);
		}
		buf_puts(b, "\n");
		if (str_after(d->why, TWO_LINES)) {
			put_lines(b, str_after(d->why, TWO_LINES));
			continue;
		}
		advice_option(d->allow, option);
		put_row(b, "    policy:  ", d->allow);
		put_row(b, "    option:  ", option);
		put_row(b, d->allow[0] ? "    and:     " : "    no line: ", d->why);
	}
	if (w->others)
		buf_printf(b, "%llu more were refused\n", (unsigned long long)w->others);
}

static const char *const help[] = {
	"Says what a sandbox was refused, a live or an ended one: how often, by which layer and",
	"rule, the line of a policy that would allow it, and the option of `purple run` that says",
	"the same. Without a name: the last one that the trail tells of. Exits 1 if lines of the",
	"trail are damaged. Refused reads of files are seen with `purple run --denials-file` or",
	"`--audit-detail filesystem`.",
	"",
	"      --json              as one JSON object; --format json is the same",
	"      --file TRAIL        this trail instead of one's own",
	"      --report FILE       what `purple run --report FILE` has written, instead of a trail",
	"  -h, --help              this text",
	NULL,
};

int cmd_why(int argc, char **argv)
{
	struct why w = { 0 };
	const char *file = NULL, *report = NULL, *format = NULL;
	_cleanup_buf_ struct buf out = BUF_INIT(OUTPUT_MAX);
	bool json = false, damaged = false;
	const struct option_word options[] = {
		{ 0, "json", NULL, &json },
		{ 0, "format", &format, NULL },
		{ 0, "file", &file, NULL },
		{ 0, "report", &report, NULL },
	};
	const struct command_line line = {
		help, "purple why [--json] [NAME]", options, ARRAY_SIZE(options), 0, 1,
	};
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r == 0 && report && (file || names > 0)) {
		err_set(&e, EPROTO, "usage", "a report tells of one sandbox, without a trail");
		err_remedy(&e, "%s", line.usage);
		r = -EPROTO;
	}
	if (r == 0 && format && !streq(format, "text") && !streq(format, "json")) {
		err_set(&e, EPROTO, "usage", "there is no format %.40s; text or json", format);
		err_remedy(&e, "%s", line.usage);
		r = -EPROTO;
	}
	json = json || (format && streq(format, "json"));
	w.wanted = r == 0 && names > 0 ? argv[0] : NULL;
	if (r == 0)
		r = report ? read_report(&w, report, &e) : read_trail(&w, file, &damaged, &e);
	if (r == 0)
		(json ? put_json : put_text)(&w, &out);
	free(w.items);
	if (r < 0)
		return command_failed(&e);
	r = command_output(&out);
	if (r == 0 && !json && w.count == 0 && w.others == 0)
		fprintf(stderr,
			"purple: why: in %s, of what was seen%s\n"
			"  files that could not be read are seen with `purple run --audit-detail "
			"filesystem`, or --denials-file\n",
			w.name[0] ? w.name : w.id,
			w.wanted || report ? "" : "; that is the last run with --audit");
	return r == 0 && damaged ? EXIT_DAMAGED : r;
}
