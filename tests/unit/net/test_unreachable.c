/* SPDX-License-Identifier: Apache-2.0 */
/* The messages, byte by byte. That kernels take them: tests/e2e/test_network_udp.py. */
#include "net_test.h"

#include <arpa/inet.h>

#include "net/unreachable.h"

/* RFC 1071: with the checksum in it, all sums up to ones. */
static bool sum_is_right(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static void test_v4(void **state)
{
	static const uint8_t datagram[] = {
		0x45, 0,    0, 28, 0, 0, 0, 0, 64, 17, 0, 0, /* the header's checksum: below */
		198,  18,   0, 1,  8, 8, 8, 8,		     /* from, to */
		0x30, 0x39, 0, 53, 0, 8, 0, 0,		     /* 12345 to 53, 8 bytes */
	};
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(12345) };
	struct datagram_path path = { .has_local = true };
	uint8_t message[UNREACHABLE_MAX];

	inet_pton(AF_INET, "198.18.0.1", &peer.sin_addr);
	memcpy(&path.peer, &peer, sizeof(peer));
	inet_pton(AF_INET, "8.8.8.8", &path.local);
	assert_int_equal(unreachable_make(&path, false, 53, message), 36);
	assert_int_equal(message[0], 3); /* destination, port unreachable */
	assert_int_equal(message[1], 3);
	assert_true(sum_is_right(message, 36));
	assert_true(sum_is_right(message + 8, 20));
	assert_memory_equal(message + 8, datagram, 10);
	assert_memory_equal(message + 20, datagram + 12, 16);
}

static void test_v6(void **state)
{
	static const uint8_t datagram[] = {
		0x60, 0, 0, 0, 0, 8, 17, 64, 0xfd, 0,	 0,   0,    0, 0, 0, 0,
		0,    0, 0, 0, 0, 0, 0,	 1,  0x20, 1,	 0xd, 0xb8, 0, 0, 0, 0,
		0,    0, 0, 0, 0, 0, 0,	 9,  0x30, 0x39, 0,   123,  0, 8, 0, 0,
	};
	struct datagram_path path = {
		.peer = { .sin6_family = AF_INET6, .sin6_port = htons(12345) }, .has_local = true
	};
	uint8_t message[UNREACHABLE_MAX];

	inet_pton(AF_INET6, "fd00::1", &path.peer.sin6_addr);
	inet_pton(AF_INET6, "2001:db8::9", &path.local);
	assert_int_equal(unreachable_make(&path, true, 123, message), 56);
	assert_int_equal(message[0], 1); /* destination, port unreachable */
	assert_int_equal(message[1], 4);
	assert_memory_equal(message + 8, datagram, sizeof(datagram));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4),
		cmocka_unit_test(test_v6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
