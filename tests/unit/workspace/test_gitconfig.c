/* SPDX-License-Identifier: Apache-2.0 */
/* What git's settings may become: only what everyday commands write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "workspace/gitconfig.h"

static const char *refuses(const char *was, const char *now, const char *dir)
{
	return gitconfig_refuses(was, strlen(was), now, strlen(now), dir);
}

static void test_good(void **state)
{
	static const char *const good[] = {
		"",
		"[core]\n\tbare = false\n\trepositoryformatversion = 0\n",
		"# a comment\n; and one\n[user]\n\tname = \"A # B\"\n",
		"[branch \"x\"]\n\tremote = origin\n\tmerge = refs/heads/x\n",
		"[remote \"origin\"]\n\turl = git@host:a/b.git\n\tfetch = +refs/heads/*:refs/x/*\r\n",
		"[submodule \"a\"]\n\turl = ../a\n\tactive = true\n\tupdate = checkout\n",
		"[Core]\n\tIgnoreCase\n",
		"[advice]\n\tanything = false",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(refuses("", good[i], ".git"));
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"[core]\n\tpager = evil\n",
		"[core] pager = evil\n",
		"[CORE]\n\tPaGeR=evil\n",
		"[core]\n\tbare = false \\\n\tpager = evil\n",
		"[core]\n\tbare = \"\n",
		"[core]\n\tbare = x # \\\n",
		"[core \"x\n",
		"[core.x]\n\tbare = false\n",
		"bare = false\n",
		"\xef\xbb\xbf[core]\n\tbare = false\n",
		"[core]\n\tbare = a\rb\n",
		"[core]\n\t-bare = a\n",
		"[include]\n\tpath = evil\n",
		"[includeIf \"gitdir:/\"]\n\tpath = evil\n",
		"[alias]\n\tx = !evil\n",
		"[filter \"x\"]\n\tclean = evil\n",
		"[remote \"x\"]\n\turl = ext::evil\n",
		"[remote \"x\"]\n\turl = --upload-pack=evil\n",
		"[remote \"x\"]\n\tuploadpack = evil\n",
		"[remote \"x\"]\n\tvcs = evil\n",
		"[submodule \"x\"]\n\tupdate = !evil\n",
		"[core]\n\tworktree = /\n",
		"[core]\n\tworktree = ../..\n",
		"[core]\n\tworktree = \"../..\" # x\n",
		"[core]\n\tworktree = a/../../..\n",
		"[color \"x\"]\n\ty = z\n",
		"[core]\n\tbare = a\\q\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!refuses("", bad[i], ".git"))
			fail_msg("%s", bad[i]);
	assert_non_null(gitconfig_refuses("", 0, "[core]\n\tbare = a\0b\n", 20, ".git"));
}

static void test_what_is_there_stays(void **state)
{
	static const char was[] = "[core]\n\tpager = less\n[alias]\n\tco = checkout\n";

	assert_null(refuses(
		was, "[core]\n\tpager = less\n\tbare = true\n[alias]\n\tco = checkout\n", ""));
	assert_non_null(refuses(was, "[core]\n\tpager = less\n", ""));
	assert_non_null(refuses(was, "[core]\n\tpager = evil\n[alias]\n\tco = checkout\n", ""));
	assert_non_null(
		refuses(was, "[diff \"x\"]\n\tpager = less\n[alias]\n\tco = checkout\n", ""));
	assert_non_null(refuses(was, "[alias]\n\tco = checkout\n[core]\n\tpager = less\n", ""));
	assert_non_null(refuses("[core\n", "", ""));
}

static void test_worktree(void **state)
{
	assert_null(refuses("", "[core]\n\tworktree = ../../../sub\n", ".git/modules/sub"));
	assert_non_null(refuses("", "[core]\n\tworktree = ../../../../sub\n", ".git/modules/sub"));
	assert_null(refuses("", "[core]\n\tworktree = .\n", ""));
	assert_non_null(refuses("", "[core]\n\tworktree = ..\n", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_what_is_there_stays),
		cmocka_unit_test(test_worktree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
