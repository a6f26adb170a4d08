/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-net can no longer do, by Landlock alone and by seccomp alone. */
#include "net_test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/confine.h"

/* Each returns 0 or errno. */

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int open_file(void)
{
	return result(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
}

static int make_file(void)
{
	return result(syscall(SYS_openat, AT_FDCWD, "/tmp/purple-test-confine",
			      O_WRONLY | O_CREAT | O_EXCL, 0600));
}

static int list_root(void)
{
	return result(syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY));
}

static int listen_tcp(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? errno : result(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

static int signal_parent(void)
{
	return result(syscall(SYS_kill, getppid(), 0));
}

static int socket_unix(void)
{
	return result(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
}

static int socket_packet(void)
{
	return result(syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0));
}

static int socket_netlink(void)
{
	return result(syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0));
}

static int make_child(void)
{
	return result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int run_program(void)
{
	char *const none[] = { NULL };

	return result(syscall(SYS_execve, "/bin/true", none, none));
}

static int map_code(void)
{
	return result(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int trace_parent(void)
{
	return result(syscall(SYS_ptrace, 16 /* ATTACH */, getppid(), 0, 0));
}

static int work(void)
{
	int fd[2], s4 = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int u6 = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(1),
				 .sin_addr.s_addr = htonl(0x7f000001) };

	if (s4 < 0 || u6 < 0 || pipe2(fd, O_NONBLOCK) < 0)
		return errno;
	if (syscall(SYS_recvmmsg, u6, NULL, 0, 0, NULL) < 0 ||
	    syscall(SYS_sendmmsg, u6, NULL, 0, 0) < 0)
		return errno;
	if (connect(s4, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS &&
	    errno != ECONNREFUSED)
		return errno;
	return 0;
}

/* How a child that has confined itself by @confine and then does @what ends. */
static int attempt(int (*confine)(void), int (*what)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || confine() < 0)
			syscall(SYS_exit_group, 200);
		syscall(SYS_exit_group, what());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_landlock(void **state)
{
	static int (*const refused[])(void) = { open_file, make_file, list_root };
	long abi = syscall(444 /* landlock_create_ruleset */, NULL, 0, 1);

	if (abi < 1)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		int status = attempt(net_restrict_files, refused[i]);

		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), EACCES);
	}
	if (abi >= 4)
		assert_int_equal(WEXITSTATUS(attempt(net_restrict_files, listen_tcp)), EACCES);
	if (abi >= 6)
		assert_int_equal(WEXITSTATUS(attempt(net_restrict_files, signal_parent)), EPERM);
	assert_int_equal(attempt(net_restrict_files, work), 0);
}

/* With a sanitizer's runtime a call fails; else it kills. */
static bool refused_by_filter(int status)
{
#ifdef __SANITIZE_ADDRESS__
	return WIFEXITED(status) && WEXITSTATUS(status) == EPERM;
#else
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
#endif
}

static void test_seccomp(void **state)
{
	static int (*const refused[])(void) = {
		open_file,	make_file,  list_root,	 listen_tcp,   socket_unix,   socket_packet,
		socket_netlink, make_child, run_program, trace_parent, signal_parent,
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		if (!refused_by_filter(attempt(net_load_filter, refused[i])))
			fail_msg("number %zu was not refused", i);
	}
#ifndef __SANITIZE_ADDRESS__
	assert_true(refused_by_filter(attempt(net_load_filter, map_code)));
#endif
	assert_int_equal(attempt(net_load_filter, work), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_landlock),
		cmocka_unit_test(test_seccomp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
