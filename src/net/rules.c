/* SPDX-License-Identifier: Apache-2.0 */
#include "net/rules.h"

#include <string.h>

#include "base/macros.h"
#include "base/str.h"
#include "net/special.h"

/* What stands before ".@suffix" in @name, in bytes; 0: nothing, or another name. */
static size_t before_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), end = strlen(suffix);

	if (len < end + 2 || name[len - end - 1] != '.' || !streq(name + len - end, suffix))
		return 0;
	return len - end - 1;
}

static bool wildcard_matches(const char *name, const char *suffix, bool bounded)
{
	size_t front = before_suffix(name, suffix), labels = 1;

	if (front == 0 || !bounded)
		return front > 0;
	for (size_t i = 0; i < front; i++)
		labels += name[i] == '.';
	return labels <= RULES_WILDCARD_LABELS && front <= RULES_WILDCARD_BYTES;
}

static bool name_matches(const struct net_rule *rule, const char *name, bool bounded)
{
	/* The host itself is never meant by "443" or "*.internal". */
	if (bounded && rule->host != NET_NAME && host_is_outside(name))
		return false;
	switch (rule->host) {
	case NET_ANY:
		return true;
	case NET_NAME:
		return streq(rule->name, name);
	case NET_WILDCARD:
		return wildcard_matches(name, rule->name, bounded);
	default:
		return false;
	}
}

static bool addr_matches(const struct net_rule *rule, const struct host *addr)
{
	return rule->host == (addr->kind == HOST_V6 ? NET_V6 : NET_V4) &&
	       special_prefix_equal(rule->addr, addr->addr, rule->prefix);
}

static bool host_matches(const struct net_rule *rule, const struct host *host, bool bounded)
{
	return host->kind == HOST_NAME ? name_matches(rule, host->name, bounded)
				       : addr_matches(rule, host);
}

static struct rules_answer blocked(size_t rule)
{
	return (struct rules_answer){ .verdict = RULES_BLOCKED, .rule = rule };
}

static struct rules_answer refused(enum rules_verdict verdict, const char *range)
{
	return (struct rules_answer){ .verdict = verdict, .range = range };
}

struct rules_answer rules_lookup(const struct net_rules *r, const char *name)
{
	for (size_t i = 0; i < r->block_count; i++)
		if (r->block[i].port == 0 && !r->block[i].udp &&
		    name_matches(&r->block[i], name, false))
			return blocked(i);
	for (size_t i = 0; i < r->allow_count; i++)
		if (name_matches(&r->allow[i], name, true))
			return (struct rules_answer){ .rule = i };
	return refused(RULES_NOT_LISTED, NULL);
}

bool rules_by_wildcard(const struct net_rules *r, const char *name, size_t *ret)
{
	size_t first = r->allow_count;

	for (size_t i = 0; i < r->allow_count; i++) {
		if (!name_matches(&r->allow[i], name, true))
			continue;
		if (r->allow[i].host != NET_WILDCARD)
			return false;
		first = MIN(first, i);
	}
	*ret = first;
	return first < r->allow_count;
}

static bool block_matches(const struct net_rule *rule, const struct host *host, uint16_t port,
			  bool udp)
{
	struct host inner[SPECIAL_EMBEDDED_MAX];
	unsigned count = special_embedded(host, inner);

	if ((rule->port != 0 && rule->port != port) || (rule->udp && !udp))
		return false;
	for (unsigned i = 0; i < count; i++)
		if (host_matches(rule, &inner[i], false))
			return true;
	return host_matches(rule, host, false);
}

static bool find_block(const struct net_rules *r, const struct host *host, uint16_t port, bool udp,
		       size_t *ret)
{
	for (size_t i = 0; i < r->block_count; i++) {
		if (block_matches(&r->block[i], host, port, udp)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

/* An allowing rule; of address rules only those of at least @prefix bits. */
static bool find_allow(const struct net_rules *r, const struct host *host, uint16_t port, bool udp,
		       unsigned prefix, size_t *ret)
{
	for (size_t i = 0; i < r->allow_count; i++) {
		const struct net_rule *rule = &r->allow[i];

		if ((rule->port == 0 || rule->port == port) && rule->udp == udp &&
		    (host->kind == HOST_NAME || rule->prefix >= prefix) &&
		    host_matches(rule, host, true)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

struct rules_answer rules_connect(const struct net_rules *r, const struct host *host, uint16_t port,
				  bool udp)
{
	struct host h = special_unmap(host);
	const struct special_range *special = NULL;
	unsigned prefix = 0;
	size_t rule;

	if (find_block(r, &h, port, udp, &rule))
		return blocked(rule);
	if (h.kind != HOST_NAME)
		special = special_find(&h, &prefix);
	if (find_allow(r, &h, port, udp, prefix, &rule))
		return (struct rules_answer){ .rule = rule };
	return special ? refused(RULES_SPECIAL, special->name) : refused(RULES_NOT_LISTED, NULL);
}

struct rules_answer rules_dial(const struct net_rules *r, const struct host *host,
			       const struct host *addr, uint16_t port, bool udp)
{
	struct rules_answer answer = rules_connect(r, host, port, udp);
	struct host a = special_unmap(addr);
	const struct special_range *special;
	unsigned prefix;
	size_t rule;

	if (answer.verdict != RULES_ALLOWED)
		return answer;
	if (find_block(r, &a, port, udp, &rule))
		return blocked(rule);
	special = special_find(&a, &prefix);
	if (host->kind == HOST_NAME && host_is_outside(host->name)) /* the resolver's own answer */
		return answer;
	if (special && !find_allow(r, &a, port, udp, prefix, &rule))
		return refused(RULES_SPECIAL, special->name);
	return answer;
}
