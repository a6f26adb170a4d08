/* SPDX-License-Identifier: Apache-2.0 */
/* The same of UDP as flow_live.c of TCP. */
#include <string.h>

#include "net/live.h"
#include "net/special.h"
#include "net/udp_internal.h"

static struct host target_of(const struct udp_flow *f)
{
	struct host h = f->name ? host_from_name(f->name)
				: host_from_addr(f->socket->v6, &f->path.local);

	return special_unmap(&h);
}

unsigned udp_check(struct udp *u)
{
	unsigned cut = 0;

	for (unsigned i = 0; i < u->touched; i++) {
		struct udp_flow *f = &u->all[i];
		struct host host, peer;
		struct rules_answer answer;

		if (!f->used)
			continue;
		host = target_of(f);
		peer = host_from_addr(f->peer.v6, f->peer.addr);
		answer = f->waiting ? rules_connect(u->rules, &host, f->socket->port, true)
				    : rules_dial(u->rules, &host, &peer, f->socket->port, true);
		if (answer.verdict == RULES_ALLOWED)
			continue;
		udp_refuse_by(f->socket, &f->path, f->name, &answer, NULL);
		udp_flow_end(f);
		cut++;
	}
	return cut;
}

void udp_show(const struct udp *u, struct show *s)
{
	for (unsigned i = 0; i < u->touched; i++) {
		const struct udp_flow *f = &u->all[i];
		struct net_shown one = { .udp = 1 };
		struct host host;

		if (!f->used)
			continue;
		host = target_of(f);
		host_text(&host, one.host);
		one.port = f->socket->port;
		one.state = f->waiting ? NET_SHOWN_RESOLVES : NET_SHOWN_OPEN;
		one.up = f->up;
		one.down = f->down;
		one.age_ms = u->loop->now - f->began;
		one.quiet_ms = u->loop->now - f->entry.last;
		one.dialled = !f->waiting;
		one.v6 = f->peer.v6;
		memcpy(one.addr, f->peer.addr, sizeof(one.addr));
		show_add(s, &one);
	}
}
