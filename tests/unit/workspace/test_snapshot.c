/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of stores on disk; layers that stores share. */
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
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "workspace/layer_copy.h"
#include "workspace/snapshot.h"

static char top[] = "/tmp/purple-snapshot-XXXXXX";
static struct store_meta meta, back, forked;
static int all, dir;

static int make(const char *name, const char *id)
{
	struct err e = { 0 };

	memset(&meta, 0, sizeof(meta));
	snprintf(meta.name, sizeof(meta.name), "%s", name);
	snprintf(meta.id, sizeof(meta.id), "%s", id);
	snprintf(meta.path, sizeof(meta.path), "/srv");
	meta.uid = geteuid();
	meta.gid = getegid();
	meta.mode_bits = 0751;
	return store_make(all, &meta, &e);
}

static int setup(void **state)
{
	memcpy(strrchr(top, '-'), "-XXXXXX", 7);
	if (!mkdtemp(top))
		return -1;
	all = store_open_all(top, true);
	dir = make("one", "abcdefghijkl");
	return all < 0 || dir < 0;
}

static int teardown(void **state)
{
	char command[128];

	close(dir);
	close(all);
	snprintf(command, sizeof(command), "chmod -R u+rwX %s; rm -rf %s", top, top);
	return system(command);
}

/* A file in the layer on top. */
static void put(int of, const struct store_meta *m, const char *name)
{
	int layer = store_open_layer(of, m, m->top), fd;

	assert_true(layer >= 0);
	fd = openat(layer, name, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	close(layer);
}

/* Is it in one of the layers of the stack? */
static bool has(int of, const struct store_meta *m, const char *name)
{
	static uint32_t stack[STORE_LAYERS_MAX];
	int count = store_stack(m, m->top, stack);
	bool found = false;

	assert_true(count > 0);
	for (int i = 0; i < count; i++) {
		int layer = store_open_layer(of, m, stack[i]);

		assert_true(layer >= 0);
		found = found || faccessat(layer, name, F_OK, 0) == 0;
		close(layer);
	}
	return found;
}

static void check_written(int of, const struct store_meta *m)
{
	assert_int_equal(store_read(of, &back), 0);
	assert_memory_equal(&back, m, sizeof(*m));
}

static void take(const char *label)
{
	struct err e = { 0 };

	assert_int_equal(snapshot_take(dir, &meta, label, &e), 0);
	check_written(dir, &meta);
}

static int fork_as(const char *name, const char *id, const char *at, struct err *e)
{
	memset(&forked, 0, sizeof(forked));
	snprintf(forked.name, sizeof(forked.name), "%s", name);
	snprintf(forked.id, sizeof(forked.id), "%s", id);
	return snapshot_fork(all, dir, &meta, at, &forked, e);
}

static void test_take_and_roll_back(void **state)
{
	char kept[STORE_LABEL_MAX + 1];
	struct err e = { 0 };

	put(dir, &meta, "a");
	take("first");
	assert_true(store_labelled(&meta, "first")->created_ns > 0);
	put(dir, &meta, "b");
	assert_int_equal(snapshot_roll_back(dir, &meta, "first", kept, &e), 0);
	assert_string_equal(kept, "1");
	check_written(dir, &meta);
	assert_true(has(dir, &meta, "a") && !has(dir, &meta, "b"));
	assert_int_equal(snapshot_roll_back(dir, &meta, "1", kept, &e), 0);
	assert_string_equal(kept, "");
	assert_true(has(dir, &meta, "a") && has(dir, &meta, "b"));
	check_written(dir, &meta);
	/* The empty layers that were left are gone: first, 1, and the one on top. */
	assert_int_equal(meta.layers_count, 3);
	assert_int_equal(snapshot_roll_back(dir, &meta, "none", kept, &e), -ENOENT);
	check_written(dir, &meta);
}

static void test_labels(void **state)
{
	static const char *const bad[] = { "", " ", ".", "-x", "a b", "a\n", "a/b", "\xc3\xa4" };
	char label[STORE_LABEL_MAX + 2], most[STORE_LABEL_MAX + 1];
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(snapshot_label_ok(bad[i]));
		assert_int_equal(snapshot_take(dir, &meta, bad[i], &e), -EINVAL);
	}
	memset(label, 'x', sizeof(label) - 1);
	label[sizeof(label) - 1] = '\0';
	assert_false(snapshot_label_ok(label));
	take(label + 1);
	assert_int_equal(snapshot_take(dir, &meta, label + 1, &e), -EEXIST);
	take("7");
	take("20261124221005123");
	snapshot_new_label(&meta, most);
	assert_string_equal(most, "8");
	assert_int_equal(meta.layers_count, 4);
}

/* A directory of its own: mode, times and xattrs of the workspace's root are inherited. */
static void test_root(void **state)
{
	int layer = store_open_layer(dir, &meta, meta.top);
	const struct timespec times[2] = { { .tv_sec = 5 }, { .tv_sec = 7, .tv_nsec = 9 } };
	struct stat st;
	char value[8];
	bool xattrs;

	assert_int_equal(fchmod(layer, 02700), 0);
	xattrs = fsetxattr(layer, "user.x", "y", 1, 0) == 0 &&
		 fsetxattr(layer, "user.overlay.impure", "y", 1, 0) == 0;
	assert_int_equal(futimens(layer, times), 0);
	close(layer);
	take("a");
	layer = store_open_layer(dir, &meta, meta.top);
	assert_int_equal(fstat(layer, &st), 0);
	assert_int_equal(st.st_mode & 07777, 02700);
	assert_int_equal(st.st_mtim.tv_sec, 7);
	assert_int_equal(st.st_mtim.tv_nsec, 9);
	if (xattrs) {
		assert_int_equal(fgetxattr(layer, "user.x", value, sizeof(value)), 1);
		assert_int_equal(fgetxattr(layer, "user.overlay.impure", value, sizeof(value)), -1);
	}
	close(layer);
}

static void test_left_over(void **state)
{
	int layers = openat(dir, STORE_LAYERS, O_RDONLY | O_DIRECTORY);

	/* As of commands that were killed before the meta had it. */
	assert_int_equal(mkdirat(layers, "2", 0700), 0);
	assert_int_equal(mkdirat(layers, "2/x", 0), 0);
	assert_int_equal(mkdirat(layers, "9", 0700), 0);
	take("a");
	assert_int_equal(meta.top, 2);
	assert_false(has(dir, &meta, "x"));
	assert_int_equal(faccessat(layers, "9", F_OK, 0), -1);
	close(layers);
}

static void test_most(void **state)
{
	char label[16], kept[STORE_LABEL_MAX + 1];
	struct err e = { 0 };

	while (meta.layers_count < STORE_LAYERS_MAX) {
		snprintf(label, sizeof(label), "%u", meta.layers_count);
		assert_int_equal(snapshot_take(dir, &meta, label, &e), 0);
	}
	check_written(dir, &meta);
	assert_int_equal(snapshot_take(dir, &meta, "more", &e), -ENOSPC);
	assert_non_null(strstr(e.message, "480"));
	assert_int_equal(snapshot_roll_back(dir, &meta, "1", kept, &e), -ENOSPC);
	assert_int_equal(fork_as("two", "bcdefghijklm", "100", &e), 0);
	assert_int_equal(forked.layers_count, 101);
	check_written(dir, &meta);
}

static void test_fork(void **state)
{
	struct err e = { 0 };
	int64_t base, own;
	int to;

	put(dir, &meta, "a");
	take("first");
	put(dir, &meta, "b");
	assert_int_equal(fork_as("two", "bcdefghijklm", NULL, &e), 0);
	check_written(dir, &meta);
	to = store_open(all, "two");
	check_written(to, &forked);
	assert_int_equal(store_base(dir, &meta, &own), 0);
	assert_int_equal(store_base(to, &forked, &base), 0);
	assert_true(own == base);
	assert_true(has(to, &forked, "a") && has(to, &forked, "b"));
	assert_true(has(dir, &meta, "a") && has(dir, &meta, "b"));
	assert_non_null(store_labelled(&forked, "first"));
	put(to, &forked, "theirs");
	put(dir, &meta, "ours");
	assert_false(has(to, &forked, "ours") || has(dir, &meta, "theirs"));
	/* Of a fork; where it has changed nothing of its own it adds no layer. */
	close(to);
	assert_int_equal(fork_as("three", "cdefghijklmn", "first", &e), 0);
	to = store_open(all, "three");
	assert_true(has(to, &forked, "a") && !has(to, &forked, "b"));
	close(to);
	assert_int_equal(fork_as("three", "cdefghijklmn", "first", &e), -EEXIST);
	assert_int_equal(fork_as("four", "cdefghijklmn", "none", &e), -ENOENT);
	assert_int_equal(store_open(all, "four"), -ENOENT);
}

static unsigned shared_count(void)
{
	char command[128];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "ls -A %s/workspaces/.shared 2>/dev/null | wc -l", top);
	f = popen(command, "r");
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

static void drop(const char *name)
{
	int of = store_open(all, name);

	assert_true(of >= 0);
	assert_int_equal(store_lock(of, true), 0);
	assert_int_equal(store_remove(all, name, of), 0);
}

static void test_shared_layers_go_last(void **state)
{
	struct err e = { 0 };
	int to, fd;

	put(dir, &meta, "a");
	take("first");
	put(dir, &meta, "b");
	assert_int_equal(fork_as("two", "bcdefghijklm", "first", &e), 0);
	assert_int_equal(shared_count(), 1);
	assert_int_equal(fork_as("three", "cdefghijklmn", NULL, &e), 0);
	assert_int_equal(shared_count(), 2);
	assert_int_equal(store_remove(all, "one", dir), 0);
	assert_int_equal(shared_count(), 2);
	to = store_open(all, "three");
	assert_int_equal(store_read(to, &back), 0);
	assert_true(has(to, &back, "a") && has(to, &back, "b"));
	close(to);
	/* Of one whose meta is rubbish nobody knows what it needs. */
	to = store_open(all, "two");
	fd = openat(to, STORE_META, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	close(to);
	drop("three");
	assert_int_equal(shared_count(), 2);
	drop("two");
	assert_int_equal(shared_count(), 0);
	dir = make("one", "abcdefghijkl");
}

/* Of each step of a fork that was killed: the parent is whole, and nothing is left. */
static void test_fork_that_was_killed(void **state)
{
	struct err e = { 0 };

	put(dir, &meta, "a");
	take("first");
	/* The layers have moved, the fork's meta is not there. */
	assert_int_equal(mkdirat(all, STORE_SHARED, 0700), 0);
	assert_int_equal(renameat(dir, "layers/1", all, STORE_SHARED "/abcdefghijkl-1"), 0);
	assert_int_equal(mkdirat(all, "two", 0700), 0);
	store_sweep_shared(all);
	assert_int_equal(store_sweep(all, 0), 1);
	assert_true(has(dir, &meta, "a"));
	assert_int_equal(shared_count(), 1);
	/* And what nobody has. */
	assert_int_equal(mkdirat(all, STORE_SHARED "/zzzzzzzzzzzz-1", 0700), 0);
	assert_int_equal(mkdirat(all, STORE_SHARED "/.dead-zzzzzzzzzzzz-2", 0700), 0);
	store_sweep_shared(all);
	assert_int_equal(shared_count(), 1);
	assert_int_equal(fork_as("two", "bcdefghijklm", "first", &e), 0);
	drop("two");
	assert_int_equal(shared_count(), 1);
	assert_true(has(dir, &meta, "a"));
	take("second");
	assert_true(has(dir, &meta, "a"));
}

/* More than one batch of candidates. */
static void test_many_shared(void **state)
{
	char path[48];

	assert_int_equal(mkdirat(all, STORE_SHARED, 0700), 0);
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), STORE_SHARED "/%s-%d", i % 3 ? "zzz" : "abcdefghijkl",
			 i);
		assert_int_equal(mkdirat(all, path, 0700), 0);
	}
	/* Those of the store's own numbers stay. */
	for (uint32_t i = 1; i <= 5; i++)
		take((char[]){ (char)('a' + (int)i), '\0' });
	store_sweep_shared(all);
	assert_int_equal(shared_count(), 2);
}

/* A meta from before there were snapshots, and one with all of it. */
static void test_meta(void **state)
{
	struct store_meta *m = &meta;

	strcpy(m->tree, "mnopqrstuvwx");
	m->base_ns = 12345;
	strcpy(m->layers[0].tree, "aaaaaaaaaaaa");
	m->layers[0].tree_number = 77;
	assert_int_equal(store_write(dir, m), 0);
	check_written(dir, m);
	strcpy(m->layers[0].label, "label");
	m->layers[0].created_ns = UINT64_MAX;
	assert_int_equal(store_write(dir, m), 0);
	check_written(dir, m);
}

static int run(const char *script)
{
	char command[1024];

	snprintf(command, sizeof(command), "cd %s/workspaces/one/layers && %s", top, script);
	return system(command);
}

static void test_copy(void **state)
{
	int layers = openat(dir, STORE_LAYERS, O_RDONLY | O_DIRECTORY), from, to, links;
	struct err e = { 0 };
	struct stat a, b;

	assert_int_equal(run("cd 1 && mkdir -p d/e gone && echo x > d/e/f && ln d/e/f d/g && "
			     "ln d/g h && ln -s d/e/f l && mkfifo p && chmod 700 d/e && "
			     "truncate -s 100M holes && echo y >> holes && "
			     "chmod 4751 h && touch -d @7.5 d h && touch -h -d @8 l"),
			 0);
	assert_int_equal(mkdirat(layers, "2", 0700), 0);
	assert_int_equal(mkdirat(layers, "2.links", 0700), 0);
	from = openat(layers, "1", O_RDONLY | O_DIRECTORY);
	to = openat(layers, "2", O_RDONLY | O_DIRECTORY);
	links = openat(layers, "2.links", O_RDONLY | O_DIRECTORY);
	fsetxattr(from, "user.overlay.opaque", "y", 1, 0);
	assert_int_equal(layer_copy(from, to, links, &e), 0);
	assert_int_equal(store_remove_tree(layers, "2.links"), 0);
	assert_int_equal(run("L='-printf %P,%y,%m,%s,%n,%u,%g,%T@,%l\\n'; "
			     "test \"$(find 1 -not -type d $L | sed s,^1,, | sort)\" = "
			     "\"$(find 2 -not -type d $L | sed s,^2,, | sort)\" && "
			     "test \"$(find 1 -type d -printf '%P,%m,%T@\\n' | sort)\" = "
			     "\"$(find 2 -type d -printf '%P,%m,%T@\\n' | sort)\" && "
			     "cmp 1/holes 2/holes && cmp 1/d/g 2/d/e/f && test 2/h -ef 2/d/g"),
			 0);
	assert_int_equal(fstatat(from, "holes", &a, 0), 0);
	assert_int_equal(fstatat(to, "holes", &b, 0), 0);
	assert_true(b.st_blocks <= a.st_blocks + 16 && b.st_ino != a.st_ino);
	close(from);
	close(to);
	close(links);
	close(layers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_take_and_roll_back),
		TEST(test_labels),
		TEST(test_root),
		TEST(test_left_over),
		TEST(test_most),
		TEST(test_fork),
		TEST(test_shared_layers_go_last),
		TEST(test_fork_that_was_killed),
		TEST(test_many_shared),
		TEST(test_meta),
		TEST(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
