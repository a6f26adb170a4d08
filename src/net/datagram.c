/* SPDX-License-Identifier: Apache-2.0 */
#include "net/datagram.h"

#include <errno.h>
#include <string.h>

int datagram_prepare(int fd, bool v6)
{
	const int one = 1;

	if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one)) < 0)
		return -errno;
	return 0;
}

void datagram_expect(struct msghdr *m, struct datagram_path *path, union datagram_control *control)
{
	m->msg_name = &path->peer;
	m->msg_namelen = sizeof(path->peer);
	m->msg_control = control;
	m->msg_controllen = sizeof(*control);
	m->msg_flags = 0;
	path->has_local = false;
}

void datagram_read(struct msghdr *m, struct datagram_path *path)
{
	path->peer_len = m->msg_namelen;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in6_pktinfo v6;
		struct in_pktinfo v4;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(c), sizeof(v4));
			memset(&path->local, 0, sizeof(path->local));
			memcpy(&path->local, &v4.ipi_addr, sizeof(v4.ipi_addr));
			path->has_local = true;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(c), sizeof(v6));
			path->local = v6.ipi6_addr;
			path->has_local = true;
		}
	}
}

void datagram_answer(struct msghdr *m, const struct datagram_path *path, bool v6,
		     union datagram_control *control)
{
	struct in6_pktinfo info6 = { .ipi6_addr = path->local };
	struct in_pktinfo info4 = {};
	struct cmsghdr *c;

	m->msg_name = (void *)(uintptr_t)&path->peer;
	m->msg_namelen = path->peer_len;
	m->msg_control = NULL;
	m->msg_controllen = 0;
	m->msg_flags = 0;
	if (!path->has_local)
		return;
	memset(control, 0, sizeof(*control));
	m->msg_control = control;
	m->msg_controllen = v6 ? sizeof(control->v6) : sizeof(control->v4);
	c = CMSG_FIRSTHDR(m);
	if (v6) {
		*c = (struct cmsghdr){ .cmsg_level = IPPROTO_IPV6,
				       .cmsg_type = IPV6_PKTINFO,
				       .cmsg_len = CMSG_LEN(sizeof(info6)) };
		memcpy(CMSG_DATA(c), &info6, sizeof(info6));
	} else {
		memcpy(&info4.ipi_spec_dst, &path->local, sizeof(info4.ipi_spec_dst));
		*c = (struct cmsghdr){ .cmsg_level = IPPROTO_IP,
				       .cmsg_type = IP_PKTINFO,
				       .cmsg_len = CMSG_LEN(sizeof(info4)) };
		memcpy(CMSG_DATA(c), &info4, sizeof(info4));
	}
}
