/* SPDX-License-Identifier: Apache-2.0 */
/* The twelve layers, the limits and the environment. */
#include <errno.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>

#include "base/str.h"
#include "plan/builder.h"
#include "sys/landlock.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* The Landlock ABI with everything that a plan asks for: signals and abstract sockets. */
enum { LANDLOCK_ABI_WANTED = 6 };

static const struct {
	enum plan_layer_id id;
	uint64_t flag;
} namespaces[] = {
	{ LAYER_USER, CLONE_NEWUSER },	   { LAYER_PID, CLONE_NEWPID },
	{ LAYER_MOUNT, CLONE_NEWNS },	   { LAYER_NET, CLONE_NEWNET },
	{ LAYER_IPC, CLONE_NEWIPC },	   { LAYER_UTS, CLONE_NEWUTS },
	{ LAYER_CGROUP, CLONE_NEWCGROUP }, { LAYER_TIME, CLONE_NEWTIME },
};

static void add_layer(struct builder *b, enum plan_layer_id id, enum plan_layer_state state,
		      const char *why)
{
	struct plan_layer l = { .id = id, .state = state, .why = builder_str(b, why) };

	buf_add(&b->layers, &l, sizeof(l));
}

static int build_namespaces(struct builder *b)
{
	b->head.idmap = b->host->root ? IDMAP_RANGE : IDMAP_SINGLE;
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		const char *why;
		char what[64];
		int r;

		if (namespaces[i].flag == CLONE_NEWNET && b->policy->network.share_host) {
			add_layer(b, LAYER_NET, LS_OFF, "policy says so: network.share_host");
			continue;
		}
		if (b->host->namespaces & namespaces[i].flag) {
			b->head.namespaces |= namespaces[i].flag;
			why = namespaces[i].id == LAYER_NET ? b->net_why : NULL;
			add_layer(b, namespaces[i].id, why ? LS_DOWNGRADED : LS_ENFORCED, why);
			continue;
		}
		snprintf(what, sizeof(what), "%s namespace", plan_layer_names[namespaces[i].id]);
		/* Without these two there is no root to build, and no right to build it. */
		if (namespaces[i].flag & (CLONE_NEWUSER | CLONE_NEWNS) ||
		    (namespaces[i].flag == CLONE_NEWNET && b->head.network.flags & PN_ON))
			return err_set(b->e, EPROTO, "plan", "%s: this kernel does not have it",
				       what);
		r = builder_lack(b, what, "this kernel does not have it",
				 "use a kernel that has it (`purple doctor` says more)");
		if (r < 0)
			return r;
		add_layer(b, namespaces[i].id, LS_DOWNGRADED, "this kernel does not have it");
	}
	return 0;
}

/* The policy has checked the names: CAP_NET_RAW, as capabilities(7) writes them. */
static uint64_t cap_bit(const char *name)
{
	cap_value_t v;

	return cap_from_name(name, &v) == 0 ? 1ULL << v : 0;
}

static int build_capabilities(struct builder *b)
{
	const struct policy *p = b->policy;
	uint64_t keep = 0;

	if (!p->capabilities.default_drop)
		return err_set(b->e, EPROTO, "plan",
			       "capabilities.default_drop: false: all capabilities are always "
			       "dropped; name the ones to keep in capabilities.add");
	for (size_t i = 0; i < p->capabilities.add.count; i++)
		keep |= cap_bit(p->capabilities.add.items[i].s);
	for (size_t i = 0; i < p->capabilities.drop.count; i++) {
		keep &= streq(p->capabilities.drop.items[i].s, "ALL")
				? 0
				: ~cap_bit(p->capabilities.drop.items[i].s);
	}
	b->head.steps |= STEP_DROP_CAPS;
	b->head.caps_bounding = b->head.caps_permitted = b->head.caps_effective = keep;
	b->head.caps_inheritable = b->head.caps_ambient = keep;
	b->head.securebits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
			     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED;
	if (keep == 0) /* else they are raised after the bits are locked */
		b->head.securebits |= SECBIT_NO_CAP_AMBIENT_RAISE |
				      SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	add_layer(b, LAYER_CAPABILITIES, LS_ENFORCED, NULL);
	return 0;
}

static int build_landlock(struct builder *b)
{
	uint32_t abi = b->host->landlock_abi;
	struct landlock_ruleset_attr_v6 known;
	char why[160];
	int r;

	landlock_known((int)MIN(abi, (uint32_t)LANDLOCK_ABI_WANTED), &known);
	b->head.landlock_abi = abi;
	b->head.landlock_fs = known.handled_access_fs;
	b->head.landlock_scoped = known.scoped;
	/* It would hold in a box that nobody may list, too. */
	if (b->policy->filesystem.output_paths.count == 0)
		b->head.landlock_root = known.handled_access_fs & LL_READ_DIR;
	/* TCP stays inside the network namespace, where lo is all there is. */
	if (!b->policy->network.loopback && !(b->head.network.flags & PN_ON))
		b->head.landlock_net = known.handled_access_net;
	if (abi >= LANDLOCK_ABI_WANTED) {
		add_layer(b, LAYER_LANDLOCK, LS_ENFORCED, NULL);
		return 0;
	}
	if (abi == 0)
		snprintf(why, sizeof(why), "this kernel does not offer it");
	else
		snprintf(why, sizeof(why), "ABI %u of this kernel lacks %s%s%s", abi,
			 abi < 3 ? "truncation (3), " : "", abi < 5 ? "device ioctls (5), " : "",
			 "signals and abstract sockets (6)");
	r = builder_lack(b, "landlock", why,
			 abi == 0 ? "boot with landlock in the lsm= list, kernel 6.12 or later"
				  : "use kernel 6.12 or later");
	if (r == 0)
		add_layer(b, LAYER_LANDLOCK, LS_DOWNGRADED, why);
	return r;
}

int build_layers(struct builder *b)
{
	int r = build_namespaces(b);

	if (r == 0)
		r = build_capabilities(b);
	if (r < 0)
		return r;
	b->head.steps |= STEP_KEYRING | STEP_NO_NEW_PRIVS | STEP_NEW_SESSION | STEP_PTY |
			 STEP_CLOSE_FDS | STEP_BOUND_INOTIFY;
	/* The host's lo is the host's matter. */
	if (b->head.namespaces & CLONE_NEWNET &&
	    (b->policy->network.loopback || b->head.network.flags & PN_ON))
		b->head.steps |= STEP_LOOPBACK;
	if (!b->policy->nesting)
		b->head.steps |= STEP_NO_NESTING;
	add_layer(b, LAYER_NO_NEW_PRIVS, LS_ENFORCED, NULL);
	r = build_landlock(b);
	add_layer(b, LAYER_SECCOMP, LS_ENFORCED, NULL);
	return r;
}

/* A value that the policy sets beats ours, and so does the caller's that it passes. */
static bool policy_names(const struct policy *p, const char *name)
{
	for (size_t i = 0; i < p->environment.set.count; i++)
		if (streq(p->environment.set.items[i].name, name))
			return true;
	for (size_t i = 0; i < p->environment.pass.count; i++) {
		const char *want = p->environment.pass.items[i].s;
		size_t n = strlen(want);

		if (n > 0 && want[n - 1] == '*' ? strncmp(name, want, n - 1) == 0
						: streq(name, want))
			return true;
	}
	return false;
}

static void set_env(struct builder *b, const char *name, const char *value)
{
	struct plan_env env = { builder_str(b, arena_printf(&b->arena, "%s=%s", name, value)) };

	buf_add(&b->env_set, &env, sizeof(env));
}

static void pass_env(struct builder *b, const char *name)
{
	struct plan_env env = { builder_str(b, name) };

	buf_add(&b->env_pass, &env, sizeof(env));
}

int build_environment(struct builder *b)
{
	static const char *const passed[] = { "TERM",	  "COLORTERM", "NO_COLOR", "LANG",
					      "LANGUAGE", "LC_*",      "TZ" };
	const struct policy *p = b->policy;
	const char *home = p->filesystem.home == HOME_NONE ? "/" : b->host->home;
	const struct {
		const char *name, *value;
	} ours[] = {
		{ "PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin" },
		{ "HOME", home ? home : "/" },
		{ "USER", b->host->user ? b->host->user : "user" },
		{ "LOGNAME", b->host->user ? b->host->user : "user" },
		{ "SHELL", "/bin/sh" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (!policy_names(p, ours[i].name))
			set_env(b, ours[i].name, ours[i].value);
	for (size_t i = 0; i < p->environment.set.count; i++)
		set_env(b, p->environment.set.items[i].name, p->environment.set.items[i].value);
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		pass_env(b, passed[i]);
	for (size_t i = 0; i < p->environment.pass.count; i++)
		pass_env(b, p->environment.pass.items[i].s);
	return 0;
}
