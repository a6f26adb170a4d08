/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/intent_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "policy/node.h"
#include "policy/parse.h"

enum { RULES_FILE_MAX = 256 * 1024, GLOB_STEPS = 100000 };

enum key {
	KEY_NAME,
	KEY_EVENTS,
	KEY_FIELD,
	KEY_KIND,
	KEY_ACCESS,
	KEY_EXCEPT,
	KEY_ALWAYS,
	KEY_MESSAGE,
	KEYS
};
static const char *const keys[KEYS + 1] = { "name",   "events", "field",  "expect",
					    "access", "except", "always", "message" };

static const char *text_at(struct arena *a, const struct node *n, const char *path, struct diags *d)
{
	const char *text = NULL;

	return value_text(a, n, path, &text, d) == 0 ? text : NULL;
}

/* A list of texts, or one; NULL: none. */
static const char *const *list_at(struct arena *a, const struct node *n, const char *path,
				  struct diags *d)
{
	size_t count = n->kind == NODE_LIST ? n->count : 1;
	const char **list = arena_alloc(a, (count + 1) * sizeof(*list));

	if (!list)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		list[i] = text_at(a, n->kind == NODE_LIST ? n->item[i] : n, path, d);
		if (!list[i])
			return NULL;
	}
	return list;
}

static void check_events(const struct node *n, const struct intent_rule *rule, struct diags *d)
{
	for (const char *const *p = rule->events; p && *p; p++) {
		bool found = false;

		for (int i = 0; i < EVENT_TYPES; i++)
			found = found || fnmatch(*p, event_table[i].name, 0) == 0;
		if (!found)
			diag_error(d, n->pos, "events", "there is no type of event %.40s", *p);
	}
}

static int field_at(const struct node *n, const char *name, struct diags *d)
{
	for (int i = 0; i < EVENT_FIELDS; i++)
		if (streq(event_fields[i].name, name) && event_fields[i].kind == EK_TEXT)
			return i;
	diag_error(d, n->pos, "field", "no field of text is called %.40s", name);
	return -1;
}

static void take_rule(struct intent_rules *r, const struct node *n, struct diags *d)
{
	const struct node *value[KEYS];
	struct intent_rule rule = { .field = -1 };
	struct arena *a = &r->memory;
	const char *field = NULL;

	if (!map_take(n, "rule", keys, value, d))
		return;
	for (int i = 0; i <= KEY_KIND; i++)
		if (!value[i]) {
			diag_error(d, n->pos, "rule", "a rule needs %s", keys[i]);
			return;
		}
	rule.name = text_at(a, value[KEY_NAME], keys[KEY_NAME], d);
	rule.kind = text_at(a, value[KEY_KIND], keys[KEY_KIND], d);
	rule.events = list_at(a, value[KEY_EVENTS], keys[KEY_EVENTS], d);
	check_events(value[KEY_EVENTS], &rule, d);
	field = text_at(a, value[KEY_FIELD], keys[KEY_FIELD], d);
	if (field)
		rule.field = field_at(value[KEY_FIELD], field, d);
	if (value[KEY_ACCESS])
		rule.access = list_at(a, value[KEY_ACCESS], keys[KEY_ACCESS], d);
	if (value[KEY_EXCEPT])
		rule.except = list_at(a, value[KEY_EXCEPT], keys[KEY_EXCEPT], d);
	if (value[KEY_ALWAYS])
		value_bool(value[KEY_ALWAYS], keys[KEY_ALWAYS], &rule.always, d);
	rule.message = value[KEY_MESSAGE] ? text_at(a, value[KEY_MESSAGE], keys[KEY_MESSAGE], d)
					  : rule.name;
	if (r->count == INTENT_RULES_MAX)
		diag_error(d, n->pos, "rules", "more than %d rules", INTENT_RULES_MAX);
	else if (d->errors == 0)
		r->items[r->count++] = rule;
}

static void take_file(struct intent_rules *r, const char *path, const struct buf *b,
		      struct diags *d)
{
	static const char *const names[] = { "rules", NULL };
	const struct node *value[1], *root;

	root = node_parse(&r->memory, path, b->data ? b->data : "", b->len, d);
	if (!root || !map_take(root, "", names, value, d))
		return;
	if (!value[0] || value[0]->kind != NODE_LIST) {
		diag_error(d, root->pos, "rules", "a list of rules is missing");
		return;
	}
	for (size_t i = 0; i < value[0]->count; i++)
		take_rule(r, value[0]->item[i], d);
}

int intent_rules_load(struct intent_rules *r, const char *path, struct err *e)
{
	_cleanup_buf_ struct buf b = BUF_INIT(RULES_FILE_MAX);
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	int n = read_file_at(AT_FDCWD, path, &b);

	*r = (struct intent_rules){ .memory = ARENA_INIT(4 << 20) };
	if (n < 0)
		return err_set(e, n, "rules", "%.400s", path);
	take_file(r, path, &b, &d);
	if (d.errors == 0)
		return 0;
	write_full(STDERR_FILENO, d.text.data, d.text.len);
	return err_set(e, EPROTO, "rules", "%.400s: %u %s", path, d.errors,
		       d.errors == 1 ? "fault" : "faults");
}

void intent_rules_free(struct intent_rules *r)
{
	arena_free(&r->memory);
}

/* @steps bounds the tries, so that no pattern takes for ever. */
static bool glob(const char *p, const char *s, unsigned *steps)
{
	for (; *p; p++, s++) {
		if (*p == '*') {
			bool deep = p[1] == '*';

			p += deep ? 2 : 1;
			for (;; s++) {
				if (++*steps > GLOB_STEPS)
					return false;
				if (glob(p, s, steps))
					return true;
				if (*s == '\0' || (*s == '/' && !deep))
					return false;
			}
		}
		if (*s == '\0' || (*p != '?' && *p != *s))
			return false;
	}
	return *s == '\0';
}

bool intent_glob(const char *pattern, const char *text)
{
	size_t n = strlen(pattern);
	unsigned steps = 0;
	char folder[PATH_MAX];

	if (glob(pattern, text, &steps))
		return true;
	/* What is below a folder: the folder itself, too. */
	if (n < 4 || n >= sizeof(folder) || !streq(pattern + n - 3, "/**"))
		return false;
	str_copy(folder, n - 2, pattern);
	steps = 0;
	return glob(folder, text, &steps);
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool intent_expected(const char *expectation, const char *kind, const char *value)
{
	const char *pattern = str_after(expectation, kind);
	char host[EVENT_TEXT_MAX * 4 + 8];
	char *port;

	if (!pattern || *pattern++ != ':')
		return false;
	if (intent_glob(pattern, value))
		return true;
	/* A program by its name alone. */
	if (!strchr(pattern, '/') && value[0] == '/' && intent_glob(pattern, base_of(value)))
		return true;
	if (!streq(kind, "host"))
		return false;
	/* A host at any port. */
	str_copy(host, sizeof(host), value);
	port = strrchr(host, ':');
	if (!port)
		return false;
	*port = '\0';
	return intent_glob(pattern, host);
}

static bool listed(const char *const *globs, const char *s)
{
	for (; *globs; globs++)
		if (intent_glob(*globs, s))
			return true;
	return false;
}

static bool applies(const struct intent_rule *rule, const struct trail_line *l)
{
	const char *access = line_text(l, EF_ACCESS);
	bool found = false;

	for (const char *const *p = rule->events; *p && !found; p++)
		found = fnmatch(*p, l->type, 0) == 0;
	return found && (!rule->access || (access && listed(rule->access, access)));
}

const struct intent_rule *intent_rule_find(const struct intent_rules *r, const struct trail_line *l,
					   char *value, size_t size)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct intent_rule *rule = &r->items[i];
		const char *text = line_text(l, (enum event_field)rule->field);

		if (!text || !applies(rule, l))
			continue;
		if (rule->field == EF_HOST && line_number(l, EF_PORT) > 0)
			snprintf(value, size, "%s:%llu", text,
				 (unsigned long long)line_number(l, EF_PORT));
		else
			str_copy(value, size, text);
		return rule;
	}
	return NULL;
}

bool intent_excepted(const struct intent_rule *rule, const struct trail_line *l)
{
	const char *text = line_text(l, (enum event_field)rule->field);

	return rule->except && text && listed(rule->except, text);
}
