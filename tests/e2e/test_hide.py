# SPDX-License-Identifier: Apache-2.0
"""filesystem.hide: what it matches is not readable inside, by whatever name, in any mode."""
import json
import os

import pytest

from running import needs_root, ok, refused, run, shell

pytestmark = pytest.mark.usefixtures("as_user")
MODES = ["direct", "review", "scratch"]
HIDE = ["--hide", "**/.env", "--hide", "*.pem", "--hide", "secrets/"]


@pytest.fixture(name="project")
def fixture_project(as_user):
    as_user.write(".env", "SECRET\n")
    as_user.write("src/.ENV", "SECRET\n")
    as_user.write("src/key.pem", "SECRET\n")
    as_user.write("src/main.c", "main\n")
    as_user.write("real", "SECRET\n")
    as_user.write("src/deep/secrets/a/b", "SECRET\n")
    ok(as_user.run(["ln", "src/key.pem", "hard"]))
    ok(as_user.run(["ln", "-s", "../real", "src/link.pem"]))
    ok(as_user.run(["ln", "-s", as_user.workspace / "secret-place", "absolute.pem"]))
    as_user.write("secret-place", "SECRET\n")
    return as_user.workspace


def tree(top):
    return sorted((str(p.relative_to(top)), p.lstat().st_mode, p.lstat().st_ino,
                   p.lstat().st_mtime_ns) for p in top.rglob("*"))


def lines(runner, script, *options, mode="direct"):
    return ok(shell(runner, script, options=[*HIDE, f"--workspace={mode}", *options])).split("\n")


ALL = [".env", "src/.ENV", "src/key.pem", "real", "hard", "src/link.pem", "absolute.pem",
       "secret-place", "src/deep/secrets/a/b"]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_readable(as_user, project, mode):
    """Matches at any depth, hard links of them, and what links that match lead to."""
    before = tree(project)
    done = shell(as_user, f"""
        grep -rs SECRET . && exit 1
        for f in {' '.join(ALL)}; do cat $f 2>/dev/null && exit 1; done
        cat src/main.c
        stat -c '%a %s %F' .env src/deep/secrets
    """, options=[*HIDE, f"--workspace={mode}"])
    assert ok(done).splitlines()[:2] == ["main", "0 0 regular empty file"]
    assert done.stdout.splitlines()[2].startswith("0 ")
    assert tree(project) == before


@pytest.mark.parametrize("mode", MODES)
def test_without_it_all_is_readable(as_user, project, mode):
    out = ok(shell(as_user, f"cat {' '.join(ALL)}", options=[f"--workspace={mode}"]))
    assert out.count("SECRET") == len(ALL)


@pytest.mark.parametrize("mode", MODES)
def test_neither_changed_nor_moved(as_user, project, mode):
    before = (project / ".env").stat()
    ok(shell(as_user, """
        exec 2>/dev/null
        mv .env x || rm -f .env || ln .env x || chmod 644 .env || touch .env && exit 1
        echo own > new && mv new .env && exit 1
        (echo own > .env) && exit 1
        rm -rf src/deep && exit 1
        exit 0
    """, options=[*HIDE, f"--workspace={mode}"]))
    after = (project / ".env").stat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)
    assert (project / "src/deep/secrets/a/b").read_text() == "SECRET\n"


def test_a_review_says_nothing_of_it(as_user, project):
    """What is hidden is neither deleted nor changed, whatever was tried inside."""
    name = f"hide-{os.getpid()}-{as_user.uid}"
    ok(shell(as_user, "rm -rf src .env 2>/dev/null; mkdir -p src; echo own > src/own; exit 0",
             options=[*HIDE, "--workspace=review", "--name", name]))
    try:
        done = as_user.run([as_user.purple, "diff", "--json", name])
        assert done.returncode == 1, done.stderr
        found = done.stdout
        changed = {c["path"]: c["kind"] for c in json.loads(found)["changes"]}
        assert "src/own" in changed and "src/main.c" in changed
        assert not [p for p in changed if "pem" in p or ".env" in p.lower() or "secrets" in p]
        assert "SECRET" not in found
    finally:
        as_user.run([as_user.purple, "discard", name])


def test_other_paths_that_show_the_workspace(as_user, project):
    """A part of it, or what it lies in, given at another place; and a file by its name."""
    out = lines(as_user, "ls /part /all/work /one; cat /part/* /all/work/real /one; "
                "grep -rs SECRET /part /all/work /one; exit 0",
                "--ro", f"{project}/src:/part", "--ro", f"{project.parent}:/all",
                "--ro", f"{project}/.env:/one")
    assert "main" in out and "main.c" in out and "SECRET" not in "".join(out)


def test_another_path_has_its_own(as_user, project):
    other = as_user.home / "other"
    ok(as_user.run(["mkdir", "-p", other / "x"]))
    ok(as_user.run(["sh", "-c", 'echo SECRET > "$0"', other / "x/.env"]))
    ok(as_user.run(["sh", "-c", 'echo plain > "$0"', other / "x/plain"]))
    ok(as_user.run(["ln", project / "src/key.pem", other / "x/name"]))
    out = lines(as_user, "cat /other/x/*; cat /other/x/.env; exit 0", "--rw", f"{other}:/other")
    assert "plain" in out and "SECRET" not in out


def test_in_a_sandbox_that_stays(as_user, project):
    name = f"hide-stays-{os.getpid()}-{as_user.uid}"
    ok(as_user.run([as_user.purple, "create", *HIDE, name]))
    try:
        done = as_user.run([as_user.purple, "exec", name, "--", "cat", ".env"])
        assert done.returncode == 1 and "Permission denied" in done.stderr
        done = as_user.run([as_user.purple, "exec", name, "--", "cat", "src/main.c"])
        assert ok(done) == "main\n"
    finally:
        as_user.run([as_user.purple, "kill", name])
        as_user.run([as_user.purple, "rm", name])


def test_odd_names(as_user):
    odd = [b"a\nb.pem", b"\xff\xfe.pem", b"x" * 251 + b".pem", b"-rf.pem", b" .pem", b"*.pem"]
    for name in odd:
        path = os.path.join(os.fsencode(as_user.workspace), name)
        with open(path, "wb") as file:
            file.write(b"SECRET")
        os.chown(path, as_user.uid, as_user.uid)
    ok(shell(as_user, "grep -rs SECRET . && exit 1; exit 0", options=HIDE))


def test_what_is_not_a_file(as_user):
    ok(as_user.run(["sh", "-c", "mkfifo fifo.pem; ln -s nowhere dangling.pem; "
                                "ln -s . loop.pem; ln -s /etc/passwd out.pem"]))
    done = shell(as_user, """
        test -s /etc/passwd && for f in *.pem; do cat "$f" 2>/dev/null && exit 1; done; exit 0
    """, options=HIDE)
    ok(done)


def test_nothing_matches(as_user):
    ok(run(as_user, "true", options=["--hide", "no-such-thing", "--hide", "/a/**/b"]))
    ok(run(as_user, "true", options=["--hide", "*.pem", "--workspace=none"]))


@pytest.mark.parametrize("pattern, why", [
    ("a[b", "'[' without its ']'"), ("../x", "'..'"), ("", "empty"), ("!x", "'!'"),
    ("a//b", "between two '/'"), ("a\\", "behind the '\\'")])
def test_a_bad_pattern(as_user, pattern, why):
    as_user.write("p.yaml", f"filesystem:\n  hide:\n    - {json.dumps(pattern)}\n")
    ways = [(["-p", "./p.yaml"], "p.yaml:3:7: filesystem.hide[0]: ")]
    if pattern:  # an option without anything empties a list
        ways.append(([f"--hide={pattern}"], "--hide: filesystem.hide: "))
    for options, place in ways:
        done = run(as_user, "true", options=options)
        assert done.returncode == 125 and done.stdout == ""
        assert place in done.stderr.splitlines()[0] and why in done.stderr.splitlines()[0]


def test_too_deep(as_user):
    ok(as_user.run(["sh", "-c", "i=0; while [ $i -lt 202 ]; do mkdir d && cd d || exit; "
                                "i=$((i+1)); done"]))
    refused(run(as_user, "true", options=HIDE), 125, "hide: ", "directories in one another")


@needs_root
def test_what_cannot_be_listed(as_user):
    """Who may enter a directory can guess names in it; who may not, cannot."""
    if as_user.uid == 0:
        pytest.skip("root's directories can be listed")
    directory = as_user.workspace / "theirs"
    directory.mkdir(mode=0o711)
    directory.chmod(0o711)
    refused(run(as_user, "true", options=HIDE), 125, "hide: ", "theirs", "not listed")
    directory.chmod(0o700)
    ok(run(as_user, "true", options=HIDE))


def test_the_plan_says_it(as_user):
    argv = [as_user.purple, "plan", *HIDE]
    text = ok(as_user.run(argv))
    assert "covered at the start" in text and "**/.env" in text
    assert json.loads(ok(as_user.run([*argv, "--json"])))["hide"] == ["**/.env", "*.pem",
                                                                     "secrets/"]


def test_many(as_user):
    """Several hundred of them, among more that are none."""
    ok(as_user.run(["sh", "-c", "for d in a b c; do mkdir $d; for i in $(seq 200); do "
                                "echo SECRET > $d/$i.pem; echo x > $d/$i; done; done"]))
    out = ok(shell(as_user, "grep -rs SECRET .; cat */*[0-9] | wc -l", options=HIDE))
    assert out.split() == ["600"]
