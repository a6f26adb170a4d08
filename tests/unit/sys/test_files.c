/* SPDX-License-Identifier: Apache-2.0 */
/* Directories read in pieces, and memory with a fixed size. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys/files.h"
#include "sys/listing.h"

enum { FILES = 700 }; /* more than one piece has room for */

static void name_of(int i, char ret[128])
{
	/* Names of every length, so that they end everywhere in a piece. */
	snprintf(ret, 128, "%d-%.*s", i, i % 100,
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void test_listing(void **state)
{
	char path[] = "/tmp/purple-test-listing-XXXXXX", name[128];
	static int seen[FILES];
	struct sys_listing l;
	const char *entry;
	int dir;

	assert_non_null(mkdtemp(path));
	dir = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	sys_list(&l, dir);
	assert_null(sys_list_next(&l));
	assert_int_equal(sys_list_error(&l), 0);
	for (int i = 0; i < FILES; i++) {
		name_of(i, name);
		sys_close(sys_openat(dir, name, O_WRONLY | O_CREAT, 0600));
	}
	lseek(dir, 0, SEEK_SET);
	sys_list(&l, dir);
	while ((entry = sys_list_next(&l))) {
		int i = atoi(entry);

		assert_in_range(i, 0, FILES - 1);
		name_of(i, name);
		assert_string_equal(entry, name);
		seen[i]++;
	}
	assert_int_equal(sys_list_error(&l), 0);
	for (int i = 0; i < FILES; i++) {
		assert_int_equal(seen[i], 1);
		name_of(i, name);
		unlinkat(dir, name, 0);
	}
	sys_close(dir);
	rmdir(path);
	dir = sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);
	sys_list(&l, dir);
	assert_null(sys_list_next(&l));
	assert_int_equal(sys_list_error(&l), -ENOTDIR);
	sys_close(dir);
}

static void test_memfd(void **state)
{
	int fd = sys_memfd_sized("test", 10000);
	struct stat st;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	assert_int_equal(st.st_size, 10000);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(pwrite(fd, "x", 1, 9999), 1);
	assert_true(pwrite(fd, "x", 1, 10000) < 0);
	assert_true(ftruncate(fd, 9999) < 0 && ftruncate(fd, 10001) < 0);
	assert_true(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
	sys_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listing),
		cmocka_unit_test(test_memfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
