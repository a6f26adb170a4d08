/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-trace and its programs in the kernel share: the latter's .bss, mapped. */
#ifndef PURPLE_TRACE_SHARED_H
#define PURPLE_TRACE_SHARED_H

#include <linux/types.h>

enum { TRACE_WAKE_NS = 20 * 1000 * 1000 }; /* purple-trace is woken so often at most */

struct trace_shared {
	/* Set by purple-trace before they are attached. */
	__u32 flags; /* enum trace_flags */
	__u32 pad;

	/* By trace_identify(): who clones the sandbox. */
	__u32 supervisor; /* its thread group, as the initial namespace numbers it */
	__u32 level;	  /* of the pid namespaces: the sandbox's own */

	/* By the program on sched_process_fork, once. */
	__u64 ns;	    /* the sandbox's pid namespace; 0: not there yet */
	__u64 setup_mm;	    /* the memory that those who set up have together with the supervisor */
	__u64 init_exe;	    /* inode of purple-init */
	__u64 init_exec_id; /* how many executions PID 1 has behind it */

	__u64 woken; /* CLOCK_MONOTONIC, ns */
	__u64 lost;  /* records for which there was no room */
};

#endif
