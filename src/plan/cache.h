/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled plans, kept by content.
 *
 * A plan's key is a SHA-256 over everything that it depends on and that is
 * known before the policy is parsed: the policy's bytes, the options, the
 * caller, the kernel's probe, our version and sources. The rest (files that the
 * policy extends, facts of the host) is in the plan and is checked when it is
 * loaded. So a plan never has to be invalidated: one that does not fit is not
 * found, and is compiled again.
 *
 * The directory is the caller's own and nobody else may write to it; a file
 * in it is nevertheless read as hostile (plan_open()). A damaged, foreign or
 * outdated file counts as absent. Writing is atomic. At most CACHE_ENTRIES
 * plans are kept, the oldest go first.
 */
#ifndef PURPLE_PLAN_CACHE_H
#define PURPLE_PLAN_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/sha256.h"
#include "plan/plan.h"
#include "sys/probe.h"

enum { CACHE_ENTRIES = 128 };

struct cache_key {
	uint8_t policy_sha256[SHA256_SIZE]; /* of the policy's own bytes */
	const char *policy_path;
	const char *const *overrides; /* pairs: origin, assignment; NULL-terminated */
	bool best_effort;
	uid_t uid;
	gid_t gid;
	const char *home;			      /* may be NULL */
	const char *config, *cache, *runtime, *state; /* where our own state is; may be NULL */
	struct probe_quick *probe;
};

void cache_key(const struct cache_key *k, uint8_t ret[SHA256_SIZE]);

/* The host's control groups as a number, for PF_CGROUP: asked only by a plan that depends on it. */
typedef int64_t cache_cgroup(void);

/*
 * Load the plan @key from @dir into @mem (aligned to 8, PLAN_MAX bytes). NULL
 * if there is none that is whole and still fits the host; @why then tells, for
 * a curious user.
 */
const struct plan *cache_load(const char *dir, const uint8_t key[SHA256_SIZE], void *mem,
			      cache_cgroup *cgroup, const char **why);

/* Make @dir if need be (0700) and put the plan there. 0 or -errno; losing it costs time only. */
int cache_store(const char *dir, const uint8_t key[SHA256_SIZE], const void *data, size_t size);

#endif
