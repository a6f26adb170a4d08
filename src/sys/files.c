/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

int sys_memfd_sized(const char *name, size_t size)
{
	int fd = (int)sys_call(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

	if (fd < 0)
		return fd;
	r = (int)sys_call(SYS_ftruncate, fd, (long)size);
	if (r == 0)
		r = (int)sys_call(SYS_fcntl, fd, F_ADD_SEALS,
				  F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW);
	if (r == 0)
		return fd;
	sys_close(fd);
	return r;
}

/* The directories on the way to @path, and @path. */
static int make_path(const char *path)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	int r;

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	/* Mostly it is there, or only the last one is missing. */
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		r = sys_mkdirat(AT_FDCWD, part, i == n && geteuid() == 0 ? 0755 : 0700);
		if (r < 0 && r != -EEXIST && sys_call(SYS_faccessat, AT_FDCWD, part, F_OK) < 0)
			return r;
	}
	return 0;
}

int sys_open_private(const char *parent, const char *name, bool make)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, r, n = snprintf(path, sizeof(path), "%s/%s", parent, name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -ENOENT && make) {
		r = make_path(parent);
		if (r == 0)
			r = sys_mkdirat(AT_FDCWD, path, 0700);
		if (r < 0 && r != -EEXIST)
			return r;
		fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	}
	if (fd < 0)
		return fd;
	r = (int)sys_call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH);
	if (r == 0 && (st.st_uid != geteuid() || st.st_mode & 077))
		r = -EPERM;
	if (r < 0)
		sys_close(fd);
	return r < 0 ? r : fd;
}
