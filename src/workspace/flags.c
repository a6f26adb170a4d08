/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/flags.h"

#include <fnmatch.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/macros.h"
#include "base/str.h"
#include "workspace/fold.h"

/* A pattern that ends in '/' is of a directory and all that is in it. All in lower case. */
/* clang-format off */
const struct flag flag_table[] = {
	/* githooks(5), git-config(1): core.hooksPath, core.fsmonitor, core.pager, aliases, … */
	{ ".git/hooks/", "git", "git runs it on commit, checkout, merge or push" },
	{ ".git/config", "git", "git's settings name programs that git runs" },
	{ ".git/config.worktree", "git", "git's settings name programs that git runs" },
	{ ".git/info/attributes", "git", "it chooses filters and merge drivers, which git runs" },
	{ ".git/commondir", "git", "it says where git's settings and hooks are" },
	{ ".git/gitdir", "git", "it says where git's settings and hooks are" },
	{ ".git/modules/**/hooks/", "git", "git runs it in a submodule" },
	{ ".git/modules/**/config", "git", "a submodule's settings name programs that git runs" },
	{ ".git/modules/**/config.worktree", "git", "a submodule's settings name programs that git runs" },
	{ ".git/modules/**/commondir", "git", "it says where git's settings and hooks are" },
	{ ".git/modules/**/gitdir", "git", "it says where git's settings and hooks are" },
	{ ".git/modules/**/info/attributes", "git", "it chooses filters and merge drivers, which git runs" },
	{ ".git/worktrees/*/config.worktree", "git", "a worktree's settings name programs that git runs" },
	{ ".git/worktrees/*/commondir", "git", "it says where git's settings and hooks are" },
	{ ".git/worktrees/*/gitdir", "git", "it says where the worktree is" },
	{ ".git/rebase-merge/", "git", "a rebase that goes on runs what stands in it" },
	{ ".git/worktrees/*/rebase-merge/", "git", "a rebase that goes on runs what stands in it" },
	{ ".git/modules/**/rebase-merge/", "git", "a rebase that goes on runs what stands in it" },
	{ "*.git/hooks/", "git", "git runs it in a bare repository" },
	{ "*.git/config", "git", "git's settings name programs that git runs" },
	{ ".gitmodules", "git", "it says from where submodules are fetched, and how" },
	{ ".gitattributes", "git", "it chooses filters and merge drivers, which git runs" },
	{ ".gitconfig", "git", "git's settings name programs that git runs" },
	{ ".hg/hgrc", "git", "Mercurial's settings name hooks" },
	{ ".hg/hgrc-not-shared", "git", "Mercurial's settings name hooks" },
	{ ".hg/sharedpath", "git", "it says where Mercurial's settings and hooks are" },
	{ ".jj/repo/config.toml", "git", "jj's settings name programs that it runs" },
	{ ".lfsconfig", "git", "it says to whom git-lfs speaks, with the user's password" },
	{ ".husky/", "git", "git's hooks, by husky" },
	{ ".githooks/", "git", "git's hooks, where core.hooksPath says so" },
	{ ".huskyrc*", "git", "it names what git's hooks run" },
	{ "lefthook*.y*ml", "git", "it names what git's hooks run" },
	{ ".lefthook*.y*ml", "git", "it names what git's hooks run" },
	{ ".overcommit.yml", "git", "it names what git's hooks run" },
	{ ".lintstagedrc*", "git", "it names what git's hooks run" },
	{ ".pre-commit-config.yaml", "git", "it names what runs before a commit" },
	{ ".envrc", "shell", "direnv runs it on entering the directory" },
	{ ".bashrc", "shell", "a shell runs it when it starts" },
	{ ".bash_profile", "shell", "a shell runs it when it starts" },
	{ ".bash_login", "shell", "a shell runs it when it starts" },
	{ ".bash_logout", "shell", "a shell runs it when it ends" },
	{ ".bash_aliases", "shell", "a shell runs it when it starts" },
	{ ".profile", "shell", "a shell runs it when it starts" },
	{ ".zshrc", "shell", "a shell runs it when it starts" },
	{ ".zshenv", "shell", "a shell runs it when it starts" },
	{ ".zprofile", "shell", "a shell runs it when it starts" },
	{ ".zlogin", "shell", "a shell runs it when it starts" },
	{ ".zlogout", "shell", "a shell runs it when it ends" },
	{ ".kshrc", "shell", "a shell runs it when it starts" },
	{ ".cshrc", "shell", "a shell runs it when it starts" },
	{ ".tcshrc", "shell", "a shell runs it when it starts" },
	{ ".inputrc", "shell", "what keys do in a shell" },
	{ ".config/fish/", "shell", "a shell runs it when it starts" },
	{ ".config/autostart/", "shell", "the desktop starts it on login" },
	{ ".config/systemd/", "shell", "systemd starts what it names" },
	{ ".ssh/", "shell", "ssh obeys it: keys that may log in, commands, proxies" },
	{ ".mise.toml", "shell", "mise obeys it on entering the directory" },
	{ "mise.toml", "shell", "mise obeys it on entering the directory" },
	{ ".mise.*.toml", "shell", "mise obeys it on entering the directory" },
	{ "mise.*.toml", "shell", "mise obeys it on entering the directory" },
	{ ".mise/", "shell", "mise obeys it on entering the directory" },
	{ "mise/", "shell", "mise obeys it on entering the directory" },
	{ ".config/mise*.toml", "shell", "mise obeys it on entering the directory" },
	{ ".config/mise/", "shell", "mise obeys it on entering the directory" },
	{ ".rtx.toml", "shell", "mise obeys it on entering the directory" },
	{ "activate", "shell", "a shell runs it to enter an environment of Python" },
	{ "activate.*", "shell", "a shell runs it to enter an environment of Python" },
	{ ".autoenv.zsh", "shell", "autoenv runs it on entering the directory" },
	{ ".autoenv_leave.zsh", "shell", "autoenv runs it on leaving the directory" },
	{ ".config/git/", "git", "git's settings name programs that git runs" },
	{ ".config/environment.d/", "shell", "what the user starts has the variables in it" },
	{ "devbox.json", "shell", "devbox runs its hooks" },
	{ ".tool-versions", "shell", "it chooses the programs that run here" },
	{ ".env", "shell", "programs start with the variables in it, NODE_OPTIONS and the like" },
	{ ".env.*", "shell", "programs start with the variables in it, NODE_OPTIONS and the like" },
	{ ".autoenv", "shell", "autoenv runs it on entering the directory" },
	{ ".vscode/", "editor", "tasks and settings name programs that the editor runs" },
	{ "*.code-workspace", "editor", "tasks and settings name programs that the editor runs" },
	{ ".devcontainer/", "editor", "the editor builds and starts what it says" },
	{ ".devcontainer.json", "editor", "the editor builds and starts what it says" },
	{ ".idea/", "editor", "run configurations, watchers and start-up tasks" },
	{ ".run/", "editor", "run configurations" },
	{ ".fleet/", "editor", "run configurations" },
	{ ".zed/", "editor", "tasks and settings name programs that the editor runs" },
	{ ".vimrc", "editor", "vim runs it (exrc)" },
	{ ".gvimrc", "editor", "vim runs it" },
	{ ".exrc", "editor", "vi runs it (exrc)" },
	{ ".nvimrc", "editor", "nvim runs it (exrc)" },
	{ ".nvim.lua", "editor", "nvim runs it (exrc)" },
	{ ".lvimrc", "editor", "vim runs it (localvimrc)" },
	{ ".dir-locals.el", "editor", "emacs evaluates what is in it" },
	{ ".dir-locals-2.el", "editor", "emacs evaluates what is in it" },
	{ ".emacs", "editor", "emacs runs it" },
	{ ".emacs.d/", "editor", "emacs runs it" },
	{ ".vim/", "editor", "vim runs what is in it" },
	{ ".config/nvim/", "editor", "nvim runs what is in it" },
	{ ".ycm_extra_conf.py", "editor", "vim runs it to complete code" },
	{ ".helix/", "editor", "settings name programs that the editor runs" },
	{ ".kateproject", "editor", "it names programs that the editor runs" },
	{ ".vs/", "editor", "tasks name programs that the editor runs" },
	{ ".theia/", "editor", "tasks and settings name programs that the editor runs" },
	{ ".externaltoolbuilders/", "editor", "it names programs that the editor runs" },
	{ "*.iml", "editor", "settings of the editor's project" },
	{ "*.ipr", "editor", "run configurations" },
	{ "*.iws", "editor", "run configurations" },
	{ ".sublime-project", "editor", "build systems" },
	{ "*.sublime-project", "editor", "build systems name programs that the editor runs" },
	{ ".claude/", "agent", "settings, hooks and commands of an agent that runs on the host" },
	{ ".claude.json", "agent", "settings of an agent that runs on the host" },
	{ ".codex/", "agent", "settings of an agent that runs on the host" },
	{ ".cursor/", "agent", "settings and rules of an agent that runs on the host" },
	{ ".cursorrules", "agent", "an agent that runs on the host obeys it" },
	{ ".gemini/", "agent", "settings of an agent that runs on the host" },
	{ ".windsurf/", "agent", "settings of an agent that runs on the host" },
	{ ".aider*", "agent", "settings of an agent that runs on the host" },
	{ ".continue/", "agent", "settings of an agent that runs on the host" },
	{ ".opencode/", "agent", "settings of an agent that runs on the host" },
	{ "opencode.json", "agent", "settings of an agent that runs on the host" },
	{ ".mcp.json", "agent", "it names servers that an agent starts on the host" },
	{ "mcp.json", "agent", "it names servers that an agent starts on the host" },
	{ "claude.md", "agent", "an agent that runs on the host obeys it" },
	{ "agents.md", "agent", "an agent that runs on the host obeys it" },
	{ "gemini.md", "agent", "an agent that runs on the host obeys it" },
	{ "claude.local.md", "agent", "an agent that runs on the host obeys it" },
	{ "agents.override.md", "agent", "an agent that runs on the host obeys it" },
	{ "agent.md", "agent", "an agent that runs on the host obeys it" },
	{ ".windsurfrules", "agent", "an agent that runs on the host obeys it" },
	{ ".clinerules", "agent", "an agent that runs on the host obeys it" },
	{ ".clinerules/", "agent", "an agent that runs on the host obeys it" },
	{ ".goosehints", "agent", "an agent that runs on the host obeys it" },
	{ ".rules", "agent", "an agent that runs on the host obeys it" },
	{ ".roo*", "agent", "an agent that runs on the host obeys it" },
	{ ".roo/", "agent", "an agent that runs on the host obeys it" },
	{ ".kiro/", "agent", "settings of an agent that runs on the host" },
	{ ".amazonq/", "agent", "settings of an agent that runs on the host" },
	{ ".junie/", "agent", "settings of an agent that runs on the host" },
	{ ".qwen/", "agent", "settings of an agent that runs on the host" },
	{ ".trae/", "agent", "settings of an agent that runs on the host" },
	{ ".agents/", "agent", "settings of an agent that runs on the host" },
	{ ".agent/", "agent", "settings of an agent that runs on the host" },
	{ "crush.json", "agent", "settings of an agent that runs on the host" },
	{ ".crush.json", "agent", "settings of an agent that runs on the host" },
	{ "opencode.jsonc", "agent", "settings of an agent that runs on the host" },
	{ ".github/instructions/", "agent", "an agent that runs on the host obeys it" },
	{ ".github/prompts/", "agent", "an agent that runs on the host obeys it" },
	{ ".github/chatmodes/", "agent", "an agent that runs on the host obeys it" },
	{ ".github/agents/", "agent", "an agent that runs on the host obeys it" },
	{ ".github/hooks/", "agent", "settings of an agent that runs on the host" },
	{ ".github/workflows/", "ci", "the project's servers run it when it is pushed" },
	{ ".github/actions/", "ci", "the project's servers run it when it is pushed" },
	{ ".github/copilot-instructions.md", "agent", "an agent that runs on the host obeys it" },
	{ ".gitlab-ci.yml", "ci", "the project's servers run it when it is pushed" },
	{ ".gitlab/", "ci", "the project's servers may run it when it is pushed" },
	{ ".circleci/", "ci", "the project's servers run it when it is pushed" },
	{ ".buildkite/", "ci", "the project's servers run it when it is pushed" },
	{ ".forgejo/", "ci", "the project's servers run it when it is pushed" },
	{ ".gitea/", "ci", "the project's servers run it when it is pushed" },
	{ ".woodpecker*", "ci", "the project's servers run it when it is pushed" },
	{ ".drone.*", "ci", "the project's servers run it when it is pushed" },
	{ ".cirrus.*", "ci", "the project's servers run it when it is pushed" },
	{ ".builds/", "ci", "the project's servers run it when it is pushed" },
	{ ".build.yml", "ci", "the project's servers run it when it is pushed" },
	{ ".semaphore/", "ci", "the project's servers run it when it is pushed" },
	{ ".tekton/", "ci", "the project's servers run it when it is pushed" },
	{ ".teamcity/", "ci", "the project's servers run it when it is pushed" },
	{ ".azure-pipelines/", "ci", "the project's servers run it when it is pushed" },
	{ "azure-pipelines*.y*ml", "ci", "the project's servers run it when it is pushed" },
	{ "cloudbuild.y*ml", "ci", "the project's servers run it when it is pushed" },
	{ ".readthedocs.y*ml", "ci", "the project's servers run it when it is pushed" },
	{ "netlify.toml", "ci", "the project's servers run it when it is pushed" },
	{ ".travis.yml", "ci", "the project's servers run it when it is pushed" },
	{ ".appveyor.yml", "ci", "the project's servers run it when it is pushed" },
	{ "appveyor.yml", "ci", "the project's servers run it when it is pushed" },
	{ "bitbucket-pipelines.yml", "ci", "the project's servers run it when it is pushed" },
	{ "jenkinsfile*", "ci", "the project's servers run it when it is pushed" },
	{ "package.json", "package", "its scripts run on npm install, test and others" },
	{ ".npmrc", "package", "it says from where packages come, and which programs npm runs" },
	{ ".yarnrc*", "package", "it names the yarn that runs, and plugins" },
	{ ".yarn/", "package", "yarn itself and its plugins" },
	{ "binding.gyp", "package", "npm install builds what it says, and runs its commands" },
	{ "setup.py", "package", "pip runs it on install" },
	{ "setup.cfg", "package", "it says what is built on install" },
	{ "pyproject.toml", "package", "it names what builds on install, and tools' plugins" },
	{ "conftest.py", "package", "pytest runs it" },
	{ "*.config.*js", "package", "the tool that it is of runs it" },
	{ "*.config.*ts", "package", "the tool that it is of runs it" },
	{ ".*rc.*js", "package", "the tool that it is of runs it" },
	{ ".*rc.*ts", "package", "the tool that it is of runs it" },
	{ "*.conf.*js", "package", "the tool that it is of runs it" },
	{ "*.conf.js", "package", "the tool that it is of runs it" },
	{ ".*rc.json", "package", "it names plugins of the tool that it is of, which run" },
	{ ".*rc.y*ml", "package", "it names plugins of the tool that it is of, which run" },
	{ ".*rc.toml", "package", "it names plugins of the tool that it is of, which run" },
	{ ".eslintrc", "package", "it names plugins of the tool that it is of, which run" },
	{ ".babelrc", "package", "it names plugins of the tool that it is of, which run" },
	{ ".stylelintrc", "package", "it names plugins of the tool that it is of, which run" },
	{ ".prettierrc", "package", "it names plugins of the tool that it is of, which run" },
	{ ".mocharc", "package", "it names plugins of the tool that it is of, which run" },
	{ "gulpfile.*", "build", "gulp runs it" },
	{ "gruntfile.*", "build", "grunt runs it" },
	{ "jakefile*", "build", "jake runs it" },
	{ "pnpm-workspace.yaml", "package", "it says what pnpm installs, and what of that may run" },
	{ ".pnpmfile.*", "package", "pnpm runs it on install" },
	{ "bunfig.toml", "package", "it names what bun runs first" },
	{ "deno.json*", "package", "its tasks are run" },
	{ "composer.json", "package", "its scripts run on install and update" },
	{ "nx.json", "build", "it names what nx runs" },
	{ "turbo.json", "build", "it names what turbo runs" },
	{ "lerna.json", "build", "it names what lerna runs" },
	{ "pytest.ini", "python", "it names plugins and options of pytest" },
	{ ".pytest.ini", "python", "it names plugins and options of pytest" },
	{ ".coveragerc", "python", "it names plugins of the tool that it is of, which run" },
	{ "mypy.ini", "python", "it names plugins of the tool that it is of, which run" },
	{ ".mypy.ini", "python", "it names plugins of the tool that it is of, which run" },
	{ "pylintrc", "python", "pylint runs its init-hook" },
	{ ".pylintrc", "python", "pylint runs its init-hook" },
	{ ".flake8", "python", "it names plugins of the tool that it is of, which run" },
	{ ".pdbrc", "python", "Python's debugger runs it" },
	{ "pipfile", "package", "it says from where packages come, and its scripts are run" },
	{ "uv.toml", "package", "it says from where packages come" },
	{ "pip.conf", "package", "it says from where packages come" },
	{ "*.pyc", "python", "Python may run it instead of the source" },
	{ "*.so", "executable", "programs load it, and Python before a source of that name" },
	{ "*.so.*", "executable", "programs load it" },
	{ "*.pyd", "executable", "Python loads it" },
	{ "*.dylib", "executable", "programs load it" },
	{ "*.dll", "executable", "programs load it" },
	{ "*.node", "executable", "node loads it" },
	{ "*.jar", "executable", "java runs it" },
	{ "sitecustomize.py", "python", "Python runs it when it starts" },
	{ "usercustomize.py", "python", "Python runs it when it starts" },
	{ "*.pth", "python", "Python runs lines of it when it starts" },
	{ "pyvenv.cfg", "python", "it says which Python and which libraries are run" },
	{ "noxfile.py", "build", "nox runs it" },
	{ "tox.ini", "build", "tox runs its commands" },
	{ "gemfile", "package", "bundler runs it" },
	{ "*.gemspec", "package", "bundler runs it" },
	{ ".bundle/", "package", "settings of bundler: what it loads from where" },
	{ ".rspec", "package", "it names what rspec loads" },
	{ ".rubocop.yml", "package", "it names what rubocop loads" },
	{ ".irbrc", "shell", "Ruby's shell runs it" },
	{ ".pryrc", "shell", "Ruby's shell runs it" },
	{ ".iex.exs", "shell", "Elixir's shell runs it" },
	{ ".ghci", "shell", "Haskell's shell runs it" },
	{ "guardfile", "build", "guard runs it" },
	{ "mix.exs", "build", "mix runs it" },
	{ "rebar.config*", "build", "rebar runs hooks that it names" },
	{ "package.swift", "build", "swift runs it" },
	{ "cargo.toml", "build", "it names what is built and run on build" },
	{ "build.rs", "build", "cargo runs it on build" },
	{ ".cargo/", "build", "it names the linker, wrappers and runners of cargo" },
	{ "rust-toolchain*", "build", "it chooses the compiler that runs" },
	{ "makefile", "build", "make runs its recipes" },
	{ "gnumakefile", "build", "make runs its recipes" },
	{ "makefile.*", "build", "make runs its recipes" },
	{ "*.mk", "build", "make runs its recipes" },
	{ "justfile", "build", "just runs its recipes" },
	{ ".justfile", "build", "just runs its recipes" },
	{ "*.just", "build", "just runs its recipes" },
	{ ".bazelrc", "build", "it names programs and options of bazel" },
	{ "build", "build", "bazel runs what it says" },
	{ "build.bazel", "build", "bazel runs what it says" },
	{ "workspace", "build", "bazel runs what it says" },
	{ "workspace.bazel", "build", "bazel runs what it says" },
	{ "module.bazel", "build", "bazel runs what it says" },
	{ "*.bzl", "build", "bazel runs what it says" },
	{ "sconstruct", "build", "scons runs it" },
	{ "sconscript", "build", "scons runs it" },
	{ "wscript", "build", "waf runs it" },
	{ "tasks.py", "build", "invoke runs it" },
	{ "fabfile.py", "build", "fabric runs it" },
	{ "dodo.py", "build", "doit runs it" },
	{ "conanfile.py", "build", "conan runs it" },
	{ "build.ninja", "build", "ninja runs its commands" },
	{ "build.zig", "build", "zig runs it" },
	{ "magefile.go", "build", "mage runs it" },
	{ "tiltfile", "build", "tilt runs it" },
	{ "earthfile", "build", "earthly runs it" },
	{ "snakefile", "build", "snakemake runs it" },
	{ "procfile*", "build", "its commands are started" },
	{ "taskfile.*", "build", "task runs its commands" },
	{ "rakefile", "build", "rake runs it" },
	{ "*.rake", "build", "rake runs it" },
	{ "cmakelists.txt", "build", "cmake runs its commands" },
	{ "*.cmake", "build", "cmake runs its commands" },
	{ "cmakepresets.json", "build", "it names compilers and programs for cmake" },
	{ "cmakeuserpresets.json", "build", "it names compilers and programs for cmake" },
	{ "meson.build", "build", "meson runs its commands" },
	{ "configure", "build", "it is run to build" },
	{ "build.gradle*", "build", "gradle runs it" },
	{ "settings.gradle*", "build", "gradle runs it" },
	{ "*.gradle", "build", "gradle runs it" },
	{ "*.gradle.kts", "build", "gradle runs it" },
	{ "gradle.properties", "build", "it names the java that runs, and its options" },
	{ "buildsrc/", "build", "gradle builds and runs it" },
	{ "build.xml", "build", "ant runs its targets" },
	{ "*.sbt", "build", "sbt runs it" },
	{ ".jvmopts", "build", "options of the java that runs" },
	{ ".sbtopts", "build", "options of the java that runs" },
	{ "*.csproj", "build", "msbuild runs its tasks" },
	{ "directory.build.*", "build", "msbuild runs its tasks" },
	{ "nuget.config", "package", "it says from where packages come" },
	{ "gradle/wrapper/", "build", "it names the gradle that runs" },
	{ ".mvn/", "build", "it names the Maven that runs, and extensions" },
	{ "pom.xml", "build", "Maven runs the plugins that it names" },
	{ "dockerfile*", "build", "it is run to build an image" },
	{ "*.dockerfile", "build", "it is run to build an image" },
	{ "containerfile*", "build", "it is run to build an image" },
	{ "docker-compose*.y*ml", "build", "it is started, with what it mounts of the host" },
	{ "compose.y*ml", "build", "it is started, with what it mounts of the host" },
	{ "vagrantfile", "build", "vagrant runs it" },
	{ "flake.nix", "build", "nix evaluates it" },
	{ "shell.nix", "build", "nix-shell runs it" },
	{ "default.nix", "build", "nix-shell and nix-build evaluate it" },
	{ "devenv.nix", "build", "devenv runs it" },
	{ ".gdbinit", "build", "gdb runs it" },
	{ ".lldbinit", "build", "lldb runs it" },
	{ "*.desktop", "shell", "the desktop starts the program that it names" },
};
const size_t flag_table_count = ARRAY_SIZE(flag_table);
/* clang-format on */

static const struct flag gitdir_flag = { ".git", "git",
					 "it says where git's settings and hooks are" };
static const struct flag bare_flag = { "HEAD", "git",
				       "git obeys a directory with a HEAD and a config in it" };
static const struct flag setid_flag = { "", "setid",
					"it runs with its owner's rights or with capabilities" };
static const struct flag executable_flag = { "", "executable", "it can be run" };
static const struct flag link_flag = { "", "link", "the link may lead out of the workspace" };
static const struct flag special_flag = { "", "special", "it is a device, a FIFO or a socket" };

static const struct flag open_flag = { "", "open", "every user of the host may write to it" };

/* One component of each; moves both behind it. */
static bool same_component(const char **pattern, const char **path)
{
	char want[64], have[NAME_MAX + 1];
	const char *a = strchrnul(*pattern, '/'), *b = strchrnul(*path, '/');
	size_t n = (size_t)(a - *pattern), m = (size_t)(b - *path);

	if (n >= sizeof(want) || m >= sizeof(have))
		return false;
	memcpy(want, *pattern, n);
	memcpy(have, *path, m);
	want[n] = have[m] = '\0';
	if (fnmatch(want, have, 0) != 0)
		return false;
	*pattern = *a ? a + 1 : a;
	*path = *b ? b + 1 : b;
	return true;
}

static bool matches(const char *pattern, const char *path, bool link)
{
	while (*pattern) {
		if (!*path)
			return link; /* what the pattern is of would come from elsewhere */
		if (str_after(pattern, "**/")) {
			/* Any number of components: patterns have one of these. */
			for (const char *at = path;; at++) {
				if (matches(pattern + 3, at, link))
					return true;
				at = strchr(at, '/');
				if (!at)
					return false;
			}
		}
		if (!same_component(&pattern, &path))
			return false;
		/* The end, or all that is in a directory. */
		if (!*pattern)
			return !*path || pattern[-1] == '/';
	}
	return false;
}

/* In a ".git", and not in what only has a name that ends like that. */
static bool in_git_dir(const char *folded)
{
	return str_after(folded, ".git/") || strstr(folded, "/.git/");
}

const struct flag *flag_path(const char *path, bool link)
{
	char folded[PATH_MAX];
	const char *last;

	if (!path_fold(path, folded))
		return NULL;
	for (const char *at = folded; at; at = strchr(at, '/')) {
		at += *at == '/';
		for (size_t i = 0; i < flag_table_count; i++) {
			const char *pattern = flag_table[i].pattern;

			/* Most end here, at no cost. */
			if ((*pattern == *at || *pattern == '*') && matches(pattern, at, link))
				return &flag_table[i];
		}
	}
	last = strrchr(folded, '/');
	last = last ? last + 1 : folded;
	if (streq(last, ".git"))
		return &gitdir_flag;
	/* A repository without ".git" in its name: see safe.bareRepository in git-config(1). */
	if ((streq(last, "head") || streq(last, "config")) && !in_git_dir(folded))
		return &bare_flag;
	return NULL;
}

bool flag_link_leaves(const char *path, const char *target)
{
	int depth = 0;
	bool down = false;

	if (*target == '/')
		return true;
	for (const char *s = path; (s = strchr(s, '/')); s++)
		depth++;
	while (*target) {
		const char *end = strchrnul(target, '/');
		size_t n = (size_t)(end - target);

		if (n == 2 && memcmp(target, "..", 2) == 0) {
			/* What it goes down into may be a link itself: then up is elsewhere. */
			if (down || --depth < 0)
				return true;
		} else if (n > 1 || (n == 1 && *target != '.')) {
			down = true;
		}
		target = *end ? end + 1 : end;
	}
	return false;
}

const struct flag *flag_of(const struct flag_facts *f)
{
	const struct flag *by_path;
	uint32_t type = f->mode & S_IFMT;

	if (type == S_IFREG && ((f->mode & (S_ISUID | S_ISGID)) || f->capabilities))
		return &setid_flag;
	/* What is in a directory has a change of its own. */
	by_path = type == S_IFDIR && (!f->mode_before || S_ISDIR(f->mode_before))
			  ? NULL
			  : flag_path(f->path, S_ISLNK(type));
	if (by_path && !(by_path == &gitdir_flag && (type == S_IFDIR || !f->mode)))
		return by_path;
	if (type == S_IFLNK && f->target && flag_link_leaves(f->path, f->target))
		return &link_flag;
	if (type == S_IFREG && (f->mode & 0111) && (f->content || !(f->mode_before & 0111)))
		return &executable_flag;
	if (f->mode && type != S_IFREG && type != S_IFDIR && type != S_IFLNK)
		return &special_flag;
	/* Who lands it lets another user plant what is run, in a directory of hooks for one. */
	if ((type == S_IFREG || type == S_IFDIR) && f->mode & S_IWOTH &&
	    !(f->mode_before & S_IWOTH))
		return &open_flag;
	return NULL;
}
