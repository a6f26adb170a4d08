/* SPDX-License-Identifier: Apache-2.0 */
/* The trail's writer: its chain, what it finds when it comes, what it refuses. */
#include "trail_test.h"

#include <sys/file.h>

static int setup(void **state)
{
	make_top();
	return 0;
}

static int teardown(void **state)
{
	remove_top();
	return 0;
}

static void test_chain(void **state)
{
	struct trail t, u;

	open_trail(&t);
	flush(&t);
	assert_int_equal(access(path, F_OK), -1); /* nothing to say, nothing written */
	add(&t, "one");
	add(&t, "two");
	flush(&t);
	open_trail(&u);
	add(&u, "three");
	flush(&u);
	add(&t, "four\n\"\x1b");
	flush(&t);
	trail_sync(&t);
	trail_close(&t);
	trail_close(&u);
	assert_int_equal(read_chain("\"intent\""), 4);
	assert_int_equal(head_of(0).seq, 6);
}

static void test_modes(void **state)
{
	struct trail t;
	struct stat st;
	char name[256];

	snprintf(path, sizeof(path), "%s/a/b/audit.jsonl", top);
	open_trail(&t);
	add(&t, "one");
	flush(&t);
	trail_close(&t);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	name_of(0, ".head", name);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(name, sizeof(name), "%s/a/b", top);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_rotation(void **state)
{
	struct trail t, u;

	open_trail(&t);
	open_trail(&u);
	t.rotate_bytes = u.rotate_bytes = 1000;
	for (int i = 0; i < 30; i++) {
		struct trail *w = i % 3 ? &t : &u;

		add(w, "a line");
		flush(w);
	}
	trail_close(&t);
	trail_close(&u);
	assert_int_equal(read_chain("a line"), 30);
	assert_true(head_of(0).size <= 1000 && head_of(1).size <= 1000);
}

/* As logrotate does, with and without a new file. */
static void test_moved_away(void **state)
{
	char old[256];
	struct trail t;

	open_trail(&t);
	for (int i = 0; i < 3; i++) {
		add(&t, "a line");
		flush(&t);
		name_of(i + 1, "", old);
		assert_int_equal(rename(path, old), 0);
		if (i == 1)
			put_file(path, "", 0, O_EXCL);
		name_of(0, ".head", old);
		if (i == 0)
			trail_close(&t), open_trail(&t);
	}
	add(&t, "last");
	flush(&t);
	trail_close(&t);
	assert_int_equal(head_of(0).seq, 9);
	for (unsigned i = 1; i <= 3; i++) { /* these have no heads: made here to be checked */
		struct trail_head h = { .seq = 2 * i - 1 };
		char text[TRAIL_HEAD_SIZE + 1], name[256];
		_cleanup_buf_ struct buf b = BUF_INIT(10000);
		struct trail_link link;
		char *line;

		name_of(i, "", name);
		assert_int_equal(read_file_at(AT_FDCWD, name, &b), 0);
		assert_int_equal(trail_link_parse(b.data, strcspn(b.data, "\n"), &link), 0);
		memcpy(h.hash, link.prev, SHA256_SIZE);
		for (line = b.data; *line; line += strcspn(line, "\n") + 1)
			assert_true(trail_continue(&h, line, strcspn(line, "\n")));
		trail_head_format(&h, text);
		name_of(i, ".head", name);
		put_file(name, text, TRAIL_HEAD_SIZE, O_EXCL);
	}
	assert_int_equal(read_chain("intent"), 4);
}

static void test_lock(void **state)
{
	struct err e = { 0 };
	struct trail t;
	char name[256];
	int fd;

	open_trail(&t);
	name_of(0, ".head", name);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	add(&t, "one");
	assert_int_equal(trail_flush(&t, 20, &e), -EAGAIN);
	assert_false(err_is_set(&e));
	assert_int_equal(t.pending_lines, 1);
	close(fd);
	flush(&t);
	trail_close(&t);
	assert_int_equal(read_chain("one"), 1);
}

static void test_lost(void **state)
{
	static char text[EVENT_TEXT_MAX + 1];
	struct trail t;
	unsigned added = 0;

	memset(text, 'x', EVENT_TEXT_MAX);
	open_trail(&t);
	for (; t.lost < 5; added++)
		add(&t, text);
	flush(&t);
	assert_int_equal(t.lost, 0);
	trail_close(&t);
	assert_int_equal(read_chain("xxx"), added - 5);
	assert_int_equal(read_chain("\"count\":5"), 1);
}

/* A killed writer's line: whole ones that continue the chain stay, the rest goes. */
static void test_left_behind(void **state)
{
	struct buf b = BUF_INIT(10000);
	struct trail_head h;
	struct trail t;

	open_trail(&t);
	add(&t, "one");
	flush(&t);
	h = head_of(0);
	trail_line(&b, &h, "\"text\":\"taken\",", 15);
	buf_puts(&b, "{\"seq\":4,\"ti");
	put_file(path, b.data, b.len, O_APPEND);
	add(&t, "two");
	flush(&t);
	assert_int_equal(read_chain("taken"), 1);
	assert_int_equal(read_chain("12 bytes that no writer finished"), 1);
	put_file(path, b.data, b.len, O_APPEND); /* whole, but not of the chain */
	add(&t, "three");
	flush(&t);
	assert_int_equal(read_chain("taken"), 1);
	assert_int_equal(read_chain("audit.gap"), 2);
	trail_close(&t);
	buf_free(&b);
}

static void test_cut_by_others(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(10000);
	uint64_t before;
	struct trail t;

	open_trail(&t);
	add(&t, "one");
	add(&t, "two");
	flush(&t);
	before = head_of(0).size;
	assert_int_equal(truncate(path, (off_t)before - 10), 0);
	add(&t, "three");
	flush(&t);
	trail_close(&t);
	assert_int_equal(read_file_at(AT_FDCWD, path, &b), 0);
	assert_non_null(strstr(b.data, "the file was cut"));
	assert_non_null(strstr(b.data, "\n{\"seq\":4,"));
	assert_int_equal(head_of(0).size, b.len);
}

static void test_head_gone(void **state)
{
	struct trail_head h = { .seq = 1 };
	char name[256], text[TRAIL_HEAD_SIZE + 1];
	struct trail t;

	open_trail(&t);
	add(&t, "one");
	flush(&t);
	name_of(0, ".head", name);
	assert_int_equal(unlink(name), 0);
	add(&t, "two");
	flush(&t);
	assert_int_equal(read_chain("head was missing"), 1);
	put_file(name, "rubbish", 7, O_APPEND);
	add(&t, "three");
	flush(&t);
	assert_int_equal(read_chain("head was missing"), 2);
	/* Gone with the file, or put back: who remembers it goes on from there. */
	assert_int_equal(unlink(name) | unlink(path), 0);
	add(&t, "four");
	flush(&t);
	assert_int_equal(head_of(0).seq, 10);
	trail_head_format(&h, text);
	assert_int_equal(unlink(path), 0);
	put_file(name, text, TRAIL_HEAD_SIZE, O_TRUNC);
	add(&t, "five");
	flush(&t);
	assert_int_equal(head_of(0).seq, 13);
	trail_close(&t);
}

static int refused(struct trail *t, const char *word)
{
	struct err e = { 0 };
	int r = trail_open(t, path, &e);

	if (r < 0) {
		assert_true(t->dir == -1 && t->head == -1 && t->file == -1);
		assert_true(err_is_set(&e) && e.remedy[0]);
		if (!strstr(e.message, word))
			fail_msg("%s", e.message);
	} else {
		trail_close(t);
	}
	return r;
}

static void test_refused(void **state)
{
	char other[128], name[256];
	struct trail t;
	struct err e = { 0 };

	snprintf(other, sizeof(other), "%s/other", top);
	put_file(other, "root:x:0:0\n", 11, O_EXCL);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(refused(&t, "open it"), -ELOOP);
	assert_int_equal(unlink(path) | mkfifo(path, 0600), 0);
	assert_int_equal(refused(&t, "no ordinary file"), -EEXIST);
	assert_int_equal(unlink(path) | rename(other, path), 0);
	assert_int_equal(chmod(path, 0660), 0);
	assert_int_equal(refused(&t, "others may write"), -EPERM);
	assert_int_equal(chmod(path, 0600), 0);
	open_trail(&t); /* it is ours, but it is no trail */
	add(&t, "one");
	assert_int_equal(trail_flush(&t, 0, &e), -EEXIST);
	trail_close(&t);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(chmod(top, 0777), 0);
	assert_int_equal(refused(&t, "others may write"), -EPERM);
	assert_int_equal(chmod(top, 01777), 0);
	assert_int_equal(refused(&t, "others may write"), -EPERM);
	assert_int_equal(chmod(top, 0700), 0);
	name_of(0, ".head", name);
	assert_int_equal(unlink(name) | symlink(other, name), 0);
	assert_int_equal(refused(&t, "open or make it"), -ELOOP);
	snprintf(path, sizeof(path), "%s/../x", top);
	assert_int_equal(trail_open(&t, path, &e), -EINVAL);
	assert_int_equal(trail_open(&t, "relative", &e), -EINVAL);
	assert_int_equal(trail_open(&t, "/", &e), -EINVAL);
}

/* A user's link on the way; root's own is followed. */
static void test_links_on_the_way(void **state)
{
	char dir[64], link[96];
	struct trail t;

	snprintf(dir, sizeof(dir), "%s/dir", top);
	snprintf(link, sizeof(link), "%s/link", top);
	assert_int_equal(mkdir(dir, 0700) | symlink("dir", link), 0);
	snprintf(path, sizeof(path), "%s/audit.jsonl", link);
	if (geteuid() != 0) {
		assert_int_equal(refused(&t, "open its directory"), -ELOOP);
		return;
	}
	assert_int_equal(refused(&t, ""), 0);
	assert_int_equal(lchown(link, 65534, 65534), 0);
	assert_int_equal(refused(&t, "open its directory"), -ELOOP);
	assert_int_equal(lchown(link, 0, 0) | chown(top, 65534, 65534), 0);
	assert_int_equal(refused(&t, "open its directory"), -ELOOP);
	snprintf(path, sizeof(path), "%s/audit.jsonl", top);
	assert_int_equal(refused(&t, "another user's"), -EPERM);
}

static void test_directory_vanishes(void **state)
{
	struct err e = { 0 };
	struct trail t;

	open_trail(&t);
	add(&t, "one");
	flush(&t);
	remove_top();
	add(&t, "two");
	assert_int_equal(trail_flush(&t, 0, &e), -ENOENT);
	assert_non_null(strstr(e.remedy, "mkdir"));
	assert_int_equal(t.pending_lines, 1);
	assert_int_equal(mkdir(top, 0700), 0);
	flush(&t);
	trail_close(&t);
	assert_int_equal(head_of(0).seq, 6); /* opened, the gap, two */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_chain),
		T(test_modes),
		T(test_rotation),
		T(test_moved_away),
		T(test_lock),
		T(test_lost),
		T(test_left_behind),
		T(test_cut_by_others),
		T(test_head_gone),
		T(test_refused),
		T(test_links_on_the_way),
		T(test_directory_vanishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
