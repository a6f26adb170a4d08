/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that make, move and remove names, or change a file's bits: what of them is refused. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "supervisor/watch_internal.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/process.h"

enum { CWD = -1, NONE = -2 };

/* Of each path that a call has: which argument it is, from which it starts, what becomes of it. */
struct part {
	int path, dirfd; /* numbers of arguments; CWD, NONE */
	const char *access;
};

static const struct {
	int nr;
	struct part parts[2];
} calls[] = {
#ifdef SYS_mkdir
	{ SYS_mkdir, { { 0, CWD, "create" }, { NONE } } },
	{ SYS_mknod, { { 0, CWD, "create" }, { NONE } } },
	{ SYS_symlink, { { 1, CWD, "create" }, { NONE } } },
	{ SYS_link, { { 1, CWD, "create" }, { NONE } } },
	{ SYS_unlink, { { 0, CWD, "remove" }, { NONE } } },
	{ SYS_rmdir, { { 0, CWD, "remove" }, { NONE } } },
	{ SYS_rename, { { 0, CWD, "remove" }, { 1, CWD, "create" } } },
	{ SYS_chmod, { { 0, CWD, "write" }, { NONE } } },
	{ SYS_access, { { 0, CWD, "read" }, { NONE } } },
#endif
#ifdef SYS_renameat
	{ SYS_renameat, { { 1, 0, "remove" }, { 3, 2, "create" } } },
#endif
	{ SYS_mkdirat, { { 1, 0, "create" }, { NONE } } },
	{ SYS_mknodat, { { 1, 0, "create" }, { NONE } } },
	{ SYS_symlinkat, { { 2, 1, "create" }, { NONE } } },
	{ SYS_linkat, { { 3, 2, "create" }, { NONE } } },
	{ SYS_unlinkat, { { 1, 0, "remove" }, { NONE } } },
	{ SYS_renameat2, { { 1, 0, "remove" }, { 3, 2, "create" } } },
	{ SYS_fchmodat, { { 1, 0, "write" }, { NONE } } },
	{ 452 /* fchmodat2 */, { { 1, 0, "write" }, { NONE } } },
	{ SYS_faccessat, { { 1, 0, "read" }, { NONE } } },
	{ SYS_faccessat2, { { 1, 0, "read" }, { NONE } } },
};

/* What the call that waits for its answer names. */
static _cold_data_ struct {
	uint64_t time_ns;
	pid_t pid;
	int count;
	struct {
		const char *access;
		char path[WATCH_PATH];
	} of[2];
} change;

static bool take(const struct seccomp_notif *n, const struct part *p)
{
	const __u64 *a = n->data.args;
	char *path = change.of[change.count].path;
	int dirfd = p->dirfd == CWD ? AT_FDCWD : (int)a[p->dirfd];

	/* "" is what a descriptor leads to, which has been opened. */
	if (watch_string((pid_t)n->pid, a[p->path], watch.scratch, sizeof(watch.scratch)) <= 0)
		return false;
	watch_resolve((pid_t)n->pid, dirfd, watch.scratch, path);
	change.of[change.count++].access = p->access;
	return path[0] == '/';
}

bool watch_change(const struct seccomp_notif *n)
{
	bool whole = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls) && calls[i].nr != n->data.nr; i++)
		;
	if (i == ARRAY_SIZE(calls))
		return false;
	change.time_ns = sys_clock_ns(CLOCK_REALTIME);
	change.count = 0;
	for (int k = 0; k < 2 && calls[i].parts[k].path != NONE; k++)
		whole = take(n, &calls[i].parts[k]) && whole;
	change.pid = whole ? watch_process((pid_t)n->pid, NULL, NULL) : 0;
	return whole;
}

/* By the plan; what the kernel answers before it comes to that is no refusal. */
static bool is_refused(const struct supervisor *s, const char *path, struct sighting *t)
{
	bool creates = streq(t->access, "create"), removes = streq(t->access, "remove");

	if (streq(t->access, "read") ? !watch_is_missed(s, path)
				     : !watch_refused(s, path, creates || removes, t))
		return false;
	if (creates && watch_is_there(path)) /* EEXIST */
		return false;
	if (removes && t->error == ENOENT)
		return false;
	if (streq(t->access, "read")) {
		t->type = EV_FILE_DENIED;
		t->error = ENOENT;
		t->layer = "mount";
	} else if (t->error == EISDIR) {
		t->error = EROFS;
	}
	return true;
}

void watch_change_tell(struct supervisor *s)
{
	/* Between two file systems there is no rename, whatever a policy says: EXDEV. */
	if (change.count == 2 && !watch_is_one_place(s, change.of[0].path, change.of[1].path))
		return;
	for (int i = 0; i < change.count; i++) {
		struct sighting t = { .time_ns = change.time_ns,
				      .pid = change.pid,
				      .access = change.of[i].access,
				      .path = change.of[i].path };

		if (is_refused(s, change.of[i].path, &t))
			watch_tell(s, &t);
	}
}
