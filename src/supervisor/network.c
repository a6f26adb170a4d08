/* SPDX-License-Identifier: Apache-2.0 */
/* purple-net for this sandbox, by the protocol of net/protocol.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "net/config.h"
#include "net/protocol.h"
#include "net/proxy.h"
#include "supervisor/internal.h"
#include "sys/files.h"
#include "sys/pass.h"
#include "sys/process.h"

#define PROGRAM "purple-net"

enum {
	DRAIN_S = 3, /* it takes 2 at most, to send on what came from inside */
	CROWDED_MS = 2000,
	MESSAGES_A_TURN = 64,
};

_Static_assert((int)PS_TCP == NET_SOCKET_TCP && (int)PS_DNS_TCP == NET_SOCKET_DNS_TCP &&
		       (int)PS_DNS_UDP == NET_SOCKET_DNS_UDP && (int)PS_UDP == NET_SOCKET_UDP &&
		       (int)PS_ICMP == NET_SOCKET_ICMP && (int)PS_KINDS == NET_SOCKET_POOL &&
		       (int)PLAN_PROXY_PORT == PROXY_PORT,
	       "the plan's sockets are the protocol's");
_Static_assert((int)PLAN_SOCKETS_MAX <= (int)NET_SOCKETS_MAX &&
		       (int)PLAN_RULES_MAX <= (int)NET_RULES_MAX &&
		       (int)PLAN_SERVERS_MAX <= (int)NET_SERVERS_MAX,
	       "what a plan can hold, purple-net takes");

static bool is_on(const struct supervisor *s)
{
	return s->plan->network.flags & PN_ON;
}

/* fd00::/8 and 56 random bits: RFC 4193 §3.2.2. */
static int choose_prefix(struct supervisor *s)
{
	uint8_t *prefix = s->launch->net_prefix;
	long n = sys_call(SYS_getrandom, prefix, sizeof(s->launch->net_prefix), 0);

	prefix[0] = 0xfd;
	return n == sizeof(s->launch->net_prefix) ? 0 : n < 0 ? (int)n : -EIO;
}

struct net_rules network_rules(const struct supervisor *s)
{
	const struct plan_network *n = &s->plan->network;

	if (s->rules)
		return (struct net_rules){ .allow = s->rules->allow.items,
					   .block = s->rules->block.items,
					   .allow_count = s->rules->allow.count,
					   .block_count = s->rules->block.count };
	return (struct net_rules){ .allow = plan_items(s->plan, network.allow, struct net_rule),
				   .block = plan_items(s->plan, network.block, struct net_rule),
				   .allow_count = n->allow.count,
				   .block_count = n->block.count };
}

static void compose(const struct supervisor *s, struct buf *b)
{
	const struct plan *p = s->plan;
	const struct plan_network *n = &p->network;
	const struct plan_server *server = plan_items(p, network.servers, struct plan_server);
	const struct net_rules rules = network_rules(s);
	const size_t allow = rules.allow_count * sizeof(struct net_rule);
	const size_t block = rules.block_count * sizeof(struct net_rule);
	struct net_block head = {
		.magic = NET_BLOCK_MAGIC,
		.size = (uint32_t)(sizeof(head) + allow + block),
		.allow_count = (uint32_t)rules.allow_count,
		.block_count = (uint32_t)rules.block_count,
		.max_connections = n->max_connections,
		.idle_s = n->idle_s,
		.bytes_per_second = n->bytes_per_second,
		.servers_count = n->servers.count,
		.tell = (events_want(s, EV_NET_ALLOWED) ? NET_TELL_FLOWS : 0U) |
			(events_want(s, EV_API_CALL) ? NET_TELL_REQUESTS : 0U),
	};

	memcpy(head.v6_prefix, s->launch->net_prefix, sizeof(head.v6_prefix));
	for (uint32_t i = 0; i < n->servers.count; i++) {
		head.servers[i].v6 = server[i].v6;
		head.servers[i].port = server[i].port;
		memcpy(head.servers[i].addr, server[i].addr, sizeof(server[i].addr));
	}
	buf_add(b, &head, sizeof(head));
	buf_add(b, rules.allow, allow);
	buf_add(b, rules.block, block);
}

/* A sealed memfd, or -errno. */
int network_block(const struct supervisor *s)
{
	_cleanup_buf_ struct buf b =
		BUF_INIT(PLAN_MAX + sizeof(struct net_block) + sizeof(struct rule_lists));
	int fd, r;

	compose(s, &b);
	if (b.failed)
		return -ENOMEM;
	fd = (int)sys_call(SYS_memfd_create, "network", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fd;
	r = write_full(fd, b.data, b.len);
	if (r == 0)
		r = (int)sys_call(SYS_fcntl, fd, F_ADD_SEALS,
				  F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	if (r == 0)
		return fd;
	sys_close(fd);
	return r;
}

int network_send(const struct supervisor *s, const struct net_message *m, const int *fds,
		 unsigned count)
{
	return sys_pass_packet(s->net, m, sizeof(*m), fds, count, MSG_DONTWAIT);
}

/* What is published is then its alone. */
static int configure(const struct supervisor *s, int block, struct err *e)
{
	struct net_message config = { .type = NET_CONFIG };
	int fds[2 + PLAN_LISTENERS_MAX] = { block };
	int r = publish_open(s->plan, fds + 1, config.sockets, e);
	unsigned count;

	if (r < 0)
		return r;
	config.count = (uint32_t)r;
	count = 1 + config.count;
	if (s->net_tally >= 0)
		fds[count++] = s->net_tally;
	r = network_send(s, &config, fds, count);
	publish_close(fds + 1, (int)config.count);
	return r < 0 ? err_set(e, r, "network", "tell " PROGRAM " what is allowed") : 0;
}

int network_start(struct supervisor *s, struct err *e)
{
	char program[PATH_MAX];
	int pair[2], block, r;

	if (!is_on(s))
		return 0;
	if (!supervisor_program(s, PROGRAM, program, sizeof(program)))
		return err_set(e, ENAMETOOLONG, "network", PROGRAM);
	r = choose_prefix(s);
	block = r < 0 ? r : network_block(s);
	if (block < 0)
		return err_set(e, block, "network", "write down the configuration of " PROGRAM);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		r = -errno;
		sys_close(block);
		return err_set(e, r, "network", "make the socket of " PROGRAM);
	}
	s->net = pair[0];
	s->net_tally = tally_network();
	r = helper_spawn(program, PROGRAM, pair[1], -1, &s->net_pid);
	sys_close(pair[1]);
	if (r < 0) {
		err_set(e, r, "network", "start %s", program);
		err_remedy(e, "this installation of Purple is not whole; install it again");
	} else {
		r = configure(s, block, e);
	}
	sys_close(block);
	return r;
}

void network_prepare(const struct supervisor *s, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = s->jail.net_event, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = s->net, .events = POLLIN };
}

/* It cannot be: the sandbox ends before anything in it relies on a network. */
static void fail(struct supervisor *s, int code, const char *why)
{
	err_set(&s->jail.err, code ? code : EPROTO, "network", PROGRAM ": %s", why);
	supervisor_event(s, LIFE_FAILED);
}

/* Its sockets are closed with it, so what connects inside is refused. */
static void gone(struct supervisor *s)
{
	char why[sizeof(s->out->network_why) + 64];

	sys_close(TAKE_FD(s->net));
	network_bury(s);
	if (s->net_ready)
		return;
	snprintf(why, sizeof(why), "it ended before it was ready: %s", s->out->network_why);
	fail(s, EPROTO, why);
}

/* A user's descriptors on their way are limited (ETOOMANYREFS, unix(7)), those of others too. */
static int send_sockets(const struct supervisor *s, const struct net_message *m, const int *fds)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int r = network_send(s, m, fds, m->count);

	for (int tries = 0; r == -ETOOMANYREFS && tries < CROWDED_MS; tries++) {
		nanosleep(&pause, NULL);
		r = network_send(s, m, fds, m->count);
	}
	return r;
}

static void hand_over(struct supervisor *s)
{
	const struct plan_socket *p = plan_items(s->plan, network.sockets, struct plan_socket);
	const uint32_t listed = s->plan->network.sockets.count, pool = s->plan->network.pool;
	struct net_message m = { .type = NET_SOCKETS };
	uint64_t count;
	int r = 0;

	sys_read(s->jail.net_event, &count, sizeof(count));
	for (unsigned done = 0; done < s->jail.net_count && s->net >= 0 && r == 0;
	     done += m.count) {
		m.count = MIN(s->jail.net_count - done, (unsigned)NET_SOCKETS_MAX);
		for (unsigned i = 0; i < m.count; i++) {
			unsigned at = done + i;

			if (at < listed)
				m.sockets[i] = (struct net_socket){ p[at].kind, p[at].v6,
								    p[at].port };
			else
				m.sockets[i] = (struct net_socket){ .kind = NET_SOCKET_POOL,
								    .v6 = at - listed >= pool };
		}
		r = send_sockets(s, &m, s->jail.net_fds + done);
	}
	/* Also where nobody takes them: what connects is refused, and does not wait. */
	jail_close_network(&s->jail);
	if (r < 0 && r != -EPIPE && r != -ECONNRESET) /* these: gone() will tell */
		fail(s, r, "hand over the sockets");
}

/* False: nothing more to read. */
static bool read_message(struct supervisor *s)
{
	struct net_message m = { 0 };
	ssize_t n = recv(s->net, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n <= 0) {
		gone(s);
		return false;
	}
	if (n != sizeof(m))
		return true;
	if (m.type == NET_READY) {
		s->net_ready = true;
	} else if (m.type == NET_CHANGED || m.type == NET_SHOWN) {
		network_answered(s, &m);
	} else if (m.type == NET_DENIED) {
		network_denied(s, &m);
	} else if (m.type == NET_ALLOWED) {
		network_allowed(s, &m);
	} else if (m.type == NET_FAILED && s->net_ready) {
		m.text[sizeof(m.text) - 1] = '\0';
		str_copy(s->net_error, sizeof(s->net_error), m.text);
	} else if (m.type == NET_FAILED && !s->net_ready) {
		m.text[sizeof(m.text) - 1] = '\0';
		fail(s, m.error, m.text);
		sys_close(TAKE_FD(s->net));
		return false;
	}
	return true;
}

/* At most so many at a time: it shall not keep us from all else. */
void network_catch_up(struct supervisor *s)
{
	for (int i = 0; s->net >= 0 && i < MESSAGES_A_TURN && read_message(s); i++)
		;
}

void network_handle(struct supervisor *s, const struct pollfd *fds)
{
	if (fds[0].revents)
		hand_over(s);
	if (fds[1].revents)
		network_catch_up(s);
}

/* It sees the end of what we say, and has its own last word. */
static void drain(struct supervisor *s)
{
	uint64_t now = supervisor_now(), until = now + DRAIN_S * 1000;

	shutdown(s->net, SHUT_WR);
	for (; now < until && s->net >= 0; now = supervisor_now()) {
		struct timespec limit = { .tv_sec = (time_t)((until - now) / 1000),
					  .tv_nsec = (long)((until - now) % 1000) * 1000000 };
		struct pollfd p = { .fd = s->net, .events = POLLIN };

		if (sys_call(SYS_ppoll, &p, 1, &limit, 0, 0) > 0)
			read_message(s);
	}
	sys_close(TAKE_FD(s->net));
}

void network_end(struct supervisor *s)
{
	struct net_tally last;

	s->net_ends = true;
	if (s->net >= 0 && s->net_ready)
		drain(s);
	sys_close(TAKE_FD(s->net));
	tally_network_read(s, &last); /* tally_end() needs it */
	sys_close(TAKE_FD(s->net_tally));
	if (s->net_pid <= 0)
		return;
	kill(s->net_pid, SIGKILL);
	while (waitpid(s->net_pid, NULL, 0) < 0 && errno == EINTR)
		;
	s->net_pid = 0;
}
