/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs in the kernel, from load to the descriptors that keep them there:
 * they are gone when these are closed. Uses libbpf (bpf(2), and the kernel's own
 * types in /sys/kernel/btf/vmlinux), so it needs root's capabilities.
 */
#ifndef PURPLE_TRACE_OBJECT_H
#define PURPLE_TRACE_OBJECT_H

#include "base/err.h"
#include "trace/protocol.h"
#include "trace/shared.h"

struct bpf_object;
struct ring_buffer;

struct trace_object {
	struct bpf_object *object;
	struct ring_buffer *ring;    /* with the callback that was given */
	struct trace_shared *shared; /* mapped: what the programs have there */
};

/*
 * Load, say that our parent is the supervisor, and attach. @told is called by
 * ring_buffer__consume() for each record; negative ends that. -errno with @e set.
 */
int trace_object_open(struct trace_object *o, const struct trace_config *config,
		      int (*told)(void *arg, void *record, size_t size), void *arg, struct err *e);

/* Readable when there are records. */
int trace_object_fd(const struct trace_object *o);

#endif
