/* SPDX-License-Identifier: Apache-2.0 */
/* Messages whole, cut and too many descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/control.h"

static int pair[2];

static int setup(void **state)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static int open_count(void)
{
	int n = 0;

	for (int fd = 0; fd < 100; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_whole(void **state)
{
	struct control_message m = { .head = CONTROL_HEAD(CONTROL_OUTPUT, 2, 3) }, got;
	int fds[CONTROL_FDS_MAX], send[2] = { 0, 1 };
	unsigned n = CONTROL_FDS_MAX;

	memcpy(m.bytes, "abc", 3);
	assert_int_equal(control_send(pair[0], &m, send, 2, 0), 0);
	assert_int_equal(control_receive(pair[1], &got, fds, &n, 0), 1);
	assert_int_equal(n, 2);
	assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(got.head.value, 2);
	assert_memory_equal(got.bytes, "abc\0", 4);
}

static void test_value_and_end(void **state)
{
	struct control_message got;

	assert_int_equal(control_send_value(pair[0], CONTROL_STOP, CONTROL_GRACE_POLICY, 0), 0);
	assert_int_equal(control_receive(pair[1], &got, NULL, NULL, 0), 1);
	assert_int_equal(got.head.type, CONTROL_STOP);
	assert_int_equal(got.head.value, CONTROL_GRACE_POLICY);
	assert_int_equal(control_receive(pair[1], &got, NULL, NULL, MSG_DONTWAIT), -EAGAIN);
	shutdown(pair[0], SHUT_WR);
	assert_int_equal(control_receive(pair[1], &got, NULL, NULL, 0), 0);
}

static void test_bad(void **state)
{
	static struct {
		struct control_message m;
		char more[64];
	} big;
	struct control_head head = CONTROL_HEAD(CONTROL_WAIT, 0, 0);
	struct control_message got;

	assert_int_equal(send(pair[0], "x", 1, 0), 1);
	assert_int_equal(control_receive(pair[1], &got, NULL, NULL, 0), -EBADMSG);
	head.size++;
	send(pair[0], &head, sizeof(head), 0);
	assert_int_equal(control_receive(pair[1], &got, NULL, NULL, 0), -EBADMSG);
	head.size--;
	head.magic++;
	send(pair[0], &head, sizeof(head), 0);
	assert_int_equal(control_receive(pair[1], &got, NULL, NULL, 0), -EBADMSG);
	big.m.head = (struct control_head){ .magic = CONTROL_MAGIC, .size = sizeof(big) };
	send(pair[0], &big, sizeof(big), 0);
	assert_int_equal(control_receive(pair[1], &got, NULL, NULL, 0), -EBADMSG);
}

/* None of them stays open here. */
static void test_too_many_descriptors(void **state)
{
	struct control_head head = CONTROL_HEAD(CONTROL_EXEC, 0, 0);
	struct control_message m = { .head = head }, got;
	int send[CONTROL_FDS_MAX] = { 0, 1, 2, 0 }, fds[2], before = open_count();
	unsigned n = 2;

	assert_int_equal(control_send(pair[0], &m, send, 4, 0), 0);
	assert_int_equal(control_receive(pair[1], &got, fds, &n, 0), -EBADMSG);
	assert_int_equal(open_count(), before);
	assert_int_equal(control_send(pair[0], &m, send, 1, 0), 0);
	assert_int_equal(control_receive(pair[1], &got, NULL, NULL, 0), -EBADMSG);
	assert_int_equal(open_count(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_value_and_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_descriptors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
