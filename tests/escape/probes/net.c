/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net tcp PORT       connect to 127.0.0.1
 * net abstract NAME  connect to an abstract socket
 * net listen NAME    be that socket: print "ready", wait for standard input to end
 * net interfaces     is there more than lo?
 * net admin          change the interface lo
 */
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "probe.h"

static long tcp(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(port)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static long abstract(const char *name, int listening)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char c;

	if (fd < 0 || strlen(name) + 2 > sizeof(a.sun_path))
		return -1;
	memcpy(a.sun_path + 1, name, strlen(name));
	if (!listening)
		return connect(fd, (struct sockaddr *)&a, n);
	if (bind(fd, (struct sockaddr *)&a, n) < 0 || listen(fd, 1) < 0)
		verdict(CANNOT, "listen: %s", strerror(errno));
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	_exit(0);
}

static long admin(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ifr.ifr_mtu = 1280;
	return fd < 0 ? -1 : ioctl(fd, SIOCSIFMTU, &ifr);
}

/* By index, so that nothing but a socket is needed. */
static long interfaces(void)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	for (ifr.ifr_ifindex = 1; ifr.ifr_ifindex < 64; ifr.ifr_ifindex++)
		if (ioctl(fd, SIOCGIFNAME, &ifr) == 0 && strcmp(ifr.ifr_name, "lo") != 0)
			verdict(ESCAPED, "there is an interface %s", ifr.ifr_name);
	verdict(CONTAINED, "nothing but lo");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "tcp") == 0)
		judge(tcp(argv[2]), "connect to the host's port");
	if (argc == 3 && strcmp(argv[1], "abstract") == 0)
		judge(abstract(argv[2], 0), "connect to the abstract socket");
	if (argc == 3 && strcmp(argv[1], "listen") == 0)
		abstract(argv[2], 1);
	if (argc == 2 && strcmp(argv[1], "admin") == 0)
		judge(admin(), "set the MTU of lo");
	if (argc == 2 && strcmp(argv[1], "interfaces") == 0)
		interfaces();
	usage("net tcp PORT|abstract NAME|listen NAME|admin|interfaces");
}
