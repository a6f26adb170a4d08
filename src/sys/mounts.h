/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount API by descriptors: fsopen(2), fsconfig(2), fsmount(2),
 * open_tree(2), mount_setattr(2), move_mount(2), pivot_root(2), umount2(2).
 * Kernel 5.12 and later. A descriptor or 0 on success, else -errno.
 *
 * <sys/mount.h> is not included on purpose: glibc's and the kernel's headers
 * define the same names.
 */
#ifndef PURPLE_SYS_MOUNTS_H
#define PURPLE_SYS_MOUNTS_H

#include <fcntl.h>
#include <linux/mount.h>

#include "sys/raw.h"

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

static inline int sys_fsopen(const char *type)
{
	return (int)sys_call(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static inline int sys_fsconfig_string(int fs, const char *key, const char *value)
{
	return (int)sys_call(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0);
}

static inline int sys_fsconfig_flag(int fs, const char *key)
{
	return (int)sys_call(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, key, 0, 0);
}

static inline int sys_fsconfig_fd(int fs, const char *key, int fd)
{
	return (int)sys_call(SYS_fsconfig, fs, FSCONFIG_SET_FD, key, 0, fd);
}

static inline int sys_fsconfig_create(int fs)
{
	return (int)sys_call(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0);
}

/* @attrs: MOUNT_ATTR_* */
static inline int sys_fsmount(int fs, unsigned attrs)
{
	return (int)sys_call(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attrs);
}

/* A detached copy of the mount at @path below @dirfd ("" : @dirfd itself). */
static inline int sys_open_tree_clone(int dirfd, const char *path, unsigned at_flags)
{
	return (int)sys_call(SYS_open_tree, dirfd, path,
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | at_flags);
}

static inline int sys_mount_setattr(int fd, unsigned at_flags, const struct mount_attr *attr)
{
	return (int)sys_call(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | at_flags, attr,
			     sizeof(*attr));
}

/* Attach the detached mount @from at the directory or file @to. */
static inline int sys_move_mount(int from, int to)
{
	return (int)sys_call(SYS_move_mount, from, "", to, "",
			     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)sys_call(SYS_pivot_root, new_root, put_old);
}

static inline int sys_umount2(const char *path, int flags)
{
	return (int)sys_call(SYS_umount2, path, flags);
}

/* Change the propagation of everything below /: @flags MS_PRIVATE or MS_SLAVE. */
static inline int sys_make_root(unsigned long flags)
{
	return (int)sys_call(SYS_mount, 0, "/", 0, MS_REC | flags, 0);
}

#endif
