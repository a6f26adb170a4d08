/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/print.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/sha256.h"
#include "base/str.h"
#include "plan/bpf.h"
#include "plan/print_names.h"
#include "plan/syscall.h"

enum { WIDTH = 96 };

/* Names come from policies that others wrote: nothing reaches a terminal as a control. */
static void safe(struct buf *b, const char *s)
{
	char out[5];

	while (*s != '\0') {
		s += str_printable(s, out);
		buf_puts(b, out);
	}
}

static void print_str(struct buf *b, const struct plan *p, const char *before, struct plan_str s)
{
	if (!s.off)
		return;
	buf_puts(b, before);
	safe(b, plan_string(p, s));
}

static void bits(struct buf *b, uint64_t set, const struct bit_name *names, const char *between)
{
	const char *sep = "";

	for (; names->name; names++) {
		if (set & names->bit) {
			buf_printf(b, "%s%s", sep, names->name);
			sep = between;
		}
	}
	if (*sep == '\0')
		buf_puts(b, "none");
}

static void size(struct buf *b, uint64_t n)
{
	static const char units[] = "KMGT";
	int u = -1;

	if (n == 0) {
		buf_puts(b, "0");
		return;
	}
	while (u < 3 && n % 1024 == 0) {
		n /= 1024;
		u++;
	}
	buf_printf(b, "%" PRIu64, n);
	if (u >= 0)
		buf_add(b, &units[u], 1);
}

static void print_layers(struct buf *b, const struct plan *p)
{
	const struct plan_layer *l = plan_items(p, layers, struct plan_layer);
	const struct plan_downgrade *d = plan_items(p, downgrades, struct plan_downgrade);

	buf_puts(b, "\nlayers\n");
	for (uint32_t i = 0; i < p->layers.count; i++) {
		buf_printf(b, "  %-13s %s", plan_layer_names[l[i].id],
			   layer_state_names[l[i].state]);
		print_str(b, p, ": ", l[i].why);
		buf_puts(b, "\n");
	}
	if (p->downgrades.count > 0)
		buf_puts(b, "\nasked for and not done\n");
	for (uint32_t i = 0; i < p->downgrades.count; i++) {
		print_str(b, p, "  ", d[i].what);
		print_str(b, p, ": ", d[i].why);
		buf_puts(b, "\n");
	}
}

static void print_identity(struct buf *b, const struct plan *p)
{
	buf_puts(b, "\nidentity\n");
	buf_printf(b, "  id map        %s\n", idmap_names[p->idmap]);
	buf_puts(b, "  namespaces    ");
	bits(b, p->namespaces, namespace_names, " ");
	print_str(b, p, "\n  host name     ", p->hostname);
	buf_puts(b, "\n  working dir   ");
	print_str(b, p, "", p->working_dir);
	buf_puts(b, p->working_dir.off ? "" : "the workspace");
	buf_printf(b, "\n  umask         %04o\n  steps         ", p->umask);
	bits(b, p->steps, step_names, " ");
	buf_puts(b, "\n");
}

static void print_mount(struct buf *b, const struct plan *p, const struct plan_mount *m)
{
	buf_printf(b, "  %-10s ", mount_kind_names[m->kind]);
	safe(b, m->target.off ? plan_string(p, m->target) : "where it is outside");
	print_str(b, p, m->kind == PM_SYMLINK ? " -> " : " from ", m->source);
	if (m->flags) {
		buf_puts(b, "  ");
		bits(b, m->flags, mount_flag_names, ",");
	}
	if (m->mode)
		buf_printf(b, " mode %04o", m->mode);
	if (m->rdev)
		buf_printf(b, " device 0x%" PRIx64, m->rdev);
	print_str(b, p, m->kind == PM_FILE ? " content: " : " ", m->data);
	if (m->landlock) {
		buf_puts(b, "\n             landlock: ");
		if (m->landlock == p->landlock_fs)
			buf_puts(b, "all rights");
		else
			bits(b, m->landlock, landlock_fs_names, " ");
	}
	buf_puts(b, "\n");
}

/* Of a workspace that is not written at once. */
static void print_layers_of_workspace(struct buf *b, const struct plan *p)
{
	const struct plan_mount *m = plan_workspace(p);

	if (!m || !(m->flags & PMF_LAYERED))
		return;
	buf_printf(b, "  the workspace is an overlay: changes go to %s, and %s\n",
		   m->flags & PMF_MEMORY ? "memory" : "the state directory",
		   m->flags & PMF_REVIEW ? "wait for `purple apply`" : "are thrown away");
	buf_puts(b, "  where the kernel refuses one it is a copy, and the start says so\n");
	if (!p->workspace_bytes && !p->workspace_files)
		return;
	buf_puts(b, "  at most");
	if (p->workspace_bytes) {
		buf_puts(b, " ");
		size(b, p->workspace_bytes);
	}
	if (p->workspace_files)
		buf_printf(b, " %" PRIu64 " files", p->workspace_files);
	buf_puts(b, "\n");
}

static void print_hide(struct buf *b, const struct plan *p)
{
	const struct plan_str *s = plan_items(p, hide, struct plan_str);

	if (p->hide.count > 0)
		buf_puts(b,
			 "  covered at the start, and not readable, in what has the flag hide\n");
	for (uint32_t i = 0; i < p->hide.count; i++) {
		print_str(b, p, "    ", s[i]);
		buf_puts(b, "\n");
	}
}

static void print_protect(struct buf *b, const struct plan *p)
{
	const struct plan_str *s = plan_items(p, protect, struct plan_str);

	if (!p->protect.count)
		return;
	buf_puts(b, "  protected in the workspace, the last that matches decides:");
	for (uint32_t i = 0; i < p->protect.count; i++) {
		buf_puts(b, i % 8 ? " " : "\n    ");
		safe(b, plan_string(p, s[i]));
	}
	buf_puts(b, "\n");
}

static void print_mounts(struct buf *b, const struct plan *p)
{
	const struct plan_mount *m = plan_items(p, mounts, struct plan_mount);

	buf_puts(b, "\nfiles, on an empty root of size ");
	size(b, p->root_size);
	buf_printf(b, " and %" PRIu64 " inodes\n", p->root_inodes);
	for (uint32_t i = 0; i < p->mounts.count; i++)
		print_mount(b, p, &m[i]);
	if (p->output_bytes) {
		buf_puts(b, "  each output takes at most ");
		size(b, p->output_bytes);
		buf_puts(b, ", in memory, until it is collected\n");
	}
	print_layers_of_workspace(b, p);
	print_hide(b, p);
	print_protect(b, p);
}

static void print_caps(struct buf *b, const char *title, uint64_t set)
{
	buf_printf(b, "  %-13s", title);
	for (unsigned i = 0; i < 64; i++) {
		if (!(set >> i & 1))
			continue;
		if (capability_name(i))
			buf_printf(b, " %s", capability_name(i));
		else
			buf_printf(b, " CAP_%u", i);
	}
	buf_puts(b, set ? "\n" : " none\n");
}

static void print_limit(struct buf *b, uint64_t n)
{
	if (n == UINT64_MAX)
		buf_puts(b, " unlimited");
	else
		buf_printf(b, " %" PRIu64, n);
}

static void print_limits(struct buf *b, const struct plan *p)
{
	const char *cpus = plan_string(p, p->limits.cpuset);

	buf_puts(b, "\nlimits on all processes together\n");
	for (size_t i = 0; i < LIMIT_NAMES; i++) {
		const struct limit_name *n = &limit_names[i];

		if (limit_is_set(&p->limits, n))
			buf_printf(b, "  %-13s %" PRIu64 "%s%s, by %s\n", n->name,
				   limit_value(&p->limits, n), n->unit[0] ? " " : "", n->unit,
				   n->by);
	}
	if (cpus)
		buf_printf(b, "  %-13s %s, by cgroup\n", "processors", cpus);
}

static void print_process(struct buf *b, const struct plan *p)
{
	const struct plan_rlimit *r = plan_items(p, rlimits, struct plan_rlimit);

	print_limits(b, p);
	buf_puts(b, "\nlimits on each process, soft and hard\n");
	for (uint32_t i = 0; i < p->rlimits.count; i++) {
		buf_printf(b, "  %-13s", rlimit_name(r[i].resource));
		print_limit(b, r[i].soft);
		print_limit(b, r[i].hard);
		buf_puts(b, "\n");
	}
	buf_puts(b, "\ncapabilities\n");
	print_caps(b, "bounding", p->caps_bounding);
	print_caps(b, "permitted", p->caps_permitted);
	print_caps(b, "effective", p->caps_effective);
	print_caps(b, "inheritable", p->caps_inheritable);
	print_caps(b, "ambient", p->caps_ambient);
	buf_puts(b, "  securebits    ");
	bits(b, p->securebits, securebit_names, " ");
	buf_printf(b, "\n\nlandlock, ABI %u\n  files         ", p->landlock_abi);
	bits(b, p->landlock_fs, landlock_fs_names, " ");
	buf_puts(b, "\n  on all files  ");
	bits(b, p->landlock_root, landlock_fs_names, " ");
	buf_puts(b, "\n  network       ");
	bits(b, p->landlock_net, landlock_net_names, " ");
	buf_puts(b, "\n  scoped        ");
	bits(b, p->landlock_scoped, landlock_scoped_names, " ");
	buf_puts(b, "\n");
}

static void print_environment(struct buf *b, const struct plan *p)
{
	const struct plan_env *set = plan_items(p, env_set, struct plan_env);
	const struct plan_env *pass = plan_items(p, env_pass, struct plan_env);

	buf_puts(b, "\nenvironment\n");
	for (uint32_t i = 0; i < p->env_set.count; i++) {
		print_str(b, p, "  set           ", set[i].text);
		buf_puts(b, "\n");
	}
	for (uint32_t i = 0; i < p->env_pass.count; i++) {
		print_str(b, p, "  pass          ", pass[i].text);
		buf_puts(b, "\n");
	}
}

static void print_rules(struct buf *b, const struct plan *p, const char *title, struct plan_table t)
{
	const struct net_rule *rules = (const void *)((const char *)p + t.off);

	for (uint32_t i = 0; i < t.count; i++) {
		char text[300];

		net_rule_format(&rules[i], text, sizeof(text));
		buf_printf(b, "  %-13s ", title);
		safe(b, text);
		buf_puts(b, "\n");
	}
}

static void print_listeners(struct buf *b, const struct plan *p)
{
	const struct plan_listener *l = plan_items(p, network.listeners, struct plan_listener);
	char text[INET6_ADDRSTRLEN];

	for (uint32_t i = 0; i < p->network.listeners.count; i++) {
		inet_ntop(l[i].v6 ? AF_INET6 : AF_INET, l[i].addr, text, sizeof(text));
		buf_printf(b, l[i].v6 ? "  publish       [%s]:%u" : "  publish       %s:%u", text,
			   l[i].port);
		buf_printf(b, ", to port %u inside%s\n", l[i].inside,
			   l[i].optional ? ", if the host has this address" : "");
	}
	if (p->network.pool)
		buf_printf(b, "  published     %u connections at a time; more wait\n",
			   p->network.pool);
}

static void print_network(struct buf *b, const struct plan *p)
{
	const struct plan_network *n = &p->network;
	const struct plan_server *server = plan_items(p, network.servers, struct plan_server);
	const struct plan_socket *s = plan_items(p, network.sockets, struct plan_socket);
	char text[INET6_ADDRSTRLEN];

	if (!(n->flags & PN_ON))
		return;
	buf_printf(b, "\nnetwork, by purple-net: IPv4%s\n", n->flags & PN_V6 ? " and IPv6" : "");
	if (n->flags & PN_PORTS)
		buf_puts(b, "  rules         none for nf_tables: tcp to anywhere is taken at the "
			    "ports below\n");
	else
		buf_printf(
			b,
			"  rules         %u bytes for nf_tables: tcp to anywhere but loopback and "
			"port 53 goes to port %d\n",
			n->batch.count, PLAN_TCP_PORT);
	print_rules(b, p, "allow", n->allow);
	print_rules(b, p, "block", n->block);
	for (uint32_t i = 0; i < n->servers.count; i++)
		buf_printf(b, "  dns server    %s port %u\n",
			   inet_ntop(server[i].v6 ? AF_INET6 : AF_INET, server[i].addr, text,
				     sizeof(text)),
			   server[i].port);
	for (uint32_t i = 0; i < n->sockets.count; i++)
		buf_printf(b, "  socket        %s, IPv%d, port %u\n", socket_kind_names[s[i].kind],
			   s[i].v6 ? 6 : 4, s[i].port);
	print_listeners(b, p);
	buf_printf(b, "  connections   %u at most, closed after %u idle seconds\n",
		   n->max_connections, n->idle_s);
	if (n->bytes_per_second)
		buf_printf(b, "  bandwidth     %" PRIu64 " bytes a second, each way\n",
			   n->bytes_per_second);
	if (n->flags & PN_LOCKED)
		buf_puts(b, "  locked        `purple net` does not change the rules\n");
}

static void print_tracing(struct buf *b, const struct plan *p)
{
	const struct plan_tracing *t = &p->tracing;

	if (!(t->flags & PT_ON))
		return;
	buf_puts(b, "\ntraces, by purple-otlp\n  endpoint      ");
	if (t->endpoint.off)
		print_str(b, p, "", t->endpoint);
	else
		buf_puts(b, "the caller's OTEL_EXPORTER_OTLP_ENDPOINT, or http://127.0.0.1:4318");
	buf_printf(b, "\n  at the end    it waits %u seconds for them to be delivered\n",
		   t->wait_s);
	if (t->flags & PT_CALLER)
		buf_puts(b, "  of the caller OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and "
			    "OTEL_EXPORTER_OTLP_HEADERS\n");
}

static void print_answer(struct buf *b, const uint32_t *want)
{
	buf_puts(b, "  ");
	if (want)
		bpf_action(b, *want);
	else
		buf_puts(b, "by argument");
}

/* The known calls with the answer @want, or NULL: by argument; nothing if there are none. */
static void print_calls(struct buf *b, const struct plan *p, const uint32_t *want, bool names)
{
	unsigned column = 0, count = 0;
	uint32_t ret;
	char name[64];

	for (int nr = 0; nr < SYSCALL_LIMIT; nr++) {
		bool known = plan_call(p, nr, &ret);

		if ((want ? !known || ret != *want : known) || !syscall_name(nr, 0, name))
			continue;
		if (count++ == 0)
			print_answer(b, want);
		if (!names)
			continue;
		if (column == 0 || column + strlen(name) + 1 > WIDTH) {
			buf_puts(b, "\n   ");
			column = 3;
		}
		buf_printf(b, " %s", name);
		column += (unsigned)strlen(name) + 1;
	}
	if (!names && count > 0)
		buf_printf(b, ": %u", count);
	if (count > 0)
		buf_puts(b, "\n");
}

/* What no name stands for: numbers beyond the tables, and calls of another architecture. */
static void print_other_calls(struct buf *b, const struct plan *p)
{
	const struct sock_filter *insns = plan_items(p, filter, struct sock_filter);
	uint32_t ret;

	if (plan_call(p, SYSCALL_LIMIT, &ret)) {
		buf_puts(b, "  every other number: ");
		bpf_action(b, ret);
		buf_puts(b, "\n");
	}
	if (bpf_decide(insns, p->filter.count, ~syscall_native_arch(), 0, &ret)) {
		buf_puts(b, "  another architecture: ");
		bpf_action(b, ret);
		buf_puts(b, "\n");
	}
}

static void print_seccomp(struct buf *b, const struct plan *p, bool names)
{
	static const uint32_t answers[] = {
		SECCOMP_RET_ALLOW,	    SECCOMP_RET_ERRNO | EPERM,
		SECCOMP_RET_KILL_PROCESS,   SECCOMP_RET_ERRNO | EAFNOSUPPORT,
		SECCOMP_RET_ERRNO | ENOSYS,
	};

	buf_printf(b, "\nsystem calls, a filter of %u instructions%s\n", p->filter.count,
		   names ? "" : " (-v names the calls)");
	if (p->filter.count == 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		print_calls(b, p, &answers[i], names);
	print_calls(b, p, NULL, names);
	print_other_calls(b, p);
}

/* Which source gives what; purple-net of a network, where there is one. */
static void print_sources(struct buf *b, const struct plan *p)
{
	const struct plan_audit *a = &p->audit;
	bool kernel = a->flags & PA_EBPF;

	if (a->classes & PAC_SECURITY)
		buf_printf(b, "  programs      by %s\n", kernel ? "eBPF" : "seccomp");
	if (a->classes & PAC_FILESYSTEM)
		buf_printf(b, "  files         by %s%s\n", kernel ? "eBPF" : "seccomp",
			   a->flags & PA_OPENS ? ", reads too" : "");
	else if (kernel && a->classes & PAC_SECURITY)
		buf_puts(b, "  files         refusals by eBPF\n");
	if (!(a->classes & (PAC_NETWORK | PAC_SECURITY)))
		return;
	if (p->network.flags & PN_ON)
		buf_puts(b, "  network       by purple-net\n");
	else if (kernel)
		buf_puts(b, "  network       connections by eBPF\n");
}

static void print_audit(struct buf *b, const struct plan *p)
{
	const struct plan_audit *a = &p->audit;

	if (!(a->flags & PA_ON) && !a->denials.off)
		return;
	buf_puts(b, "\nwritten down\n");
	if (a->flags & PA_ON) {
		print_str(b, p, "  trail         ", a->path);
		buf_puts(b, "\n  put aside at  ");
		size(b, a->rotate_bytes);
		buf_printf(b, "\n  if it fails   %s\n  what          ",
			   a->flags & PA_WARN ? "the sandbox goes on" : "the sandbox ends");
		bits(b, a->classes, audit_class_names, " ");
		buf_puts(b, "\n");
		print_sources(b, p);
	}
	if (a->denials.off) {
		print_str(b, p, "  for the agent ", a->denials);
		buf_puts(b, "\n");
	}
	if (p->observer.count)
		buf_printf(b, "  calls         told by a filter of %u instructions\n",
			   p->observer.count);
}

static void print_origins(struct buf *b, const struct plan *p)
{
	const struct plan_source *s = plan_items(p, sources, struct plan_source);
	const struct plan_fact *f = plan_items(p, facts, struct plan_fact);
	char hex[2 * SHA256_SIZE + 1];

	buf_puts(b, "\nmade from\n");
	for (uint32_t i = 0; i < p->sources.count; i++) {
		hex_encode(s[i].sha256, 8, hex);
		buf_printf(b, "  %s ", hex);
		print_str(b, p, "", s[i].path);
		buf_puts(b, "\n");
	}
	for (uint32_t i = 0; i < p->facts.count; i++) {
		buf_printf(b, "  %-16s ", fact_names[f[i].kind]);
		if (f[i].path.off)
			print_str(b, p, "", f[i].path);
		if (f[i].kind == PF_MTIME || f[i].kind == PF_CGROUP)
			buf_printf(b, " %" PRId64, f[i].value);
		buf_puts(b, "\n");
	}
	hex_encode(p->key, SHA256_SIZE, hex);
	if (hex[strspn(hex, "0")] != '\0') /* `purple plan` has none */
		buf_printf(b, "  key %s\n", hex);
}

void plan_print_text(const struct plan *p, bool calls, struct buf *b)
{
	buf_puts(b, "profile ");
	print_str(b, p, "", p->profile);
	buf_printf(b, "%s, enforcement %s\n", p->profile.off ? "" : "without a name",
		   enforcement_names[p->enforcement]);
	print_layers(b, p);
	print_identity(b, p);
	print_mounts(b, p);
	print_process(b, p);
	print_network(b, p);
	print_tracing(b, p);
	print_environment(b, p);
	print_seccomp(b, p, calls);
	print_audit(b, p);
	print_origins(b, p);
}
