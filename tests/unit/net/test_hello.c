/* SPDX-License-Identifier: Apache-2.0 */
/* The ClientHello: whole, in pieces, of real libraries, and wrong in every way we know. */
#include "net_test.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "hello_make.h"
#include "net/hello.h"

/* One call with all of it. */
static enum hello_result read_at_once(const void *data, size_t len, struct hello *ret)
{
	_cleanup_free_ uint8_t *p = exact_copy(data, len);
	struct hello_reader r = { 0 };

	return hello_read(&r, p, len, ret);
}

/* With one byte more at each call; everything before the end must say MORE. */
static enum hello_result read_bytewise(const struct bytes *b, struct hello *ret, size_t *end)
{
	struct hello_reader r = { 0 };
	enum hello_result result = HELLO_MORE;

	for (*end = 0; *end <= b->len; ++*end) {
		result = hello_read(&r, b->data, *end, ret);
		if (result != HELLO_MORE)
			break;
	}
	return result;
}

static struct bytes ext, msg, raw; /* too large for a stack */

static void clear(void)
{
	ext.len = msg.len = raw.len = 0;
}

/* A hello with what is in `ext`, in one record. */
static enum hello_result read_extensions(struct hello *ret)
{
	msg.len = raw.len = 0;
	put_hello(&msg, &ext);
	put_records(&raw, &msg, 16384);
	return read_at_once(raw.data, raw.len, ret);
}

static enum hello_result read_name(const char *name, size_t len, struct hello *ret)
{
	clear();
	put_server_name(&ext, name, len);
	return read_extensions(ret);
}

static void test_whole(void **state)
{
	struct hello h;

	clear();
	put_extension(&ext, 0x4a4a, "", 0);
	put_server_name(&ext, "Api.Example.ORG", 15);
	put_extension(&ext, 16, "\0\14\2h2\10http/1.1", 14);
	put_extension(&ext, 0x4a4a, "\0", 1); /* GREASE is ignored, also twice */
	put_extension(&ext, 0xffff, "?", 1);
	assert_int_equal(read_extensions(&h), HELLO_DONE);
	assert_string_equal(h.name, "api.example.org");
	assert_int_equal(h.alpn, HELLO_ALPN_H2 | HELLO_ALPN_HTTP1);
	assert_false(h.ech);
	assert_null(h.why);

	clear();
	put_extension(&ext, 0xfe0d, "\0\0\1\0\1\0\0\0\0\0", 10);
	put_extension(&ext, 16, "\0\3\2h3", 5);
	assert_int_equal(read_extensions(&h), HELLO_DONE);
	assert_true(h.ech);
	assert_string_equal(h.name, "");
	assert_int_equal(h.alpn, HELLO_ALPN_OTHER);

	clear();
	put_extension(&ext, 16, "\0\11\10http/1.0", 11);
	assert_int_equal(read_extensions(&h), HELLO_DONE);
	assert_int_equal(h.alpn, HELLO_ALPN_OTHER);
	clear();
	put_extension(&ext, 16, "\0\22\10http/1.1\2h3\2h2\2h3", 20);
	assert_int_equal(read_extensions(&h), HELLO_DONE);
	assert_int_equal(h.alpn, HELLO_ALPN_HTTP1 | HELLO_ALPN_OTHER | HELLO_ALPN_H2);

	clear();
	put_extension(&ext, 0xffce, "", 0);
	assert_int_equal(read_extensions(&h), HELLO_DONE);
	assert_true(h.ech);

	clear();
	put_hello(&msg, NULL);
	put_records(&raw, &msg, 16384);
	assert_int_equal(read_at_once(raw.data, raw.len, &h), HELLO_DONE);
	assert_string_equal(h.name, "");
}

static void test_pieces(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 5, 64, 16384 };
	struct hello h;
	size_t end;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		clear();
		put_server_name(&ext, "example.org", 11);
		put_hello(&msg, &ext);
		put_records(&raw, &msg, sizes[i]);
		assert_int_equal(read_bytewise(&raw, &h, &end), HELLO_DONE);
		assert_string_equal(h.name, "example.org");
		assert_int_equal(end, raw.len);
		/* What follows is not looked at. */
		put(&raw, "\x17\3\3\0\1x", 6);
		assert_int_equal(read_at_once(raw.data, raw.len, &h), HELLO_DONE);
	}
}

/* 16 KiB, one byte a call; one byte more is too long. */
static void test_largest(void **state)
{
	static uint8_t padding[HELLO_MAX];
	struct hello h;
	size_t end;

	for (unsigned over = 0; over < 2; over++) {
		clear();
		put_server_name(&ext, "example.org", 11);
		put_hello(&msg, &ext);
		put_extension(&ext, 21, padding, HELLO_MAX + 4 - msg.len - 4 + over);
		msg.len = 0;
		put_hello(&msg, &ext);
		assert_int_equal(msg.len, HELLO_MAX + 4 + over);
		put_records(&raw, &msg, 1000);
		assert_int_equal(read_bytewise(&raw, &h, &end), over ? HELLO_BAD : HELLO_DONE);
		assert_string_equal(h.name, over ? "" : "example.org");
	}
	/* In records of one byte it is more than we hold. */
	raw.len = 0;
	put_records(&raw, &msg, 1);
	assert_int_equal(read_bytewise(&raw, &h, &end), HELLO_BAD);
	assert_true(end <= HELLO_RAW_MAX);
}

static void test_bad_names(void **state)
{
	static const char *const names[] = {
		"example.org.",
		"",
		".",
		"a b.org",
		"1.2.3.4",
		"::1",
		"[::1]",
		"127.1",
		"a@b.org",
		"b\xc3\xbc"
		"cher.example",
		"*.example.org",
		"a/b",
		"0x7f000001",
		"example.org:443",
	};
	char longest[300];
	struct hello h;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (read_name(names[i], strlen(names[i]), &h) != HELLO_BAD)
			fail_msg("%s", names[i]);
		assert_string_equal(h.name, "");
		assert_non_null(h.why);
	}
	assert_int_equal(read_name("allowed.org\0.evil.org", 21, &h), HELLO_BAD);
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(read_name(longest, 300, &h), HELLO_BAD);
}

static void test_bad_extensions(void **state)
{
	static const struct {
		unsigned type;
		const char *data;
		size_t len;
	} bad[] = {
		{ 0, "", 0 },	  /* no list */
		{ 0, "\0\0", 2 }, /* an empty one */
		{ 0, "\0\5\0\0\1ab", 7 },
		{ 0, "\0\4\0\0\1a\0", 7 },	  /* a byte behind it */
		{ 0, "\0\5\0\0\1a", 6 },	  /* longer than it is */
		{ 0, "\0\4\0\0\2a", 6 },	  /* the name is */
		{ 0, "\0\4\1\0\1a", 6 },	  /* another type of name */
		{ 0, "\0\10\0\0\1a\0\0\1b", 10 }, /* two names */
		{ 0, "\0\10\0\0\1a\1\0\1b", 10 }, /* of different types */
		{ 16, "", 0 },			  /* ALPN: no list */
		{ 16, "\0\0", 2 },		  /* an empty one */
		{ 16, "\0\1\0", 3 },		  /* an empty name */
		{ 16, "\0\2\2h", 4 },		  /* a cut one */
		{ 16, "\0\3\2h2x", 6 },		  /* a byte behind it */
	};
	struct hello h;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		clear();
		put_extension(&ext, bad[i].type, bad[i].data, bad[i].len);
		if (read_extensions(&h) != HELLO_BAD)
			fail_msg("row %zu", i);
	}
	/* Twice: which one would the server take? */
	clear();
	put_server_name(&ext, "allowed.org", 11);
	put_server_name(&ext, "evil.org", 8);
	assert_int_equal(read_extensions(&h), HELLO_BAD);
	clear();
	put_extension(&ext, 43, "\2\3\4", 3);
	put_extension(&ext, 43, "\2\3\4", 3);
	assert_int_equal(read_extensions(&h), HELLO_BAD);
	clear();
	put_number(&ext, 0x00170001, 4); /* longer than the hello */
	assert_int_equal(read_extensions(&h), HELLO_BAD);
	clear();
	put_number(&ext, 0x0017, 2);
	assert_int_equal(read_extensions(&h), HELLO_BAD);
	clear();
	put_number(&ext, 0, 1);
	assert_int_equal(read_extensions(&h), HELLO_BAD);
	clear();
	for (unsigned i = 0; i <= HELLO_EXTENSIONS_MAX; i++)
		put_extension(&ext, 1000 + i, "", 0);
	assert_int_equal(read_extensions(&h), HELLO_BAD);
}

/* Change one byte of a good hello, or its length. */
static enum hello_result changed(size_t at, unsigned value)
{
	struct hello h;

	clear();
	put_server_name(&ext, "example.org", 11);
	put_hello(&msg, &ext);
	put_records(&raw, &msg, 16384);
	raw.data[at] = (uint8_t)value;
	return read_at_once(raw.data, raw.len, &h);
}

static void test_bad_framing(void **state)
{
	struct hello h;

	assert_int_equal(changed(1, 2), HELLO_BAD);		    /* version of the record */
	assert_int_equal(changed(3, 0x40), HELLO_BAD);		    /* longer than 2^14 */
	assert_int_equal(changed(5, 2), HELLO_BAD);		    /* a ServerHello */
	assert_int_equal(changed(6, 1), HELLO_BAD);		    /* 64 KiB of hello */
	assert_int_equal(changed(8, raw.data[8] - 1u), HELLO_BAD);  /* shorter than its record */
	assert_int_equal(changed(8, raw.data[8] + 2u), HELLO_MORE); /* longer than its record */
	assert_int_equal(changed(43, 33), HELLO_BAD);		    /* session id */
	assert_int_equal(changed(77, 3), HELLO_BAD);		    /* an odd cipher_suites */
	assert_int_equal(changed(82, 0), HELLO_BAD);		    /* no compression method */
	assert_int_equal(changed(85, 200), HELLO_BAD); /* extensions longer than the hello */
	assert_int_equal(changed(85, 2), HELLO_BAD);   /* and shorter */

	/* An empty record; another kind of record; the rest of another version. */
	for (unsigned i = 0; i < 3; i++) {
		static const char *const between[] = { "\x16\3\1\0\0", "\x15\3\1\0\2\1\0",
						       "\x16\2\1\0\1x" };
		static const size_t lengths[] = { 5, 7, 6 };

		clear();
		put_hello(&msg, NULL);
		put(&raw, "\x16\3\1\0\1\1", 6);
		put(&raw, between[i], lengths[i]);
		msg.len--;
		memmove(msg.data, msg.data + 1, msg.len);
		put_records(&raw, &msg, 16384);
		assert_int_equal(read_at_once(raw.data, raw.len, &h), HELLO_BAD);
	}
	/* A second message in the hello's record. */
	clear();
	put_hello(&msg, NULL);
	put(&msg, "\1\0\0\0", 4);
	put_records(&raw, &msg, 16384);
	assert_int_equal(read_at_once(raw.data, raw.len, &h), HELLO_BAD);
}

/* Each part of a hello with a length of its own, all else being right. */
static void test_parts(void **state)
{
	static const struct {
		struct parts parts;
		unsigned rest;
		bool extensions;
		enum hello_result result;
	} rows[] = {
		{ { 0, 2, 1 }, 0, true, HELLO_DONE },	{ { 32, 2, 255 }, 0, true, HELLO_DONE },
		{ { 33, 2, 1 }, 0, true, HELLO_BAD },	{ { 255, 2, 1 }, 0, true, HELLO_BAD },
		{ { 32, 0, 1 }, 0, true, HELLO_BAD },	{ { 32, 3, 1 }, 0, true, HELLO_BAD },
		{ { 32, 1, 1 }, 0, true, HELLO_BAD },	{ { 32, 2, 0 }, 0, true, HELLO_BAD },
		{ { 32, 2, 1 }, 1, true, HELLO_BAD },	{ { 32, 2, 1 }, 2, true, HELLO_BAD },
		{ { 32, 2, 1 }, 1, false, HELLO_BAD },	{ { 32, 2, 1 }, 2, false, HELLO_DONE },
		{ { 32, 2, 1 }, 0, false, HELLO_DONE }, { { 33, 2, 1 }, 0, false, HELLO_BAD },
	};
	struct hello h;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		clear();
		put_server_name(&ext, "example.org", 11);
		put_parts(&msg, rows[i].parts, rows[i].extensions ? &ext : NULL, rows[i].rest);
		put_records(&raw, &msg, 16384);
		if (read_at_once(raw.data, raw.len, &h) != rows[i].result)
			fail_msg("row %zu", i);
		/* Cut anywhere, with the lengths in front as they would be. */
		for (size_t cut = msg.len - 1; cut > 4 && rows[i].result == HELLO_DONE; cut--) {
			msg.len = cut;
			msg.data[2] = (uint8_t)((cut - 4) >> 8);
			msg.data[3] = (uint8_t)(cut - 4);
			raw.len = 0;
			put_records(&raw, &msg, 16384);
			if (read_at_once(raw.data, raw.len, &h) == HELLO_DONE)
				assert_string_equal(h.name, "");
		}
	}
	assert_int_equal(read_at_once("\x16\3\1\0\4\1\0\0\0", 9, &h), HELLO_BAD);
}

/* The limits of records, and of their sum. */
static void test_record_limits(void **state)
{
	static uint8_t data[HELLO_RAW_MAX + 8] = { 0x16, 3, 1, 0x40, 0, 1, 0, 0x40, 0 };
	struct hello_reader r = { 0 };
	struct hello h;

	assert_int_equal(read_at_once(data, 5, &h), HELLO_MORE);
	assert_int_equal(read_at_once(data, 6, &h), HELLO_MORE);
	data[4] = 1;
	assert_int_equal(read_at_once(data, 5, &h), HELLO_BAD);
	data[3] = 0;
	data[4] = 0;
	assert_int_equal(read_at_once(data, 5, &h), HELLO_BAD);
	/* A second record that would end one byte before, at, and behind the limit. */
	for (unsigned over = 0; over < 3; over++) {
		size_t second = HELLO_RAW_MAX - 1 + over - 5 - 16383 - 5;

		data[3] = 0x3f;
		data[4] = 0xff;
		memcpy(data + 5 + 16383, "\x16\3\1", 3);
		data[5 + 16383 + 3] = (uint8_t)(second >> 8);
		data[5 + 16383 + 4] = (uint8_t)second;
		r = (struct hello_reader){ 0 };
		assert_int_equal(hello_read(&r, data, 16383 + 10, &h),
				 over == 2 ? HELLO_BAD : HELLO_MORE);
		assert_int_equal(hello_read(&r, data, HELLO_RAW_MAX - 2, &h),
				 over == 2 ? HELLO_BAD : HELLO_MORE);
	}
	/* All that is held, and no whole record. */
	assert_int_equal(read_at_once(data, 16383, &h), HELLO_MORE);
	memset(data, 0, sizeof(data));
	for (size_t i = 0; i < HELLO_RAW_MAX; i += 6)
		memcpy(data + i, "\x16\3\1\0\1", 6);
	data[5] = 1;
	memcpy(data + 6 + 5, "\0", 1);
	data[12 + 5] = 0x20; /* a hello of 8 KiB, of which there are 5 */
	assert_int_equal(read_at_once(data, HELLO_RAW_MAX - 1, &h), HELLO_MORE);
	assert_int_equal(read_at_once(data, HELLO_RAW_MAX, &h), HELLO_BAD);
}

static void test_not_tls(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		enum hello_result result;
	} rows[] = {
		{ "", 0, HELLO_MORE },
		{ "\x16", 1, HELLO_MORE },
		{ "\x16\3", 2, HELLO_MORE },
		{ "\x16\x10", 2, HELLO_NOT_TLS },
		{ "\x15\3\1\0\2", 5, HELLO_NOT_TLS },
		{ "GET / HTTP/1.1\r\n", 16, HELLO_NOT_TLS },
		{ "SSH-2.0-x\r\n", 11, HELLO_NOT_TLS },
		{ "\0\0\0\x8\4\xd2\x16\x2f", 8, HELLO_NOT_TLS }, /* PostgreSQL's SSLRequest */
		{ "G", 1, HELLO_NOT_TLS },
		{ "\x16\x0f", 2, HELLO_BAD },
		{ "\x16\2", 2, HELLO_BAD },
		{ "\x80", 1, HELLO_MORE },
		{ "\x80\x2e\2", 3, HELLO_NOT_TLS },
		{ "\x80\x2e\1\0\3", 5, HELLO_NOT_TLS },
		{ "\x80\x2e\1\1\2", 5, HELLO_NOT_TLS },
		{ "\x80\x2e\1\3\1", 5, HELLO_BAD },
		{ "\xff\xfb\x01", 3, HELLO_MORE },
		{ "\xff\xfb\x1f\xff", 4, HELLO_NOT_TLS },
		{ "\x80\x2e\1\3\1\0\x15", 7, HELLO_BAD }, /* SSL 2 form, TLS 1.0 offered */
		{ "\x80\x2e\1\0\2\0\x15", 7, HELLO_BAD }, /* SSL 2 */
	};
	struct hello h;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (read_at_once(rows[i].data, rows[i].len, &h) != rows[i].result)
			fail_msg("row %zu", i);
}

/* Recorded hellos, all for example.org; the last one was cut into small records. */
static void test_real(void **state)
{
	static const char *const names[] = { "openssl", "gnutls",	"node",
					     "java",	"python-tls12", "records-of-7" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
		char path[512];
		struct hello h;

		snprintf(path, sizeof(path), CORPUS "/%s", names[i]);
		assert_int_equal(read_file_at(AT_FDCWD, path, &b), 0);
		if (read_at_once(b.data, b.len, &h) != HELLO_DONE)
			fail_msg("%s: %s", names[i], h.why);
		assert_string_equal(h.name, "example.org");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	       cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_largest),	       cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_bad_extensions), cmocka_unit_test(test_bad_framing),
		cmocka_unit_test(test_parts),	       cmocka_unit_test(test_record_limits),
		cmocka_unit_test(test_not_tls),	       cmocka_unit_test(test_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
