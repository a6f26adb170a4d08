/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of a sandbox: what `purple exec`, `stop`, `ps` and their
 * kin say to its supervisor. A SEQPACKET unix(7) socket named "control" in the
 * sandbox's state directory, which only its owner can enter; the peer's uid
 * (SO_PEERCRED) must be the supervisor's or 0 besides, and one of the supervisor's
 * own uid must be in its user and pid namespace: what runs inside a sandbox may
 * have the same uid, and is refused wherever it finds the socket.
 *
 * Every message is one packet: struct control_head, then a payload that its
 * type tells. A malformed one is answered by CONTROL_ERROR and the connection
 * is closed. The supervisor never waits for a client: one that does not read
 * its replies is closed too, and where there are CONTROL_CLIENTS_MAX, the one that
 * has waited for nothing for longest makes room. A connection carries any number
 * of requests one after the other; EXEC or ATTACH make it that command's own.
 *
 *	request   value            payload, descriptors          answered by
 *	STOP      grace in ms      -                             OK, at once
 *	KILL      signal; 0: KILL  -                             OK
 *	PAUSE     -                -                             OK, when it is so
 *	RESUME    -                -                             OK
 *	STATS     -                -                             STATS_ARE: struct control_stats
 *	WAIT      -                -                             ENDED: struct control_ended
 *	EXEC      CONTROL_TTY_*    memfd (struct init_block with EXITED: wait status;
 *	                           cwd or "", arguments, extra   with a terminal before
 *	                           variables), then 0, 1, 2      that STARTED: its master
 *	                                                         and slave by SCM_RIGHTS
 *	ATTACH    -                -                             OK, value 1: it has a
 *	                                                         terminal; OUTPUT …; ENDED
 *	SIGNAL    signal           - (after EXEC, ATTACH: to     -
 *	                           that command, if it runs)
 *	INPUT     -                bytes (after ATTACH); none:   -
 *	                           end of input
 *	RESIZE    rows << 16|cols  - (after ATTACH)              -
 *	NET_SHOW  -                -                             NET_IS: struct control_net; by
 *	                                                         SCM_RIGHTS a memfd: struct
 *	                                                         denials, the rules allowed, those
 *	                                                         blocked; and one of purple-net's
 *	                                                         (net/live.h), hostile, if it lives
 *	NET_ALLOW -                rules, each with its NUL      OK, value: connections that it cut
 *	NET_DENY  -                likewise                      likewise
 *	INTENT    -                a text, then any number of    OK, when it is on its way to
 *	                           "kind:pattern", each with     the trail
 *	                           its NUL
 *	DENIALS   -                -                             DENIALS_ARE; by SCM_RIGHTS a
 *	                                                         memfd: struct denials
 *	SNAPSHOT  -                a label; "": the next number  SNAPSHOT_IS, value: the layer
 *	                                                         to copy the one on top to;
 *	                                                         payload: the label. Until then,
 *	                                                         or the end of the connection,
 *	                                                         nothing inside runs
 *	COPIED    that layer       -                             OK: it is the snapshot
 *	any       -                -                             ERROR: struct err
 *
 * `purple stop` sends STOP and WAIT. When the client of an EXEC is gone, its
 * command gets SIGKILL. End of file without ENDED: the supervisor has died.
 */
#ifndef PURPLE_SUPERVISOR_CONTROL_H
#define PURPLE_SUPERVISOR_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cgroup/cgroup.h"
#include "event/event.h"
#include "net/tally.h"

#define CONTROL_MAGIC 0x4c544350u	/* "PCTL" */
#define CONTROL_GRACE_POLICY UINT32_MAX /* STOP: the policy's own grace */

enum control_type {
	CONTROL_STOP = 1,
	CONTROL_KILL,
	CONTROL_PAUSE,
	CONTROL_RESUME,
	CONTROL_STATS,
	CONTROL_WAIT,
	CONTROL_EXEC,
	CONTROL_ATTACH,
	CONTROL_SIGNAL,
	CONTROL_INPUT,
	CONTROL_RESIZE,
	CONTROL_NET_SHOW,
	CONTROL_NET_ALLOW,
	CONTROL_NET_DENY,
	CONTROL_INTENT,
	CONTROL_DENIALS,
	CONTROL_SNAPSHOT,
	CONTROL_COPIED,
	CONTROL_REQUESTS, /* below: requests */

	CONTROL_OK = 64,
	CONTROL_ERROR,
	CONTROL_STARTED,
	CONTROL_EXITED,
	CONTROL_OUTPUT, /* value: 1 or 2, the stream */
	CONTROL_STATS_ARE,
	CONTROL_ENDED,
	CONTROL_NET_IS,
	CONTROL_DENIALS_ARE,
	CONTROL_SNAPSHOT_IS
};

/* EXEC: bit n: descriptor n shall be the sandbox's own new terminal. */
enum { CONTROL_TTY_MASK = 7 };

enum { CONTROL_PAYLOAD_MAX = 4096, CONTROL_FDS_MAX = 4, CONTROL_CLIENTS_MAX = 144 };

struct control_head {
	uint32_t magic, type;
	uint32_t size; /* of the whole packet */
	uint32_t value;
};

struct control_message {
	struct control_head head;
	union {
		char bytes[CONTROL_PAYLOAD_MAX];
		struct err err;
		struct control_stats {
			struct cg_usage usage;
			uint32_t commands;    /* that run: the first one and exec'd ones */
			uint32_t from_cgroup; /* 0: counted from /proc, less is known */
			uint64_t memory_limit, pids_limit; /* 0: none */
			uint64_t cpu_limit_us;	  /* of processor time in a second; 0: none */
			uint64_t audit_lost;	  /* lines that the trail could not take */
			uint64_t has_network;	  /* through purple-net; else what follows is 0 */
			struct net_tally network; /* what it has said: hostile */
			uint64_t events[EVENT_TYPES];
		} stats;
		struct control_ended {
			int32_t exit_status; /* what `purple run` exits, or would exit, with */
			char reason[32];     /* as in the report: "exited", "timeout", … */
		} ended;
		struct control_net {
			uint32_t lives; /* purple-net does; else @why it does not */
			uint32_t locked;
			uint32_t allow_count, block_count; /* of struct net_rule */
			uint64_t max_connections, bytes_per_second;
			char why[160];
		} net;
	};
};

#define CONTROL_HEAD(type_, value_, payload)                                                 \
	((struct control_head){ .magic = CONTROL_MAGIC,                                      \
				.type = (type_),                                             \
				.size = (uint32_t)(sizeof(struct control_head) + (payload)), \
				.value = (uint32_t)(value_) })

/*
 * Send @m (head.size bytes) with @nfds descriptors; MSG_NOSIGNAL. @flags: of
 * send(2). 0 or -errno: -EPIPE when the peer is gone.
 */
int control_send(int fd, const struct control_message *m, const int *fds, unsigned nfds, int flags);

/* The same with only a head. */
int control_send_value(int fd, enum control_type type, uint32_t value, int flags);

/*
 * Receive one. 1; 0 at end of file; -errno; -EBADMSG: not a message of this
 * protocol. *nfds: room in @fds, then how many came; they are the caller's,
 * O_CLOEXEC. Too many of them: -EBADMSG, all closed. The payload behind
 * head.size is zeroed, so a fixed struct of it can be read.
 */
int control_receive(int fd, struct control_message *m, int *fds, unsigned *nfds, int flags);

/*
 * The error that the CONTROL_ERROR @m carries, terminated whatever the peer sent;
 * one without a code says that @stage was refused. Returns -code.
 */
int control_error(const struct control_message *m, const char *stage, struct err *e);

#endif
