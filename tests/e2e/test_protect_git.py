# SPDX-License-Identifier: Apache-2.0
"""git's everyday commands in a workspace that is direct and protected; and what is refused."""
import pytest

from running import ok, run

pytestmark = pytest.mark.usefixtures("as_user")

EVERYDAY = """
git config user.name N
git config user.email n@example.org
git add a
git commit -qm one
git init -q nested
git status --short
git log --oneline
git diff HEAD
git branch topic
git checkout -q topic
cp a t
git add t
git commit -qm two
git switch -qc other main
git mv a b
git commit -qam moved
git rm -q b
git restore --staged --worktree b
git tag v1
git tag -am note v2
git checkout -q main
git merge -q --no-ff -m merged other
git reset -q --hard HEAD~1
git rebase -q other
git cherry-pick topic
git revert --no-edit HEAD
sh -c "echo more >>b; git stash -q; git stash pop -q; git checkout -q b"
git branch -m topic subject
git branch -D subject
git clone -q . copy
git -C copy checkout -qb work --track origin/main
git -C copy fetch -q
git -C copy pull -q
git -C copy push -q origin HEAD:refs/heads/pushed
git clone -q --bare . bare.git
git remote add up ./bare.git
git remote set-url up ../bare.git
git fetch -q ./bare.git
git push -qu ./bare.git main
git remote rename up down
git remote remove down
git worktree add -q tree other
git -C tree commit -q --allow-empty -m there
git worktree remove tree
git -c protocol.file.allow=always submodule add -q ./copy sub
git commit -qam submodule
git -c protocol.file.allow=always submodule update -q --init
git submodule deinit -q -f sub
git config pull.rebase true
git config --unset pull.rebase
git gc -q
git fsck
git reflog
git blame b
git bisect reset
git notes add -m note
git archive -o x.tar HEAD
git diff --stat HEAD~1
git clean -qfdx -e copy -e nested -e bare.git
rm -rf copy nested
git mv b c
git commit -qm last --amend
"""
REFUSED = ["core.pager evil", "core.fsmonitor evil", "core.hooksPath /tmp", "alias.x !evil",
           "include.path ../evil", "core.sshCommand evil", "filter.x.clean evil",
           "diff.x.textconv evil", "credential.helper evil", "remote.x.uploadpack evil",
           "remote.x.url ext::evil", "core.worktree /", "core.worktree ../..",
           "submodule.x.update !evil", "core.editor evil", "gpg.program evil"]


@pytest.fixture(name="repository")
def fixture_repository(as_user):
    as_user.write("a", "a\n")
    ok(as_user.run(["git", "init", "-q", "-b", "main", "."]))
    as_user.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 0\n", 0o755)
    return as_user.workspace


def test_everyday_commands(as_user, repository):
    commands = [c for c in EVERYDAY.splitlines() if c]
    assert len(commands) >= 40
    script = "export GIT_EDITOR=true\n" + "".join(
        f"echo '{c}'\n{c} >out 2>&1 || {{ cat out; exit 1; }}\n" for c in commands)
    done = run(as_user, "sh", "-c", script, timeout=170)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
    assert (repository / ".git/hooks/pre-commit").read_text() == "#!/bin/sh\nexit 0\n"


@pytest.mark.parametrize("setting", REFUSED)
def test_settings_that_name_programs(as_user, repository, setting):
    before = (repository / ".git/config").read_bytes()
    key, value = setting.split(" ", 1)
    done = run(as_user, "git", "config", key, value)
    assert done.returncode != 0 and "could not write config file" in done.stderr, done
    assert (repository / ".git/config").read_bytes() == before
    assert not (repository / ".git/config.lock").exists()
    ok(run(as_user, "git", "config", key, value, options=["--protect", "!**"]))


def test_settings_that_were_there_stay(as_user, repository):
    ok(as_user.run(["git", "config", "core.pager", "less -F"]))
    ok(run(as_user, "git", "config", "branch.main.description", "a \"quoted\" # one"))
    assert run(as_user, "git", "config", "--unset", "core.pager").returncode != 0
    done = as_user.run(["git", "config", "-l", "--local"])
    assert "core.pager=less -F" in ok(done) and 'a "quoted" # one' in done.stdout
