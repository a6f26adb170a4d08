/* SPDX-License-Identifier: Apache-2.0 */
/* SOCKS5 byte by byte, and what is refused. */
#include "net_test.h"

#include "net/socks.h"

static enum socks_result greet(const void *data, size_t len, size_t *used)
{
	_cleanup_free_ uint8_t *p = exact_copy(data, len);

	return socks_read_greeting(p, len, used);
}

static enum socks_result request(const void *data, size_t len, struct socks_request *r,
				 size_t *used)
{
	_cleanup_free_ uint8_t *p = exact_copy(data, len);

	return socks_read_request(p, len, r, used);
}

static void test_greeting(void **state)
{
	size_t used;

	assert_int_equal(greet("", 0, &used), SOCKS_MORE);
	assert_int_equal(greet("\5", 1, &used), SOCKS_MORE);
	assert_int_equal(greet("\5\2\2", 3, &used), SOCKS_MORE);
	assert_int_equal(greet("\5\2\2\0", 4, &used), SOCKS_DONE);
	assert_int_equal(used, 4);
	assert_int_equal(greet("\5\1\0\5\1", 5, &used), SOCKS_DONE);
	assert_int_equal(used, 3);
	assert_int_equal(greet("\5\1\2", 3, &used), SOCKS_AUTH);
	assert_int_equal(used, 3);
	assert_int_equal(greet("\5\0", 2, &used), SOCKS_BAD);
	assert_int_equal(greet("\4\1\0\120\0\0\0\1", 8, &used), SOCKS_V4);
	assert_int_equal(greet("GET / HTTP/1.1", 14, &used), SOCKS_BAD);
}

static void test_request(void **state)
{
	static const char name[] = "\5\1\0\3\13Example.org\1\273";
	static const char v6[] = "\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\x16next";
	struct socks_request r;
	size_t used;

	for (size_t i = 0; i < sizeof(name) - 1; i++)
		assert_int_equal(request(name, i, &r, &used), SOCKS_MORE);
	assert_int_equal(request(name, sizeof(name) - 1, &r, &used), SOCKS_DONE);
	assert_int_equal(used, sizeof(name) - 1);
	assert_string_equal(r.host.name, "example.org");
	assert_int_equal(r.port, 443);

	assert_int_equal(request("\5\1\0\1\12\0\0\1\0\120", 10, &r, &used), SOCKS_DONE);
	assert_int_equal(r.host.kind, HOST_V4);
	assert_memory_equal(r.host.addr, "\12\0\0\1", 4);
	assert_int_equal(r.port, 80);

	assert_int_equal(request(v6, sizeof(v6) - 1, &r, &used), SOCKS_DONE);
	assert_int_equal(r.host.kind, HOST_V6);
	assert_int_equal(r.port, 22);
	assert_int_equal(used, 22);

	/* An address written as a name is one. */
	assert_int_equal(request("\5\1\0\3\7"
				 "1.2.3.4\0\120",
				 14, &r, &used),
			 SOCKS_DONE);
	assert_int_equal(r.host.kind, HOST_V4);
}

static void test_refused(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		enum socks_result result;
		enum socks_reply reply;
	} bad[] = {
		{ "\4\1\0\120\0\0\0\1x\0", 10, SOCKS_BAD, SOCKS_FAILURE },
		{ "\4", 1, SOCKS_BAD, SOCKS_FAILURE },
		{ "\5\4", 2, SOCKS_BAD, SOCKS_NO_COMMAND },
		{ "\5\2", 2, SOCKS_REFUSE, SOCKS_NO_COMMAND },
		{ "\5\3", 2, SOCKS_REFUSE, SOCKS_NO_COMMAND },
		{ "\5\0", 2, SOCKS_BAD, SOCKS_NO_COMMAND },
		{ "\5\1\1", 3, SOCKS_BAD, SOCKS_FAILURE },
		{ "\5\1\0\2", 4, SOCKS_BAD, SOCKS_NO_ADDRESS_TYPE },
		{ "\5\1\0\3\0\0\120", 7, SOCKS_BAD, SOCKS_NOT_ALLOWED },
		{ "\5\1\0\3\5a\0b.c\0\120", 12, SOCKS_BAD, SOCKS_NOT_ALLOWED },
		{ "\5\1\0\3\4a b.\0\120", 11, SOCKS_BAD, SOCKS_NOT_ALLOWED },
		{ "\5\1\0\3\5a@b.c\0\120", 12, SOCKS_BAD, SOCKS_NOT_ALLOWED },
		{ "\5\1\0\3\4a.b.\0\120", 11, SOCKS_BAD, SOCKS_NOT_ALLOWED },
		{ "\5\1\0\3\5"
		  "127.1\0\120",
		  12, SOCKS_BAD, SOCKS_NOT_ALLOWED },
		{ "\5\1\0\1\12\0\0\1\0\0", 10, SOCKS_BAD, SOCKS_FAILURE },
	};
	struct socks_request r;
	size_t used;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (request(bad[i].data, bad[i].len, &r, &used) != bad[i].result)
			fail_msg("row %zu", i);
		assert_int_equal(r.reply, bad[i].reply);
		assert_int_equal(used, 0);
		assert_int_equal(r.port, 0);
		assert_string_equal(r.host.name, "");
	}
}

/* SOCKS_MORE is never said beyond the limit of the header. */
static void test_bounds(void **state)
{
	uint8_t data[SOCKS_REQUEST_MAX] = { 5, 1, 0, 3, 255 };
	struct socks_request r;
	size_t used;

	memset(data + 5, 'a', sizeof(data) - 5);
	assert_int_equal(request(data, sizeof(data) - 1, &r, &used), SOCKS_MORE);
	assert_int_equal(request(data, sizeof(data), &r, &used), SOCKS_BAD);
	data[1] = 255;
	assert_int_equal(greet(data, SOCKS_GREETING_MAX - 1, &used), SOCKS_MORE);
	assert_int_equal(greet(data, SOCKS_GREETING_MAX, &used), SOCKS_DONE);
}

static void test_reply(void **state)
{
	uint8_t reply[SOCKS_REPLY_SIZE];

	memset(reply, 0xff, sizeof(reply));
	socks_write_reply(SOCKS_NOT_ALLOWED, reply);
	assert_memory_equal(reply, "\5\2\0\1\0\0\0\0\0\0", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting), cmocka_unit_test(test_request),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
