# SPDX-License-Identifier: Apache-2.0
"""
Directories and links that change places (RENAME_EXCHANGE) while a workspace in review is set
up, shown and applied: on the host's side, and from inside, in the layers. What lies outside of
the workspace is neither read nor written. Each race has its control: somebody who goes by
paths, beside it, is led astray at once.
"""
import contextlib
import os
import subprocess
import sys
import time

import pytest

from reviewing import Review, settle
from running import ok
from trees import untouched

pytestmark = pytest.mark.usefixtures("as_user")
SECRET = "what nobody named"
SECONDS = float(os.environ.get("RACE_SECONDS", "3"))  # of trying, for each race
ASTRAY_SECONDS = 60  # at most, until the control is led astray

# Pairs of names that change places all the time, after a word to whoever waits.
RACER = """
import ctypes, sys
libc = ctypes.CDLL(None)
pairs = [(a.encode(), b.encode()) for a, b in zip(sys.argv[1::2], sys.argv[2::2])]
for a, b in pairs:
    if libc.renameat2(-100, a, -100, b, 2):  # RENAME_EXCHANGE
        sys.exit("RENAME_EXCHANGE does not work here: " + repr(a))
print("ready", flush=True)
while True:
    for a, b in pairs:
        libc.renameat2(-100, a, -100, b, 2)
"""


def owned(runner, *paths):
    for path in paths:
        if os.geteuid() == 0:
            os.chown(path, runner.uid, runner.uid, follow_symlinks=False)


class Canary:
    """A tree outside of the workspace, of the same user, with the same names in it."""

    def __init__(self, runner):
        self.top = runner.base / "canary"
        (self.top / "deep").mkdir(parents=True)
        for name in ("file", "deep/file", "gone"):
            (self.top / name).write_text(SECRET + "\n")
        owned(runner, self.top, *self.top.rglob("*"))
        self.before = untouched(self.top)

    def check(self, *texts):
        assert untouched(self.top) == self.before, "the canary was changed"
        for text in texts:
            assert SECRET not in text, text


@pytest.fixture(name="canary")
def fixture_canary(as_user):
    return Canary(as_user)


@pytest.fixture(name="pairs")
def fixture_pairs(as_user, canary):
    """In the workspace: names that have a link to the canary's beside them, on a directory and
    on a file; and a FIFO beside a file, which who opens it would wait for."""
    as_user.write("dir/file", "mine\n")
    as_user.write("dir/deep/file", "mine\n")
    as_user.write("dir/gone", "mine\n")
    as_user.write("file", "mine\n")
    as_user.write("waits", "mine\n")
    for name, target in (("dir-link", canary.top), ("file-link", canary.top / "file")):
        (as_user.workspace / name).symlink_to(target)
    os.mkfifo(as_user.workspace / "waits-fifo")
    owned(as_user, *as_user.workspace.iterdir())
    return ["dir", "dir-link", "file", "file-link", "waits", "waits-fifo"]


@contextlib.contextmanager
def swapped(runner, names):
    """On the host."""
    racer = runner.popen([sys.executable, "-c", RACER, *names], stdout=subprocess.PIPE)
    try:
        assert racer.stdout.readline() == b"ready\n"
        yield
    finally:
        racer.kill()
        racer.communicate()


def for_seconds(seconds=SECONDS):
    end = time.monotonic() + seconds
    yield
    while time.monotonic() < end:
        yield


def naive_reader(top):
    """Who goes by paths: looks whether it is a link, and then reads."""
    text = ""
    for name in ("dir", "file"):
        path = top / name
        with contextlib.suppress(OSError):
            if not path.is_symlink():
                text += ((path / "file") if name == "dir" else path).read_text()
    return text


def is_led_astray(attempt):
    """The control: the race is one that can be lost."""
    end = time.monotonic() + ASTRAY_SECONDS
    while time.monotonic() < end:
        if attempt():
            return True
    return False


EDIT = """
for d in dir dir-link; do if [ ! -L $d ]; then
    echo edited > $d/file; echo edited > $d/deep/file; echo new > $d/new; rm -f $d/gone
fi; done 2> /dev/null
for f in file file-link; do [ -L $f ] || echo edited > $f; done 2> /dev/null
for f in waits waits-fifo; do [ -f $f ] && echo edited > $f; done 2> /dev/null
true
"""


def test_while_it_is_set_up(as_user, canary, pairs):
    """Of the workspace's own directories: an edit inside goes to the layer or nowhere."""
    with swapped(as_user, pairs):
        for _ in for_seconds():
            with Review(as_user) as review:
                done = review.shell("cat dir/file dir-link/file file file-link 2> /dev/null\n" +
                                    EDIT)
                canary.check(done.stdout, done.stderr)
                assert done.returncode == 0, done
        assert is_led_astray(lambda: SECRET in naive_reader(as_user.workspace))
    for name in ("dir", "dir-link"):
        path = as_user.workspace / name
        if not path.is_symlink():
            assert (path / "file").read_text() == "mine\n" and not (path / "new").exists()


def test_a_component_above_it(as_user, canary):
    """The workspace's name leads to the canary every other moment: which it is, is decided once."""
    mine, link = as_user.home / "slot", as_user.home / "slot-link"
    (mine / "in").mkdir(parents=True)
    (mine / "in" / "file").write_text("mine\n")
    (canary.top / "in").mkdir()
    (canary.top / "in" / "file").write_text("canary\n")
    link.symlink_to(canary.top)
    owned(as_user, mine, link, mine / "in", mine / "in/file", canary.top / "in",
          canary.top / "in/file")
    canary.before = untouched(canary.top)
    inode = {"mine": (mine / "in").stat().st_ino, "canary": (canary.top / "in").stat().st_ino}
    with swapped(as_user, [mine, link]):
        for _ in for_seconds():
            with Review(as_user) as review:
                done = as_user.run([as_user.purple, "run", "--name", review.name, "-w",
                                    f"{mine}/in:review", "--", "sh", "-c",
                                    "cat file; echo x > file; echo y > new"])
                canary.check()
                if done.returncode == 125:
                    continue
                # One of both from start to end, and the record names the one that it was.
                (where,) = done.stdout.split()
                meta = dict(line.split("=", 1) for line in
                            (review.store / "meta").read_text().splitlines() if "=" in line)
                assert int(meta["ino"]) == inode[where], done
    assert {p.name for p in (mine if not mine.is_symlink() else link).glob("in/*")} == {"file"}


def test_while_the_host_is_shown(as_user, canary, pairs):
    with Review(as_user) as review:
        ok(review.shell(EDIT))
        with swapped(as_user, pairs):
            for _ in for_seconds():
                for words in ((), ("--json",), ("--stat",)):
                    done = review.purple("diff", review.name, *words)
                    assert done.returncode in (0, 1, 125), done
                    canary.check(done.stdout, done.stderr)
            assert is_led_astray(lambda: SECRET in naive_reader(as_user.workspace))
        assert "+edited" in review.purple("diff", review.name).stdout


def test_while_the_layers_are_shown(as_user, canary, pairs):
    """Swapped by the agent, in a sandbox that lives."""
    with Review(as_user) as review:
        ok(review.purple("create", "--workspace=review", review.name))
        script = ("for f in dir dir-link file file-link waits waits-fifo; do "
                  "cp -a $f n-$f; done; exec python3 -c \"$0\" " +
                  " ".join(f"n-{name}" for name in pairs))
        racer = as_user.popen([as_user.purple, "exec", review.name, "--", "sh", "-c", script,
                               RACER], stdout=subprocess.PIPE)
        try:
            assert racer.stdout.readline() == b"ready\n"
            for _ in for_seconds():
                for words in ((), ("--json",), ("--stat",)):
                    done = review.purple("diff", review.name, *words)
                    assert done.returncode in (0, 1, 125), done
                    canary.check(done.stdout, done.stderr)
            layer = review.store / "layers/1"

            def naive():
                return any(SECRET in naive_at(layer, name) for name in ("n-dir", "n-file"))
            assert is_led_astray(naive)
        finally:
            racer.kill()
            racer.communicate()
        review.purple("kill", review.name)


def naive_at(top, name):
    path = top / name
    with contextlib.suppress(OSError):
        if not path.is_symlink():
            return (path / "file" if "dir" in name else path).read_text()
    return ""


APPLIED = """
echo edited > dir/file; echo edited > dir/deep/file; echo new > dir/new; rm dir/gone
mkdir dir/made; echo new > dir/made/file; echo edited > file; echo edited > waits
ln -sf elsewhere dir/link
"""


def write_and_replace(path):
    """As editors do: a new file takes the old one's name."""
    (path.parent / "staged").write_text("edited\n")
    os.replace(path.parent / "staged", path)


def apply_naively(top):
    """The control: looks whether it is a link, and then goes by the path."""
    with contextlib.suppress(OSError):
        if not (top / "dir").is_symlink():
            write_and_replace(top / "dir" / "astray")


def outcome(done, canary):
    """Refused, in conflict or applied; nothing else, and nothing outside."""
    assert done.returncode in (0, 1, 125), done
    assert done.returncode != 125 or done.stderr.startswith("purple: "), done
    canary.check(done.stdout, done.stderr)
    return done.returncode


def temporaries(top):
    return [path for path in top.rglob(".purple-*")]


@pytest.mark.parametrize("swaps", [("dir", "dir-link"), ("file", "file-link"),
                                   ("waits", "waits-fifo"), ("dir/deep", "dir/deep-link")],
                         ids=lambda names: names[0])
def test_while_it_is_applied(as_user, canary, pairs, swaps):
    """On the host, by somebody who may: it lands, or is a conflict, and nothing goes astray."""
    assert pairs
    (as_user.workspace / "dir/deep-link").symlink_to(canary.top / "deep")
    owned(as_user, as_user.workspace / "dir/deep-link")
    seen = set()
    for _ in for_seconds():
        with Review(as_user) as review:
            settle(as_user)
            ok(review.shell(APPLIED))
            with swapped(as_user, [as_user.workspace / name for name in swaps]):
                seen.add(outcome(review.apply("--skip-conflicts"), canary))
                seen.add(outcome(review.apply("--skip-conflicts"), canary))
            # What was not to be had then is had now, or is a conflict.
            outcome(review.apply("--skip-conflicts"), canary)
            assert not temporaries(as_user.workspace) and not temporaries(canary.top)
        put_back(as_user)
    assert seen, "no apply was tried"


def put_back(runner):
    """All as it was before, whichever of two names it has."""
    top = runner.workspace
    for one, other in (("dir", "dir-link"), ("file", "file-link"), ("dir/deep", "dir/deep-link"),
                       ("waits", "waits-fifo")):
        real = top / other
        if os.path.lexists(real) and ((top / one).is_symlink() or (top / one).is_fifo()):
            aside = top / "aside"
            (top / one).rename(aside)
            real.rename(top / one)
            aside.rename(real)
    for name in ("dir/file", "dir/deep/file", "dir/gone", "file", "waits"):
        runner.write(name, "mine\n")
    for name in ("dir/new", "dir/made/file", "dir/link"):
        (top / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (top / "dir/made").rmdir()


def test_the_race_of_applying_can_be_lost(as_user, canary, pairs):
    with swapped(as_user, pairs[:2]):
        assert is_led_astray(lambda: apply_naively(as_user.workspace) or
                             (canary.top / "astray").exists())


def test_the_workspace_itself_while_it_is_applied(as_user, canary):
    """Its name leads to a tree of the same form every other moment."""
    mine, link = as_user.home / "slot", as_user.home / "slot-link"
    for top in (mine, canary.top):
        (top / "in/dir").mkdir(parents=True)
        for name in ("file", "dir/file", "dir/gone"):
            (top / "in" / name).write_text("mine\n")
        owned(as_user, *top.rglob("*"))
    link.symlink_to(canary.top)
    owned(as_user, mine, link)
    canary.before = untouched(canary.top)
    applied = 0
    for _ in for_seconds():
        with Review(as_user) as review:
            for name in ("file", "dir/file", "dir/gone"):
                (mine / "in" / name).write_text("mine\n")
                owned(as_user, mine / "in" / name)
            settle(as_user, mine)
            ok(as_user.run([as_user.purple, "run", "--name", review.name, "-w",
                            f"{mine}/in:review", "--", "sh", "-c", "echo edited > file; "
                            "echo edited > dir/file; rm dir/gone; echo new > dir/new"]))
            with swapped(as_user, [mine, link]):
                for _ in range(4):
                    applied += outcome(review.apply(cwd="/"), canary) == 0
                    if not review.store.exists():
                        break
            if mine.is_symlink():
                aside = as_user.home / "aside"
                mine.rename(aside)
                link.rename(mine)
                aside.rename(link)
            (mine / "in/dir/new").unlink(missing_ok=True)
    canary.check()
