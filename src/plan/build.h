/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy + host → plan. All decisions are taken here, and nothing is done.
 *
 * Pure: whatever is known of the host comes in through struct host, so that
 * golden tests can describe one.
 */
#ifndef PURPLE_PLAN_BUILD_H
#define PURPLE_PLAN_BUILD_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "policy/policy.h"

enum host_kind { HK_ABSENT, HK_DIR, HK_FILE, HK_SYMLINK, HK_DEVICE, HK_OTHER };

struct host_path {
	enum host_kind kind;   /* of the path itself */
	char link[PATH_MAX];   /* HK_SYMLINK: what it says */
	char real[PATH_MAX];   /* canonical, all links followed; "" if that leads nowhere */
	enum host_kind target; /* of @real */
	int64_t identity;      /* plan_identity() of @real */
	int64_t mtime;	       /* ns, of @real */
};

/* Where the caller may make control groups: cgroup/cgroup.h finds out. All 0: nowhere. */
struct host_cgroup {
	uint32_t controllers; /* 1 << enum plan_controller */
	bool no_swap_limit;   /* swap is there and cannot be limited */
	const char *why;      /* why a controller is missing; may be NULL */
	int64_t identity;     /* changes when any of this does */
};

/* The caller and the machine, as far as a plan depends on them. */
struct host {
	uid_t uid;
	gid_t gid;
	const char *user;    /* its name; may be NULL */
	const char *home;    /* absolute; may be NULL */
	const char *state;   /* Purple's own of this user that outlives a boot; may be NULL */
	bool root;	     /* may map a range of ids of its own */
	bool best_effort;    /* from the command line */
	bool memory_layers;  /* a tmpfs takes user xattrs, and so an overlay's upper layer */
	const char *no_ebpf; /* why the kernel does not tell us of events; NULL: it does */
	uint32_t landlock_abi;
	uint64_t namespaces; /* CLONE_NEW* that the kernel has */
	struct host_cgroup cgroup;
	unsigned processors;	 /* that the caller may use; 0: unknown */
	unsigned processors_max; /* they have the numbers below it; 0: unknown */
	uint64_t memory;	 /* bytes of the machine; 0: unknown */

	/* Look at @path on the host. 0, or -errno when even that fails. */
	int (*look)(void *ctx, const char *path, struct host_path *ret);
	/* Call @fn for each name in the directory @path. */
	int (*list)(void *ctx, const char *path, void (*fn)(void *arg, const char *name),
		    void *arg);
	/*
	 * Would a new user and network namespace take the nf_tables messages at
	 * @batch? 0, or -errno. *v6: IPv6 addresses are there as well. NULL: never.
	 * With no @batch: can it make every address local?
	 */
	int (*try_network)(void *ctx, const void *batch, size_t size, bool *v6);
	void *ctx;
};

/*
 * The nf_tables messages of a network that is not isolated, appended to @ret: what
 * host.try_network is asked about. 0 or -ENOMEM.
 */
int build_nft(struct buf *ret);

/* Append the plan block to @ret (empty, aligned). The key and checksum are in it. */
int plan_build(const struct policy *p, const struct host *h, const uint8_t key[32], struct buf *ret,
	       struct err *e);

#endif
