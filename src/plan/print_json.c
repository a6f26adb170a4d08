/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/sha256.h"
#include "plan/bpf.h"
#include "plan/print.h"
#include "plan/print_names.h"
#include "plan/syscall.h"

/* The writer: one member a line, indented by a tab a level. */
struct json {
	struct buf *b;
	unsigned depth;
	bool first;   /* nothing written yet at this level */
	bool inline_; /* a list of words, on one line */
};

static void begin(struct json *j, const char *key)
{
	if (!j->first)
		buf_puts(j->b, j->inline_ ? ", " : ",");
	if (!j->inline_) {
		buf_puts(j->b, "\n");
		for (unsigned i = 0; i < j->depth; i++)
			buf_puts(j->b, "\t");
	}
	j->first = false;
	if (key) {
		buf_json_string(j->b, key);
		buf_puts(j->b, ": ");
	}
}

static void open_(struct json *j, const char *key, const char *bracket)
{
	begin(j, key);
	buf_puts(j->b, bracket);
	j->depth++;
	j->first = true;
}

static void close_(struct json *j, const char *bracket)
{
	j->depth--;
	if (!j->first) {
		buf_puts(j->b, "\n");
		for (unsigned i = 0; i < j->depth; i++)
			buf_puts(j->b, "\t");
	}
	buf_puts(j->b, bracket);
	j->first = false;
}

static void words_open(struct json *j, const char *key)
{
	begin(j, key);
	buf_puts(j->b, "[");
	j->first = j->inline_ = true;
}

static void words_close(struct json *j)
{
	buf_puts(j->b, "]");
	j->first = j->inline_ = false;
}

/* NULL: null */
static void string(struct json *j, const char *key, const char *s)
{
	begin(j, key);
	if (s)
		buf_json_string(j->b, s);
	else
		buf_puts(j->b, "null");
}

static void number(struct json *j, const char *key, uint64_t n)
{
	begin(j, key);
	if (n > 1ULL << 53)
		buf_printf(j->b, "\"0x%" PRIx64 "\"", n);
	else
		buf_printf(j->b, "%" PRIu64, n);
}

static void mode(struct json *j, const char *key, unsigned m)
{
	begin(j, key);
	buf_printf(j->b, "\"%04o\"", m);
}

static void bits(struct json *j, const char *key, uint64_t set, const struct bit_name *names)
{
	words_open(j, key);
	for (; names->name; names++) {
		if (set & names->bit)
			string(j, NULL, names->name);
	}
	words_close(j);
}

static void capabilities(struct json *j, const char *key, uint64_t set)
{
	words_open(j, key);
	for (unsigned i = 0; i < 64; i++) {
		char other[16];
		const char *name = capability_name(i);

		if (!(set >> i & 1))
			continue;
		if (!name)
			snprintf(other, sizeof(other), "CAP_%u", i);
		string(j, NULL, name ? name : other);
	}
	words_close(j);
}

static void hash(struct json *j, const char *key, const uint8_t h[SHA256_SIZE])
{
	char hex[2 * SHA256_SIZE + 1];

	hex_encode(h, SHA256_SIZE, hex);
	string(j, key, hex);
}

static void print_layers(struct json *j, const struct plan *p)
{
	const struct plan_layer *l = plan_items(p, layers, struct plan_layer);
	const struct plan_downgrade *d = plan_items(p, downgrades, struct plan_downgrade);

	open_(j, "layers", "[");
	for (uint32_t i = 0; i < p->layers.count; i++) {
		open_(j, NULL, "{");
		string(j, "layer", plan_layer_names[l[i].id]);
		string(j, "state", layer_state_names[l[i].state]);
		string(j, "why", plan_string(p, l[i].why));
		close_(j, "}");
	}
	close_(j, "]");
	open_(j, "downgrades", "[");
	for (uint32_t i = 0; i < p->downgrades.count; i++) {
		open_(j, NULL, "{");
		string(j, "what", plan_string(p, d[i].what));
		string(j, "why", plan_string(p, d[i].why));
		close_(j, "}");
	}
	close_(j, "]");
}

static void print_identity(struct json *j, const struct plan *p)
{
	open_(j, "identity", "{");
	string(j, "idmap", idmap_names[p->idmap]);
	string(j, "hostname", plan_string(p, p->hostname));
	string(j, "working_dir", plan_string(p, p->working_dir));
	mode(j, "umask", p->umask);
	close_(j, "}");
	bits(j, "namespaces", p->namespaces, namespace_names);
	bits(j, "steps", p->steps, step_names);
}

/* Of a workspace that is not written at once. */
static void print_layers_of_workspace(struct json *j, const struct plan *p)
{
	const struct plan_mount *m = plan_workspace(p);

	if (!m || !(m->flags & PMF_LAYERED))
		return;
	open_(j, "workspace", "{");
	string(j, "mode", m->flags & PMF_REVIEW ? "review" : "scratch");
	string(j, "by", "overlay");
	string(j, "else", "copy"); /* where the kernel refuses that; the start says so */
	string(j, "changes_in", m->flags & PMF_MEMORY ? "memory" : "state directory");
	number(j, "max_bytes", p->workspace_bytes);
	number(j, "max_files", p->workspace_files);
	close_(j, "}");
}

static void print_hide(struct json *j, const struct plan *p)
{
	const struct plan_str *s = plan_items(p, hide, struct plan_str);

	open_(j, "hide", "[");
	for (uint32_t i = 0; i < p->hide.count; i++)
		string(j, NULL, plan_string(p, s[i]));
	close_(j, "]");
}

static void print_protect(struct json *j, const struct plan *p)
{
	const struct plan_str *s = plan_items(p, protect, struct plan_str);

	if (!p->protect.count)
		return;
	open_(j, "protect", "[");
	for (uint32_t i = 0; i < p->protect.count; i++)
		string(j, NULL, plan_string(p, s[i]));
	close_(j, "]");
}

static void print_mounts(struct json *j, const struct plan *p)
{
	const struct plan_mount *m = plan_items(p, mounts, struct plan_mount);

	open_(j, "root", "{");
	number(j, "size", p->root_size);
	number(j, "inodes", p->root_inodes);
	close_(j, "}");
	if (p->output_bytes)
		number(j, "output_bytes", p->output_bytes);
	print_layers_of_workspace(j, p);
	print_protect(j, p);
	open_(j, "mounts", "[");
	for (uint32_t i = 0; i < p->mounts.count; i++) {
		open_(j, NULL, "{");
		string(j, "kind", mount_kind_names[m[i].kind]);
		string(j, "source", plan_string(p, m[i].source));
		string(j, "target", plan_string(p, m[i].target));
		string(j, "data", plan_string(p, m[i].data));
		bits(j, "flags", m[i].flags, mount_flag_names);
		mode(j, "mode", m[i].mode);
		number(j, "device", m[i].rdev);
		bits(j, "landlock", m[i].landlock, landlock_fs_names);
		close_(j, "}");
	}
	close_(j, "]");
	print_hide(j, p);
}

static void limit(struct json *j, const char *key, uint64_t n)
{
	if (n == UINT64_MAX) /* RLIM_INFINITY */
		string(j, key, NULL);
	else
		number(j, key, n);
}

static void print_limits(struct json *j, const struct plan *p)
{
	open_(j, "limits", "[");
	for (size_t i = 0; i < LIMIT_NAMES; i++) {
		if (!limit_is_set(&p->limits, &limit_names[i]))
			continue;
		open_(j, NULL, "{");
		string(j, "limit", limit_names[i].name);
		number(j, "value", limit_value(&p->limits, &limit_names[i]));
		string(j, "unit", limit_names[i].unit);
		string(j, "by", limit_names[i].by);
		close_(j, "}");
	}
	close_(j, "]");
	string(j, "processors", plan_string(p, p->limits.cpuset));
}

static void print_process(struct json *j, const struct plan *p)
{
	const struct plan_rlimit *r = plan_items(p, rlimits, struct plan_rlimit);

	print_limits(j, p);
	open_(j, "rlimits", "[");
	for (uint32_t i = 0; i < p->rlimits.count; i++) {
		open_(j, NULL, "{");
		string(j, "resource", rlimit_name(r[i].resource));
		limit(j, "soft", r[i].soft);
		limit(j, "hard", r[i].hard);
		close_(j, "}");
	}
	close_(j, "]");
	open_(j, "capabilities", "{");
	capabilities(j, "bounding", p->caps_bounding);
	capabilities(j, "permitted", p->caps_permitted);
	capabilities(j, "effective", p->caps_effective);
	capabilities(j, "inheritable", p->caps_inheritable);
	capabilities(j, "ambient", p->caps_ambient);
	close_(j, "}");
	bits(j, "securebits", p->securebits, securebit_names);
	open_(j, "landlock", "{");
	number(j, "abi", p->landlock_abi);
	bits(j, "fs", p->landlock_fs, landlock_fs_names);
	bits(j, "root", p->landlock_root, landlock_fs_names);
	bits(j, "net", p->landlock_net, landlock_net_names);
	bits(j, "scoped", p->landlock_scoped, landlock_scoped_names);
	close_(j, "}");
}

static void print_rules(struct json *j, const struct plan *p, const char *key, struct plan_table t)
{
	const struct net_rule *rules = (const void *)((const char *)p + t.off);
	char text[300];

	open_(j, key, "[");
	for (uint32_t i = 0; i < t.count; i++) {
		net_rule_format(&rules[i], text, sizeof(text));
		string(j, NULL, text);
	}
	close_(j, "]");
}

static void print_listeners(struct json *j, const struct plan *p)
{
	const struct plan_listener *l = plan_items(p, network.listeners, struct plan_listener);
	char text[INET6_ADDRSTRLEN];

	open_(j, "publish", "[");
	for (uint32_t i = 0; i < p->network.listeners.count; i++) {
		open_(j, NULL, "{");
		string(j, "address",
		       inet_ntop(l[i].v6 ? AF_INET6 : AF_INET, l[i].addr, text, sizeof(text)));
		number(j, "port", l[i].port);
		number(j, "inside", l[i].inside);
		number(j, "optional", l[i].optional);
		close_(j, "}");
	}
	close_(j, "]");
	number(j, "published_connections", p->network.pool);
}

/* Of an isolated one there is nothing to say. */
static void print_network(struct json *j, const struct plan *p)
{
	const struct plan_network *n = &p->network;
	const struct plan_server *server = plan_items(p, network.servers, struct plan_server);
	const struct plan_socket *s = plan_items(p, network.sockets, struct plan_socket);
	char text[INET6_ADDRSTRLEN];

	if (!(n->flags & PN_ON))
		return;
	open_(j, "network", "{");
	number(j, "ipv6", n->flags & PN_V6 ? 1 : 0);
	print_rules(j, p, "allow", n->allow);
	print_rules(j, p, "block", n->block);
	open_(j, "servers", "[");
	for (uint32_t i = 0; i < n->servers.count; i++) {
		open_(j, NULL, "{");
		string(j, "address",
		       inet_ntop(server[i].v6 ? AF_INET6 : AF_INET, server[i].addr, text,
				 sizeof(text)));
		number(j, "port", server[i].port);
		close_(j, "}");
	}
	close_(j, "]");
	open_(j, "sockets", "[");
	for (uint32_t i = 0; i < n->sockets.count; i++) {
		open_(j, NULL, "{");
		string(j, "kind", socket_kind_names[s[i].kind]);
		number(j, "family", s[i].v6 ? 6 : 4);
		number(j, "port", s[i].port);
		close_(j, "}");
	}
	close_(j, "]");
	print_listeners(j, p);
	number(j, "nf_tables_bytes", n->batch.count);
	number(j, "max_connections", n->max_connections);
	number(j, "idle_seconds", n->idle_s);
	number(j, "bytes_per_second", n->bytes_per_second);
	number(j, "locked", n->flags & PN_LOCKED ? 1 : 0);
	close_(j, "}");
}

static void print_environment(struct json *j, const struct plan *p)
{
	const struct plan_env *set = plan_items(p, env_set, struct plan_env);
	const struct plan_env *pass = plan_items(p, env_pass, struct plan_env);

	open_(j, "environment", "{");
	open_(j, "set", "[");
	for (uint32_t i = 0; i < p->env_set.count; i++)
		string(j, NULL, plan_string(p, set[i].text));
	close_(j, "]");
	open_(j, "pass", "[");
	for (uint32_t i = 0; i < p->env_pass.count; i++)
		string(j, NULL, plan_string(p, pass[i].text));
	close_(j, "]");
	close_(j, "}");
}

static void print_tracing(struct json *j, const struct plan *p)
{
	const struct plan_tracing *t = &p->tracing;

	if (!(t->flags & PT_ON))
		return;
	open_(j, "tracing", "{");
	string(j, "endpoint", plan_string(p, t->endpoint));
	begin(j, "caller");
	buf_puts(j->b, t->flags & PT_CALLER ? "true" : "false");
	number(j, "wait_seconds", t->wait_s);
	close_(j, "}");
}

/* The known calls with the answer @ret. Marks every number that has it. */
static void print_action(struct json *j, const struct plan *p, uint32_t ret, bool *mark)
{
	_cleanup_buf_ struct buf action = BUF_INIT(64);
	char name[64];
	uint32_t other;

	bpf_action(&action, ret);
	words_open(j, action.data ? action.data : "");
	for (int nr = 0; nr < SYSCALL_LIMIT; nr++) {
		if (mark[nr] || !plan_call(p, nr, &other) || other != ret)
			continue;
		mark[nr] = true;
		if (syscall_name(nr, 0, name))
			string(j, NULL, name);
	}
	words_close(j);
}

static void print_calls(struct json *j, const struct plan *p)
{
	enum { ACTIONS_MAX = 16 }; /* a filter of ours has four; a hostile one any number */
	const int end = p->filter.count > 0 ? SYSCALL_LIMIT : 0;
	bool mark[SYSCALL_LIMIT] = { false };
	unsigned actions = 0;
	char name[64];
	uint32_t ret;

	open_(j, "actions", "{");
	for (int nr = 0; nr < end && actions < ACTIONS_MAX; nr++) {
		if (mark[nr] || !plan_call(p, nr, &ret))
			continue;
		print_action(j, p, ret, mark);
		actions++;
	}
	close_(j, "}");
	words_open(j, "arguments");
	for (int nr = 0; nr < end; nr++) {
		if (!plan_call(p, nr, &ret) && syscall_name(nr, 0, name))
			string(j, NULL, name);
	}
	words_close(j);
}

static void print_listing(struct json *j, const char *key, const struct sock_filter *insns,
			  uint32_t count)
{
	open_(j, key, "[");
	for (uint32_t i = 0; i < count; i++) {
		_cleanup_buf_ struct buf line = BUF_INIT(256);

		buf_printf(&line, "%u: ", i);
		bpf_disasm(&line, &insns[i], i);
		string(j, NULL, line.data);
	}
	close_(j, "]");
}

static void print_seccomp(struct json *j, const struct plan *p)
{
	const struct sock_filter *insns = plan_items(p, filter, struct sock_filter);

	open_(j, "seccomp", "{");
	number(j, "instructions", p->filter.count);
	print_calls(j, p);
	print_listing(j, "listing", insns, p->filter.count);
	if (p->observer.count)
		print_listing(j, "observer", plan_items(p, observer, struct sock_filter),
			      p->observer.count);
	close_(j, "}");
}

static void print_audit(struct json *j, const struct plan *p)
{
	const struct plan_audit *a = &p->audit;

	open_(j, "audit", "{");
	string(j, "path", plan_string(p, a->path));
	string(j, "denials_file", plan_string(p, a->denials));
	if (a->flags & PA_ON) {
		number(j, "rotate_bytes", a->rotate_bytes);
		string(j, "on_failure", a->flags & PA_WARN ? "warn" : "stop");
		bits(j, "classes", a->classes, audit_class_names);
		bits(j, "sources", a->flags, audit_flag_names);
	}
	close_(j, "}");
}

static void print_origins(struct json *j, const struct plan *p)
{
	const struct plan_source *s = plan_items(p, sources, struct plan_source);
	const struct plan_fact *f = plan_items(p, facts, struct plan_fact);
	char value[32];

	open_(j, "sources", "[");
	for (uint32_t i = 0; i < p->sources.count; i++) {
		open_(j, NULL, "{");
		string(j, "path", plan_string(p, s[i].path));
		hash(j, "sha256", s[i].sha256);
		close_(j, "}");
	}
	close_(j, "]");
	open_(j, "facts", "[");
	for (uint32_t i = 0; i < p->facts.count; i++) {
		open_(j, NULL, "{");
		string(j, "kind", fact_names[f[i].kind]);
		string(j, "path", plan_string(p, f[i].path));
		snprintf(value, sizeof(value), "%" PRId64, f[i].value);
		string(j, "value", f[i].kind == PF_ABSENT ? NULL : value);
		close_(j, "}");
	}
	close_(j, "]");
}

void plan_print_json(const struct plan *p, struct buf *b)
{
	struct json j = { .b = b, .depth = 1, .first = true };

	buf_puts(b, "{");
	number(&j, "schema", PLAN_JSON_SCHEMA);
	number(&j, "version", p->version);
	string(&j, "profile", plan_string(p, p->profile));
	string(&j, "enforcement", enforcement_names[p->enforcement]);
	hash(&j, "key", p->key);
	print_layers(&j, p);
	print_identity(&j, p);
	print_mounts(&j, p);
	print_process(&j, p);
	print_network(&j, p);
	print_tracing(&j, p);
	print_environment(&j, p);
	print_seccomp(&j, p);
	print_audit(&j, p);
	print_origins(&j, p);
	close_(&j, "}");
	buf_puts(b, "\n");
}
