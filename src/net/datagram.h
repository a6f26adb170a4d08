/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One datagram of a socket that is bound to every address: who sent it, and to
 * which address, from which the answer goes back (IP_PKTINFO of ip(7),
 * IPV6_PKTINFO of RFC 3542 §6).
 */
#ifndef PURPLE_NET_DATAGRAM_H
#define PURPLE_NET_DATAGRAM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { DATAGRAM_MAX = 65536 }; /* more than any: 65507 bytes over IPv4, 65527 over IPv6 */

struct datagram_path {
	struct sockaddr_in6 peer; /* or a sockaddr_in within */
	socklen_t peer_len;
	struct in6_addr local; /* IPv4: the first 4 bytes */
	bool has_local;
};

union datagram_control {
	struct cmsghdr align;
	char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/*
 * For IPv6 a local route is not enough to send from any address
 * (ip6_datagram_send_ctl()): IPV6_FREEBIND. 0 or -errno.
 */
int datagram_prepare(int fd, bool v6);

/* Ready to receive: @m's name, control and @path are one another's. The iovec is the caller's. */
void datagram_expect(struct msghdr *m, struct datagram_path *path, union datagram_control *control);
/* What was received. */
void datagram_read(struct msghdr *m, struct datagram_path *path);
/* Ready to send to path->peer, from path->local. @path outlives @m. */
void datagram_answer(struct msghdr *m, const struct datagram_path *path, bool v6,
		     union datagram_control *control);

#endif
