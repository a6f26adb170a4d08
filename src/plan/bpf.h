/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing and reading small classic BPF programs for seccomp. Private to the
 * filter and the printer.
 *
 * BPF only jumps forward, so a program is written from its end: whatever an
 * instruction jumps to exists already and distances are known. A label is
 * the place of an instruction counted from the end. Conditional jumps reach
 * 255 instructions; where a target is farther, a trampoline is put in.
 */
#ifndef PURPLE_PLAN_BPF_H
#define PURPLE_PLAN_BPF_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "policy/policy.h"

#define BPF_PROG_MAX 4096 /* BPF_MAXINSNS */

struct bpf_prog {
	struct sock_filter insns[BPF_PROG_MAX]; /* the last one first */
	size_t n;
	bool full; /* it did not fit: the program is of no use */
	struct {
		uint32_t ret;
		size_t label;
	} rets[8]; /* the nearest return of each action */
	size_t rets_count;
};

/* Each returns the label of what it wrote. */
size_t bpf_return(struct bpf_prog *p, uint32_t ret);
size_t bpf_branch(struct bpf_prog *p, uint16_t op, uint32_t k, size_t yes, size_t no);
/* Make sure that what was written last is @label, or leads there. */
size_t bpf_goto(struct bpf_prog *p, size_t label);
/* Load the word at @offset of struct seccomp_data; what was written last follows. */
size_t bpf_load(struct bpf_prog *p, uint32_t offset);
size_t bpf_cond(struct bpf_prog *p, const struct policy_cond *c, size_t yes, size_t no);

/* Append the program to @out in the order of execution. */
void bpf_finish(const struct bpf_prog *p, struct buf *out);

/*
 * What the program says for call @nr when nothing but the number and the
 * architecture is known. False: it looks at an argument, or is no program.
 * This is how the kernel decides which calls never run the filter
 * (seccomp_is_const_allow in kernel/seccomp.c), so true with SECCOMP_RET_ALLOW
 * means that the call costs nothing.
 */
bool bpf_decide(const struct sock_filter *insns, size_t n, uint32_t arch, uint32_t nr,
		uint32_t *ret);

/* One instruction as text: "jeq 0x3b ? 7 : 9". @pc is its place. */
void bpf_disasm(struct buf *b, const struct sock_filter *insn, size_t pc);

/* "allow", "EPERM", "kill process" … */
void bpf_action(struct buf *b, uint32_t ret);

#endif
