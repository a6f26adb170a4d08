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

enum { DNS_PORT = 53, CONNECTIONS_MAX = 1024, IDLE_S = 3600 };

/* Copied by field into zeros: the same policy gives the same bytes, holes included. */
static int add_rule(struct builder *b, struct buf *list, const char *key,
		    const struct policy_str *text)
{
	struct net_rule rule, clean;
	const char *why = "";
	char what[sizeof(rule.name) + 64];

	if (net_rule_parse(text->s, &rule, &why) < 0)
		return err_set(b->e, EPROTO, "plan", "%s: %.200s: %s", key, text->s, why);
	if (rule.udp && list == &b->net_allow) {
		snprintf(what, sizeof(what), "%s: %s", key, text->s);
		return builder_lack(b, what, "UDP is not supported yet",
				    "take the rule out of the policy");
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
		s.port = rule.port ? rule.port : DNS_PORT;
		memcpy(s.addr, rule.addr, s.v6 ? 16 : 4);
		buf_add(&b->net_servers, &s, sizeof(s));
	}
	return 0;
}

static void add_sockets(struct builder *b)
{
	static const struct plan_socket kinds[] = { { PS_TCP, 0, PLAN_TCP_PORT },
						    { PS_DNS_TCP, 0, DNS_PORT },
						    { PS_DNS_UDP, 0, DNS_PORT } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct plan_socket s = kinds[i];

		buf_add(&b->net_sockets, &s, sizeof(s));
		s.v6 = 1;
		if (b->head.network.flags & PN_V6)
			buf_add(&b->net_sockets, &s, sizeof(s));
	}
}

/* The layer that all others stand on: without it nothing is let out, not even best-effort. */
static int try_rules(struct builder *b)
{
	const struct host *h = b->host;
	bool v6 = false;
	int r = build_nft(&b->net_batch);

	if (r < 0)
		return err_set(b->e, r, "plan", "network: make the nf_tables rules");
	r = h->try_network ? h->try_network(h->ctx, b->net_batch.data, b->net_batch.len, &v6)
			   : -ENOSYS;
	if (r < 0) {
		err_set(b->e, r, "plan",
			"network.isolated: false: this kernel does not let a user namespace "
			"make the nf_tables rules that it needs");
		err_remedy(b->e, "load the modules nf_tables, nft_chain_nat and nft_redir, or run "
				 "isolated; `purple doctor` says more");
		return r;
	}
	if (v6)
		b->head.network.flags |= PN_V6;
	return 0;
}

int build_network(struct builder *b)
{
	const struct policy *p = b->policy;
	struct plan_network *n = &b->head.network;
	int r;

	if (p->network.isolated)
		return 0;
	if (!p->network.loopback) {
		r = builder_lack(b, "network.loopback: false", "not supported yet unless isolated",
				 "take the key out of the policy");
		if (r < 0)
			return r;
	}
	n->flags = PN_ON;
	n->max_connections = CONNECTIONS_MAX;
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
		add_sockets(b);
	return r;
}
