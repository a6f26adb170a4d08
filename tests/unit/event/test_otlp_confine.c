/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-otlp can no longer do, and what it must: each layer by what it alone refuses. */
#include "../sys/confine_test.h"

#include "event/otlp_export.h"

/* Memory, a time limit, a connection without blocking: what libcurl lives on. */
static int http_calls(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || p == MAP_FAILED)
		return errno;
	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)) < 0)
		return errno;
	alarm(60);
	return result(munmap(p, 65536));
}

static const struct confine_row rows[] = {
	CONFINE_ROWS_NEVER(EPERM),
	{ "HTTP", http_calls, 0, 0, 0 },
	{ "connect", connect_tcp, 0, 0, 0 },
	{ "AF_INET6", socket_inet6, 0, 0, 0 },
	{ "open", open_file, EACCES, EPERM, 1 },
	{ "make", make_file, EACCES, EPERM, 1 },
	{ "list", list_root, EACCES, EPERM, 1 },
	{ "listen", listen_tcp, EACCES, EPERM, 4 },
	{ "AF_UNIX", socket_unix, ANY, EPERM, 0 },
};

/* Its collector's port is the one that connect_tcp() goes to. */
static const uint16_t collector = 1, another = 2;

static void test_landlock(void **state)
{
	static const struct confine_row elsewhere = { "another port", connect_tcp, EACCES, ANY, 4 };
	const struct confine c = otlp_confinement(collector), other = otlp_confinement(another);

	check_landlock(&c, rows, ARRAY_SIZE(rows));
	check_landlock(&other, &elsewhere, 1);
}

static void test_seccomp(void **state)
{
	const struct confine c = otlp_confinement(collector);

	check_seccomp(&c, rows, ARRAY_SIZE(rows));
}

static void test_rights(void **state)
{
	const struct confine c = otlp_confinement(collector);

	check_rights(&c);
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
