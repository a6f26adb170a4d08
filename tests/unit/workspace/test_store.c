/* SPDX-License-Identifier: Apache-2.0 */
/* Stores on disk: made, read, rubbish, locks, sweeps, and removal of what is hostile. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "workspace/store.h"
#include "workspace/usage.h"

static char top[] = "/tmp/purple-store-XXXXXX";
static struct store_meta meta, back;
static int all;

static int setup(void **state)
{
	memcpy(strrchr(top, '-'), "-XXXXXX", 7);
	if (!mkdtemp(top))
		return -1;
	all = store_open_all(top, true);
	return all < 0;
}

static int teardown(void **state)
{
	char command[128];

	close(all);
	snprintf(command, sizeof(command), "chmod -R u+rwX %s; rm -rf %s", top, top);
	return system(command);
}

static int make(const char *name, enum store_mode mode)
{
	struct err e = { 0 };

	memset(&meta, 0, sizeof(meta));
	snprintf(meta.name, sizeof(meta.name), "%s", name);
	snprintf(meta.id, sizeof(meta.id), "abcdefghijkl");
	snprintf(meta.path, sizeof(meta.path), "/srv/a b\n%%\xff");
	meta.mode = mode;
	meta.dev = 7;
	meta.ino = UINT64_MAX;
	meta.uid = geteuid();
	meta.gid = getegid();
	meta.mode_bits = 0751;
	return store_make(all, &meta, &e);
}

static void test_round_trip(void **state)
{
	uint32_t stack[STORE_LAYERS_MAX];
	struct err e = { 0 };
	struct stat st;
	int dir = make("one", STORE_REVIEW), layer;

	assert_true(dir >= 0);
	assert_int_equal(store_read(dir, &back), 0);
	assert_memory_equal(&back, &meta, sizeof(meta));
	assert_int_equal(back.top, 1);
	layer = store_open_layer(dir, &meta, 1);
	assert_int_equal(fstat(layer, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	close(layer);
	assert_true(store_is_live(dir));
	/* Two snapshots, one of which was rolled back to. */
	assert_int_equal(store_add_layer(dir, &meta, 1), 0);
	assert_int_equal(store_add_layer(dir, &meta, 1), 0);
	strcpy(meta.layers[0].label, "first");
	assert_int_equal(store_write(dir, &meta), 0);
	assert_int_equal(store_read(dir, &back), 0);
	assert_memory_equal(&back, &meta, sizeof(meta));
	assert_int_equal(store_stack(&back, back.top, stack), 2);
	assert_int_equal(stack[0], 3);
	assert_int_equal(stack[1], 1);
	assert_int_equal(store_labelled(&back, "first")->number, 1);
	assert_null(store_labelled(&back, ""));
	assert_int_equal(store_make(all, &meta, &e), -EEXIST);
	assert_non_null(strstr(e.message, "already"));
	close(dir);
	dir = store_open(all, "abcdefghijkl");
	assert_true(dir >= 0 && !store_is_live(dir));
	memset(&e, 0, sizeof(e));
	assert_int_equal(store_make(all, &meta, &e), -EEXIST);
	assert_non_null(strstr(e.message, "wait for review"));
	assert_int_equal(store_lock(dir, true), 0);
	assert_int_equal(store_remove(all, "one", dir), 0);
	assert_int_equal(store_open(all, "one"), -ENOENT);
}

/* Every byte changed, every length cut: never believed, never a crash. */
static void test_rubbish(void **state)
{
	static char text[65536];
	int dir = make("one", STORE_REVIEW), fd;
	ssize_t n;

	fd = openat(dir, STORE_META, O_RDWR);
	n = read(fd, text, sizeof(text));
	assert_true(n > 100);
	for (ssize_t i = 0; i < n; i++) {
		char was = text[i];

		text[i] ^= 1;
		assert_int_equal(pwrite(fd, text, (size_t)n, 0), n);
		assert_int_equal(store_read(dir, &back), -EBADMSG);
		text[i] = was;
		assert_int_equal(ftruncate(fd, i), 0);
		assert_int_equal(store_read(dir, &back), -EBADMSG);
	}
	close(fd);
	close(dir);
	/* It may hold somebody's work. */
	assert_int_equal(store_sweep(all, 0), 0);
	dir = store_open(all, "one");
	assert_true(dir >= 0);
	close(dir);
}

static void test_sweep(void **state)
{
	int live = make("live", STORE_SCRATCH), dead = make("dead", STORE_SCRATCH);
	int review = make("review", STORE_REVIEW);

	assert_true(live >= 0 && dead >= 0 && review >= 0);
	close(dead);
	close(review);
	assert_int_equal(mkdirat(all, "begun", 0700), 0);
	assert_int_equal(store_sweep(all, 0), 2);
	assert_int_equal(store_open(all, "dead"), -ENOENT);
	assert_int_equal(store_open(all, "begun"), -ENOENT);
	close(live);
	assert_int_equal(store_sweep(all, 0), 1);
	assert_int_equal(store_sweep(all, 0), 0);
}

/* Deeper than any path may be long, not enterable, a link out, names of our own kind. */
static void test_removal(void **state)
{
	int dir = make("one", STORE_REVIEW), layer = store_open_layer(dir, &meta, 1),
	    at = dup(layer);
	char outside[64];
	struct stat st;

	snprintf(outside, sizeof(outside), "%s/outside", top);
	assert_int_equal(mkdir(outside, 0700), 0);
	assert_int_equal(symlinkat(outside, layer, "out"), 0);
	assert_int_equal(mkdirat(layer, ".gone-1", 0700), 0);
	assert_int_equal(mkdirat(layer, ".gone-1/.gone-2", 0700), 0);
	assert_int_equal(mkdirat(layer, "shut", 0700), 0);
	assert_int_equal(mkdirat(layer, "shut/in", 0), 0);
	assert_int_equal(fchmodat(layer, "shut", 0, 0), 0);
	for (int i = 0; i < 2100; i++) {
		int next;

		assert_int_equal(mkdirat(at, "d", 0700), 0);
		close(openat(at, "f", O_CREAT | O_WRONLY, 0));
		next = openat(at, "d", O_RDONLY | O_DIRECTORY);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	close(at);
	close(layer);
	assert_int_equal(store_remove(all, "one", dir), 0);
	assert_int_equal(store_open(all, "one"), -ENOENT);
	assert_int_equal(stat(outside, &st), 0);
}

static struct usage usage(int layer, int lower, uint64_t bytes, uint64_t files)
{
	const struct usage_limits limits = { bytes, files };
	struct usage u;

	assert_int_equal(usage_of_layer(layer, lower, 0751, &limits, &u), 0);
	return u;
}

static void test_usage(void **state)
{
	int dir = make("one", STORE_REVIEW), layer = store_open_layer(dir, &meta, 1), lower, fd;
	static char bytes[1 << 20];
	char path[64];

	snprintf(path, sizeof(path), "%s/lower", top);
	mkdir(path, 0751);
	lower = open(path, O_PATH | O_DIRECTORY);
	assert_int_equal(usage(layer, lower, 0, 0).changes, 0);
	mkdirat(lower, "same", 0755);
	mkdirat(lower, "mode", 0755);
	mkdirat(layer, "same", 0755);
	mkdirat(layer, "mode", 0700);
	mkdirat(layer, "new", 0755);
	assert_int_equal(usage(layer, lower, 0, 0).changes, 2);
	assert_int_equal(usage(layer, -1, 0, 0).changes, 3);
	fd = openat(layer, "same/file", O_CREAT | O_WRONLY, 0644);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	assert_int_equal(usage(layer, lower, 0, 0).changes, 3);
	assert_int_equal(usage(layer, lower, 0, 0).files, 4);
	assert_true(usage(layer, lower, 0, 0).bytes >= sizeof(bytes));
	assert_false(usage(layer, lower, 0, 0).full);
	assert_false(usage(layer, lower, 2 << 20, 4).full);
	assert_true(usage(layer, lower, 0, 3).full);
	assert_true(usage(layer, lower, 1 << 19, 0).full);
	close(lower);
	close(layer);
	close(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rubbish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
