/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of purple-net: what is none is refused. And resolv.conf. */
#include "net_test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "net/block.h"

struct whole {
	struct net_block block;
	struct net_rule rules[4]; /* even, so that nothing pads the end */
};

_Static_assert(sizeof(struct whole) == sizeof(struct net_block) + 4 * sizeof(struct net_rule),
	       "as the format has it");

static struct whole good(void)
{
	return (struct whole){
		.block = { .magic = NET_BLOCK_MAGIC,
			   .size = sizeof(struct whole),
			   .allow_count = 3,
			   .block_count = 1,
			   .max_connections = 100,
			   .idle_s = 60,
			   .v6_prefix = { 0xfd, 1 },
			   .servers_count = 1,
			   .servers = { { .port = 53, .addr = { 127, 0, 0, 1 } } } },
		.rules = { { .host = NET_NAME, .name = "a.example", .port = 443 },
			   { .host = NET_ANY, .port = 80 },
			   { .host = NET_V6, .prefix = 128 },
			   { .host = NET_V4, .addr = { 10 }, .prefix = 8 } },
	};
}

static int read_back(const void *data, size_t len, struct net_block **ret, struct net_rules *rules)
{
	int fd = memfd_create("block", MFD_CLOEXEC), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	r = net_block_read(fd, ret, rules);
	close(fd);
	return r;
}

static void test_read(void **state)
{
	struct whole w = good();
	struct net_rules rules;
	struct net_block *b;

	assert_int_equal(read_back(&w, sizeof(w), &b, &rules), 0);
	assert_int_equal(rules.allow_count, 3);
	assert_int_equal(rules.block_count, 1);
	assert_string_equal(rules.allow[0].name, "a.example");
	assert_int_equal(rules.block[0].addr[0], 10);
	free(b);
}

static void test_refused(void **state)
{
	struct net_rules rules;
	struct net_block *b;
	struct whole w;

#define REFUSED(change, error)                                                    \
	do {                                                                      \
		w = good();                                                       \
		change;                                                           \
		assert_int_equal(read_back(&w, sizeof(w), &b, &rules), -(error)); \
	} while (0)
	REFUSED(w.block.magic++, EINVAL);
	REFUSED(w.block.size++, EINVAL);
	REFUSED(w.block.allow_count++, EINVAL);
	REFUSED(w.block.block_count = 0, EINVAL);
	REFUSED(w.block.allow_count = NET_RULES_MAX + 1, EINVAL);
	REFUSED((w.block.allow_count = UINT32_MAX, w.block.block_count = 4), EINVAL);
	REFUSED(w.block.max_connections = 0, EINVAL);
	REFUSED(w.block.max_connections = NET_CONNECTIONS_MAX + 1, EINVAL);
	REFUSED(w.block.idle_s = 0, EINVAL);
	REFUSED(w.block.v6_prefix[0] = 0x20, EINVAL);
	REFUSED(w.block.servers_count = NET_SERVERS_MAX + 1, EINVAL);
	REFUSED(w.block.servers[0].port = 0, EINVAL);
	REFUSED(w.rules[2].prefix = 129, EINVAL);
	REFUSED(w.rules[3].prefix = 33, EINVAL);
	REFUSED(w.rules[1].host = NET_V6 + 1, EINVAL);
	REFUSED(memset(w.rules[0].name, 'a', sizeof(w.rules[0].name)), EINVAL);
	REFUSED(w.block.bytes_per_second = NET_BANDWIDTH_MAX + 1, EINVAL);
#undef REFUSED
	w = good();
	assert_int_equal(read_back(&w, sizeof(w) - 1, &b, &rules), -EINVAL);
	assert_int_equal(read_back(&w, sizeof(w.block) - 1, &b, &rules), -EINVAL);
	assert_int_equal(read_back(&w, 0, &b, &rules), -EINVAL);
}

static void test_resolv_conf(void **state)
{
	struct net_server s[NET_SERVERS_MAX];

	assert_int_equal(net_parse_resolv_conf("# nameserver 9.9.9.9\n"
					       "search example.org\n"
					       "nameserver\t10.0.0.1 \r\n"
					       "nameserverx 10.0.0.2\n"
					       "nameserver name.example\n"
					       "nameserver fe80::1%eth0\n"
					       "nameserver 2001:db8::1\n"
					       "options edns0\n"
					       "nameserver 10.0.0.3",
					       s),
			 3);
	assert_true(!s[0].v6 && s[0].addr[3] == 1 && s[0].port == 53);
	assert_true(s[1].v6 && s[1].addr[0] == 0x20 && s[1].port == 53);
	assert_true(!s[2].v6 && s[2].addr[3] == 3);
	assert_int_equal(net_parse_resolv_conf("", s), 1);
	assert_true(!s[0].v6 && s[0].addr[0] == 127 && s[0].port == 53);
	assert_int_equal(net_parse_resolv_conf("nameserver 10.0.0.1\nnameserver 10.0.0.2\n"
					       "nameserver 10.0.0.3\nnameserver 10.0.0.4\n"
					       "nameserver 10.0.0.5\nnameserver 10.0.0.6\n"
					       "nameserver 10.0.0.7\nnameserver 10.0.0.8\n"
					       "nameserver 10.0.0.9\n",
					       s),
			 NET_SERVERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_resolv_conf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
