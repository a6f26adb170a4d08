/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send KIND HOST PORT [OPTION]… HEX…  have a socket of KIND say HEX, which is
 * hexadecimal, to HOST. A piece each send(2); with "+" before it, once there is
 * an answer to what was before. Whether it came through is for the canary outside
 * to say: this ends with "contained" after whatever the kernel answered.
 *
 * Options:
 *	--bind=ADDR       as the source
 *	--device=NAME     SO_BINDTODEVICE
 *	--freebind        IP_FREEBIND
 *	--transparent     IP_TRANSPARENT
 *	--broadcast       SO_BROADCAST
 *	--route=ADDR      a loose source route (RFC 791 §3.1) through ADDR
 *	--fastopen        the first piece in the SYN (MSG_FASTOPEN)
 *	--first=ADDR      connect there, undo it (AF_UNSPEC), then HOST
 *	--fd=N            the socket is descriptor N, which is connected
 *	--unconnected     sendto(2), without connect(2)
 *	--deaf            wait for no answer
 * HOST: a name (asked of 198.18.0.1), or whatever inet_aton(3) or inet_pton(3) take.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "probe.h"

enum { WAIT_MS = 5000, DNS_PORT = 53, PIECE_MAX = 16384, PACKET = 17, VSOCK = 40, FREEBIND = 15 };
enum { V6_FREEBIND = 78, TRANSPARENT = 19, DCCP = 6 };

static const struct kind {
	const char *name;
	int family, type, protocol;
} kinds[] = {
	{ "tcp", AF_INET, SOCK_STREAM, 0 },
	{ "tcp6", AF_INET6, SOCK_STREAM, 0 },
	{ "mptcp", AF_INET, SOCK_STREAM, 262 },
	{ "sctp", AF_INET, SOCK_STREAM, 132 },
	{ "sctp-packets", AF_INET, SOCK_SEQPACKET, 132 },
	{ "dccp", AF_INET, DCCP, 33 },
	{ "smc", 43, SOCK_STREAM, 0 },
	{ "udp", AF_INET, SOCK_DGRAM, 0 },
	{ "udp6", AF_INET6, SOCK_DGRAM, 0 },
	{ "udplite", AF_INET, SOCK_DGRAM, 136 },
	{ "ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
	{ "ping6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 },
	{ "raw-icmp", AF_INET, SOCK_RAW, IPPROTO_ICMP },
	{ "raw-icmp6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6 },
	{ "raw-gre", AF_INET, SOCK_RAW, IPPROTO_GRE },
	{ "raw-ip", AF_INET, SOCK_RAW, IPPROTO_RAW },
	{ "packet", PACKET, SOCK_DGRAM, 0x0008 /* ETH_P_IP */ },
	{ "vsock", VSOCK, SOCK_STREAM, 0 },
};

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct {
			uint16_t family, protocol;
			int32_t index;
			uint8_t rest[12];
		} link; /* sockaddr_ll of packet(7) */
		struct {
			uint16_t family, zero;
			uint32_t port, cid;
			uint32_t more;
		} vm; /* sockaddr_vm of vsock(7) */
	};
	socklen_t len;
};

static uint8_t piece[PIECE_MAX];

static size_t read_hex(const char *hex)
{
	size_t n = strlen(hex) / 2;

	if (n > sizeof(piece))
		usage("pieces of at most 16 KiB");
	for (size_t i = 0; i < n; i++) {
		char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		piece[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return n;
}

/* The first address of @name, by the question that a resolver asks. */
static int look_up(const char *name, int family, struct address *ret)
{
	const uint8_t head[12] = { 0x12, 0x34, 1, 0, 0, 1 };
	const struct sockaddr_in server = { .sin_family = AF_INET,
					    .sin_port = htons(DNS_PORT),
					    .sin_addr.s_addr = htonl(0xc6120001) };
	const size_t size = family == AF_INET6 ? 16 : 4;
	const uint8_t tail[5] = { 0, 0, family == AF_INET6 ? 28 : 1, 0, 1 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd p = { fd, POLLIN, 0 };
	uint8_t m[512];
	size_t n = sizeof(head);
	ssize_t len;

	memcpy(m, head, sizeof(head));
	for (const char *s = name; *s;) {
		size_t label = strcspn(s, ".");

		m[n++] = (uint8_t)label;
		memcpy(m + n, s, label);
		n += label;
		s += label + (s[label] == '.');
	}
	memcpy(m + n, tail, sizeof(tail));
	n += sizeof(tail);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&server, sizeof(server)) < 0 ||
	    send(fd, m, n, 0) < 0 || poll(&p, 1, WAIT_MS) != 1)
		return -1;
	len = recv(fd, m, sizeof(m), 0);
	close(fd);
	/* One record: a pointer to the name, type, class, time, length, the address. */
	if (len < (ssize_t)(n + 12 + size) || m[7] == 0)
		return -1;
	memcpy(family == AF_INET6 ? (void *)&ret->v6.sin6_addr : (void *)&ret->v4.sin_addr,
	       m + n + 12, size);
	return 0;
}

static int find(const char *host, int family, int port, struct address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (family == AF_INET6) {
		char plain[64], *zone;

		snprintf(plain, sizeof(plain), "%s", host);
		zone = strchr(plain, '%');
		if (zone) {
			*zone++ = '\0';
			ret->v6.sin6_scope_id = if_nametoindex(zone);
		}
		ret->v6.sin6_family = AF_INET6;
		ret->v6.sin6_port = htons((uint16_t)port);
		ret->len = sizeof(ret->v6);
		return inet_pton(AF_INET6, plain, &ret->v6.sin6_addr) == 1
			       ? 0
			       : look_up(host, family, ret);
	}
	if (family == PACKET) {
		ret->link.family = PACKET;
		ret->link.protocol = 0x0008;
		ret->link.index = (int32_t)if_nametoindex(host);
		ret->len = 20;
		return 0;
	}
	if (family == VSOCK) {
		ret->vm.family = VSOCK;
		ret->vm.port = (uint32_t)port;
		ret->vm.cid = (uint32_t)atoi(host);
		ret->len = 16;
		return 0;
	}
	ret->v4.sin_family = AF_INET;
	ret->v4.sin_port = htons((uint16_t)port);
	ret->len = sizeof(ret->v4);
	return inet_aton(host, &ret->v4.sin_addr) ? 0 : look_up(host, family, ret);
}

static void set(int fd, int level, int option, const void *value, size_t size)
{
	if (setsockopt(fd, level, option, value, (socklen_t)size) < 0)
		verdict(CONTAINED, "socket option %d: %s", option, strerror(errno));
}

static const char *value_of(const char *arg, const char *name)
{
	size_t n = strlen(name);

	return strncmp(arg, name, n) == 0 ? arg + n : NULL;
}

static void apply(int fd, int family, const char *arg)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	const int one = 1;
	struct address a;
	const char *s;

	if ((s = value_of(arg, "--bind="))) {
		find(s, family, 0, &a);
		if (bind(fd, &a.any, a.len) < 0)
			verdict(CONTAINED, "bind to %s: %s", s, strerror(errno));
	} else if ((s = value_of(arg, "--device="))) {
		set(fd, SOL_SOCKET, SO_BINDTODEVICE, s, strlen(s));
	} else if (strcmp(arg, "--freebind") == 0 && family == AF_INET) {
		set(fd, IPPROTO_IP, FREEBIND, &one, sizeof(one));
	} else if (strcmp(arg, "--freebind") == 0) {
		set(fd, IPPROTO_IPV6, V6_FREEBIND, &one, sizeof(one));
	} else if (strcmp(arg, "--transparent") == 0) {
		set(fd, IPPROTO_IP, TRANSPARENT, &one, sizeof(one));
	} else if (strcmp(arg, "--broadcast") == 0) {
		set(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	} else if ((s = value_of(arg, "--route="))) {
		uint8_t route[8] = { 131, 7, 4 }; /* LSRR, its length, the pointer; then END */

		inet_pton(AF_INET, s, route + 3);
		set(fd, IPPROTO_IP, IP_OPTIONS, route, sizeof(route));
	} else if ((s = value_of(arg, "--first="))) {
		if (find(s, family, 443, &a) < 0 || connect(fd, &a.any, a.len) < 0 ||
		    connect(fd, &none, sizeof(none)) < 0)
			verdict(CONTAINED, "connect and undo it: %s", strerror(errno));
	}
}

static const char *given(int argc, char **argv, const char *name)
{
	for (int i = 4; i < argc; i++) {
		const char *s = value_of(argv[i], name);

		if (s)
			return s;
	}
	return NULL;
}

static int open_socket(const struct kind *k, int argc, char **argv)
{
	const char *number = given(argc, argv, "--fd=");
	const int one = 1;
	int fd = number ? atoi(number) : socket(k->family, k->type, k->protocol);

	if (fd < 0 &&
	    (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT || errno == EAFNOSUPPORT))
		verdict(CANNOT, "socket of %s: %s", k->name, strerror(errno));
	if (fd < 0)
		verdict(CONTAINED, "socket of %s: %s", k->name, strerror(errno));
	if (!number && k->type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (int i = 4; i < argc && !number; i++)
		apply(fd, k->family, argv[i]);
	return fd;
}

/* The answer's first bytes, or why there is none. */
static void hear(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char buf[512];
	ssize_t n;

	if (poll(&p, 1, WAIT_MS) != 1)
		return;
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	printf("answer: %zd %s\n", n, n < 0 ? strerror(errno) : "");
}

int main(int argc, char **argv)
{
	const struct kind *k = kinds, *end = kinds + sizeof(kinds) / sizeof(*kinds);
	struct address to = { .len = 0 };
	int connected, fast, fd;

	while (argc > 4 && k < end && strcmp(k->name, argv[1]) != 0)
		k++;
	if (argc < 5 || k == end)
		usage("send KIND HOST PORT [OPTION]... HEX...");
	fd = open_socket(k, argc, argv);
	connected = given(argc, argv, "--fd=") != NULL;
	fast = given(argc, argv, "--fastopen") != NULL;
	if (!connected && find(argv[2], k->family, atoi(argv[3]), &to) < 0)
		verdict(CONTAINED, "no address for %s", argv[2]);
	if (!connected && !fast && k->type != SOCK_RAW && k->family != PACKET &&
	    !given(argc, argv, "--unconnected")) {
		if (connect(fd, &to.any, to.len) < 0)
			verdict(CONTAINED, "connect: %s", strerror(errno));
		connected = 1;
	}
	for (int i = 4; i < argc; i++) {
		const char *hex = argv[i][0] == '+' ? argv[i] + 1 : argv[i];

		if (value_of(hex, "--"))
			continue;
		if (hex != argv[i])
			hear(fd);
		if (sendto(fd, piece, read_hex(hex), MSG_NOSIGNAL | (fast ? MSG_FASTOPEN : 0),
			   connected ? NULL : &to.any, connected ? 0 : to.len) < 0)
			verdict(CONTAINED, "send: %s", strerror(errno));
		connected |= fast;
		fast = 0;
	}
	if (k->type == SOCK_STREAM)
		shutdown(fd, SHUT_WR);
	if ((k->type == SOCK_STREAM || k->type == SOCK_DGRAM) && !given(argc, argv, "--deaf"))
		hear(fd);
	verdict(CONTAINED, "whether it was heard, the canary says");
}
