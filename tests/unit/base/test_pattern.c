/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/pattern.h"

/* A path that ends in '/' is of a directory. */
static bool matches(const char *pattern, const char *path, bool fold)
{
	struct path_pattern p;
	char copy[256];
	size_t n = strlen(path);
	bool dir = n > 0 && path[n - 1] == '/';

	assert_int_equal(path_pattern_compile(&p, pattern, NULL), 0);
	p.fold = fold;
	memcpy(copy, path, n + 1);
	copy[n - dir] = '\0';
	return path_pattern_match(&p, copy, dir);
}

static const struct {
	const char *pattern, *path;
	bool match;
} known[] = {
	/* at any depth */
	{ ".env", ".env", true },
	{ ".env", "a/b/.env", true },
	{ ".env", "a/.env/b", false },
	{ ".env", ".env.local", false },
	{ ".env", "x.env", false },
	{ ".env*", ".env.local", true },
	{ "*.pem", "a/key.pem", true },
	{ "*.pem", ".pem", true },
	{ "*.pem", "a.pem/b", false },
	{ "*", "a/b", true },
	{ "**", "a/b", true },
	/* at the top */
	{ "/.env", ".env", true },
	{ "/.env", "a/.env", false },
	{ "./.env", ".env", true },
	{ "./.env", "a/.env", false },
	{ "a/*.key", "a/b.key", true },
	{ "a/*.key", "a/b/c.key", false },
	{ "a/*.key", "x/a/b.key", false },
	{ "a/b", "a", false },
	{ "a", "a/b", false },
	/* any number of directories */
	{ "**/.env", ".env", true },
	{ "**/.env", "a/b/c/.env", true },
	{ "**/.env", "a/b.env", false },
	{ "a/**/b", "a/b", true },
	{ "a/**/b", "a/x/b", true },
	{ "a/**/b", "a/x/y/b", true },
	{ "a/**/b", "a/x/y/c", false },
	{ "a/**/b", "x/a/b", false },
	{ "**/a/**/b", "x/a/y/b", true },
	{ "**/a/**/b/c", "a/b/a/b/c", true },
	{ "**/a/**/b/c", "a/b/b/d", false },
	{ "**/**/a", "a", true },
	{ "a/**", "a/b", true },
	{ "a/**", "a/b/c", true },
	{ "a/**", "a", false },
	{ "a**b/c", "axxb/c", true },
	{ "a**b/c", "a/b/c", false },
	/* directories */
	{ "secrets/", "secrets/", true },
	{ "secrets/", "a/secrets/", true },
	{ "secrets/", "secrets", false },
	{ "/secrets/", "a/secrets/", false },
	{ "**/", "a/b/", true },
	{ "**/", "a/b", false },
	/* characters */
	{ "?", "a", true },
	{ "?", "", false },
	{ "?", "ab", false },
	{ "a?c", "a/c", false },
	{ "[ab]c", "bc", true },
	{ "[ab]c", "cc", false },
	{ "[!ab]c", "cc", true },
	{ "[^ab]c", "ac", false },
	{ "[a-c]", "b", true },
	{ "[a-c]", "d", false },
	{ "[]a]", "]", true },
	{ "[!]a]", "]", false },
	{ "[a-]", "-", true },
	{ "[-a]", "-", true },
	{ "[\\]]x", "]x", true },
	{ "[\\a-\\c]", "b", true },
	{ "\\*", "*", true },
	{ "\\*", "a", false },
	{ "\\!a", "!a", true },
	{ "a]", "a]", true },
	{ "[!a]b/c", "xb/c", true },
	{ "\xff?", "\xff\xfe", true },
	{ "a b\n", "a b\n", true },
	{ "*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false },
	{ "*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", true },
};

static void test_match(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (matches(known[i].pattern, known[i].path, false) != known[i].match)
			fail_msg("%s and %s", known[i].pattern, known[i].path);
}

static void test_case(void **state)
{
	assert_false(matches(".env", ".ENV", false));
	assert_true(matches(".env", ".ENV", true));
	assert_true(matches("*.PEM", "a.pem", true));
	assert_true(matches("[A-Z]", "q", true));
	assert_true(matches("[a-z]", "Q", true));
	assert_false(matches("[!a-z]", "Q", true));
	assert_false(matches("\xc3\xa4", "\xc3\x84", true));
}

static void test_covers(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool is_dir, covers;
	} rows[] = {
		{ "secrets/", "secrets/a/b", false, true },
		{ "secrets/", "secrets", false, false },
		{ "secrets/", "secrets", true, true },
		{ "secrets", "x/secrets/a", false, true },
		{ "/secrets", "x/secrets/a", false, false },
		{ "a/*/c", "a/b/c/d", false, true },
		{ "a/*/c", "a/b", true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct path_pattern p;

		assert_int_equal(path_pattern_compile(&p, rows[i].pattern, NULL), 0);
		assert_int_equal(path_pattern_covers(&p, rows[i].path, rows[i].is_dir),
				 rows[i].covers);
	}
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",    "/",	"./",	"//",	 "//a",		"a//b",	    "a//", "!a",  ".",
		"..",  "../a",	"a/..", "a/./b", "[",		"a[b",	    "[]",  "[!]", "[a/b]",
		"a\\", "a\\/b", "[a\\", "[z-a]", "[[:alpha:]]", "[a[.x.]]", "/!a",
	};
	char longest[PATH_PATTERN_MAX + 2];
	struct path_pattern p;
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why = NULL;
		if (path_pattern_compile(&p, bad[i], &why) != -EINVAL || !why)
			fail_msg("%s", bad[i]);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(path_pattern_compile(&p, longest, NULL), -EINVAL);
	longest[PATH_PATTERN_MAX] = '\0';
	assert_int_equal(path_pattern_compile(&p, longest, &why), 0);
	assert_null(why);
}

/* Random ones of few characters, against fnmatch(3), which knows no "**". */
static void test_fnmatch(void **state)
{
	static const char letters[] = "aab*?/[]!-\\", names[] = "aab/]";
	unsigned seed = 7, valid = 0;

	for (int i = 0; i < 200000; i++) {
		char pattern[12], path[12], want[16] = "";
		size_t n = (size_t)rand_r(&seed) % (sizeof(pattern) - 1), m;
		struct path_pattern p;
		bool expected;

		for (size_t k = 0; k < n; k++)
			pattern[k] = letters[(size_t)rand_r(&seed) % (sizeof(letters) - 1)];
		pattern[n] = '\0';
		m = 1 + (size_t)rand_r(&seed) % (sizeof(path) - 2);
		for (size_t k = 0; k < m; k++)
			path[k] = names[(size_t)rand_r(&seed) % (sizeof(names) - 1)];
		path[m] = '\0';
		if (strstr(pattern, "**") || strstr(path, "//") || path[0] == '/' ||
		    path[m - 1] == '/' || path_pattern_compile(&p, pattern, NULL) < 0)
			continue;
		valid++;
		memcpy(want, p.text, p.len);
		want[p.len] = '\0';
		if (p.anchored) {
			expected = fnmatch(want, path, FNM_PATHNAME) == 0;
		} else {
			const char *slash = strrchr(path, '/');

			expected = fnmatch(want, slash ? slash + 1 : path, FNM_PATHNAME) == 0;
		}
		if (path_pattern_match(&p, path, true) != expected)
			fail_msg("'%s' and '%s': fnmatch(3) says %d", pattern, path, expected);
	}
	assert_true(valid > 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),	cmocka_unit_test(test_case),
		cmocka_unit_test(test_covers),	cmocka_unit_test(test_bad),
		cmocka_unit_test(test_fnmatch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
