/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw system calls that return a value or -errno.
 *
 * The folder is on the include path, so no header here bears the name of a
 * system header (<sys/syscall.h>, <sys/mount.h>, <sys/file.h>).
 *
 * Why not syscall(3): it reports through errno, which lives in thread-local
 * storage. The launcher, PID 1 and the agent-to-be share one address space
 * and one thread pointer until they exec (CLONE_VM), so errno is not theirs
 * to use. These touch registers only.
 */
#ifndef PURPLE_SYS_RAW_H
#define PURPLE_SYS_RAW_H

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>

static inline long sys_call6(long n, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
#error "Purple knows the system call convention of x86_64 and aarch64 only"
#endif
}

/* Any mix of integers and pointers, up to six. */
#define SYS_ARG(x) ((long)(x))
#define SYS_PICK(_0, _1, _2, _3, _4, _5, _6, N, ...) N
#define sys_call(...)                                                                    \
	SYS_PICK(__VA_ARGS__, SYS_C6, SYS_C5, SYS_C4, SYS_C3, SYS_C2, SYS_C1, SYS_C0, 0) \
	(__VA_ARGS__)
#define SYS_C0(n) sys_call6(n, 0, 0, 0, 0, 0, 0)
#define SYS_C1(n, a) sys_call6(n, SYS_ARG(a), 0, 0, 0, 0, 0)
#define SYS_C2(n, a, b) sys_call6(n, SYS_ARG(a), SYS_ARG(b), 0, 0, 0, 0)
#define SYS_C3(n, a, b, c) sys_call6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), 0, 0, 0)
#define SYS_C4(n, a, b, c, d) sys_call6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), 0, 0)
#define SYS_C5(n, a, b, c, d, e) \
	sys_call6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), SYS_ARG(e), 0)
#define SYS_C6(n, a, b, c, d, e, f) \
	sys_call6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), SYS_ARG(e), SYS_ARG(f))

#endif
