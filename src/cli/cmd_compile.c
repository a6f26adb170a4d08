/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_compile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include "cli/dirs.h"
#include "cli/ebpf.h"
#include "cli/host.h"
#include "plan/build.h"
#include "plan/cache.h"
#include "plan/plan.h"

enum { OVERRIDES_MAX = 256 };

int compile(const struct compile_request *q, struct buf *ret, struct diags *d, struct err *e)
{
	static struct dirs dirs;
	struct probe_quick probe;
	_cleanup_policy_ struct policy p;
	struct host host;
	int r;

	policy_init(&p);
	/* Most facts of the host are there; without it they would all be wrong. */
	r = access("/proc/self/exe", F_OK) < 0 ? -errno : 0;
	if (r < 0) {
		err_set(e, r, "start", "read /proc/self/exe");
		err_remedy(e, "mount /proc: mount -t proc proc /proc");
		return r;
	}
	r = dirs_init(&dirs);
	if (r < 0)
		return err_set(e, r, "policy", "find Purple's own files");
	r = policy_load(&p, q->profile, &dirs.policy, d);
	for (const char *const *o = q->overrides; r == 0 && o && *o; o += 2)
		r = policy_set(&p, o[1], o[0], d);
	if (r == 0 && p.locked && q->best_effort)
		r = diag_error(d, (struct pos){ "--best-effort", 1, 1 }, "enforcement",
			       "the policy is locked: no option may weaken it; run without "
			       "--best-effort");
	if (r == 0)
		r = policy_validate(&p, d);
	if (r < 0 || d->errors > 0)
		return err_set(e, EPROTO, "policy", "%s: %u error%s", q->profile, d->errors,
			       d->errors == 1 ? "" : "s");
	r = probe_quick(&probe);
	if (r < 0)
		return err_set(e, r, "plan", "ask the kernel what it is");
	host_init(&host, &probe, q->best_effort);
	host.state = dirs.state;
	host.no_ebpf = p.audit.ebpf ? ebpf_lacks(&dirs) : NULL;
	return plan_build(&p, &host, q->key, ret, e);
}

struct options {
	struct compile_request request;
	const char *overrides[2 * OVERRIDES_MAX + 1];
	const char *cache;
	int out;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	size_t n = 0;
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		const char *name = argv[i];
		int left = argc - i - 1;

		if (streq(name, "--best-effort")) {
			o->request.best_effort = true;
		} else if (streq(name, "--set") && left >= 2 && n < OVERRIDES_MAX) {
			o->overrides[2 * n] = argv[++i];
			o->overrides[2 * n++ + 1] = argv[++i];
		} else if (streq(name, "--key") && left >= 1) {
			const size_t size = sizeof(o->request.key);

			if (strlen(argv[++i]) != 2 * size ||
			    !hex_decode(argv[i], size, o->request.key))
				return -EINVAL;
		} else if (streq(name, "--cache") && left >= 1) {
			o->cache = argv[++i];
		} else if (streq(name, "--out") && left >= 1) {
			uint64_t fd;

			if (parse_u64(argv[++i], &fd) < 0 || fd > 1023)
				return -EINVAL;
			o->out = (int)fd;
		} else {
			return -EINVAL;
		}
	}
	if (i != argc - 1)
		return -EINVAL;
	o->request.profile = argv[i];
	o->request.overrides = o->overrides;
	return 0;
}

int cmd_compile(int argc, char **argv)
{
	_cleanup_buf_ struct buf block = BUF_INIT(PLAN_MAX);
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	struct options o = { .out = -1 };
	struct err e = { 0 };
	int r;

	if (parse_options(argc, argv, &o) < 0) {
		fprintf(stderr, "usage: purple-compile [--set ORIGIN ASSIGNMENT]… [--best-effort] "
				"[--key HEX] [--cache DIR] [--out FD] PROFILE\n"
				"It is called by purple; see `purple plan` for people.\n");
		return EXIT_PURPLE;
	}
	r = compile(&o.request, &block, &d, &e);
	if (d.text.len > 0)
		write_full(STDERR_FILENO, d.text.data, d.text.len);
	if (r == 0 && o.out >= 0) {
		r = write_full(o.out, block.data, block.len);
		if (r < 0)
			err_set(&e, r, "plan", "hand the plan over");
	}
	if (r < 0) {
		err_print(&e);
		return EXIT_PURPLE;
	}
	/* A plan that cannot be kept is compiled again next time, no more. */
	if (o.cache)
		cache_store(o.cache, o.request.key, block.data, block.len);
	return 0;
}
