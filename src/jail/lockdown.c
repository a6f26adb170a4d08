/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What binds the process itself: limits, capabilities(7), no_new_privs,
 * landlock(7), seccomp(2). In an order in which each still may do its work:
 * capabilities before no_new_privs only by habit, Landlock after the last
 * mount, seccomp last.
 */
#include "jail/internal.h"

#include <sys/resource.h>

#include "sys/files.h"
#include "sys/landlock.h"
#include "sys/process.h"

/* To raise a hard limit is a privilege: where the caller's own is tighter, it stays. */
static int set_limit(const struct plan_rlimit *l)
{
	uint64_t value[2] = { l->soft, l->hard }, now[2];
	int r = (int)sys_call(SYS_prlimit64, 0, l->resource, value, 0);

	if (r != -EPERM)
		return r;
	r = (int)sys_call(SYS_prlimit64, 0, l->resource, 0, now);
	if (r < 0)
		return r;
	value[1] = MIN(value[1], now[1]);
	value[0] = MIN(value[0], value[1]);
	return (int)sys_call(SYS_prlimit64, 0, l->resource, value, 0);
}

int jail_rlimits(struct jail *j)
{
	const struct plan_rlimit *l = plan_items(j->plan, rlimits, struct plan_rlimit);

	for (uint32_t i = 0; i < j->plan->rlimits.count; i++) {
		int r;

		if (jail_lends_listener(j) && l[i].resource == RLIMIT_NOFILE)
			continue; /* jail_limit_files() */
		r = set_limit(&l[i]);

		if (r < 0)
			return err_set(&j->err, r, "limits", "set limit %u to %llu", l[i].resource,
				       (unsigned long long)l[i].soft);
	}
	sys_call(SYS_umask, j->plan->umask);
	return 0;
}

/* Where PID 1 needs a number for the listener, in a table that is the launcher's as well. */
int jail_limit_files(struct jail *j)
{
	const struct plan_rlimit *l = plan_items(j->plan, rlimits, struct plan_rlimit);
	int r = 0;

	for (uint32_t i = 0; i < j->plan->rlimits.count && r == 0; i++)
		if (l[i].resource == RLIMIT_NOFILE)
			r = set_limit(&l[i]);
	return r < 0 ? err_set(&j->err, r, "limits", "set the limit of open files") : 0;
}

/* Up to the last capability that this kernel has: EINVAL ends the list. */
int jail_bounding_set(struct jail *j)
{
	if (!(j->plan->steps & STEP_DROP_CAPS))
		return 0;
	for (unsigned cap = 0; cap < 64; cap++) {
		int r;

		if (j->plan->caps_bounding >> cap & 1)
			continue;
		r = sys_prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (r == -EINVAL && cap > 0)
			break;
		if (r < 0)
			return err_set(&j->err, r, "capabilities",
				       "drop capability %u from the bounding set", cap);
	}
	return 0;
}

int jail_capabilities(struct jail *j)
{
	const struct plan *p = j->plan;
	int r;

	if (!(p->steps & STEP_DROP_CAPS))
		return 0;
	r = p->securebits ? sys_prctl(PR_SET_SECUREBITS, p->securebits, 0, 0, 0) : 0;
	if (r < 0)
		return err_set(&j->err, r, "capabilities", "lock the securebits");
	r = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (r == 0)
		r = sys_set_caps(p->caps_effective, p->caps_permitted, p->caps_inheritable);
	for (unsigned cap = 0; cap < 64 && r == 0; cap++)
		if (p->caps_ambient >> cap & 1)
			r = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
	return r < 0 ? err_set(&j->err, r, "capabilities", "set the capability sets") : 0;
}

int jail_no_new_privs(struct jail *j)
{
	int r;

	if (!(j->plan->steps & STEP_NO_NEW_PRIVS))
		return 0;
	r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return r < 0 ? err_set(&j->err, r, "no_new_privs", "set no_new_privs") : 0;
}

/*
 * Scripts open /dev/stdin, /dev/stdout and /dev/stderr by name. Where these are
 * regular files, grant what the descriptor gives, and no more: a descriptor
 * that only appends gives less than Landlock can say, so it grants nothing.
 */
int jail_landlock_stdio(struct jail *j)
{
	if (j->ruleset_fd < 0)
		return 0;
	for (int fd = 0; fd <= 2; fd++) {
		int flags = (int)sys_call(SYS_fcntl, fd, F_GETFL), r = 0;
		uint64_t rights = 0;
		struct stat st;

		if (flags < 0 || sys_call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if ((flags & O_ACCMODE) != O_WRONLY)
			rights |= LL_READ_FILE;
		if ((flags & O_ACCMODE) != O_RDONLY && !(flags & O_APPEND))
			rights |= LL_WRITE_FILE | LL_TRUNCATE;
		rights &= j->plan->landlock_fs;
		if (rights)
			r = jail_allow(j, fd, rights, false);
		if (r < 0 && r != -EBADFD) /* a file that no path leads to: memfd_create(2) */
			return err_set(&j->err, r, "landlock", "add the rule for descriptor %d",
				       fd);
	}
	return 0;
}

int jail_landlock_open(struct jail *j)
{
	const struct landlock_ruleset_attr_v6 attr = {
		.handled_access_fs = j->plan->landlock_fs,
		.handled_access_net = j->plan->landlock_net,
		.scoped = j->plan->landlock_scoped,
	};
	struct landlock_ruleset_attr_v6 guard = attr;

	if (!(attr.handled_access_fs | attr.handled_access_net | attr.scoped))
		return 0;
	j->ruleset_fd = sys_landlock_create(&attr);
	if (j->ruleset_fd < 0)
		return err_set(&j->err, j->ruleset_fd, "landlock", "create the ruleset");
	if (!jail_has_door(j))
		return 0;
	/*
	 * Commands of a sandbox that stays each take it on, beneath PID 1's. They are then of
	 * domains beside one another, which must not keep signals and sockets apart.
	 */
	if (jail_lends_listener(j))
		guard = (struct landlock_ruleset_attr_v6){ .handled_access_fs =
								   j->plan->landlock_fs };
	j->guard_fd = sys_landlock_create(&guard);
	if (j->guard_fd < 0)
		return err_set(&j->err, j->guard_fd, "landlock", "create the commands' ruleset");
	return 0;
}

static int restrict_files(struct jail *j, int ruleset)
{
	int r;

	if (ruleset < 0)
		return 0;
	r = sys_landlock_restrict(ruleset);
	return r < 0 ? err_set(&j->err, r, "landlock", "enforce the ruleset") : 0;
}

static int load_filter(struct jail *j)
{
	int r;

	if (j->plan->filter.count == 0)
		return 0;
	r = sys_seccomp_load(plan_items(j->plan, filter, struct sock_filter),
			     (unsigned short)j->plan->filter.count);
	return r < 0 ? err_set(&j->err, r, "seccomp", "load the filter of %u instructions",
			       j->plan->filter.count)
		     : 0;
}

int jail_lock(struct jail *j)
{
	int r = restrict_files(j, j->ruleset_fd);

	return r < 0 ? r : load_filter(j);
}

int jail_lock_observed(struct jail *j, int *listener)
{
	int r;

	*listener = -1;
	if (!jail_is_observed(j))
		return jail_lock(j);
	/* Where PID 1 is the caller, its commands take on the other by themselves. */
	r = restrict_files(j, jail_has_door(j) && !jail_lends_listener(j) ? j->guard_fd
									  : j->ruleset_fd);
	if (r < 0)
		return r;
	r = sys_seccomp_listen(plan_items(j->plan, observer, struct sock_filter),
			       (unsigned short)j->plan->observer.count);
	if (r >= 0) {
		*listener = r;
		return 0;
	}
	err_set(&j->err, r, "seccomp", "load the observed filter of %u instructions",
		j->plan->observer.count);
	if (r == -EBUSY)
		err_remedy(&j->err, "Purple itself is observed by seccomp, and the kernel has one "
				    "observer for each process; run it outside of that, or "
				    "without audit.enabled, denials.file and filesystem.protect");
	return r;
}
