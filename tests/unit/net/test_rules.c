/* SPDX-License-Identifier: Apache-2.0 */
/* Rules as policies write them, and the ways around them. */
#include "net_test.h"

#include "net/rules.h"
#include "net/special.h"

enum { RULES_MAX = 8 };

struct fixture {
	struct net_rule allow[RULES_MAX], block[RULES_MAX];
	struct net_rules rules;
};

static size_t add(struct net_rule *rules, const char *text)
{
	char copy[512], *save = NULL;
	const char *why = NULL;
	size_t n = 0;

	strncpy(copy, text, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		assert_true(n < RULES_MAX);
		if (net_rule_parse(s, &rules[n++], &why) < 0)
			fail_msg("%s: %s", s, why);
	}
	return n;
}

/* @allow and @block: rules with blanks between them. */
static const struct net_rules *rules(struct fixture *f, const char *allow, const char *block)
{
	f->rules = (struct net_rules){ .allow = f->allow, .block = f->block };
	f->rules.allow_count = add(f->allow, allow);
	f->rules.block_count = add(f->block, block);
	return &f->rules;
}

static struct host host(const char *text)
{
	struct host h;

	/* What no program may write, but a socket or a resolver may say. */
	if (strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.')) {
		struct host inner = host(text + 7);

		h = (struct host){ .kind = HOST_V6, .addr = { [10] = 0xff, 0xff } };
		memcpy(h.addr + 12, inner.addr, 4);
	} else if (host_parse(text, strlen(text), &h) < 0) {
		fail_msg("%s", text);
	}
	return h;
}

static enum rules_verdict tcp(const struct net_rules *r, const char *to, uint16_t port)
{
	struct host h = host(to);

	return rules_connect(r, &h, port, false).verdict;
}

static enum rules_verdict dial(const struct net_rules *r, const char *name, const char *addr,
			       uint16_t port)
{
	struct host n = host(name), a = host(addr);

	return rules_dial(r, &n, &a, port, false).verdict;
}

static void test_empty_is_nothing(void **state)
{
	struct fixture f;
	const struct net_rules *r = rules(&f, "", "");

	assert_int_equal(tcp(r, "example.org", 443), RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "9.9.9.9", 443), RULES_NOT_LISTED);
	assert_int_equal(rules_lookup(r, "example.org").verdict, RULES_NOT_LISTED);
}

static void test_names(void **state)
{
	static const char *const others[] = {
		"allowed.com.evil.org",
		"evil-allowed.com",
		"xallowed.com",
		"allowed.co",
		"www.allowed.com",
		"com",
		"lowed.com",
		"allowed.comx",
	};
	struct fixture f;
	const struct net_rules *r = rules(&f, "allowed.com:443 api.example.org", "");
	struct host h = host("ALLOWED.com");

	assert_int_equal(tcp(r, "allowed.com", 443), RULES_ALLOWED);
	assert_int_equal(tcp(r, "allowed.com", 80), RULES_NOT_LISTED);
	assert_int_equal(rules_connect(r, &h, 443, false).verdict, RULES_ALLOWED);
	assert_int_equal(rules_connect(r, &h, 443, true).verdict, RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "api.example.org", 1), RULES_ALLOWED);
	h = host("api.example.org");
	assert_int_equal(rules_connect(r, &h, 65535, false).rule, 1);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (tcp(r, others[i], 443) != RULES_NOT_LISTED)
			fail_msg("%s", others[i]);
		assert_int_equal(rules_lookup(r, others[i]).verdict, RULES_NOT_LISTED);
	}
	assert_int_equal(rules_lookup(r, "allowed.com").verdict, RULES_ALLOWED);
}

static void test_wildcards(void **state)
{
	char name[256];
	struct fixture f;
	const struct net_rules *r = rules(&f, "*.example.org:443", "*.bad.example.org");

	assert_int_equal(tcp(r, "a.example.org", 443), RULES_ALLOWED);
	assert_int_equal(tcp(r, "a.b.c.d.example.org", 443), RULES_ALLOWED);
	assert_int_equal(tcp(r, "a.b.c.d.e.example.org", 443), RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "example.org", 443), RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "badexample.org", 443), RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "a.example.org.evil.net", 443), RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "a.bad.example.org", 443), RULES_BLOCKED);
	/* A block has no limit. */
	assert_int_equal(tcp(r, "1.2.3.4.5.6.bad.example.org", 443), RULES_BLOCKED);
	assert_int_equal(rules_lookup(r, "1.2.3.4.5.6.bad.example.org").verdict, RULES_BLOCKED);
	assert_int_equal(rules_lookup(r, "a.b.c.d.e.example.org").verdict, RULES_NOT_LISTED);
	memset(name, 'a', sizeof(name));
	name[48] = '.';
	strcpy(name + RULES_WILDCARD_BYTES, ".example.org");
	assert_int_equal(tcp(r, name, 443), RULES_ALLOWED);
	name[RULES_WILDCARD_BYTES] = 'a';
	strcpy(name + RULES_WILDCARD_BYTES + 1, ".example.org");
	assert_int_equal(tcp(r, name, 443), RULES_NOT_LISTED);
}

static void test_host_itself(void **state)
{
	struct fixture f;
	const struct net_rules *r = rules(&f, "host.purple.internal:5432 443 *.purple.internal",
					  "");

	assert_int_equal(tcp(r, "host.purple.internal", 5432), RULES_ALLOWED);
	assert_int_equal(dial(r, "host.purple.internal", "127.0.0.1", 5432), RULES_ALLOWED);
	assert_int_equal(dial(r, "host.purple.internal", "::1", 5432), RULES_ALLOWED);
	assert_int_equal(tcp(r, "host.purple.internal", 443), RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "host.purple.internal", 80), RULES_NOT_LISTED);
	assert_int_equal(dial(r, "other.purple.internal", "127.0.0.1", 5432), RULES_SPECIAL);
	r = rules(&f, "443 *.purple.internal", "");
	assert_int_equal(rules_lookup(r, "host.purple.internal").verdict, RULES_NOT_LISTED);
	r = rules(&f, "host.purple.internal:5432", "127.0.0.0/8");
	assert_int_equal(dial(r, "host.purple.internal", "127.0.0.1", 5432), RULES_BLOCKED);
	assert_int_equal(dial(r, "host.purple.internal", "::1", 5432), RULES_ALLOWED);
}

static void test_any_host(void **state)
{
	struct fixture f;
	const struct net_rules *r = rules(&f, "443 123/udp", "evil.org");
	struct host h = host("time.example.org");

	assert_int_equal(tcp(r, "example.org", 443), RULES_ALLOWED);
	assert_int_equal(tcp(r, "example.org", 80), RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "evil.org", 443), RULES_BLOCKED);
	assert_int_equal(rules_lookup(r, "evil.org").verdict, RULES_BLOCKED);
	assert_int_equal(rules_connect(r, &h, 123, true).rule, 1);
	assert_int_equal(rules_connect(r, &h, 123, false).verdict, RULES_NOT_LISTED);
	/* Every name is no address, and leads to no private one. */
	assert_int_equal(tcp(r, "9.9.9.9", 443), RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "127.0.0.1", 443), RULES_SPECIAL);
	assert_int_equal(dial(r, "example.org", "9.9.9.9", 443), RULES_ALLOWED);
	assert_int_equal(dial(r, "rebind.org", "127.0.0.1", 443), RULES_SPECIAL);
}

static void test_addresses(void **state)
{
	struct fixture f;
	const struct net_rules *r = rules(
		&f, "10.0.0.0/8:5432 8.8.8.8:53/udp [2001:470::/32]:443 2001:470:1::1 0.0.0.0/0:80",
		"10.9.0.0/16");
	struct host h = host("8.8.8.8");

	assert_int_equal(tcp(r, "10.1.2.3", 5432), RULES_ALLOWED);
	assert_int_equal(tcp(r, "10.1.2.3", 5433), RULES_SPECIAL);
	assert_int_equal(tcp(r, "11.0.0.1", 5432), RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "::ffff:10.1.2.3", 5432), RULES_ALLOWED);
	assert_int_equal(tcp(r, "10.9.2.3", 5432), RULES_BLOCKED);
	assert_int_equal(tcp(r, "::ffff:10.9.2.3", 5432), RULES_BLOCKED);
	assert_int_equal(rules_connect(r, &h, 53, true).verdict, RULES_ALLOWED);
	assert_int_equal(rules_connect(r, &h, 53, false).verdict, RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "2001:470:2::7", 443), RULES_ALLOWED);
	assert_int_equal(tcp(r, "2001:471::1", 443), RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "2001:470:1::1", 22), RULES_ALLOWED);
	/* The whole of IPv4 does not list what is special in it. */
	assert_int_equal(tcp(r, "9.9.9.9", 80), RULES_ALLOWED);
	assert_int_equal(tcp(r, "10.0.0.1", 80), RULES_SPECIAL);
	assert_int_equal(tcp(r, "169.254.169.254", 80), RULES_SPECIAL);
	/* A name is not reached by its address's rule. */
	assert_int_equal(tcp(r, "example.org", 80), RULES_NOT_LISTED);
}

static void test_special_ranges(void **state)
{
	static const struct {
		const char *addr, *range;
	} rows[] = {
		{ "0.0.0.0", "this network" },
		{ "0.1.2.3", "this network" },
		{ "10.255.255.255", "private" },
		{ "100.64.0.1", "shared" },
		{ "100.127.255.255", "shared" },
		{ "127.0.0.1", "loopback" },
		{ "127.255.255.254", "loopback" },
		{ "169.254.0.1", "link-local" },
		{ "172.16.0.0", "private" },
		{ "172.31.255.255", "private" },
		{ "192.168.0.1", "private" },
		{ "192.0.0.8", "protocol assignments" },
		{ "198.19.0.1", "benchmarking" },
		{ "203.0.113.9", "documentation" },
		{ "224.0.0.251", "multicast" },
		{ "239.255.255.250", "multicast" },
		{ "240.0.0.1", "reserved" },
		{ "255.255.255.255", "broadcast" },
		{ "169.254.169.254", "metadata service" },
		{ "168.63.129.16", "metadata service" },
		{ "100.100.100.200", "metadata service" },
		{ "fd00:ec2::254", "metadata service" },
		{ "::", "unspecified" },
		{ "::1", "loopback" },
		{ "::7f00:1", "IPv4-compatible" },
		{ "::ffff:127.0.0.1", "loopback" },
		{ "::ffff:169.254.169.254", "metadata service" },
		{ "::ffff:0:7f00:1", "SIIT" },
		{ "64:ff9b::7f00:1", "loopback" },
		{ "64:ff9b::a9fe:a9fe", "metadata service" },
		{ "64:ff9b:1::1", "local NAT64" },
		{ "2002:7f00:1::", "6to4" },
		{ "2002:808:808::1", "6to4" },
		{ "2001:0:1::1", "Teredo" },
		{ "2001:10::1", "protocol assignments" },
		{ "2001:db8::1", "documentation" },
		{ "3fff::1", "documentation" },
		{ "fc00::1", "private" },
		{ "fdff::1", "private" },
		{ "fe80::1", "link-local" },
		{ "febf::1", "link-local" },
		{ "fec0::1", "site-local" },
		{ "ff02::1", "multicast" },
		{ "4000::1", "reserved" },
		{ "1::1", "reserved" },
		{ "a000::1", "reserved" },
		{ "fe00::1", "reserved" },
	};
	static const char *const public[] = {
		"1.1.1.1",	    "9.255.255.255",   "11.0.0.0",	   "100.63.255.255",
		"100.128.0.0",	    "126.255.255.255", "128.0.0.0",	   "169.253.255.255",
		"169.255.0.0",	    "172.15.255.255",  "172.32.0.0",	   "192.167.255.255",
		"192.169.0.0",	    "198.17.255.255",  "198.20.0.0",	   "223.255.255.255",
		"192.0.1.0",	    "::ffff:8.8.8.8",  "64:ff9b::808:808", "2001:200::1",
		"2001:db7:ffff::1", "2001:db9::1",     "2606:4700::1111",  "2003::1",
		"3ffe::1",	    "168.63.129.15",
	};
	struct fixture f;
	const struct net_rules *r = rules(&f, "example.org", "");
	struct host name = host("example.org");

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct host a = host(rows[i].addr);
		struct rules_answer answer = rules_dial(r, &name, &a, 443, false);

		if (answer.verdict != RULES_SPECIAL || strcmp(answer.range, rows[i].range) != 0)
			fail_msg("%s: %d %s", rows[i].addr, (int)answer.verdict,
				 answer.range ? answer.range : "");
		assert_int_equal(tcp(r, rows[i].addr, 443), RULES_SPECIAL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(public); i++)
		if (dial(r, "example.org", public[i], 443) != RULES_ALLOWED)
			fail_msg("%s", public[i]);
}

/* A rule lists a special address only from within its range. */
static void test_listing(void **state)
{
	struct fixture f;
	const struct net_rules *r =
		rules(&f,
		      "example.org 10.0.0.0/8 8.0.0.0/5 169.254.0.0/16:80 169.254.169.254:8080 "
		      "[fd00::/8]:443 [64:ff9b::a00:0/104]:1 [64:ff9b::/96]:2",
		      "");

	assert_int_equal(dial(r, "example.org", "10.1.1.1", 443), RULES_ALLOWED);
	assert_int_equal(dial(r, "example.org", "::ffff:10.1.1.1", 443), RULES_ALLOWED);
	assert_int_equal(tcp(r, "9.1.1.1", 443), RULES_ALLOWED);
	assert_int_equal(dial(r, "example.org", "169.254.1.1", 80), RULES_ALLOWED);
	assert_int_equal(dial(r, "example.org", "169.254.1.1", 443), RULES_SPECIAL);
	assert_int_equal(dial(r, "example.org", "169.254.169.254", 80), RULES_SPECIAL);
	assert_int_equal(dial(r, "example.org", "169.254.169.254", 8080), RULES_ALLOWED);
	assert_int_equal(dial(r, "example.org", "fd12::1", 443), RULES_ALLOWED);
	assert_int_equal(dial(r, "example.org", "fd00:ec2::254", 443), RULES_SPECIAL);
	assert_int_equal(dial(r, "example.org", "fc00::1", 443), RULES_SPECIAL);
	assert_int_equal(dial(r, "example.org", "64:ff9b::a01:1", 1), RULES_ALLOWED);
	assert_int_equal(dial(r, "example.org", "64:ff9b::a01:1", 2), RULES_SPECIAL);
	assert_int_equal(dial(r, "other.org", "10.1.1.1", 443), RULES_NOT_LISTED);
	r = rules(&f, "example.org 8.0.0.0/5", "");
	assert_int_equal(dial(r, "example.org", "10.1.1.1", 443), RULES_SPECIAL);
}

static void test_blocked_addresses(void **state)
{
	static const char *const clothes[] = {
		"9.8.7.6",
		"::ffff:9.8.7.6",
		"::908:706",
		"::ffff:0:908:706",
		"64:ff9b::908:706",
		"2002:908:706::1",
		"2001:0:908:706::1",
		"2001:0:101:101:0:0:f6f7:f8f9",
		"2606:4700::5efe:908:706",
		"2606:4700::200:5efe:908:706",
	};
	static const char *const others[] = {
		"9.8.8.6",
		"2606:4700::908:706",
		"2606:4700::5efd:908:706",
		"2606:4700::100:5efe:908:706",
		"2606:4700::1:5efe:908:706",
		"2003:908:706::1",
		"64:ff9b::908:806",
	};
	struct fixture f;
	const struct net_rules *r = rules(&f, "443 2000::/3 9.8.7.6 ::/96",
					  "9.8.7.0/24 0.0.0.0/8 [2606::/16]:80 1.1.1.1:53/udp");
	struct host h = host("1.1.1.1"), name = host("example.org");

	for (size_t i = 0; i < ARRAY_SIZE(clothes); i++) {
		if (dial(r, "example.org", clothes[i], 443) != RULES_BLOCKED)
			fail_msg("%s", clothes[i]);
		assert_int_equal(tcp(r, clothes[i], 443), RULES_BLOCKED);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (dial(r, "example.org", others[i], 443) != RULES_ALLOWED)
			fail_msg("%s", others[i]);
	/* Without "/udp" a block is for both, with it for UDP alone. */
	h = host("9.8.7.6");
	assert_int_equal(rules_connect(r, &h, 443, true).verdict, RULES_BLOCKED);
	h = host("1.1.1.1");
	assert_int_equal(rules_dial(r, &name, &h, 443, false).verdict, RULES_ALLOWED);
	assert_int_equal(rules_connect(r, &h, 53, true).verdict, RULES_BLOCKED);
	assert_int_equal(rules_connect(r, &h, 53, false).verdict, RULES_NOT_LISTED);
	assert_int_equal(tcp(r, "2606::1", 443), RULES_ALLOWED);
	assert_int_equal(tcp(r, "2606::1", 80), RULES_BLOCKED);
	/* A port alone does not stop the look-up. */
	r = rules(&f, "443", "example.org:80");
	assert_int_equal(rules_lookup(r, "example.org").verdict, RULES_ALLOWED);
	assert_int_equal(tcp(r, "example.org", 443), RULES_ALLOWED);
}

/* Every boundary bit of a prefix, against arithmetic. */
static void test_prefixes(void **state)
{
	uint8_t a[16], b[16];

	for (unsigned prefix = 0; prefix <= 128; prefix++) {
		for (unsigned bit = 0; bit < 128; bit++) {
			memset(a, 0x5a, sizeof(a));
			memcpy(b, a, sizeof(b));
			b[bit / 8] ^= (uint8_t)(0x80u >> (bit % 8));
			assert_int_equal(special_prefix_equal(a, b, prefix), bit >= prefix);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_is_nothing),  cmocka_unit_test(test_names),
		cmocka_unit_test(test_host_itself),	  cmocka_unit_test(test_wildcards),
		cmocka_unit_test(test_any_host),	  cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_special_ranges),	  cmocka_unit_test(test_listing),
		cmocka_unit_test(test_blocked_addresses), cmocka_unit_test(test_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
