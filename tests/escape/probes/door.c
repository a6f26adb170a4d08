/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door WHAT …: ways out of a network namespace that are no packet, or make room for one.
 *
 * door unix PATH TEXT     say TEXT to what listens at PATH
 * door abstract NAME TEXT the same, of an abstract socket
 * door rights PATH TEXT   send what listens at PATH a descriptor with TEXT in it
 * door families           sockets of other families than the usual ones
 * door netlinks           sockets of netlink(7) but NETLINK_ROUTE
 * door route|rule|address|link|ruleset  change it, by netlink(7)
 * door unshare            a user and a network namespace of one's own
 * door tun PATH           an interface, by a device that is made at PATH
 * door getfd              the control socket of purple-net, by pidfd_getfd(2)
 * door uring ADDR PORT TEXT  connect and send by io_uring, which a filter does not see
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>

#include "probe.h"

/* ---- unix(7) ---- */

static int connect_unix(const char *name, int hidden)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (n + 2 > sizeof(a.sun_path))
		usage("a shorter name");
	memcpy(a.sun_path + hidden, name, n);
	n += offsetof(struct sockaddr_un, sun_path) + 1;
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, (socklen_t)n) < 0)
		verdict(CONTAINED, "connect: %s", strerror(errno));
	return fd;
}

static long say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static long send_rights(int fd, const char *text)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)),
			     .cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { (char[]){ "x" }, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	int file = memfd_create("given", 0);

	if (file < 0 || write(file, text, strlen(text)) < 0)
		verdict(CANNOT, "memfd: %s", strerror(errno));
	memcpy(CMSG_DATA(&control.h), &file, sizeof(file));
	return sendmsg(fd, &m, MSG_NOSIGNAL);
}

/* ---- families ---- */

static void families(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW };
	static const int usual[] = { AF_UNIX, AF_INET, AF_INET6, 16 /* NETLINK */ };
	int there = 0;

	for (int family = 0; family < 64; family++) {
		int known = 0;

		for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
			known |= usual[i] == family;
		for (size_t i = 0; !known && i < sizeof(types) / sizeof(*types); i++) {
			int fd = socket(family, types[i], 0);

			if (fd < 0 && errno == EAFNOSUPPORT)
				continue;
			printf("family %d type %d: %s\n", family, types[i],
			       fd < 0 ? strerror(errno) : "a socket");
			there++;
		}
	}
	if (there)
		verdict(ESCAPED, "%d came through to the kernel", there);
	verdict(CONTAINED, "no other family");
}

static void netlinks(void)
{
	for (int protocol = 1; protocol < 32; protocol++)
		if (socket(16 /* AF_NETLINK */, SOCK_RAW, protocol) >= 0)
			verdict(ESCAPED, "a socket of protocol %d", protocol);
	verdict(CONTAINED, "routes alone");
}

/* ---- netlink(7), rtnetlink(7) ---- */

enum { ROUTE = 0, NETFILTER = 12, ACK_CREATE = 0x405, NEWLINK = 16, NEWADDR = 20, NEWROUTE = 24 };
enum { NEWRULE = 32, NFT_BATCH_BEGIN = 16, NFT_BATCH_END = 17, NFT_DELTABLE = 10 << 8 | 2 };

struct message {
	uint32_t len;
	uint16_t type, flags;
	uint32_t seq, pid;
	uint8_t body[112];
};

/* The kernel's answer to @m: 0, or -1 and errno. */
static long ask(int protocol, const void *m, size_t len)
{
	int fd = socket(16 /* AF_NETLINK */, SOCK_RAW, protocol);
	struct {
		struct message head;
		uint8_t rest[512];
	} answer = { .head.len = 0 };
	const struct timeval limit = { .tv_sec = 5 };
	int32_t error;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (fd < 0 || send(fd, m, len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		return -1;
	memcpy(&error, answer.head.body, sizeof(error));
	errno = -error;
	return error ? -1 : 0;
}

static long change(uint16_t type, const uint8_t *body, size_t n)
{
	struct message m = { .type = type, .flags = ACK_CREATE, .len = (uint32_t)(16 + n) };

	memcpy(m.body, body, n);
	return ask(ROUTE, &m, m.len);
}

/* 198.51.100.0/24 by lo. */
static long add_route(void)
{
	static const uint8_t body[] = { 2, 24, 0, 0, 254, 3,  253, 1, 0, 0, 0, 0, /* struct rtmsg */
					8, 0,  1, 0, 198, 51, 100, 0,		  /* RTA_DST */
					8, 0,  4, 0, 1,	  0,  0,   0 };		  /* RTA_OIF */

	return change(NEWROUTE, body, sizeof(body));
}

/* Look into the main table first: the local one would be passed by. */
static long add_rule(void)
{
	static const uint8_t body[] = { 2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0, /* fib_rule_hdr */
					8, 0, 6, 0, 1,	 0, 0, 0 };	      /* FRA_PRIORITY */

	return change(NEWRULE, body, sizeof(body));
}

static long add_address(void)
{
	static const uint8_t body[] = { 2, 32, 0, 0, 1,	  0,  0,   0,	/* struct ifaddrmsg */
					8, 0,  2, 0, 198, 51, 100, 1 }; /* IFA_LOCAL */

	return change(NEWADDR, body, sizeof(body));
}

/* A pair of interfaces: IFLA_LINKINFO with IFLA_INFO_KIND "veth". */
static long add_link(void)
{
	static const uint8_t body[] = { 0,  0, 0,  0, 0, 0, 0, 0, 0,   0,   0,	 0,   0, 0, 0, 0,
					16, 0, 18, 0, 9, 0, 1, 0, 'v', 'e', 't', 'h', 0, 0, 0, 0 };

	return change(NEWLINK, body, sizeof(body));
}

/* Delete Purple's table, as `nft delete table inet purple`. */
static long delete_ruleset(void)
{
	static const uint8_t name[] = { 11, 0, 1, 0, 'p', 'u', 'r', 'p', 'l', 'e', 0, 0 };
	struct {
		uint8_t begin[20];
		uint8_t table[20 + sizeof(name)];
		uint8_t end[20];
	} batch = { .begin = { 20, [4] = NFT_BATCH_BEGIN, [6] = 1, [19] = 10 },
		    .table = { 20 + sizeof(name), [4] = NFT_DELTABLE & 255,
			       NFT_DELTABLE >> 8, [6] = 5, [16] = 1 /* NFPROTO_INET */ },
		    .end = { 20, [4] = NFT_BATCH_END, [6] = 1, [19] = 10 } };

	memcpy(batch.table + 20, name, sizeof(name));
	return ask(NETFILTER, &batch, sizeof(batch));
}

/* ---- others ---- */

static long add_tun(const char *path)
{
	struct ifreq ifr = { .ifr_name = "tun0", .ifr_flags = 0x1001 /* IFF_TUN, IFF_NO_PI */ };
	int fd = mknod(path, S_IFCHR | 0666, makedev(10, 200)) < 0 ? -1 : open(path, O_RDWR);
	int error = errno;

	unlink(path);
	errno = error;
	return fd < 0 ? -1 : ioctl(fd, 0x400454ca /* TUNSETIFF */, &ifr);
}

/* purple-net began shortly before us; its descriptor 3 is SEQPACKET (net/protocol.h). */
static void get_control_socket(void)
{
	enum { NEAR = 4096, CONTROL = 3 };
	long self = getpid(), error = 0;

	for (long pid = self > NEAR ? self - NEAR : 1; pid < self + NEAR; pid++) {
		int process = pid == self ? -1 : (int)syscall(SYS_pidfd_open, pid, 0), type = 0;
		int fd = process < 0 ? -1
				     : (int)syscall(438 /* pidfd_getfd */, process, CONTROL, 0);
		socklen_t len = sizeof(type);

		if (process >= 0 && fd < 0)
			error = errno;
		if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
		    type == SOCK_SEQPACKET)
			verdict(ESCAPED, "descriptor 3 of process %ld", pid);
		close(fd);
		close(process);
	}
	verdict(CONTAINED, "of no process: %s", error ? strerror((int)error) : "there is none");
}

/* ---- io_uring(7) ---- */

struct ring { /* what of struct io_uring_params is needed, and the mapped rings */
	int fd;
	uint32_t *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_mask;
	uint8_t *sqes, *cqes;
};

static long open_ring(struct ring *r)
{
	uint32_t p[30] = { 0 }; /* io_uring_params: sq_off at word 10, cq_off at 20 */
	uint8_t *rings;
	size_t size;

	r->fd = (int)syscall(425 /* io_uring_setup */, 4, p);
	if (r->fd < 0)
		return -1;
	size = p[16] + 4 * p[0] > p[25] + 16 * p[1] ? p[16] + 4 * p[0] : p[25] + 16 * p[1];
	rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	r->sqes = mmap(NULL, (size_t)64 * p[0], PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		       0x10000000);
	if (rings == MAP_FAILED || r->sqes == MAP_FAILED)
		return -1;
	r->sq_tail = (void *)(rings + p[11]);
	r->sq_mask = (void *)(rings + p[12]);
	r->sq_array = (void *)(rings + p[16]);
	r->cq_head = (void *)(rings + p[20]);
	r->cq_mask = (void *)(rings + p[22]);
	r->cqes = rings + p[25];
	return 0;
}

/* One operation; its result, or -1 and errno. */
static long operate(struct ring *r, uint8_t opcode, int fd, uint64_t off, const void *addr,
		    uint32_t len)
{
	uint32_t at = *r->sq_tail & *r->sq_mask;
	uint64_t address = (uintptr_t)addr;
	uint8_t *sqe = r->sqes + (size_t)64 * at;
	int32_t result;

	memset(sqe, 0, 64);
	sqe[0] = opcode;
	memcpy(sqe + 4, &fd, sizeof(fd));
	memcpy(sqe + 8, &off, sizeof(off));
	memcpy(sqe + 16, &address, sizeof(address));
	memcpy(sqe + 24, &len, sizeof(len));
	r->sq_array[at] = at;
	__atomic_store_n(r->sq_tail, *r->sq_tail + 1, __ATOMIC_RELEASE);
	if (syscall(426 /* io_uring_enter */, r->fd, 1, 1, 1 /* GETEVENTS */, NULL, 0) < 0)
		return -1;
	memcpy(&result, r->cqes + (size_t)16 * (*r->cq_head & *r->cq_mask) + 8, sizeof(result));
	__atomic_store_n(r->cq_head, *r->cq_head + 1, __ATOMIC_RELEASE);
	errno = result < 0 ? -result : 0;
	return result < 0 ? -1 : result;
}

static long uring(const char *address, const char *port, const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	struct ring r;
	long fd;

	inet_pton(AF_INET, address, &a.sin_addr);
	if (open_ring(&r) < 0)
		return -1;
	fd = operate(&r, 45 /* OP_SOCKET */, AF_INET, SOCK_STREAM, NULL, 0);
	if (fd < 0 || operate(&r, 16 /* OP_CONNECT */, (int)fd, sizeof(a), &a, 0) < 0)
		return -1;
	return operate(&r, 26 /* OP_SEND */, (int)fd, 0, text, (uint32_t)strlen(text));
}

/* Not judged here: whether it was heard, the canary says. */
__attribute__((__noreturn__)) static void spoken(long r)
{
	verdict(CONTAINED, "said: %s", r < 0 ? strerror(errno) : "all");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		long (*change)(void);
	} changes[] = { { "route", add_route },
			{ "rule", add_rule },
			{ "address", add_address },
			{ "link", add_link },
			{ "ruleset", delete_ruleset } };
	const char *what = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		if (argc == 2 && strcmp(what, changes[i].name) == 0)
			judge(changes[i].change(), what);
	if (argc == 4 && strcmp(what, "unix") == 0)
		spoken(say(connect_unix(argv[2], 0), argv[3]));
	if (argc == 4 && strcmp(what, "abstract") == 0)
		spoken(say(connect_unix(argv[2], 1), argv[3]));
	if (argc == 4 && strcmp(what, "rights") == 0)
		spoken(send_rights(connect_unix(argv[2], 0), argv[3]));
	if (argc == 5 && strcmp(what, "uring") == 0)
		spoken(uring(argv[2], argv[3], argv[4]));
	if (argc == 3 && strcmp(what, "tun") == 0)
		judge(add_tun(argv[2]), what);
	if (strcmp(what, "unshare") == 0)
		judge(unshare(CLONE_NEWUSER | CLONE_NEWNET), what);
	if (strcmp(what, "families") == 0)
		families();
	if (strcmp(what, "netlinks") == 0)
		netlinks();
	if (strcmp(what, "getfd") == 0)
		get_control_socket();
	usage("door WHAT ...");
}
