/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The system calls that trace.bpf.c looks at, and where their arguments are.
 * For a program in the kernel; numbers: asm/unistd.h of each machine.
 */
#ifndef PURPLE_TRACE_CALLS_H
#define PURPLE_TRACE_CALLS_H

#include "trace/kernel.h"
#include "trace/protocol.h"

enum call_what {
	CALL_NONE,
	/* Of interest only when they are refused … */
	CALL_NAMES,
	CALL_RENAMES,
	CALL_EXECS,
	/* … and always. */
	CALL_OPENS,
	CALL_OPENS_AT,
	CALL_OPENS2,
	CALL_CREATES,
	CALL_CONNECTS
};

enum { CALLS = 512, CALL_CWD = 255 };

struct call {
	__u8 what;   /* enum call_what */
	__u8 path;   /* number of the argument that names the file */
	__u8 dir;    /* of the directory that it is relative to; CALL_CWD: the working directory */
	__u8 access; /* enum trace_access; of OPENS: what the flags say */
};

/* clang-format off */
static const struct call calls[CALLS] = {
#if defined(__TARGET_ARCH_x86)
	[2] = { CALL_OPENS, 0, CALL_CWD, 0 },
	[42] = { CALL_CONNECTS, 0, 0, 0 },
	[59] = { CALL_EXECS, 0, CALL_CWD, TRACE_EXECUTE },
	[76] = { CALL_NAMES, 0, CALL_CWD, TRACE_WRITE },	/* truncate */
	[82] = { CALL_RENAMES, 0, CALL_CWD, TRACE_REMOVE },	/* rename */
	[83] = { CALL_NAMES, 0, CALL_CWD, TRACE_CREATE },	/* mkdir */
	[84] = { CALL_NAMES, 0, CALL_CWD, TRACE_REMOVE },	/* rmdir */
	[85] = { CALL_CREATES, 0, CALL_CWD, 0 },
	[86] = { CALL_NAMES, 1, CALL_CWD, TRACE_CREATE },	/* link */
	[87] = { CALL_NAMES, 0, CALL_CWD, TRACE_REMOVE },	/* unlink */
	[88] = { CALL_NAMES, 1, CALL_CWD, TRACE_CREATE },	/* symlink */
	[133] = { CALL_NAMES, 0, CALL_CWD, TRACE_CREATE },	/* mknod */
	[257] = { CALL_OPENS_AT, 1, 0, 0 },
	[258] = { CALL_NAMES, 1, 0, TRACE_CREATE },		/* mkdirat */
	[259] = { CALL_NAMES, 1, 0, TRACE_CREATE },		/* mknodat */
	[263] = { CALL_NAMES, 1, 0, TRACE_REMOVE },		/* unlinkat */
	[264] = { CALL_RENAMES, 1, 0, TRACE_REMOVE },		/* renameat */
	[265] = { CALL_NAMES, 3, 2, TRACE_CREATE },		/* linkat */
	[266] = { CALL_NAMES, 2, 1, TRACE_CREATE },		/* symlinkat */
	[316] = { CALL_RENAMES, 1, 0, TRACE_REMOVE },		/* renameat2 */
	[322] = { CALL_EXECS, 1, 0, TRACE_EXECUTE },
#elif defined(__TARGET_ARCH_arm64)
	[33] = { CALL_NAMES, 1, 0, TRACE_CREATE },		/* mknodat */
	[34] = { CALL_NAMES, 1, 0, TRACE_CREATE },		/* mkdirat */
	[35] = { CALL_NAMES, 1, 0, TRACE_REMOVE },		/* unlinkat */
	[36] = { CALL_NAMES, 2, 1, TRACE_CREATE },		/* symlinkat */
	[37] = { CALL_NAMES, 3, 2, TRACE_CREATE },		/* linkat */
	[38] = { CALL_RENAMES, 1, 0, TRACE_REMOVE },		/* renameat */
	[45] = { CALL_NAMES, 0, CALL_CWD, TRACE_WRITE },	/* truncate */
	[56] = { CALL_OPENS_AT, 1, 0, 0 },
	[203] = { CALL_CONNECTS, 0, 0, 0 },
	[221] = { CALL_EXECS, 0, CALL_CWD, TRACE_EXECUTE },
	[276] = { CALL_RENAMES, 1, 0, TRACE_REMOVE },		/* renameat2 */
	[281] = { CALL_EXECS, 1, 0, TRACE_EXECUTE },
#endif
	[437] = { CALL_OPENS2, 1, 0, 0 },
};
/* clang-format on */

#endif
