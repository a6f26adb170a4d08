/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-net can no longer do, and what it must: each layer by what it alone refuses. */
#include "../sys/confine_test.h"

#include "net/confine.h"

static int relay_calls(void)
{
	int fd[2], u6 = socket(AF_INET6, SOCK_DGRAM, 0);

	if (u6 < 0 || pipe2(fd, O_NONBLOCK) < 0)
		return errno;
	if (syscall(SYS_recvmmsg, u6, NULL, 0, 0, NULL) < 0)
		return errno;
	return result(syscall(SYS_sendmmsg, u6, NULL, 0, 0));
}

static const struct confine_row rows[] = {
	CONFINE_ROWS_NEVER(KILLED),
	{ "relay", relay_calls, 0, 0, 0 },
	{ "connect", connect_tcp, 0, 0, 0 },
	{ "AF_INET", socket_inet, 0, 0, 0 },
	{ "open", open_file, EACCES, KILLED, 1 },
	{ "make", make_file, EACCES, KILLED, 1 },
	{ "list", list_root, EACCES, KILLED, 1 },
	{ "listen", listen_tcp, EACCES, KILLED, 4 },
	{ "AF_UNIX", socket_unix, ANY, KILLED, 0 },
#ifndef __SANITIZE_ADDRESS__
	{ "code", map_code, ANY, KILLED, 0 },
#endif
};

static void test_landlock(void **state)
{
	check_landlock(&net_confinement, rows, ARRAY_SIZE(rows));
}

static void test_seccomp(void **state)
{
	check_seccomp(&net_confinement, rows, ARRAY_SIZE(rows));
}

static void test_rights(void **state)
{
	check_rights(&net_confinement);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_landlock),
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
