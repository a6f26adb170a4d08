/* SPDX-License-Identifier: Apache-2.0 */
#include "net/unreachable.h"

#include <string.h>

#include "base/macros.h"

enum { ICMP_HEAD = 8, IP4_HEAD = 20, IP6_HEAD = 40, UDP_HEAD = 8, HOPS = 64 };
enum { DEST_UNREACH = 3, PORT_UNREACH = 3, DEST_UNREACH6 = 1, PORT_UNREACH6 = 4 };

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* RFC 1071. @len is even. */
static uint16_t checksum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The datagram's own headers: RFC 791 §3.1, RFC 8200 §3, RFC 768. */
static size_t put_headers(const struct datagram_path *path, bool v6, uint16_t port, uint8_t *at)
{
	const struct sockaddr_in *peer4 = (const struct sockaddr_in *)(const void *)&path->peer;
	uint8_t *udp = at + (v6 ? IP6_HEAD : IP4_HEAD);

	if (v6) {
		at[0] = 0x60;
		put16(at + 4, UDP_HEAD);
		at[6] = IPPROTO_UDP;
		at[7] = HOPS;
		memcpy(at + 8, &path->peer.sin6_addr, 16);
		memcpy(at + 24, &path->local, 16);
	} else {
		at[0] = 0x45;
		put16(at + 2, IP4_HEAD + UDP_HEAD);
		at[8] = HOPS;
		at[9] = IPPROTO_UDP;
		memcpy(at + 12, &peer4->sin_addr, 4);
		memcpy(at + 16, &path->local, 4);
		put16(at + 10, checksum(at, IP4_HEAD));
	}
	memcpy(udp, v6 ? &path->peer.sin6_port : &peer4->sin_port, 2);
	put16(udp + 2, port);
	put16(udp + 4, UDP_HEAD);
	return (size_t)(udp + UDP_HEAD - at);
}

size_t unreachable_make(const struct datagram_path *path, bool v6, uint16_t port,
			uint8_t ret[UNREACHABLE_MAX])
{
	size_t size;

	memset(ret, 0, UNREACHABLE_MAX);
	ret[0] = v6 ? DEST_UNREACH6 : DEST_UNREACH;
	ret[1] = v6 ? PORT_UNREACH6 : PORT_UNREACH;
	size = ICMP_HEAD + put_headers(path, v6, port, ret + ICMP_HEAD);
	if (!v6)
		put16(ret + 2, checksum(ret, size));
	return size;
}

void unreachable_send(int fd, const struct datagram_path *path, bool v6, uint16_t port)
{
	uint8_t message[UNREACHABLE_MAX];
	struct iovec iov = { message, unreachable_make(path, v6, port, message) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct datagram_path to = *path;
	union datagram_control control;

	if (fd < 0 || !path->has_local)
		return;
	if (v6)
		to.peer.sin6_port = 0; /* of a raw socket: the protocol's number, or 0: raw(7) */
	datagram_answer(&m, &to, v6, &control);
	sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}
