/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-net gives up what it does not need, before it reads a byte from
 * inside: root's id, every capability, the file system (Landlock with no rule;
 * with scopes: signals and abstract sockets), listening (Landlock: bind), all
 * system calls but those of a relay, and pread and pwrite of a memfd (seccomp: no exec, no fork, no
 * memory; only sockets of IPv4 and IPv6; what else is tried kills it), descriptors over what it
 * will use. It is not dumpable, so its memory is nobody's to read.
 *
 * After it there is no way to open a file or to get memory.
 */
#ifndef PURPLE_NET_CONFINE_H
#define PURPLE_NET_CONFINE_H

#include "base/err.h"

/* The soft limit of descriptors up to @want as far as the hard one allows. How many there are. */
unsigned net_raise_descriptors(unsigned want);

int net_confine(struct err *err);

/*
 * Root's id is nobody's from here on. In a user namespace that has no such id
 * (EINVAL), or may not change its groups (EPERM), root is only a name for the
 * caller. Its first step; 0 or -errno.
 */
int net_leave_root(void);

/* Two of its layers, for tests of each without the other. 0 or -errno. */
int net_restrict_files(void);
int net_load_filter(void);

#endif
