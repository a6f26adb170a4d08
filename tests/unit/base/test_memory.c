/* SPDX-License-Identifier: Apache-2.0 */
/* arena and buf: alignment, limits, growth, and what is left after a failure. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"
#include "base/str.h"

static bool is_zero(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* Sizes around that of a chunk; objects do not overlap, are aligned and zero. */
static void test_arena(void **state)
{
	static const size_t sizes[] = { 1, 3, 16, 17, 1000, 16383, 16384, 16385, 40000, 1, 5000 };
	_cleanup_arena_ struct arena a = ARENA_INIT(1 << 20);
	unsigned char *objects[ARRAY_SIZE(sizes)];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		objects[i] = arena_alloc(&a, sizes[i]);
		assert_non_null(objects[i]);
		assert_int_equal((uintptr_t)objects[i] % _Alignof(max_align_t), 0);
		assert_true(is_zero(objects[i], sizes[i]));
		memset(objects[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(objects[i][k], i + 1);
	arena_free(&a);
	assert_int_equal(a.used, 0);
	assert_non_null(arena_alloc(&a, 1)); /* usable again */
}

static void test_arena_limit(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT(100), none = ARENA_INIT(0);

	assert_null(arena_alloc(&a, 101));
	assert_non_null(arena_alloc(&a, 64));
	assert_null(arena_alloc(&a, 64));
	assert_non_null(arena_alloc(&a, 32)); /* a refusal takes nothing */
	assert_null(arena_alloc(&a, 32));
	assert_null(arena_alloc(&a, SIZE_MAX - 1));
	assert_null(arena_strdup(&a, "too long for what is left of it"));
	assert_null(arena_printf(&a, "%s", "too long for what is left of it"));
	assert_null(arena_grow(&a, NULL, 0, SIZE_MAX / 4));
	assert_null(arena_alloc(&none, 1));
}

static void test_arena_strings(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT(1 << 16);
	char long_text[5000];

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	assert_string_equal(arena_strdup(&a, ""), "");
	assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
	assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
	assert_string_equal(arena_printf(&a, "%s", long_text), long_text);
}

static void test_buf(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(100000);
	size_t n = 0;

	assert_null(b.data);
	buf_add(&b, NULL, 0);
	assert_int_equal(b.len, 0);
	while (n < 20000) {
		buf_printf(&b, "%04zu", n % 10000);
		n += 4;
		assert_int_equal(b.len, n);
		assert_int_equal(b.data[b.len], '\0');
	}
	assert_memory_equal(b.data + 396, "0396", 4);
	buf_add(&b, "a\0b", 3);
	assert_memory_equal(b.data + n, "a\0b", 4);
	buf_free(&b);
	assert_null(b.data);
	assert_int_equal(b.max, 100000);
	buf_puts(&b, "again");
	assert_string_equal(b.data, "again");
}

/* After a failure nothing more is taken, not even what would fit. */
static void test_buf_limit(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(10), none = BUF_INIT(0);

	buf_puts(&b, "12345");
	buf_printf(&b, "%s", "678901");
	assert_true(b.failed);
	buf_puts(&b, "x");
	buf_json_string(&b, "x");
	buf_align(&b, 8);
	assert_string_equal(b.data, "12345");
	assert_int_equal(b.len, 5);
	buf_puts(&none, "");
	assert_false(none.failed);
	buf_puts(&none, "x");
	assert_true(none.failed);
	buf_free(&b);
	assert_false(b.failed);
	buf_add(&b, "x", SIZE_MAX);
	assert_true(b.failed);
}

static void test_buf_align(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1000);

	for (size_t align = 1; align <= 64; align *= 2) {
		size_t before;

		buf_puts(&b, "x");
		before = b.len;
		buf_align(&b, align);
		assert_int_equal(b.len % align, 0);
		assert_true(b.len - before < align);
		assert_true(is_zero((unsigned char *)b.data + before, b.len - before));
		before = b.len;
		buf_align(&b, align);
		assert_int_equal(b.len, before);
	}
}

/* RFC 3629: overlong forms, surrogates, what is above U+10FFFF, what is cut. */
static void test_utf8(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{ "a", 1 },
		{ "\x7f", 1 },
		{ "\xc2\x80", 2 },
		{ "\xdf\xbf", 2 },
		{ "\xe0\xa0\x80", 3 },
		{ "\xed\x9f\xbf", 3 },
		{ "\xee\x80\x80", 3 },
		{ "\xef\xbf\xbf", 3 },
		{ "\xf0\x90\x80\x80", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 },
		{ "\x80", 0 },
		{ "\xbf", 0 },
		{ "\xc0\x80", 0 },
		{ "\xc1\xbf", 0 },
		{ "\xc2", 0 },
		{ "\xc2x", 0 },
		{ "\xe0\x9f\xbf", 0 },
		{ "\xe2\x82", 0 },
		{ "\xed\xa0\x80", 0 },
		{ "\xed\xbf\xbf", 0 },
		{ "\xf0\x8f\xbf\xbf", 0 },
		{ "\xf0\x90\x80", 0 },
		{ "\xf4\x90\x80\x80", 0 },
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xff", 0 },
		{ "\xfe", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(utf8_len(cases[i].text), cases[i].len);
}

/* Every byte: what comes out is one JSON string, of printable characters. */
static void test_json_bytes(void **state)
{
	for (unsigned c = 1; c < 256; c++) {
		_cleanup_buf_ struct buf b = BUF_INIT(64);
		char text[] = { (char)c, '\0' }, want[16];

		if (c == '"' || c == '\\')
			snprintf(want, sizeof(want), "\"\\%c\"", c);
		else if (c < 0x20 || c >= 0x7f)
			snprintf(want, sizeof(want), "\"\\u%04x\"", c);
		else
			snprintf(want, sizeof(want), "\"%c\"", c);
		buf_json_string(&b, text);
		assert_string_equal(b.data, want);
	}
}

/* The first error stays, and so does the first remedy; what is too long is cut. */
static void test_err(void **state)
{
	struct err e = { 0 }, given = { .exit_code = EXIT_NOT_FOUND };
	char line[2048], long_text[1000], small[63];
	size_t len;

	assert_false(err_is_set(&e));
	assert_int_equal(err_set(&e, -ENOENT, "a-stage-whose-name-is-too-long", "%s", "one"),
			 -ENOENT);
	assert_true(err_is_set(&e));
	assert_int_equal(e.exit_code, EXIT_PURPLE);
	assert_int_equal(strlen(e.stage), sizeof(e.stage) - 1);
	assert_int_equal(err_set(&e, EACCES, "b", "two"), -EACCES);
	assert_int_equal(e.code, ENOENT);
	assert_string_equal(e.message, "one");
	err_remedy(&e, "do %d", 1);
	err_remedy(&e, "do %d", 2);
	assert_string_equal(e.remedy, "do 1");

	assert_int_equal(err_set(&given, EPROTO, "stage", "message"), -EPROTO);
	assert_int_equal(given.exit_code, EXIT_NOT_FOUND);
	len = err_format(&given, line, sizeof(line));
	assert_string_equal(line, "purple: stage: message\n");
	assert_int_equal(len, strlen(line));
	err_remedy(&given, "remedy");
	err_format(&given, line, sizeof(line));
	assert_string_equal(line, "purple: stage: message\n  remedy\n");
	assert_int_equal(err_format(&given, small, sizeof(small)), 0);
	assert_string_equal(small, "");

	memset(&e, 0, sizeof(e));
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	err_set(&e, ENOENT, "stage", "%s", long_text);
	err_remedy(&e, "%s", long_text);
	for (size_t size = 64; size < sizeof(line); size++) {
		size_t n = err_format(&e, line, size);

		assert_true(n < size && strlen(line) == n && line[n - 1] == '\n');
	}
}

/* All lengths from 0 to 200; the digest of the digests is from Python's hashlib. */
static void test_sha256_lengths(void **state)
{
	uint8_t data[201], digest[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];
	struct sha256 all, one;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 3);
	sha256_init(&all);
	for (size_t n = 0; n <= 200; n++) {
		sha256_init(&one);
		sha256_add(&one, data, n);
		sha256_done(&one, digest);
		sha256_add(&all, digest, sizeof(digest));
	}
	sha256_done(&all, digest);
	hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(hex,
			    "3275febb4612d86d586eb9f11cd21e648a9fc7d95e0f6b8d362786e28c9c5b79");

	/* FIPS 180-4's long example, in uneven parts. */
	sha256_init(&one);
	for (size_t left = 1000000, n; left > 0; left -= n) {
		char part[997];

		memset(part, 'a', sizeof(part));
		n = MIN(left, sizeof(part));
		sha256_add(&one, part, n);
	}
	sha256_done(&one, digest);
	hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(hex,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_strings(void **state)
{
	char text[4];

	assert_true(streq("", ""));
	assert_false(streq("a", "ab"));
	assert_string_equal(str_after("fd:3", "fd:"), "3");
	assert_string_equal(str_after("abc", ""), "abc");
	assert_null(str_after("f", "fd:"));
	assert_null(str_after("", "x"));
	assert_true(str_copy(text, sizeof(text), "abc"));
	assert_string_equal(text, "abc");
	assert_false(str_copy(text, sizeof(text), "abcd"));
	assert_string_equal(text, "abc");
	assert_false(str_copy(text, 1, "x"));
	assert_string_equal(text, "");
	assert_true(str_copy(text, 1, ""));
	assert_int_equal(str_distance("same", "same"), 0);
	assert_int_equal(str_distance("workspcae", "workspace"), 1);
	assert_int_equal(str_distance("kitten", "sitting"), 3);
	assert_int_equal(str_distance("abc", ""), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arena),	      cmocka_unit_test(test_arena_limit),
		cmocka_unit_test(test_arena_strings), cmocka_unit_test(test_buf),
		cmocka_unit_test(test_buf_limit),     cmocka_unit_test(test_buf_align),
		cmocka_unit_test(test_utf8),	      cmocka_unit_test(test_json_bytes),
		cmocka_unit_test(test_err),	      cmocka_unit_test(test_sha256_lengths),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
