/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the supervisor and purple-init of a sandbox that stays: one
 * SEQPACKET socket pair. Messages are these structs, whole.
 *
 * Why commands are started by purple-init and not by somebody who joins the
 * namespaces: a child of PID 1 has by birth every namespace, filter, Landlock
 * domain, capability set and cgroup of the sandbox; nobody of the host's ever
 * enters, so nothing can be left half joined (CVE-2016-9962, CVE-2022-31214).
 *
 * PID 1 takes on Landlock and the filter before it becomes purple-init, then
 * says INIT_READY. Each INIT_EXEC carries by SCM_RIGHTS: a memfd with a struct
 * init_block, then the descriptors for 0, 1 and 2. It is answered by
 * INIT_STARTED (with a pidfd by SCM_RIGHTS) or INIT_FAILED, and when the
 * process has ended by INIT_EXITED. End of file on the socket is the
 * supervisor's death: purple-init exits, and with it everything inside.
 *
 * purple-init runs inside: the supervisor takes what it says as hostile. What
 * else runs inside may stop a child between its clone and its exec, and with it
 * purple-init, which waits for the exec: so no wait for an answer is without a
 * limit. (It ends in the same way as everything inside: by SIGKILL to PID 1.)
 */
#ifndef PURPLE_JAIL_INIT_PROTOCOL_H
#define PURPLE_JAIL_INIT_PROTOCOL_H

#include <stdint.h>

enum init_type { INIT_READY, INIT_EXEC, INIT_STARTED, INIT_FAILED, INIT_EXITED };

enum { INIT_COMMANDS_MAX = 128 }; /* that purple-init reports on at a time; more: EAGAIN */

struct init_message {
	uint32_t type;
	uint32_t token; /* the supervisor's number for this command */
	uint32_t flags; /* EXEC: INIT_TTY; FAILED: enum init_stage */
	int32_t value;	/* STARTED: pid inside; FAILED: errno; EXITED: wait status */
};
#define INIT_TTY 1u /* descriptor 0 becomes the controlling terminal of its session */

/* Where a command failed to start; every one is in a session of its own. */
enum init_stage { INIT_AT_START, INIT_AT_TERMINAL, INIT_AT_DIRECTORY, INIT_AT_EXEC };

/*
 * The memfd: this, then NUL-terminated strings one after the other: the
 * working directory, @argc arguments, @envc variables. Written by the
 * supervisor alone; at most INIT_BLOCK_MAX bytes.
 */
enum { INIT_BLOCK_MAX = 4 << 20 };
struct init_block {
	uint32_t size; /* of all */
	uint32_t argc, envc;
	uint32_t pad;
};

#endif
