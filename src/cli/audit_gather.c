/* SPDX-License-Identifier: Apache-2.0 */
/* The account of a sandbox: see audit_report.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/audit_report.h"

enum { BY_MAX = 8, ADDRESSES_MAX = 16, KEY_ROOM = 6 * EVENT_TEXT_MAX };

/* clang-format off */
static const struct lane {
	const char *name, *prefixes[4];
} lanes[] = {
	{ "processes", { "process.exec", "exec.", NULL } },
	{ "files", { "file.write", "file.open", NULL } },
	{ "network", { "net.allowed", "dns.allowed", "api.", NULL } },
	{ "refused", { "file.denied", "dns.denied", "net.denied", "syscall.denied" } },
	{ "trouble", { "limit.", "layer.", "audit.gap", "net.lost" } },
};

/* Types of which a section simply has all, one after the other. */
static const struct section {
	const char *name;
	enum event_type type;
	enum event_field fields[7]; /* until a repeated one */
} sections[] = {
	{ "limits", EV_LIMIT_REACHED, { EF_LIMIT, EF_VALUE, EF_COUNT, EF_MESSAGE, EF_ALLOW, EF_ADVICE, EF_ADVICE } },
	{ "outputs", EV_OUTPUT, { EF_PATH, EF_BYTES, EF_ERROR, EF_COUNT, EF_COUNT } },
	{ "downgrades", EV_LAYER_DOWNGRADED, { EF_LAYER, EF_REASON, EF_REASON } },
	{ "gaps", EV_AUDIT_GAP, { EF_COUNT, EF_REASON, EF_REASON } },
	{ "errors", EV_SETUP_ERROR, { EF_STAGE, EF_MESSAGE, EF_ERROR, EF_ERROR } },
	{ "errors", EV_NET_LOST, { EF_REASON, EF_REASON } },
	{ "changes", EV_POLICY_CHANGED, { EF_MESSAGE, EF_RULE, EF_UID, EF_PID, EF_PID } },
	{ "requests", EV_EXEC_REQUESTED, { EF_COMMAND, EF_CWD, EF_UID, EF_PID, EF_PID } },
};
/* clang-format on */

static const char *const all_sections[] = { "timeline", "processes", "hosts",	"names",
					    "written",	"refused",   "limits",	"downgrades",
					    "gaps",	"errors",    "changes", "requests",
					    "intents",	"outputs" };

static void put(json_t *o, const char *key, json_t *value)
{
	json_object_set_new(o, key, value);
}

uint64_t report_times(const struct trail_line *l)
{
	return l->known == EV_AUDIT_GAP ? 1 : MAX(line_number(l, EF_COUNT), UINT64_C(1));
}

bool report_is_search(const struct trail_line *l)
{
	const char *error = line_text(l, EF_ERROR);

	return l->known == EV_PROCESS_EXEC && error && streq(error, "ENOENT");
}

void report_copy(json_t *to, const struct trail_line *l, enum event_field f)
{
	json_t *v = json_object_get(l->fields, event_fields[f].name);

	if (v)
		json_object_set(to, event_fields[f].name, v);
}

void report_count(json_t *o, const char *key, uint64_t by)
{
	put(o, key, json_integer(json_integer_value(json_object_get(o, key)) + (json_int_t)by));
}

json_t *report_item(struct report *p, const char *section, const char *key, bool *fresh)
{
	json_t *list = json_object_get(p->root, section), *item;
	json_t *known = key ? json_object_get(json_object_get(p->keys, section), key) : NULL;

	*fresh = !known;
	if (known)
		return known;
	if (json_array_size(list) >= REPORT_ITEMS) {
		report_count(json_object_get(p->root, "left_out"), section, 1);
		return NULL;
	}
	item = json_object();
	json_array_append_new(list, item);
	if (key)
		json_object_set(json_object_get(p->keys, section), key, item);
	return item;
}

/* Add a text to a short list without doubles. */
static void add_once(json_t *o, const char *key, const char *text, size_t max)
{
	json_t *list = json_object_get(o, key);

	if (!text)
		return;
	if (!list) {
		list = json_array();
		put(o, key, list);
	}
	for (size_t i = 0; i < json_array_size(list); i++)
		if (streq(json_string_value(json_array_get(list, i)), text))
			return;
	if (json_array_size(list) < max)
		json_array_append_new(list, json_string(text));
}

int report_find(struct trail_reader *r, const char *name, struct report_subject *s, struct err *e)
{
	int n;

	*s = (struct report_subject){ 0 };
	for (;;) {
		_cleanup_line_ struct trail_line l = { 0 };

		n = trail_reader_next(r, &l, e);
		if (n <= 0)
			break;
		if (!streq(l.sandbox, name) && !streq(l.name, name))
			continue;
		if (!streq(l.sandbox, s->id)) {
			s->begin_ns = l.time_ns;
			s->end_ns = 0;
			s->sandboxes++;
			str_copy(s->id, sizeof(s->id), l.sandbox);
		}
		s->end_ns = MAX(s->end_ns, l.time_ns);
	}
	if (n < 0)
		return n;
	if (s->sandboxes == 0) {
		err_set(e, EPROTO, "audit", "the trail says nothing of a sandbox %.60s", name);
		err_remedy(e, "`purple audit show --type sandbox.created` lists all");
		return -EPROTO;
	}
	return 0;
}

int report_begin(struct report *p, const struct report_subject *s, const struct intent_rules *rules)
{
	json_t *activity = json_object(), *rows = json_object();
	char from[TIME_TEXT], to[TIME_TEXT];

	*p = (struct report){ .root = json_object(),
			      .keys = json_object(),
			      .rules = rules,
			      .begin_ns = s->begin_ns,
			      .end_ns = s->end_ns };
	put(p->root, "sandbox", json_pack("{s:s}", "id", s->id));
	put(p->root, "running", json_true());
	put(p->root, "counts", json_object());
	put(p->root, "activity", activity);
	time_format(s->begin_ns, from);
	time_format(s->end_ns, to);
	put(activity, "from", json_string(from));
	put(activity, "to", json_string(to));
	put(activity, "buckets", json_integer(REPORT_BUCKETS));
	put(activity, "lanes", rows);
	for (size_t i = 0; i < ARRAY_SIZE(lanes); i++) {
		json_t *row = json_array();

		for (int k = 0; k < REPORT_BUCKETS; k++)
			json_array_append_new(row, json_integer(0));
		put(rows, lanes[i].name, row);
	}
	for (size_t i = 0; i < ARRAY_SIZE(all_sections); i++) {
		put(p->root, all_sections[i], json_array());
		put(p->keys, all_sections[i], json_object());
	}
	put(p->root, "left_out", json_object());
	put(p->root, "trail", json_object());
	return p->root && p->keys ? 0 : -ENOMEM;
}

static void add_activity(struct report *p, const struct trail_line *l)
{
	json_t *rows = json_object_get(json_object_get(p->root, "activity"), "lanes");
	uint64_t span = p->end_ns - p->begin_ns + 1;
	uint64_t at = l->time_ns < p->begin_ns ? 0 : MIN(l->time_ns - p->begin_ns, span - 1);
	size_t k = (size_t)((double)at / (double)span * REPORT_BUCKETS);

	k = MIN(k, (size_t)REPORT_BUCKETS - 1);
	for (size_t i = 0; i < ARRAY_SIZE(lanes); i++)
		for (size_t j = 0; j < ARRAY_SIZE(lanes[i].prefixes); j++) {
			const char *prefix = lanes[i].prefixes[j];
			json_t *row = json_object_get(rows, lanes[i].name);

			if (!prefix)
				break;
			if (str_after(l->type, prefix))
				json_array_set_new(
					row, k,
					json_integer(json_integer_value(json_array_get(row, k)) +
						     (json_int_t)report_times(l)));
		}
}

/* What happens often comes once for each run of it. */
static void add_timeline(struct report *p, const struct trail_line *l)
{
	_cleanup_buf_ struct buf b = BUF_INIT(16 * EVENT_LINE_MAX);
	json_t *list = json_object_get(p->root, "timeline");
	json_t *last = json_array_get(list, json_array_size(list) - 1), *item;
	bool fresh;

	/* The last fifth is for what matters. */
	if (json_array_size(list) >= REPORT_ITEMS / 5 * 4 && l->severity == ES_INFO &&
	    !str_after(l->type, "sandbox.")) {
		report_count(json_object_get(p->root, "left_out"), "timeline", 1);
		return;
	}
	line_describe(l, &b);
	if (last && streq(report_string(last, "text"), b.data ? b.data : "")) {
		report_count(last, "count", report_times(l));
		put(last, "until", json_string(l->time));
		return;
	}
	item = report_item(p, "timeline", NULL, &fresh);
	if (!item)
		return;
	put(item, "time", json_string(l->time));
	put(item, "type", json_string(l->type));
	put(item, "severity", json_string(event_severity_names[l->severity]));
	put(item, "text", json_string(b.data ? b.data : ""));
	put(item, "count", json_integer((json_int_t)report_times(l)));
}

static void add_times(json_t *item, const struct trail_line *l, const char *counter)
{
	if (!json_object_get(item, "first"))
		put(item, "first", json_string(l->time));
	put(item, "last", json_string(l->time));
	report_count(item, counter, report_times(l));
}

/* Who did it: the program of the process, else its number. */
static void add_by(const struct report *p, json_t *item, const struct trail_line *l)
{
	const json_t *processes = json_object_get(p->keys, "processes"), *process;
	char pid[24];

	if (line_number(l, EF_PID) == 0)
		return;
	snprintf(pid, sizeof(pid), "%llu", (unsigned long long)line_number(l, EF_PID));
	process = json_object_get(processes, pid);
	if (l->known == EV_SYSCALL_DENIED && line_text(l, EF_PATH))
		add_once(item, "by", line_text(l, EF_PATH), BY_MAX);
	else
		add_once(item, "by", process ? report_string(process, "path") : pid, BY_MAX);
}

static void put_key(struct buf *b, const struct trail_line *l, const enum event_field *f, size_t n)
{
	buf_puts(b, l->type);
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, "\n");
		line_put_value(b, json_object_get(l->fields, event_fields[f[i]].name));
	}
}

static void add_refused(struct report *p, const struct trail_line *l)
{
	static const enum event_field same[] = { EF_PATH,  EF_ACCESS, EF_HOST,	  EF_PORT,
						 EF_PROTO, EF_LAYER,  EF_SYSCALL, EF_ALLOW };
	static const enum event_field kept[] = { EF_PATH,  EF_ACCESS,  EF_HOST,	 EF_PORT,
						 EF_PROTO, EF_SYSCALL, EF_ERROR, EF_LAYER,
						 EF_RULE,  EF_REASON,  EF_ALLOW, EF_ADVICE };
	_cleanup_buf_ struct buf key = BUF_INIT(KEY_ROOM * 4), text = BUF_INIT(KEY_ROOM * 4);
	bool fresh, call = l->known == EV_SYSCALL_DENIED;
	json_t *item;

	put_key(&key, l, call ? same + 6 : same, call ? 2 : ARRAY_SIZE(same));
	item = report_item(p, "refused", key.data, &fresh);
	if (!item)
		return;
	if (fresh) {
		line_describe(l, &text);
		put(item, "type", json_string(l->type));
		if (call)
			put(item, "what",
			    json_sprintf("system call %s", line_text(l, EF_SYSCALL)
								   ? line_text(l, EF_SYSCALL)
								   : "?"));
		else
			put(item, "what",
			    json_string(text.data ? (str_after(text.data, "refused: ")
							     ? text.data + strlen("refused: ")
							     : text.data)
						  : ""));
		for (size_t i = call ? 5 : 0; i < ARRAY_SIZE(kept); i++)
			report_copy(item, l, kept[i]);
	}
	add_times(item, l, "count");
	add_by(p, item, l);
}

static void add_host(struct report *p, const struct trail_line *l)
{
	static const enum event_field same[] = { EF_HOST, EF_PORT, EF_PROTO };
	_cleanup_buf_ struct buf key = BUF_INIT(KEY_ROOM);
	bool name = l->known == EV_DNS_ALLOWED || l->known == EV_DNS_DENIED, fresh;
	bool refused = l->known == EV_NET_DENIED || l->known == EV_DNS_DENIED;
	json_t *item;

	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		line_put_value(&key, json_object_get(l->fields, event_fields[same[i]].name));
		buf_puts(&key, " ");
	}
	item = report_item(p, name ? "names" : "hosts", key.data, &fresh);
	if (!item)
		return;
	if (fresh) {
		for (size_t i = 0; i < ARRAY_SIZE(same); i++)
			report_copy(item, l, same[i]);
		put(item, "allowed", json_integer(0));
		put(item, "refused", json_integer(0));
	}
	add_once(item, "addresses", line_text(l, EF_ADDRESS), ADDRESSES_MAX);
	add_times(item, l, refused ? "refused" : "allowed");
}

static void add_written(struct report *p, const struct trail_line *l)
{
	const char *path = line_text(l, EF_PATH);
	bool fresh;
	json_t *item = report_item(p, "written", path ? path : "", &fresh);

	if (!item)
		return;
	report_copy(item, l, EF_PATH);
	add_once(item, "access", line_text(l, EF_ACCESS), BY_MAX);
	add_times(item, l, "count");
	add_by(p, item, l);
}

static void add_section(struct report *p, const struct trail_line *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		json_t *item;
		bool fresh;

		if ((int)sections[i].type != l->known)
			continue;
		item = report_item(p, sections[i].name, NULL, &fresh);
		if (!item)
			return;
		put(item, "time", json_string(l->time));
		put(item, "type", json_string(l->type));
		for (size_t k = 0; k == 0 || sections[i].fields[k] != sections[i].fields[k - 1];
		     k++)
			report_copy(item, l, sections[i].fields[k]);
	}
}

static void add_life(struct report *p, const struct trail_line *l)
{
	static const enum event_field about[] = { EF_PROFILE,	EF_PLAN, EF_COMMAND,
						  EF_WORKSPACE, EF_UID,	 EF_PID };
	static const enum event_field end[] = {
		EF_STATUS,	EF_SIGNAL,	  EF_REASON,	       EF_DURATION_MS,	  EF_CPU_US,
		EF_MEMORY_PEAK, EF_CHANGES_ADDED, EF_CHANGES_MODIFIED, EF_CHANGES_DELETED
	};
	json_t *o = json_object();

	if (l->known == EV_SANDBOX_CREATED) {
		put(p->root, "created", json_string(l->time));
		for (size_t i = 0; i < ARRAY_SIZE(about); i++)
			report_copy(json_object_get(p->root, "sandbox"), l, about[i]);
	} else if (l->known == EV_SANDBOX_STARTED) {
		put(p->root, "started", json_string(l->time));
	} else if (l->known == EV_SANDBOX_ENDED || l->known == EV_SETUP_ERROR) {
		put(p->root, "ended", json_string(l->time));
		put(p->root, "running", json_false());
		if (l->known == EV_SETUP_ERROR)
			put(o, "reason", json_string("not started"));
		for (size_t i = 0; i < ARRAY_SIZE(end) && l->known == EV_SANDBOX_ENDED; i++)
			report_copy(o, l, end[i]);
		put(p->root, "end", json_incref(o));
	}
	json_decref(o);
}

void report_add(struct report *p, const struct trail_line *l)
{
	json_t *trail = json_object_get(p->root, "trail");

	if (p->lines++ == 0) {
		put(json_object_get(p->root, "sandbox"), "name", json_string(l->name));
		put(trail, "first_seq", json_integer((json_int_t)l->seq));
	}
	put(trail, "last_seq", json_integer((json_int_t)l->seq));
	report_count(json_object_get(p->root, "counts"), l->type, report_times(l));
	if (!report_is_search(l))
		add_activity(p, l);
	add_life(p, l);
	if (l->known == EV_PROCESS_EXEC || l->known == EV_PROCESS_EXIT)
		report_add_process(p, l);
	if (str_after(l->type, "net.allowed") || str_after(l->type, "net.denied") ||
	    str_after(l->type, "dns.") || str_after(l->type, "api."))
		add_host(p, l);
	if (l->known == EV_FILE_WRITE)
		add_written(p, l);
	if (l->known >= 0 && str_after(strchr(l->type, '.') ? strchr(l->type, '.') : "", ".denied"))
		add_refused(p, l);
	add_section(p, l);
	report_add_intent(p, l);
	if (l->known != EV_FILE_OPEN && !report_is_search(l))
		add_timeline(p, l);
}

void report_end(struct report *p, const struct trail_reader *r)
{
	json_t *trail = json_object_get(p->root, "trail");

	report_end_processes(p);
	report_end_intents(p);
	put(trail, "lines", json_integer((json_int_t)p->lines));
	put(trail, "damaged", json_integer((json_int_t)r->damaged));
}

void report_free(struct report *p)
{
	json_decref(p->root);
	json_decref(p->keys);
}
