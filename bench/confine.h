/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bench's floors share (floor.c, setns.c): the bonds that a process
 * puts on itself, and how a failure ends the program. Runs between clone and
 * exec in the memory of the parent, so nothing here allocates.
 */
#ifndef PURPLE_BENCH_CONFINE_H
#define PURPLE_BENCH_CONFINE_H

#include <linux/sched.h>
#include <sys/syscall.h>

#include "base/macros.h"

#define CONFINE_DIRS 13
#define CONFINE_NODES 6

/* The floor's read-only directories and its devices, without the first '/'. */
extern const char *const confine_dirs[CONFINE_DIRS];
extern const char *const confine_nodes[CONFINE_NODES];

/* Each program's own name, for its messages. */
extern const char confine_program[];

/* "PROGRAM: STAGE: WHAT: strerror(errno)", and exit status 125. */
_noreturn_ void die(const char *stage, const char *what);

/* An O_CLOEXEC descriptor of @path, or die. */
int open_at(const char *path, int flags, const char *stage);

/* @r, or die if it is negative. */
int check(long r, const char *stage, const char *what);

/*
 * Give up all capabilities and the chance to gain any, and bind this process
 * by 20 Landlock rules and the bench's seccomp filter. Called in "/";
 * afterwards the current directory is @workspace, given without its first '/'.
 */
void confine(const char *workspace);

/* The kernel's answer is needed without a function's return in between: both share a stack. */
static inline __attribute__((__always_inline__)) long confine_clone(struct clone_args *args)
{
#if defined(__x86_64__)
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args))
			 : "rcx", "r11", "memory");
	return r;
#else
	register long r __asm__("x0") = (long)args;
	register long size __asm__("x1") = sizeof(*args);
	register long number __asm__("x8") = SYS_clone3;

	__asm__ volatile("svc 0" : "+r"(r) : "r"(size), "r"(number) : "memory");
	return r;
#endif
}

#endif
