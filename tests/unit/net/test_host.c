/* SPDX-License-Identifier: Apache-2.0 */
/* One spelling of a host, and what has more than one reading refused. */
#include "net_test.h"

#include "net/host.h"

static int parse(const char *text, struct host *h)
{
	size_t len = strlen(text);
	_cleanup_free_ char *p = exact_copy(text, len);

	return host_parse(p, len, h);
}

static void test_names(void **state)
{
	struct host h;

	assert_int_equal(parse("API.Example.ORG", &h), 0);
	assert_int_equal(h.kind, HOST_NAME);
	assert_string_equal(h.name, "api.example.org");
	assert_int_equal(parse("_ldap._tcp.example.org", &h), 0);
	assert_int_equal(parse("xn--bcher-kva.example", &h), 0);
	assert_int_equal(parse("r3---sn-4g5e.example", &h), 0);
	assert_int_equal(parse("AZ.az.09az", &h), 0);
	assert_string_equal(h.name, "az.az.09az");
	assert_int_equal(parse("localhost", &h), 0);
	assert_int_equal(parse("3com.example", &h), 0);
	assert_int_equal(parse("1.2.3.4.example", &h), 0);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"a.",
		"a..b",
		".a",
		"a.-b",
		"-a",
		"a-",
		"a-.b",
		"a b",
		"a\tb",
		"a\nb",
		"a/b",
		"user@host",
		"*.example.org",
		"b\xc3\xbc"
		"cher.example",
		"a%00b",
		"a%2eb",
		"a,b",
		"a\\b",
		/* Numbers that inet_aton() would take. */
		"127.1",
		"0x7f.1",
		"0x7f000001",
		"2130706433",
		"017700000001",
		"010.0.0.1",
		"1.2.3",
		"1.2.3.256",
		"1.2.3.4.",
		"1.2.3.4.5",
		"a.1",
		"a.0123456789",
		"a.0x1",
		"1..2",
		/* Not addresses, or IPv4 in disguise. */
		"::ffff:1.2.3.4",
		"::ffff:0102:0304",
		"[::1]",
		"fe80::1%eth0",
		":",
		":::",
		"1::2::3",
		"12345::",
		"::1.2.3.256",
	};
	struct host h;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (parse(bad[i], &h) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(h.name, "");
	}
	assert_int_equal(host_parse("allowed.org\0.evil.org", 21, &h), -EINVAL);
	assert_int_equal(host_parse("1.2.3.4\0", 8, &h), -EINVAL);
	assert_int_equal(host_parse("::1\0", 4, &h), -EINVAL);
}

static void test_lengths(void **state)
{
	char name[300], ret[HOST_NAME_MAX_LEN + 1];

	memset(name, 'a', sizeof(name));
	assert_int_equal(host_name(name, 63, ret), 0);
	assert_int_equal(host_name(name, 64, ret), -EINVAL);
	for (size_t i = 63; i < sizeof(name); i += 64)
		name[i] = '.';
	assert_int_equal(host_name(name, 253, ret), 0);
	assert_int_equal(strlen(ret), 253);
	assert_int_equal(host_name(name, 254, ret), -EINVAL);
	assert_int_equal(host_name(name, 0, ret), -EINVAL);
}

static void test_addresses(void **state)
{
	static const uint8_t v4[4] = { 192, 0, 2, 1 }, v6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
	struct host h, other;

	assert_int_equal(parse("192.0.2.1", &h), 0);
	assert_int_equal(h.kind, HOST_V4);
	assert_memory_equal(h.addr, v4, 4);
	assert_int_equal(parse("2001:DB8::1", &h), 0);
	assert_int_equal(h.kind, HOST_V6);
	assert_memory_equal(h.addr, v6, 16);
	assert_int_equal(parse("2001:db8:0:0::0.0.0.1", &other), 0);
	assert_true(host_equal(&h, &other));
	assert_int_equal(parse("2001:db8::2", &other), 0);
	assert_false(host_equal(&h, &other));
	assert_int_equal(parse("example.org", &h), 0);
	assert_int_equal(parse("EXAMPLE.org", &other), 0);
	assert_true(host_equal(&h, &other));
}

static void test_authority(void **state)
{
	static const char *const bad[] = {
		"",
		":80",
		"a:",
		"a:0",
		"a:65536",
		"a:080000",
		"a:000080",
		"a:+80",
		"a: 80",
		"a:80 ",
		"a:8o",
		"::1",
		"2001:db8::1:80",
		"[::1",
		"[::1]80",
		"[::1]:",
		"[a]:80",
		"[1.2.3.4]",
		"u@a:80",
		"u:p@a:80",
		"a:80:90",
		"[]:80",
		"a:80/x",
		"[::1]:80/x",
		"a:http",
		"[fe80::1%251]:80",
		"[v1.a]:80",
	};
	struct host h;
	uint16_t port;

	assert_int_equal(host_parse_authority("Example.org:8443", 16, &h, &port), 0);
	assert_string_equal(h.name, "example.org");
	assert_int_equal(port, 8443);
	assert_int_equal(host_parse_authority("[::1]:80", 8, &h, &port), 0);
	assert_int_equal(h.kind, HOST_V6);
	assert_int_equal(port, 80);
	assert_int_equal(host_parse_authority("[::1]", 5, &h, &port), 0);
	assert_int_equal(port, 0);
	assert_int_equal(host_parse_authority("a:1", 3, &h, &port), 0);
	assert_int_equal(port, 1);
	assert_int_equal(host_parse_authority("10.0.0.1:65535", 14, &h, &port), 0);
	assert_int_equal(h.kind, HOST_V4);
	assert_int_equal(port, 65535);
	assert_int_equal(host_parse_authority("a", 1, &h, &port), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t len = strlen(bad[i]);
		_cleanup_free_ char *p = exact_copy(bad[i], len);

		if (host_parse_authority(p, len, &h, &port) == 0)
			fail_msg("accepted: %s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lengths),	  cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_authority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
