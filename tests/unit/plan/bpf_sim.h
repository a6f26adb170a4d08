/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seccomp machine for tests: classic BPF as the kernel runs it on struct
 * seccomp_data, written apart from the code that it tests. A program that
 * the kernel would refuse, or that runs off its end, gives BPF_SIM_BAD.
 */
#ifndef TESTS_BPF_SIM_H
#define TESTS_BPF_SIM_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#define BPF_SIM_BAD 0xdeadbeefu

uint32_t bpf_sim(const struct sock_filter *insns, size_t n, const struct seccomp_data *data);
/* @steps: how many instructions ran. */
uint32_t bpf_sim_steps(const struct sock_filter *insns, size_t n, const struct seccomp_data *data,
		       unsigned *steps);

#endif
