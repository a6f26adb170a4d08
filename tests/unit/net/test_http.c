/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1 heads: good ones, and those that two programs could read in two ways. */
#include "net_test.h"

#include <stdio.h>

#include "net/http.h"

static enum http_result read_at_once(const char *text, size_t len, struct http_head *h)
{
	_cleanup_free_ char *p = exact_copy(text, len);
	struct http_reader r = { 0 };

	return http_read(&r, p, len, h);
}

/* One byte more at each call; the result must be that of the whole. */
static enum http_result read_text(const char *text, struct http_head *h)
{
	size_t len = strlen(text), end;
	struct http_reader r = { 0 };
	enum http_result result = HTTP_MORE;

	for (end = 0; end <= len && result == HTTP_MORE; end++)
		result = http_read(&r, text, end, h);
	if (read_at_once(text, len, h) != result)
		fail_msg("in parts: %d: %s", (int)result, text);
	return result;
}

#define GOOD(text, head) assert_int_equal(read_text(text, head), HTTP_DONE)

static void test_origin(void **state)
{
	static const char text[] =
		"GET /a?b=@c:1 HTTP/1.1\r\nHost: Example.org\r\nX: \xc3\xbc y\r\n\r\n";
	struct http_head h;

	GOOD(text, &h);
	assert_string_equal(h.method, "GET");
	assert_int_equal(h.form, HTTP_ORIGIN);
	assert_int_equal(h.minor, 1);
	assert_int_equal(h.target_len, 9);
	assert_memory_equal(text + h.target, "/a?b=@c:1", 9);
	assert_true(h.has_host);
	assert_string_equal(h.host.name, "example.org");
	assert_int_equal(h.port, 0);
	assert_int_equal(h.body, HTTP_NO_BODY);
	assert_false(h.close || h.upgrade);
	assert_int_equal(h.len, sizeof(text) - 1);
	assert_null(h.why);

	/* What follows the head stays unread. */
	assert_int_equal(read_at_once("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET ", 31, &h), HTTP_DONE);
	assert_int_equal(h.len, 27);
	GOOD("GET / HTTP/1.1\r\nhOST:\t[2001:db8::1]:8080 \t\r\n\r\n", &h);
	assert_int_equal(h.host.kind, HOST_V6);
	assert_int_equal(h.port, 8080);
	GOOD("GET / HTTP/1.0\r\n\r\n", &h);
	assert_false(h.has_host);
	assert_true(h.close);
	GOOD("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &h);
	assert_int_equal(h.form, HTTP_ASTERISK);
	GOOD("AZaz09!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n", &h);
	GOOD("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF /!~ HTTP/1.1\r\nHost: a\r\nX:  \r\n\r\n", &h);
	GOOD("M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", &h);
	GOOD("get / HTTP/1.1\r\nHost: a\r\nEmpty:\r\n\r\n", &h);
	assert_string_equal(h.method, "get");
}

static void test_absolute_and_connect(void **state)
{
	struct http_head h;

	GOOD("GET http://Example.org:8080/x HTTP/1.1\r\nHost: example.org:8080\r\n\r\n", &h);
	assert_int_equal(h.form, HTTP_ABSOLUTE);
	assert_string_equal(h.host.name, "example.org");
	assert_int_equal(h.port, 8080);
	GOOD("GET HTTP://a?x HTTP/1.1\r\nHost: a:80\r\n\r\n", &h);
	GOOD("GET http://a:80 HTTP/1.1\r\nHost: A\r\n\r\n", &h);
	GOOD("GET http://a/ HTTP/1.0\r\n\r\n", &h);
	assert_true(h.has_host);
	GOOD("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", &h);
	assert_int_equal(h.form, HTTP_AUTHORITY);
	assert_int_equal(h.port, 443);
	GOOD("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n", &h);
	GOOD("CONNECT [::1]:443 HTTP/1.0\r\n\r\n", &h);
	assert_int_equal(h.host.kind, HOST_V6);
}

static void test_body(void **state)
{
	struct http_head h;

	GOOD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 123456789012\r\n\r\n", &h);
	assert_int_equal(h.body, HTTP_LENGTH);
	assert_int_equal(h.length, 123456789012);
	GOOD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n", &h);
	assert_int_equal(h.length, 999999999999999999);
	GOOD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:0\r\n\r\n", &h);
	assert_int_equal(h.body, HTTP_LENGTH);
	GOOD("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n", &h);
	assert_int_equal(h.body, HTTP_CHUNKED);
	GOOD("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n\r\n",
	     &h);
	assert_true(h.upgrade && !h.close);
	GOOD("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n", &h);
	assert_true(h.upgrade);
	GOOD("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close, x\r\nConnection: x\r\n\r\n",
	     &h);
	assert_true(h.upgrade && h.close);
	GOOD("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: , CLOSE ,\r\n\r\n", &h);
	assert_true(h.close && !h.upgrade);
}

struct bad_row {
	const char *text;
	unsigned status;
};

static void check_bad(const struct bad_row *rows, size_t count)
{
	struct http_head h;

	for (size_t i = 0; i < count; i++) {
		if (read_text(rows[i].text, &h) != HTTP_BAD)
			fail_msg("accepted: %s", rows[i].text);
		if (h.status != rows[i].status)
			fail_msg("%u: %s: %s", h.status, h.why, rows[i].text);
		assert_non_null(h.why);
		assert_false(h.has_host);
	}
}

static void test_bad_request_lines(void **state)
{
	static const struct bad_row rows[] = {
		{ "GET /\r\n", 400 },
		{ " GET /\r\n", 400 },
		{ "FOO xHHTTP/1.1\r\n", 400 },
		{ "FOO hTtP/1.1\r\n", 400 },
		{ "GET /\x01", 400 },
		{ " GET /\x7f", 400 },
		{ "GET / HTTP/1.1\n", 400 },
		{ "GET / HTTP/1.1\rHost: a\r\n\r\n", 400 },
		{ "\r\nGET / HTTP/1.1\r\n", 400 },
		{ " GET / HTTP/1.1\r\n", 400 },
		{ "GET  / HTTP/1.1\r\n", 400 },
		{ "GET /  HTTP/1.1\r\n", 400 },
		{ "GET / HTTP/1.1 \r\n", 400 },
		{ "GET\t/ HTTP/1.1\r\n", 400 },
		{ "GET /\tHTTP/1.1\r\n", 400 },
		{ "GET /\x0bHTTP/1.1\r\n", 400 },
		{ "GET /a b HTTP/1.1\r\n", 400 },
		{ "GET /\xc3\xbc HTTP/1.1\r\n", 400 },
		{ "GET /#x HTTP/1.1\r\n", 400 },
		{ "G@T / HTTP/1.1\r\n", 400 },
		{ "GET / http/1.1\r\n", 400 },
		{ "GET / HTTP/1.1.1\r\n", 400 },
		{ "GET / HTTP/1.2\r\n", 505 },
		{ "GET / HTTP/2.0\r\n", 505 },
		{ "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 505 },
		{ "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n", 501 },
		{ "GET * HTTP/1.1\r\n", 400 },
		{ "GET http:/ HTTP/1.1\r\n", 400 },
		{ "GET http:// HTTP/1.1\r\n", 400 },
		{ "GET ftp.://a/ HTTP/1.1\r\n", 400 },
		{ "GET http://a/\x7f HTTP/1.1\r\n", 400 },
		{ "GET Http://a\x01/ HTTP/1.1\r\n", 400 },
		{ "GET example.org HTTP/1.1\r\n", 400 },
		{ "GET https://a/ HTTP/1.1\r\n", 400 },
		{ "GET http://u@a/ HTTP/1.1\r\n", 400 },
		{ "GET http://allowed.org@evil.org/ HTTP/1.1\r\n", 400 },
		{ "GET http://allowed.org\\@evil.org/ HTTP/1.1\r\n", 400 },
		{ "GET http:///x HTTP/1.1\r\n", 400 },
		{ "GET http://a:0/ HTTP/1.1\r\n", 400 },
		{ "GET http://127.1/ HTTP/1.1\r\n", 400 },
		{ "CONNECT a HTTP/1.1\r\n", 400 },
		{ "CONNECT /a:443 HTTP/1.1\r\n", 400 },
		{ "CONNECT http://a:443 HTTP/1.1\r\n", 400 },
		{ "CONNECT a.:443 HTTP/1.1\r\n", 400 },
		{ "CONNECT 0x7f.1:443 HTTP/1.1\r\n", 400 },
		{ "CONNECT [::ffff:1.2.3.4]:443 HTTP/1.1\r\n", 400 },
	};

	check_bad(rows, ARRAY_SIZE(rows));
}

static void test_bad_hosts(void **state)
{
	static const struct bad_row rows[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a.\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: 0177.0.0.1\r\n\r\n", 400 },
		{ "GET http://a/ HTTP/1.1\r\n\r\n", 400 },
		{ "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400 },
		{ "GET http://a/ HTTP/1.1\r\nHost: a:8080\r\n\r\n", 400 },
		{ "GET http://a:8080/ HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", 400 },
		{ "CONNECT a:443 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400 },
	};

	check_bad(rows, ARRAY_SIZE(rows));
}

static void test_bad_fields(void **state)
{
	static const struct bad_row rows[] = {
		{ "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nX: a\r\n b\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nX: a\r\n\tb\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nX: a\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nX: a\rHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\n\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nX: \x01\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nX: \x7f\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nX\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n: x\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nX y: x\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nX\xc3\xbc: x\r\nHost: a\r\n\r\n", 400 },
	};

	check_bad(rows, ARRAY_SIZE(rows));
}

static void test_bad_smuggling(void **state)
{
	static const struct bad_row rows[] = {
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		  400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000000\r\n\r\n",
		  400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		  400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
		  400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
		  "Transfer-Encoding: x\r\n\r\n",
		  400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501 },
		{ "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
		{ "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 400 },
	};

	check_bad(rows, ARRAY_SIZE(rows));
}

/* A NUL, where a string would end. */
static void test_nul(void **state)
{
	struct http_head h;

	assert_int_equal(read_at_once("GET /\0 HTTP/1.1\r\n", 17, &h), HTTP_BAD);
	assert_int_equal(read_at_once("GET / HTTP/1.1\r\nHost: a\0.b\r\n\r\n", 31, &h), HTTP_BAD);
	assert_int_equal(read_at_once("GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n", 29, &h), HTTP_BAD);
}

static void test_other(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		enum http_result result;
	} rows[] = {
		{ "", 0, HTTP_MORE },
		{ "GET", 3, HTTP_MORE },
		{ "\r\n", 2, HTTP_MORE },
		{ "SSH-2.0-OpenSSH_9\r\n", 19, HTTP_OTHER },
		{ "EHLO example.org\r\n", 18, HTTP_OTHER },
		{ "*1\r\n$4\r\nPING\r\n", 14, HTTP_OTHER }, /* redis */
		{ "get key\r\n", 9, HTTP_OTHER },	    /* memcached */
		{ "GET key\r\n", 9, HTTP_OTHER },	    /* redis, by hand */
		{ "POST\r\n", 6, HTTP_OTHER },		    /* NNTP */
		{ "\x16\3\1\2\0\1", 6, HTTP_OTHER },
		{ "\0\0\0\x08\4\xd2\x16\x2f", 8, HTTP_OTHER }, /* PostgreSQL */
		{ "{\"id\":1}", 8, HTTP_OTHER },
		{ "J\0\0\0", 4, HTTP_OTHER },
		{ "0032git-upload-pack /project.git\0host=x\0", 39, HTTP_OTHER },
		{ "FOO HTxTP/1.1\r\n", 15, HTTP_OTHER },
		{ "FOO HTTP /1.1\r\n", 15, HTTP_OTHER },
		{ "J\x80", 2, HTTP_OTHER },
		{ "J\xff", 2, HTTP_OTHER },
		{ "INVITE sip:a@b SIP/2.0\r\n", 24, HTTP_OTHER },
		{ "HTTP/1.1 200 OK\r\n", 17, HTTP_OTHER },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, HTTP_H2 },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4", 28, HTTP_H2 },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r", 23, HTTP_MORE },
	};
	struct http_head h;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (read_at_once(rows[i].text, rows[i].len, &h) != rows[i].result)
			fail_msg("row %zu: %s", i, rows[i].text);
}

static void test_limits(void **state)
{
	static char text[HTTP_HEAD_MAX + 64];
	static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
	struct http_head h;
	size_t n;

	/* A head of exactly the limit, and one byte more. */
	memset(text, 'x', sizeof(text));
	memcpy(text, start, sizeof(start) - 1);
	memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(read_at_once(text, HTTP_HEAD_MAX, &h), HTTP_DONE);
	assert_int_equal(h.len, HTTP_HEAD_MAX);
	text[HTTP_HEAD_MAX - 4] = 'x';
	memcpy(text + HTTP_HEAD_MAX - 3, "\r\n\r\n", 4);
	assert_int_equal(read_at_once(text, HTTP_HEAD_MAX - 1, &h), HTTP_MORE);
	assert_int_equal(read_at_once(text, HTTP_HEAD_MAX, &h), HTTP_BAD);
	assert_int_equal(h.status, 431);
	assert_int_equal(read_at_once(text, HTTP_HEAD_MAX + 1, &h), HTTP_BAD);
	/* A request line without end, of a method that nobody knows. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "FOO /", 5);
	assert_int_equal(read_at_once(text, HTTP_HEAD_MAX, &h), HTTP_BAD);
	assert_int_equal(h.status, 431);
	memset(text, 'x', sizeof(text));
	assert_int_equal(read_at_once(text, HTTP_HEAD_MAX, &h), HTTP_OTHER);
	/* Fields. */
	for (unsigned over = 0; over < 2; over++) {
		n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
		for (unsigned i = 1; i < HTTP_FIELDS_MAX + over; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "X: y\r\n");
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\n");
		assert_int_equal(read_at_once(text, n, &h), over ? HTTP_BAD : HTTP_DONE);
	}
	assert_int_equal(h.status, 431);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_origin),	      cmocka_unit_test(test_absolute_and_connect),
		cmocka_unit_test(test_body),	      cmocka_unit_test(test_bad_request_lines),
		cmocka_unit_test(test_bad_hosts),     cmocka_unit_test(test_bad_fields),
		cmocka_unit_test(test_bad_smuggling), cmocka_unit_test(test_nul),
		cmocka_unit_test(test_other),	      cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
