/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors and whole files: what is short, interrupted, too large or of another kind. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

enum { MEGABYTE = 1 << 20 };

struct place {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct place *at = calloc(1, sizeof(*at));

	if (!at)
		return -1;
	strcpy(at->path, "/tmp/purple-test-XXXXXX");
	if (!mkdtemp(at->path))
		return -1;
	at->fd = open(at->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = at;
	return at->fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct place *at = *state;
	DIR *d = opendir(at->path);

	for (struct dirent *e; d && (e = readdir(d));)
		unlinkat(at->fd, e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	if (d)
		closedir(d);
	close(at->fd);
	rmdir(at->path);
	free(at);
	return 0;
}

static unsigned names(const struct place *at)
{
	DIR *d = opendir(at->path);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void test_close(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), old = fd;

	assert_true(fd >= 0);
	errno = EXDEV;
	close_fdp(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(fcntl(old, F_GETFD), -1);
	errno = EXDEV;
	close_fdp(&fd);
	assert_int_equal(errno, EXDEV);
}

static void on_alarm(int signal)
{
}

/* A pipe takes 64 KiB; the reader is slow; signals come in between. */
static void test_write_full(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm };
	static char data[MEGABYTE];
	int p[2], status;
	pid_t pid;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31 + i / 4096);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		_cleanup_buf_ struct buf b = BUF_INIT(MEGABYTE);
		bool same;

		close(p[1]);
		for (int i = 0; i < 20; i++) {
			usleep(2000);
			kill(getppid(), SIGALRM);
		}
		same = read_all(p[0], &b) == 0 && b.len == sizeof(data) &&
		       memcmp(b.data, data, b.len) == 0;
		_exit(same ? 0 : 1);
	}
	close(p[0]);
	sigaction(SIGALRM, &action, NULL); /* no SA_RESTART */
	assert_int_equal(write_full(p[1], data, sizeof(data)), 0);
	close(p[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(write_full(-1, data, 1), -EBADF);
	assert_int_equal(write_full(-1, data, 0), 0);
}

static void test_read(void **state)
{
	const struct place *at = *state;
	_cleanup_buf_ struct buf b = BUF_INIT(10000), exact = BUF_INIT(9000);
	_cleanup_buf_ struct buf small = BUF_INIT(8999), empty = BUF_INIT(0);
	char data[9000];

	memset(data, 'x', sizeof(data));
	data[100] = '\0';
	assert_int_equal(write_file_atomic(at->fd, "f", data, sizeof(data), 0600), 0);
	assert_int_equal(read_file_at(at->fd, "f", &b), 0);
	assert_int_equal(b.len, sizeof(data));
	assert_memory_equal(b.data, data, sizeof(data));
	assert_int_equal(b.data[b.len], '\0');
	assert_int_equal(read_file_at(at->fd, "f", &exact), 0);
	assert_int_equal(read_file_at(at->fd, "f", &small), -EFBIG);
	/* More than what is there already leaves room for. */
	assert_int_equal(read_file_at(at->fd, "f", &b), -EFBIG);
	assert_int_equal(read_file_at(AT_FDCWD, "/dev/null", &empty), 0);
	assert_int_equal(empty.len, 0);
	assert_int_equal(read_file_at(at->fd, "none", &small), -ENOENT);
	assert_int_equal(read_file_at(AT_FDCWD, at->path, &exact), -EISDIR);
	assert_int_equal(read_file_at(AT_FDCWD, "/dev/zero", &b), -EFBIG);
}

/* Nobody writes to it: that must not wait. */
static void test_read_fifo(void **state)
{
	const struct place *at = *state;
	_cleanup_buf_ struct buf b = BUF_INIT(100);

	assert_int_equal(mkfifoat(at->fd, "fifo", 0600), 0);
	assert_int_equal(read_file_at(at->fd, "fifo", &b), 0);
	assert_int_equal(b.len, 0);
}

static void test_write_atomic(void **state)
{
	const struct place *at = *state;
	_cleanup_buf_ struct buf old = BUF_INIT(100), new = BUF_INIT(100);
	_cleanup_close_ int reader = -1;
	char name[300];
	struct stat st;

	assert_int_equal(write_file_atomic(at->fd, "f", "old", 3, 0640), 0);
	reader = openat(at->fd, "f", O_RDONLY | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_int_equal(write_file_atomic(at->fd, "f", "newer", 5, 0600), 0);
	assert_int_equal(read_all(reader, &old), 0);
	assert_string_equal(old.data, "old");
	assert_int_equal(read_file_at(at->fd, "f", &new), 0);
	assert_string_equal(new.data, "newer");
	assert_int_equal(fstatat(at->fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(names(at), 1);

	/* Failures leave nothing behind. */
	assert_int_equal(mkdirat(at->fd, "d", 0700), 0);
	assert_int_equal(write_file_atomic(at->fd, "d", "x", 1, 0600), -EISDIR);
	assert_int_equal(write_file_atomic(at->fd, "no/f", "x", 1, 0600), -ENOENT);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_true(write_file_atomic(at->fd, name, "x", 1, 0600) < 0);
	assert_int_equal(names(at), 2);

	/* The name is replaced, not what it leads to. */
	assert_int_equal(symlinkat("f", at->fd, "link"), 0);
	assert_int_equal(write_file_atomic(at->fd, "link", "x", 1, 0600), 0);
	assert_int_equal(fstatat(at->fd, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_write_full),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_fifo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_atomic, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
