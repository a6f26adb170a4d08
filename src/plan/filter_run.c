/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/filter_run.h"

#include <errno.h>
#include <string.h>

static uint32_t load(const struct seccomp_data *data, uint32_t at)
{
	uint32_t word;

	memcpy(&word, (const char *)data + at, sizeof(word));
	return word;
}

uint32_t filter_run(const struct sock_filter *insns, size_t n, const struct seccomp_data *data)
{
	const uint32_t bad = SECCOMP_RET_ERRNO | EPERM;
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &insns[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k > sizeof(*data) - sizeof(a))
				return bad;
			a = load(data, i->k);
			break;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JA:
			pc += i->k; /* out of range ends the loop: k has 32 bits, pc 64 */
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & i->k ? i->jt : i->jf;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		default:
			return bad;
		}
	}
	return bad;
}
