/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CVE-2019-5736: the program of PID 1 is a file of the host. init OP:
 *	write  open /proc/1/exe for writing
 *	root   look through /proc/1/root and /proc/1/cwd
 *	mem    write the memory of PID 1
 *	trace  attach to it
 */
#include <fcntl.h>
#include <sys/ptrace.h>

#include "probe.h"

int main(int argc, char **argv)
{
	if (argc != 2)
		usage("init write|root|mem|trace");
	if (strcmp(argv[1], "write") == 0)
		judge(open("/proc/1/exe", O_WRONLY | O_CLOEXEC), "write /proc/1/exe");
	if (strcmp(argv[1], "root") == 0)
		judge(open("/proc/1/root/.", O_PATH | O_CLOEXEC), "open /proc/1/root");
	if (strcmp(argv[1], "mem") == 0)
		judge(open("/proc/1/mem", O_RDWR | O_CLOEXEC), "open /proc/1/mem");
	judge(ptrace(PTRACE_SEIZE, 1, 0L, 0L), "trace PID 1");
}
