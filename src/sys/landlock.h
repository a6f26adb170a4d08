/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: landlock(7), Documentation/userspace-api/landlock.rst. The
 * structures and bits are spelled out here because the headers of the build
 * machine may be older than the kernel that we run on.
 */
#ifndef PURPLE_SYS_LANDLOCK_H
#define PURPLE_SYS_LANDLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "sys/raw.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum landlock_fs {
	LL_EXECUTE = 1 << 0,
	LL_WRITE_FILE = 1 << 1,
	LL_READ_FILE = 1 << 2,
	LL_READ_DIR = 1 << 3,
	LL_REMOVE_DIR = 1 << 4,
	LL_REMOVE_FILE = 1 << 5,
	LL_MAKE_CHAR = 1 << 6,
	LL_MAKE_DIR = 1 << 7,
	LL_MAKE_REG = 1 << 8,
	LL_MAKE_SOCK = 1 << 9,
	LL_MAKE_FIFO = 1 << 10,
	LL_MAKE_BLOCK = 1 << 11,
	LL_MAKE_SYM = 1 << 12,
	LL_REFER = 1 << 13,	/* ABI 2 */
	LL_TRUNCATE = 1 << 14,	/* ABI 3 */
	LL_IOCTL_DEV = 1 << 15, /* ABI 5 */
	LL_FS_ALL = (1 << 16) - 1,

	LL_READ = LL_EXECUTE | LL_READ_FILE | LL_READ_DIR,
	/* All that a directory of one's own needs: everything but device nodes. */
	LL_OWN = LL_FS_ALL & ~(LL_MAKE_CHAR | LL_MAKE_BLOCK),
	/* The only rights that a rule on a file (not a directory) may carry. */
	LL_FILE_RIGHTS = LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV,
};

enum landlock_net { LL_BIND_TCP = 1 << 0, LL_CONNECT_TCP = 1 << 1 };		   /* ABI 4 */
enum landlock_scope { LL_SCOPE_ABSTRACT_UNIX = 1 << 0, LL_SCOPE_SIGNAL = 1 << 1 }; /* ABI 6 */

struct landlock_ruleset_attr_v6 {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

struct landlock_path_rule {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

/* What ABI @abi handles: the three masks that it knows. */
static inline void landlock_known(int abi, struct landlock_ruleset_attr_v6 *ret)
{
	uint64_t fs = abi < 1 ? 0 : (1 << 13) - 1;

	if (abi >= 2)
		fs |= LL_REFER;
	if (abi >= 3)
		fs |= LL_TRUNCATE;
	if (abi >= 5)
		fs |= LL_IOCTL_DEV;
	ret->handled_access_fs = fs;
	ret->handled_access_net = abi >= 4 ? LL_BIND_TCP | LL_CONNECT_TCP : 0;
	ret->scoped = abi >= 6 ? LL_SCOPE_ABSTRACT_UNIX | LL_SCOPE_SIGNAL : 0;
}

/* The kernel's ABI, from 1. -ENOSYS: not compiled in; -EOPNOTSUPP: not among lsm=. */
static inline int sys_landlock_abi(void)
{
	return (int)sys_call(SYS_landlock_create_ruleset, NULL, 0, 1 /* VERSION */);
}

static inline int sys_landlock_create(const struct landlock_ruleset_attr_v6 *attr)
{
	/* The kernel takes a longer structure if what it does not know is 0. */
	return (int)sys_call(SYS_landlock_create_ruleset, attr, sizeof(*attr), 0);
}

static inline int sys_landlock_add_path(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_rule rule = { .allowed_access = access, .parent_fd = fd };

	return (int)sys_call(SYS_landlock_add_rule, ruleset, 1 /* PATH_BENEATH */, &rule, 0);
}

static inline int sys_landlock_restrict(int ruleset)
{
	return (int)sys_call(SYS_landlock_restrict_self, ruleset, 0);
}

#endif
