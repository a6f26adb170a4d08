/* SPDX-License-Identifier: Apache-2.0 */
#include "net/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "net/flow.h"
#include "net/udp.h"
#include "sys/raw.h"

/* seccomp has no write(2), which would be one to a socket as well. */
static int put(int fd, const void *data, size_t len, int64_t at)
{
	const char *from = data;

	while (len) {
		long n = sys_call(SYS_pwrite64, fd, from, len, at);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -EIO;
		from += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static void flush(struct show *s)
{
	size_t len = s->held * sizeof(s->room[0]);

	if (!s->error)
		s->error = put(s->fd, s->room, len, s->at);
	s->at += (int64_t)len;
	s->held = 0;
}

void show_add(struct show *s, const struct net_shown *one)
{
	s->room[s->held++] = *one;
	s->count++;
	if (s->held == SHOW_ROOM)
		flush(s);
}

int live_show(int fd, uint32_t max, uint32_t names, struct flows *flows, struct udp *udp)
{
	struct net_shown_head head = { .magic = NET_SHOWN_MAGIC, .max = max, .names = names };
	static struct show s;

	s = (struct show){ .fd = fd, .at = sizeof(head) };
	flows_show(flows, &s);
	if (udp)
		udp_show(udp, &s);
	flush(&s);
	head.count = s.count;
	return s.error ? s.error : put(fd, &head, sizeof(head), 0);
}

int live_init(struct live *l)
{
	*l = (struct live){ { malloc(NET_BLOCK_ROOM), malloc(NET_BLOCK_ROOM) }, 0 };
	return l->spare[0] && l->spare[1] ? 0 : -ENOMEM;
}

void live_free(struct live *l)
{
	free(l->spare[0]);
	free(l->spare[1]);
}

int live_change(struct live *l, int fd, struct net_rules *rules, struct flows *flows,
		struct udp *udp)
{
	int r = net_block_read_into(fd, l->spare[l->next], rules);

	if (r < 0)
		return r;
	l->next ^= 1; /* the one before it is nobody's any more */
	r = (int)flows_check(flows);
	return udp ? r + (int)udp_check(udp) : r;
}
