/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first line "HOST:PORT ADDRESS" (port above 32767: UDP), then rules, one a
 * line, those that block behind a '-'. What must hold of any of them: without
 * an allowing rule nothing is allowed, a blocking rule for the very host
 * blocks, IPv4 in IPv6 clothes is judged as IPv4.
 */
#include "fuzz.h"

#include <string.h>

#include "base/macros.h"
#include "net/rules.h"

enum { RULES_MAX = 32 };

static struct net_rule block_of(const struct host *h)
{
	struct net_rule rule = { .host = NET_NAME };

	if (h->kind == HOST_NAME) {
		memcpy(rule.name, h->name, sizeof(rule.name));
	} else {
		rule.host = h->kind == HOST_V6 ? NET_V6 : NET_V4;
		rule.prefix = h->kind == HOST_V6 ? 128 : 32;
		memcpy(rule.addr, h->addr, sizeof(rule.addr));
	}
	return rule;
}

static struct host mapped(const struct host *v4)
{
	struct host h = { .kind = HOST_V6, .addr = { [10] = 0xff, 0xff } };

	memcpy(h.addr + 12, v4->addr, 4);
	return h;
}

static void check(const struct net_rules *rules, const struct host *h, const struct host *addr,
		  uint16_t port)
{
	bool udp = port > INT16_MAX;
	struct rules_answer connect = rules_connect(rules, h, port, udp);
	struct rules_answer dial = rules_dial(rules, h, addr, port, udp);
	struct net_rules none = { .block = rules->block, .block_count = rules->block_count };
	struct net_rule block = block_of(h);
	struct net_rules all = { .allow = rules->allow,
				 .allow_count = rules->allow_count,
				 .block = &block,
				 .block_count = 1 };
	struct host other;

	require(dial.verdict != RULES_ALLOWED || connect.verdict == RULES_ALLOWED);
	require(connect.verdict != RULES_ALLOWED || connect.rule < rules->allow_count);
	require(connect.verdict != RULES_BLOCKED || connect.rule < rules->block_count);
	require((dial.verdict == RULES_SPECIAL) == (dial.range != NULL));
	require(rules_connect(&none, h, port, udp).verdict != RULES_ALLOWED);
	require(rules_connect(&all, h, port, udp).verdict == RULES_BLOCKED);
	if (h->kind == HOST_NAME && connect.verdict == RULES_ALLOWED)
		require(rules_lookup(rules, h->name).verdict == RULES_ALLOWED);
	if (addr->kind == HOST_V4) {
		other = mapped(addr);
		require(rules_dial(rules, h, &other, port, udp).verdict == dial.verdict);
	}
}

/* The next line of *text, terminated, or NULL. */
static char *line(char **text)
{
	char *s = *text, *end = s ? strchr(s, '\n') : NULL;

	*text = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_rule allow[RULES_MAX], block[RULES_MAX];
	struct net_rules rules = { .allow = allow, .block = block };
	_cleanup_free_ char *copy = size < 4096 ? malloc(size + 1) : NULL;
	char *rest = copy, *s, *blank;
	struct host h, addr;
	const char *why;
	uint16_t port;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	s = line(&rest);
	blank = strchr(s, ' ');
	if (!blank || host_parse_authority(s, (size_t)(blank - s), &h, &port) < 0 || port == 0 ||
	    host_parse(blank + 1, strlen(blank + 1), &addr) < 0 || addr.kind == HOST_NAME)
		return 0;
	while ((s = line(&rest)) && rules.allow_count < RULES_MAX &&
	       rules.block_count < RULES_MAX) {
		bool blocks = *s == '-';

		if (net_rule_parse(s + blocks,
				   blocks ? &block[rules.block_count] : &allow[rules.allow_count],
				   &why) == 0)
			*(blocks ? &rules.block_count : &rules.allow_count) += 1;
	}
	check(&rules, &h, &addr, port);
	return 0;
}
