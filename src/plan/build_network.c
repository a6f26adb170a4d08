/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a policy that is not isolated: rules, servers of names, the
 * sockets that take what is sent, and the nf_tables rules that send it there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "plan/builder.h"

enum { IDLE_S = 3600 };
enum { LANDLOCK_ABI_SCOPED = 6 }; /* landlock(7): LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET */

/* Copied by field into zeros: the same policy gives the same bytes, holes included. */
static int add_rule(struct builder *b, struct buf *list, const char *key,
		    const struct policy_str *text)
{
	struct net_rule rule, clean;
	const char *why = "";

	if (net_rule_parse(text->s, &rule, &why) < 0)
		return err_set(b->e, EPROTO, "plan", "%s: %.200s: %s", key, text->s, why);
	if (rule.udp && rule.port == 0 && list == &b->net_allow) {
		err_set(b->e, EPROTO, "plan", "%s: %.200s: for UDP a rule has to name the port",
			key, text->s);
		err_remedy(b->e, "write one such as dns.example.org:53/udp");
		return -EPROTO;
	}
	memset(&clean, 0, sizeof(clean));
	clean.host = rule.host;
	str_copy(clean.name, sizeof(clean.name), rule.name);
	memcpy(clean.addr, rule.addr, sizeof(clean.addr));
	clean.prefix = rule.prefix;
	clean.port = rule.port;
	clean.udp = rule.udp;
	buf_add(list, &clean, sizeof(clean));
	return 0;
}

static int add_rules(struct builder *b, struct buf *list, const char *key,
		     const struct policy_strs *texts)
{
	int r = 0;

	if (texts->count > PLAN_RULES_MAX)
		return err_set(b->e, E2BIG, "plan", "%s: more than %d rules", key, PLAN_RULES_MAX);
	for (size_t i = 0; i < texts->count && r == 0; i++)
		r = add_rule(b, list, key, &texts->items[i]);
	return r;
}

static int add_servers(struct builder *b)
{
	const struct policy_strs *list = &b->policy->network.dns_servers;

	if (list->count > PLAN_SERVERS_MAX)
		return err_set(b->e, E2BIG, "plan", "network.dns_servers: more than %d",
			       PLAN_SERVERS_MAX);
	for (size_t i = 0; i < list->count; i++) {
		struct plan_server s = { 0 };
		struct net_rule rule;
		const char *why = "";

		if (net_rule_parse(list->items[i].s, &rule, &why) < 0 ||
		    (rule.host != NET_V4 && rule.host != NET_V6))
			return err_set(b->e, EPROTO, "plan", "network.dns_servers: %.200s: %s",
				       list->items[i].s, *why ? why : "no address");
		s.v6 = rule.host == NET_V6;
		s.port = rule.port ? rule.port : PLAN_DNS_PORT;
		memcpy(s.addr, rule.addr, s.v6 ? 16 : 4);
		buf_add(&b->net_servers, &s, sizeof(s));
	}
	return 0;
}

void build_socket(struct builder *b, enum plan_socket_kind kind, uint16_t port)
{
	struct plan_socket s = { .kind = (uint8_t)kind, .port = port };

	buf_add(&b->net_sockets, &s, sizeof(s));
	s.v6 = 1;
	if (b->head.network.flags & PN_V6)
		buf_add(&b->net_sockets, &s, sizeof(s));
}

/*
 * One for each port that a rule lists; all others answer that nobody is there.
 * Port 53 has its server of names, which knows what is not its own.
 */
static int add_udp_sockets(struct builder *b)
{
	const struct net_rule *rules = (const void *)b->net_allow.data;
	const size_t count = b->net_allow.len / sizeof(*rules);
	uint16_t ports[PLAN_UDP_PORTS_MAX];
	unsigned used = 0, seen;
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		if (!rules[i].udp)
			continue;
		any = true;
		for (seen = 0; seen < used && ports[seen] != rules[i].port; seen++)
			;
		if (seen < used || rules[i].port == PLAN_DNS_PORT)
			continue;
		if (used == PLAN_UDP_PORTS_MAX)
			return err_set(b->e, E2BIG, "plan",
				       "network.allow_outgoing: UDP to more than %d ports",
				       PLAN_UDP_PORTS_MAX);
		ports[used++] = rules[i].port;
		build_socket(b, PS_UDP, rules[i].port);
	}
	if (any)
		build_socket(b, PS_ICMP, 0);
	return 0;
}

static int add_sockets(struct builder *b)
{
	const bool ports = b->head.network.flags & PN_PORTS;
	int r = ports ? build_ports_sockets(b) : 0;

	if (!ports)
		build_socket(b, PS_TCP, PLAN_TCP_PORT);
	build_socket(b, PS_DNS_TCP, PLAN_DNS_PORT);
	build_socket(b, PS_DNS_UDP, PLAN_DNS_PORT);
	return r < 0 ? r : add_udp_sockets(b);
}

/*
 * That every address is local is what all else stands on: without it nothing is let
 * out, not even best-effort. Without the rules, best-effort has less (build_ports.c).
 */
static int try_rules(struct builder *b)
{
	const struct host *h = b->host;
	bool v6 = false;
	int r = build_nft(&b->net_batch), lack;

	if (r < 0)
		return err_set(b->e, r, "plan", "network: make the nf_tables rules");
	r = lack = h->try_network ? h->try_network(h->ctx, b->net_batch.data, b->net_batch.len, &v6)
				  : -ENOSYS;
	if (lack < 0 && h->try_network)
		r = h->try_network(h->ctx, NULL, 0, &v6);
	if (r < 0) {
		err_set(b->e, r, "plan",
			"network.isolated: false: this kernel does not let a user namespace have "
			"the network that it needs");
		err_remedy(b->e, "run isolated; `purple doctor` says more");
		return r;
	}
	if (v6)
		b->head.network.flags |= PN_V6;
	if (lack == 0)
		return 0;
	b->net_batch.len = 0;
	return build_ports(b, lack);
}

/*
 * The network namespace stays the caller's. Nothing but Landlock's scope is then
 * between the command and the abstract sockets of the host: X11, D-Bus, systemd.
 */
static int build_share_host(struct builder *b)
{
	if (b->host->landlock_abi >= LANDLOCK_ABI_SCOPED)
		return 0;
	err_set(b->e, EPROTO, "plan",
		"network.share_host: true: this kernel's Landlock does not keep abstract unix "
		"sockets of the host out of reach");
	err_remedy(b->e, "use kernel 6.12 or later with Landlock, or network.isolated: false with "
			 "rules");
	return -EPROTO;
}

int build_network(struct builder *b)
{
	const struct policy *p = b->policy;
	struct plan_network *n = &b->head.network;
	int r;

	if (p->network.share_host)
		return build_share_host(b);
	if (p->network.isolated)
		return 0;
	if (!p->network.loopback) {
		r = builder_lack(b, "network.loopback: false", "not supported yet unless isolated",
				 "take the key out of the policy");
		if (r < 0)
			return r;
	}
	n->flags = PN_ON | (p->locked ? PN_LOCKED : 0);
	n->max_connections = (uint32_t)p->network.max_connections.v;
	n->bytes_per_second = p->network.bandwidth.set ? p->network.bandwidth.v : 0;
	n->idle_s = IDLE_S;
	r = try_rules(b);
	if (r == 0)
		r = add_rules(b, &b->net_allow, "network.allow_outgoing",
			      &p->network.allow_outgoing);
	if (r == 0)
		r = add_rules(b, &b->net_block, "network.blocked_ips", &p->network.blocked_ips);
	if (r == 0)
		r = add_servers(b);
	if (r == 0)
		r = add_sockets(b);
	if (r == 0)
		r = build_publish(b);
	return r == 0 && n->flags & PN_PORTS ? build_ports_check(b) : r;
}
