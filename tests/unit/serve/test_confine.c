/* SPDX-License-Identifier: Apache-2.0 */
/* What the confined server may still do, and what not: each layer by what it alone refuses. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/macros.h"
#include "serve/confine.h"
#include "sys/landlock.h"

static int dir;

/* 0, or the errno that it failed with. */
static int opens(int at, const char *path, int flags)
{
	int fd = openat(at, path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int makes_socket(int family)
{
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int reads_state(void)
{
	return opens(dir, "state", O_RDONLY);
}
static int lists_state(void)
{
	return opens(dir, ".", O_RDONLY | O_DIRECTORY);
}
static int unix_socket(void)
{
	return makes_socket(AF_UNIX);
}
/* Landlock's alone: the filter lets openat(2) pass. */
static int reads_passwd(void)
{
	return opens(AT_FDCWD, "/etc/passwd", O_RDONLY);
}
static int writes_state(void)
{
	return opens(dir, "state", O_WRONLY);
}
static int makes_file(void)
{
	return opens(dir, "new", O_WRONLY | O_CREAT);
}
/* The filter's alone. */
static int inet_socket(void)
{
	return makes_socket(AF_INET);
}
static int netlink_socket(void)
{
	return makes_socket(AF_NETLINK);
}
static int forks(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}
static int executes(void)
{
	char *const argv[] = { NULL };

	execve("/proc/self/exe", argv, argv);
	return errno;
}
static int signals_parent(void)
{
	return kill(getppid(), 0) < 0 ? errno : 0;
}
static int unlinks(void)
{
	return unlinkat(dir, "nosuch", 0) < 0 ? errno : 0;
}
static int regains(void)
{
	return prctl(PR_CAPBSET_READ, 0) < 0 ? errno : 0;
}

static const struct {
	int (*attempt)(void);
	int error;
	bool by_landlock;
} rows[] = {
	{ reads_state, 0, false },	  { lists_state, 0, false },
	{ unix_socket, 0, false },	  { reads_passwd, EACCES, true },
	{ writes_state, EACCES, true },	  { makes_file, EACCES, true },
	{ inet_socket, EPERM, false },	  { netlink_socket, EPERM, false },
	{ forks, EPERM, false },	  { executes, EPERM, false },
	{ signals_parent, EPERM, false }, { unlinks, EPERM, false },
	{ regains, EPERM, false },
};

static int set_up(void **state)
{
	static char path[] = "/tmp/purple-confine-XXXXXX";

	if (!mkdtemp(path))
		return -1;
	*state = path;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 || opens(dir, "state", O_WRONLY | O_CREAT);
}

static int tear_down(void **state)
{
	unlinkat(dir, "state", 0);
	unlinkat(dir, "new", 0);
	close(dir);
	return rmdir(*state);
}

/* In a child, for there is no way back. What went wrong is its status. */
static void test_each(void **state)
{
	bool landlock = sys_call(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int status;
		pid_t pid;

		if (rows[i].by_landlock && !landlock)
			continue;
		pid = fork();
		if (pid == 0) {
			struct err e = { 0 };
			int r = serve_confine(dir, !landlock, &e);

			_exit(r < 0 ? 250 : rows[i].attempt());
		}
		assert_true(waitpid(pid, &status, 0) == pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) != rows[i].error)
			fail_msg("row %zu: %s, not %s", i, strerror(WEXITSTATUS(status)),
				 strerror(rows[i].error));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
