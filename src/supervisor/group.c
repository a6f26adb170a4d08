/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's control group; where there is none, its tree of processes. */
#include <string.h>
#include <time.h>

#include "supervisor/internal.h"
#include "sys/files.h"
#include "sys/process.h"

int group_make(struct supervisor *s, struct err *e)
{
	const struct cg_site *site;
	const struct plan *p = s->plan;
	struct err why = { 0 };

	if (!p->limits.controllers && !s->request->stays)
		return 0;
	site = cg_here();
	if (site->kind == CG_NONE) {
		if (!p->limits.controllers)
			return 0;
		err_set(e, EPROTO, "cgroup",
			"the policy has limits, and here is no control group: %s", site->why);
		err_remedy(e, "systemd-run --user --scope -p Delegate=yes purple …, or run with "
			      "--best-effort");
		return -EPROTO;
	}
	if (site->kind == CG_SCOPE) {
		/* Only to count it is not worth the while. */
		if (!p->limits.controllers)
			return 0;
		site = scope_site(s, e);
		if (!site)
			return -e->code;
	}
	if (cg_create(&s->leaf, site, s->state.id, &p->limits, plan_string(p, p->limits.cpuset),
		      &why) < 0) {
		/* One that would only count is not worth failing for. */
		if (!p->limits.controllers)
			return 0;
		*e = why;
		return -e->code;
	}
	s->has_leaf = true;
	s->launch->cgroup_fd = s->leaf.v2_fd;
	s->launch->cgroup_tasks = s->leaf.tasks_fds;
	return 0;
}

static void count_leaf(const struct supervisor *s, struct cg_usage *u)
{
	struct cg_usage tree;

	cg_usage(&s->leaf, u);
	/* Memory has a group only where it is limited. */
	if (u->memory == CG_UNKNOWN && s->phase != SANDBOX_ENDED) {
		cg_tree_usage(s->jail.pid1, &tree);
		u->memory = tree.memory;
	}
	/* Then RLIMIT_NPROC refuses, which nobody counts. */
	if (!s->plan->limits.pids)
		u->pids_refused = CG_UNKNOWN;
}

void group_usage(struct supervisor *s, struct cg_usage *u)
{
	memset(u, 0xff, sizeof(*u)); /* CG_UNKNOWN all over */
	if (s->has_leaf)
		count_leaf(s, u);
	else if (s->jail.pid1 > 0 && s->phase != SANDBOX_ENDED)
		cg_tree_usage(s->jail.pid1, u);
}

void group_signal(struct supervisor *s, int sig)
{
	cg_tree_signal(s->jail.pid1, sig);
}

bool group_is_empty(struct supervisor *s)
{
	struct cg_usage u;

	cg_tree_usage(s->jail.pid1, &u);
	return u.pids == 1; /* 0: it cannot be seen */
}

int group_freeze(struct supervisor *s, bool frozen)
{
	if (s->has_leaf)
		return cg_freeze(&s->leaf, frozen);
	return cg_tree_signal(s->jail.pid1, frozen ? SIGSTOP : SIGCONT);
}

void group_end(struct supervisor *s, bool count)
{
	if (!s->has_leaf)
		return;
	if (count)
		count_leaf(s, &s->out->group);
	s->out->counted = count;
	cg_remove(&s->leaf);
	s->has_leaf = false;
	/* What others left, who were killed, a little at each end. */
	cg_sweep(cg_here(), 16, (uint64_t)s->jail.pid1, NULL, NULL);
}
