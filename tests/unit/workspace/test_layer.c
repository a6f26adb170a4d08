/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of layers: trees made by hand, and by the kernel's overlayfs. */
#include "layer_test.h"

#include <errno.h>
#include <limits.h>
#include <sys/xattr.h>

struct seen {
	struct buf text;
	unsigned items, deep;
};

static char letter(bool there, mode_t mode)
{
	return !there ? '-' : S_ISDIR(mode) ? 'd' : S_ISREG(mode) ? 'f' : S_ISLNK(mode) ? 'l' : 'x';
}

/* "fd path": was a file, is a directory. Directories that both have are left out. */
static int see(void *data, const struct layer_item *item)
{
	struct seen *s = data;
	char was = letter(item->was, item->before.st_mode);
	char is = letter(item->is, item->after.st_mode);

	s->items++;
	if (item->error == ENAMETOOLONG)
		s->deep++;
	else if (item->error)
		buf_printf(&s->text, "error %d %s\n", item->error, item->path);
	else if (was != 'd' || is != 'd')
		buf_printf(&s->text, "%c%c%u %s\n", was, is, item->layer, item->path);
	return 0;
}

static void expect_of(struct layer_stack *s, const char *want)
{
	struct seen seen = { .text = BUF_INIT(1 << 20) };
	struct err e = { 0 };

	assert_int_equal(layer_walk(s, see, &seen, &e), 0);
	assert_string_equal(seen.text.data ? seen.text.data : "", want);
	buf_free(&seen.text);
}

static void expect(const struct trees *t, const char *want)
{
	struct layer_stack s = trees_stack(t);

	expect_of(&s, want);
}

#define LOWER                                                                             \
	"mkdir -p a/b c; echo 1 >a/one; echo 2 >a/b/two; echo 3 >c/three; echo 4 >four; " \
	"ln -s four link"

static void test_by_hand(void **state)
{
	struct trees t;

	trees_make(&t, LOWER);
	trees_by_hand(&t, "mkdir -p a c new/sub; mknod four c 0 0; mknod gone-already c 0 0;"
			  "echo 5 >a/one; mknod c/three c 0 0; echo 6 >new/sub/six; mkfifo a/pipe");
	expect(&t, "f-0 four\n-d0 new\n-d0 new/sub\n-f0 new/sub/six\nf-0 c/three\n"
		   "ff0 a/one\n-x0 a/pipe\n");
	trees_remove(&t);
}

static void test_overlay(void **state)
{
	struct trees t;

	trees_make(&t, LOWER);
	if (!trees_overlay(&t,
			   "echo x >>a/one; rm four; rm -r a/b; rm -r c; mkdir c; echo n >c/new;"
			   "rm link; mkdir link; chmod 700 .")) {
		trees_remove(&t);
		skip();
	}
	expect(&t, "f-0 four\nld0 link\n-f0 c/new\nf-0 c/three\nd-0 a/b\nff0 a/one\n");
	/* A second layer: what the first took away comes back, what it made goes. */
	assert_true(trees_overlay(&t,
				  "rm c/new; mkdir a/b; echo z >a/b/z; echo 4 >four; rmdir link;"
				  "ln -s x link"));
	expect(&t, "ff0 four\nll0 link\nf-0 c/three\nff1 a/one\nf-0 a/b/two\n-f0 a/b/z\n");
	trees_remove(&t);
}

static void test_xattrs(void **state)
{
	struct trees t;
	char path[128];

	trees_make(&t, LOWER);
	trees_by_hand(&t, "mkdir a c; : >four; echo 7 >meta; mkdir moved");
	snprintf(path, sizeof(path), "%s/1/four", t.top);
	if (setxattr(path, "user.overlay.whiteout", "y", 1, 0) < 0) {
		trees_remove(&t);
		skip();
	}
	snprintf(path, sizeof(path), "%s/1/a", t.top);
	setxattr(path, "user.overlay.opaque", "y", 1, 0);
	snprintf(path, sizeof(path), "%s/1/c", t.top);
	setxattr(path, "user.overlay.opaque", "x", 1, 0); /* not opaque */
	snprintf(path, sizeof(path), "%s/1/meta", t.top);
	setxattr(path, "user.overlay.metacopy", "", 0, 0);
	snprintf(path, sizeof(path), "%s/1/moved", t.top);
	setxattr(path, "user.overlay.redirect", "a", 1, 0);
	expect(&t, "f-0 four\nerror 95 meta\nerror 95 moved\nd-0 a/b\nf-0 a/one\n");
	trees_remove(&t);
}

static void test_narrowed(void **state)
{
	static const char *const only[] = { "a/b", "new", "c/three" };
	struct layer_stack s;
	struct trees t;

	trees_make(&t, LOWER);
	trees_by_hand(
		&t,
		"mkdir -p a/b new newer; mknod c c 0 0; echo 5 >a/one; echo 6 >a/b/six; echo 7 >new/x");
	s = trees_stack(&t);
	s.only = only;
	s.only_count = 3;
	expect_of(&s, "d-0 c\n-d0 new\n-f0 new/x\n-f0 a/b/six\n");
	trees_remove(&t);
}

/* Links in a layer, or on the host where the layer has a directory, lead nowhere. */
static void test_links(void **state)
{
	struct trees t;

	trees_make(&t, "mkdir real; echo 1 >real/one; ln -s real d");
	trees_by_hand(&t, "mkdir d; echo 2 >d/one; ln -s /etc out");
	expect(&t, "ld0 d\n-l0 out\n-f0 d/one\n");
	assert_int_equal(layer_open(t.layers[0], "out"), -EINVAL);
	assert_int_equal(layer_open(t.layers[0], "out/passwd"), -ELOOP);
	assert_int_equal(layer_open(t.layers[0], "../lower/real/one"), -EXDEV);
	assert_int_equal(shell(t.top, "mkfifo 1/pipe"), 0);
	assert_int_equal(layer_open(t.layers[0], "pipe"), -EINVAL);
	trees_remove(&t);
}

/* Names of any bytes; a tree deeper than a path may be long: reported, and survived. */
static void test_names_and_depth(void **state)
{
	struct seen seen = { .text = BUF_INIT(1 << 20) };
	struct layer_stack s;
	struct err e = { 0 };
	char name[NAME_MAX + 1];
	struct trees t;
	int at, next;

	trees_make(&t, LOWER);
	trees_layer(&t);
	memset(name, 'd', NAME_MAX);
	name[NAME_MAX] = '\0';
	at = dup(t.layers[0]);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(mkdirat(at, name, 0755), 0);
		next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	close(at);
	close(openat(t.layers[0], "new\nline \xff\x1b[31m", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	s = trees_stack(&t);
	assert_int_equal(layer_walk(&s, see, &seen, &e), 0);
	assert_int_equal(seen.deep, 1);
	assert_int_equal(seen.items, 1 + 16 + 1 + 1); /* root, 16 levels, too deep, the file */
	assert_non_null(strstr(seen.text.data, "new\nline \xff\x1b[31m\n"));
	buf_free(&seen.text);
	trees_remove(&t);
}

static void test_unreadable(void **state)
{
	struct trees t;

	if (geteuid() == 0)
		skip();
	trees_make(&t, LOWER);
	trees_by_hand(&t, "mkdir shut; echo 1 >shut/x; chmod 0 shut");
	expect(&t, "error 13 shut\n");
	trees_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),	   cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_xattrs),	   cmocka_unit_test(test_narrowed),
		cmocka_unit_test(test_links),	   cmocka_unit_test(test_names_and_depth),
		cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
