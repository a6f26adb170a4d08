/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"
#include "base/str.h"

static void known_hashes(void)
{
	static const struct {
		const char *text, *hex;
	} known[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	char hex[2 * SHA256_SIZE + 1];
	uint8_t whole[SHA256_SIZE], parts[SHA256_SIZE];
	struct sha256 s;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		sha256_init(&s);
		sha256_add(&s, known[i].text, strlen(known[i].text));
		sha256_done(&s, whole);
		hex_encode(whole, SHA256_SIZE, hex);
		assert_string_equal(hex, known[i].hex);
	}
	for (size_t n = 50; n < 140; n++) {
		char text[140];

		memset(text, 'a', n);
		sha256_init(&s);
		sha256_add(&s, text, n);
		sha256_done(&s, whole);
		sha256_init(&s);
		for (size_t i = 0; i < n; i += 7)
			sha256_add(&s, text + i, MIN((size_t)7, n - i));
		sha256_done(&s, parts);
		assert_memory_equal(whole, parts, SHA256_SIZE);
	}
}

/* The examples of FIPS 180-4, and every length around a block. */
static void test_sha256(void **state)
{
	static char much[256 * 1024];
	uint8_t first[16][SHA256_SIZE], again[SHA256_SIZE];
	struct sha256 s;

	known_hashes();
	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = (char)(i * 7 + i / 251);
	/* Beyond some tens of kilobytes another code does the same, where the processor can. */
	for (size_t i = 0; i < 2 * ARRAY_SIZE(first); i++) {
		const size_t n = i % 16;

		sha256_init(&s);
		sha256_add(&s, much + n, 61 * n);
		sha256_add(&s, much, 64 * n);
		sha256_done(&s, i < 16 ? first[n] : again);
		if (i >= 16)
			assert_memory_equal(first[n], again, SHA256_SIZE);
		if (i == 15)
			for (int k = 0; k < 4; k++)
				sha256_add(&s, much, sizeof(much));
	}
	known_hashes();
}

static void test_printable(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "plain ü € 😀", "plain ü € 😀" },
		{ "a\x1b[2J\x7f\n", "a\\x1b[2J\\x7f\\x0a" },
		{ "\xc2\x9b"
		  "31m \xc2\xa0",
		  "\\x9b31m \xc2\xa0" },
		{ "\x9b \xff \xe2\x82", "\\x9b \\xff \\xe2\\x82" },
	};
	struct err e = { .code = EPROTO, .stage = "test" };
	char line[128];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char got[128] = "", out[5];

		for (const char *s = cases[i].text; *s != '\0'; strcat(got, out))
			s += str_printable(s, out);
		assert_string_equal(got, cases[i].want);
		str_copy(e.message, sizeof(e.message), cases[i].text);
		err_format(&e, line, sizeof(line));
		assert_non_null(strstr(line, cases[i].want));
	}
	/* Cut, but never within an escape and never without its end. */
	memset(e.message, '\x1b', sizeof(e.message) - 1);
	e.message[sizeof(e.message) - 1] = '\0';
	assert_true(err_format(&e, line, sizeof(line)) < sizeof(line));
	assert_string_equal(line + strlen(line) - 5, "\\x1b\n");
	/* musl's strerror() has no text for it. */
	e = (struct err){ .code = ETOOMANYREFS, .stage = "exec", .message = "hand over" };
	err_format(&e, line, sizeof(line));
	assert_non_null(strstr(line, "hand over: Too many descriptors"));
}

static void test_json_string(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(256);

	buf_json_string(&b, "a\"\\\n\x7f é \xc2\x9b \xff");
	assert_string_equal(b.data, "\"a\\\"\\\\\\u000a\\u007f é \\u009b \\u00ff\"");
	b.len = 0;
	buf_json_string(&b, "\u061c\u200d\u200e\u2028\u202e\u2069\u206a");
	assert_string_equal(b.data, "\"\\u061c\u200d\\u200e\\u2028\\u202e\\u2069\u206a\"");
}

static void test_limits(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT(64 * 1024);
	_cleanup_buf_ struct buf b = BUF_INIT(8);
	uint32_t *items = NULL;
	size_t count = 0;

	for (;;) {
		uint32_t *grown = arena_grow(&a, items, count, sizeof(*items));

		if (!grown)
			break;
		items = grown;
		items[count] = (uint32_t)count;
		count++;
	}
	assert_in_range(count, 4096, 16384);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(items[i], i);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_strndup(&a, "", SIZE_MAX));

	buf_puts(&b, "12345678");
	assert_false(b.failed);
	buf_puts(&b, "9");
	assert_true(b.failed);
	buf_puts(&b, "");
	assert_string_equal(b.data, "12345678");
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t v;
	} cases[] = {
		{ "0", 0, 0 },	       { "18446744073709551615", 0, UINT64_MAX },
		{ "0x1F", 0, 31 },     { "0b101", 0, 5 },
		{ "0o17", 0, 15 },     { "18446744073709551616", -ERANGE, 0 },
		{ "", -EINVAL, 0 },    { "0x", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },  { "1 ", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },  { "+1", -EINVAL, 0 },
		{ "0b2", -EINVAL, 0 }, { "0o8", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t v = 0;

		assert_int_equal(parse_u64(cases[i].text, &v), cases[i].r);
		assert_int_equal(v, cases[i].v);
	}
	assert_int_equal(str_distance("pids_limit", "pids_limti"), 1);
	assert_int_equal(str_distance("", "abc"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),	    cmocka_unit_test(test_printable),
		cmocka_unit_test(test_json_string), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
