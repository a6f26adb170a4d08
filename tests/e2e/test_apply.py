# SPDX-License-Identifier: Apache-2.0
"""`purple apply`: what a sandbox in review has changed lands, or nothing does."""
import itertools
import json
import os
import pathlib
import stat
import subprocess

import pytest

from running import eventually, ok, refused, shell, start

pytestmark = pytest.mark.usefixtures("as_user")
serial = itertools.count()

EDITS = r"""
    set -e
    printf 'one\n2\nthree\n' > a
    rm gone
    rm -r old
    ln a hard
    ln same again
    ln -sf /etc link
    chmod 600 mode
    chmod 711 open
    echo in > open/in
    printf 'x\0y' >> binary
    mkdir -p new/deep/er empty
    echo deep > new/deep/er/file
    ln new/deep/er/file new/twin
    touch -d 2001-02-03 new/aged
    rm file-to-dir && mkdir file-to-dir && echo 1 > file-to-dir/one
    rm -r dir-to-file && echo 2 > dir-to-file
    rm -r renewed && mkdir renewed && echo 3 > renewed/three
    mkfifo pipe
    truncate -s 1G sparse
    printf 'odd' > "$(printf 'a\nb\377')"
    chmod 555 new/deep
    chmod 755 shut && echo 1 > shut/in && rm shut/was && chmod 555 shut
"""


def state_of(runner):
    return pathlib.Path("/var/lib/purple" if runner.uid == 0
                        else runner.home / ".local/state/purple") / "workspaces"


def tree(top, times=True):
    """{path: all there is to say of it}; of directories no times and no sizes."""
    found, names_of = {}, {}
    for directory, names, files in os.walk(os.fsencode(top)):
        for name in names + files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            content = os.readlink(path) if kind == stat.S_IFLNK else None
            if kind == stat.S_IFREG:
                content = st.st_size
                if st.st_size < 1 << 24:
                    with open(path, "rb") as f:
                        content = f.read()
            xattrs = {x: os.getxattr(path, x) for x in os.listxattr(path)} \
                if kind in (stat.S_IFREG, stat.S_IFDIR) else {}
            mtime = st.st_mtime_ns if times and kind != stat.S_IFDIR else 0
            relative = os.path.relpath(path, os.fsencode(top))
            names_of.setdefault(st.st_ino, []).append(relative)
            found[relative] = [st.st_mode, st.st_uid, st.st_gid, content, mtime, xattrs,
                               st.st_ino]
    # Not the inode, but who has the same.
    for entry in found.values():
        entry[-1] = sorted(names_of[entry[-1]])
    return found


def temporaries(top):
    return [p for p in pathlib.Path(top).rglob(".purple-*")]


class Project:
    """A workspace, and sandboxes in review of it."""

    def __init__(self, runner):
        self.runner = runner
        self.top = runner.workspace
        self.names = []

    def fill(self):
        for name in ("a", "gone", "mode", "same", "file-to-dir", "untouched"):
            self.runner.write(name, f"one\ntwo\nthree\n{name}\n")
        self.runner.write("old/deep/file", "moved\n")
        self.runner.write("dir-to-file/x/y", "y\n")
        self.runner.write("renewed/one", "1\n")
        self.runner.write("renewed/two/two", "2\n")
        self.runner.write("open/was", "was\n")
        self.runner.write("binary", "a\0b")
        self.runner.write("shut/was", "was\n")
        (self.top / "shut").chmod(0o555)
        self.runner.run(["ln", "-s", "a", "link"])
        return self

    def settle(self):
        """Until the clock of files has gone on: what is as old as the stamp counts as younger."""
        probe = self.runner.home / f"probe-{next(serial)}"
        newest = max([p.lstat().st_ctime_ns for p in self.top.rglob("*")]
                     + [self.top.stat().st_ctime_ns])

        def later():
            probe.write_text("")
            at = probe.stat().st_ctime_ns
            probe.unlink()
            return at > newest

        assert eventually(later)

    def review(self, script):
        name = f"apply-{self.runner.name}-{os.getpid()}-{next(serial)}"
        self.names.append(name)
        self.settle()
        ok(shell(self.runner, script, options=["--workspace=review", "--name", name]))
        return name

    def apply(self, *words, **kw):
        return self.runner.run([self.runner.purple, "apply", *words], **kw)

    def purple(self, *words, **kw):
        return self.runner.run([self.runner.purple, *words], **kw)

    def store(self, name):
        return state_of(self.runner) / name

    def expected(self, script):
        """What the script makes of a copy."""
        copy = self.runner.home / f"copy-{next(serial)}"
        ok(self.runner.run(["cp", "-a", self.top, copy]))
        ok(self.runner.run(["sh", "-ec", script], cwd=copy))
        return tree(copy, times=False)

    def clean(self):
        for name in self.names:
            self.runner.run(["chmod", "-R", "u+rwX", self.store(name)])
            self.runner.run(["rm", "-rf", self.store(name)])


@pytest.fixture(name="project")
def fixture_project(as_user):
    project = Project(as_user)
    yield project
    project.clean()


def test_all_kinds(project):
    want = project.fill().expected(EDITS)
    name = project.review(EDITS)
    before = tree(project.top)
    dry = json.loads(ok(project.apply(name, "--dry-run", "--json")))
    assert dry["dry_run"] and dry["wanted"] == len(dry["changes"]) > 15
    assert tree(project.top) == before
    done = project.apply(name)
    assert "paths applied; nothing of" in ok(done) and done.stderr == ""
    assert tree(project.top, times=False) == want
    assert not project.store(name).exists()
    assert (project.top / "new/aged").stat().st_mtime < 1e9
    assert (project.top / "sparse").stat().st_blocks < 1000
    assert (project.top / "again").samefile(project.top / "same")
    refused(project.purple("diff", name, cwd="/"), 125, name)


def test_metadata(project):
    project.fill()
    name = project.review("""
        python3 -c 'import os
os.setxattr("a", "user.x", b"1"); os.setxattr("open", "user.d", b"2")
os.setxattr("same", "user.overlay.opaque", b"y")'
        touch -d 1999-01-01T00:00:00.123456789 untouched; echo more >> untouched
        touch -d 1999-01-01T00:00:00.123456789 untouched
    """)
    ok(project.apply(name))
    assert os.getxattr(project.top / "a", "user.x") == b"1"
    assert os.getxattr(project.top / "open", "user.d") == b"2"
    assert os.getxattr(project.top / "same", "user.overlay.opaque") == b"y"
    assert os.listxattr(project.top / "same") == ["user.overlay.opaque"]
    assert (project.top / "untouched").stat().st_mtime_ns % 10**9 == 123456789
    assert (project.top / "a").stat().st_uid == project.runner.uid


CONFLICTS = {
    "modify, modify": ("echo 2 > a", lambda top: (top / "a").write_text("host\n"), "a"),
    "modify, replace": ("echo 2 > a", lambda top: (top / "mode").rename(top / "a"), "a"),
    "modify, chmod": ("echo 2 > a", lambda top: (top / "a").chmod(0o600), "a"),
    "chmod, modify": ("chmod 600 a", lambda top: (top / "a").write_text("host\n"), "a"),
    "delete, modify": ("rm a", lambda top: (top / "a").write_text("host\n"), "a"),
    "add, add": ("echo 2 > b", lambda top: (top / "b").write_text("host\n"), "b"),
    "add, link": ("echo 2 > b", lambda top: (top / "b").symlink_to("/etc/passwd"), "b"),
    "modify, link": ("echo 2 > open/was", lambda top: (
        (top / "open").rename(top / "aside"), (top / "open").symlink_to("/etc")), "open"),
    "directory to file, new in it": (
        "rm -r old; echo 2 > old", lambda top: (top / "old/deep/new").write_text("host\n"), "old"),
    "delete a directory, new in it": (
        "rm -r old", lambda top: (top / "old/deep/new").write_text("host\n"), "old"),
    "delete a directory, moved into it": (
        "rm -r old", lambda top: (top / "open").rename(top / "old/deep/open"), "old"),
    "modify, its directory swapped": (
        "echo 2 > open/was", lambda top: (
            (top / "open").rename(top / "aside"), (top / "twin").rename(top / "open")),
        "open/was"),
    "modify, delete": ("echo 2 > a", lambda top: (top / "a").unlink(), "a"),
    "chmod, delete": ("chmod 600 a", lambda top: (top / "a").unlink(), "a"),
    "add in a directory, delete it": (
        "echo 2 > open/new", lambda top: (top / "open").rename(top.parent / "aside"), "open"),
    "chmod of the workspace": ("chmod 700 .", lambda top: top.chmod(0o750), "."),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_conflicts(project, case):
    """Named, all of them, and nothing is touched."""
    script, change, path = CONFLICTS[case]
    project.fill()
    project.runner.write("twin/was", "twin\n")
    name = project.review(f"echo other > other; {script}")
    change(project.top)
    before = tree(project.top)
    done = project.apply(name)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "\nconflict: " in "\n" + done.stdout and f" {path}: " in done.stdout
    assert "nothing was applied" in done.stderr and "--skip-conflicts" in done.stderr
    assert tree(project.top) == before
    dry = project.apply(name, "--dry-run", "--json")
    assert dry.returncode == 1
    states = {c["path"]: c["state"] for c in json.loads(dry.stdout)["changes"]}
    assert states["other"] == "wanted" and states[path] == "conflict", states
    done = project.apply(name, "--skip-conflicts")
    assert done.returncode == 1, (done.stdout, done.stderr)
    after = tree(project.top)
    assert after.pop(b"other")[3] == b"other\n" and after == before
    assert project.store(name).exists() and not temporaries(project.top)


def test_what_is_the_same_already_is_no_conflict(project):
    name = project.fill().review("echo 2 > a; echo 3 > b; rm gone")
    (project.top / "a").write_text("2\n")
    (project.top / "gone").unlink()
    os.chown(project.runner.write("b", "3\n"), project.runner.uid, project.runner.uid)
    done = project.purple("diff", name)
    if done.stdout == "":
        assert done.returncode == 0
        ok(project.apply(name))
        assert not project.store(name).exists()


def test_paths(project):
    project.fill()
    name = project.review("echo 2 > a; mkdir -p d/e; echo 3 > d/e/f; echo 4 > d/g; rm -r old")
    refused(project.apply(name, "nothing"), 125, "nothing has changed at nothing")
    refused(project.apply(name, "old/deep/file"), 125, "gone as a whole")
    refused(project.apply(name, "../x"), 125, "not in the workspace")
    assert "2 wait" not in ok(project.apply(name, "d/e"))
    assert (project.top / "d/e/f").read_text() == "3\n" and not (project.top / "d/g").exists()
    assert (project.top / "old").exists()
    # What was applied before is no conflict, nor are the directories that it lies in.
    ok(project.apply(name, "d", "a"))
    assert (project.top / "d/g").read_text() == "4\n"
    ok(project.apply(cwd=project.top))
    assert not (project.top / "old").exists() and not project.store(name).exists()


def test_a_directory_in_parts(project):
    """Its mode last, although its times are ours by then."""
    project.fill()
    name = project.review("echo 1 > open/x; chmod 750 open; rm -r renewed/two; rm renewed/one;"
                          "rmdir renewed")
    ok(project.apply(name, "open/x"))
    ok(project.apply(name, "open"))
    assert stat.S_IMODE((project.top / "open").stat().st_mode) == 0o750
    ok(project.apply(name))
    assert not (project.top / "renewed").exists() and not project.store(name).exists()


def test_what_moved_inside_is_not_deleted(project):
    """Although the host's directory is younger, and the file came with the name."""
    project.fill()
    name = project.review("mv a z; echo more >> z")
    project.runner.write("host", "new\n")
    ok(project.apply(name))
    assert (project.top / "z").read_text() == "one\ntwo\nthree\na\nmore\n"


def test_directories_that_nobody_may_write(project):
    """With their xattrs; by the modes that they have in the end as well."""
    project.fill()
    name = project.review("""
        chmod 755 shut
        python3 -c 'import os; os.setxattr("shut", "user.x", b"1")'
        mkdir shut/d; echo 1 > shut/d/e; chmod 555 shut/d shut
    """)
    ok(project.apply(name))
    assert (project.top / "shut/d/e").read_text() == "1\n"
    for path in ("shut", "shut/d"):
        assert stat.S_IMODE((project.top / path).stat().st_mode) == 0o555
    assert os.getxattr(project.top / "shut", "user.x") == b"1"


def test_flagged(project):
    project.fill()
    name = project.review("mkdir -p .git/hooks; echo x > .git/hooks/pre-commit; echo 2 > a;"
                          "echo exit > tool; chmod 755 tool; ln -s / root")
    done = project.apply(name, "--except-flagged")
    ok(done)
    assert (project.top / "a").read_text() == "2\n"
    for path in (".git", "tool", "root"):
        assert not os.path.lexists(project.top / path)
    assert "5 wait: purple diff" in done.stdout
    ok(project.apply(name))
    assert os.access(project.top / "tool", os.X_OK)


def test_not_applied(project):
    """Sockets; what nobody can read."""
    project.fill()
    name = project.review("""
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
        mkdir d; echo 2 > d/a
    """)
    done = project.apply(name)
    assert done.returncode == 1 and "refused: added sock: is a socket" in done.stdout
    assert (project.top / "d/a").exists() and not os.path.lexists(project.top / "sock")
    assert project.store(name).exists()


def test_while_it_lives(project):
    project.fill()
    name = project.review("true")
    project.settle()
    with start(project.runner, "sh", "-c", "echo 2 > a; echo ready; read x",
               options=["--workspace=review", "--name", name], stdin=subprocess.PIPE) as box:
        assert box.stdout.readline() == b"ready\n"
        refused(project.apply(name), 125, "in use", f"purple stop {name}")
        box.communicate(b"\n", timeout=30)
    ok(project.apply(name))


def test_a_workspace_that_is_another(project):
    project.fill()
    name = project.review("echo 2 > a")
    aside = project.top.parent / "aside"
    project.top.rename(aside)
    project.top.mkdir()
    os.chown(project.top, project.runner.uid, project.runner.uid)
    refused(project.apply(name, cwd="/"), 125, "another directory")
    assert not list(project.top.iterdir())
