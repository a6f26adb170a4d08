/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock_gettime(2) as a system call, for what seldom asks: the first call through
 * the vDSO has to find it there, and its pages cost two more of page tables for as
 * long as the process lives.
 */
#ifndef PURPLE_SYS_CLOCK_H
#define PURPLE_SYS_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "sys/raw.h"

static inline struct timespec sys_clock(clockid_t clock)
{
	struct timespec t = { 0 };

	sys_call(SYS_clock_gettime, clock, &t);
	return t;
}

static inline uint64_t sys_clock_ns(clockid_t clock)
{
	struct timespec t = sys_clock(clock);

	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline uint64_t sys_clock_us(clockid_t clock)
{
	struct timespec t = sys_clock(clock);

	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline uint64_t sys_clock_ms(clockid_t clock)
{
	struct timespec t = sys_clock(clock);

	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#endif
