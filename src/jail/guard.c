/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A protected workspace. Landlock grants and cannot take away, so commands get a domain of
 * their own that grants them no writing there at all. What they ask for there is done by
 * PID 1, whose domain is the plan's: see door.h. Everything else is the same in both.
 */
#include "jail/internal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "sys/files.h"
#include "sys/landlock.h"

/* A socket's name is harmless: bind(2) makes one, and nothing can be written to it. */
#define LL_GUARDED (LL_READ | LL_MAKE_SOCK | LL_IOCTL_DEV)

const char *jail_target(const struct plan *p, const struct launch *l, const struct plan_mount *m,
			char *buf)
{
	const char *s = plan_string(p, m->target);
	int n;

	if (m->kind == PM_WORKSPACE)
		return l->workspace;
	if (!s || s[0] != '.')
		return s;
	if (!l->workspace)
		return NULL;
	n = snprintf(buf, PATH_MAX, "%s%s", l->workspace, s + 1);
	return n > 0 && n < PATH_MAX ? buf : NULL;
}

static bool holds(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	return strncmp(dir, path, n) == 0 &&
	       (path[n] == '/' || path[n] == '\0' || (n > 0 && dir[n - 1] == '/'));
}

/* Landlock's rules reach down through what is mounted: to what lies in it by paths inside. */
bool jail_is_guarded(const struct plan *p, const struct launch *l, const struct plan_mount *m)
{
	const struct plan_mount *w = plan_workspace(p);
	const char *source = plan_string(p, m->source), *target = plan_string(p, m->target);

	if (!l->workspace || !w || !(w->flags & PMF_PROTECT))
		return false;
	if (m->kind == PM_WORKSPACE || !target || target[0] == '.')
		return m->kind == PM_WORKSPACE || !(m->flags & PMF_IS_FILE);
	if (holds(target, l->workspace))
		return true;
	if (m->flags & PMF_IS_FILE)
		return false;
	if (holds(l->workspace, target))
		return true;
	return m->kind == PM_BIND &&
	       (source[0] == '.' || holds(source, l->workspace) || holds(l->workspace, source));
}

bool jail_is_judged(const struct plan *p, const struct launch *l, const struct plan_mount *m)
{
	return jail_is_guarded(p, l, m) && (m->kind == PM_WORKSPACE || m->kind == PM_BIND);
}

int jail_make_door(struct jail *j)
{
	const struct plan_mount *w = plan_workspace(j->plan);
	int pair[2], r;

	if (!w || !jail_is_guarded(j->plan, j->launch, w))
		return 0;
	r = (int)sys_call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
	if (r < 0)
		return err_set(&j->err, r, "protect", "make the socket to PID 1");
	j->door_fd = pair[0];
	j->door_theirs = pair[1];
	return 0;
}

int jail_allow(struct jail *j, int fd, uint64_t rights, bool guarded)
{
	int r = sys_landlock_add_path(j->ruleset_fd, fd, rights);

	if (r < 0 || j->guard_fd < 0)
		return r;
	if (guarded)
		rights &= LL_GUARDED;
	return rights ? sys_landlock_add_path(j->guard_fd, fd, rights) : 0;
}
