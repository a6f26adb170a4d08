/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel would answer: a filter of a plan run on one call, as
 * seccomp_run_filters() in kernel/seccomp.c runs it. For the supervisor, who has
 * to give that answer where a call is observed; see plan/filter.h.
 */
#ifndef PURPLE_PLAN_FILTER_RUN_H
#define PURPLE_PLAN_FILTER_RUN_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/*
 * SECCOMP_RET_*, with its data. The program may be anybody's: what is none, or uses
 * what filter_build() does not, comes to SECCOMP_RET_ERRNO with EPERM. It ends, because
 * jumps only lead forward.
 */
uint32_t filter_run(const struct sock_filter *insns, size_t n, const struct seccomp_data *data);

#endif
