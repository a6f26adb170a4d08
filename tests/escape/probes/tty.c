/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tty own FORM   push a key into the terminal on standard input
 * tty ctl FORM   … into the controlling terminal, which /dev/tty opens
 * FORM: 32, 64 (CVE-2019-10063: the kernel ignores the upper half), linux
 */
#include <fcntl.h>

#include "probe.h"

int main(int argc, char **argv)
{
	unsigned long request = 0x5412; /* TIOCSTI */
	char c = argc == 3 && strcmp(argv[2], "linux") == 0 ? 2 : 'x';
	int fd = 0;
	long r;

	if (argc != 3)
		usage("tty own|ctl 32|64|linux");
	if (strcmp(argv[2], "64") == 0)
		request |= 0x123UL << 32;
	if (strcmp(argv[2], "linux") == 0)
		request = 0x541c; /* TIOCLINUX */
	if (strcmp(argv[1], "ctl") == 0) {
		fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			verdict(CONTAINED, "/dev/tty: %s", strerror(errno));
	} else if (!isatty(0)) {
		verdict(CANNOT, "standard input is no terminal");
	}
	r = syscall(SYS_ioctl, fd, request, &c);
	/* On a pty TIOCLINUX is unknown to the driver: it came through. */
	if (r < 0 && errno != EPERM)
		verdict(ESCAPED, "the terminal itself answered: %s", strerror(errno));
	judge(r, "ioctl");
}
