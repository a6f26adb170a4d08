/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs as:  PID 1 of a sandbox, with exactly the restrictions of the commands
 *           it serves: no capability, the same Landlock domain, the same filter.
 * Reads:    wait statuses; argv: the descriptor to report to, and the pid of
 *           the command; in a sandbox that stays, the socket to serve instead;
 *           with a protected workspace, what to do there for others (jail/door.h).
 * Trusts:   the supervisor, which alone holds the socket's other end. What goes
 *           wrong here costs the sandbox its exit status.
 * May call: wait4, write, prctl, exit_group; in a sandbox that stays, what it
 *           takes to start a command. Every filter allows these. For a protected
 *           workspace, what the commands may.
 *
 * Reaps every orphan. When the command has ended, reports its wait status
 * plus 1 (an eventfd takes no 0) and exits, whereupon the kernel kills what
 * is left. In a sandbox that stays, starts what it is asked for instead, and
 * exits when the supervisor is gone: jail/init_serve.c.
 *
 * Signals from inside do not reach a PID 1 that handles none; SIGCHLD, which
 * it handles while it serves, only wakes it.
 *
 * Freestanding, some pages of text and no data: every sandbox holds one of
 * these, and each page is a fault at its start.
 */
#include "jail/init_serve.h"
#include "sys/process.h"

static int number(const char *s)
{
	int n = 0;

	while (*s >= '0' && *s <= '9')
		n = n * 10 + (*s++ - '0');
	return n;
}

/* @stack as the kernel leaves it: argc, argv[0], argv[1], … See execve(2). */
__attribute__((__noreturn__, __used__)) static void init_main(char **stack)
{
	int socket = number(stack[4]), door = number(stack[5]), guard = number(stack[6]);

	/* Nobody inside may read or trace us, nor follow /proc/1/exe. */
	sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	/* 0: none; these are never 0 to 2, jail_start() has checked those. */
	if (socket)
		init_serve(socket, door ? door : -1, guard ? guard : -1);
	init_await(number(stack[3]), number(stack[2]), door ? door : -1);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n"
	"\tcall init_main\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tmov x0, sp\n\tbl init_main\n");
#endif
