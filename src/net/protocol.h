/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the supervisor and purple-net: one SEQPACKET socket pair, purple-net's
 * end as descriptor NET_CONTROL_FD. A message is one packet: struct net_message
 * whole, descriptors by SCM_RIGHTS.
 *
 *	supervisor → purple-net
 *	NET_CONFIG	first of all; a sealed memfd with a struct net_block, and @count
 *			NET_SOCKET_PUBLISHED; last, if it shall be seen, a memfd for a
 *			struct net_tally (net/tally.h)
 *	NET_SOCKETS	when the sandbox's namespace is ready; @count sockets,
 *			@sockets says what each is; several where one has no room
 *	NET_RULES	other rules: a sealed memfd as NET_CONFIG's, of which the rest is as it
 *			was; @count is a number for the answer
 *	NET_SHOW	say what there is, in the memfd that comes with it (net/live.h); @count
 *			likewise
 *	NET_TRIED	inside, somebody sends datagrams to @address, @port; where no rule lists
 *that port, nothing of them arrives here: say what the rules say (NET_DENIED) purple-net →
 *supervisor NET_READY	it has confined itself and read the configuration NET_FAILED	it cannot;
 *@error, @text says why. Then it exits NET_DENIED	something was refused; at most
 *NET_DENIED_PER_SECOND or _AUDITED, the others are counted in the next one's @count; at the end in
 *one whose @verdict is 0, and which tells of no other NET_ALLOWED	what went out, as far as the
 *configuration asks for it (enum net_tell): a connection, the first datagram of a flow, a name that
 *			was answered (@port 0), a request of plain HTTP (@method is not
 *			empty). What there was no room for is counted in the next one's @count
 *	NET_CHANGED	the rules are in force; @count as it was asked, @error: how many flows
 *			they cut
 *	NET_SHOWN	it is in the memfd, or @error says why not
 *
 * The end of either is the end of the other: when the socket is closed,
 * purple-net sends on what came from inside, for at most 2 s, and exits; and when
 * purple-net is gone its sockets are, so that what connects inside is refused
 * (fail closed). The supervisor takes what purple-net says as hostile: it reads
 * bytes from inside.
 */
#ifndef PURPLE_NET_PROTOCOL_H
#define PURPLE_NET_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

enum {
	NET_CONTROL_FD = 3,
	NET_SOCKETS_MAX = 200,
	NET_PUBLISHED_MAX = 64,
	NET_DENIED_PER_SECOND = 20,
	NET_DENIED_AUDITED = 1000, /* the same where NET_ALLOWED is asked for */
};

enum net_message_type {
	NET_CONFIG = 1,
	NET_SOCKETS,
	NET_READY,
	NET_FAILED,
	NET_DENIED,
	NET_RULES,
	NET_CHANGED,
	NET_SHOW,
	NET_SHOWN,
	NET_ALLOWED,
	NET_TRIED
};

/* What NET_ALLOWED tells of; of struct net_block. */
enum net_tell { NET_TELL_FLOWS = 1 << 0, NET_TELL_REQUESTS = 1 << 1, NET_TELL_ALL = 3 };

/* Made by PID 1 inside its own network namespace, where every address is local. */
enum net_socket_kind {
	NET_SOCKET_TCP =
		1, /* listening; takes what the rules redirect, SO_ORIGINAL_DST says from where */
	NET_SOCKET_DNS_TCP, /* listening; what went to any address, port 53 */
	NET_SOCKET_DNS_UDP, /* bound to every address, port 53, with IP(V6)_RECVPKTINFO */
	NET_SOCKET_UDP,	    /* the same, with a port that a rule lists */
	NET_SOCKET_ICMP,    /* raw, ICMP or ICMPv6; receives nothing */
	NET_SOCKET_POOL,    /* TCP, neither bound nor connected: for what comes in */
	/* Made by the supervisor, on the host's side: listening; @port is that inside. */
	NET_SOCKET_PUBLISHED,
	NET_SOCKET_KINDS
};

struct net_socket {
	uint8_t kind; /* enum net_socket_kind */
	uint8_t v6;   /* AF_INET6, with IPV6_V6ONLY; else AF_INET */
	uint16_t port;
};

struct net_message {
	uint32_t type;
	uint32_t count;	 /* SOCKETS, DENIED (not told of): how many; else a request's number */
	int32_t error;	 /* FAILED, SHOWN: -errno; CHANGED: a count */
	uint8_t udp;	 /* DENIED, ALLOWED */
	uint8_t verdict; /* DENIED: enum net_verdict */
	uint16_t port;	 /* DENIED, ALLOWED, TRIED */
	union {
		struct net_socket sockets[NET_SOCKETS_MAX];
		struct {
			/* FAILED: why; DENIED, ALLOWED: the name or address. NUL-terminated */
			char text[256];
			/*
			 * Where the name leads: DENIED, for SPECIAL or BLOCKED; ALLOWED. TRIED: as
			 * it is inside.
			 * NUL-terminated
			 */
			char address[46];
			uint16_t rule; /* DENIED, BLOCKED: its place in the list, from 1; 0: unknown
					*/
			char method[36], path[256]; /* ALLOWED; NUL-terminated; cut */
			uint64_t time_ns;	    /* DENIED, ALLOWED: when; CLOCK_REALTIME */
		};
	};
};

/* Why something was refused. */
enum net_verdict {
	NET_NOT_LISTED = 1, /* no rule allows it */
	NET_BLOCKED,	    /* a rule of blocked_ips */
	NET_SPECIAL,	    /* a private, loopback or metadata range that no rule lists */
	NET_OTHER_NAME,	    /* the ClientHello or the Host: another name, bad, late */
	NET_NO_NAME,	    /* an address that nobody handed out */
	NET_UNREACHABLE,    /* allowed, but the host's side could not connect */
	NET_TOO_MANY,	    /* max_connections */
	NET_TOO_MANY_NAMES, /* new ones under a wildcard, net/newnames.h */
	NET_VERDICTS
};

#endif
