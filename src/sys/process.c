/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/process.h"

#include <stddef.h>

_Static_assert(sizeof(struct clone_args) >= CLONE_ARGS_SIZE_VER2, "clone3 with a cgroup");

/*
 * The child begins on an empty stack, so nothing of the caller's frame may be
 * reached: call @fn(@arg) straight from the assembly, then die.
 */
static pid_t clone_call(long nr, long a, long b, long c, int (*fn)(void *), void *arg)
{
#if defined(__x86_64__)
	register long ret __asm__("rax") = nr;
	register long rdi __asm__("rdi") = a;
	register long rsi __asm__("rsi") = b;
	register long rdx __asm__("rdx") = c;
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	register int (*r12)(void *) __asm__("r12") = fn;
	register void *r13 __asm__("r13") = arg;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r13, %%rdi\n\t"
			 "call *%%r12\n\t"
			 "ud2\n"
			 "1:"
			 : "+r"(ret)
			 : "r"(rdi), "r"(rsi), "r"(rdx), "r"(r10), "r"(r8), "r"(r12), "r"(r13)
			 : "rcx", "r11", "memory");
	return (pid_t)ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = 0;
	register long x4 __asm__("x4") = 0;
	register int (*x19)(void *) __asm__("x19") = fn;
	register void *x20 __asm__("x20") = arg;

	__asm__ volatile("svc 0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, xzr\n\t"
			 "mov x0, x20\n\t"
			 "blr x19\n\t"
			 "brk 1\n"
			 "1:"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19), "r"(x20)
			 : "memory", "x30");
	return (pid_t)x0;
#endif
}

pid_t sys_clone3_fn(struct clone_args *args, int (*fn)(void *), void *arg)
{
	return clone_call(SYS_clone3, (long)args, sizeof(*args), 0, fn, arg);
}

pid_t sys_clone_fn(unsigned long flags, void *stack_top, int *pidfd, int (*fn)(void *), void *arg)
{
	return clone_call(SYS_clone, (long)flags, (long)stack_top, (long)pidfd, fn, arg);
}

int sys_clone_behind(unsigned long flags, void *stack_top, int (*fn)(void *), void *arg)
{
#if defined(__x86_64__)
	register long ret __asm__("rax") = SYS_clone;
	register long rdi __asm__("rdi") = (long)(flags | CLONE_VM);
	register long rsi __asm__("rsi") = 0; /* the child's stack is this one */
	register long rdx __asm__("rdx") = 0;
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	register int (*r12)(void *) __asm__("r12") = fn;
	register void *r13 __asm__("r13") = arg;
	register void *r14 __asm__("r14") = stack_top;

	/* Between the call and the new stack nothing of the old one may be touched. */
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jle 1f\n\t"
			 "mov %%r14, %%rsp\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r13, %%rdi\n\t"
			 "call *%%r12\n\t"
			 "ud2\n"
			 "1:"
			 : "+r"(ret)
			 : "r"(rdi), "r"(rsi), "r"(rdx), "r"(r10), "r"(r8), "r"(r12), "r"(r13),
			   "r"(r14)
			 : "rcx", "r11", "memory");
	return (int)ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = SYS_clone;
	register long x0 __asm__("x0") = (long)(flags | CLONE_VM);
	register long x1 __asm__("x1") = 0;
	register long x2 __asm__("x2") = 0;
	register long x3 __asm__("x3") = 0;
	register long x4 __asm__("x4") = 0;
	register int (*x19)(void *) __asm__("x19") = fn;
	register void *x20 __asm__("x20") = arg;
	register void *x21 __asm__("x21") = stack_top;

	__asm__ volatile("svc 0\n\t"
			 "cmp x0, #0\n\t"
			 "b.le 1f\n\t"
			 "mov sp, x21\n\t"
			 "mov x29, xzr\n\t"
			 "mov x0, x20\n\t"
			 "blr x19\n\t"
			 "brk 1\n"
			 "1:"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19), "r"(x20), "r"(x21)
			 : "memory", "cc", "x30");
	return (int)x0;
#endif
}
