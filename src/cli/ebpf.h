/* SPDX-License-Identifier: Apache-2.0 */
/* Can the kernel tell of what happens inside, by purple-trace? As root only. */
#ifndef PURPLE_CLI_EBPF_H
#define PURPLE_CLI_EBPF_H

#include "cli/dirs.h"

/*
 * What purple-trace lacks here, as a constant text; NULL: nothing that is seen at a
 * glance. Costs two look-ups of files.
 */
const char *ebpf_lacks(const struct dirs *d);

/*
 * Try it: load and attach, and let go. 0; ENOENT: purple-trace is not installed;
 * EPERM: the caller may not; ENODATA: the kernel does not describe its types;
 * another errno: of what it tried. About 0.1 s.
 */
int ebpf_try(const struct dirs *d);

#endif
