/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/netlink.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "sys/files.h"

enum { LO = 1 /* LOOPBACK_IFINDEX of the kernel */ };

static unsigned count_acks(const char *data, size_t size)
{
	unsigned n = 0;

	while (size >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr h;
		size_t step;

		memcpy(&h, data, sizeof(h));
		step = NLMSG_ALIGN((size_t)h.nlmsg_len);
		if (h.nlmsg_len < sizeof(h))
			break;
		n += (h.nlmsg_flags & NLM_F_ACK) != 0;
		step = MIN(step, size);
		data += step;
		size -= step;
	}
	return n;
}

/* Each answer is a datagram; what it quotes of ours is cut off. */
static int read_acks(int fd, unsigned expected)
{
	while (expected > 0) {
		struct {
			struct nlmsghdr head;
			int32_t error;
		} answer = { 0 };
		long n = sys_call(SYS_recvfrom, fd, &answer, sizeof(answer), MSG_DONTWAIT, 0, 0);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return n == -EAGAIN ? -EPROTO : (int)n;
		if (n < (long)sizeof(answer) || answer.head.nlmsg_type != NLMSG_ERROR)
			return -EPROTO;
		if (answer.error < 0)
			return answer.error;
		expected--;
	}
	return 0;
}

int sys_netlink(int protocol, const void *data, size_t size)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int fd = (int)sys_call(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	long r;

	if (fd < 0)
		return fd;
	r = sys_call(SYS_sendto, fd, data, size, 0, &kernel, sizeof(kernel));
	if (r >= 0)
		r = (size_t)r == size ? read_acks(fd, count_acks(data, size)) : -EPROTO;
	sys_close(fd);
	return (int)r;
}

/* One attribute; @at is where it begins, where the next one does is returned. */
static size_t put(char *message, size_t at, unsigned short type, const void *data, size_t size)
{
	struct rtattr a = { .rta_len = (unsigned short)RTA_LENGTH(size), .rta_type = type };

	memcpy(message + at, &a, sizeof(a));
	memcpy(message + at + RTA_LENGTH(0), data, size);
	return at + RTA_ALIGN(a.rta_len);
}

int sys_netlink_any_is_local(bool v6, const uint8_t *addr)
{
	const unsigned char family = v6 ? AF_INET6 : AF_INET;
	const size_t size = v6 ? 16 : 4;
	const struct ifaddrmsg address = { .ifa_family = family,
					   .ifa_prefixlen = (unsigned char)(size * 8),
					   .ifa_scope = RT_SCOPE_UNIVERSE,
					   .ifa_index = LO };
	const struct rtmsg route = { .rtm_family = family,
				     .rtm_table = RT_TABLE_LOCAL,
				     .rtm_protocol = RTPROT_BOOT,
				     .rtm_scope = RT_SCOPE_HOST,
				     .rtm_type = RTN_LOCAL };
	struct nlmsghdr h = { .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE |
					     NLM_F_EXCL };
	const int lo = LO;
	char message[128] __attribute__((__aligned__(4))) = { 0 };
	size_t end = NLMSG_LENGTH(sizeof(address));
	int r;

	memcpy(message + NLMSG_HDRLEN, &address, sizeof(address));
	end = put(message, end, IFA_LOCAL, addr, size);
	end = put(message, end, IFA_ADDRESS, addr, size);
	h.nlmsg_type = RTM_NEWADDR;
	h.nlmsg_len = (unsigned)end;
	memcpy(message, &h, sizeof(h));
	r = sys_netlink(NETLINK_ROUTE, message, end);
	if (r < 0)
		return r;
	memset(message, 0, sizeof(message));
	memcpy(message + NLMSG_HDRLEN, &route, sizeof(route));
	end = put(message, NLMSG_LENGTH(sizeof(route)), RTA_OIF, &lo, sizeof(lo));
	if (!v6) /* else the source would be where it goes; IPv6 chooses better */
		end = put(message, end, RTA_PREFSRC, addr, size);
	h.nlmsg_type = RTM_NEWROUTE;
	h.nlmsg_len = (unsigned)end;
	memcpy(message, &h, sizeof(h));
	return sys_netlink(NETLINK_ROUTE, message, end);
}
