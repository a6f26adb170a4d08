/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs that start others share. Times are CLOCK_MONOTONIC, in nanoseconds. */
#ifndef PURPLE_BENCH_START_H
#define PURPLE_BENCH_START_H

#include <grp.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Be @id, user and group, and nobody's else. False, with errno: it may not. */
static inline bool become(unsigned id)
{
	gid_t none = 0;

	return setgroups(0, &none) == 0 && setresgid(id, id, id) == 0 && setresuid(id, id, id) == 0;
}

#endif
