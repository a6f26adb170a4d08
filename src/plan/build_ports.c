/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network where a user namespace has no nf_tables, and best-effort goes without.
 * Nothing redirects, but every address is local: a socket that is bound to a port and
 * to no address takes what goes to that port anywhere. So there is one for each TCP
 * port that the rules list, and one for the proxy; at any other port the kernel
 * answers that nobody is there. It is narrower than with nf_tables, never wider.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plan/builder.h"

enum { LIST_MAX = 300 }; /* bytes of what a downgrade lists */

/* While one of them is absent it can still be loaded, and then there is another plan. */
static const char *const modules[] = { "/sys/module/nf_tables", "/sys/module/nft_chain_nat",
				       "/sys/module/nft_ct", "/sys/module/nft_redir" };

static int add_facts(struct builder *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		struct plan_fact f = { .kind = PF_ABSENT };
		struct host_path seen;
		int r = b->host->look(b->host->ctx, modules[i], &seen);

		if (r < 0)
			return err_set(b->e, r, "plan", "look at %s", modules[i]);
		if (seen.kind != HK_ABSENT)
			continue;
		f.path = builder_str(b, modules[i]);
		buf_add(&b->facts, &f, sizeof(f));
	}
	return 0;
}

int build_ports(struct builder *b, int error)
{
	const char *why;
	int r;

	why = arena_printf(&b->arena,
			   "this kernel does not let a user namespace make the nf_tables rules "
			   "that it needs (%s)",
			   strerror(-error));
	if (!why)
		return err_set(b->e, ENOMEM, "plan", "network");
	r = builder_lack(b, "network.isolated: false", why,
			 "load the modules nf_tables, nft_chain_nat, nft_ct and nft_redir, or run "
			 "isolated; `purple doctor` says more");
	if (r < 0)
		return r;
	b->head.network.flags |= PN_PORTS;
	b->net_why = "without nf_tables only the TCP ports that rules list are served";
	return add_facts(b);
}

/* "a, b" from items one by one; what there is no room for is counted. */
struct list {
	char text[LIST_MAX];
	unsigned more;
};

static void list_add(struct list *l, const char *item)
{
	size_t len = strlen(l->text), room = sizeof(l->text) - len;

	if (l->more || (size_t)snprintf(NULL, 0, ", %s", item) >= room)
		l->more++;
	else
		snprintf(l->text + len, room, "%s%s", len ? ", " : "", item);
}

static const char *list_end(struct builder *b, const struct list *l)
{
	const char *text = l->more ? arena_printf(&b->arena, "%s and %u more", l->text, l->more)
				   : arena_printf(&b->arena, "%s", l->text);

	return text ? text : "";
}

static int say(struct builder *b, const struct list *ports, const struct list *any)
{
	const char *why;
	int r;

	why = arena_printf(
		&b->arena,
		"TCP is served at the ports that rules list and at the proxy's, %s: no program "
		"inside can listen on these, not on 127.0.0.1 either; any other port refuses at "
		"once, without a word in the report",
		list_end(b, ports));
	if (!why)
		return err_set(b->e, ENOMEM, "plan", "network");
	r = builder_lack(b, "network.allow_outgoing", why, "");
	if (r < 0 || !any->text[0])
		return r;
	why = arena_printf(
		&b->arena,
		"without a port a rule holds at the ports above alone; others can be had "
		"through the proxy inside: %s",
		list_end(b, any));
	if (!why)
		return err_set(b->e, ENOMEM, "plan", "network");
	return builder_lack(b, "network.allow_outgoing", why, "");
}

static bool has(const struct builder *b, uint16_t port)
{
	const struct plan_socket *s = (const void *)b->net_sockets.data;

	for (size_t i = 0; i < b->net_sockets.len / sizeof(*s); i++)
		if (s[i].kind == PS_TCP && s[i].port == port)
			return true;
	return false;
}

static void add(struct builder *b, struct list *ports, uint16_t port)
{
	char number[8];

	snprintf(number, sizeof(number), "%u", port);
	list_add(ports, number);
	build_socket(b, PS_TCP, port);
}

/* Port 53 has its server of names. */
int build_ports_sockets(struct builder *b)
{
	const struct net_rule *rules = (const void *)b->net_allow.data;
	struct list ports = { 0 }, any = { 0 };
	unsigned used = 0;

	for (size_t i = 0; i < b->net_allow.len / sizeof(*rules); i++) {
		char text[300];

		net_rule_format(&rules[i], text, sizeof(text));
		if (!rules[i].udp && rules[i].port == 0)
			list_add(&any, text);
		if (rules[i].udp || rules[i].port == 0 || rules[i].port == PLAN_DNS_PORT ||
		    rules[i].port == PLAN_PROXY_PORT || has(b, rules[i].port))
			continue;
		if (used++ == PLAN_TCP_PORTS_MAX)
			return err_set(b->e, E2BIG, "plan",
				       "network.allow_outgoing: without nf_tables, TCP to more "
				       "than %d ports",
				       PLAN_TCP_PORTS_MAX);
		add(b, &ports, rules[i].port);
	}
	add(b, &ports, PLAN_PROXY_PORT);
	return say(b, &ports, &any);
}

/* After all sockets and what is published. */
int build_ports_check(struct builder *b)
{
	const struct plan_listener *l = (const void *)b->net_listeners.data;

	if (b->net_sockets.len / sizeof(struct plan_socket) > PLAN_SOCKETS_MAX)
		return err_set(b->e, E2BIG, "plan",
			       "network.allow_outgoing: without nf_tables, more ports of TCP and "
			       "UDP than there are sockets for (%d, for IPv4 and IPv6)",
			       PLAN_SOCKETS_MAX);
	for (size_t i = 0; i < b->net_listeners.len / sizeof(*l); i++) {
		if (!has(b, l[i].inside))
			continue;
		err_set(b->e, EPROTO, "plan",
			"network.allow_incoming: without nf_tables port %u inside is taken: %s",
			l[i].inside,
			l[i].inside == PLAN_PROXY_PORT
				? "the proxy is there"
				: "a rule of network.allow_outgoing lists it");
		err_remedy(b->e, "let the program listen on another one, as in \"%u:%u\"",
			   l[i].port, l[i].inside + 10000 <= 65535 ? l[i].inside + 10000U : 20000U);
		return -EPROTO;
	}
	return 0;
}
