/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that no single key shows. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "policy/check.h"
#include "policy/endpoint.h"
#include "policy/parse.h"

enum { NORMAL_MAX = PATH_NORMAL_MAX };

/* Below these of the sandbox's own, a bind would undo what is built there. */
static const char *const forbidden_inside[] = { "/proc", "/sys", "/dev" };

/* False, and reported, if the host's path may not be shown. */
static bool check_host(const struct policy_bind *b, const char *path, bool write, struct diags *d)
{
	const struct policy_forbidden *f;
	char normal[NORMAL_MAX], home[NORMAL_MAX];
	bool above;

	if (!path_normal(b->host, normal, sizeof(normal)))
		return true;
	f = policy_forbidden(normal, write, &above);
	if (f && above)
		diag_error(d, b->pos, path,
			   "%.200s cannot be %s, for %s is in it (%s); name what is needed",
			   b->host, f->write_only ? "writable" : "given", f->path, f->why);
	else if (f)
		diag_error(d, b->pos, path, "%.200s cannot be %s: %s", b->host,
			   f->write_only ? "writable" : "given", f->why);
	if (f)
		return false;
	if (streq(normal, "~") || streq(normal, "/home") ||
	    (path_to_home(normal, home) && streq(home, "~")))
		diag_warn(d, b->pos, path, "the whole home directory, with its keys and tokens");
	return true;
}

static void check_inside(const char *text, struct pos pos, const char *path, struct diags *d)
{
	char normal[NORMAL_MAX];

	if (!path_normal(text, normal, sizeof(normal)))
		return;
	if (streq(normal, "/"))
		diag_error(d, pos, path,
			   "nothing can be put at / itself; name a directory below it");
	for (size_t i = 0; i < ARRAY_SIZE(forbidden_inside); i++)
		if (path_below(normal, forbidden_inside[i]))
			diag_error(d, pos, path,
				   "%.200s: %s is the sandbox's own; nothing can be put there",
				   text, forbidden_inside[i]);
}

/* One claim of a place in the sandbox. */
struct place {
	const char *key; /* "filesystem.writable_paths" */
	size_t index;
	const char *text;	    /* the place as written */
	const char *host, *sandbox; /* normal paths; host NULL: scratch */
	bool write, output;
	uint32_t hash; /* of sandbox */
	struct pos pos;
};

struct places {
	struct arena arena;
	struct place *items;
	size_t count;
};

static const char *normal_copy(struct arena *a, const char *path)
{
	char normal[NORMAL_MAX];

	return path_normal(path, normal, sizeof(normal)) ? arena_strdup(a, normal) : NULL;
}

static void add_place(struct places *all, struct place place, const char *host)
{
	struct place *items = arena_grow(&all->arena, all->items, all->count, sizeof(*all->items));

	if (!items)
		return; /* the arena holds what POLICY_ARENA_MAX lets in */
	all->items = items;
	place.sandbox = normal_copy(&all->arena, place.text);
	place.host = host ? normal_copy(&all->arena, host) : NULL;
	place.hash = 5381;
	for (const char *c = place.sandbox; c && *c != '\0'; c++)
		place.hash = place.hash * 33 + (unsigned char)*c;
	if (place.sandbox)
		all->items[all->count++] = place;
}

/* Does an earlier claim of the same place want something else there? */
static void check_conflict(const struct places *all, const struct place *b, struct diags *d)
{
	char path[128];

	snprintf(path, sizeof(path), "%s[%zu]", b->key, b->index);
	for (const struct place *o = all->items; o < b; o++) {
		if (o->hash != b->hash || !streq(o->sandbox, b->sandbox))
			continue;
		if (!b->host && (!o->host || o->output))
			return; /* scratch twice, or an output path there: that one wins */
		if (!b->host || !streq(o->host, b->host))
			diag_error(d, b->pos, path, "%.200s is taken by %s[%zu] already; keep one",
				   b->text, o->key, o->index);
		else if (o->write != b->write)
			diag_error(d, b->pos, path,
				   "%.200s is read-only by %s[%zu] and writable here; keep one",
				   b->text, o->key, o->index);
		return;
	}
}

static void check_binds(const struct policy *p, struct places *all, struct diags *d)
{
	const struct {
		const char *key;
		const struct policy_binds *binds;
		bool write, output;
	} lists[] = {
		{ "filesystem.immutable_paths", &p->filesystem.immutable_paths, false, false },
		{ "filesystem.writable_paths", &p->filesystem.writable_paths, true, false },
		{ "filesystem.output_paths", &p->filesystem.output_paths, true, true },
	};
	char path[128];

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++) {
		for (size_t i = 0; i < lists[l].binds->count && d->errors < DIAGS_MAX; i++) {
			const struct policy_bind *b = &lists[l].binds->items[i];

			snprintf(path, sizeof(path), "%s[%zu]", lists[l].key, i);
			if (!check_host(b, path, lists[l].write, d))
				continue;
			check_inside(b->sandbox, b->pos, path, d);
			add_place(all,
				  (struct place){ .key = lists[l].key,
						  .index = i,
						  .text = b->sandbox,
						  .write = lists[l].write,
						  .output = lists[l].output,
						  .pos = b->pos },
				  b->host);
		}
	}
}

static void check_overlays(const struct policy *p, struct places *all, struct diags *d)
{
	const struct policy_overlays *list = &p->filesystem.overlays;
	const char *key = "filesystem.overlays";
	char path[128];

	for (size_t i = 0; i < list->count && d->errors < DIAGS_MAX; i++) {
		const struct policy_bind b = { .host = list->items[i].path,
					       .sandbox = list->items[i].path,
					       .pos = list->items[i].pos };

		snprintf(path, sizeof(path), "%s[%zu]", key, i);
		/* What may be written there may be applied later. */
		if (!check_host(&b, path, true, d))
			continue;
		if (b.host[0] == '.') {
			diag_error(d, b.pos, path,
				   "in the workspace, whose mode filesystem.workspace says");
			continue;
		}
		add_place(all,
			  (struct place){ .key = key,
					  .index = i,
					  .text = b.sandbox,
					  .write = true,
					  .pos = b.pos },
			  b.host);
	}
}

static void check_scratch(const struct policy *p, struct places *all, struct diags *d)
{
	const struct policy_strs *scratch = &p->filesystem.scratch_paths;
	const char *key = "filesystem.scratch_paths";
	char path[128];

	for (size_t i = 0; i < scratch->count && d->errors < DIAGS_MAX; i++) {
		const struct policy_str *s = &scratch->items[i];

		snprintf(path, sizeof(path), "%s[%zu]", key, i);
		check_inside(s->s, s->pos, path, d);
		add_place(all,
			  (struct place){ .key = key,
					  .index = i,
					  .text = s->s,
					  .write = true,
					  .pos = s->pos },
			  NULL);
	}
}

static void check_filesystem(const struct policy *p, struct diags *d)
{
	/* Two normal copies of all that a policy can hold, and the table. */
	struct places all = { .arena = ARENA_INIT(4 * POLICY_ARENA_MAX) };

	check_binds(p, &all, d);
	check_overlays(p, &all, d);
	check_scratch(p, &all, d);
	for (size_t i = 0; i < all.count && d->errors < DIAGS_MAX; i++)
		check_conflict(&all, &all.items[i], d);
	arena_free(&all.arena);
}

static void check_places(const struct policy *p, struct diags *d)
{
	const struct policy_str *wd = &p->filesystem.working_dir;
	const char *key = "filesystem.working_dir";
	char normal[NORMAL_MAX];

	if (!wd->pos.file || !path_normal(wd->s, normal, sizeof(normal)))
		return;
	if (p->filesystem.workspace == WS_NONE && path_below(normal, "."))
		diag_error(
			d, wd->pos, key,
			"there is no workspace to start in (filesystem.workspace: none); write /");
	if (p->filesystem.home == HOME_NONE && path_below(normal, "~"))
		diag_error(d, wd->pos, key, "there is no home to start in (filesystem.home: none)");
}

static bool has(const struct policy_strs *list, const char *s)
{
	for (size_t i = 0; i < list->count; i++)
		if (streq(list->items[i].s, s))
			return true;
	return false;
}

static void check_both(const struct policy_strs *list, const struct policy_strs *other,
		       const char *key, const char *other_key, struct diags *d)
{
	char path[128];

	for (size_t i = 0; i < list->count && other->count > 0; i++) {
		snprintf(path, sizeof(path), "%s[%zu]", key, i);
		if (has(other, list->items[i].s))
			diag_warn(d, list->items[i].pos, path, "%.64s is in %s too, which wins",
				  list->items[i].s, other_key);
	}
}

static void check_calls(const struct policy *p, struct diags *d)
{
	check_both(&p->syscalls.allow, &p->syscalls.deny, "syscalls.allow", "syscalls.deny", d);
	if (p->syscalls.baseline == BASELINE_NONE && p->syscalls.default_deny &&
	    p->syscalls.allow.count == 0 && p->syscalls.advanced_rules.count == 0)
		diag_error(
			d, policy_where(p, "syscalls.baseline"), "syscalls.baseline",
			"none, and nothing is allowed beyond the start of a command; fill syscalls.allow");
	if (!p->syscalls.default_deny)
		diag_warn(
			d, policy_where(p, "syscalls.default_deny"), "syscalls.default_deny",
			"every known call is allowed that no rule denies, but for those that endanger "
			"the host, as under baseline: permissive");
}

static void check_capabilities(const struct policy *p, struct diags *d)
{
	const struct policy_strs *add = &p->capabilities.add;

	check_both(add, &p->capabilities.drop, "capabilities.add", "capabilities.drop", d);
	if (add->count > 0 && has(&p->capabilities.drop, "ALL"))
		diag_warn(d, add->items[0].pos, "capabilities.add",
			  "nothing is added, for capabilities.drop names ALL");
	if (!p->capabilities.default_drop)
		diag_warn(d, policy_where(p, "capabilities.default_drop"),
			  "capabilities.default_drop",
			  "the command keeps every capability of its user namespace");
}

/* Whoever writes one of these relies on it. */
static void check_share_host(const struct policy *p, struct diags *d)
{
	static const char key[] = "network.share_host";
	const struct policy_strs *const lists[] = { &p->network.allow_outgoing,
						    &p->network.allow_incoming,
						    &p->network.blocked_ips,
						    &p->network.dns_servers };
	static const char *const list_keys[] = { "network.allow_outgoing", "network.allow_incoming",
						 "network.blocked_ips", "network.dns_servers" };
	static const char *const limits[] = { "network.max_connections", "network.bandwidth" };
	static const char none[] = "nothing holds this in the host's network; take it out, or "
				   "network.share_host";
	const struct pos here = policy_where(p, key);

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (lists[i]->count > 0)
			diag_error(d, lists[i]->items[0].pos, list_keys[i], "%s", none);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (policy_where(p, limits[i]).file)
			diag_error(d, policy_where(p, limits[i]), limits[i], "%s", none);
	if (!p->network.loopback)
		diag_error(d, policy_where(p, "network.loopback"), "network.loopback", "%s", none);
	if (p->network.isolated && policy_where(p, "network.isolated").file)
		diag_error(d, here, key,
			   "this contradicts network.isolated: true; write isolated: false too "
			   "(--isolated=false)");
	if (p->filesystem.sys)
		diag_error(d, here, key,
			   "filesystem.sys needs a network of the sandbox's own; take one of the "
			   "two out");
}

static void check_network(const struct policy *p, struct diags *d)
{
	const struct {
		const struct policy_strs *list;
		const char *key;
	} rules[] = {
		{ &p->network.allow_outgoing, "network.allow_outgoing" },
		{ &p->network.allow_incoming, "network.allow_incoming" },
		{ &p->network.dns_servers, "network.dns_servers" },
	};

	check_both(&p->network.allow_outgoing, &p->network.blocked_ips, "network.allow_outgoing",
		   "network.blocked_ips", d);
	if (p->network.share_host) {
		check_share_host(p, d);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules) && p->network.isolated; i++)
		if (rules[i].list->count > 0)
			diag_warn(d, rules[i].list->items[0].pos, rules[i].key,
				  "this has no effect, for network.isolated is true; write "
				  "isolated: false (--isolated=false)");
}

/* Below /run nothing of the host is, unless the policy puts it there. */
static void check_denials(const struct policy *p, struct diags *d)
{
	char file[NORMAL_MAX];

	if (p->denials.file.s &&
	    (!path_normal(p->denials.file.s, file, sizeof(file)) || !path_below(file, "/run") ||
	     !strchr(file + strlen("/run/"), '/')))
		diag_error(d, p->denials.file.pos, "denials.file",
			   "a file in a directory below /run, such as /run/purple/denials.jsonl");
}

/* The audit trail must be out of reach of what it watches. */
static void check_audit(const struct policy *p, struct diags *d)
{
	const struct policy_binds *lists[] = { &p->filesystem.writable_paths,
					       &p->filesystem.output_paths,
					       &p->filesystem.immutable_paths };
	static const char *const keys[] = { "audit.log_path", "audit.detail_level",
					    "audit.on_failure", "audit.rotate_bytes",
					    "audit.ebpf" };
	char log[NORMAL_MAX], host[NORMAL_MAX];

	/* Who has written `enabled: false` knows. */
	for (size_t i = 0; i < ARRAY_SIZE(keys) && !p->audit.enabled; i++)
		if (policy_where(p, keys[i]).file && !policy_where(p, "audit.enabled").file)
			diag_warn(d, policy_where(p, keys[i]), keys[i],
				  "this has no effect, for audit.enabled is false; write enabled: "
				  "true (--audit)");
	for (size_t i = 0; i < p->audit.detail_level.count; i++)
		if (streq(p->audit.detail_level.items[i].s, "budget_usage"))
			diag_warn(d, p->audit.detail_level.items[i].pos, "audit.detail_level",
				  "budget_usage has no effect: Purple keeps no budgets of tokens");
	if (!p->audit.log_path.s || !path_normal(p->audit.log_path.s, log, sizeof(log)))
		return;
	if (path_below(log, ".") && p->filesystem.workspace == WS_DIRECT)
		diag_error(d, p->audit.log_path.pos, "audit.log_path",
			   "in the workspace, where the sandbox could change it");
	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		for (size_t i = 0; i < lists[l]->count; i++)
			if (path_normal(lists[l]->items[i].host, host, sizeof(host)) &&
			    path_below(log, host)) {
				diag_error(d, p->audit.log_path.pos, "audit.log_path",
					   "below %.200s, where the sandbox could %s it", host,
					   l < 2 ? "change" : "read");
				return;
			}
}

static void check_tracing(const struct policy *p, struct diags *d)
{
	struct endpoint endpoint;
	const char *why;

	if (p->tracing.endpoint.s &&
	    endpoint_parse(p->tracing.endpoint.s, false, &endpoint, &why) < 0)
		diag_error(d, p->tracing.endpoint.pos, "tracing.endpoint", "%.64s: %s",
			   p->tracing.endpoint.s, why);
}

int policy_validate(const struct policy *p, struct diags *d)
{
	unsigned errors = d->errors;

	check_filesystem(p, d);
	check_places(p, d);
	check_calls(p, d);
	check_capabilities(p, d);
	check_network(p, d);
	check_audit(p, d);
	check_denials(p, d);
	check_tracing(p, d);
	return d->errors > errors ? -EINVAL : 0;
}
