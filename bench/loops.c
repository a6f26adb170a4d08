/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a system call costs in the steady state: `loops [COUNT]` prints the
 * nanoseconds of processor time per call of getppid, read, stat and
 * openat+close as one JSON object. bench.py runs it inside and outside a
 * sandbox and compares. The files are /dev/zero and the current directory's
 * "loops-file".
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"

#define FILE_NAME "loops-file"

static int zero_fd;

static long call_getppid(void)
{
	return syscall(SYS_getppid) < 0 ? -1 : 0;
}

static long call_read(void)
{
	char byte;

	return syscall(SYS_read, zero_fd, &byte, 1) == 1 ? 0 : -1;
}

static long call_stat(void)
{
	struct stat st;

	return fstatat(AT_FDCWD, FILE_NAME, &st, 0);
}

static long call_open(void)
{
	long fd = syscall(SYS_openat, AT_FDCWD, FILE_NAME, O_RDONLY | O_CLOEXEC, 0);

	return fd < 0 ? -1 : syscall(SYS_close, fd);
}

static const struct {
	const char *name;
	long (*call)(void);
} loops[] = {
	{ "getppid", call_getppid },
	{ "read", call_read },
	{ "stat", call_stat },
	{ "openat+close", call_open },
};

/* Processor time: what other processes do meanwhile does not count. */
static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;

	zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (zero_fd < 0 || count == 0) {
		perror("loops: /dev/zero");
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(loops); i++) {
		uint64_t start = now();

		for (unsigned long n = 0; n < count; n++) {
			if (loops[i].call() == 0)
				continue;
			perror(loops[i].name);
			return 1;
		}
		printf("%s\"%s\": %.1f", i == 0 ? "{" : ", ", loops[i].name,
		       (double)(now() - start) / (double)count);
	}
	printf("}\n");
	return 0;
}
