/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/rule_lists.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

enum { TEXT = 300, NOWHERE = -1 };

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned rest = bits % 8;

	return !memcmp(a, b, bits / 8) && (!rest || !((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)));
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t len = strlen(name), end = strlen(suffix);

	return len > end + 1 && name[len - end - 1] == '.' && streq(name + len - end, suffix);
}

static bool host_covers(const struct net_rule *a, const struct net_rule *b)
{
	switch (a->host) {
	case NET_ANY:
		return b->host == NET_ANY || b->host == NET_NAME || b->host == NET_WILDCARD;
	case NET_NAME:
		return b->host == NET_NAME && streq(a->name, b->name);
	case NET_WILDCARD:
		return (b->host == NET_WILDCARD && streq(a->name, b->name)) ||
		       ((b->host == NET_NAME || b->host == NET_WILDCARD) &&
			ends_with(b->name, a->name));
	case NET_V4:
	case NET_V6:
		return a->host == b->host && a->prefix <= b->prefix &&
		       same_bits(a->addr, b->addr, a->prefix);
	}
	return false;
}

bool rule_covers(const struct net_rule *a, const struct net_rule *b, bool blocks)
{
	bool protocol = a->udp == b->udp || (blocks && !a->udp);

	return protocol && (!a->port || a->port == b->port) && host_covers(a, b);
}

static bool is_same(const struct net_rule *a, const struct net_rule *b)
{
	return rule_covers(a, b, false) && rule_covers(b, a, false);
}

/* Where @rule itself is (or, with @covers, one that covers it); NOWHERE. */
static int find(const struct rule_list *l, const struct net_rule *rule, bool covers, bool blocks)
{
	for (uint32_t i = 0; i < l->count; i++)
		if (covers ? rule_covers(&l->items[i], rule, blocks) : is_same(&l->items[i], rule))
			return (int)i;
	return NOWHERE;
}

static bool take_out(struct rule_list *l, const struct net_rule *rule)
{
	bool some = false;

	for (int at; (at = find(l, rule, false, false)) != NOWHERE; some = true) {
		l->count--;
		memmove(&l->items[at], &l->items[at + 1],
			(l->count - (uint32_t)at) * sizeof(l->items[0]));
	}
	return some;
}

static int put_in(struct rule_list *l, const struct net_rule *rule, struct err *e)
{
	struct net_rule *new = &l->items[l->count];

	if (find(l, rule, false, false) != NOWHERE)
		return 0;
	if (l->count == RULE_LIST_MAX)
		return err_set(e, E2BIG, "network", "more than %d rules", RULE_LIST_MAX);
	memset(new, 0, sizeof(*new));
	new->host = rule->host;
	str_copy(new->name, sizeof(new->name), rule->name);
	memcpy(new->addr, rule->addr, sizeof(new->addr));
	new->prefix = rule->prefix;
	new->port = rule->port;
	new->udp = rule->udp;
	l->count++;
	return 0;
}

int rule_lists_allow(struct rule_lists *l, const struct net_rule *rule, struct err *e)
{
	char text[TEXT], by[TEXT];
	int blocked = NOWHERE;

	for (uint32_t i = 0; i < l->block.count && blocked == NOWHERE; i++)
		if (rule_covers(&l->block.items[i], rule, true) &&
		    !is_same(&l->block.items[i], rule))
			blocked = (int)i;
	if (blocked != NOWHERE) {
		net_rule_format(rule, text, sizeof(text));
		net_rule_format(&l->block.items[blocked], by, sizeof(by));
		err_set(e, EPROTO, "network", "%.200s would still be blocked, by %.200s", text, by);
		err_remedy(e,
			   "what is blocked beats what is allowed; `purple net show` lists both");
		return -EPROTO;
	}
	take_out(&l->block, rule);
	return put_in(&l->allow, rule, e);
}

/* Is anything of what @rule says allowed still? */
static bool is_left(const struct rule_list *allow, const struct net_rule *rule)
{
	for (uint32_t i = 0; i < allow->count; i++) {
		const struct net_rule *a = &allow->items[i];

		if (a->udp == rule->udp && (!a->port || !rule->port || a->port == rule->port) &&
		    (host_covers(a, rule) || host_covers(rule, a)))
			return true;
	}
	return false;
}

int rule_lists_deny(struct rule_lists *l, const struct net_rule *rule, struct err *e)
{
	bool listed = find(&l->allow, rule, false, false) != NOWHERE;
	char text[TEXT];

	if (listed) {
		take_out(&l->allow, rule);
		if (rule->host == NET_ANY || !is_left(&l->allow, rule))
			return 0;
	}
	if (rule->host == NET_ANY) {
		net_rule_format(rule, text, sizeof(text));
		err_set(e, EPROTO, "network", "%.200s is not listed, and names no host to block",
			text);
		err_remedy(e, "`purple net show` lists the rules; a blocked one names a host or an "
			      "address");
		return -EPROTO;
	}
	return put_in(&l->block, rule, e);
}
