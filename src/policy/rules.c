/* SPDX-License-Identifier: Apache-2.0 */
/* The items of lists that are maps: binds, rules of system calls, variables. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "policy/check.h"
#include "policy/parse.h"

enum { SUBPATH_MAX = 256 };

/* @path and @more; cut if too long, which no key of the table is. */
static void sub_path(char ret[SUBPATH_MAX], const char *path, const char *more)
{
	if (str_copy(ret, SUBPATH_MAX, path))
		str_copy(ret + strlen(ret), SUBPATH_MAX - strlen(ret), more);
}

bool map_take(const struct node *n, const char *path, const char *const *names,
	      const struct node **value, struct diags *d)
{
	bool ok = true;

	for (size_t i = 0; names[i]; i++)
		value[i] = NULL;
	if (n->kind != NODE_MAP) {
		diag_error(d, n->pos, path, "a map with %s is expected here, not %s", names[0],
			   node_kind_text(n));
		return false;
	}
	for (size_t i = 0; i < n->count && d->errors < DIAGS_MAX; i += 2) {
		const struct node *key = n->item[i];
		int at = key->kind == NODE_SCALAR ? names_index(names, key->text) : -1;
		const char *near;

		if (at >= 0 && !value[at]) {
			value[at] = n->item[i + 1];
			continue;
		}
		ok = false;
		if (key->kind != NODE_SCALAR) {
			diag_error(d, key->pos, path, "a key must be a word, not %s",
				   node_kind_text(key));
		} else if (at >= 0) {
			diag_error(d, key->pos, path, "%s is there twice", key->text);
		} else {
			near = names_nearest(names, key->text);
			diag_error(d, key->pos, path, "unknown key %.64s; did you mean %s?",
				   key->text, near ? near : names[0]);
		}
	}
	return ok;
}

/* A path of a bind. NULL and reported if it is none. */
static const char *bind_path(struct policy *p, const char *path, const struct node *n,
			     struct diags *d)
{
	struct check_why why = { "" };
	const char *s = NULL, *unused;

	if (node_is_null(n)) {
		diag_error(d, n->pos, path,
			   "a path is expected here; write ~/ for the home directory");
		return NULL;
	}
	if (value_text(&p->arena, n, path, &s, d) < 0)
		return NULL;
	if (check_path(&p->arena, s, &unused, &why) < 0) {
		diag_error(d, n->pos, path, "%s", why.text);
		return NULL;
	}
	return s;
}

/* On the command line only: "HOST:SANDBOX", where SANDBOX starts like a path. */
static bool split_bind(struct policy *p, const char *text, const char **host, const char **sandbox)
{
	for (const char *c = strchr(text, ':'); c; c = strchr(c + 1, ':')) {
		if (!strchr("/~.$", c[1]) || c[1] == '\0')
			continue;
		*host = arena_strndup(&p->arena, text, (size_t)(c - text));
		*sandbox = arena_strdup(&p->arena, c + 1);
		return *host && *sandbox;
	}
	return false;
}

static bool bind_from_map(struct policy *p, const char *path, const struct node *n,
			  struct policy_bind *b, struct diags *d)
{
	static const char *const names[] = { "host_path", "sandbox_path", "optional", NULL };
	const struct node *value[ARRAY_SIZE(names)];
	char sub[SUBPATH_MAX];

	if (!map_take(n, path, names, value, d))
		return false;
	if (!value[0]) {
		diag_error(d, n->pos, path, "host_path is missing");
		return false;
	}
	sub_path(sub, path, ".host_path");
	b->host = bind_path(p, sub, value[0], d);
	sub_path(sub, path, ".sandbox_path");
	b->sandbox = value[1] ? bind_path(p, sub, value[1], d) : b->host;
	sub_path(sub, path, ".optional");
	if (value[2] && value_bool(value[2], sub, &b->optional, d) < 0)
		return false;
	return b->host && b->sandbox;
}

void bind_add(struct policy *p, struct policy_binds *to, const char *path, const struct node *n,
	      struct diags *d)
{
	struct policy_bind b = { .pos = n->pos };
	struct node host = *n, sandbox = *n;
	struct policy_bind *items;

	if (n->kind == NODE_MAP) {
		if (!bind_from_map(p, path, n, &b, d))
			return;
	} else if (n->kind == NODE_SCALAR && n->style == NODE_ARG &&
		   split_bind(p, n->text, &host.text, &sandbox.text)) {
		b.host = bind_path(p, path, &host, d);
		b.sandbox = bind_path(p, path, &sandbox, d);
	} else {
		b.host = b.sandbox = bind_path(p, path, n, d);
	}
	if (!b.host || !b.sandbox)
		return;
	items = arena_grow(&p->arena, to->items, to->count, sizeof(*items));
	if (!items) {
		policy_too_large(n->pos, d);
		return;
	}
	to->items = items;
	to->items[to->count++] = b;
}

static const char *const overlay_modes[] = { "review", "scratch", NULL };

static void overlay_keep(struct policy *p, const struct policy_overlay *o, struct diags *d)
{
	struct policy_overlays *to = &p->filesystem.overlays;
	struct policy_overlay *items = arena_grow(&p->arena, to->items, to->count, sizeof(*items));

	if (!items) {
		policy_too_large(o->pos, d);
		return;
	}
	to->items = items;
	to->items[to->count++] = *o;
}

/* On the command line "PATH:MODE". */
static void overlay_add_arg(struct policy *p, const char *path, const struct node *n,
			    struct diags *d)
{
	struct policy_overlay o = { .pos = n->pos };
	const char *colon = strrchr(n->text, ':');
	int mode = colon ? names_index(overlay_modes, colon + 1) : -1;
	struct node place = *n;

	if (mode < 0) {
		diag_error(d, n->pos, path, "write PATH:review or PATH:scratch");
		return;
	}
	place.text = arena_strndup(&p->arena, n->text, (size_t)(colon - n->text));
	o.path = place.text ? bind_path(p, path, &place, d) : NULL;
	o.mode = WS_REVIEW + mode;
	if (o.path)
		overlay_keep(p, &o, d);
}

void overlay_add(struct policy *p, const char *path, const struct node *n, struct diags *d)
{
	static const char *const names[] = { "path", "mode", NULL };
	const struct node *value[ARRAY_SIZE(names)];
	struct policy_overlay o = { .pos = n->pos };
	const char *mode = NULL;
	char sub[SUBPATH_MAX];

	if (n->kind == NODE_SCALAR && n->style == NODE_ARG) {
		overlay_add_arg(p, path, n, d);
		return;
	}
	if (!map_take(n, path, names, value, d))
		return;
	if (!value[0] || !value[1]) {
		diag_error(d, n->pos, path, "%s is missing", names[value[0] ? 1 : 0]);
		return;
	}
	sub_path(sub, path, ".path");
	o.path = bind_path(p, sub, value[0], d);
	sub_path(sub, path, ".mode");
	if (value_text(&p->arena, value[1], sub, &mode, d) < 0)
		return;
	o.mode = names_index(overlay_modes, mode);
	if (o.mode < 0)
		diag_error(d, value[1]->pos, sub, "review or scratch");
	o.mode += WS_REVIEW;
	if (o.path && o.mode >= WS_REVIEW)
		overlay_keep(p, &o, d);
}

static const char *const op_names[] = { "eq",  "neq",	    "lt",	  "lte", "gt",
					"gte", "masked_eq", "masked_neq", NULL };
_Static_assert(ARRAY_SIZE(op_names) == OP_MASKED_NEQ + 2, "enum and names");

static bool cond_values(const struct node *const *value, const char *path, struct policy_cond *c,
			struct diags *d)
{
	char sub[SUBPATH_MAX];
	uint64_t arg = 0;
	bool ok;

	sub_path(sub, path, ".arg");
	ok = value_u64(value[0], sub, 5, &arg, d) == 0;
	c->arg = (unsigned)arg;
	sub_path(sub, path, ".value");
	ok = value_u64(value[2], sub, UINT64_MAX, &c->value, d) == 0 && ok;
	sub_path(sub, path, ".mask");
	return (!value[3] || value_u64(value[3], sub, UINT64_MAX, &c->mask, d) == 0) && ok;
}

static bool cond_parse(const char *path, const struct node *n, struct policy_cond *c,
		       struct diags *d)
{
	static const char *const names[] = { "arg", "op", "value", "mask", NULL };
	const struct node *value[ARRAY_SIZE(names)];
	const char *near;
	bool masked;
	int op;

	if (!map_take(n, path, names, value, d))
		return false;
	for (int i = 0; i < 3; i++) {
		if (!value[i]) {
			diag_error(d, n->pos, path, "%s is missing", names[i]);
			return false;
		}
	}
	op = value[1]->kind == NODE_SCALAR ? names_index(op_names, value[1]->text) : -1;
	if (op < 0) {
		near = value[1]->kind == NODE_SCALAR ? names_nearest(op_names, value[1]->text)
						     : NULL;
		if (near)
			diag_error(d, value[1]->pos, path, "unknown op; did you mean %s?", near);
		else
			diag_error(d, value[1]->pos, path,
				   "unknown op; write eq, neq, lt, lte, gt, "
				   "gte, masked_eq or masked_neq");
		return false;
	}
	c->op = (enum policy_op)op;
	masked = c->op == OP_MASKED_EQ || c->op == OP_MASKED_NEQ;
	if (!cond_values(value, path, c, d))
		return false;
	if (masked && !value[3]) {
		diag_error(d, n->pos, path, "mask is missing; %s compares under one", op_names[op]);
		return false;
	}
	if (!masked && value[3])
		diag_warn(d, value[3]->pos, path, "mask has no effect with op %s", op_names[op]);
	if (masked && (c->value & ~c->mask) != 0)
		diag_warn(d, value[2]->pos, path,
			  "value has bits outside mask, so the two can never be equal");
	return true;
}

static bool conds_parse(struct policy *p, const char *path, const struct node *n,
			struct policy_sysrule *rule, struct diags *d)
{
	char sub[SUBPATH_MAX], index[48];
	bool ok = true;

	if (n->kind != NODE_LIST) {
		diag_error(d, n->pos, path, "conditions is a list, not %s", node_kind_text(n));
		return false;
	}
	if (n->count > 16) {
		diag_error(d, n->pos, path, "more than 16 conditions in one rule");
		return false;
	}
	rule->conds = arena_alloc(&p->arena, MAX(n->count, (size_t)1) * sizeof(*rule->conds));
	if (!rule->conds) {
		policy_too_large(n->pos, d);
		return false;
	}
	for (size_t i = 0; i < n->count; i++) {
		snprintf(index, sizeof(index), ".conditions[%zu]", i);
		sub_path(sub, path, index);
		ok = cond_parse(sub, n->item[i], &rule->conds[i], d) && ok;
	}
	rule->conds_count = n->count;
	return ok;
}

/* allow, deny: true if @n says one of them. */
static bool action_parse(const char *path, const struct node *n, bool *allow, struct diags *d)
{
	static const char *const actions[] = { "allow", "deny", NULL };
	int i = n->kind == NODE_SCALAR ? names_index(actions, n->text) : -1;

	if (i < 0) {
		diag_error(d, n->pos, path, "action is allow or deny");
		return false;
	}
	*allow = i == 0;
	return true;
}

void sysrule_add(struct policy *p, const char *path, const struct node *n, struct diags *d)
{
	static const char *const names[] = { "syscall", "action", "conditions", NULL };
	const struct node *value[ARRAY_SIZE(names)];
	struct policy_sysrules *to = &p->syscalls.advanced_rules;
	struct policy_sysrule rule = { .pos = n->pos }, *items;
	struct check_why why = { "" };
	const char *unused;

	if (!map_take(n, path, names, value, d))
		return;
	if (!value[0] || !value[1]) {
		diag_error(d, n->pos, path, "%s is missing", value[0] ? "action" : "syscall");
		return;
	}
	if (value_text(&p->arena, value[0], path, &rule.syscall, d) < 0)
		return;
	if (check_syscall(&p->arena, rule.syscall, &unused, &why) < 0) {
		diag_error(d, value[0]->pos, path, "%s", why.text);
		return;
	}
	if (!action_parse(path, value[1], &rule.allow, d))
		return;
	if (value[2] && !conds_parse(p, path, value[2], &rule, d))
		return;
	items = arena_grow(&p->arena, to->items, to->count, sizeof(*items));
	if (!items) {
		policy_too_large(n->pos, d);
		return;
	}
	to->items = items;
	to->items[to->count++] = rule;
}

/* The entry of variable @name, new or there already (a child's value wins). */
static struct policy_env *env_slot(struct policy *p, const char *name)
{
	struct policy_envs *to = &p->environment.set;
	struct policy_env *items;

	for (size_t i = 0; i < to->count; i++)
		if (streq(to->items[i].name, name))
			return &to->items[i];
	items = arena_grow(&p->arena, to->items, to->count, sizeof(*items));
	if (!items)
		return NULL;
	to->items = items;
	to->items[to->count] = (struct policy_env){ .name = arena_strdup(&p->arena, name) };
	return to->items[to->count].name ? &to->items[to->count++] : NULL;
}

void env_add(struct policy *p, const char *path, const struct node *name, const struct node *value,
	     struct diags *d)
{
	struct policy_env *slot;
	const char *text;

	if (name->kind != NODE_SCALAR || !env_name_ok(name->text)) {
		diag_error(d, name->pos, path, "%.64s is not the name of a variable",
			   name->kind == NODE_SCALAR ? name->text : node_kind_text(name));
		return;
	}
	if (value->kind != NODE_SCALAR || node_is_null(value)) {
		diag_error(d, value->pos, path,
			   "%.64s needs a value, not %s; write \"\" for an empty one", name->text,
			   node_kind_text(value));
		return;
	}
	slot = env_slot(p, name->text);
	text = arena_strdup(&p->arena, value->text);
	if (!slot || !text) {
		policy_too_large(value->pos, d);
		return;
	}
	slot->value = text;
	slot->pos = name->pos;
}
