/* SPDX-License-Identifier: Apache-2.0 */
/* The flows from outside: which there are, and which the rules still allow. */
#include <string.h>

#include "net/flow_internal.h"
#include "net/live.h"

/* Of one that connects all addresses count: any of them may be the next one's. */
static struct rules_answer ask(const struct flow *f, struct host *addr, bool *by_address)
{
	const struct net_rules *rules = f->flows->rules;
	struct rules_answer answer = rules_connect(rules, &f->host, f->port, false);
	unsigned first = f->phase == FLOW_RELAY ? f->peer : 0;
	unsigned end = f->phase == FLOW_RELAY ? first + 1 : f->count;

	*by_address = false;
	for (unsigned i = first; i < end && answer.verdict == RULES_ALLOWED; i++) {
		*addr = host_from_addr(f->addrs[i].v6, f->addrs[i].addr);
		answer = rules_dial(rules, &f->host, addr, f->port, false);
		*by_address = answer.verdict != RULES_ALLOWED && f->host.kind == HOST_NAME;
	}
	return answer;
}

unsigned flows_check(struct flows *fs)
{
	unsigned cut = 0;

	for (unsigned i = 0; i < fs->touched; i++) {
		struct flow *f = &fs->all[i];
		char text[HOST_NAME_MAX_LEN + 1];
		struct rules_answer answer;
		struct host addr;
		bool by_address;

		if (f->inside || (f->phase != FLOW_RESOLVE && f->phase != FLOW_CONNECT &&
				  f->phase != FLOW_RELAY))
			continue;
		answer = ask(f, &addr, &by_address);
		if (answer.verdict == RULES_ALLOWED)
			continue;
		report_refused(fs->report, &answer, host_text(&f->host, text),
			       by_address ? &addr : NULL, f->port, false);
		flow_end(f, true);
		cut++;
	}
	return cut;
}

void flows_show(const struct flows *fs, struct show *s)
{
	static const uint8_t states[] = {
		[FLOW_PROXY] = NET_SHOWN_PROXY,	     [FLOW_RESOLVE] = NET_SHOWN_RESOLVES,
		[FLOW_CONNECT] = NET_SHOWN_CONNECTS, [FLOW_RELAY] = NET_SHOWN_OPEN,
		[FLOW_LINGER] = NET_SHOWN_PROXY,
	};

	for (unsigned i = 0; i < fs->touched; i++) {
		const struct flow *f = &fs->all[i];
		uint64_t now = fs->loop->now;
		struct net_shown one = { .port = f->port };

		if (f->phase == FLOW_FREE)
			continue;
		one.state = states[f->phase];
		one.up = f->up.bytes;
		one.down = f->down.bytes;
		one.age_ms = now - f->began;
		one.quiet_ms = now - (f->last ? f->last : f->began);
		one.incoming = f->inside != NULL;
		if (!f->inside)
			host_text(&f->host, one.host);
		if (f->phase == FLOW_RELAY && !f->inside) {
			one.dialled = 1;
			one.v6 = f->addrs[f->peer].v6;
			memcpy(one.addr, f->addrs[f->peer].addr, sizeof(one.addr));
		}
		show_add(s, &one);
	}
}
