/* SPDX-License-Identifier: Apache-2.0 */
/* What upstream servers say, and what some would say if they could. */
#include "net_test.h"

#include <stdio.h>

#include "dns_make.h"
#include "net/dns.h"

enum { ID = 0xbeef, ANSWER = 0x8180 };

static struct bytes b; /* too large for a stack */
static struct dns_answer a;

static int parse(const char *name, unsigned type)
{
	_cleanup_free_ uint8_t *p = exact_copy(b.data, b.len);

	return dns_parse_answer(p, b.len, ID, name, (uint16_t)type, &a);
}

static void start(const char *name, unsigned type, unsigned answers)
{
	put_header(&b, ID, ANSWER, 1, answers, 0, 0);
	put_question(&b, name, type);
}

static void test_query(void **state)
{
	uint8_t buf[DNS_REPLY_MIN];
	struct dns_query q;
	int len = dns_write_query(buf, sizeof(buf), ID, "Example.org", DNS_AAAA);

	assert_int_equal(len, 12 + 17 + 11);
	assert_int_equal(dns_parse_query(buf, (size_t)len, &q), 0);
	assert_string_equal(q.name, "example.org");
	assert_int_equal(q.type, DNS_AAAA);
	assert_int_equal(q.id, ID);
	assert_true(q.edns && q.recurse);
	assert_int_equal(q.udp_size, DNS_EDNS_MAX);
	assert_int_equal(dns_write_query(buf, sizeof(buf), 1, "a..b", DNS_A), -EINVAL);
	assert_int_equal(dns_write_query(buf, sizeof(buf) - 1, 1, "a", DNS_A), -EINVAL);
}

static void test_addresses(void **state)
{
	start("Example.org", 1, 3);
	put_record(&b, NULL, 12, 1, 300, "\1\2\3\4", 4);
	put_record(&b, "EXAMPLE.ORG", 0, 1, 60, "\5\6\7\10", 4);
	put_record(&b, "other.org", 0, 1, 1, "\11\11\11\11", 4); /* nothing leads there */
	assert_int_equal(parse("example.org", DNS_A), 0);
	assert_int_equal(a.count, 2);
	assert_int_equal(a.ttl, 60);
	assert_memory_equal(a.addrs[0], "\1\2\3\4", 4);
	assert_memory_equal(a.addrs[1], "\5\6\7\10", 4);

	start("example.org", 28, 1);
	put_record(&b, NULL, 12, 28, 0x80000000, "0123456789abcdef", 16);
	assert_int_equal(parse("example.org", DNS_AAAA), 0);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.ttl, 0); /* RFC 2181 */
	assert_memory_equal(a.addrs[0], "0123456789abcdef", 16);

	start("AZ.example.org", 1, 1);
	put_record(&b, "az.EXAMPLE.org", 0, 1, 0x00012345, "\1\2\3\4", 4);
	assert_int_equal(parse("az.example.org", DNS_A), 0);
	assert_int_equal(a.ttl, 0x00012345);
	start("a.org", 1, 1);
	put_record(&b, NULL, 12, 1, INT32_MAX, "\1\2\3\4", 4);
	assert_int_equal(parse("a.org", DNS_A), 0);
	assert_int_equal(a.ttl, INT32_MAX);

	start("example.org", 1, DNS_RECORDS_MAX);
	for (unsigned i = 0; i < DNS_RECORDS_MAX; i++)
		put_record(&b, NULL, 12, i ? 16 : 1, 300, "\1\2\3\4", 4);
	assert_int_equal(parse("example.org", DNS_A), 0);
	assert_int_equal(a.count, 1);
	start("example.org", 1, 40);
	for (unsigned i = 0; i < 40; i++)
		put_record(&b, NULL, 12, 1, 300, "\1\2\3\4", 4);
	assert_int_equal(parse("example.org", DNS_A), 0);
	assert_int_equal(a.count, DNS_ADDRS_MAX);
}

static void test_chain(void **state)
{
	/* In no order. */
	start("www.example.org", 1, 4);
	put_record(&b, "b.cdn.net", 0, 1, 300, "\1\2\3\4", 4);
	put_cname(&b, "a.cdn.net", 20, "b.cdn.net");
	put_record(&b, "a.cdn.net", 0, 46, 1, "signature", 9);
	put_cname(&b, "WWW.example.org", 3600, "A.cdn.net");
	assert_int_equal(parse("www.example.org", DNS_A), 0);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.ttl, 20);

	/* To nowhere: no data. */
	start("www.example.org", 1, 1);
	put_cname(&b, "www.example.org", 3600, "a.cdn.net");
	assert_int_equal(parse("www.example.org", DNS_A), 0);
	assert_int_equal(a.count, 0);
	assert_int_equal(a.ttl, 0);
	/* With a pointer as the message's last bytes. */
	start("a.org", 1, 1);
	put_record(&b, NULL, 12, 5, 1, "\1b\xc0\x0e", 4);
	assert_int_equal(parse("a.org", DNS_A), 0);

	/* Beside an address a CNAME may not be: the address is what was asked for. */
	start("a.org", 1, 3);
	put_cname(&b, "a.org", 1, "b.org");
	put_record(&b, "b.org", 0, 1, 1, "\5\6\7\10", 4);
	put_record(&b, "a.org", 0, 1, 300, "\1\2\3\4", 4);
	assert_int_equal(parse("a.org", DNS_A), 0);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.ttl, 300);
	assert_memory_equal(a.addrs[0], "\1\2\3\4", 4);

	/* In a circle, and too long. */
	start("a.org", 1, 2);
	put_cname(&b, "a.org", 1, "b.org");
	put_cname(&b, "b.org", 1, "a.org");
	assert_int_equal(parse("a.org", DNS_A), -ELOOP);
	for (unsigned links = DNS_CHAIN_MAX; links <= DNS_CHAIN_MAX + 1; links++) {
		char from[8], to[8];

		start("n0", 1, links + 1);
		for (unsigned i = 0; i < links; i++) {
			snprintf(from, sizeof(from), "n%u", i);
			snprintf(to, sizeof(to), "n%u", i + 1);
			put_cname(&b, from, 1, to);
		}
		put_record(&b, to, 0, 1, 1, "\1\2\3\4", 4);
		assert_int_equal(parse("n0", DNS_A), links > DNS_CHAIN_MAX ? -ELOOP : 0);
		assert_int_equal(a.count, links > DNS_CHAIN_MAX ? 0 : 1);
	}
	/* Names on the way may be what no policy could name. */
	start("a.org", 1, 2);
	put_cname(&b, "a.org", 1, "x y.org");
	put_record(&b, "X Y.org", 0, 1, 1, "\1\2\3\4", 4);
	assert_int_equal(parse("a.org", DNS_A), 0);
	assert_int_equal(a.count, 1);
}

static void test_not_ours(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		start(i == 0 ? "evil.org" : "example.org", i == 1 ? 28 : 1, 1);
		put_record(&b, NULL, 12, 1, 300, "\1\2\3\4", 4);
		if (i == 2)
			b.data[0] ^= 1; /* id */
		if (i == 3)
			b.data[2] &= 0x7f; /* a query */
		if (i == 4)
			b.data[2] |= 0x28; /* an update */
		if (i == 5)
			b.data[12 + 13 + 3] = 3; /* class */
		if (parse("example.org", DNS_A) != -ENOMSG)
			fail_msg("row %u", i);
		assert_int_equal(a.count, 0);
	}
	assert_int_equal(parse("example.org", 16), -EINVAL);
	assert_int_equal(parse("", DNS_A), -EINVAL);
}

static void test_codes(void **state)
{
	for (unsigned rcode = 1; rcode < 16; rcode++) {
		start("example.org", 1, 1);
		put_record(&b, NULL, 12, 1, 300, "\1\2\3\4", 4);
		b.data[3] |= (uint8_t)rcode;
		assert_int_equal(parse("example.org", DNS_A), 0);
		assert_int_equal(a.rcode, rcode);
		assert_int_equal(a.count, 0);
	}
	start("example.org", 1, 1);
	put_record(&b, NULL, 12, 1, 300, "\1\2\3\4", 4);
	b.data[2] |= 2;
	b.len -= 3;
	assert_int_equal(parse("example.org", DNS_A), 0);
	assert_true(a.truncated);
	assert_int_equal(a.count, 0);
}

static void test_malformed(void **state)
{
	size_t whole;

	start("www.example.org", 1, 2);
	put_cname(&b, "www.example.org", 1, "example.net");
	put_record(&b, "example.net", 0, 1, 1, "\1\2\3\4", 4);
	whole = b.len;
	assert_int_equal(parse("www.example.org", DNS_A), 0);
	for (b.len = 0; b.len < whole; b.len++)
		assert_int_equal(parse("www.example.org", DNS_A), -EBADMSG);

	start("a.org", 1, 1);
	put_record(&b, NULL, 12, 1, 1, "\1\2\3", 3);
	assert_int_equal(parse("a.org", DNS_A), -EBADMSG);
	start("a.org", 28, 1);
	put_record(&b, NULL, 12, 28, 1, "\1\2\3\4", 4);
	assert_int_equal(parse("a.org", DNS_AAAA), -EBADMSG);
	start("a.org", 1, 1);
	put_record(&b, NULL, 12, 5, 1, "\1b\0x", 4); /* a byte behind the name */
	assert_int_equal(parse("a.org", DNS_A), -EBADMSG);
	start("a.org", 1, 1);
	put_record(&b, NULL, 12, 5, 1, "\1b", 2); /* the name ends in the next record */
	put(&b, "\0", 1);
	assert_int_equal(parse("a.org", DNS_A), -EBADMSG);
	start("a.org", 1, DNS_RECORDS_MAX + 1);
	for (unsigned i = 0; i <= DNS_RECORDS_MAX; i++)
		put_record(&b, NULL, 12, 1, 1, "\1\2\3\4", 4);
	assert_int_equal(parse("a.org", DNS_A), -EBADMSG);
	start("a.org", 1, 65535);
	put_record(&b, NULL, 12, 1, 1, "\1\2\3\4", 4);
	assert_int_equal(parse("a.org", DNS_A), -EBADMSG);
	put_header(&b, ID, ANSWER, 0, 0, 0, 0);
	assert_int_equal(parse("a.org", DNS_A), -EBADMSG);
}

/* Pointers: back is right, all else is not, and not too many of them. */
static void test_pointers(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		static const unsigned targets[] = { 12, 23, 24, 4 };

		start("a.org", 1, 1);
		assert_int_equal(b.len, 23);
		put_record(&b, NULL, targets[i], 1, 1, "\1\2\3\4", 4);
		assert_int_equal(parse("a.org", DNS_A), i == 0 ? 0 : -EBADMSG);
	}
	/* Each points to the one in front; the owner of the last is a.org. */
	for (unsigned jumps = DNS_JUMPS_MAX; jumps <= DNS_JUMPS_MAX + 1; jumps++) {
		unsigned at = 12;

		start("a.org", 1, 2);
		put_record(&b, NULL, 12, 99, 1, "", 0);
		b.data[b.len - 1] = (uint8_t)(2 * (jumps - 1));
		for (unsigned i = 1; i < jumps; i++) {
			unsigned next = (unsigned)b.len;

			put16(&b, 0xc000 | at);
			at = next;
		}
		put_record(&b, NULL, at, 1, 1, "\1\2\3\4", 4);
		assert_int_equal(parse("a.org", DNS_A), jumps > DNS_JUMPS_MAX ? -EBADMSG : 0);
	}
}

static void test_srv(void **state)
{
	start("_pg._tcp.a.org", 33, 3);
	put_record(&b, NULL, 12, 33, 50, "\0\1\0\2\x15\x38\2Db\1a\3org\0", 16);
	put_record(&b, NULL, 12, 33, 50, "\0\0\0\0\0\0\0", 7); /* "." */
	put_record(&b, NULL, 12, 33, 50, "\0\1\0\2\x15\x38\3a b\0", 11);
	assert_int_equal(parse("_pg._tcp.a.org", DNS_SRV), 0);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.srv[0].priority, 1);
	assert_int_equal(a.srv[0].weight, 2);
	assert_int_equal(a.srv[0].port, 5432);
	assert_string_equal(a.srv[0].target, "db.a.org");
	start("a.org", 33, 40);
	for (unsigned i = 0; i < 40; i++)
		put_record(&b, NULL, 12, 33, 50, "\0\1\0\2\x15\x38\1a\0", 9);
	assert_int_equal(parse("a.org", DNS_SRV), 0);
	assert_int_equal(a.count, DNS_SRV_MAX);
	start("a.org", 33, 1);
	put_record(&b, NULL, 12, 33, 50, "\0\1\0\2\x15", 5);
	assert_int_equal(parse("a.org", DNS_SRV), -EBADMSG);
}

static int filter(const void *data, size_t len, uint8_t *ret, char *target)
{
	_cleanup_free_ uint8_t *p = exact_copy(data, len), *out = exact_copy(data, len);
	int n;

	memset(out, 0xee, len);
	memset(target, 'x', HOST_NAME_MAX_LEN + 1);
	n = dns_svcb_filter(p, len, out, target);

	if (n > 0)
		memcpy(ret, out, (size_t)n);
	return n;
}

static void test_svcb(void **state)
{
	static const char data[] = "\0\1\0"
				   "\0\1\0\3\2h2"
				   "\0\3\0\2\1\xbb"
				   "\0\4\0\4\1\2\3\4"
				   "\0\5\0\4ECHC"
				   "\0\6\0\20"
				   "0123456789abcdef";
	static const char kept[] = "\0\1\0\0\1\0\3\2h2\0\3\0\2\1\xbb";
	static const struct {
		const char *data;
		size_t len;
		int result;
	} rows[] = {
		{ "", 0, -EBADMSG },
		{ "\0\1", 2, -EBADMSG },
		{ "\0\1\0", 3, 3 },
		{ "\0\1\0\0", 4, -EBADMSG },
		{ "\0\1\0\0\1\0\4\2h2", 10, -EBADMSG },		      /* cut */
		{ "\0\1\0\0\3\0\2\1\xbb\0\1\0\3\2h2", 16, -EBADMSG }, /* out of order */
		{ "\0\1\0\0\3\0\2\1\xbb\0\3\0\2\1\xbb", 15, -EBADMSG },
		{ "\0\1\0\0\0\0\2\0\1\0\1\0\3\2h2", 16, 16 }, /* mandatory: alpn */
		{ "\0\1\0\0\0\0\2\0\5\0\5\0\1E", 14, 0 },     /* mandatory: ech */
		{ "\0\1\0\0\0\0\4\0\1\0\5\0\5\0\1E", 16, 0 },
		{ "\0\1\0\0\0\0\4\0\5\0\1\0\5\0\1E", 16, 0 },
		{ "\0\1\0\0\0\0\2\0\3\0\3\0\2\1\xbb", 15, 15 }, /* mandatory: port */
		{ "\0\1\0\0\2\0\0", 7, 7 },			/* no-default-alpn */
		{ "\0\1\0\0\2\0\1x", 8, -EBADMSG },
		{ "\0\1\0\0\1\0\0", 7, -EBADMSG },    /* alpn: empty */
		{ "\0\1\0\0\1\0\1\0", 8, -EBADMSG },  /* an empty one in it */
		{ "\0\1\0\0\1\0\2\2h", 9, -EBADMSG }, /* a cut one */
		{ "\0\1\0\0\1\0\4\2h2\0", 11, -EBADMSG },
		{ "\0\1\0\0\1\0\6\2h2\2h3", 13, 13 },
		{ "\0\1\0\0\3\0\1\1", 8, -EBADMSG }, /* port: of one byte, of three */
		{ "\0\1\0\0\3\0\3\0\1\1", 10, -EBADMSG },
		{ "\0\0\0\0\3\0\2\1\xbb", 9, 3 }, /* an alias has no parameters */
		{ "\0\0\0\0\3\0\3\1\xbb", 9, -EBADMSG },
		{ "\0\1\0\0\3\0", 6, -EBADMSG },
		{ "\0\1\0\0\0\0\1\0", 8, -EBADMSG },
		{ "\0\1\0\0\0\0\0", 7, -EBADMSG },
		{ "\0\1\xc0\0", 4, -EBADMSG },
		{ "\0\1\1*\0", 5, -EBADMSG },
	};
	char target[HOST_NAME_MAX_LEN + 1];
	uint8_t out[128];

	start("a.org", 65, 1);
	put_record(&b, NULL, 12, 65, 50, data, sizeof(data) - 1);
	assert_int_equal(parse("a.org", DNS_HTTPS), 0);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.svcb[0].len, sizeof(data) - 1);
	assert_int_equal(filter(b.data + a.svcb[0].at, a.svcb[0].len, out, target),
			 sizeof(kept) - 1);
	assert_memory_equal(out, kept, sizeof(kept) - 1);
	assert_string_equal(target, "");
	start("a.org", 65, 40);
	for (unsigned i = 0; i < 40; i++)
		put_record(&b, NULL, 12, 65, 50, data, sizeof(data) - 1);
	assert_int_equal(parse("a.org", DNS_HTTPS), 0);
	assert_int_equal(a.count, DNS_SVCB_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (filter(rows[i].data, rows[i].len, out, target) != rows[i].result)
			fail_msg("row %zu", i);
	assert_int_equal(filter("\0\0\3Svc\1a\0", 9, out, target), 9);
	assert_string_equal(target, "svc.a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),	 cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_chain),	 cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_codes),	 cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_pointers), cmocka_unit_test(test_srv),
		cmocka_unit_test(test_svcb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
