/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abi i386|x32: a system call by another table of numbers, which a filter that
 * checks numbers only would take for something harmless.
 */
#include "probe.h"

#if defined(__x86_64__)
static void by_int80(void)
{
	long r;

	/* 20 is getpid there and writev here. */
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	_exit(r == getpid() ? 1 : 2);
}

static void by_x32(void)
{
	long r = syscall(0x40000000L | SYS_getpid);

	_exit(r == getpid() ? 1 : 2);
}
#endif

int main(int argc, char **argv)
{
#if defined(__x86_64__)
	int status;

	if (argc != 2)
		usage("abi i386|x32");
	status = in_child(strcmp(argv[1], "i386") == 0 ? by_int80 : by_x32);
	if (WIFSIGNALED(status) && WTERMSIG(status) == 31 /* SIGSYS */)
		verdict(CONTAINED, "the process was killed");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		verdict(ESCAPED, "the call was made");
	verdict(CANNOT, "this kernel lacks the ABI (status %#x)", (unsigned)status);
#else
	(void)argc, (void)argv;
	verdict(CANNOT, "there is one table of calls on this machine");
#endif
}
