/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One seccomp filter for the bench: bench/floor loads it itself, bubblewrap
 * gets it by --seccomp. It refuses 46 calls with EPERM and allows the rest.
 */
#ifndef PURPLE_BENCH_FILTER_H
#define PURPLE_BENCH_FILTER_H

#include <linux/filter.h>

#define BENCH_FILTER_MAX 200

/* Fill @code, of BENCH_FILTER_MAX instructions; returns how many there are. */
unsigned bench_filter(struct sock_filter *code);

#endif
