/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer that dies, or whose disk fails, at each call that changes a file. The
 * calls are replaced by the linker (meson.build), under their names in either libc.
 */
#include "trail_test.h"

#include <sys/syscall.h>

static enum { RUN, DIE_BEFORE, DIE_HALF, DIE_AFTER, FAIL, FAIL_HALF } how;
static unsigned at, calls; /* the call with number @at is hit; 1 is the first */
static bool writing;	   /* calls count */

static bool hit(void)
{
	return writing && ++calls == at;
}

static long changed(bool is_hit, long r)
{
	if (is_hit && how == DIE_AFTER)
		_exit(0);
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

/* True: the call is not made. */
static bool stopped(bool is_hit)
{
	if (is_hit && how == DIE_BEFORE)
		_exit(0);
	if (is_hit && how == FAIL)
		errno = ENOSPC;
	return is_hit && how == FAIL;
}

#define CALL(...)                               \
	({                                      \
		long r_ = syscall(__VA_ARGS__); \
		r_ < 0 ? -(long)errno : r_;     \
	})

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size);
int __wrap_openat(int dir, const char *name, int flags, mode_t mode);
int __wrap_openat64(int dir, const char *name, int flags, mode_t mode);
int __wrap_renameat(int dir, const char *name, int to_dir, const char *to);
int __wrap_unlinkat(int dir, const char *name, int flags);

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t offset)
{
	bool is_hit = hit();

	if (stopped(is_hit))
		return -1;
	/* A head lies within one page: the kernel copies it at once, or not at all. */
	if (is_hit && how == DIE_HALF && len == TRAIL_HEAD_SIZE)
		_exit(0);
	if (is_hit && (how == DIE_HALF || how == FAIL_HALF) && len != TRAIL_HEAD_SIZE) {
		long n = CALL(SYS_pwrite64, fd, data, len / 2, offset);

		if (how == DIE_HALF)
			_exit(0);
		at++; /* and the rest of it fails */
		how = FAIL;
		return n;
	}
	return changed(is_hit, CALL(SYS_pwrite64, fd, data, len, offset));
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	return __wrap_pwrite(fd, data, len, offset);
}

int __wrap_ftruncate(int fd, off_t size)
{
	bool is_hit = hit();

	return stopped(is_hit) ? -1 : (int)changed(is_hit, CALL(SYS_ftruncate, fd, size));
}

int __wrap_ftruncate64(int fd, off_t size)
{
	return __wrap_ftruncate(fd, size);
}

int __wrap_openat(int dir, const char *name, int flags, mode_t mode)
{
	bool is_hit = flags & O_CREAT && hit();

	if (stopped(is_hit))
		return -1;
	return (int)changed(is_hit, CALL(SYS_openat, dir, name, flags, mode));
}

int __wrap_openat64(int dir, const char *name, int flags, mode_t mode)
{
	return __wrap_openat(dir, name, flags, mode);
}

int __wrap_renameat(int dir, const char *name, int to_dir, const char *to)
{
	bool is_hit = hit();

	if (stopped(is_hit))
		return -1;
	return (int)changed(is_hit, CALL(SYS_renameat2, dir, name, to_dir, to, 0));
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
	bool is_hit = hit();

	return stopped(is_hit) ? -1 : (int)changed(is_hit, CALL(SYS_unlinkat, dir, name, flags));
}

enum { FILLED = 3, CALLS_MAX = 40 };

/* Each writes "crash" lines as one that comes anew. */
struct scenario {
	const char *name;
	uint64_t rotate_bytes;
	int before;		 /* lines that are there */
	void (*meanwhile)(void); /* what others do before the writer comes */
};

static void tail(void)
{
	put_file(path, "{\"seq\":5,\"time", 14, O_APPEND);
}

static void no_head(void)
{
	char name[256];

	name_of(0, ".head", name);
	assert_int_equal(unlink(name), 0);
}

static void bad_head(void)
{
	char name[256];

	name_of(0, ".head", name);
	put_file(name, "purple-trail 1 s", 16, O_TRUNC);
}

static const struct scenario scenarios[] = {
	{ "the first lines", 0, 0, NULL }, { "more lines", 0, FILLED, NULL },
	{ "rotation", 700, FILLED, NULL }, { "rotation into one that is short", 1, 1, NULL },
	{ "a tail", 0, FILLED, tail },	   { "a tail, and rotation", 700, FILLED, tail },
	{ "no head", 0, FILLED, no_head }, { "a bad head", 0, FILLED, bad_head },
};

static int write_more(const struct scenario *s)
{
	static char room[2000];
	struct trail t;
	struct err e = { 0 };
	int r;

	t = (struct trail){ .sandbox = "abc", .name = "box", .rotate_bytes = s->rotate_bytes };
	r = trail_open(&t, path, &e);
	if (r < 0)
		return r;
	memset(room, 'c', sizeof(room) - 1);
	add(&t, "crash 1");
	add(&t, s->before == 1 ? room : "crash 2"); /* beyond the old file's size */
	r = trail_flush(&t, 1000, &e);
	writing = false;
	if (r < 0) {
		/* It is as before, the lines are kept, and the next try may succeed. */
		assert_int_equal(t.pending_lines, 2);
		flush(&t);
	}
	trail_close(&t);
	return 0;
}

static void before(const struct scenario *s)
{
	struct trail t;

	make_top();
	if (s->before > 0) {
		open_trail(&t);
		for (int i = 0; i < s->before; i++)
			add(&t, "before");
		flush(&t);
		trail_close(&t);
	}
	if (s->meanwhile)
		s->meanwhile();
	calls = 0;
}

static void after(const struct scenario *s, bool died)
{
	struct trail t;
	unsigned lines;

	open_trail(&t);
	t.rotate_bytes = s->rotate_bytes;
	add(&t, "after");
	flush(&t);
	trail_close(&t);
	assert_int_equal(read_chain("before"), s->before);
	assert_int_equal(read_chain("after"), 1);
	lines = read_chain("crash 1");
	assert_true(lines == 1 || (died && lines == 0));
	remove_top();
}

static void test_killed(void **state)
{
	unsigned deaths = 0;

	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		for (int h = DIE_BEFORE; h <= DIE_AFTER; h++)
			for (unsigned n = 1;; n++) {
				int status;
				pid_t pid;

				assert_true(n < CALLS_MAX);
				before(&scenarios[i]);
				pid = fork();
				if (pid == 0) {
					how = h;
					at = n;
					writing = true;
					write_more(&scenarios[i]);
					_exit(7); /* that many calls there are not */
				}
				assert_int_equal(waitpid(pid, &status, 0), pid);
				assert_true(WIFEXITED(status));
				after(&scenarios[i], WEXITSTATUS(status) == 0);
				deaths += WEXITSTATUS(status) == 0;
				if (WEXITSTATUS(status) != 0 && (h != DIE_HALF || n > 12))
					break;
			}
	print_message("%u deaths\n", deaths);
	assert_true(deaths > 80);
}

static void test_disk_full(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		for (int h = FAIL; h <= FAIL_HALF; h++)
			for (unsigned n = 1; n < 12; n++) {
				before(&scenarios[i]);
				how = h;
				at = n;
				writing = true;
				if (write_more(&scenarios[i]) < 0) {
					how = RUN;
					writing = false;
					assert_int_equal(write_more(&scenarios[i]), 0);
				}
				how = RUN;
				writing = false;
				after(&scenarios[i], false);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_disk_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
