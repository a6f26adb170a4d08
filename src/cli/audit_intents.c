/* SPDX-License-Identifier: Apache-2.0 */
/* What was announced, and what was done until the next announcement. See audit_report.h. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/audit_report.h"

/* Which expectations came true. */
static void finish(struct report *p)
{
	const json_t *expect = json_object_get(p->intent, "expect");
	const json_t *met = json_object_get(p->keys, "met");

	for (size_t i = 0; i < json_array_size(expect); i++) {
		json_t *s = json_array_get(expect, i);
		bool done = json_object_get(met, json_string_value(s)) != NULL;

		json_array_append(json_object_get(p->intent, done ? "met" : "unmet"), s);
	}
}

static void begin(struct report *p, const struct trail_line *l)
{
	bool fresh;
	json_t *item;

	if (p->intent)
		json_object_set_new(p->intent, "until", json_string(l->time));
	finish(p);
	item = report_item(p, "intents", NULL, &fresh);
	if (!item)
		return;
	p->intent = item;
	json_object_set_new(item, "time", json_string(l->time));
	report_copy(item, l, EF_TEXT);
	report_copy(item, l, EF_EXPECT);
	report_copy(item, l, EF_UID);
	json_object_set_new(item, "events", json_integer(0));
	json_object_set_new(item, "met", json_array());
	json_object_set_new(item, "unmet", json_array());
	json_object_set_new(item, "unannounced", json_array());
	json_object_set_new(p->keys, "unannounced", json_object());
	json_object_set_new(p->keys, "met", json_object());
}

/*
 * Is @value announced? And is there any expectation of the kind? A program may be
 * announced as what it is called by, too: of a script the path is its interpreter.
 */
static bool announced(struct report *p, const struct trail_line *l, const char *kind,
		      const char *value, bool *any)
{
	const json_t *argv = json_object_get(l->fields, event_fields[EF_ARGV].name);
	const char *called = json_string_value(json_array_get(argv, 0));
	const json_t *expect = json_object_get(p->intent, "expect");
	bool found = false;

	*any = false;
	for (size_t i = 0; i < json_array_size(expect); i++) {
		const char *s = json_string_value(json_array_get(expect, i));
		const char *rest = str_after(s, kind);

		*any = *any || (rest && *rest == ':');
		if (!intent_expected(s, kind, value) &&
		    !(called && l->known == EV_PROCESS_EXEC && intent_expected(s, kind, called)))
			continue;
		json_object_set_new(json_object_get(p->keys, "met"), s, json_true());
		found = true;
	}
	return found;
}

static void mark(struct report *p, const struct trail_line *l, const struct intent_rule *rule,
		 const char *value)
{
	json_t *keys = json_object_get(p->keys, "unannounced"), *item;
	json_t *list = json_object_get(p->intent, "unannounced");
	_cleanup_buf_ struct buf key = BUF_INIT(8 * EVENT_TEXT_MAX);

	buf_printf(&key, "%s\n%s", rule->name, value);
	item = json_object_get(keys, key.data ? key.data : "");
	if (!item) {
		if (json_array_size(list) >= REPORT_ITEMS) {
			report_count(json_object_get(p->root, "left_out"), "unannounced", 1);
			return;
		}
		item = json_pack("{s:s, s:s, s:s, s:s}", "rule", rule->name, "message",
				 rule->message, "what", value, "first", l->time);
		json_array_append_new(list, item);
		json_object_set(keys, key.data ? key.data : "", item);
	}
	report_count(item, "count", report_times(l));
	if (strstr(l->type, ".denied"))
		report_count(item, "refused", report_times(l));
}

void report_add_intent(struct report *p, const struct trail_line *l)
{
	static char value[8 * EVENT_TEXT_MAX];
	const struct intent_rule *rule;
	bool any;

	if (l->known == EV_INTENT) {
		begin(p, l);
		return;
	}
	if (!p->intent)
		return;
	report_count(p->intent, "events", report_times(l));
	if (report_is_search(l))
		return;
	rule = p->rules ? intent_rule_find(p->rules, l, value, sizeof(value)) : NULL;
	if (rule && !announced(p, l, rule->kind, value, &any) && (any || rule->always) &&
	    !intent_excepted(rule, l))
		mark(p, l, rule, value);
}

void report_end_intents(struct report *p)
{
	finish(p);
}
