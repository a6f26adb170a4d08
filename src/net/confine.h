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
#include "sys/confine.h"

/* The soft limit of descriptors up to @want as far as the hard one allows. How many there are. */
unsigned net_raise_descriptors(unsigned want);

int net_confine(struct err *err);

/* For tests of each layer without the others. */
extern const struct confine net_confinement;

#endif
