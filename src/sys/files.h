/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files by descriptor. All functions return a value or -errno, set no errno,
 * and open with O_CLOEXEC.
 */
#ifndef PURPLE_SYS_FILES_H
#define PURPLE_SYS_FILES_H

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "sys/raw.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* openat2(2). @resolve: RESOLVE_*. */
static inline int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode,
			      uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve };

	return (int)sys_call(SYS_openat2, dirfd, path, &how, sizeof(how));
}

/*
 * A path of the host as the plan wrote it: absolute and canonical. A link
 * anywhere in it is -ELOOP: it was swapped after the plan was made.
 */
static inline int sys_open_canonical(const char *path, uint64_t flags)
{
	return sys_openat2(AT_FDCWD, path, flags, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

static inline int sys_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return (int)sys_call(SYS_openat, dirfd, path, flags | O_CLOEXEC, mode);
}

static inline void sys_close(int fd)
{
	if (fd >= 0)
		sys_call(SYS_close, fd);
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)sys_call(SYS_close_range, first, last, flags);
}

static inline int sys_mkdirat(int dirfd, const char *path, mode_t mode)
{
	return (int)sys_call(SYS_mkdirat, dirfd, path, mode);
}

static inline int sys_symlinkat(const char *target, int dirfd, const char *path)
{
	return (int)sys_call(SYS_symlinkat, target, dirfd, path);
}

static inline long sys_write(int fd, const void *data, size_t len)
{
	return sys_call(SYS_write, fd, data, len);
}

static inline long sys_read(int fd, void *data, size_t len)
{
	return sys_call(SYS_read, fd, data, len);
}

/* Open, write once, close: for /proc. A short write is -EIO. */
int sys_write_file(int dirfd, const char *path, const void *data, size_t len);

/* A memfd of @size zeros, of which none takes memory yet; its size cannot change. -errno. */
int sys_memfd_sized(const char *name, size_t size);

/*
 * PARENT/NAME, a directory of ours alone; with @make it is made (0700), with what is
 * missing above it. A descriptor, or -errno: -ENOENT when there is none and @make is
 * not set; -EPERM when it is not ours alone (owner, mode); a link is not followed.
 */
int sys_open_private(const char *parent, const char *name, bool make);

#endif
