/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the supervisor and purple-trace: a SEQPACKET pair. Shared with the
 * programs that run in the kernel (trace.bpf.c), which write struct
 * trace_record; so it includes nothing, and its types are __u32 and kin.
 *
 *	supervisor → purple-trace	one struct trace_config; then the end, by
 *					shutdown(2): send what there is, and exit
 *	purple-trace → supervisor	TRACE_READY, or TRACE_FAILED; then
 *					TRACE_RECORDS; at last TRACE_END
 *
 * Whose processes: those in the pid namespace of the first child that the
 * supervisor clones into a new one, and in namespaces below that. The kernel's
 * side sees that clone itself (sched_process_fork), so nobody has to be told,
 * and nothing happens inside before it is known.
 *
 * The strings in a record are hostile: whoever is inside chooses them.
 */
#ifndef PURPLE_TRACE_PROTOCOL_H
#define PURPLE_TRACE_PROTOCOL_H

#include <linux/types.h>

enum {
	TRACE_CONTROL_FD = 3,
	TRACE_PACKET_MAX = 32 * 1024, /* bytes */
	TRACE_PATH_MAX = 4096,	      /* bytes of one string, without a NUL */
	TRACE_ARGS_MAX = 4096	      /* bytes of all arguments, each with its NUL */
};

/* Of a config: what is wanted. */
enum trace_flags {
	TRACE_PROCESSES = 1 << 0, /* EXEC, EXIT */
	TRACE_REFUSALS = 1 << 1,  /* REFUSED */
	TRACE_WRITES = 1 << 2,	  /* OPEN for writing, outside the workspace */
	TRACE_OPENS = 1 << 3,	  /* every OPEN */
	TRACE_CONNECTS = 1 << 4,  /* CONNECTED */
	TRACE_FLAGS_ALL = (1 << 5) - 1
};

struct trace_config {
	__u32 flags;
	__u32 ring_bytes; /* a power of two, of pages; 0: the default, 8 MiB */
	/* Opens for writing below it are not told of; "" none. NUL-terminated. */
	char workspace[TRACE_PATH_MAX];
};

enum trace_message_type { TRACE_READY = 1, TRACE_FAILED, TRACE_RECORDS, TRACE_END };

/* In front of every packet of purple-trace. */
struct trace_head {
	__u32 type;
	__s32 error;	/* FAILED: -errno */
	__u64 lost;	/* RECORDS, END: since the last packet, for want of room in the ring */
	char text[128]; /* FAILED: why; NUL-terminated */
};

enum trace_kind {
	TRACE_EXEC = 1,
	TRACE_EXIT,
	TRACE_OPEN,
	TRACE_REFUSED, /* EACCES, EPERM or EROFS for a named file; to open or execute it, ENOENT */
	TRACE_CONNECTED,
	TRACE_KINDS
};

/* What was wanted of a file. */
enum trace_access {
	TRACE_READ,
	TRACE_WRITE,
	TRACE_EXECUTE,
	TRACE_CREATE,
	TRACE_REMOVE,
	TRACE_ACCESSES
};

/* Of a record. */
enum trace_record_flags {
	TRF_CUT = 1 << 0,     /* the path lacks its beginning, or the arguments their end */
	TRF_UDP = 1 << 1,     /* CONNECTED */
	TRF_V6 = 1 << 2,      /* CONNECTED */
	TRF_THREADS = 1 << 3, /* EXIT: it had more than one; may be told twice */
	TRF_ALL = (1 << 4) - 1
};

/* Its size is a multiple of 8; records follow one another in a packet. */
struct trace_record {
	__u32 size;  /* with what follows it */
	__u8 kind;   /* enum trace_kind */
	__u8 flags;  /* enum trace_record_flags */
	__u8 access; /* OPEN, REFUSED: enum trace_access */
	__u8 pad;
	__u64 time; /* ns. From the kernel: CLOCK_MONOTONIC. To the supervisor: CLOCK_REALTIME */
	__u32 pid, ppid;  /* of the process, as the supervisor sees it */
	__s32 result;	  /* REFUSED, CONNECTED: 0 or -errno; EXIT: the wait status */
	__u32 call;	  /* REFUSED: number of the system call */
	__u16 path_len;	  /* OPEN, REFUSED, EXEC: the path; EXIT: the program's, or its name */
	__u16 base_len;	  /* EXEC: the working directory; REFUSED: where a relative path begins */
	__u16 args_len;	  /* EXEC */
	__u16 port;	  /* CONNECTED; the host's order */
	__u8 address[16]; /* CONNECTED; of IPv4 the first 4 */
	/* path, base, args: bytes, without NUL but for those of args; then up to 7 zeros */
};

#endif
