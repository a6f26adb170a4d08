/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/files.h"

int sys_write_file(int dirfd, const char *path, const void *data, size_t len)
{
	int fd = sys_openat(dirfd, path, O_WRONLY, 0);
	long n;

	if (fd < 0)
		return fd;
	n = sys_write(fd, data, len);
	sys_close(fd);
	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EIO;
}
