/* SPDX-License-Identifier: Apache-2.0 */
/* What is written down, and where. */
#include <errno.h>
#include <sched.h>

#include "base/macros.h"
#include "base/str.h"
#include "plan/builder.h"
#include "plan/filter.h"

/* Of audit.detail_level; budget_usage is not here, for it has no effect. */
static const struct {
	const char *name;
	uint32_t classes, flags;
} details[] = {
	{ "resource", PAC_RESOURCE, 0 },
	/* Who asks for files by name wants to see reads as well. */
	{ "filesystem", PAC_FILESYSTEM, PA_OPENS },
	{ "syscall", PAC_SYSCALL, 0 },
	{ "network", PAC_NETWORK, 0 },
	{ "api_calls", PAC_API, 0 },
	{ "security_events", PAC_SECURITY, 0 },
};

static void build_details(struct builder *b, const struct policy_strs *asked)
{
	struct plan_audit *a = &b->head.audit;

	a->classes = PAC_LIFE;
	if (asked->count == 0)
		a->classes = PAC_ALL & ~(uint32_t)PAC_API;
	for (size_t i = 0; i < asked->count; i++)
		for (size_t k = 0; k < ARRAY_SIZE(details); k++)
			if (streq(asked->items[i].s, details[k].name)) {
				a->classes |= details[k].classes;
				a->flags |= details[k].flags;
			}
}

static int build_path(struct builder *b)
{
	const char *path = b->policy->audit.log_path.s;

	if (!path && b->host->state) {
		path = arena_printf(&b->arena, "%s/audit.jsonl", b->host->state);
	} else if (path) {
		path = builder_expand(b, path);
		/* The workspace is another directory each time. */
		if (path && path[0] != '/')
			return err_set(b->e, EPROTO, "plan",
				       "audit.log_path: below the workspace; name a path that "
				       "starts with / or ~/");
	}
	if (!path) {
		err_set(b->e, EPROTO, "plan", "audit: there is no directory for the trail");
		err_remedy(b->e, "set HOME, or name a file by audit.log_path");
		return -EPROTO;
	}
	b->head.audit.path = builder_str(b, path);
	return 0;
}

/* Without it seccomp tells of the same, but not how connections fare. */
static int build_ebpf(struct builder *b)
{
	if (!b->policy->audit.ebpf)
		return 0;
	if (b->host->no_ebpf)
		return builder_lack(
			b, "audit.ebpf: true", b->host->no_ebpf,
			"leave audit.ebpf out: seccomp then tells of programs and files");
	b->head.audit.flags |= PA_EBPF;
	return 0;
}

int build_audit(struct builder *b)
{
	const struct policy *p = b->policy;
	struct plan_audit *a = &b->head.audit;
	int r;

	if (!p->audit.enabled)
		return 0;
	build_details(b, &p->audit.detail_level);
	a->flags |= PA_ON | (p->audit.on_failure == AUDIT_WARN ? (uint32_t)PA_WARN : 0);
	a->rotate_bytes = p->audit.rotate_bytes.v;
	r = build_ebpf(b);
	return r < 0 ? r : build_path(b);
}

/* Who asks for them by name wants to see more than who asks for the usual. */
static bool is_asked_for(const struct builder *b, const char *detail)
{
	const struct policy_strs *asked = &b->policy->audit.detail_level;

	for (size_t i = 0; b->head.audit.flags & PA_ON && i < asked->count; i++)
		if (streq(asked->items[i].s, detail))
			return true;
	return false;
}

/* With a network purple-net tells of them, but for datagrams that do not reach it. */
static bool wants_connections(const struct builder *b)
{
	const struct plan_audit *a = &b->head.audit;

	if (!(b->head.namespaces & CLONE_NEWNET))
		return false;
	if (b->head.network.flags & PN_ON)
		return a->denials.off || is_asked_for(b, "network");
	return a->denials.off || a->classes & PAC_NETWORK;
}

unsigned build_observe(const struct builder *b)
{
	const struct plan_audit *a = &b->head.audit;
	unsigned observe = 0;

	if (a->denials.off)
		observe |= FO_REFUSED | FO_WRITES | FO_OPENS | FO_CHANGES | FO_EXEC;
	if (a->classes & (PAC_SYSCALL | PAC_SECURITY))
		observe |= FO_REFUSED;
	/* Where a control group holds it, that counts. */
	if ((a->denials.off || is_asked_for(b, "resource")) &&
	    b->policy->resources.pids_limit.set && b->head.limits.pids == 0)
		observe |= FO_FORKS;
	if (is_asked_for(b, "syscall"))
		observe |= FO_TRIED;
	if (a->classes & PAC_SECURITY)
		observe |= FO_EXEC;
	if (a->classes & PAC_FILESYSTEM)
		observe |= a->flags & PA_OPENS ? FO_WRITES | FO_OPENS | FO_CHANGES : FO_WRITES;
	if (wants_connections(b))
		observe |= FO_CONNECTS;
	/* What the kernel tells of is not told twice. */
	if (a->flags & PA_EBPF)
		observe &= FO_REFUSED | FO_TRIED | FO_FORKS |
			   (b->head.network.flags & PN_ON ? FO_CONNECTS : 0);
	if (b->protect.len > 0)
		observe |= FO_PROTECT;
	return observe;
}
