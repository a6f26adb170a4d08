/* SPDX-License-Identifier: Apache-2.0 */
/* The built filter in this kernel: what it says is what happens. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "plan/filter.h"

static struct buf build(int baseline, bool kill)
{
	struct buf b = BUF_INIT(1 << 16);
	struct policy p = { 0 };
	struct err e = { 0 };

	p.syscalls.baseline = baseline;
	p.syscalls.default_deny = true;
	p.syscalls.kill = kill;
	p.network.loopback = true;
	if (filter_build(&p, &(struct filter_options){ 0 }, &b, &e) < 0)
		fail_msg("%s", e.message);
	return b;
}

static void load(const struct buf *b)
{
	struct sock_fprog prog = { (unsigned short)(b->len / sizeof(struct sock_filter)),
				   (struct sock_filter *)(void *)b->data };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &prog, 0, 0))
		_exit(100);
}

/* Run @fn under the filter in a child; the wait status. */
static int under(const struct buf *b, void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* cmocka's would run the other tests here */
		load(b);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define REFUSED(n, call, error)                       \
	do {                                          \
		errno = 0;                            \
		if ((call) != -1 || errno != (error)) \
			_exit(n);                     \
	} while (0)

static void try_all(void)
{
	char c = 'x';

	REFUSED(1, syscall(SYS_ioctl, 0, 0x5412UL, &c), EPERM);
	REFUSED(2, syscall(SYS_ioctl, 0, 0x123UL << 32 | 0x5412, &c), EPERM);
	REFUSED(3, syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM);
	REFUSED(4, syscall(435, &c, 0), ENOSYS); /* clone3 */
	REFUSED(5, syscall(425, 1, &c), ENOSYS); /* io_uring_setup */
	REFUSED(6, unshare(CLONE_NEWUSER), EPERM);
	REFUSED(7, socket(AF_VSOCK, SOCK_STREAM, 0), EAFNOSUPPORT);
	REFUSED(8, socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT);
	REFUSED(9, socket(AF_INET, SOCK_RAW, 1), EPERM);
	REFUSED(10, mknodat(AT_FDCWD, "/tmp/purple-no-such", S_IFCHR | 0600, 0x103), EPERM);
	REFUSED(11, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 8, &c), EPERM);
	REFUSED(12, syscall(SYS_mount, 0, 0, 0, 0, 0), EPERM);
	REFUSED(13, syscall(500), ENOSYS);
	REFUSED(14, syscall(-1), ENOSYS);
	if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ||
	    socket(AF_INET6, SOCK_DGRAM, 0) < 0 || unshare(CLONE_FS) < 0)
		_exit(15);
}

static void test_refusals(void **state)
{
	struct buf b = build(BASELINE_DEFAULT, false);
	int status = under(&b, try_all);

	if (status != 0)
		fail_msg("status 0x%x", status);
	buf_free(&b);
}

/* In a new directory. No file gets a set-user-ID or set-group-ID bit by whatever makes one. */
static void try_modes(void)
{
	struct stat st;
	int fd = open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0755);
	uint64_t how[3] = { O_CREAT | O_WRONLY, 06755, 0 };

	umask(0);
	if (fd < 0)
		_exit(1);
	REFUSED(2, fchmod(fd, 04755), EPERM);
	REFUSED(3, fchmodat(AT_FDCWD, "f", 04755, 0), EPERM);
	REFUSED(4, syscall(452, AT_FDCWD, "f", 04755, 0), EPERM); /* fchmodat2 */
	REFUSED(5, open("g", O_CREAT | O_WRONLY | O_CLOEXEC, 04755), EPERM);
	REFUSED(6, open("g", O_CREAT | O_WRONLY | O_CLOEXEC, 02755), EPERM);
	REFUSED(7, open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 06755), EPERM);
	REFUSED(8, syscall(437, AT_FDCWD, "g", how, sizeof(how)), ENOSYS); /* openat2 */
	REFUSED(9, mknodat(AT_FDCWD, "g", S_IFREG | 04755, 0), EPERM);
	REFUSED(10, syscall(SYS_prlimit64, getppid(), 7, how, 0), EPERM);
	REFUSED(11, syscall(SYS_io_setup, 1, how), ENOSYS);
	REFUSED(12, syscall(SYS_ioctl, 0, 0x5423UL, how), EPERM);
#ifdef __x86_64__
	REFUSED(13, syscall(SYS_chmod, "f", 06755), EPERM);
	REFUSED(14, syscall(SYS_open, "g", O_CREAT | O_WRONLY, 06755), EPERM);
	REFUSED(15, syscall(SYS_creat, "g", 02755), EPERM);
	REFUSED(16, syscall(SYS_mknod, "g", S_IFREG | 02755, 0), EPERM);
#endif
	/* Not asked for what the kernel does itself: mkdir drops the bits. */
	if (mkdir("d", 06755) < 0 || stat("d", &st) < 0 || (st.st_mode & 07777) != 0755)
		_exit(17);
	if (mkdirat(AT_FDCWD, "e", 06755) < 0 || stat("e", &st) < 0 || (st.st_mode & 06000))
		_exit(18);
	/* What git and tar do: a shared directory. And without O_CREAT the mode is rubbish. */
	if (chmod("d", 02775) < 0 || stat("d", &st) < 0 || (st.st_mode & 07777) != 02775)
		_exit(19);
	if (open("f", O_RDONLY | O_CLOEXEC, 07777) < 0 || fchmod(fd, 0700) < 0 ||
	    syscall(SYS_prlimit64, 0, 7, 0, how) < 0)
		_exit(20);
	if (stat("f", &st) < 0 || (st.st_mode & 07777) != 0700 || access("g", F_OK) == 0)
		_exit(21);
}

static void test_live_modes(void **state)
{
	struct buf b = build(BASELINE_DEFAULT, false);
	char dir[] = "/tmp/purple-modes-XXXXXX";
	int status, home = open(".", O_PATH | O_CLOEXEC);

	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	status = under(&b, try_modes);
	if (status != 0)
		fail_msg("status 0x%x", status);
	unlink("f");
	rmdir("d");
	rmdir("e");
	assert_int_equal(fchdir(home), 0);
	close(home);
	assert_int_equal(rmdir(dir), 0);
	buf_free(&b);
}

static void exec_true(void)
{
	execl("/bin/sh", "sh", "-c", "exec 3>/dev/null; echo x >&3; cat /dev/null; exit 7", NULL);
	_exit(101);
}

static void test_exec(void **state)
{
	static const int baselines[] = { BASELINE_STRICT, BASELINE_DEFAULT, BASELINE_PERMISSIVE };

	for (size_t i = 0; i < ARRAY_SIZE(baselines); i++) {
		struct buf b = build(baselines[i], true);
		int status = under(&b, exec_true);

		if (status != 7 << 8)
			fail_msg("baseline %d: status 0x%x", baselines[i], status);
		buf_free(&b);
	}
}

static void exec_true_only(void)
{
	execl("/bin/true", "true", NULL);
	_exit(101);
}

/* What exec needs is enough for a C program of the host's libc, even when a denial kills. */
static void test_exec_needed(void **state)
{
	struct buf b = build(BASELINE_NONE, true);

	assert_int_equal(under(&b, exec_true_only), 0);
	buf_free(&b);
}

static void unshare_users(void)
{
	unshare(CLONE_NEWUSER);
}

static void test_kill(void **state)
{
	struct buf b = build(BASELINE_DEFAULT, true);
	int status = under(&b, unshare_users);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	buf_free(&b);
}

#ifdef __x86_64__
static void call_int80(void)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20L) : "memory"); /* i386 getpid */
	_exit(ret > 0 ? 50 : 51);
}

static void call_x32(void)
{
	syscall(0x40000000 | SYS_getpid);
}

static void test_other_abis(void **state)
{
	struct buf b = build(BASELINE_PERMISSIVE, false);
	int status = under(&b, call_int80);

	/* SIGSYS by the filter, SIGSEGV where the kernel has no int 0x80 at all. */
	assert_true(WIFSIGNALED(status) &&
		    (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV));
	status = under(&b, call_x32);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	buf_free(&b);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),   cmocka_unit_test(test_live_modes),
		cmocka_unit_test(test_exec),	   cmocka_unit_test(test_exec_needed),
		cmocka_unit_test(test_kill),
#ifdef __x86_64__
		cmocka_unit_test(test_other_abis),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
