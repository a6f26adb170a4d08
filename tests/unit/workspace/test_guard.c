/* SPDX-License-Identifier: Apache-2.0 */
/* What may be written where: patterns, and directories that git takes for its own. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "workspace/guard.h"

static const char *const patterns[] = {
	".vscode",	   "!**/node_modules/**",    ".envrc", "**/.config/fish", "**/.git/config",
	"**/.git/hooks/*", "!**/.git/hooks/*.sample"
};

static int start(void **state)
{
	static const char *const directories[] = { ".git",	  ".git/refs",	 ".git/hooks",
						   "bare",	  "bare/refs",	 "plain",
						   "plain/hooks", "node_modules" };
	struct guard *g = calloc(1, sizeof(*g));
	char dir[] = "/tmp/guard-XXXXXX";

	assert_non_null(g);
	assert_non_null(mkdtemp(dir));
	g->top = open(dir, O_PATH | O_DIRECTORY);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		assert_int_equal(guard_add(g, patterns[i]), 0);
	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++)
		assert_int_equal(mkdirat(g->top, directories[i], 0755), 0);
	close(openat(g->top, "plain/hooks/x", O_CREAT | O_WRONLY, 0644));
	close(openat(g->top, "plain/config", O_CREAT | O_WRONLY, 0644));
	*state = g;
	return 0;
}

static int stop(void **state)
{
	static const char *const names[] = { "plain/config", "plain/hooks/x" };
	static const char *const directories[] = { "node_modules", "plain/hooks", "plain",
						   "bare/refs",	   "bare",	  ".git/hooks",
						   ".git/refs",	   ".git" };
	struct guard *g = *state;
	char link[32], path[64] = "";

	for (size_t i = 0; i < 2; i++)
		unlinkat(g->top, names[i], 0);
	for (size_t i = 0; i < 8; i++)
		unlinkat(g->top, directories[i], AT_REMOVEDIR);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", g->top);
	assert_true(readlink(link, path, sizeof(path) - 1) > 0);
	close(g->top);
	assert_int_equal(rmdir(path), 0);
	free(g);
	return 0;
}

static void test_names(void **state)
{
	struct guard *g = *state;

	assert_int_equal(guard_write(g, "a/.envrc", S_IFREG), GUARD_REFUSED);
	assert_int_equal(guard_write(g, "a/.ENVRC", S_IFREG), GUARD_REFUSED);
	assert_int_equal(guard_write(g, ".vscode", S_IFDIR), GUARD_REFUSED);
	assert_int_equal(guard_write(g, "a/.vscode/x", S_IFREG), GUARD_REFUSED);
	assert_int_equal(guard_write(g, "node_modules/a/.vscode/x", S_IFREG), GUARD_FREE);
	assert_int_equal(guard_write(g, "envrc", S_IFREG), GUARD_FREE);
	assert_int_equal(guard_write(g, ".config", S_IFDIR), GUARD_FREE);
	assert_int_equal(guard_write(g, ".config", S_IFLNK), GUARD_REFUSED);
	assert_int_equal(guard_remove(g, ".envrc"), GUARD_REFUSED);
}

static void test_git(void **state)
{
	struct guard *g = *state;

	assert_int_equal(guard_write(g, ".git/config", S_IFREG), GUARD_SETTINGS);
	assert_int_equal(guard_write(g, ".git/config.lock", S_IFREG), GUARD_FREE);
	assert_int_equal(guard_write(g, "bare/config", S_IFREG), GUARD_SETTINGS);
	assert_int_equal(guard_write(g, "bare/config", S_IFLNK), GUARD_REFUSED);
	assert_int_equal(guard_write(g, "bare/hooks/x", S_IFREG), GUARD_REFUSED);
	assert_int_equal(guard_write(g, "bare/hooks/x.sample", S_IFREG), GUARD_FREE);
	assert_int_equal(guard_write(g, "bare/hooks", S_IFLNK), GUARD_REFUSED);
	assert_int_equal(guard_write(g, "plain/config", S_IFREG), GUARD_FREE);
	assert_int_equal(guard_write(g, "plain/refs", S_IFDIR), GUARD_REFUSED);
	assert_int_equal(guard_write(g, "plain/commondir", S_IFREG), GUARD_REFUSED);
	assert_int_equal(guard_write(g, "new/refs", S_IFDIR), GUARD_FREE);
	assert_int_equal(guard_remove(g, ".git/config"), GUARD_REFUSED);
	assert_int_equal(guard_remove(g, "bare/config"), GUARD_FREE);
}

/* What a link leads to can be made when nobody looks at it as git's. */
static void test_dangling(void **state)
{
	struct guard *g = *state;

	assert_int_equal(mkdirat(g->top, "links", 0755), 0);
	assert_int_equal(symlinkat("../later", g->top, "links/config"), 0);
	assert_int_equal(guard_write(g, "links/refs", S_IFDIR), GUARD_REFUSED);
	assert_int_equal(unlinkat(g->top, "links/config", 0), 0);
	assert_int_equal(symlinkat("../later", g->top, "links/refs"), 0);
	assert_int_equal(guard_write(g, "links/config", S_IFREG), GUARD_SETTINGS);
	assert_int_equal(guard_write(g, "links/hooks/x", S_IFREG), GUARD_REFUSED);
	assert_int_equal(unlinkat(g->top, "links/refs", 0), 0);
	assert_int_equal(unlinkat(g->top, "links", AT_REMOVEDIR), 0);
}

static void test_moves(void **state)
{
	struct guard *g = *state;

	assert_int_equal(guard_move(g, ".git", "x", S_IFDIR), GUARD_REFUSED);
	assert_int_equal(guard_move(g, "bare", "x", S_IFDIR), GUARD_FREE);
	assert_int_equal(guard_move(g, "plain", "x", S_IFDIR), GUARD_FREE);
	assert_int_equal(guard_move(g, "plain", "x/.git", S_IFDIR), GUARD_REFUSED);
	assert_int_equal(guard_move(g, "plain/hooks", "bare/hooks", S_IFDIR), GUARD_REFUSED);
	assert_int_equal(guard_move(g, "plain", "bare/refs2", S_IFDIR), GUARD_FREE);
	assert_int_equal(guard_move(g, "a", ".envrc", S_IFREG), GUARD_REFUSED);
	assert_int_equal(guard_move(g, "bare/config.lock", "bare/config", S_IFREG), GUARD_SETTINGS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, start, stop),
		cmocka_unit_test_setup_teardown(test_git, start, stop),
		cmocka_unit_test_setup_teardown(test_dangling, start, stop),
		cmocka_unit_test_setup_teardown(test_moves, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
