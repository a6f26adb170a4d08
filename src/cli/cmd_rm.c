/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/targets.h"

/* So many at once: each takes three descriptors. */
enum { LOCK_TRIES = 500, BATCH = 256 };

static const char *const help[] = {
	"Removes the records and logs of sandboxes that have ended.",
	"",
	"  -f, --force   kill those that still run; a name that there is not is no fault",
	"  -h, --help    this text",
	NULL,
};

static int remove_it(struct found_sandbox *f, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	const char *name = f->sandbox.state.name;
	struct stat a, b;
	int r;

	/* Who ends it, or only looks, may hold the lock for a moment. */
	for (int i = 0; flock(f->dir, LOCK_EX | LOCK_NB) < 0; i++) {
		if (i == LOCK_TRIES)
			return err_set(e, EBUSY, "state", "remove %s", name);
		nanosleep(&pause, NULL);
	}
	if (fstat(f->dir, &a) < 0 || fstatat(f->all, name, &b, AT_SYMLINK_NOFOLLOW) < 0 ||
	    a.st_ino != b.st_ino || a.st_dev != b.st_dev)
		return 0; /* somebody else has removed it, or its supervisor */
	r = state_remove(f->all, name, TAKE_FD(f->dir));
	return r < 0 ? err_set(e, r, "state", "remove %s", name) : 0;
}

static void refuse_live(struct targets *t)
{
	for (int i = 0; i < t->count; i++) {
		struct target *one = &t->items[i];
		const char *name = one->found.sandbox.state.name;
		struct err e = { 0 };

		if (one->failed || !one->found.sandbox.live)
			continue;
		err_set(&e, EPROTO, "state", "the sandbox %s is still there", name);
		err_remedy(&e, "`purple stop %s` first, or `purple rm -f %s`", name, name);
		target_failed(t, one, &e);
	}
}

static int rm(char **names, int count, bool force)
{
	_cleanup_targets_ struct targets t = {
		.end_ok = true, .remains_ok = true, .find_only = !force, .none_ok = force
	};
	int r = targets_open(&t, names, count, force);

	if (r)
		return r;
	if (force) {
		targets_watch(&t);
		targets_ask(&t, CONTROL_KILL, 0);
		targets_wait(&t);
	} else {
		refuse_live(&t);
	}
	for (int i = 0; i < t.count; i++) {
		struct target *one = &t.items[i];
		struct err e = { 0 };

		if (one->found.dir >= 0 && !one->failed && remove_it(&one->found, &e) < 0)
			target_failed(&t, one, &e);
	}
	return t.failed;
}

int cmd_rm(int argc, char **argv)
{
	bool force = false;
	const struct option_word options[] = { { 'f', "force", NULL, &force } };
	const struct command_line line = {
		help, "purple rm [-f] NAME…", options, ARRAY_SIZE(options), 1, -1,
	};
	struct err e = { 0 };
	int names, status = 0, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r < 0)
		return command_failed(&e);
	for (int i = 0; i < names; i += BATCH) {
		r = rm(argv + i, MIN(names - i, BATCH), force);
		status = r ? r : status;
	}
	return status;
}
