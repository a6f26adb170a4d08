/* SPDX-License-Identifier: Apache-2.0 */
/* Source: include/uapi/asm-generic/unistd.h and the syscall.tbl files, Linux 6.6 to 7.0. */
#include "plan/syscall.h"

/* clang-format off */
const struct syscall_new syscalls_new[] = {
	{ "cachestat", 451 },	      { "fchmodat2", 452 },	    { "map_shadow_stack", 453 },
	{ "futex_wake", 454 },	      { "futex_wait", 455 },	    { "futex_requeue", 456 },
	{ "statmount", 457 },	      { "listmount", 458 },	    { "lsm_get_self_attr", 459 },
	{ "lsm_set_self_attr", 460 }, { "lsm_list_modules", 461 },  { "mseal", 462 },
	{ "setxattrat", 463 },	      { "getxattrat", 464 },	    { "listxattrat", 465 },
	{ "removexattrat", 466 },     { "open_tree_attr", 467 },    { "file_getattr", 468 },
	{ "file_setattr", 469 },      { "listns", 470 },	    { "rseq_slice_yield", 471 },
};
/* clang-format on */

const size_t syscalls_new_count = ARRAY_SIZE(syscalls_new);
