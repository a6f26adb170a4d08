/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that are understood and checked, but that nothing enforces yet. A
 * policy that uses one is refused here, by name, so that nobody relies on a
 * limit that is not there. When a mechanism arrives, its line goes.
 */
#include <errno.h>

#include "plan/builder.h"

struct unsupported {
	const char *key;
	bool (*asked)(const struct policy *);
};

static bool cpu(const struct policy *p) { return p->resources.cpu_millis.set; }
static bool memory(const struct policy *p) { return p->resources.memory_limit_bytes.set; }
static bool block_io(const struct policy *p) { return p->resources.block_io_limit.set; }
static bool timeout(const struct policy *p) { return p->resources.session_timeout_seconds.set; }
static bool grace(const struct policy *p) { return p->resources.kill_grace_seconds.set; }
static bool network(const struct policy *p) { return !p->network.isolated; }
static bool audit(const struct policy *p)
{
	/* Where to write and what, without a word on whether: it was meant. */
	return p->audit.enabled ||
	       ((p->audit.log_path.s || p->audit.detail_level.count > 0) &&
		!policy_where(p, "audit.enabled").file);
}
static bool devices(const struct policy *p) { return p->devices.allow.count > 0; }
static bool gpu(const struct policy *p) { return p->devices.gpu.count > 0; }
static bool workspace(const struct policy *p)
{
	return p->filesystem.workspace == WS_REVIEW || p->filesystem.workspace == WS_SCRATCH;
}

static const struct unsupported unsupported[] = {
	{ "resources.cpu_shares", cpu },
	{ "resources.memory_limit_bytes", memory },
	{ "resources.block_io_limit", block_io },
	{ "resources.session_timeout_seconds", timeout },
	{ "resources.kill_grace_seconds", grace },
	{ "network.isolated: false", network },
	{ "filesystem.workspace: review or scratch", workspace },
	{ "audit", audit },
	{ "devices.allow", devices },
	{ "devices.gpu", gpu },
};

int build_refuse_unsupported(struct builder *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(unsupported); i++) {
		int r;

		if (!unsupported[i].asked(b->policy))
			continue;
		/* No downgrade here: a writable workspace is not a lesser review. */
		if (unsupported[i].asked == workspace) {
			err_set(b->e, EPROTO, "plan", "%s: not supported yet", unsupported[i].key);
			err_remedy(b->e, "use direct, read-only or none");
			return -EPROTO;
		}
		r = builder_lack(b, unsupported[i].key, "not supported yet",
				 "take the key out of the policy");
		if (r < 0)
			return r;
	}
	return 0;
}
