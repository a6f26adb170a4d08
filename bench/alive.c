/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many sandboxes alive at once: starts COUNT of them, one after the other,
 * measures each start, and keeps them.
 *
 *   alive [-d] [-u UID] [-s FILE] COUNT CMD [ARG…]
 *
 * A start lasts from posix_spawn() to the first byte on standard output, which
 * `tiny sleep` writes when it runs; with -d (the sandbox detaches itself) to
 * the end of CMD, which must be a success. "{}" in an argument becomes the
 * number of the start. -u and -s are as in spawn.c.
 *
 * Prints one JSON array of nanoseconds; shorter than COUNT after a failure.
 * Then it waits for the end of its standard input, and for all its descendants:
 * it is their reaper (PR_SET_CHILD_SUBREAPER), and ends nobody itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "start.h"

#define ARGS_MAX 128
#define ARG_SIZE 256
#define SECCOMP_FD 9
#define PATIENCE_MS 30000

struct bench {
	char **argv;
	unsigned count;
	bool detaches;
	int rewind_fd;
};

static _noreturn_ void fail(const char *what)
{
	fprintf(stderr, "alive: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* @argv with every "{}" replaced, in static memory. */
static char **numbered(char **argv, unsigned number)
{
	static char room[ARGS_MAX][ARG_SIZE];
	static char *list[ARGS_MAX + 1];
	size_t n = 0;

	for (; n < ARGS_MAX && argv[n]; n++) {
		const char *hole = strstr(argv[n], "{}");

		list[n] = argv[n];
		if (!hole)
			continue;
		snprintf(room[n], ARG_SIZE, "%.*s%u%s", (int)(hole - argv[n]), argv[n], number,
			 hole + 2);
		list[n] = room[n];
	}
	list[n] = NULL;
	return list;
}

static bool first_byte(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&p, 1, PATIENCE_MS) == 1 && read(fd, &byte, 1) == 1;
}

static bool success(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("wait");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Nanoseconds, or 0 when it did not start. */
static uint64_t start_one(const struct bench *b, unsigned number)
{
	char **argv = numbered(b->argv, number);
	posix_spawn_file_actions_t actions;
	uint64_t start;
	int pipe_fds[2];
	pid_t pid = 0;
	bool ok;

	if (b->rewind_fd >= 0)
		lseek(b->rewind_fd, 0, SEEK_SET);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		fail("pipe");
	posix_spawn_file_actions_init(&actions);
	if (!b->detaches)
		posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
	start = now();
	errno = argv[0] ? posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) : EINVAL;
	if (errno != 0)
		fail(argv[0]);
	close(pipe_fds[1]);
	ok = b->detaches ? success(pid) : first_byte(pipe_fds[0]);
	start = now() - start;
	close(pipe_fds[0]);
	posix_spawn_file_actions_destroy(&actions);
	return ok ? start : 0;
}

/* Standard output becomes /dev/null for the commands; ours is what this returns. */
static FILE *keep_output(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, SECCOMP_FD + 1);
	FILE *ret = out < 0 ? NULL : fdopen(out, "w");

	if (!ret || null < 0 || dup2(null, STDOUT_FILENO) < 0)
		fail("standard output");
	return ret;
}

/* Standard input, which tells us when to go, becomes /dev/null for the commands too. */
static int keep_input(void)
{
	int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, SECCOMP_FD + 1);

	if (in < 0 || dup2(STDOUT_FILENO, STDIN_FILENO) < 0)
		fail("standard input");
	return in;
}

static void run(const struct bench *b)
{
	FILE *out = keep_output();
	int in = keep_input();
	char byte;

	fprintf(out, "[");
	for (unsigned i = 0; i < b->count; i++) {
		uint64_t ns = start_one(b, i);

		if (ns == 0) {
			fprintf(stderr, "alive: start %u of %s failed\n", i, b->argv[0]);
			break;
		}
		fprintf(out, "%s%llu", i == 0 ? "" : ",", (unsigned long long)ns);
	}
	fprintf(out, "]\n");
	fflush(out);
	while (read(in, &byte, 1) > 0)
		;
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

int main(int argc, char **argv)
{
	struct bench b = { .rewind_fd = -1 };
	int opt, fd;

	while ((opt = getopt(argc, argv, "+du:s:")) != -1) {
		if (opt == 'd') {
			b.detaches = true;
		} else if (opt == 'u') {
			if (!become((unsigned)strtoul(optarg, NULL, 10)))
				fail("-u");
		} else if (opt == 's') {
			fd = open(optarg, O_RDONLY);
			if (fd < 0 || dup2(fd, SECCOMP_FD) < 0)
				fail(optarg);
			if (fd != SECCOMP_FD)
				close(fd);
			b.rewind_fd = SECCOMP_FD;
		} else {
			return 2;
		}
	}
	if (argc - optind < 2 || argc - optind > ARGS_MAX) {
		errno = EINVAL;
		fail("usage: alive [-d] [-u UID] [-s FILE] COUNT CMD [ARG...]");
	}
	b.count = (unsigned)strtoul(argv[optind], NULL, 10);
	b.argv = argv + optind + 1;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		fail("PR_SET_CHILD_SUBREAPER");
	run(&b);
	return 0;
}
