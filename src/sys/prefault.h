/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Map the program's own pages at once instead of one page fault at a time: a
 * fault costs microseconds, in a virtual machine 10 or more, and a start
 * touches some twenty pages. madvise(2), MADV_POPULATE_*, since Linux 5.14; an
 * older kernel says EINVAL and faults as ever.
 */
#ifndef PURPLE_SYS_PREFAULT_H
#define PURPLE_SYS_PREFAULT_H

#include <stddef.h>
#include <stdint.h>

#include "sys/raw.h"

enum { POPULATE_READ = 22, POPULATE_WRITE = 23, PREFAULT_PAGE = 4096, PREFAULT_MAX = 1 << 20 };

/* The pages from @from up to @to, if they are not unreasonably many. */
static inline void sys_prefault(const void *from, const void *to, int how)
{
	uintptr_t a = (uintptr_t)from & ~(uintptr_t)(PREFAULT_PAGE - 1);
	uintptr_t b = ((uintptr_t)to + PREFAULT_PAGE - 1) & ~(uintptr_t)(PREFAULT_PAGE - 1);

	if (b > a && b - a <= PREFAULT_MAX)
		sys_call(SYS_madvise, a, b - a, how);
}

/*
 * Of the whole program: its text, its data but for what is marked _cold_data_ or
 * _scratch_data_, of that @size bytes at @cold, and @stack bytes of the stack. See
 * end(3); the linker puts the sections that it does not know behind .bss.
 */
static inline void sys_prefault_program(size_t stack, const char *cold, size_t size)
{
	extern const char __executable_start[], etext[], edata[], end[];
	extern const char __start_cold_data[] __attribute__((__weak__));
	extern const char __start_scratch_data[] __attribute__((__weak__));
	uintptr_t a = (uintptr_t)__start_cold_data, b = (uintptr_t)__start_scratch_data;
	const char *here = __builtin_frame_address(0), *warm_end = end;

	if (a && b) /* not in every build */
		warm_end = a < b ? __start_cold_data : __start_scratch_data;

	sys_prefault(__executable_start, etext, POPULATE_READ);
	sys_prefault(edata, warm_end, POPULATE_WRITE);
	sys_prefault(cold, cold + size, POPULATE_WRITE);
	sys_prefault(here - stack, here, POPULATE_WRITE);
}

#endif
