/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program that has confined itself can still do, each layer alone: a row is a thing
 * to try, and how it ends under Landlock alone and under seccomp alone. In children, for
 * there is no way back. After each layer that is off a row comes out otherwise.
 */
#ifndef PURPLE_TESTS_CONFINE_TEST_H
#define PURPLE_TESTS_CONFINE_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "sys/confine.h"
#include "sys/landlock.h"
#include "sys/process.h"

/* How a row ends: 0, an errno, or one of these. */
enum {
	ANY = -1, /* not this layer's */
#ifdef __SANITIZE_ADDRESS__
	KILLED = EPERM,
#else
	KILLED = -SIGSYS,
#endif
	NOT_CONFINED = 250,
};

struct confine_row {
	const char *name;
	int (*attempt)(void); /* 0 or errno; by no call that libc may make otherwise */
	int landlock, seccomp;
	int abi; /* of Landlock, from which on @landlock holds */
};

static inline int result(long r)
{
	return r < 0 ? errno : 0;
}

static inline int open_file(void)
{
	return result(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
}

static inline int make_file(void)
{
	return result(syscall(SYS_openat, AT_FDCWD, "/tmp/purple-test-confine",
			      O_WRONLY | O_CREAT | O_EXCL, 0600));
}

static inline int list_root(void)
{
	return result(syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY));
}

static inline int unlink_file(void)
{
	int error = result(syscall(SYS_unlinkat, AT_FDCWD, "/etc/no-such-file", 0));

	return error == ENOENT ? 0 : error;
}

static inline int with_loopback(int call, unsigned short port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? errno : result(syscall(call, fd, &a, sizeof(a)));
}

static inline int listen_tcp(void)
{
	return with_loopback(SYS_bind, 0);
}

/* Nobody listens there. */
static inline int connect_tcp(void)
{
	int error = with_loopback(SYS_connect, 1);

	return error == ECONNREFUSED ? 0 : error;
}

static inline int socket_unix(void)
{
	return result(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
}

static inline int socket_inet(void)
{
	return result(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
}

static inline int socket_inet6(void)
{
	int error = result(syscall(SYS_socket, AF_INET6, SOCK_DGRAM, 0));

	return error == EAFNOSUPPORT ? 0 : error; /* a machine without */
}

static inline int socket_packet(void)
{
	return result(syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0));
}

static inline int socket_netlink(void)
{
	return result(syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0));
}

static inline int signal_parent(void)
{
	return result(syscall(SYS_kill, getppid(), 0));
}

static inline int make_child(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		syscall(SYS_exit_group, 0);
	return result(pid);
}

static inline int run_program(void)
{
	char *const none[] = { NULL };

	return result(syscall(SYS_execve, "/bin/true", none, none));
}

static inline int map_code(void)
{
	return result(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static inline int trace_parent(void)
{
	return result(syscall(SYS_ptrace, 16 /* ATTACH */, getppid(), 0, 0));
}

static inline int read_control(void)
{
	return result(syscall(SYS_prctl, PR_CAPBSET_READ, 0, 0, 0, 0));
}

/* No program of ours may; kill(2) is in the table of Landlock alone because of its scope. */
#define CONFINE_ROWS_NEVER(refusal)                                \
	{ "unlink", unlink_file, ANY, refusal, 0 },                \
		{ "AF_PACKET", socket_packet, ANY, refusal, 0 },   \
		{ "AF_NETLINK", socket_netlink, ANY, refusal, 0 }, \
		{ "signal", signal_parent, EPERM, refusal, 6 },    \
		{ "clone", make_child, ANY, refusal, 0 },          \
		{ "execve", run_program, ANY, refusal, 0 },        \
		{ "ptrace", trace_parent, ANY, refusal, 0 },       \
	{                                                          \
		"prctl", read_control, ANY, refusal, 0             \
	}

/* How a child ends that has done @layer and then @attempt. */
static inline int ends(int (*layer)(const struct confine *), const struct confine *c,
		       int (*attempt)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if ((layer == confine_files || layer == confine_calls) &&
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			syscall(SYS_exit_group, NOT_CONFINED);
		if (layer(c) < 0)
			syscall(SYS_exit_group, NOT_CONFINED);
		syscall(SYS_exit_group, attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void check_row(const char *layer, const char *name, int is, int expected)
{
	if (expected != ANY && is != expected)
		fail_msg("%s: %s ends with %d, not %d", layer, name, is, expected);
}

static inline void check_landlock(const struct confine *c, const struct confine_row *rows,
				  size_t count)
{
	int abi = sys_landlock_abi();

	for (size_t i = 0; i < count && abi >= 1; i++) {
		const struct confine_row *row = &rows[i];

		if (row->landlock != ANY && abi >= row->abi)
			check_row("Landlock", row->name, ends(confine_files, c, row->attempt),
				  row->landlock);
	}
}

static inline void check_seccomp(const struct confine *c, const struct confine_row *rows,
				 size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_row("seccomp", rows[i].name, ends(confine_calls, c, rows[i].attempt),
			  rows[i].seccomp);
}

/* What confine_rights() leaves: 0, or the number of what is there still. */
static inline int rights_left(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	struct rlimit core;

	if (syscall(SYS_capget, &head, data) < 0 || getrlimit(RLIMIT_CORE, &core) < 0)
		return 1;
	for (int i = 0; i < 2; i++) {
		if (data[i].effective || data[i].permitted || data[i].inheritable)
			return 2;
	}
	if (core.rlim_cur || core.rlim_max)
		return 3;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 4;
}

static inline int is_dumpable(void)
{
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

static inline int is_nobody(void)
{
	uid_t u[3];
	gid_t g[3];

	if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0)
		return errno;
	for (int i = 0; i < 3; i++) {
		if (u[i] != CONFINE_NOBODY || g[i] != CONFINE_NOBODY)
			return 1;
	}
	return getgroups(0, NULL) == 0 ? 0 : 2;
}

static inline int no_layer(const struct confine *c)
{
	(void)c;
	return 0;
}

static inline int can_be_nobody(void)
{
	return setgroups(0, NULL) < 0 || setresgid(0, CONFINE_NOBODY, 0) < 0 ||
	       setresuid(0, CONFINE_NOBODY, 0) < 0;
}

/* Capabilities, core files, new privileges, being dumped; and who we are. */
static inline void check_rights(const struct confine *c)
{
	check_row("rights", "left", ends(confine_rights, c, rights_left), 0);
	check_row("rights", "dumpable", ends(confine_rights, c, is_dumpable), c->dumpable);
	if (c->id != CONFINE_KEEP_ID && geteuid() == 0 && ends(no_layer, c, can_be_nobody) == 0)
		check_row("id", "nobody", ends(confine_id, c, is_nobody), 0);
}

#endif
