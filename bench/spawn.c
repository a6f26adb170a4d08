/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock of the bench: starts commands, one after the other, and measures
 * each from posix_spawn() to the end of its wait.
 *
 *   spawn [-u UID] [-n ROUNDS] [-s FILE] CMD [ARG…] [, CMD [ARG…]]…
 *
 * A lone comma separates commands. They run interleaved, A B C A B C …, so
 * that a drift of the machine meets all of them alike. Five rounds warm up
 * and are not counted. -u drops to that uid and gid first (and leaves all
 * groups), so the same rows run as root and as a user. -s opens FILE as
 * descriptor 9 for every command, wound back to its start before each.
 *
 * Standard input and output of the commands are /dev/null. Prints one JSON array
 * with one array of nanoseconds per command. A command that fails ends the bench:
 * an error path is no start-up time.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "start.h"

#define ROWS_MAX 32
#define WARM_UP 5
#define SECCOMP_FD 9

struct bench {
	char **rows[ROWS_MAX];
	size_t rows_count;
	unsigned rounds;
	int rewind_fd;
	FILE *out;
	uint32_t *samples; /* rounds × rows, nanoseconds */
};

static _noreturn_ void fail(const char *what)
{
	fprintf(stderr, "spawn: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint32_t time_one(char **argv)
{
	uint64_t start, spent;
	int status;
	pid_t pid;

	start = now();
	errno = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (errno != 0)
		fail(argv[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("wait");
	spent = now() - start;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "spawn: %s ended with wait status %#x\n", argv[0],
			(unsigned)status);
		exit(1);
	}
	return spent > UINT32_MAX ? UINT32_MAX : (uint32_t)spent;
}

static void run(struct bench *b)
{
	for (unsigned round = 0; round < b->rounds + WARM_UP; round++) {
		for (size_t row = 0; row < b->rows_count; row++) {
			uint32_t ns;

			if (b->rewind_fd >= 0)
				lseek(b->rewind_fd, 0, SEEK_SET);
			ns = time_one(b->rows[row]);
			if (round >= WARM_UP)
				b->samples[(round - WARM_UP) * b->rows_count + row] = ns;
		}
	}
}

static void print(const struct bench *b)
{
	for (size_t row = 0; row < b->rows_count; row++) {
		fprintf(b->out, "%s[", row == 0 ? "[" : ",\n");
		for (unsigned round = 0; round < b->rounds; round++)
			fprintf(b->out, "%s%u", round == 0 ? "" : ",",
				(unsigned)b->samples[round * b->rows_count + row]);
		fprintf(b->out, "]");
	}
	fprintf(b->out, "]\n");
}

static void split_rows(struct bench *b, char **argv)
{
	b->rows[b->rows_count++] = argv;
	for (; *argv; argv++) {
		if (strcmp(*argv, ",") != 0)
			continue;
		*argv = NULL;
		if (b->rows_count == ROWS_MAX) {
			errno = E2BIG;
			fail("rows");
		}
		b->rows[b->rows_count++] = argv + 1;
	}
}

/* Standard input and output become /dev/null for the commands; ours is kept for the result. */
static void keep_output(struct bench *b)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, SECCOMP_FD + 1);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		fail("/dev/null");
	b->out = out < 0 ? NULL : fdopen(out, "w");
	if (!b->out)
		fail("standard output");
	if (null > STDERR_FILENO)
		close(null);
}

int main(int argc, char **argv)
{
	struct bench b = { .rounds = 100, .rewind_fd = -1 };
	int opt, fd;

	while ((opt = getopt(argc, argv, "+u:n:s:")) != -1) {
		if (opt == 'u') {
			if (!become((unsigned)strtoul(optarg, NULL, 10)))
				fail("-u");
		} else if (opt == 'n') {
			b.rounds = (unsigned)strtoul(optarg, NULL, 10);
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
	keep_output(&b);
	if (optind == argc || b.rounds == 0 || b.rounds > 100000) {
		errno = EINVAL;
		fail("usage: spawn [-u UID] [-n ROUNDS] [-s FILE] CMD [ARG...] [, CMD...]...");
	}
	split_rows(&b, argv + optind);
	for (size_t row = 0; row < b.rows_count; row++) {
		if (!b.rows[row][0]) {
			errno = EINVAL;
			fail("an empty command");
		}
	}
	b.samples = calloc((size_t)b.rounds * b.rows_count, sizeof(*b.samples));
	if (!b.samples)
		fail("samples");
	run(&b);
	print(&b);
	if (fclose(b.out) != 0)
		fail("standard output");
	return 0;
}
