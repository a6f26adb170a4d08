/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox may not write in a workspace that is direct: what the host runs or obeys
 * without being asked, on entering the directory, by git's own commands, by an editor or an
 * agent that opens it. What runs only because somebody says so (a Makefile, scripts of
 * package.json, CI files, which are pushed first) is the work itself, and is not here.
 * workspace/guard.h holds these against paths, and knows git directories of any name.
 */
#include <errno.h>

#include "base/macros.h"
#include "base/str.h"
#include "plan/builder.h"
#include "sys/landlock.h"

enum { LANDLOCK_ABI_TRUNCATE = 3 };

static const char *const defaults[] = {
	/* editors */
	".vscode",
	"*.code-workspace",
	".devcontainer",
	".devcontainer.json",
	".idea",
	".fleet",
	".zed",
	".vimrc",
	".gvimrc",
	".exrc",
	".nvimrc",
	".nvim.lua",
	".lvimrc",
	".dir-locals.el",
	".emacs",
	".emacs.d",
	"*.sublime-project",
	/* agents */
	".claude",
	".claude.json",
	".codex",
	".cursor",
	".cursorrules",
	".gemini",
	".windsurf",
	".aider.conf.yml",
	".continue",
	".opencode",
	"opencode.json",
	".mcp.json",
	"mcp.json",
	/* Packages come with these; nobody opens an editor or an agent there. */
	"!**/node_modules/**",
	"!**/site-packages/**",
	/* shells and the session */
	".envrc",
	".bashrc",
	".bash_profile",
	".bash_login",
	".bash_logout",
	".bash_aliases",
	".profile",
	".zshrc",
	".zshenv",
	".zprofile",
	".zlogin",
	".zlogout",
	".kshrc",
	".cshrc",
	".tcshrc",
	".inputrc",
	".autoenv",
	".ssh",
	"**/.config/fish",
	"**/.config/autostart",
	"**/.config/systemd",
	/* git: a git directory of any name is as ".git" is */
	"**/.git/config",
	"**/.git/config.worktree",
	"**/.git/hooks/*",
	"!**/.git/hooks/*.sample",
	".gitconfig",
	"**/.hg/hgrc",
	".husky",
	".githooks",
	"lefthook.yml",
	".pre-commit-config.yaml",
};

static void add(struct builder *b, const char *pattern)
{
	struct plan_str s = builder_str(b, pattern);

	buf_add(&b->protect, &s, sizeof(s));
}

static void build_patterns(struct builder *b)
{
	const struct policy_strs *asked = &b->policy->filesystem.protect;
	size_t from = 0;
	bool all = false;

	if (asked->count == 0 && policy_where(b->policy, "filesystem.protect").file)
		return; /* [] */
	for (size_t i = 0; i < asked->count; i++)
		if (streq(asked->items[i].s, "!**")) {
			all = true;
			from = i + 1;
		}
	for (size_t i = 0; i < ARRAY_SIZE(defaults) && !all; i++)
		add(b, defaults[i]);
	for (size_t i = from; i < asked->count; i++)
		add(b, asked->items[i].s);
}

int build_protect(struct builder *b)
{
	struct plan_mount *m = (struct plan_mount *)(void *)b->mounts.data;
	size_t count = b->mounts.len / sizeof(*m);

	if (b->policy->filesystem.workspace != WS_DIRECT)
		return 0;
	build_patterns(b);
	if (b->protect.len == 0 || b->protect.failed)
		return 0;
	if (b->protect.len / sizeof(struct plan_str) > PLAN_PROTECT_MAX)
		return err_set(b->e, E2BIG, "plan", "filesystem.protect: more than %d patterns",
			       PLAN_PROTECT_MAX);
	if (b->host->landlock_abi < LANDLOCK_ABI_TRUNCATE) {
		b->protect.len = 0;
		return builder_lack(b, "filesystem.protect",
				    "Landlock of this kernel does not know truncation (ABI 3)",
				    "use kernel 6.2 or later; filesystem.protect: [] goes without");
	}
	for (size_t i = 0; i < count; i++)
		if (m[i].kind == PM_WORKSPACE)
			m[i].flags |= PMF_PROTECT;
	return 0;
}
