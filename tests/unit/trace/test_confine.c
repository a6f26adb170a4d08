/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-trace can no longer do, and what it must: each layer by what it alone refuses. */
#include "../sys/confine_test.h"

#include <poll.h>
#include <time.h>

#include "trace/confine.h"

static int control[2];

/* To wait for the supervisor, hear it and tell it: all that it does. */
static int relay_calls(void)
{
	struct pollfd p = { .fd = control[0], .events = POLLIN };
	char c = 'x';

	if (send(control[1], &c, 1, MSG_NOSIGNAL) != 1 || poll(&p, 1, 1000) != 1 ||
	    recv(control[0], &c, 1, 0) != 1)
		return errno ? errno : EIO;
	return 0;
}

static int writes(void)
{
	return result(syscall(SYS_writev, control[1], NULL, 0));
}

static int more_programs(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int passes_a_descriptor(void)
{
	struct msghdr m = { 0 };

	return result(syscall(SYS_sendmsg, control[1], &m, 0));
}

static const struct confine_row rows[] = {
	CONFINE_ROWS_NEVER(KILLED),
	{ "relay", relay_calls, 0, 0, 0 },
	{ "open", open_file, EACCES, KILLED, 1 },
	{ "make", make_file, EACCES, KILLED, 1 },
	{ "list", list_root, EACCES, KILLED, 1 },
	{ "listen", listen_tcp, EACCES, KILLED, 4 },
	{ "connect", connect_tcp, EACCES, KILLED, 4 },
	{ "AF_INET", socket_inet, ANY, KILLED, 0 },
	{ "AF_UNIX", socket_unix, ANY, KILLED, 0 },
	{ "bpf", more_programs, ANY, KILLED, 0 },
	{ "writev", writes, ANY, KILLED, 0 },
	{ "sendmsg", passes_a_descriptor, ANY, KILLED, 0 },
#ifndef __SANITIZE_ADDRESS__
	{ "code", map_code, ANY, KILLED, 0 },
#endif
};

static int set_up(void **state)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control);
}

static void test_landlock(void **state)
{
	check_landlock(&trace_confinement, rows, ARRAY_SIZE(rows));
}

static void test_seccomp(void **state)
{
	check_seccomp(&trace_confinement, rows, ARRAY_SIZE(rows));
}

static void test_rights(void **state)
{
	check_rights(&trace_confinement);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_landlock),
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_rights),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
