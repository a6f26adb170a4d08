/* SPDX-License-Identifier: Apache-2.0 */
/* network.allow_incoming: what an item means, its one spelling, and what is none. */
#include "policy_test.h"

#include "base/str.h"
#include "policy/publish.h"

#define PORTS "write a port such as 8080"
#define PORT "not a port; write a number from 1 to 65535"
#define ADDRESS "write one address of the host"
#define BRACKETS "brackets hold an IPv6 address, and a port follows"

static const struct {
	const char *text, *canonical; /* or what is wrong, if host is -1 */
	int host;
	uint8_t first, last; /* of the address's bytes */
	uint16_t port, inside;
} items[] = {
	{ "8080", "8080", NET_ANY, 0, 0, 8080, 8080 },
	{ "8080/tcp", "8080", NET_ANY, 0, 0, 8080, 8080 },
	{ "9000:8080", "9000:8080", NET_ANY, 0, 0, 9000, 8080 },
	{ "1:65535", "1:65535", NET_ANY, 0, 0, 1, 65535 },
	{ "80:80", "80", NET_ANY, 0, 0, 80, 80 },
	{ "0.0.0.0:80:8080", "0.0.0.0:80:8080", NET_V4, 0, 0, 80, 8080 },
	{ "127.0.0.2:8080", "127.0.0.2:8080", NET_V4, 127, 0, 8080, 8080 },
	{ "10.1.2.3:8080:8080", "10.1.2.3:8080", NET_V4, 10, 0, 8080, 8080 },
	{ "[::]:80:8080", "[::]:80:8080", NET_V6, 0, 0, 80, 8080 },
	{ "[::1]:8080", "[::1]:8080", NET_V6, 0, 1, 8080, 8080 },
	{ "[2001:DB8:0::5]:1:2", "[2001:db8::5]:1:2", NET_V6, 0x20, 5, 1, 2 },
	{ "", PORTS, -1 },
	{ "web", PORTS, -1 },
	{ ":", PORTS, -1 },
	{ ":8080", PORTS, -1 },
	{ "8080:", PORTS, -1 },
	{ "0", PORT, -1 },
	{ "65536", PORT, -1 },
	{ "080", PORT, -1 },
	{ "8080:0", PORT, -1 },
	{ "0:8080", PORT, -1 },
	{ "+80", PORTS, -1 },
	{ "80-90", PORTS, -1 },
	{ "1:2:3", PORTS, -1 },
	{ "8080/udp", "only TCP", -1 },
	{ "8080/sctp", PORTS, -1 },
	{ "*:80:8080", ADDRESS, -1 },
	{ "localhost:8080", ADDRESS, -1 },
	{ "1.2.3:80", "not an IPv4 address", -1 },
	{ "1.2.3.4", PORTS, -1 },
	{ "1.2.3.4:", PORTS, -1 },
	{ "1.2.3.4:5:6:7", PORTS, -1 },
	{ "127.0.0.0/8:80", ADDRESS, -1 },
	{ "0x7f.1:80", ADDRESS, -1 },
	{ "::1:8080", ADDRESS, -1 },
	{ "2001:db8::1:8080", ADDRESS, -1 },
	{ "fe80:0:0:0:0:0:0:1:80", ADDRESS, -1 },
	{ "[::1]", BRACKETS, -1 },
	{ "[::1]8080", BRACKETS, -1 },
	{ "[::1", BRACKETS, -1 },
	{ "[127.0.0.1]:80", ADDRESS, -1 },
	{ "[]:80", ADDRESS, -1 },
	{ "[::/0]:80", ADDRESS, -1 },
	{ "[fe80::1%eth0]:80", "not an IPv6 address", -1 },
	{ "[::ffff:127.0.0.1]:80", "IPv4 address in IPv6 form", -1 },
	{ "http://127.0.0.1:80", ADDRESS, -1 },
};

static void test_items(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		struct net_publish p = { 0 };
		const char *why = "";
		char text[NET_PUBLISH_TEXT];
		int r = net_publish_parse(items[i].text, &p, &why);

		if (items[i].host < 0) {
			if (r != -EINVAL || !strstr(why, items[i].canonical))
				fail_msg("'%s': %d, %s", items[i].text, r, why);
			continue;
		}
		if (r < 0)
			fail_msg("'%s': %s", items[i].text, why);
		net_publish_format(&p, text);
		assert_string_equal(text, items[i].canonical);
		assert_int_equal(p.host, items[i].host);
		assert_int_equal(p.port, items[i].port);
		assert_int_equal(p.inside, items[i].inside);
		assert_int_equal(p.addr[0], items[i].first);
		assert_int_equal(p.addr[15], items[i].last);
		assert_int_equal(net_publish_parse(text, &p, &why), 0);
	}
}

static void test_too_long(void **state)
{
	char text[1024];
	struct net_publish p;
	const char *why;

	memset(text, '0', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(net_publish_parse(text, &p, &why), -EINVAL);
	assert_string_equal(why, "too long for a port to publish");
}

static void test_everywhere(void **state)
{
	static const struct {
		const char *text;
		bool everywhere;
	} cases[] = { { "80", false },		 { "0.0.0.0:80", true }, { "[::]:80", true },
		      { "127.0.0.1:80", false }, { "[::1]:80", false },	 { "1.0.0.0:80", false } };
	struct net_publish p;
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(net_publish_parse(cases[i].text, &p, &why), 0);
		assert_int_equal(net_publish_everywhere(&p), cases[i].everywhere);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
