/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that no single key shows. */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "policy/check.h"
#include "policy/parse.h"

enum { NORMAL_MAX = 4096 + 16 };

/*
 * Paths of the host that no bind may show. Patterns are fnmatch(3)'s, of
 * normal paths (path_normal()).
 */
/* clang-format off */
static const struct policy_forbidden forbidden[] = {
	{ "/proc", "the kernel's processes; see filesystem.proc", false, true },
	{ "/sys", "the kernel's devices; see filesystem.sys", false, true },
	{ "/dev", "the host's devices; see devices.allow", false, true },
	{ "/boot", "the machine's kernels", false, true },
	{ "/root", "the administrator's home; write ~/ for your own", false, true },
	{ "/run/docker.sock", "a container engine's socket: whoever has it has the machine",
	  false, true },
	{ "/run/docker", "a container engine", false, true },
	{ "/run/containerd", "a container engine", false, true },
	{ "/run/podman", "a container engine", false, true },
	{ "/run/crio", "a container engine", false, true },
	{ "/run/k3s", "a container engine", false, true },
	{ "/run/user/*/docker.sock", "a container engine's socket", false, true },
	{ "/run/user/*/podman", "a container engine", false, true },
	{ "/run/user/*/systemd", "the service manager, which starts programs outside",
	  false, true },
	{ "/run/user/*/bus", "the session bus, which starts programs outside", false, true },
	{ "/run/dbus", "the system bus, which starts programs outside", false, true },
	{ "/run/systemd", "the service manager, which starts programs outside", false, true },
	{ "/run/purple", "Purple's own state", false, true },
	{ "/run/user/*/purple", "Purple's own state", false, true },
	{ "/var/lib/purple", "Purple's own state", false, false },
	{ "/var/lib/docker", "a container engine's files", false, false },
	{ "/var/lib/containerd", "a container engine's files", false, false },
	{ "/var/cache/purple", "Purple's own state", true, true },
	{ "/var/lib", "the system's state; name a directory below it", true, true },
	{ "/etc", "the system's configuration, and Purple's policies", true, true },
	{ "/usr", "the system's programs", true, true },
	{ "~/.config/purple", "Purple's policies", true, true },
	{ "~/.cache/purple", "Purple's own state", true, true },
	{ "~/.local/share/purple", "Purple's own state", true, true },
	{ "~/.local/state/purple", "Purple's own state", false, false },
	{ "~/.local/state/purple", "Purple's own state", true, true }, /* nor above it */
};
/* clang-format on */

/* Below these of the sandbox's own, a bind would undo what is built there. */
static const char *const forbidden_inside[] = { "/proc", "/sys", "/dev" };

/* The first @parts components of @path, for comparing with a pattern. */
static void cut_parts(const char *path, unsigned parts, char *ret)
{
	size_t n = 0;

	for (; path[n] != '\0'; n++) {
		if (path[n] == '/' && n > 0 && parts-- == 1)
			break;
		ret[n] = path[n];
	}
	ret[n] = '\0';
}

static unsigned count_parts(const char *path)
{
	unsigned n = path[0] == '/' ? 0 : 1;

	if (streq(path, "/"))
		return 0;
	for (; *path != '\0'; path++)
		n += *path == '/';
	return n;
}

/* @path is what the pattern names, or below it. */
static bool matches_below(const char *path, const char *pattern)
{
	char cut[NORMAL_MAX];

	cut_parts(path, count_parts(pattern), cut);
	return fnmatch(pattern, cut, FNM_PATHNAME | FNM_NOESCAPE) == 0;
}

/* @path is above what the pattern names. */
static bool matches_above(const char *path, const char *pattern)
{
	char cut[64];
	unsigned parts = count_parts(path);

	if (parts >= count_parts(pattern) || (path[0] == '/') != (pattern[0] == '/'))
		return false;
	if (parts == 0)
		return true;
	cut_parts(pattern, parts, cut);
	return fnmatch(cut, path, FNM_PATHNAME | FNM_NOESCAPE) == 0;
}

/* Where /etc/resolv.conf leads on many hosts; what lies beside them is a service's socket. */
static const char *const not_forbidden[] = { "/run/systemd/resolve/stub-resolv.conf",
					     "/run/systemd/resolve/resolv.conf" };

static const struct policy_forbidden *look_up(const char *path, bool write, bool *above)
{
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		if (forbidden[i].write_only && !write)
			continue;
		*above = false;
		if (matches_below(path, forbidden[i].path))
			return &forbidden[i];
		*above = true;
		if (forbidden[i].above && matches_above(path, forbidden[i].path))
			return &forbidden[i];
	}
	return NULL;
}

static const char *absolute_env(const char *name)
{
	const char *s = getenv(name);

	return s && s[0] == '/' ? s : NULL;
}

/* A normal path as it is below the caller's home: "~/x" for "/home/u/x"; false if it is not. */
static bool to_home(const char *path, char ret[NORMAL_MAX])
{
	const char *home = absolute_env("HOME"), *rest;
	char normal[NORMAL_MAX];

	if (!home || !path_normal(home, normal, sizeof(normal)) || streq(normal, "/"))
		return false;
	rest = str_after(path, normal);
	if (!rest || (*rest != '/' && *rest != '\0'))
		return false;
	snprintf(ret, NORMAL_MAX, "~%s", rest);
	return true;
}

/* The other way round: "~/x" as an absolute path. */
static bool from_home(const char *path, char ret[NORMAL_MAX])
{
	const char *home = absolute_env("HOME");
	char joined[2 * NORMAL_MAX];

	if (path[0] != '~' || !home)
		return false;
	snprintf(joined, sizeof(joined), "%s%s", home, path + 1);
	return path_normal(joined, ret, NORMAL_MAX);
}

/*
 * Where Purple keeps what is the user's, when the environment says so: the
 * table has the places without it. As it is written, and where it leads.
 */
static const struct policy_forbidden *look_up_own(const char *path, bool write, bool *above)
{
	static struct policy_forbidden own[] = {
		{ NULL, "Purple's policies", true, true },
		{ NULL, "Purple's own state", true, true },
		{ NULL, "Purple's own state", false, true }, /* sockets: to read is to steer */
		{ NULL, "Purple's own state", false, true },
	};
	static const char *const variables[] = { "XDG_CONFIG_HOME", "XDG_CACHE_HOME",
						 "XDG_STATE_HOME", "XDG_RUNTIME_DIR" };
	static char places[ARRAY_SIZE(own)][NORMAL_MAX];
	char absolute[NORMAL_MAX], joined[PATH_MAX], real[PATH_MAX];

	if (from_home(path, absolute))
		path = absolute;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		const char *dir = write || !own[i].write_only ? absolute_env(variables[i]) : NULL;

		for (int follow = 0; dir && follow < 2; follow++) {
			const char *use = follow ? real : dir;

			/* The last component may not be there yet. */
			if (follow && !realpath(dir, real))
				break;
			if (snprintf(joined, sizeof(joined), "%s/purple", use) >=
			    (int)sizeof(joined))
				break;
			if (follow && realpath(joined, real))
				snprintf(joined, sizeof(joined), "%s", real);
			if (!path_normal(joined, places[i], NORMAL_MAX))
				break;
			own[i].path = places[i];
			*above = !path_below(path, places[i]);
			if (!*above || path_below(places[i], path))
				return &own[i];
		}
	}
	return NULL;
}

const struct policy_forbidden *policy_forbidden(const char *path, bool write, bool *above)
{
	const struct policy_forbidden *f;
	char home[NORMAL_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(not_forbidden) && !write; i++)
		if (streq(path, not_forbidden[i]))
			return NULL;
	f = look_up(path, write, above);
	/* The shell has made /root/x of ~/x: that is the caller's own. */
	if ((!f || streq(f->path, "/root")) && to_home(path, home))
		f = look_up(home, write, above);
	if (!f)
		f = look_up_own(path, write, above);
	return f;
}

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
	    (to_home(normal, home) && streq(home, "~")))
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

/* The audit trail must be out of reach of what it watches. */
static void check_audit(const struct policy *p, struct diags *d)
{
	const struct policy_binds *lists[] = { &p->filesystem.writable_paths,
					       &p->filesystem.output_paths };
	char log[NORMAL_MAX], host[NORMAL_MAX];

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
					   "below %.200s, where the sandbox could change it", host);
				return;
			}
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
	return d->errors > errors ? -EINVAL : 0;
}
