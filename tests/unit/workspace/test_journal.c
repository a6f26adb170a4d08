/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of an apply, what it left on the host, and how a tree is known again. */
#include "layer_test.h"

#include <errno.h>

#include "base/fd.h"
#include "workspace/apply_internal.h"

static const char *const paths[] = { "a", "d/e f", "new\nline", "\xff\xfe", "d/ a 1 2 3", "." };

static void fill(struct journal *j)
{
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct step s = {
			.kind = (enum step_kind)(i % STEP_KINDS),
			.path = paths[i],
			.key = UINT64_MAX - i,
			.before = { 1, UINT64_MAX, 3 + i, -5, 0100644, UINT64_MAX },
			.after = { 7, 8, 9, INT64_MAX, 040755, 0 },
		};

		assert_int_equal(journal_add(j, &s), 0);
	}
}

static void expect_same(const struct journal *a, const struct journal *b)
{
	assert_int_equal(a->committing, b->committing);
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		assert_string_equal(a->steps[i].path, b->steps[i].path);
		assert_int_equal(a->steps[i].kind, b->steps[i].kind);
		assert_true(a->steps[i].key == b->steps[i].key);
		assert_memory_equal(&a->steps[i].before, &b->steps[i].before,
				    sizeof(struct file_id));
		assert_memory_equal(&a->steps[i].after, &b->steps[i].after, sizeof(struct file_id));
	}
}

static void test_comes_back(void **state)
{
	struct trees t;

	trees_make(&t, "true");
	for (int phase = 0; phase < 2; phase++) {
		_cleanup_journal_ struct journal j = JOURNAL_INIT, back = JOURNAL_INIT;

		fill(&j);
		j.committing = phase;
		assert_int_equal(journal_read(t.host, &back), phase ? 0 : -ENOENT);
		journal_free(&back);
		assert_int_equal(journal_write(t.host, &j), 0);
		assert_true(journal_exists(t.host));
		assert_int_equal(journal_read(t.host, &back), 0);
		expect_same(&j, &back);
	}
	assert_int_equal(journal_remove(t.host), 0);
	assert_int_equal(journal_remove(t.host), 0);
	assert_false(journal_exists(t.host));
	trees_remove(&t);
}

static void put(int dir, const char *name, const char *data, size_t n)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, data, n), 0);
}

/* Cut off anywhere, or with any byte changed, it is rubbish, and said to be. */
static void test_rubbish(void **state)
{
	_cleanup_journal_ struct journal j = JOURNAL_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	struct trees t;

	trees_make(&t, "true");
	fill(&j);
	assert_int_equal(journal_write(t.host, &j), 0);
	assert_int_equal(read_file_at(t.host, STORE_JOURNAL, &b), 0);
	for (size_t i = 0; i < b.len; i += 3) {
		_cleanup_journal_ struct journal back = JOURNAL_INIT, other = JOURNAL_INIT;

		put(t.host, STORE_JOURNAL, b.data, i);
		assert_int_equal(journal_read(t.host, &back), -EBADMSG);
		b.data[i] ^= 1;
		put(t.host, STORE_JOURNAL, b.data, b.len);
		b.data[i] ^= 1;
		assert_int_equal(journal_read(t.host, &other), -EBADMSG);
	}
	trees_remove(&t);
}

static void test_landed(void **state)
{
	struct landed first[] = { { "b", 1, 2, 3 }, { "a\nb", 1, 3, -4 }, { "b", 1, 2, 3 } };
	struct landed more[] = { { " c", 1, 5, 6 }, { "b", 1, 7, 8 } };
	_cleanup_landed_ struct landed_list l = { 0 }, all = { 0 };
	struct trees t;

	trees_make(&t, "true");
	assert_int_equal(landed_read(t.host, &l), 0);
	assert_int_equal(l.count, 0);
	assert_null(landed_find(&l, "a"));
	assert_int_equal(landed_write(t.host, &l, first, ARRAY_SIZE(first)), 0);
	landed_free(&l);
	assert_int_equal(landed_read(t.host, &l), 0);
	assert_int_equal(l.count, 2);
	/* What is said of a path last holds. */
	assert_int_equal(landed_write(t.host, &l, more, ARRAY_SIZE(more)), 0);
	assert_int_equal(landed_read(t.host, &all), 0);
	assert_int_equal(all.count, 3);
	assert_int_equal(landed_find(&all, "b")->ino, 7);
	assert_int_equal(landed_find(&all, "a\nb")->ctime_ns, -4);
	assert_int_equal(landed_find(&all, " c")->ino, 5);
	assert_null(landed_find(&all, "c"));
	assert_null(landed_find(&all, "a"));
	put(t.host, STORE_LANDED, "rubbish", 7);
	landed_free(&all);
	assert_int_equal(landed_read(t.host, &all), -EBADMSG);
	trees_remove(&t);
}

/* By any change of it, but not by another order, another name or a further link. */
static void test_trees(void **state)
{
	static const struct {
		const char *script;
		bool same;
	} rows[] = {
		{ "true", true },
		{ "mv d e; mv e d", true },
		{ "ln d/a elsewhere; rm elsewhere", true },
		{ "mv d/a d/sub/c; mv d/b d/a; mv d/a d/b; mv d/sub/c d/a", true },
		{ "chmod 600 d/a", false },
		{ "mv d/sub/deep d/sub/deeper", false },
		{ "echo 2 > d/a", false },
		{ "touch -d 2001-01-01 d/b", false },
		{ "touch d/sub/deep/new", false },
		{ "mkdir d/new", false },
		{ "rm d/b", false },
		{ "rm d/link; ln -s a d/link", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct trees t;
		uint64_t before, after;
		char path[128];

		trees_make(&t, "mkdir -p d/sub/deep; echo 1 > d/a; echo 1 > d/b; ln -s b d/link;"
			       "touch -h -d 2002-02-02 d/link");
		assert_int_equal(host_tree(t.host, "d", &before, NULL, NULL), 0);
		snprintf(path, sizeof(path), "%s/lower", t.top);
		assert_int_equal(shell(path, rows[i].script), 0);
		assert_int_equal(host_tree(t.host, "d", &after, NULL, NULL), 0);
		if ((before == after) != rows[i].same)
			fail_msg("%s", rows[i].script);
		trees_remove(&t);
	}
}

static void test_parents(void **state)
{
	char parent[PATH_MAX] = "a/b/c";
	const char *name;
	struct trees t;
	int fd;

	path_parent(parent, parent);
	assert_string_equal(parent, "a/b");
	path_parent(parent, parent);
	assert_string_equal(parent, "a");
	path_parent(parent, parent);
	assert_string_equal(parent, ".");
	trees_make(&t, "mkdir -p d/e; ln -s d link; ln -s .. out; touch file");
	fd = host_open_parent(t.host, "d/x", &name);
	assert_true(fd >= 0);
	assert_string_equal(name, "x");
	close(fd);
	fd = host_open_parent(t.host, "x", &name);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(host_open_parent(t.host, "link/x", &name), -ENOTDIR);
	assert_int_equal(host_open_parent(t.host, "out/x", &name), -ENOTDIR);
	assert_int_equal(host_open_parent(t.host, "link/e/x", &name), -ELOOP);
	assert_int_equal(host_open_parent(t.host, "../x", &name), -EXDEV);
	assert_int_equal(host_open_parent(t.host, "file/x", &name), -ENOTDIR);
	trees_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_back), cmocka_unit_test(test_rubbish),
		cmocka_unit_test(test_landed),	   cmocka_unit_test(test_trees),
		cmocka_unit_test(test_parents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
