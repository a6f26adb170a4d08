/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the ring buffer, on their way to the supervisor: told twice, or of
 * the workspace, they are left out; a process that exits gets the path that it
 * last executed; times become those of the calendar; and as many as fit make a
 * packet. No memory is allocated, and no call made but sendto(2): for use under
 * trace/confine.h. One relay a process.
 */
#ifndef PURPLE_TRACE_RELAY_H
#define PURPLE_TRACE_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/protocol.h"

enum {
	RELAY_PROCESSES = 4096, /* whose path is remembered */
	RELAY_PATH_MAX = 250,	/* bytes; of a longer one, an exit has the name (15 bytes) only */
	RELAY_EXITS = 64	/* of processes with threads: the last ones */
};

struct relay {
	int fd;
	uint32_t flags; /* enum trace_flags */
	const char *workspace;
	size_t workspace_len;
	uint64_t clock; /* CLOCK_REALTIME - CLOCK_MONOTONIC, ns */
	uint64_t lost;	/* to be told by the next packet */
	size_t len;	/* of @packet; at least a head */
	struct {
		struct trace_head head;
		char records[TRACE_PACKET_MAX - sizeof(struct trace_head)];
	} packet;
	struct {
		uint32_t pid;
		uint16_t len;
		char path[RELAY_PATH_MAX];
	} processes[RELAY_PROCESSES];
	uint32_t exits[RELAY_EXITS];
	unsigned exits_next;
};

/* @config is borrowed. */
void relay_init(struct relay *r, int fd, const struct trace_config *config);
/* Of ring_buffer__new(): @arg is the relay. -errno: the supervisor is gone. */
int relay_record(void *arg, void *record, size_t size);
/* What there is, with @type. Waits for room. -errno: the supervisor is gone. */
int relay_send(struct relay *r, enum trace_message_type type);

#endif
