/* SPDX-License-Identifier: Apache-2.0 */
/* The list of changes, from layers that the kernel made; and what is flagged. */
#include "layer_test.h"

#include "base/str.h"
#include "workspace/change.h"

static void put_change(struct buf *b, const struct change *c)
{
	static const char letters[] = "cmoxtd";

	buf_printf(b, "%s %s ", change_kind_names[c->kind], c->path);
	for (size_t i = 0; letters[i]; i++)
		if (c->what & 1u << i)
			buf_add(b, &letters[i], 1);
	for (unsigned i = 0; i < c->xattrs_count; i++)
		buf_printf(b, " x:%s", c->xattrs[i]);
	if (c->after.target)
		buf_printf(b, " ->%s", c->after.target);
	if (c->renamed_from)
		buf_printf(b, " from:%s", c->renamed_from);
	if (c->link_to)
		buf_printf(b, " is:%s", c->link_to);
	if (c->flag)
		buf_printf(b, " !%s", c->flag->kind);
	buf_puts(b, "\n");
}

static void expect(const struct trees *t, const char *want)
{
	_cleanup_changes_ struct changes c = { 0 };
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	struct layer_stack s = trees_stack(t);
	struct err e = { 0 };

	assert_int_equal(changes_read(&c, &s, &e), 0);
	for (size_t i = 0; i < c.count; i++)
		put_change(&b, &c.items[i]);
	assert_string_equal(b.data ? b.data : "", want);
}

static void check(const char *lower, const char *inside, const char *want)
{
	struct trees t;
	bool made;

	trees_make(&t, lower);
	made = trees_overlay(&t, inside);
	if (made)
		expect(&t, want);
	trees_remove(&t);
	if (!made)
		skip();
}

static void test_kinds(void **state)
{
	check("echo 1 >same; echo 2 >changed; echo 3 >gone; mkdir d; echo 4 >d/f; ln -s a link;"
	      "echo 5 >mode; echo 6 >type; echo 7 >touched",
	      "echo 1 >same; echo 3 >changed; rm gone; rm -r d; ln -sfn b link; chmod 600 mode;"
	      "rm type; mkdir type; echo 8 >type/new; touch touched; mkdir -p e/f; mkfifo pipe",
	      "modified changed c\ndeleted d \nadded e \nadded e/f \ndeleted gone \n"
	      "modified link t ->b\nmeta mode m\nadded pipe  !special\ntype type \n"
	      "added type/new c\n");
}

static void test_links(void **state)
{
	check("echo 1 >a", "ln a b; echo 2 >c; ln c d; mkdir e; ln a e/a",
	      "added b c is:a\nadded c c\nadded d c is:c\nadded e \nadded e/a c is:a\n");
}

static void test_renames(void **state)
{
	check("echo same >a; echo other >b; mkdir -p d/sub; echo 1 >d/one; echo 2 >d/sub/two",
	      "mv a z; mv b bb; echo more >>bb; mv d e",
	      "deleted a \ndeleted b \nadded bb c\ndeleted d \nadded e \nadded e/one c from:d/one\n"
	      "added e/sub \nadded e/sub/two c from:d/sub/two\nadded z c from:a\n");
}

static void test_sparse(void **state)
{
	/* 1 TB each; the second differs in its last byte. */
	check("truncate -s 1T big other",
	      "chmod 600 big; echo x | dd of=other bs=1 seek=1099511627775"
	      " count=1 conv=notrunc status=none",
	      "meta big m\nmodified other c\n");
}

static void test_xattrs(void **state)
{
	struct trees t;

	trees_make(&t, "echo 1 >a; echo 2 >b");
	if (shell(t.top,
		  "python3 -c 'import os; os.setxattr(\"lower/a\", \"user.was\", b\"1\")'") ||
	    !trees_overlay(&t, "python3 -c '\n"
			       "import os\n"
			       "os.removexattr(\"a\", \"user.was\")\n"
			       "os.setxattr(\"a\", \"user.new\", b\"2\")\n"
			       "os.setxattr(\"b\", \"user.overlay.opaque\", b\"y\")'\n")) {
		trees_remove(&t);
		skip();
	}
	expect(&t, "meta a x x:user.new x:user.was\nmeta b x x:user.overlay.opaque\n");
	trees_remove(&t);
}

static void test_flags(void **state)
{
	static const struct {
		const char *path, *kind;
	} rows[] = {
		{ ".git/hooks/pre-commit", "git" },
		{ "deep/in/.git/config", "git" },
		{ ".GIT/Hooks/x", "git" },
		{ ".git./hooks/x", "git" },
		{ ".g\u200cit/config", "git" },
		{ "git~1/config", "git" },
		{ ".git::$INDEX_ALLOCATION/config", "git" },
		{ ".git/modules/a/b/hooks/post-checkout", "git" },
		{ ".git/modules/config", "git" },
		{ "sub/.git", "git" },
		{ "bare.git/hooks/update", "git" },
		{ ".v\u017fcode/tasks.json", "editor" },
		{ ".v\u017fcode", "editor" },
		{ ".CLAUDE/settings.json", "agent" },
		{ "x/.mcp.json", "agent" },
		{ "Makefile", "build" },
		{ "sub/package.json", "package" },
		{ ".envrc ", "shell" },
		{ "venv/pyvenv.cfg", "python" },
		{ ".git/objects/ab/cdef", NULL },
		{ ".git/index", NULL },
		{ "src/config", "git" }, /* if it is a repository: nobody has looked */
		{ "src/HEAD", "git" },
		{ ".git/HEAD", NULL },
		{ "src/head/x", NULL },
		{ ".env.local", "shell" },
		{ "vite.config.mjs", "package" },
		{ ".eslintrc.js", "package" },
		{ ".eslintrc.json", "package" },
		{ "vendor.git/lib/config", "git" }, /* no ".git" is above it */
		{ "vendor.git/lib/HEAD", "git" },
		{ "a/.git/HEAD", NULL },
		{ ".git/worktrees/w/rebase-merge/git-rebase-todo", "git" },
		{ ".git/modules/m/rebase-merge/git-rebase-todo", "git" },
		{ "src/__pycache__/app.cpython-312.pyc", "python" },
		{ "src/json.cpython-312-x86_64-linux-gnu.so", "executable" },
		{ ".venv/bin/activate", "shell" },
		{ ".venv/bin/activate.fish", "shell" },
		{ ".mise/config.toml", "shell" },
		{ ".dir-locals-2.el", "editor" },
		{ ".helix/languages.toml", "editor" },
		{ ".clinerules/x.md", "agent" },
		{ ".github/instructions/x.md", "agent" },
		{ ".pylintrc", "python" },
		{ "CMakePresets.json", "build" },
		{ "cmake/tools.cmake", "build" },
		{ "app/other.gradle", "build" },
		{ "gradle.properties", "build" },
		{ ".bazelrc", "build" },
		{ "Cargo.toml", "build" },
		{ "build/out.o", NULL },
		{ "src/workspace/a.c", NULL },
		{ "hooks/x", NULL },
		{ "Makefile.am/x", NULL },
		{ "gitx/hooks/y", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct flag *f = flag_path(rows[i].path, false);

		if (!f != !rows[i].kind || (f && !streq(f->kind, rows[i].kind)))
			fail_msg("%s: %s", rows[i].path, f ? f->kind : "none");
	}
	assert_non_null(flag_path(".vscode", true)); /* a link: tasks.json comes from elsewhere */
	assert_non_null(flag_path(".git/modules", true));
	assert_null(flag_path("src", true));
}

static void test_leaving_links(void **state)
{
	assert_true(flag_link_leaves("a", "/etc"));
	assert_true(flag_link_leaves("a", ".."));
	assert_true(flag_link_leaves("d/a", "../../x"));
	assert_true(flag_link_leaves("d/a", "b/../x"));
	assert_false(flag_link_leaves("d/a", "../x"));
	assert_false(flag_link_leaves("d/e/a", "../../x/y"));
	assert_false(flag_link_leaves("a", "./b//c"));
	assert_false(flag_link_leaves("a", "..b/c"));
}

static void test_flagged_modes(void **state)
{
	check("echo 1 >tool; echo 2 >run; chmod 755 run; mkdir .vscode",
	      "chmod 755 tool; echo x >>run; echo 3 >sid; chmod 4711 sid; ln -s /etc etc; ln -s run ok;"
	      "echo {} >.vscode/tasks.json",
	      "added .vscode/tasks.json c !editor\nadded etc  ->/etc !link\nadded ok  ->run\n"
	      "modified run c !executable\nadded sid c !setid\nmeta tool m !executable\n");
	/* Another user of the host could plant what this one runs. */
	check("mkdir -p .git/hooks was; chmod 777 was; echo 1 >a",
	      "chmod 777 .git/hooks; chmod 1777 was; chmod 666 a; mkdir -m 775 shared",
	      "meta .git/hooks m !open\nmeta a m !open\nadded shared \nmeta was m\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),	      cmocka_unit_test(test_links),
		cmocka_unit_test(test_renames),	      cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_xattrs),	      cmocka_unit_test(test_flags),
		cmocka_unit_test(test_leaving_links), cmocka_unit_test(test_flagged_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
