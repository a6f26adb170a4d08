/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's side of DNS: queries of every kind, and the answers that are made. */
#include "net_test.h"

#include "dns_make.h"
#include "net/dns.h"

static struct bytes b; /* too large for a stack */

static int parse(struct dns_query *q)
{
	_cleanup_free_ uint8_t *p = exact_copy(b.data, b.len);

	return dns_parse_query(p, b.len, q);
}

static int ask(const char *name, unsigned type, struct dns_query *q)
{
	put_header(&b, 0x1234, 0x0100, 1, 0, 0, 0);
	put_question(&b, name, type);
	return parse(q);
}

static void put_opt(unsigned size, uint32_t ttl, const void *options, size_t len)
{
	put_name(&b, "");
	put16(&b, 41);
	put16(&b, size);
	put32(&b, ttl);
	put16(&b, (unsigned)len);
	put(&b, options, len);
}

static void test_query(void **state)
{
	struct dns_query q;

	assert_int_equal(ask("API.Example.org", 28, &q), 0);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.type, DNS_AAAA);
	assert_true(q.recurse);
	assert_false(q.edns || q.dnssec_ok || q.checking_disabled);
	assert_int_equal(q.udp_size, 512);
	assert_string_equal(q.name, "api.example.org");
	assert_int_equal(q.question_len, b.len - 12);
	assert_memory_equal(q.question, b.data + 12, q.question_len); /* in its own letters */
	assert_int_equal(ask("_ldap._tcp.example.org", 33, &q), 0);
	assert_int_equal(ask("4.3.2.1.in-addr.arpa", 12, &q), 0);
	assert_string_equal(q.name, "4.3.2.1.in-addr.arpa");
	assert_int_equal(ask("localhost", 1, &q), 0);
	assert_string_equal(q.name, "localhost");

	/* Cut anywhere. */
	assert_int_equal(ask("example.org", 1, &q), 0);
	for (size_t len = b.len; len-- > 0;) {
		b.len = len;
		assert_int_equal(parse(&q), len < 12 ? -EBADMSG : DNS_FORMERR);
		assert_string_equal(q.name, "");
	}
}

static void test_edns(void **state)
{
	/* A cookie, and an option without data. */
	static const char cookie[] = "\0\12\0\10abcdefgh\0\13\0\0";
	struct dns_query q;

	put_header(&b, 1, 0x0110, 1, 0, 0, 1);
	put_question(&b, "example.org", 1);
	put_opt(4096, 0x8000, cookie, sizeof(cookie) - 1);
	assert_int_equal(parse(&q), 0);
	assert_true(q.edns && q.dnssec_ok && q.checking_disabled);
	assert_int_equal(q.udp_size, 4096);

	for (unsigned i = 0; i < 5; i++) {
		put_header(&b, 1, 0x0100, 1, 0, 0, i == 1 ? 2 : 1);
		put_question(&b, "example.org", 1);
		if (i == 0)
			put_opt(100, 0, "", 0); /* less than 512 is 512 */
		else if (i == 1)
			put_opt(1232, 0, "", 0), put_opt(1232, 0, "", 0);
		else if (i == 2)
			put_opt(1232, 1 << 16, "", 0);
		else if (i == 3)
			put_opt(1232, 0, "\0\12\0\5abc", 7); /* an option that is cut */
		else
			put_record(&b, "a", 0, 41, 0, "", 0); /* not of the root */
		assert_int_equal(parse(&q), i == 0 ? 0 : i == 2 ? DNS_BADVERS : DNS_FORMERR);
		assert_int_equal(q.udp_size, i == 1 || i == 2 ? 1232 : 512);
	}
}

static void test_no_answer_is_due(void **state)
{
	struct dns_query q;

	put_header(&b, 1, 0x8180, 1, 0, 0, 0);
	put_question(&b, "example.org", 1);
	assert_int_equal(parse(&q), -EBADMSG);
	b.len = 0;
	assert_int_equal(parse(&q), -EBADMSG);
}

static void test_counts(void **state)
{
	static const unsigned counts[][4] = {
		{ 0, 0, 0, 0 }, { 2, 0, 0, 0 },	   { 1, 1, 0, 0 }, { 1, 0, 1, 0 },
		{ 1, 0, 0, 1 }, { 1000, 0, 0, 0 }, { 1, 0, 0, 3 }, { 65535, 65535, 65535, 65535 },
	};
	struct dns_query q;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		const unsigned *c = counts[i];

		put_header(&b, 1, 0x0100, c[0], c[1], c[2], c[3]);
		for (unsigned n = 0; n < MIN(c[0], 1000u); n++)
			put_question(&b, "example.org", 1);
		assert_int_equal(parse(&q), DNS_FORMERR);
	}
	assert_int_equal(ask("example.org", 1, &q), 0);
	put(&b, "x", 1); /* behind the end */
	assert_int_equal(parse(&q), DNS_FORMERR);
	assert_int_equal(ask("example.org", 1, &q), 0);
	b.len = 65535;
	assert_int_equal(parse(&q), DNS_FORMERR);
	put_header(&b, 1, 0x2800, 1, 0, 0, 0); /* UPDATE */
	put_question(&b, "example.org", 1);
	assert_int_equal(parse(&q), DNS_NOTIMP);
	assert_int_equal(q.question_len, 0);
}

static void test_names(void **state)
{
	static const struct {
		const char *wire;
		size_t len;
		int result;
	} rows[] = {
		{ "\xc0\x0c", 2, DNS_FORMERR },		 /* itself */
		{ "\1a\xc0\x0c", 4, DNS_FORMERR },	 /* a loop */
		{ "\xc0\x0e\0", 3, DNS_FORMERR },	 /* forward */
		{ "\xc0\0", 2, DNS_FORMERR },		 /* into the header */
		{ "\1a\xc0", 3, DNS_FORMERR },		 /* cut */
		{ "\x41x\0", 3, DNS_FORMERR },		 /* 01 */
		{ "\x80\0", 2, DNS_FORMERR },		 /* 10 */
		{ "\0", 1, DNS_REFUSED },		 /* the root */
		{ "\3a.b\3org\0", 9, DNS_REFUSED },	 /* a dot in a label */
		{ "\7a\0b.org\0", 9, DNS_REFUSED },	 /* a NUL */
		{ "\3a b\3org\0", 9, DNS_REFUSED },	 /* a blank */
		{ "\2\xc3\xbc\3org\0", 8, DNS_REFUSED }, /* UTF-8 */
		{ "\1*\3org\0", 7, DNS_REFUSED },
		{ "\2-a\3org\0", 8, DNS_REFUSED },
		{ "\3"
		  "127\1"
		  "1\0",
		  7, DNS_REFUSED },
	};
	struct dns_query q;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put_header(&b, 1, 0x0100, 1, 0, 0, 0);
		put(&b, rows[i].wire, rows[i].len);
		put16(&b, 1);
		put16(&b, 1);
		if (parse(&q) != rows[i].result)
			fail_msg("row %zu: %d", i, parse(&q));
		assert_string_equal(q.name, "");
		assert_int_equal(q.question_len > 0, rows[i].result == DNS_REFUSED);
	}
}

static void test_lengths(void **state)
{
	char name[512];
	struct dns_query q;

	memset(name, 'a', sizeof(name));
	for (size_t i = 63; i < sizeof(name); i += 64)
		name[i] = '.';
	name[253] = '\0';
	assert_int_equal(ask(name, 1, &q), 0);
	assert_string_equal(q.name, name);
	assert_int_equal(q.question_len, DNS_QUESTION_MAX);
	name[253] = 'a';
	name[254] = '\0';
	assert_int_equal(ask(name, 1, &q), DNS_FORMERR);
	name[254] = 'a';
	name[511] = '\0';
	assert_int_equal(ask(name, 1, &q), DNS_FORMERR);
}

static void test_refused_kinds(void **state)
{
	static const unsigned types[] = { 0, 41, 249, 250, 251, 252, 253, 254 };
	struct dns_query q;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(ask("example.org", types[i], &q), DNS_REFUSED);
	assert_int_equal(ask("example.org", 255, &q), 0);
	assert_int_equal(ask("example.org", 16, &q), 0);
	assert_int_equal(ask("version.bind", 16, &q), 0);
	b.data[b.len - 1] = 3; /* CH */
	assert_int_equal(parse(&q), DNS_REFUSED);
}

static void test_reverse(void **state)
{
	static const char v6[] = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4"
				 ".ip6.arpa";
	static const char *const bad[] = {
		"",
		"example.org",
		"1.in-addr.arpa",
		"3.2.1.in-addr.arpa",
		"in-addr.arpa",
		"256.1.1.1.in-addr.arpa",
		"01.1.1.1.in-addr.arpa",
		"1.2.3.4.5.in-addr.arpa",
		"ip6.arpa",
		"1.ip6.arpa",
		"1.2.3.4.in-addr.arpa.evil.org",
	};
	char text[sizeof(v6)];
	struct host h;

	assert_int_equal(dns_parse_reverse("4.3.2.1.in-addr.arpa", &h), 0);
	assert_int_equal(h.kind, HOST_V4);
	assert_memory_equal(h.addr, "\1\2\3\4", 4);
	assert_int_equal(dns_parse_reverse(v6, &h), 0);
	assert_int_equal(h.kind, HOST_V6);
	assert_memory_equal(h.addr, "\x43\x21\0\0\0\1\0\2\0\3\0\4\x05\x67\x89\xab", 16);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (dns_parse_reverse(bad[i], &h) == 0)
			fail_msg("%s", bad[i]);
	for (size_t i = 0; i < 63; i++) {
		memcpy(text, v6, sizeof(text));
		text[i] = 'g';
		assert_int_equal(dns_parse_reverse(text, &h), -EINVAL);
	}
}

static size_t reply(const struct dns_query *q, unsigned rcode, bool tcp, uint8_t *buf, size_t room,
		    unsigned addrs)
{
	struct host a = { .kind = HOST_V4, .addr = { 192, 0, 2, 1 } };
	struct dns_reply r;

	memset(buf, 0xee, room);
	dns_reply_start(&r, buf, room, q, rcode, tcp);
	for (unsigned i = 0; i < addrs; i++)
		assert_int_equal(dns_reply_add_addr(&r, &a, 60), 0);
	return dns_reply_finish(&r);
}

static void test_reply(void **state)
{
	static const uint8_t expected[] = "\x12\x34\x81\x80\0\1\0\1\0\0\0\0\7Example\3org\0\0\1\0\1"
					  "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
	static const uint8_t refused[] = "\x12\x34\x81\x85\0\1\0\0\0\0\0\0\7Example\3org\0\0\1\0\1";
	static const uint8_t formerr[] = "\0\1\x81\x81\0\0\0\0\0\0\0\0";
	uint8_t buf[1024];
	struct dns_query q;
	struct dns_reply r;

	assert_int_equal(ask("Example.org", 1, &q), 0);
	assert_int_equal(reply(&q, 0, false, buf, sizeof(buf), 1), sizeof(expected) - 1);
	assert_memory_equal(buf, expected, sizeof(expected) - 1);
	assert_int_equal(reply(&q, DNS_REFUSED, false, buf, sizeof(buf), 0), sizeof(refused) - 1);
	assert_memory_equal(buf, refused, sizeof(refused) - 1);

	/* Without RD, CD, DO. */
	put_header(&b, 1, 0, 1, 0, 0, 1);
	put_question(&b, "example.org", 1);
	put_opt(512, 0, "", 0);
	assert_int_equal(parse(&q), 0);
	assert_int_equal(reply(&q, 0, false, buf, sizeof(buf), 0), b.len);
	assert_memory_equal(buf, "\0\1\x80\x80\0\1\0\0\0\0\0\1", 12);
	assert_memory_equal(buf + b.len - 11, "\0\0\x29\4\xd0\0\0\0\0\0\0", 11);

	/* Without a question there is nothing to answer. */
	put_header(&b, 1, 0x0100, 2, 0, 0, 0);
	assert_int_equal(parse(&q), DNS_FORMERR);
	dns_reply_start(&r, buf, sizeof(buf), &q, DNS_FORMERR, false);
	assert_int_equal(dns_reply_add_ptr(&r, "a", 1), -EINVAL);
	assert_int_equal(reply(&q, DNS_FORMERR, false, buf, sizeof(buf), 0), 12);
	assert_memory_equal(buf, formerr, 12);
}

static void test_reply_records(void **state)
{
	static const uint8_t records[] =
		"\xc0\x0c\0\x21\0\1\x12\x34\x56\x78\0\x15\0\1\0\2\1\xbb\1a\7example\3org\0";
	static const uint8_t ptr[] = "\xc0\x0c\0\x0c\0\1\0\0\0\1\0\5\3foo\0";
	struct host h = { .kind = HOST_V6, .addr = { 0xfd, [15] = 1 } };
	uint8_t buf[1024], *p;
	struct dns_query q;
	struct dns_reply r;

	assert_int_equal(ask("x.org", 33, &q), 0);
	p = buf + b.len;
	dns_reply_start(&r, buf, sizeof(buf), &q, 0, false);
	assert_int_equal(dns_reply_add_srv(&r, 1, 2, 443, "A.example.org", 0x12345678), 0);
	assert_int_equal(dns_reply_add_ptr(&r, "foo", 1), 0);
	assert_int_equal(dns_reply_add_addr(&r, &h, 0), 0);
	assert_int_equal(dns_reply_add_raw(&r, DNS_HTTPS, (const uint8_t *)"\0\1\0", 3, 0), 0);
	assert_int_equal(dns_reply_add_ptr(&r, "foo.", 1), -EINVAL);
	assert_int_equal(dns_reply_add_srv(&r, 1, 2, 443, "", 5), -EINVAL);
	h.kind = HOST_NAME;
	assert_int_equal(dns_reply_add_addr(&r, &h, 0), -EINVAL);
	assert_int_equal(dns_reply_finish(&r),
			 p - buf + sizeof(records) - 1 + sizeof(ptr) - 1 + 28 + 15);
	assert_int_equal(buf[7], 4);
	assert_memory_equal(p, records, sizeof(records) - 1);
	assert_memory_equal(p + sizeof(records) - 1, ptr, sizeof(ptr) - 1);
}

static void test_truncation(void **state)
{
	static uint8_t buf[70000];
	struct dns_query q;
	size_t len;

	assert_int_equal(ask("example.org", 1, &q), 0);
	len = reply(&q, 0, false, buf, sizeof(buf), 100);
	assert_true(len <= 512 && len > 512 - 16);
	assert_int_equal(buf[2], 0x83);
	assert_int_equal(buf[7], (len - b.len) / 16);
	len = reply(&q, 0, true, buf, sizeof(buf), 100);
	assert_int_equal(len, b.len + 1600);
	assert_int_equal(buf[2] & 2, 0);
	/* With EDNS up to what the asker can take and 1,232; the OPT always fits. */
	for (unsigned size = 0; size < 5000; size += 700) {
		put_header(&b, 1, 0x0100, 1, 0, 0, 1);
		put_question(&b, "example.org", 1);
		put_opt(size, 0x8000, "", 0);
		assert_int_equal(parse(&q), 0);
		len = reply(&q, 0, false, buf, sizeof(buf), 100);
		assert_true(len <= MAX(MIN(size, 1232u), 512u));
		assert_true(len > MAX(MIN(size, 1232u), 512u) - 16);
		assert_int_equal(buf[11], 1);
		assert_memory_equal(buf + len - 11, "\0\0\x29\4\xd0\0\0\x80\0\0\0", 11);
	}
	/* The smallest room with the longest question. */
	put_header(&b, 1, 0x0100, 1, 0, 0, 1);
	put(&b, "\77aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 64);
	put(&b, b.data + 12, 64);
	put(&b, b.data + 12, 64);
	put(&b, "\75aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\0\1\0\1", 67);
	put_opt(1232, 0, "", 0);
	assert_int_equal(parse(&q), 0);
	assert_int_equal(reply(&q, 0, false, buf, DNS_REPLY_MIN, 1), DNS_REPLY_MIN);
	assert_int_equal(buf[2] & 2, 2);
	/* BADVERS is told in the OPT. */
	put_header(&b, 1, 0x0100, 1, 0, 0, 1);
	put_question(&b, "a", 1);
	put_opt(1232, 3 << 16, "", 0);
	len = reply(&q, (unsigned)parse(&q), false, buf, sizeof(buf), 0);
	assert_int_equal(buf[3] & 15, 0);
	assert_int_equal(buf[len - 6], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_edns),
		cmocka_unit_test(test_no_answer_is_due),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_refused_kinds),
		cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_reply_records),
		cmocka_unit_test(test_truncation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
