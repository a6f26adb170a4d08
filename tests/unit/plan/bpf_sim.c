/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_sim.h"

#include <string.h>

uint32_t bpf_sim(const struct sock_filter *insns, size_t n, const struct seccomp_data *data)
{
	unsigned steps;

	return bpf_sim_steps(insns, n, data, &steps);
}

uint32_t bpf_sim_steps(const struct sock_filter *insns, size_t n, const struct seccomp_data *data,
		       unsigned *steps)
{
	uint32_t a = 0;
	size_t pc = 0;

	*steps = 0;

	if (n == 0 || n > 4096)
		return BPF_SIM_BAD;
	while (pc < n) {
		struct sock_filter i = insns[pc++];

		++*steps;
		if (i.code == 0x20) { /* ld [k] */
			if (i.k % 4 != 0 || i.k >= sizeof(*data))
				return BPF_SIM_BAD;
			memcpy(&a, (const char *)data + i.k, 4);
		} else if (i.code == 0x06) { /* ret k */
			return i.k;
		} else if (i.code == 0x05) { /* ja */
			if (i.k >= n)
				return BPF_SIM_BAD;
			pc += i.k;
		} else if (i.code == 0x15) { /* jeq */
			pc += a == i.k ? i.jt : i.jf;
		} else if (i.code == 0x25) { /* jgt */
			pc += a > i.k ? i.jt : i.jf;
		} else if (i.code == 0x35) { /* jge */
			pc += a >= i.k ? i.jt : i.jf;
		} else if (i.code == 0x45) { /* jset */
			pc += a & i.k ? i.jt : i.jf;
		} else if (i.code == 0x54) { /* and k */
			a &= i.k;
		} else {
			return BPF_SIM_BAD;
		}
	}
	return BPF_SIM_BAD;
}
