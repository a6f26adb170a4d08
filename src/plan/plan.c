/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking a plan. Everything here treats the block as written by an enemy:
 * offsets and counts are bounded before they are used, and the sum of all
 * string lengths is bounded, so that the time is linear in the size however
 * the strings overlap.
 *
 * This is for the launcher too: no allocation, no libc but <string.h>.
 */
#include "plan/plan.h"

#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <string.h>

#include "base/macros.h"
#include "base/pattern.h"
#include "policy/policy.h"

const char *const plan_layer_names[LAYERS] = {
	[LAYER_USER] = "user",
	[LAYER_PID] = "pid",
	[LAYER_MOUNT] = "mount",
	[LAYER_NET] = "net",
	[LAYER_IPC] = "ipc",
	[LAYER_UTS] = "uts",
	[LAYER_CGROUP] = "cgroup",
	[LAYER_TIME] = "time",
	[LAYER_CAPABILITIES] = "capabilities",
	[LAYER_NO_NEW_PRIVS] = "no_new_privs",
	[LAYER_LANDLOCK] = "landlock",
	[LAYER_SECCOMP] = "seccomp",
};

#define NAMESPACES_ALL                                                                        \
	((uint64_t)CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | \
	 CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWTIME)

enum {
	FILTER_MAX = 4096, /* BPF_MAXINSNS */
	HOSTNAME_MAX = 64, /* __NEW_UTS_LEN */
	RESOURCES = 16,	   /* RLIM_NLIMITS */
	MODE_ALL = 07777,
	UMASK_ALL = 0777,
	SECUREBITS_ALL = 0xff,	     /* four bits and their locks; SECUREBITS of capabilities(7) */
	LANDLOCK_FS_ALL = 0xffff,    /* up to IOCTL_DEV, ABI 5 to 7 */
	LANDLOCK_TRUNCATE = 1 << 14, /* ABI 3 */
	LANDLOCK_NET_ALL = 3,	     /* bind and connect, ABI 4 */
	LANDLOCK_SCOPED_ALL = 3,     /* abstract sockets and signals, ABI 6 */
	STRINGS_FACTOR = 8,	     /* all strings together, in sizes of the block */
};

/* The check in progress. @why is set once something is wrong. */
struct check {
	const struct plan *p;
	size_t size;
	uint64_t strings; /* bytes looked at */
	const char *why;
};

static bool fail(struct check *c, const char *why)
{
	if (!c->why)
		c->why = why;
	return false;
}

enum need { OPTIONAL, REQUIRED };

static bool check_str(struct check *c, struct plan_str s, enum need need, const char *why)
{
	const char *text = (const char *)c->p + s.off;

	if (s.off == 0)
		return (s.len == 0 && need == OPTIONAL) || fail(c, why);
	if (s.off < sizeof(struct plan) || s.off >= c->size || s.len >= c->size - s.off)
		return fail(c, why);
	c->strings += s.len;
	if (c->strings > (uint64_t)c->size * STRINGS_FACTOR)
		return fail(c, "too many strings");
	if (text[s.len] != '\0' || memchr(text, '\0', s.len))
		return fail(c, why);
	return (s.len > 0 || need == OPTIONAL) || fail(c, why);
}

/*
 * Absolute, or relative to the workspace by "./", or "." for the workspace
 * itself; no empty, "." or ".." component, no slash at the end except of "/"
 * itself.
 */
static bool path_is_clean(const char *s)
{
	size_t n;

	if ((s[0] == '/' || s[0] == '.') && s[1] == '\0')
		return true;
	if (s[0] == '.')
		s++;
	if (s[0] != '/')
		return false;
	while (*s == '/') {
		for (n = 0, s++; s[n] != '\0' && s[n] != '/'; n++)
			;
		if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
			return false;
		s += n;
	}
	return true;
}

static bool check_path(struct check *c, struct plan_str s, enum need need, const char *why)
{
	if (!check_str(c, s, need, why))
		return false;
	return s.off == 0 || path_is_clean(plan_string(c->p, s)) || fail(c, why);
}

/* A place inside, which is never the root itself. */
static bool check_target(struct check *c, struct plan_str s, enum need need)
{
	static const char why[] = "mount: bad target";

	return check_path(c, s, need, why) && (s.off == 0 || s.len > 1 || fail(c, why));
}

static bool check_table(struct check *c, struct plan_table t, size_t item, const char *why)
{
	if (t.off % 8 != 0 || t.off > c->size)
		return fail(c, why);
	if (t.count == 0)
		return true;
	if (t.off < sizeof(struct plan) || t.count > (c->size - t.off) / item)
		return fail(c, why);
	return true;
}

/* Which strings each kind of mount must have. */
static const struct mount_kind {
	bool source, any_source, target, rdev;
} mount_kinds[PM_KINDS] = {
	[PM_BIND] = { .source = true, .target = true },
	[PM_WORKSPACE] = { 0 },
	[PM_SCRATCH] = { .target = true },
	[PM_PROC] = { .target = true },
	[PM_SYSFS] = { .target = true },
	[PM_DEVPTS] = { .target = true },
	[PM_DEVICE] = { .source = true, .target = true, .rdev = true },
	[PM_MASK_FILE] = { .target = true },
	[PM_MASK_DIR] = { .target = true },
	[PM_DIR] = { .target = true },
	[PM_FILE] = { .target = true },
	[PM_SYMLINK] = { .any_source = true, .target = true },
	[PM_OVERLAY] = { .source = true, .target = true },
	[PM_OUTPUT] = { .source = true, .target = true },
};

static bool check_mount(struct check *c, const struct plan_mount *m)
{
	const struct mount_kind *k;

	if (m->kind >= PM_KINDS)
		return fail(c, "mount: unknown kind");
	k = &mount_kinds[m->kind];
	if (m->mode & ~(unsigned)MODE_ALL)
		return fail(c, "mount: bad mode");
	if (m->flags & ~(uint32_t)PMF_ALL)
		return fail(c, "mount: unknown flag");
	if ((m->flags & (PMF_IDS | PMF_TOLD)) && m->kind != PM_FILE)
		return fail(c, "mount: ids where no content is");
	if (m->flags & (PMF_LAYERED | PMF_MEMORY) && m->kind != PM_WORKSPACE &&
	    m->kind != PM_OVERLAY)
		return fail(c, "mount: layers where no workspace is");
	if (m->flags & PMF_HIDE && m->kind != PM_WORKSPACE && m->kind != PM_BIND &&
	    m->kind != PM_OVERLAY)
		return fail(c, "mount: nothing is hidden in its kind");
	if (m->kind == PM_OVERLAY && !(m->flags & PMF_LAYERED))
		return fail(c, "mount: an overlay without layers");
	if ((m->flags & PMF_LAYERED) == PMF_LAYERED ||
	    (m->flags & PMF_MEMORY && !(m->flags & PMF_DISCARD)))
		return fail(c, "mount: layers of two kinds");
	if (m->flags & PMF_PROTECT &&
	    (m->kind != PM_WORKSPACE || m->flags & (PMF_LAYERED | PMF_RDONLY) ||
	     !c->p->protect.count || !c->p->observer.count ||
	     !(c->p->landlock_fs & LANDLOCK_TRUNCATE)))
		return fail(c, "mount: protected without what protects it");
	if (m->landlock & ~(uint64_t)LANDLOCK_FS_ALL)
		return fail(c, "mount: unknown Landlock right");
	if (k->rdev != (m->rdev != 0))
		return fail(c, "mount: bad device number");
	if (k->source || k->any_source) {
		if (k->any_source ? !check_str(c, m->source, REQUIRED, "mount: bad source")
				  : !check_path(c, m->source, REQUIRED, "mount: bad source"))
			return false;
	} else if (m->source.off != 0 || m->source.len != 0) {
		return fail(c, "mount: a source where none belongs");
	}
	return check_target(c, m->target, k->target ? REQUIRED : OPTIONAL) &&
	       check_str(c, m->data, OPTIONAL, "mount: bad data");
}

static bool check_env(struct check *c, const struct plan_env *env, bool set)
{
	const char *text, *equals;

	if (!check_str(c, env->text, REQUIRED, "environment: bad string"))
		return false;
	text = plan_string(c->p, env->text);
	equals = memchr(text, '=', env->text.len);
	if (set ? !equals || equals == text : equals != NULL)
		return fail(c, "environment: bad name");
	return true;
}

const struct plan_mount *plan_workspace(const struct plan *p)
{
	const struct plan_mount *m = plan_items(p, mounts, struct plan_mount);

	for (uint32_t i = 0; i < p->mounts.count; i++)
		if (m[i].kind == PM_WORKSPACE)
			return &m[i];
	return NULL;
}

static bool in_workspace(const struct plan *p, struct plan_str path)
{
	return path.off != 0 && plan_string(p, path)[0] == '.';
}

static bool check_mounts(struct check *c)
{
	const struct plan *p = c->p;
	const struct plan_mount *m = plan_items(p, mounts, struct plan_mount);
	bool workspace = false;
	unsigned outputs = 0, overlays = 0;

	if (!check_table(c, p->mounts, sizeof(*m), "mounts: bad table"))
		return false;
	for (uint32_t i = 0; i < p->mounts.count; i++) {
		if (!check_mount(c, &m[i]))
			return false;
		workspace |= m[i].kind == PM_WORKSPACE;
		outputs += m[i].kind == PM_OUTPUT;
		overlays += m[i].kind == PM_OVERLAY;
		if (!workspace && in_workspace(p, m[i].target))
			return fail(c, "mount: in the workspace, but before it");
	}
	if (overlays > PLAN_OVERLAYS_MAX)
		return fail(c, "mounts: too many overlays");
	if (outputs > PLAN_OUTPUTS_MAX || (outputs && !p->output_bytes))
		return fail(c, "mounts: too many outputs, or of no size");
	return true;
}

static bool check_rlimits(struct check *c)
{
	const struct plan *p = c->p;
	const struct plan_rlimit *r = plan_items(p, rlimits, struct plan_rlimit);

	if (!check_table(c, p->rlimits, sizeof(*r), "rlimits: bad table"))
		return false;
	for (uint32_t i = 0; i < p->rlimits.count; i++) {
		if (r[i].resource >= RESOURCES || r[i].pad != 0 || r[i].soft > r[i].hard)
			return fail(c, "rlimits: bad limit");
	}
	return true;
}

static bool check_limits(struct check *c)
{
	const struct plan_limits *l = &c->p->limits;
	const uint32_t has = l->controllers;
	const struct {
		uint64_t value;
		enum plan_controller controller;
	} limits[] = { { l->cpu_weight, PC_CPU },   { l->cpu_millis, PC_CPU },
		       { l->memory, PC_MEMORY },    { l->swap, PC_MEMORY },
		       { l->pids, PC_PIDS },	    { l->io_rate, PC_IO },
		       { l->cpuset.off, PC_CPUSET } };

	if (has >> PLAN_CONTROLLERS || l->pad || l->cpu_weight > 10000)
		return fail(c, "limits: bad value");
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (limits[i].value && !(has >> limits[i].controller & 1))
			return fail(c, "limits: one without its controller");
	return check_str(c, l->cpuset, OPTIONAL, "limits: bad cpuset");
}

/* Read as bytes: of a bool that is neither 0 nor 1, nobody can say what it is. */
static bool check_net_rules(struct check *c, struct plan_table t)
{
	const struct net_rule *rules = (const void *)((const char *)c->p + t.off);

	if (t.count > PLAN_RULES_MAX || !check_table(c, t, sizeof(*rules), "network: bad table"))
		return fail(c, "network: bad table");
	for (uint32_t i = 0; i < t.count; i++) {
		uint32_t host;
		uint8_t udp;

		memcpy(&host, &rules[i].host, sizeof(host));
		memcpy(&udp, &rules[i].udp, sizeof(udp));
		if (host > NET_V6 || udp > 1 || rules[i].prefix > (host == NET_V6 ? 128U : 32U) ||
		    !memchr(rules[i].name, '\0', sizeof(rules[i].name)))
			return fail(c, "network: bad rule");
	}
	return true;
}

/*
 * PID 1 sends it with all rights over the sandbox's own network namespace, and
 * no others: it may do anything there that nf_tables can, and only that.
 */
static bool check_batch(struct check *c, struct plan_table t)
{
	const char *at = (const char *)c->p + t.off;
	uint32_t left = t.count;
	struct nlmsghdr h = { 0 };

	if (c->p->network.flags & PN_PORTS)
		return t.count == 0 || fail(c, "network: bad batch");
	if (t.count == 0 || !check_table(c, t, 1, "network: bad batch"))
		return fail(c, "network: bad batch");
	for (bool first = true; left > 0; first = false) {
		if (left < NLMSG_HDRLEN + sizeof(struct nfgenmsg))
			return fail(c, "network: bad batch");
		memcpy(&h, at, sizeof(h));
		if (h.nlmsg_len < NLMSG_HDRLEN + sizeof(struct nfgenmsg) || h.nlmsg_len > left ||
		    h.nlmsg_len % NLMSG_ALIGNTO != 0)
			return fail(c, "network: bad batch");
		left -= h.nlmsg_len;
		at += h.nlmsg_len;
		if (first != (h.nlmsg_type == NFNL_MSG_BATCH_BEGIN) ||
		    (left == 0) != (h.nlmsg_type == NFNL_MSG_BATCH_END))
			return fail(c, "network: bad batch");
		if (!first && left > 0 && h.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
			return fail(c, "network: a message of another kind");
	}
	return true;
}

/* A connection from the host would come back to purple-net. */
static bool is_ours(const struct plan *p, uint16_t port)
{
	const struct plan_socket *s = plan_items(p, network.sockets, struct plan_socket);

	for (uint32_t i = 0; i < p->network.sockets.count; i++)
		if ((s[i].kind == PS_TCP || s[i].kind == PS_DNS_TCP) && s[i].port == port)
			return true;
	return port == PLAN_TCP_PORT || port == PLAN_DNS_PORT;
}

static bool check_listeners(struct check *c, const struct plan_network *n)
{
	const struct plan_listener *l = plan_items(c->p, network.listeners, struct plan_listener);

	if (n->listeners.count > PLAN_LISTENERS_MAX ||
	    !check_table(c, n->listeners, sizeof(*l), "network: bad table"))
		return fail(c, "network: bad table");
	if (n->pool > PLAN_POOL_MAX || !n->pool != !n->listeners.count)
		return fail(c, "network: bad pool");
	for (uint32_t i = 0; i < n->listeners.count; i++)
		if (l[i].v6 > 1 || l[i].optional > 1 || l[i].pad || !l[i].port || !l[i].inside ||
		    is_ours(c->p, l[i].inside))
			return fail(c, "network: bad listener");
	return true;
}

static bool check_network(struct check *c)
{
	static const struct plan_network off;
	const struct plan *p = c->p;
	const struct plan_network *n = &p->network;
	const struct plan_server *server = plan_items(p, network.servers, struct plan_server);
	const struct plan_socket *s = plan_items(p, network.sockets, struct plan_socket);

	if (!(n->flags & PN_ON))
		return memcmp(n, &off, sizeof(off)) == 0 || fail(c, "network: off, but not empty");
	if (n->flags & ~(uint32_t)PN_ALL || !n->max_connections || !n->idle_s ||
	    n->bytes_per_second > (uint64_t)1 << 40 || !(p->namespaces & CLONE_NEWNET) ||
	    !(p->steps & STEP_LOOPBACK))
		return fail(c, "network: bad value");
	if (!check_net_rules(c, n->allow) || !check_net_rules(c, n->block))
		return false;
	if (n->servers.count > PLAN_SERVERS_MAX || n->sockets.count > PLAN_SOCKETS_MAX ||
	    !check_table(c, n->servers, sizeof(*server), "network: bad table") ||
	    !check_table(c, n->sockets, sizeof(*s), "network: bad table"))
		return fail(c, "network: bad table");
	for (uint32_t i = 0; i < n->servers.count; i++)
		if (server[i].v6 > 1 || server[i].pad || !server[i].port)
			return fail(c, "network: bad server");
	for (uint32_t i = 0; i < n->sockets.count; i++)
		if (s[i].kind == 0 || s[i].kind >= PS_KINDS || s[i].v6 > 1 ||
		    !s[i].port != (s[i].kind == PS_ICMP) || (s[i].v6 && !(n->flags & PN_V6)))
			return fail(c, "network: bad socket");
	return check_listeners(c, n) && check_batch(c, n->batch);
}

/* Of the policy's words; the filter is interpreted, and may be anything. */
static bool check_causes(struct check *c, const struct plan_audit *a)
{
	const struct plan_str *rules = plan_items(c->p, audit.rules, struct plan_str);

	if (a->causes.count > FILTER_MAX)
		return fail(c, "audit: bad causes");
	if (!check_table(c, a->causes, sizeof(struct sock_filter), "audit: bad causes") ||
	    !check_str(c, a->deny, OPTIONAL, "audit: bad string") ||
	    !check_table(c, a->rules, sizeof(struct plan_str), "audit: bad rules"))
		return false;
	for (uint32_t i = 0; i < a->rules.count; i++)
		if (!check_str(c, rules[i], REQUIRED, "audit: bad rule"))
			return false;
	return true;
}

static bool check_audit(struct check *c)
{
	static const struct plan_audit off;
	const struct plan_audit *a = &c->p->audit;

	if (!check_str(c, a->denials, OPTIONAL, "audit: bad string") || !check_causes(c, a))
		return false;
	if (!(a->flags & PA_ON))
		return memcmp(a, &off, offsetof(struct plan_audit, denials)) == 0 ||
		       fail(c, "audit: off, but not empty");
	if (a->flags & ~(uint32_t)PA_ALL || a->classes & ~(uint32_t)PAC_ALL ||
	    !(a->classes & PAC_LIFE))
		return fail(c, "audit: bad value");
	return check_str(c, a->path, REQUIRED, "audit: bad path") &&
	       (plan_string(c->p, a->path)[0] == '/' || fail(c, "audit: bad path"));
}

static bool check_hide(struct check *c)
{
	const struct plan_str *s = plan_items(c->p, hide, struct plan_str);
	struct path_pattern p;

	if (!check_table(c, c->p->hide, sizeof(*s), "hide: bad table"))
		return false;
	if (c->p->hide.count > PLAN_HIDE_MAX)
		return fail(c, "hide: too many patterns");
	for (uint32_t i = 0; i < c->p->hide.count; i++)
		if (!check_str(c, s[i], REQUIRED, "hide: bad pattern") ||
		    (path_pattern_compile(&p, plan_string(c->p, s[i]), NULL) < 0 &&
		     !fail(c, "hide: bad pattern")))
			return false;
	return true;
}

static bool check_envs(struct check *c)
{
	const struct plan *p = c->p;
	const struct plan_env *set = plan_items(p, env_set, struct plan_env);
	const struct plan_env *pass = plan_items(p, env_pass, struct plan_env);

	if (!check_table(c, p->env_set, sizeof(*set), "environment: bad table") ||
	    !check_table(c, p->env_pass, sizeof(*pass), "environment: bad table"))
		return false;
	for (uint32_t i = 0; i < p->env_set.count; i++) {
		if (!check_env(c, &set[i], true))
			return false;
	}
	for (uint32_t i = 0; i < p->env_pass.count; i++) {
		if (!check_env(c, &pass[i], false))
			return false;
	}
	return true;
}

static bool check_layers(struct check *c)
{
	const struct plan *p = c->p;
	const struct plan_layer *l = plan_items(p, layers, struct plan_layer);
	const struct plan_downgrade *d = plan_items(p, downgrades, struct plan_downgrade);

	if (p->layers.count != LAYERS ||
	    !check_table(c, p->layers, sizeof(*l), "layers: bad table"))
		return fail(c, "layers: bad table");
	for (uint32_t i = 0; i < LAYERS; i++) {
		if (l[i].id != i || l[i].state >= LS_STATES)
			return fail(c, "layers: bad entry");
		if (i == LAYER_NET && l[i].state == LS_ENFORCED && p->network.flags & PN_PORTS)
			return fail(c, "layers: net is not enforced as it says");
		if (!check_str(c, l[i].why, OPTIONAL, "layers: bad reason"))
			return false;
	}
	if (!check_table(c, p->downgrades, sizeof(*d), "downgrades: bad table"))
		return false;
	for (uint32_t i = 0; i < p->downgrades.count; i++) {
		if (!check_str(c, d[i].what, REQUIRED, "downgrades: bad string") ||
		    !check_str(c, d[i].why, OPTIONAL, "downgrades: bad string"))
			return false;
	}
	return true;
}

static bool check_origins(struct check *c)
{
	const struct plan *p = c->p;
	const struct plan_fact *f = plan_items(p, facts, struct plan_fact);
	const struct plan_source *s = plan_items(p, sources, struct plan_source);

	if (!check_table(c, p->facts, sizeof(*f), "facts: bad table") ||
	    !check_table(c, p->sources, sizeof(*s), "sources: bad table"))
		return false;
	for (uint32_t i = 0; i < p->facts.count; i++) {
		if (f[i].kind >= PF_KINDS || f[i].pad != 0)
			return fail(c, "facts: bad entry");
		if (f[i].kind == PF_CGROUP ? f[i].path.off || f[i].path.len
					   : !check_path(c, f[i].path, REQUIRED, "facts: bad path"))
			return false;
	}
	for (uint32_t i = 0; i < p->sources.count; i++) {
		if (!check_str(c, s[i].path, REQUIRED, "sources: bad path"))
			return false;
	}
	return true;
}

static bool check_tracing(struct check *c)
{
	const struct plan_tracing *t = &c->p->tracing;

	if (t->flags & ~(uint32_t)PT_ALL || t->wait_s > PLAN_TRACING_WAIT_MAX)
		return fail(c, "tracing: bad entry");
	return check_str(c, t->endpoint, OPTIONAL, "tracing: bad endpoint");
}

static bool check_protect(struct check *c)
{
	const struct plan *p = c->p;
	const struct plan_str *s = plan_items(p, protect, struct plan_str);
	struct path_pattern compiled;

	if (p->protect.count > PLAN_PROTECT_MAX ||
	    !check_table(c, p->protect, sizeof(*s), "protect: bad table"))
		return fail(c, "protect: bad table");
	for (uint32_t i = 0; i < p->protect.count; i++) {
		const char *text;

		if (!check_str(c, s[i], REQUIRED, "protect: bad string"))
			return false;
		text = plan_string(p, s[i]);
		if (path_pattern_compile(&compiled, text + (*text == '!'), NULL) < 0)
			return fail(c, "protect: bad pattern");
	}
	return true;
}

static bool check_header(struct check *c)
{
	const struct plan *p = c->p;

	if (p->enforcement > ENFORCE_BEST_EFFORT)
		return fail(c, "unknown enforcement");
	if (p->idmap >= IDMAP_KINDS)
		return fail(c, "unknown id map");
	if (p->namespaces & ~NAMESPACES_ALL)
		return fail(c, "unknown namespace");
	if (p->steps & STEP_LOOPBACK && !(p->namespaces & CLONE_NEWNET))
		return fail(c, "lo up, but not of its own");
	if (p->steps & ~(uint32_t)STEP_ALL)
		return fail(c, "unknown step");
	if (p->securebits & ~(uint32_t)SECUREBITS_ALL)
		return fail(c, "unknown securebit");
	if (p->umask & ~(uint32_t)UMASK_ALL)
		return fail(c, "bad umask");
	/* The kernel's own rules, capabilities(7). */
	if ((p->caps_effective & ~p->caps_permitted) ||
	    (p->caps_ambient & ~(p->caps_permitted & p->caps_inheritable)))
		return fail(c, "capability sets contradict each other");
	if ((p->landlock_fs & ~(uint64_t)LANDLOCK_FS_ALL) ||
	    (p->landlock_root & ~(uint64_t)LANDLOCK_FS_ALL) ||
	    (p->landlock_net & ~(uint64_t)LANDLOCK_NET_ALL) ||
	    (p->landlock_scoped & ~(uint64_t)LANDLOCK_SCOPED_ALL))
		return fail(c, "unknown Landlock right");
	if (p->filter.count > FILTER_MAX)
		return fail(c, "filter: too long");
	if (!check_table(c, p->filter, sizeof(struct sock_filter), "filter: bad table"))
		return false;
	/* What the observer is told of it answers by the filter. */
	if (p->observer.count > FILTER_MAX || (p->observer.count > 0 && p->filter.count == 0))
		return fail(c, "observer: bad filter");
	if (!check_table(c, p->observer, sizeof(struct sock_filter), "observer: bad table"))
		return false;
	if (!check_str(c, p->hostname, OPTIONAL, "bad host name"))
		return false;
	if (p->hostname.len > HOSTNAME_MAX)
		return fail(c, "bad host name");
	return check_str(c, p->profile, OPTIONAL, "bad profile name") &&
	       check_path(c, p->working_dir, OPTIONAL, "bad working directory");
}

const struct plan *plan_open(const void *data, size_t size, const char **why)
{
	struct check c = { .p = data, .size = size };

	if (!data || (uintptr_t)data % 8 != 0)
		fail(&c, "not aligned");
	else if (size < sizeof(struct plan))
		fail(&c, "too short");
	else if (size > PLAN_MAX)
		fail(&c, "too long");
	else if (c.p->magic != PLAN_MAGIC)
		fail(&c, "not a plan");
	else if (c.p->version != PLAN_VERSION)
		fail(&c, "made by another version");
	else if (c.p->size != size)
		fail(&c, "cut or extended");
	else if (c.p->checksum != plan_checksum(data, size))
		fail(&c, "damaged");
	else if (check_header(&c) && check_mounts(&c) && check_hide(&c) && check_rlimits(&c) &&
		 check_limits(&c) && check_network(&c) && check_audit(&c) && check_envs(&c) &&
		 check_layers(&c) && check_origins(&c) && check_tracing(&c) && check_protect(&c))
		return c.p;
	if (why)
		*why = c.why;
	return NULL;
}

#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

static uint64_t load_word(const unsigned char *p, size_t n)
{
	uint64_t w = 0;

	memcpy(&w, p, n);
	return w;
}

/*
 * FNV-1a over words of eight bytes instead of bytes, in four independent
 * lanes because one would wait for its own multiplication. Each step is a
 * bijection of its lane, so damage to any one word is always found.
 */
uint64_t plan_checksum(const void *data, size_t size)
{
	const unsigned char *p = data;
	uint64_t h[4] = { FNV_OFFSET, FNV_OFFSET + 1, FNV_OFFSET + 2, FNV_OFFSET + 3 };
	const size_t hole = offsetof(struct plan, checksum);
	size_t i = 0, lane;

	/* The words before the checksum, and zero in its place. */
	for (; i + 8 <= size && i <= hole; i += 8)
		h[0] = (h[0] ^ (i == hole ? 0 : load_word(p + i, 8))) * FNV_PRIME;
	for (; i + 32 <= size; i += 32) {
		for (lane = 0; lane < 4; lane++)
			h[lane] = (h[lane] ^ load_word(p + i + 8 * lane, 8)) * FNV_PRIME;
	}
	for (lane = 0; i + 8 <= size; i += 8, lane++)
		h[lane] = (h[lane] ^ load_word(p + i, 8)) * FNV_PRIME;
	h[3] = (h[3] ^ load_word(p + i, size - i)) * FNV_PRIME;
	for (lane = 1; lane < 4; lane++)
		h[0] = (h[0] ^ h[lane]) * FNV_PRIME;
	return (h[0] ^ size) * FNV_PRIME;
}
