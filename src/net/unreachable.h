/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells a program inside that nobody takes its datagram, as a kernel does: ICMP
 * "port unreachable" (RFC 792; RFC 4443 §3.1), by which a connected socket fails
 * with ECONNREFUSED at once. It is sent from the address that the datagram was
 * for, by a raw socket of the sandbox's own namespace, in which there is lo alone.
 */
#ifndef PURPLE_NET_UNREACHABLE_H
#define PURPLE_NET_UNREACHABLE_H

#include <stddef.h>
#include <stdint.h>

#include "net/datagram.h"

enum { UNREACHABLE_MAX = 8 + 40 + 8 };

/*
 * The message about a datagram to @port of path->local, into @ret; its length.
 * It has the datagram's headers and none of its bytes, as if it had been empty.
 * ICMPv6's checksum is the kernel's work.
 */
size_t unreachable_make(const struct datagram_path *path, bool v6, uint16_t port,
			uint8_t ret[UNREACHABLE_MAX]);

/* Nothing happens if it cannot be sent. */
void unreachable_send(int fd, const struct datagram_path *path, bool v6, uint16_t port);

#endif
