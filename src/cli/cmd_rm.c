/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/sandboxes.h"

enum { LOCK_TRIES = 500, GONE_MS = 1000 };

static const char *const help[] = {
	"Removes the records and logs of sandboxes that have ended.",
	"",
	"  -f, --force   kill those that still run; a name that there is not is no fault",
	"  -h, --help    this text",
	NULL,
};

static int end_it(const struct found_sandbox *f, struct err *e)
{
	static struct control_message answer;
	const char *name = f->sandbox.state.name;
	int r = 0, fd = sandbox_talk(f, true, e);

	if (fd < 0)
		return fd;
	control_send_value(fd, CONTROL_WAIT, 0, 0);
	r = sandbox_ask(fd, name, CONTROL_KILL, 0, CONTROL_OK, &answer, e);
	if (r == 0)
		r = sandbox_hear(fd, name, true, CONTROL_ENDED, &answer, e);
	close(fd);
	return r;
}

static int remove_it(struct found_sandbox *f, const char *name, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
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

static int rm(const char *name, bool force, struct err *e)
{
	_cleanup_sandbox_ struct found_sandbox f = FOUND_SANDBOX_INIT;
	int r = sandbox_find(&f, name, e);

	if (r < 0) {
		if (force && f.dir < 0 && e->code == EPROTO)
			memset(e, 0, sizeof(*e));
		return err_is_set(e) ? r : 0;
	}
	name = f.sandbox.state.name;
	if (f.sandbox.live && !force) {
		err_set(e, EPROTO, "state", "the sandbox %s is still there", name);
		err_remedy(e, "`purple stop %s` first, or `purple rm -f %s`", name, name);
		return -EPROTO;
	}
	if (f.sandbox.live)
		r = end_it(&f, e);
	if (r < 0 && sandbox_wait_unlocked(f.dir, GONE_MS)) {
		/* It ended while we spoke to it. */
		memset(e, 0, sizeof(*e));
		r = 0;
	}
	return r < 0 ? r : remove_it(&f, name, e);
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
	for (int i = 0; i < names; i++) {
		memset(&e, 0, sizeof(e));
		if (rm(argv[i], force, &e) < 0)
			status = command_failed(&e);
	}
	return status;
}
