/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/bpf.h"

#include <endian.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

/* The halves of a 64-bit argument in struct seccomp_data. */
#if __BYTE_ORDER == __LITTLE_ENDIAN
enum { LOW_HALF = 0, HIGH_HALF = 4 };
#else
enum { LOW_HALF = 4, HIGH_HALF = 0 };
#endif

/* Leaves room for the trampoline of the other branch. */
#define REACH 253

static size_t emit(struct bpf_prog *p, struct sock_filter insn)
{
	if (p->n == BPF_PROG_MAX) {
		p->full = true;
		return 0;
	}
	p->insns[p->n] = insn;
	return p->n++;
}

static size_t emit_return(struct bpf_prog *p, uint32_t ret)
{
	size_t i, label = emit(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ret));

	for (i = 0; i < p->rets_count && p->rets[i].ret != ret; i++)
		;
	if (i == ARRAY_SIZE(p->rets))
		return label;
	if (i == p->rets_count)
		p->rets_count++;
	p->rets[i].ret = ret;
	p->rets[i].label = label;
	return label;
}

size_t bpf_return(struct bpf_prog *p, uint32_t ret)
{
	for (size_t i = 0; i < p->rets_count; i++) {
		if (p->rets[i].ret == ret)
			return p->rets[i].label;
	}
	return emit_return(p, ret);
}

/* @label, or something that leads there and can be reached from the next instruction. */
static size_t reach(struct bpf_prog *p, size_t label)
{
	const struct sock_filter *to = &p->insns[label];

	if (p->full || p->n - label - 1 <= REACH)
		return label;
	if (to->code == (BPF_RET | BPF_K)) {
		label = bpf_return(p, to->k); /* a nearer one of the same kind? */
		if (p->n - label - 1 <= REACH)
			return label;
		return emit_return(p, to->k);
	}
	return emit(p,
		    (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(p->n - label - 1)));
}

size_t bpf_branch(struct bpf_prog *p, uint16_t op, uint32_t k, size_t yes, size_t no)
{
	yes = reach(p, yes);
	no = reach(p, no);
	return emit(p,
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_K | op, k, (uint8_t)(p->n - yes - 1),
						 (uint8_t)(p->n - no - 1)));
}

size_t bpf_goto(struct bpf_prog *p, size_t label)
{
	if (label + 1 == p->n)
		return label;
	return emit(p,
		    (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(p->n - label - 1)));
}

size_t bpf_load(struct bpf_prog *p, uint32_t offset)
{
	return emit(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static size_t masked_word(struct bpf_prog *p, uint32_t offset, uint32_t mask, uint32_t value,
			  size_t yes, size_t no)
{
	if (mask == 0) /* nothing to look at: @value has no bit outside of @mask */
		return yes;
	if (value == 0 && mask != UINT32_MAX) {
		bpf_branch(p, BPF_JSET, mask, no, yes);
		return bpf_load(p, offset);
	}
	bpf_branch(p, BPF_JEQ, value, yes, no);
	if (mask != UINT32_MAX)
		emit(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
	return bpf_load(p, offset);
}

/* arg > value, or >= with @op BPF_JGE: decided by the high halves unless they are equal. */
static size_t greater(struct bpf_prog *p, uint32_t base, uint16_t op, uint64_t value, size_t yes,
		      size_t no)
{
	uint32_t high = (uint32_t)(value >> 32);
	size_t label;

	bpf_branch(p, op, (uint32_t)value, yes, no);
	label = bpf_load(p, base + LOW_HALF);
	label = bpf_branch(p, BPF_JEQ, high, label, no);
	bpf_branch(p, BPF_JGT, high, yes, label);
	return bpf_load(p, base + HIGH_HALF);
}

size_t bpf_cond(struct bpf_prog *p, const struct policy_cond *c, size_t yes, size_t no)
{
	uint32_t base = (uint32_t)(offsetof(struct seccomp_data, args) + 8 * c->arg);
	bool negated = c->op == OP_NEQ || c->op == OP_LT || c->op == OP_LTE ||
		       c->op == OP_MASKED_NEQ;
	uint64_t mask = UINT64_MAX;
	size_t t;

	if (negated)
		t = yes, yes = no, no = t;
	switch (c->op) {
	case OP_LT: /* not >= */
	case OP_GTE:
		return greater(p, base, BPF_JGE, c->value, yes, no);
	case OP_LTE: /* not > */
	case OP_GT:
		return greater(p, base, BPF_JGT, c->value, yes, no);
	case OP_MASKED_EQ:
	case OP_MASKED_NEQ:
		mask = c->mask;
		break;
	case OP_EQ:
	case OP_NEQ:
		break;
	}
	t = masked_word(p, base + LOW_HALF, (uint32_t)mask, (uint32_t)c->value, yes, no);
	return masked_word(p, base + HIGH_HALF, (uint32_t)(mask >> 32), (uint32_t)(c->value >> 32),
			   t, no);
}

void bpf_finish(const struct bpf_prog *p, struct buf *out)
{
	for (size_t i = p->n; i > 0; i--)
		buf_add(out, &p->insns[i - 1], sizeof(p->insns[0]));
}

bool bpf_decide(const struct sock_filter *insns, size_t n, uint32_t arch, uint32_t nr,
		uint32_t *ret)
{
	uint32_t a = 0;
	bool yes;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &insns[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k == offsetof(struct seccomp_data, nr))
				a = nr;
			else if (i->k == offsetof(struct seccomp_data, arch))
				a = arch;
			else
				return false;
			break;
		case BPF_RET | BPF_K:
			*ret = i->k;
			return true;
		case BPF_JMP | BPF_JA:
			pc += i->k; /* out of range ends the loop: k has 32 bits, pc 64 */
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			yes = BPF_OP(i->code) == BPF_JEQ   ? a == i->k
			      : BPF_OP(i->code) == BPF_JGE ? a >= i->k
			      : BPF_OP(i->code) == BPF_JGT ? a > i->k
							   : (a & i->k) != 0;
			pc += yes ? i->jt : i->jf;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		default:
			return false;
		}
	}
	return false;
}

static void disasm_load(struct buf *b, uint32_t k)
{
	if (k == offsetof(struct seccomp_data, nr))
		buf_puts(b, "ld nr");
	else if (k == offsetof(struct seccomp_data, arch))
		buf_puts(b, "ld arch");
	else if (k >= offsetof(struct seccomp_data, args) && k < sizeof(struct seccomp_data) &&
		 k % 4 == 0)
		buf_printf(b, "ld arg%u.%s", (k - 16) / 8, k % 8 == LOW_HALF ? "low" : "high");
	else
		buf_printf(b, "ld [%u]", k);
}

void bpf_disasm(struct buf *b, const struct sock_filter *insn, size_t pc)
{
	static const char *const jumps[] = { [BPF_JEQ >> 4] = "jeq",
					     [BPF_JGT >> 4] = "jgt",
					     [BPF_JGE >> 4] = "jge",
					     [BPF_JSET >> 4] = "jset" };
	unsigned op = BPF_OP(insn->code) >> 4;

	if (insn->code == (BPF_LD | BPF_W | BPF_ABS)) {
		disasm_load(b, insn->k);
	} else if (insn->code == (BPF_RET | BPF_K)) {
		buf_puts(b, "ret ");
		bpf_action(b, insn->k);
	} else if (insn->code == (BPF_JMP | BPF_JA)) {
		buf_printf(b, "ja %zu", pc + 1 + insn->k);
	} else if (insn->code == (BPF_ALU | BPF_AND | BPF_K)) {
		buf_printf(b, "and 0x%x", insn->k);
	} else if (BPF_CLASS(insn->code) == BPF_JMP && BPF_SRC(insn->code) == BPF_K &&
		   op < ARRAY_SIZE(jumps) && jumps[op]) {
		buf_printf(b, "%s 0x%x ? %zu : %zu", jumps[op], insn->k, pc + 1 + insn->jt,
			   pc + 1 + insn->jf);
	} else {
		buf_printf(b, "code 0x%x k 0x%x jt %u jf %u", insn->code, insn->k, insn->jt,
			   insn->jf);
	}
}

void bpf_action(struct buf *b, uint32_t ret)
{
	unsigned data = ret & SECCOMP_RET_DATA;
	const char *name;

	switch (ret & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		buf_puts(b, "allow");
		break;
	case SECCOMP_RET_KILL_PROCESS:
		buf_puts(b, "kill");
		break;
	case SECCOMP_RET_USER_NOTIF:
		buf_puts(b, "notify");
		break;
	case SECCOMP_RET_ERRNO:
		name = data == EPERM	      ? "EPERM"
		       : data == ENOSYS	      ? "ENOSYS"
		       : data == EAFNOSUPPORT ? "EAFNOSUPPORT"
					      : NULL;
		if (name)
			buf_puts(b, name);
		else
			buf_printf(b, "errno %u", data);
		break;
	default:
		buf_printf(b, "0x%x", ret);
	}
}
