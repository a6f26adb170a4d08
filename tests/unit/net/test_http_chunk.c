/* SPDX-License-Identifier: Apache-2.0 */
/* Chunked bodies: where they end, and framings that two programs could read in two ways. */
#include "net_test.h"

#include "net/http_chunk.h"

/* All of @text: how much of it is the body; -1: HTTP_MORE, -2: HTTP_BAD. */
static int64_t whole(const char *text, size_t len, unsigned *status)
{
	struct http_chunks c = { 0 };
	uint64_t at = 0, pass;

	*status = 0;
	while (c.phase != HTTP_BODY_END) {
		size_t left = at < len ? len - (size_t)at : 0;
		_cleanup_free_ char *p = exact_copy(left ? text + at : "", left);
		enum http_result r = http_chunk(&c, p, left, &pass, status);

		if (r != HTTP_DONE)
			return r == HTTP_MORE ? -1 : -2;
		assert_true(pass > 0);
		at += pass;
	}
	return (int64_t)at;
}

/* A decision may not depend on how much is there: one byte more at each call. */
static int64_t in_parts(const char *text, size_t len)
{
	struct http_chunks c = { 0 };
	uint64_t at = 0, pass;
	unsigned status;
	size_t have = 0;

	while (c.phase != HTTP_BODY_END) {
		enum http_result r;

		if (have < at)
			have = MIN((size_t)at, len);
		r = http_chunk(&c, text + MIN((size_t)at, len), have - MIN((size_t)at, len), &pass,
			       &status);
		if (r == HTTP_BAD)
			return -2;
		if (r == HTTP_DONE)
			at += pass;
		else if (have++ == len)
			return -1;
	}
	return (int64_t)at;
}

static int64_t body(const char *text, unsigned *status)
{
	int64_t r = whole(text, strlen(text), status);

	assert_int_equal(in_parts(text, strlen(text)), r);
	return r;
}

static void test_good(void **state)
{
	static const char *const good[] = {
		"0\r\n\r\n",
		"5\r\nhello\r\n0\r\n\r\n",
		"1\r\n\n\r\n00a\r\n0\r\n\r\n56789\r\n000\r\n\r\n",
		"A;x=1;y=\"a b\"\r\n0123456789\r\n0;last\r\n\r\n",
		"0\r\nX-Sum: 1\r\nY:\r\n\r\n",
	};
	unsigned status;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(body(good[i], &status), strlen(good[i]));
	/* What follows is not of it. */
	assert_int_equal(body("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n", &status), 11);
}

static void test_cut(void **state)
{
	static const char text[] = "3;a\r\nabc\r\n0\r\nX: y\r\n\r\n";
	unsigned status;

	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_int_equal(whole(text, len, &status), -1);
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"\r\n",
		"x\r\n",
		"-1\r\n",
		"0x5\r\n",
		" 5\r\n",
		"5 \r\n",
		"5 ;x\r\n",
		"+5\r\n",
		"5\n",
		"5\r5\r\n",
		"5;a\rb\r\n",
		"5;a\nb\r\n",
		"5;\x01\r\n",
		"1\r\nxx\r\n0\r\n\r\n",
		"1\r\nx\n0\r\n\r\n",
		"1\r\nx0\r\n\r\n",
		"0\r\nX : y\r\n\r\n",
		"0\r\n y\r\n\r\n",
		"0\r\nX\r\n\r\n",
		"0\r\n: y\r\n\r\n",
		"0\r\nhost: a\r\n\r\n",
		"0\r\nX: \x7f\r\n\r\n",
		"0\r\nX: y\n\r\n",
		"0\r\nContent-length: 5\r\n\r\n",
		"0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"0000000000000005\r\n",
		"fffffffffffffffff\r\n",
	};
	unsigned status;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (body(bad[i], &status) != -2)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(status, 400);
	}
}

static void test_sizes(void **state)
{
	struct http_chunks c = { 0 };
	unsigned status;
	uint64_t pass;

	assert_int_equal(http_chunk(&c, "fffffffffffffff\r\n", 17, &pass, &status), HTTP_DONE);
	assert_true(pass == UINT64_C(0xfffffffffffffff) + 17);
	assert_int_equal(c.phase, HTTP_NEXT_SIZE);
}

static void test_limits(void **state)
{
	char line[HTTP_LINE_MAX + 8] = "1;";
	struct http_chunks c = { 0 };
	unsigned status = 0;
	uint64_t pass;

	memset(line + 2, 'x', sizeof(line) - 2);
	assert_int_equal(http_chunk(&c, line, HTTP_LINE_MAX - 1, &pass, &status), HTTP_MORE);
	assert_int_equal(http_chunk(&c, line, HTTP_LINE_MAX, &pass, &status), HTTP_BAD);
	assert_int_equal(status, 431);
	memcpy(line + HTTP_LINE_MAX - 2, "\r\n", 2);
	assert_int_equal(http_chunk(&c, line, sizeof(line), &pass, &status), HTTP_DONE);
	assert_int_equal(pass, HTTP_LINE_MAX + 1);

	c = (struct http_chunks){ .phase = HTTP_TRAILER };
	for (unsigned i = 0; i < HTTP_FIELDS_MAX; i++)
		assert_int_equal(http_chunk(&c, "a:\r\n", 4, &pass, &status), HTTP_DONE);
	assert_int_equal(http_chunk(&c, "a:\r\n", 4, &pass, &status), HTTP_BAD);
	assert_int_equal(status, 431);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),   cmocka_unit_test(test_cut),
		cmocka_unit_test(test_bad),    cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
