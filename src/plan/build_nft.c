/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nf_tables rules of the sandbox's network namespace, as the netlink
 * messages that PID 1 sends. As nft(8) would write them:
 *
 *	table inet purple {
 *		chain raw {
 *			type filter hook output priority -300; policy accept;
 *			tcp sport 1 accept
 *			ip daddr 127.0.0.0/8 notrack
 *			ip6 daddr ::1 notrack
 *			tcp sport 53 notrack
 *			tcp dport 53 notrack
 *			meta l4proto != tcp notrack
 *		}
 *		chain output {
 *			type nat hook output priority -100; policy accept;
 *			tcp dport 53 accept
 *			ip daddr 127.0.0.0/8 accept
 *			ip6 daddr ::1 accept
 *			meta l4proto tcp redirect to :1
 *		}
 *	}
 *
 * Port 53 needs no rule: every address is local, so it arrives at the socket
 * that is bound there. What is not redirected leaves no entry in the kernel's
 * connection tracking; the answers of the port that all else is redirected to
 * have one, also to a client that bound itself to 127.0.0.1. The kernel is asked to acknowledge
 *each message.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "plan/builder.h"

#define TABLE "purple"
#define CHAIN_NAT "output"
#define CHAIN_RAW "raw"

enum { BATCH_MAX = 8192, MESSAGE_MAX = 1024 };
enum { OFFSET_SPORT = 0, OFFSET_DPORT = 2, OFFSET_DADDR4 = 16, OFFSET_DADDR6 = 24 };
/* linux/netfilter_ipv4.h: NF_IP_PRI_RAW, before connection tracking; NF_IP_PRI_NAT_DST. */
enum { PRIORITY_RAW = -300, PRIORITY_NAT = -100 };

struct batch {
	char room[BATCH_MAX];
	struct mnl_nlmsg_batch *b;
	uint32_t seq;
	bool failed; /* no memory */
};

/* The next message, for the library to fill. */
static struct nlmsghdr *begin(struct batch *t, uint16_t type, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(t->b), type, NFPROTO_INET,
				     (uint16_t)(flags | NLM_F_ACK), t->seq++);
}

static void end(struct batch *t)
{
	t->failed |= !mnl_nlmsg_batch_next(t->b);
}

static void add_table(struct batch *t)
{
	struct nftnl_table *table = nftnl_table_alloc();

	t->failed |= !table;
	if (!table)
		return;
	nftnl_table_set_u32(table, NFTNL_TABLE_FAMILY, NFPROTO_INET);
	nftnl_table_set_str(table, NFTNL_TABLE_NAME, TABLE);
	nftnl_table_nlmsg_build_payload(begin(t, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL),
					table);
	end(t);
	nftnl_table_free(table);
}

static void add_chain(struct batch *t, const char *name, const char *type, int priority)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();

	t->failed |= !chain;
	if (!chain)
		return;
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, type);
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, NF_INET_LOCAL_OUT);
	nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, priority);
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	nftnl_chain_nlmsg_build_payload(begin(t, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL),
					chain);
	end(t);
	nftnl_chain_free(chain);
}

static struct nftnl_expr *add_expr(struct batch *t, struct nftnl_rule *rule, const char *name)
{
	struct nftnl_expr *e = rule ? nftnl_expr_alloc(name) : NULL;

	t->failed |= !e;
	if (e)
		nftnl_rule_add_expr(rule, e);
	return e;
}

/* The value in register 1 is (or is not) @size bytes at @value, or the rule ends here. */
static void compare(struct batch *t, struct nftnl_rule *rule, uint32_t op, const void *value,
		    uint32_t size)
{
	struct nftnl_expr *e = add_expr(t, rule, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, value, size);
}

static void match_meta(struct batch *t, struct nftnl_rule *rule, uint32_t key, uint32_t op,
		       uint8_t value)
{
	struct nftnl_expr *e = add_expr(t, rule, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
	compare(t, rule, op, &value, sizeof(value));
}

static void match_payload(struct batch *t, struct nftnl_rule *rule, uint32_t base, uint32_t offset,
			  const void *value, uint32_t size)
{
	struct nftnl_expr *e = add_expr(t, rule, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, size);
	compare(t, rule, NFT_CMP_EQ, value, size);
}

static void accept_it(struct batch *t, struct nftnl_rule *rule)
{
	struct nftnl_expr *e = add_expr(t, rule, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, NF_ACCEPT);
}

static void redirect(struct batch *t, struct nftnl_rule *rule, uint16_t port)
{
	struct nftnl_expr *e = add_expr(t, rule, "immediate");
	const uint16_t value = htons(port);

	if (e) {
		nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
		nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &value, sizeof(value));
	}
	e = add_expr(t, rule, "redir");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_REDIR_REG_PROTO_MAX, NFT_REG_1);
}

static struct nftnl_rule *new_rule(struct batch *t, const char *chain)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();

	t->failed |= !rule;
	if (!rule)
		return NULL;
	nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE);
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
	return rule;
}

static void add_rule(struct batch *t, struct nftnl_rule *rule)
{
	if (rule && !t->failed) {
		nftnl_rule_nlmsg_build_payload(
			begin(t, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND), rule);
		end(t);
	}
	if (rule)
		nftnl_rule_free(rule);
}

/* What accepts, or keeps from tracking, what the rule has matched. */
typedef void end_rule(struct batch *t, struct nftnl_rule *rule);

static void notrack(struct batch *t, struct nftnl_rule *rule)
{
	add_expr(t, rule, "notrack");
}

static void add_tcp_port(struct batch *t, const char *chain, uint32_t offset, uint16_t port,
			 end_rule *end_it)
{
	struct nftnl_rule *rule = new_rule(t, chain);
	const uint16_t value = htons(port);

	match_meta(t, rule, NFT_META_L4PROTO, NFT_CMP_EQ, IPPROTO_TCP);
	match_payload(t, rule, NFT_PAYLOAD_TRANSPORT_HEADER, offset, &value, sizeof(value));
	end_it(t, rule);
	add_rule(t, rule);
}

static void add_loopback(struct batch *t, const char *chain, end_rule *end_it)
{
	static const uint8_t loopback4 = 127, loopback6[16] = { [15] = 1 };
	struct nftnl_rule *rule = new_rule(t, chain);

	match_meta(t, rule, NFT_META_NFPROTO, NFT_CMP_EQ, NFPROTO_IPV4);
	match_payload(t, rule, NFT_PAYLOAD_NETWORK_HEADER, OFFSET_DADDR4, &loopback4,
		      sizeof(loopback4));
	end_it(t, rule);
	add_rule(t, rule);

	rule = new_rule(t, chain);
	match_meta(t, rule, NFT_META_NFPROTO, NFT_CMP_EQ, NFPROTO_IPV6);
	match_payload(t, rule, NFT_PAYLOAD_NETWORK_HEADER, OFFSET_DADDR6, loopback6,
		      sizeof(loopback6));
	end_it(t, rule);
	add_rule(t, rule);
}

static void add_rules(struct batch *t)
{
	struct nftnl_rule *rule;

	add_tcp_port(t, CHAIN_RAW, OFFSET_SPORT, PLAN_TCP_PORT, accept_it);
	add_loopback(t, CHAIN_RAW, notrack);
	add_tcp_port(t, CHAIN_RAW, OFFSET_SPORT, PLAN_DNS_PORT, notrack);
	add_tcp_port(t, CHAIN_RAW, OFFSET_DPORT, PLAN_DNS_PORT, notrack);
	rule = new_rule(t, CHAIN_RAW);
	match_meta(t, rule, NFT_META_L4PROTO, NFT_CMP_NEQ, IPPROTO_TCP);
	notrack(t, rule);
	add_rule(t, rule);

	add_tcp_port(t, CHAIN_NAT, OFFSET_DPORT, PLAN_DNS_PORT, accept_it);
	add_loopback(t, CHAIN_NAT, accept_it);
	rule = new_rule(t, CHAIN_NAT);
	match_meta(t, rule, NFT_META_L4PROTO, NFT_CMP_EQ, IPPROTO_TCP);
	redirect(t, rule, PLAN_TCP_PORT);
	add_rule(t, rule);
}

int build_nft(struct buf *ret)
{
	/* The library wants room for one message behind the limit. */
	struct batch t = { .seq = 1 };

	t.b = mnl_nlmsg_batch_start(t.room, BATCH_MAX - MESSAGE_MAX);
	if (!t.b)
		return -ENOMEM;
	nftnl_batch_begin(mnl_nlmsg_batch_current(t.b), t.seq++);
	end(&t);
	add_table(&t);
	add_chain(&t, CHAIN_RAW, "filter", PRIORITY_RAW);
	add_chain(&t, CHAIN_NAT, "nat", PRIORITY_NAT);
	add_rules(&t);
	nftnl_batch_end(mnl_nlmsg_batch_current(t.b), t.seq++);
	end(&t);
	buf_add(ret, mnl_nlmsg_batch_head(t.b), mnl_nlmsg_batch_size(t.b));
	mnl_nlmsg_batch_stop(t.b);
	return t.failed || ret->failed ? -ENOMEM : 0;
}
