# SPDX-License-Identifier: Apache-2.0
"""
A session as people have them, in review: the host has nothing of it, diff says exactly what
was done, apply does exactly that, discard leaves nothing.
"""
import io
import json
import pathlib
import shutil
import tarfile

import pytest

from reviewing import Review, settle, stores
from running import ok
from trees import differences, kinds, listing, untouched

pytestmark = pytest.mark.usefixtures("as_user")
TREES = pathlib.Path(__file__).with_name("trees.py").read_text()
LONG = 300  # s; npm and git on a busy machine

PROGRAM = r"""
#include <stdio.h>
#include "greet.h"
int main(void)
{
	puts(GREETING);
	return 0;
}
"""
MAKEFILE = """
hello: main.o
	cc -o $@ $^

main.o: main.c greet.h
	cc -c -o $@ main.c
"""

SESSION = r"""
    export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
    export HOME=/tmp GIT_CONFIG_GLOBAL=/dev/null

    git clone -q --no-hardlinks upstream.git clone
    cd clone
    sed -i 's/one/two/' README
    make -s && test "$(./hello)" = hello
    printf '#define GREETING "changed"\n' > greet.h
    make -s && test "$(./hello)" = changed
    git checkout -qb topic && git commit -qam "change the greeting"
    cd ..

    cd project
    sed -i s/hello/goodbye/ greet.h
    make -s && test "$(./hello)" = goodbye
    git add -A && git commit -qm "build it" && git gc -q
    rm notes/old.txt && rm -r notes/attic
    mv notes/moved.txt notes/under-another-name.txt
    cp -a documents papers && rm -r documents
    chmod 600 notes/secret.txt && chmod 750 script.sh && chmod 711 notes
    ln -s notes/secret.txt pointer && ln -sfn src-2 current
    ln README linked && ln script.sh notes/script-again.sh
    rm kind && mkdir kind && echo in > kind/file
    rm -r tree && echo "not a tree" > tree
    printf 'a\0b\377' > binary.dat && truncate -s 5M sparse.dat
    printf 'line\n' >> "odd$(printf '\nname')"
    touch -d 2001-02-03T04:05:06.7Z notes/dated.txt && echo dated >> notes/dated.txt
    touch -d 2001-02-03T04:05:06.7Z notes/dated.txt
    cd ..
"""
PACKAGES = r"""
    export HOME=/tmp
    cd project && npm install --offline --no-audit --no-fund --silent ./vendor/small-1.0.0.tgz
    node -e 'require("small")' && cd ..
"""


def package(path):
    """A package of npm's own form, with a script and a program."""
    files = {"package.json": json.dumps({"name": "small", "version": "1.0.0",
                                         "main": "index.js", "bin": {"small": "index.js"}}),
             "index.js": "#!/usr/bin/env node\nmodule.exports = 1;\n"}
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            info.mode = 0o755 if name == "index.js" else 0o644
            tar.addfile(info, io.BytesIO(text.encode()))


@pytest.fixture(name="project")
def fixture_project(as_user):
    """A project with history, and the repository that it is of, both in the workspace."""
    for name, text in {
            "README": "one\n", "main.c": PROGRAM, "Makefile": MAKEFILE, "kind": "a file\n",
            "greet.h": '#define GREETING "hello"\n', "notes/old.txt": "old\n",
            "notes/attic/a": "a\n", "notes/attic/b": "b\n", "notes/moved.txt": "moved\n",
            "notes/secret.txt": "secret\n", "notes/dated.txt": "date\n",
            "documents/deep/er/paper": "paper\n", "documents/letter": "letter\n",
            "tree/leaf": "leaf\n", "src-1/x": "1\n", "src-2/x": "2\n", "odd\nname": "odd\n",
            "package.json": '{"name": "project", "version": "1.0.0"}\n'}.items():
        as_user.write(f"project/{name}", text)
    as_user.write("project/script.sh", "#!/bin/sh\n", 0o755)
    top = as_user.workspace / "project"
    package(as_user.write("project/vendor/small-1.0.0.tgz", ""))
    ok(as_user.run(["sh", "-euc", """
        ln -s src-1 current
        git init -q . && git add -A
        git -c user.name=t -c user.email=t@t commit -qm first
        git clone -q --bare . ../upstream.git
        """], cwd=top))
    as_user.write("project/notes/moved.txt", "unlike what is in the clone\n")
    settle(as_user)
    return as_user.workspace


def listed(done):
    """What the session printed last: trees.py's listing, from inside."""
    return json.loads(ok(done).splitlines()[-1])


def seen_as_outside(inside, uid):
    """Inside, everything is owned by whom the sandbox runs as; no device number is the same."""
    for said in inside.values():
        assert said["owner"] == inside["."]["owner"]
        said["owner"] = [uid, uid]
    return inside


def session(as_user, review, script):
    done = review.run("sh", "-euc", f"{script}\nexec python3 -c \"$0\" .", TREES, timeout=LONG)
    return seen_as_outside(listed(done), as_user.uid)


def is_as_inside(project, inside):
    # What is the same file: inode numbers inside do not say it of what was there before.
    assert not differences(inside, listing(project), "same")


def test_an_editing_session(as_user, project):
    before, word = listing(project), untouched(project)
    with Review(as_user) as review:
        inside = session(as_user, review, SESSION)
        assert untouched(project) == word
        changes = review.diff(timeout=LONG)
        assert {path: c["kind"] for path, c in changes.items()} == kinds(before, inside)
        assert changes["project/notes/under-another-name.txt"]["renamed_from"] == \
            "project/notes/moved.txt"
        flagged = {path for path, c in changes.items() if "executes_on_host" in c}
        assert {"clone/.git/config", "clone/hello", "project/hello"} <= flagged
        assert "project/notes/dated.txt" not in flagged
        # Reading it changes nothing either.
        assert untouched(project) == word
        done = review.apply("--dry-run", timeout=LONG)
        assert done.returncode == 0 and untouched(project) == word, done
        ok(review.apply(timeout=LONG))
        is_as_inside(project, inside)
        top = project / "project"
        assert (top / "linked").samefile(top / "README")
        assert (top / "script.sh").samefile(top / "notes/script-again.sh")
        assert not review.store.exists()
        ok(as_user.run(["git", "-C", "project", "fsck"]))


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_a_package_is_installed(as_user, project):
    before, word = listing(project), untouched(project)
    with Review(as_user) as review:
        inside = session(as_user, review, PACKAGES)
        assert untouched(project) == word
        changes = review.diff()
        assert {path: c["kind"] for path, c in changes.items()} == kinds(before, inside)
        assert {path for path, c in changes.items() if "executes_on_host" in c} >= {
            "project/package.json", "project/node_modules/small/package.json",
            "project/node_modules/small/index.js"}
        ok(review.apply(timeout=LONG))
        is_as_inside(project, inside)


def test_discard_leaves_nothing(as_user, project):
    word, left = untouched(project), stores(as_user)
    with Review(as_user) as review:
        ok(review.run("sh", "-euc", SESSION, timeout=LONG))
        assert review.name in stores(as_user)
        review.discard()
        assert review.name not in stores(as_user)
        assert as_user.uid == 0 or stores(as_user) == left  # root's are others' too
        assert untouched(project) == word
        done = review.purple("diff", review.name)
        assert done.returncode == 125 and review.name in done.stderr
