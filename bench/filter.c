/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "base/macros.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "bench: add this machine's AUDIT_ARCH"
#endif

/* Calls that are refused, in no order; the numbers differ from machine to machine. */
static const uint16_t refused[] = {
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_swapon,
	SYS_swapoff,
	SYS_reboot,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_init_module,
	SYS_delete_module,
	SYS_quotactl,
	SYS_acct,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_adjtimex,
	SYS_clock_adjtime,
	SYS_kexec_load,
	SYS_add_key,
	SYS_request_key,
	SYS_keyctl,
	SYS_unshare,
	SYS_perf_event_open,
	SYS_name_to_handle_at,
	SYS_open_by_handle_at,
	SYS_setns,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_kcmp,
	SYS_finit_module,
	SYS_bpf,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_open_tree,
	SYS_move_mount,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_ptrace,
	SYS_chroot,
	SYS_vhangup,
	SYS_syslog,
	SYS_personality,
	SYS_fanotify_init,
};

/*
 * A filter as Purple's compiler makes them: a binary search over maximal
 * intervals of call numbers with the same answer, about 90 instructions.
 */
struct interval {
	uint32_t from; /* … up to the next interval's */
	uint32_t allow;
};

struct program {
	struct sock_filter *code;
	unsigned len;
};

static void emit(struct program *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	p->code[p->len++] = (struct sock_filter){ code, jt, jf, k };
}

/* The search over @n intervals, its leaves included. */
static void emit_search(struct program *p, const struct interval *iv, size_t n)
{
	size_t left = n / 2;
	unsigned branch;

	if (n == 1) {
		emit(p, BPF_RET | BPF_K, 0, 0,
		     iv->allow ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EPERM);
		return;
	}
	branch = p->len;
	emit(p, BPF_JMP | BPF_JGE | BPF_K, 0, 0, iv[left].from);
	emit_search(p, iv, left);
	p->code[branch].jt = (uint8_t)(p->len - branch - 1);
	emit_search(p, iv + left, n - left);
}

static size_t refused_intervals(struct interval *iv)
{
	uint16_t sorted[ARRAY_SIZE(refused)] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		size_t at = i;

		for (; at > 0 && sorted[at - 1] > refused[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = refused[i];
	}
	iv[n++] = (struct interval){ 0, 1 };
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		if (iv[n - 1].from == sorted[i] && n > 1)
			n--; /* follows the last refused call directly */
		else
			iv[n++] = (struct interval){ sorted[i], 0 };
		iv[n++] = (struct interval){ sorted[i] + 1U, 1 };
	}
	return n;
}

unsigned bench_filter(struct sock_filter *code)
{
	struct interval intervals[2 * ARRAY_SIZE(refused) + 1];
	size_t n = refused_intervals(intervals);
	struct program p = { .code = code };

	emit(&p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCH);
	emit(&p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	emit(&p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	emit(&p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x40000000); /* x32 */
	emit(&p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	emit_search(&p, intervals, n);
	return p.len;
}
