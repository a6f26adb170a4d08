/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-serve can no longer do, and what it must: each layer by what it alone refuses. */
#include "../sys/confine_test.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "serve/confine.h"

static int dir;

static int opens(const char *path, int flags)
{
	return result(syscall(SYS_openat, dir, path, flags | O_CLOEXEC, 0600));
}

static int reads_state(void)
{
	return opens("state", O_RDONLY);
}

static int lists_state(void)
{
	return opens(".", O_RDONLY | O_DIRECTORY);
}

static int writes_state(void)
{
	return opens("state", O_WRONLY);
}

static int makes_file(void)
{
	return opens("new", O_WRONLY | O_CREAT);
}

/* The filter lets openat(2) pass: what is opened is for Landlock to say. */
static const struct confine_row rows[] = {
	CONFINE_ROWS_NEVER(EPERM),
	{ "read the state", reads_state, 0, 0, 0 },
	{ "list the state", lists_state, 0, 0, 0 },
	{ "write the state", writes_state, EACCES, 0, 1 },
	{ "make a file", makes_file, EACCES, 0, 1 },
	{ "open", open_file, EACCES, 0, 1 },
	{ "list", list_root, EACCES, 0, 1 },
	{ "listen", listen_tcp, EACCES, EPERM, 4 },
	{ "connect", connect_tcp, EACCES, EPERM, 4 },
	{ "AF_UNIX", socket_unix, 0, 0, 0 },
	{ "AF_INET", socket_inet, ANY, EPERM, 0 },
};

static int set_up(void **state)
{
	static char path[] = "/tmp/purple-confine-XXXXXX";

	if (!mkdtemp(path))
		return -1;
	*state = path;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 || opens("state", O_WRONLY | O_CREAT) != 0;
}

static int tear_down(void **state)
{
	unlinkat(dir, "state", 0);
	unlinkat(dir, "new", 0);
	close(dir);
	return rmdir(*state);
}

static void test_landlock(void **state)
{
	const struct confine c = serve_confinement(dir, false);

	check_landlock(&c, rows, ARRAY_SIZE(rows));
}

static void test_seccomp(void **state)
{
	const struct confine c = serve_confinement(dir, false);

	check_seccomp(&c, rows, ARRAY_SIZE(rows));
}

static void test_rights(void **state)
{
	const struct confine c = serve_confinement(dir, false);

	check_rights(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_landlock),
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_rights),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
