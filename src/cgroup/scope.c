/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group from systemd, for a user to whom none is delegated: the user's own
 * systemd (user@UID.service) has one, and makes a scope in it for whoever asks:
 * systemd.scope(5), org.freedesktop.systemd1(5), "Control Group Management" in
 * systemd.resource-control(5). Asking is purple-scope's business; here is whether
 * it is worth while, and what to do in the scope.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cgroup/internal.h"
#include "sys/files.h"

/* The group in the scope that the supervisor itself is in. */
#define OWN "supervisor"

static bool exists(const char *dir, const char *name)
{
	char path[CG_PATH];

	return cg_join(path, dir, name) && sys_call(SYS_faccessat, AT_FDCWD, path, 0) == 0;
}

void cg_scope_place(struct cg_finder *f, const struct cg_mount *m)
{
	char path[CG_PATH], uid[CG_NUMBER];
	const char *const parts[] = { "/user.slice/user-", uid, ".slice/user@", uid, ".service" };
	size_t n = 0;

	if (!f->booted || f->manager[0] != '\0')
		return;
	cg_number(uid, f->uid);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		str_copy(path + n, sizeof(path) - n, parts[i]);
		n += strlen(parts[i]);
	}
	if (!cg_own_dir(m, path, f->manager))
		f->manager[0] = '\0';
}

void cg_scope_offer(struct cg_finder *f)
{
	char path[CG_PATH], text[512];
	uint32_t has;

	if (f->root || f->manager[0] == '\0' || !f->runtime || f->runtime[0] != '/')
		return;
	if (!exists(f->booted, "") ||
	    (!exists(f->runtime, "bus") && !exists(f->runtime, "systemd/private")))
		return;
	if (!cg_delegated(f->manager) || !cg_join(path, f->manager, "cgroup.controllers") ||
	    cg_read(AT_FDCWD, path, text, sizeof(text)) < 0)
		return;
	/* To count, freeze and kill, the tree of processes does too. */
	has = cg_controllers(text) & CG_LIMITING;
	if (has == 0)
		return;
	f->site->kind = CG_SCOPE;
	f->site->controllers = has;
	cg_see_swap(f, f->manager, "memory.max", "memory.swap.max");
}

int cg_scope_move(struct cg_finder *f, const char *scope, struct err *e)
{
	char own[CG_PATH], procs[CG_PATH];
	int r;

	if (!cg_join(own, scope, OWN) || !cg_join(procs, own, "cgroup.procs"))
		return err_set(e, ENAMETOOLONG, "cgroup", "%s", scope);
	r = sys_mkdirat(AT_FDCWD, own, 0755);
	if (r < 0 && r != -EEXIST)
		return err_set(e, r, "cgroup", "make %s", own);
	r = sys_write_file(AT_FDCWD, procs, "0", 1); /* 0: who writes */
	if (r < 0)
		return err_set(e, r, "cgroup", "move to %s", own);
	memset(f->site, 0, sizeof(*f->site));
	f->own[0] = '\0';
	f->only = scope;
	cg_find_mounts(f);
	cg_find_end(f);
	return 0;
}

int cg_scope_enter(struct cg_site *s, const char *unit, struct err *e)
{
	struct cg_finder f = { .site = s };
	char scope[CG_PATH];
	const char *name;

	memset(s, 0, sizeof(*s));
	cg_find_mounts(&f);
	str_copy(scope, sizeof(scope), f.dir);
	name = strrchr(scope, '/');
	if (!name || !streq(name + 1, unit))
		return err_set(e, ENOENT, "cgroup",
			       "systemd has made %s, but this process is in %s", unit,
			       scope[0] ? scope : "no group that can be seen");
	return cg_scope_move(&f, scope, e);
}
