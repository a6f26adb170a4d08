/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "policy/check.h"

enum { PATH_TEXT_MAX = 200 };

void policy_init(struct policy *p)
{
	_cleanup_diags_ struct diags d = DIAGS_INIT;

	*p = (struct policy){ .arena = ARENA_INIT(POLICY_ARENA_MAX) };
	for (size_t i = 0; i < policy_keys_count; i++) {
		struct node n = { .style = NODE_ARG, .text = policy_keys[i].fallback };

		/* No default is a text or a list, so none of this takes memory. */
		if (n.text && policy_keys[i].type != KEY_PATH)
			value_scalar(p, &policy_keys[i], policy_keys[i].path, &n, &d);
	}
	p->filesystem.working_dir.s = policy_key("filesystem.working_dir")->fallback;
}

void policy_free(struct policy *p)
{
	arena_free(&p->arena);
	*p = (struct policy){ 0 };
}

static void set_where(struct policy *p, const struct policy_key *k, struct pos pos)
{
	if (!p->where)
		p->where = arena_alloc(&p->arena, policy_keys_count * sizeof(*p->where));
	if (p->where)
		p->where[k - policy_keys] = pos;
}

struct pos policy_where(const struct policy *p, const char *key)
{
	const struct policy_key *k = policy_key(key);

	return k && p->where ? p->where[k - policy_keys] : (struct pos){ 0 };
}

static void str_add(struct policy *p, const struct policy_key *k, const char *path,
		    const struct node *n, struct diags *d)
{
	struct policy_strs *to = (struct policy_strs *)(void *)((char *)p + k->offset);
	struct check_why why = { "" };
	struct policy_str *items;
	const char *s;

	if (n->kind != NODE_SCALAR || node_is_null(n)) {
		diag_error(d, n->pos, path, "text such as %s is expected here, not %s", k->form,
			   node_kind_text(n));
		return;
	}
	s = NULL;
	if (k->check(&p->arena, n->text, &s, &why) < 0) {
		diag_error(d, n->pos, path, "%s", why.text);
		return;
	}
	if (why.text[0] != '\0')
		diag_warn(d, n->pos, path, "%s", why.text);
	s = s ? s : arena_strdup(&p->arena, n->text);
	items = arena_grow(&p->arena, to->items, to->count, sizeof(*items));
	if (!s || !items) {
		policy_too_large(n->pos, d);
		return;
	}
	to->items = items;
	to->items[to->count++] = (struct policy_str){ .s = s, .pos = n->pos };
}

/* Every list is {items, count}: where its count is. */
static size_t *list_count(struct policy *p, const struct policy_key *k)
{
	char *field = (char *)p + k->offset;

	_Static_assert(offsetof(struct policy_strs, count) ==
				       offsetof(struct policy_binds, count) &&
			       offsetof(struct policy_strs, count) ==
				       offsetof(struct policy_envs, count) &&
			       offsetof(struct policy_strs, count) ==
				       offsetof(struct policy_overlays, count) &&
			       offsetof(struct policy_strs, count) ==
				       offsetof(struct policy_sysrules, count),
		       "lists of one shape");
	return (size_t *)(void *)(field + offsetof(struct policy_strs, count));
}

static void list_add(struct policy *p, const struct policy_key *k, const char *path,
		     const struct node *n, struct diags *d)
{
	if (*list_count(p, k) >= POLICY_LIST_MAX) {
		diag_error(d, n->pos, path, "too many items; a list may have 4096");
		return;
	}
	if (k->type == KEY_BINDS)
		bind_add(p, (struct policy_binds *)(void *)((char *)p + k->offset), path, n, d);
	else if (k->type == KEY_OVERLAYS)
		overlay_add(p, path, n, d);
	else if (k->type == KEY_SYSRULES)
		sysrule_add(p, path, n, d);
	else
		str_add(p, k, path, n, d);
}

static void apply_list(struct policy *p, const struct policy_key *k, const char *path,
		       const struct node *n, bool replace, struct diags *d)
{
	char sub[PATH_TEXT_MAX];

	if (replace || n->replace)
		*list_count(p, k) = 0;
	if (n->kind == NODE_SCALAR &&
	    (n->style == NODE_ARG || k->check == check_gpu || k->check == check_cpus)) {
		/* One item; the empty argument only clears. */
		if (n->style != NODE_ARG || n->text[0] != '\0')
			list_add(p, k, path, n, d);
		return;
	}
	if (n->kind != NODE_LIST) {
		diag_error(d, n->pos, path, "a list is expected here, not %s; write %s",
			   node_kind_text(n), node_is_null(n) ? "[]" : "[item, …]");
		return;
	}
	for (size_t i = 0; i < n->count && d->errors < DIAGS_MAX; i++) {
		snprintf(sub, sizeof(sub), "%s[%zu]", path, i);
		list_add(p, k, sub, n->item[i], d);
	}
}

static bool seen_before(const struct node *map, size_t at)
{
	for (size_t i = 0; i < at; i += 2)
		if (map->item[i]->kind == NODE_SCALAR &&
		    streq(map->item[i]->text, map->item[at]->text))
			return true;
	return false;
}

static void apply_envs(struct policy *p, const char *path, const struct node *n,
		       const struct policy_key *k, bool replace, struct diags *d)
{
	if (replace)
		*list_count(p, k) = 0;
	if (n->kind == NODE_SCALAR && n->style == NODE_ARG) {
		const char *eq = strchr(n->text, '=');
		struct node name = *n, value = *n;

		if (n->text[0] == '\0')
			return;
		name.text = eq ? arena_strndup(&p->arena, n->text, (size_t)(eq - n->text)) : NULL;
		value.text = eq ? eq + 1 : NULL;
		if (name.text)
			env_add(p, path, &name, &value, d);
		else
			diag_error(d, n->pos, path, "write NAME=VALUE");
		return;
	}
	if (n->kind != NODE_MAP) {
		diag_error(d, n->pos, path, "a map of names and values is expected here, not %s",
			   node_kind_text(n));
		return;
	}
	for (size_t i = 0; i < n->count && d->errors < DIAGS_MAX; i += 2) {
		if (*list_count(p, k) >= POLICY_LIST_MAX)
			diag_error(d, n->pos, path, "too many variables; there may be 4096");
		else if (n->item[i]->kind == NODE_SCALAR && seen_before(n, i))
			diag_error(d, n->item[i]->pos, path, "%.64s is there twice",
				   n->item[i]->text);
		else
			env_add(p, path, n->item[i], n->item[i + 1], d);
	}
}

void policy_apply_key(struct policy *p, const struct policy_key *k, const char *path,
		      const struct node *n, bool replace, struct diags *d)
{
	set_where(p, k, n->pos);
	switch ((enum key_type)k->type) {
	case KEY_LIST:
	case KEY_BINDS:
	case KEY_OVERLAYS:
	case KEY_SYSRULES:
		apply_list(p, k, path, n, replace, d);
		break;
	case KEY_ENVS:
		apply_envs(p, path, n, k, replace, d);
		break;
	case KEY_SUBTREE:
		break;
	default:
		value_scalar(p, k, path, n, d);
	}
}

static void unknown_key(const struct node *key, const char *section, const char *path,
			struct diags *d)
{
	const struct policy_key *k = section[0] != '\0' ? policy_key_nearest(path) : NULL;
	const char *near = k ? k->path : NULL, *rest;
	char top[PATH_TEXT_MAX];

	if (section[0] == '\0' && strchr(path, '.') && (k = policy_key_nearest(path)))
		near = k->path;
	else if (section[0] == '\0')
		near = policy_section_nearest(path);
	/* In the same section: its name need not be said again. */
	snprintf(top, sizeof(top), "%s.", section);
	rest = near && section[0] != '\0' ? str_after(near, top) : NULL;
	if (near)
		diag_error(d, key->pos, path, "unknown key; did you mean %s?", rest ? rest : near);
	else
		diag_error(d, key->pos, path,
			   "unknown key; `purple profile explain` lists what there is");
}

static void apply_map(struct policy *p, const struct node *map, const char *section, bool *seen,
		      struct diags *d);

static void apply_entry(struct policy *p, const struct node *key, const struct node *value,
			const char *section, bool *seen, struct diags *d)
{
	const struct policy_key *k;
	char path[PATH_TEXT_MAX];
	bool dotted;

	if (key->kind != NODE_SCALAR) {
		diag_error(d, key->pos, section, "a key must be a word, not %s",
			   node_kind_text(key));
		return;
	}
	snprintf(path, sizeof(path), "%s%s%.100s", section, section[0] ? "." : "", key->text);
	if (section[0] == '\0' && policy_section(key->text)) {
		apply_map(p, value, key->text, seen, d);
		return;
	}
	dotted = strchr(key->text, '.');
	k = dotted && section[0] != '\0' ? NULL : policy_key(path);
	if (!k) {
		unknown_key(key, section, path, d);
		return;
	}
	if (k->status == KEY_NO_EFFECT)
		diag_warn(d, key->pos, path, "this has no effect; Purple does not enforce it");
	/* One that was pasted behind the rest, as a refusal names it: it may well be there. */
	if (seen[k - policy_keys] && !dotted)
		diag_error(d, key->pos, path, "this key is there twice");
	else
		policy_apply_key(p, k, path, value, false, d);
	seen[k - policy_keys] |= !dotted;
}

static void apply_map(struct policy *p, const struct node *map, const char *section, bool *seen,
		      struct diags *d)
{
	if (node_is_null(map))
		return; /* a section whose lines are all commented out */
	if (map->kind != NODE_MAP) {
		diag_error(d, map->pos, section, "a map is expected here, not %s",
			   node_kind_text(map));
		return;
	}
	for (size_t i = 0; i < map->count && d->errors < DIAGS_MAX; i += 2) {
		const struct node *key = map->item[i];

		if (section[0] == '\0' && key->kind == NODE_SCALAR && policy_section(key->text) &&
		    seen_before(map, i))
			diag_error(d, key->pos, key->text, "this section is there twice");
		else
			apply_entry(p, key, map->item[i + 1], section, seen, d);
	}
}

void policy_apply(struct policy *p, const struct node *root, struct diags *d)
{
	_cleanup_free_ bool *seen = calloc(policy_keys_count, sizeof(*seen));

	if (!seen)
		diag_error(d, root->pos, "", "out of memory");
	else if (root->kind != NODE_MAP)
		diag_error(d, root->pos, "", "a policy is a map of sections, not %s",
			   node_kind_text(root));
	else
		apply_map(p, root, "", seen, d);
}

const struct node *policy_extends(const struct node *root)
{
	for (size_t i = 0; root->kind == NODE_MAP && i < root->count; i += 2) {
		const struct node *key = root->item[i], *value = root->item[i + 1];

		if (key->kind == NODE_SCALAR && streq(key->text, "extends") &&
		    value->kind == NODE_SCALAR && !node_is_null(value))
			return value;
	}
	return NULL;
}
