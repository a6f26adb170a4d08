/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits: what a single process may use (getrlimit(2)), what all together may
 * use (a control group, cgroups(7)), and for how long (the supervisor).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/macros.h"
#include "plan/builder.h"

/* These are charged to the caller, on the whole host: getrlimit(2). No policy key needs them. */
static const struct plan_rlimit shared[] = {
	{ .resource = RLIMIT_SIGPENDING, .soft = 4096, .hard = 4096 },
	{ .resource = RLIMIT_MSGQUEUE, .soft = 819200, .hard = 819200 },
	{ .resource = RLIMIT_MEMLOCK, .soft = 8 << 20, .hard = 8 << 20 },
};

enum {
	/* The supervisor ends all together first; the kernel ends one that outlives it. */
	CPU_MARGIN_S = 2,
	/* The group refuses first: it counts what it refuses, and not the forks in flight. */
	PIDS_MARGIN = 16,
};

static void add_limit(struct builder *b, uint32_t resource, const struct policy_num *n,
		      uint64_t margin)
{
	struct plan_rlimit l = { .resource = resource,
				 .soft = n->v + margin,
				 .hard = n->v + margin };

	if (n->set)
		buf_add(&b->rlimits, &l, sizeof(l));
}

static void build_rlimits(struct builder *b)
{
	const struct policy *p = b->policy;

	buf_add(&b->rlimits, shared, sizeof(shared));

	/* Counted in the sandbox's own user namespace since 5.14: its processes only. */
	add_limit(b, RLIMIT_NPROC, &p->resources.pids_limit, b->head.limits.pids ? PIDS_MARGIN : 0);
	add_limit(b, RLIMIT_NOFILE, &p->resources.open_files, 0);
	add_limit(b, RLIMIT_FSIZE, &p->resources.file_size_bytes, 0);
	add_limit(b, RLIMIT_CORE, &p->resources.core_size_bytes, 0);
	add_limit(b, RLIMIT_STACK, &p->resources.stack_bytes, 0);
	add_limit(b, RLIMIT_CPU, &p->resources.cpu_time_seconds, CPU_MARGIN_S);
}

/*
 * The control group has to have @controller for the key @what. 1: it has; 0: it
 * has not, and best-effort goes without; else an error is set.
 */
static int need(struct builder *b, enum plan_controller controller, const char *what)
{
	const struct host_cgroup *g = &b->host->cgroup;
	char why[256];
	int r;

	if (g->controllers >> controller & 1) {
		b->head.limits.controllers |= 1U << controller;
		return 1;
	}
	snprintf(why, sizeof(why), "no control group here can hold it: %s",
		 g->why && g->why[0] ? g->why : "there is none");
	r = builder_lack(b, what, why,
			 "run as root, or from a delegated group: systemd-run --user --scope -p "
			 "Delegate=yes purple …");
	return r < 0 ? r : 0;
}

/* What the machine has not got cannot be granted: the policy means another machine. */
static int within(struct builder *b, const char *what, uint64_t asked, uint64_t has, double scale,
		  const char *unit)
{
	char why[160];

	if (has == 0 || asked <= has)
		return 0;
	snprintf(why, sizeof(why), "%.10g %s are more than the %.10g that this machine has",
		 (double)asked / scale, unit, (double)has / scale);
	return builder_lack(b, what, why, "write a smaller number, or take the key out");
}

static int limit_cpu(struct builder *b)
{
	const struct policy *p = b->policy;
	struct plan_limits *l = &b->head.limits;
	int r;

	if (p->resources.cpu_millis.set) {
		r = within(b, "resources.cpu_shares", p->resources.cpu_millis.v,
			   (uint64_t)b->host->processors * 1000, 1000, "processors");
		if (r == 0)
			r = need(b, PC_CPU, "resources.cpu_shares");
		if (r < 0)
			return r;
		if (r > 0)
			l->cpu_millis = p->resources.cpu_millis.v;
	}
	if (!p->resources.cpu_weight.set)
		return 0;
	r = need(b, PC_CPU, "resources.cpu_weight");
	if (r > 0)
		l->cpu_weight = (uint32_t)p->resources.cpu_weight.v;
	return r < 0 ? r : 0;
}

static int limit_memory(struct builder *b)
{
	const struct policy *p = b->policy;
	const struct policy_num *memory = &p->resources.memory_limit_bytes;
	int r;

	if (!memory->set) {
		if (!p->resources.swap_limit_bytes.set)
			return 0;
		err_set(b->e, EPROTO, "plan",
			"resources.swap_limit_bytes: it goes with memory_limit_bytes, which is "
			"not set");
		err_remedy(b->e, "set resources.memory_limit_bytes too");
		return -EPROTO;
	}
	r = within(b, "resources.memory_limit_bytes", memory->v, b->host->memory, 1 << 20, "MiB");
	if (r == 0)
		r = need(b, PC_MEMORY, "resources.memory_limit_bytes");
	if (r == 0) /* best-effort: at least each process by itself */
		add_limit(b, RLIMIT_AS, memory, 0);
	if (r <= 0)
		return r;
	b->head.limits.memory = memory->v;
	b->head.limits.swap = p->resources.swap_limit_bytes.v;
	if (b->host->cgroup.no_swap_limit)
		return builder_lack(b, "resources.swap_limit_bytes",
				    "this kernel does not count swap for control groups, and the "
				    "machine has swap",
				    "boot with swapaccount=1, or turn swap off");
	return 0;
}

static bool processor_is_there(const struct host *h, uint64_t n)
{
	return h->processors_max == 0 || n < h->processors_max;
}

/* "0-1", "4" → "0-1,4". */
static int limit_cpuset(struct builder *b)
{
	const struct policy_strs *list = &b->policy->resources.cpuset;
	char text[256] = "";
	size_t n = 0;
	int r;

	if (list->count == 0)
		return 0;
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->items[i].s, *dash = strchr(item, '-');
		unsigned long last = strtoul(dash ? dash + 1 : item, NULL, 10);

		if (!processor_is_there(b->host, last)) {
			err_set(b->e, EPROTO, "plan",
				"resources.cpuset: %s: this machine has the processors 0 to %u",
				item, b->host->processors_max - 1);
			err_remedy(b->e, "name processors that are there");
			return -EPROTO;
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? "," : "", item);
		if (n >= sizeof(text))
			return err_set(b->e, E2BIG, "plan", "resources.cpuset: too many items");
	}
	r = need(b, PC_CPUSET, "resources.cpuset");
	if (r > 0)
		b->head.limits.cpuset = builder_str(b, text);
	return r < 0 ? r : 0;
}

static int limit_io(struct builder *b)
{
	const struct policy_num *rate = &b->policy->resources.block_io_limit;
	int r = rate->set ? need(b, PC_IO, "resources.block_io_limit") : 0;

	if (r > 0)
		b->head.limits.io_rate = rate->v;
	return r < 0 ? r : 0;
}

static void limit_time(struct builder *b)
{
	const struct policy *p = b->policy;
	struct plan_limits *l = &b->head.limits;

	l->session_s = (uint32_t)p->resources.session_timeout_seconds.v;
	l->cpu_time_s = (uint32_t)p->resources.cpu_time_seconds.v;
	l->grace_s = (uint32_t)p->resources.kill_grace_seconds.v;
	/* Counted exactly by a group where there is one; else by the tree of processes. */
	if (l->cpu_time_s)
		l->controllers |= b->host->cgroup.controllers & 1U << PC_CPUACCT;
}

static void limit_pids(struct builder *b)
{
	const struct policy_num *pids = &b->policy->resources.pids_limit;

	/* RLIMIT_NPROC holds it, so it alone is not worth a group; where there is one, twice. */
	if (!pids->set || !b->head.limits.controllers ||
	    !(b->host->cgroup.controllers >> PC_PIDS & 1))
		return;
	b->head.limits.controllers |= 1U << PC_PIDS;
	b->head.limits.pids = pids->v;
}

/* Whether anything above looked at the host's control groups. */
static bool asks_for_a_group(const struct policy *p)
{
	return p->resources.cpu_millis.set || p->resources.cpu_weight.set ||
	       p->resources.memory_limit_bytes.set || p->resources.block_io_limit.set ||
	       p->resources.cpuset.count > 0 || p->resources.cpu_time_seconds.set;
}

int build_limits(struct builder *b)
{
	struct plan_fact f = { .kind = PF_CGROUP, .value = b->host->cgroup.identity };
	int r;

	limit_time(b);
	r = limit_cpu(b);
	if (r == 0)
		r = limit_memory(b);
	if (r == 0)
		r = limit_cpuset(b);
	if (r == 0)
		r = limit_io(b);
	limit_pids(b);
	build_rlimits(b);
	if (asks_for_a_group(b->policy))
		buf_add(&b->facts, &f, sizeof(f));
	return r;
}
