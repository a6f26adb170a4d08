/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/sandboxes.h"

static const char *const help[] = {
	"Prints what the command of a detached sandbox has written, output and errors alike, as it",
	"wrote it. The last 10 to 20 MiB are kept.",
	"",
	"  -f, --follow   and what it writes from now on, until it ends",
	"  -h, --help     this text",
	NULL,
};

/* From where @fd is to the end of the file. */
static int copy(int fd, struct err *e)
{
	static char room[65536];

	for (;;) {
		ssize_t n = read(fd, room, sizeof(room));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "logs", "read");
		if (n == 0)
			return 0;
		r = write_full(STDOUT_FILENO, room, (size_t)n);
		if (r < 0)
			return err_set(e, r, "output", "write");
	}
}

static int open_log(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool is_current(int dir, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(dir, "log", &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* The old part, then the new one; again if they were exchanged between. */
static int open_both(int dir, int *old)
{
	for (;;) {
		int fd;

		*old = open_log(dir, "log.1");
		fd = open_log(dir, "log");
		if (fd >= 0 && is_current(dir, fd) &&
		    (*old >= 0) == (faccessat(dir, "log.1", F_OK, 0) == 0))
			return fd;
		close_fdp(old);
		if (fd < 0)
			return fd;
		close(fd);
	}
}

static int follow(int dir, int *fd, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 100000000 };

	for (int r = 0;;) {
		/* In this order: what was written before the end is read after it is seen. */
		bool live = state_is_live(dir), current = is_current(dir, *fd);

		r = copy(*fd, e);
		if (r < 0)
			return r;
		if (!current) {
			int next = open_log(dir, "log");

			if (next >= 0) {
				close_fdp(fd);
				*fd = next;
				continue;
			}
		}
		if (!live)
			return 0;
		nanosleep(&pause, NULL);
	}
}

static int logs(const char *name, bool on, struct err *e)
{
	_cleanup_sandbox_ struct found_sandbox f = FOUND_SANDBOX_INIT;
	_cleanup_close_ int old = -1, fd = -1;
	int r = sandbox_find(&f, name, e);

	if (r < 0)
		return r;
	fd = open_both(f.dir, &old);
	if (fd == -ENOENT) {
		err_set(e, EPROTO, "logs", "the sandbox %s has no log", f.sandbox.state.name);
		err_remedy(e, "one is kept of what `purple run --detach` starts");
		return -EPROTO;
	}
	if (fd < 0)
		return err_set(e, fd, "logs", "open the log of %s", f.sandbox.state.name);
	if (old >= 0)
		r = copy(old, e);
	if (r == 0)
		r = on ? follow(f.dir, &fd, e) : copy(fd, e);
	return r;
}

int cmd_logs(int argc, char **argv)
{
	bool on = false;
	const struct option_word options[] = { { 'f', "follow", NULL, &on } };
	const struct command_line line = {
		help, "purple logs [-f] NAME", options, ARRAY_SIZE(options), 1, 1,
	};
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r == 0)
		r = logs(argv[0], on, &e);
	return r < 0 ? command_failed(&e) : 0;
}
