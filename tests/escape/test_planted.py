# SPDX-License-Identifier: Apache-2.0
"""
Files that the host would later run or obey, planted inside a workspace in review or scratch:
the host has none of them, diff flags each, and nothing of them is left on the host when the
supervisor is killed at any moment.
"""
import random
import signal
import subprocess

import pytest

from reviewing import Review, settle
from running import ok
from trees import listing, untouched

pytestmark = pytest.mark.usefixtures("as_user")

# CVE-2026-25725, 2025-59536, 2025-61260, 2026-48124, 2026-55607 and their kind.
IN_GIT = ["hooks/pre-commit", "hooks/post-checkout", "config", "config.worktree", "commondir",
          "info/attributes", "modules/sub/config", "modules/sub/hooks/post-merge",
          "modules/deep/er/config", "worktrees/w/gitdir", "worktrees/w/commondir"]
PLANTED = [
    *(f"{repository}.git/{name}" for repository in ("", "nested/", "a/b/c/") for name in IN_GIT),
    "sub/.git",  # a file: gitdir: elsewhere
    ".gitmodules", ".gitattributes", "deep/er/.gitattributes", "bare.git/config",
    "bare.git/hooks/update", "without-a-name/HEAD", "without-a-name/config",
    ".husky/pre-commit", ".githooks/pre-push", "lefthook.yml", ".pre-commit-config.yaml",
    ".envrc", "deep/er/.envrc", ".env", ".env.local", ".bashrc", ".bash_profile", ".profile",
    ".zshrc", ".zshenv", ".config/fish/config.fish", ".ssh/config", ".tool-versions",
    ".vscode/tasks.json", ".vscode/settings.json", "deep/er/.vscode/launch.json",
    "project.code-workspace", ".devcontainer/devcontainer.json", ".idea/workspace.xml",
    ".idea/runConfigurations/x.xml", ".vimrc", ".exrc", ".nvim.lua", ".dir-locals.el",
    ".claude/settings.json", ".claude/settings.local.json", ".claude/hooks/x.sh",
    ".claude/commands/x.md", ".codex/config.toml", ".cursor/mcp.json", ".cursor/rules/x.mdc",
    ".gemini/settings.json", ".mcp.json", "CLAUDE.md", "AGENTS.md",
    ".github/workflows/ci.yml", ".gitlab-ci.yml", ".circleci/config.yml", "Jenkinsfile",
    "package.json", "deep/er/package.json", ".npmrc", ".yarnrc.yml", ".pnpmfile.cjs",
    "vite.config.ts", "jest.config.js", ".eslintrc.js", "setup.py", "pyproject.toml",
    "conftest.py", "sitecustomize.py", "venv/pyvenv.cfg", "venv/lib/python3/site-packages/x.pth",
    "Makefile", "deep/er/rules.mk", "CMakeLists.txt", "build.rs", ".cargo/config.toml",
    # The same to a file system that does not tell them apart, and to who checks out there.
    ".GIT/hooks/pre-commit", "other/.Git/config", "third/git~1/config", ".VSCode/tasks.json",
    ".g\u200cit/config",
]
HARMLESS = ["src/main.c", "README", "docs/git.md", "notes/config.txt"]
# Half of them are there before, so that they are replaced.
THERE = PLANTED[::2]

PREPARE = """
import os, subprocess, sys
how, names = sys.argv[1], sys.argv[2:]
def directory(name):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
def staged(name):
    with open("staged", "w") as f:
        f.write("planted\\n")
    return "staged"
def write(name):
    directory(name)
    with open(name, "w") as f:
        f.write("planted\\n")
def rename(name):
    directory(name)
    os.rename(staged(name), name)
def link(name):
    directory(name)
    if os.path.lexists(name):
        os.unlink(name)
    os.link(staged(name), name)
    os.unlink("staged")
def symlink(name):
    directory(name)
    if os.path.lexists(name):
        os.unlink(name)
    os.symlink("src/main.c", name)
def parent(name):
    # The directory is made elsewhere, and takes the old one's place.
    where = os.path.dirname(name)
    if not where:
        return rename(name)
    if os.path.isdir(where):
        subprocess.run(["cp", "-a", where, "elsewhere"], check=True)
        subprocess.run(["rm", "-r", where], check=True)
    else:
        os.mkdir("elsewhere")
        directory(where)
    with open("elsewhere/" + os.path.basename(name), "w") as f:
        f.write("planted\\n")
    os.rename("elsewhere", where)
    # As mv does it, through rename(2), for one that is wholly new.
for name in names:
    globals()[how](name)
print("planted", flush=True)
"""
HOWS = ["write", "rename", "link", "symlink", "parent"]


def plant(how, *names):
    return ["python3", "-c", PREPARE, how, *names]


@pytest.fixture(name="host")
def fixture_host(as_user):
    for name in HARMLESS:
        as_user.write(name, "mine\n")
    ok(as_user.run(plant("write", *THERE)))
    ok(as_user.run(["sh", "-c", 'for f; do echo mine > "$f"; done', "sh", *THERE]))
    settle(as_user)
    return as_user.workspace


@pytest.mark.parametrize("how", HOWS)
def test_each_is_flagged_and_none_is_on_the_host(as_user, host, how):
    before, word = listing(host), untouched(host)
    with Review(as_user) as review:
        ok(review.run(*plant(how, *PLANTED, *HARMLESS), timeout=120))
        assert untouched(host) == word
        found = review.diff(timeout=120)
        flagged = {path for path, c in found.items() if "executes_on_host" in c}
        assert not set(PLANTED) - found.keys()
        assert not set(PLANTED) - flagged
        assert not flagged & set(HARMLESS)
        ok(review.apply("--except-flagged", timeout=120))
        now = listing(host)
        for name in PLANTED:
            assert now.get(name) == before.get(name), name
        for name in HARMLESS if how != "symlink" else ():
            assert (host / name).read_text() == "planted\n"
        waits = review.diff(timeout=120)
        assert not set(PLANTED) - waits.keys() and not set(HARMLESS) & waits.keys()
        review.discard()
    # Nor is there a stub of them: no empty directory.
    assert now.keys() == before.keys()


def test_scratch_leaves_none(as_user, host):
    word = untouched(host)
    with Review(as_user, "scratch") as review:
        ok(review.run(*plant("rename", *PLANTED), timeout=120))
        assert untouched(host) == word and not review.store.exists()


@pytest.mark.parametrize("how", HOWS)
def test_the_planter_plants(as_user, host, how):
    """Without a sandbox: every way of planting does it."""
    word = untouched(host)
    ok(as_user.run(plant(how, *PLANTED), timeout=120))
    assert untouched(host) != word
    for name in PLANTED:
        path = host / name
        assert path.is_symlink() if how == "symlink" else path.read_text() == "planted\n"


@pytest.mark.parametrize("mode", ["review", "scratch"])
def test_killed_at_any_moment(as_user, host, mode):
    """The supervisor, while it sets up or while the agent plants: no stub, no mount point."""
    word, chance = untouched(host), random.Random(as_user.uid)
    endless = "while :; do python3 -c \"$0\" \"$@\"; done"
    command = ["sh", "-c", endless, *plant("write", *PLANTED)[2:]]
    for attempt in range(12):
        with Review(as_user, mode) as review:
            with as_user.popen([as_user.purple, "run", *review.options, "--", *command],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
                if attempt % 2:
                    assert child.stdout.readline() == b"planted\n"
                try:
                    child.wait(timeout=chance.random() * 0.05)
                except subprocess.TimeoutExpired:
                    child.send_signal(signal.SIGKILL)
                child.stdout.read()  # until everybody inside has ended
            assert untouched(host) == word, attempt
            if mode == "review" and attempt % 2:
                flagged = {p for p, c in review.diff().items() if "executes_on_host" in c}
                assert not set(PLANTED) - flagged
