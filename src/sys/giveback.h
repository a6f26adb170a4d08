/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Give the kernel back what only the start of a sandbox needed: a supervisor stays
 * for as long as its sandbox does, and there may be thousands. madvise(2),
 * MADV_DONTNEED: private anonymous memory comes back as zeros.
 */
#ifndef PURPLE_SYS_GIVEBACK_H
#define PURPLE_SYS_GIVEBACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "sys/raw.h"

enum { GIVE_BACK = 4 /* MADV_DONTNEED */, GIVE_BACK_PAGE = 4096 };

/* The pages that lie wholly from @from up to @to: their contents are lost. */
static inline void sys_give_back(const void *from, const void *to)
{
	uintptr_t a = ((uintptr_t)from + GIVE_BACK_PAGE - 1) & ~(uintptr_t)(GIVE_BACK_PAGE - 1);
	uintptr_t b = (uintptr_t)to & ~(uintptr_t)(GIVE_BACK_PAGE - 1);

	if (b > a)
		sys_call(SYS_madvise, a, b - a, GIVE_BACK);
}

/*
 * _scratch_data_, and @depth bytes of the stack below the caller's
 * frame. No process that shares this memory (CLONE_VM) may use them any more. Not
 * inline: our own frame, which is smaller than a page, tells where the caller's ends.
 */
__attribute__((__unused__)) static _noinline_ void sys_give_back_start(size_t depth)
{
	extern const char __start_scratch_data[] __attribute__((__weak__));
	extern const char __stop_scratch_data[] __attribute__((__weak__));
	const char *here = __builtin_frame_address(0);

	sys_give_back(__start_scratch_data, __stop_scratch_data);
	sys_give_back(here - depth, here - GIVE_BACK_PAGE);
}

#endif
