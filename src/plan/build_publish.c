/* SPDX-License-Identifier: Apache-2.0 */
/* network.allow_incoming: what the host listens for, and the sockets that lead inside. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plan/builder.h"
#include "policy/publish.h"

static const uint8_t anywhere[16];

static bool overlap(const struct plan_listener *a, const struct plan_listener *b)
{
	return a->v6 == b->v6 && a->port == b->port &&
	       (!memcmp(a->addr, b->addr, sizeof(a->addr)) ||
		!memcmp(a->addr, anywhere, sizeof(anywhere)) ||
		!memcmp(b->addr, anywhere, sizeof(anywhere)));
}

/* A profile and an option may say the same twice; two things of one port are a mistake. */
static int add_listener(struct builder *b, const struct plan_listener *l, const char *text)
{
	struct buf *to = &b->net_listeners;
	const struct plan_listener *have = (const void *)to->data;

	for (size_t i = 0; i < to->len / sizeof(*have); i++) {
		if (!overlap(&have[i], l))
			continue;
		if (!memcmp(have[i].addr, l->addr, sizeof(l->addr)) && have[i].inside == l->inside)
			return 0;
		err_set(b->e, EPROTO, "plan",
			"network.allow_incoming: %s: port %u of the host is already published",
			text, l->port);
		err_remedy(b->e, "give each a port of its own, as in \"9000:8080\"");
		return -EPROTO;
	}
	if (to->len / sizeof(*have) == PLAN_LISTENERS_MAX)
		return err_set(b->e, E2BIG, "plan",
			       "network.allow_incoming: more than %d (a port alone counts for two: "
			       "IPv4 and IPv6)",
			       PLAN_LISTENERS_MAX);
	buf_add(to, l, sizeof(*l));
	return 0;
}

static int add_item(struct builder *b, const char *text)
{
	struct plan_listener l = { 0 };
	struct net_publish p;
	const char *why = "";
	int r;

	if (net_publish_parse(text, &p, &why) < 0)
		return err_set(b->e, EPROTO, "plan", "network.allow_incoming: %.200s: %s", text,
			       why);
	if (p.inside == PLAN_TCP_PORT || p.inside == PLAN_DNS_PORT) {
		err_set(b->e, EPROTO, "plan",
			"network.allow_incoming: %s: port %u inside is Purple's own", text,
			p.inside);
		err_remedy(b->e, "let the program listen on another one, as in \"%u:8053\"",
			   p.port);
		return -EPROTO;
	}
	l.port = p.port;
	l.inside = p.inside;
	l.v6 = p.host == NET_V6;
	memcpy(l.addr, p.addr, sizeof(l.addr));
	if (p.host != NET_ANY)
		return add_listener(b, &l, text);
	memcpy(l.addr, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
	r = add_listener(b, &l, text);
	if (r < 0)
		return r;
	/* A host without ::1 has nobody who could connect there. */
	l = (struct plan_listener){ .v6 = 1, .optional = 1, .port = p.port, .inside = p.inside };
	l.addr[15] = 1;
	return add_listener(b, &l, text);
}

int build_publish(struct builder *b)
{
	const struct policy_strs *list = &b->policy->network.allow_incoming;
	int r = 0;

	for (size_t i = 0; i < list->count && r == 0; i++)
		r = add_item(b, list->items[i].s);
	if (r == 0 && list->count > 0)
		b->head.network.pool = MIN((uint32_t)PLAN_POOL_MAX,
					   b->head.network.max_connections);
	return r;
}
