/* SPDX-License-Identifier: Apache-2.0 */
/* CVE-2024-21626: a descriptor that was left open, or a working directory out of the root. */
#include <fcntl.h>

#include "probe.h"

int main(void)
{
	char cwd[4096];

	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			verdict(ESCAPED, "descriptor %d is open", fd);
	for (int fd = 0; fd <= 2; fd++)
		if (openat(fd, "..", O_PATH) >= 0)
			verdict(ESCAPED, "descriptor %d is a directory", fd);
	if (syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0 || cwd[0] != '/')
		verdict(ESCAPED, "the working directory is outside the root");
	verdict(CONTAINED, "0 to 2, and %s", cwd);
}
