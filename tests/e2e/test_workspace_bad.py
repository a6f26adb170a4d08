# SPDX-License-Identifier: Apache-2.0
"""Workspaces that nobody would wish for, in review: worked in, shown, or refused with a reason."""
import contextlib
import os
import shutil
import socket
import stat
import subprocess

import pytest

from reviewing import Review, settle
from running import eventually, needs_root, ok, refused
from trees import differences, listing, untouched

pytestmark = pytest.mark.usefixtures("as_user")


def own(runner, *paths):
    for path in paths:
        if os.geteuid() == 0:
            os.chown(path, runner.uid, runner.uid, follow_symlinks=False)


@pytest.fixture(name="review")
def fixture_review(as_user):
    with Review(as_user) as review:
        yield review


# ---- what is refused ----

@pytest.mark.parametrize("mode", ["review", "scratch"])
@pytest.mark.parametrize("where, why", [
    ("/", "it is the whole file system"), ("/usr", "it belongs to the system"),
    ("HOME", "your home directory"), ("ABOVE", "your home directory")])
def test_refused(as_user, review, where, why, mode):
    path = {"HOME": as_user.home, "ABOVE": as_user.home.parent}.get(where, where)
    refused(as_user.run([as_user.purple, "run", "--name", review.name, "-w", f"{path}:{mode}",
                         "--", "true"]), 125, "is refused as a workspace", why)
    assert not review.store.exists()


@pytest.mark.parametrize("what", ["file", "missing", "fifo"])
def test_no_directory(as_user, review, what):
    as_user.write("file", "")
    os.mkfifo(as_user.workspace / "fifo")
    refused(as_user.run([as_user.purple, "run", "--name", review.name, "-w", f"{what}:review",
                         "--", "true"]), 125, what)
    assert not review.store.exists()


# ---- where it may lie ----

def test_by_a_link(as_user, review):
    """What the link leads to is the workspace, by its own name."""
    real = as_user.workspace / "real"
    as_user.write("real/file", "mine\n")
    as_user.run(["ln", "-s", "real", "link"])
    ok(as_user.run([as_user.purple, "run", "--name", review.name, "-w", "link:review", "--",
                    "sh", "-c", "echo edited > file; pwd"]))
    assert f"path={real}\n" in (review.store / "meta").read_text()
    assert (real / "file").read_text() == "mine\n"
    assert set(review.diff()) == {"file"}
    assert set(review.diff("file", cwd=as_user.workspace / "link")) == {"file"}


@contextlib.contextmanager
def mounted(runner, *words, unmount=("umount",)):
    """At a directory of its own beside the workspace."""
    place = runner.base / "place"
    place.mkdir()
    done = subprocess.run([*words, str(place)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        # What has just ended may still hold it.
        assert eventually(lambda: subprocess.run([*unmount, str(place)], check=False,
                                                 capture_output=True).returncode == 0, 20)


def tmpfs(runner, *options):
    return mounted(runner, "mount", "-t", "tmpfs", "-o",
                   ",".join(["mode=755", f"uid={runner.uid}", f"gid={runner.uid}", *options]),
                   "none")


def work_in(runner, review, top):
    """Everything that the kinds of workspace below have in common."""
    (top / "dir").mkdir()
    for name in ("file", "dir/gone", "dir/kept"):
        (top / name).write_text("mine\n")
    own(runner, *top.rglob("*"))
    word = untouched(top)
    done = review.shell("echo edited > file && rm dir/gone && mkdir new && echo new > new/file "
                        "&& cat dir/kept", options=["-w", f"{top}:review"])
    if runner.uid == 0 and "does not support id-mapped mounts" in done.stderr:
        # So it is for root, in every mode; the user who owns it can.
        refused(done, 125, str(top), "run purple as the user who owns it")
        assert untouched(top) == word and not review.store.exists()
        return
    assert ok(done) == "mine\n"
    assert {p: c["kind"] for p, c in review.diff().items()} == {
        "file": "modified", "dir/gone": "deleted", "new": "added", "new/file": "added"}
    assert untouched(top) == word


@needs_root
def test_on_tmpfs(as_user, review):
    with tmpfs(as_user) as top:
        work_in(as_user, review, top)


@needs_root
def test_on_an_overlay(as_user, review):
    """A container's own root often is one."""
    layers = {"lowerdir": "lower", "upperdir": "upper", "workdir": "of-overlay"}
    for name in layers.values():
        (as_user.base / name).mkdir()
        own(as_user, as_user.base / name)
    how = ",".join(f"{option}={as_user.base}/{name}" for option, name in layers.items())
    with mounted(as_user, "mount", "-t", "overlay", "-o", how, "none") as top:
        work_in(as_user, review, top)
    subprocess.run(["rm", "-rf", as_user.base / "of-overlay"], check=True)


@needs_root
def test_on_fuse(as_user, review):
    if not shutil.which("bindfs"):
        pytest.skip("bindfs is not installed")
    (as_user.base / "behind").mkdir()
    own(as_user, as_user.base / "behind")
    with mounted(as_user, "bindfs", "-o", "allow_other", as_user.base / "behind") as top:
        work_in(as_user, review, top)


@needs_root
def test_on_what_is_mounted_read_only(as_user, review):
    with tmpfs(as_user) as top:
        (top / "file").write_text("mine\n")
        own(as_user, top / "file")
        subprocess.run(["mount", "-o", "remount,ro", top], check=True)
        word = untouched(top)
        ok(review.shell("echo edited > file; echo new > new", options=["-w", f"{top}:review"]))
        assert {p: c["kind"] for p, c in review.diff().items()} == {
            "file": "modified", "new": "added"}
        assert untouched(top) == word


# ---- what may be in it ----

MANY = """
import os, sys
for i in range(int(sys.argv[1])):
    if i % 100 == 0:
        os.makedirs(f"many/{i // 10000}/{i // 100}")
    os.close(os.open(f"many/{i // 10000}/{i // 100}/{i}", os.O_CREAT | os.O_WRONLY, 0o644))
"""


def change_ten_of_many(runner, review, top, count):
    ok(runner.run(["python3", "-c", MANY, count], cwd=top, timeout=1200))
    names = [f"many/{i // 10000}/{i // 100}/{i}" for i in range(0, count, count // 10)]
    ok(review.shell("for f in " + " ".join(names) + "; do echo edited > $f; done",
                    options=["-w", f"{top}:review"], timeout=300))
    assert {p: c["kind"] for p, c in review.diff().items()} == dict.fromkeys(names, "modified")
    assert not any((top / name).stat().st_size for name in names)


@needs_root
def test_50000_files(as_user, review):
    with tmpfs(as_user) as top:  # a disk that others use too takes a minute to make them
        change_ten_of_many(as_user, review, top, 50000)


@pytest.mark.long
def test_1000000_files(as_user, review):
    try:
        change_ten_of_many(as_user, review, as_user.workspace, 1000000)
    finally:
        as_user.run(["rm", "-rf", "many"], timeout=1200)


def test_a_sparse_file_of_1_tb(as_user, review):
    """A byte of it written inside, and its holes are still holes."""
    path = as_user.write("sparse", "")
    os.truncate(path, 1 << 40)
    settle(as_user)
    ok(review.shell("printf x | dd of=sparse bs=1 seek=$((1 << 39)) conv=notrunc status=none",
                    timeout=300))
    change, = review.diff(timeout=300).values()
    assert (change["path"], change["kind"]) == ("sparse", "modified")
    copy = review.store / "layers/1/sparse"
    for one in (copy, path):
        assert one.stat().st_size == 1 << 40 and one.stat().st_blocks * 512 < 1 << 20
    ok(review.apply(timeout=300))
    assert path.stat().st_size == 1 << 40 and path.stat().st_blocks * 512 < 1 << 20
    with open(path, "rb") as f:
        assert os.pread(f.fileno(), 3, (1 << 39) - 1) == b"\0x\0"


NAMES = [b"new\nline", b"\xff\xfe\x80", b" ", b"-rf", b"\x1b[31mred\x1b[0m", b"\xe2\x80\xaertl",
         b"a'b\"c", b"back\\slash", b"%41", b"x" * 255, b"*", b".git ", b"\xc3\xa9"]


def test_names_of_all_kinds(as_user, review):
    """Each exactly, in JSON and by itself; none reaches a terminal as it is."""
    top = os.fsencode(as_user.workspace)
    for name in NAMES:
        with open(os.path.join(top, name), "w", encoding="ascii") as f:
            f.write("mine\n")
        own(as_user, os.path.join(top, name))
    settle(as_user)
    ok(review.run("python3", "-c", """
import os
for name in os.listdir(b"."):
    with open(name, "w") as f:
        f.write("edited\\n")
    with open(name[:250] + b".new", "w") as f:
        f.write("new\\n")
"""))
    names = [os.fsdecode(n) for n in NAMES]
    assert {p: c["kind"] for p, c in review.diff().items()} == {
        **dict.fromkeys(names, "modified"),
        **{os.fsdecode(n[:250] + b".new"): "added" for n in NAMES}}
    for name in NAMES:
        done = review.purple("diff", review.name, "--name-only", "-z", "--", name.decode(
            errors="surrogateescape"), text=False)
        assert done.stdout == name + b"\0", (name, done)
    for words in ((), ("--stat",), ("--name-only",), ("--json",)):
        text = review.purple("diff", review.name, *words).stdout
        assert all(c in "\n\t" or c.isprintable() for c in text), words
    text = ok(review.apply())
    assert all(c in "\n\t" or c.isprintable() for c in text), text
    for name in NAMES:
        with open(os.path.join(top, name), encoding="ascii") as f:
            assert f.read() == "edited\n"
    assert len(os.listdir(top)) == 2 * len(NAMES)


def test_sockets_and_fifos_of_the_host(as_user, review):
    """Seen, and left alone; a FIFO that is opened by nobody makes nobody wait."""
    os.mkfifo(as_user.workspace / "fifo")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(os.path.relpath(as_user.workspace / "socket"))
        s.listen()
        own(as_user, *as_user.workspace.iterdir())
        settle(as_user)
        word = untouched(as_user.workspace)
        ok(review.shell("test -p fifo && test -S socket && chmod 600 fifo socket && "
                        "mv socket plain && python3 -c 'import socket; s = socket.socket("
                        "socket.AF_UNIX); s.bind(\"made\")' && mkfifo made-fifo"))
        assert untouched(as_user.workspace) == word
    found = review.diff()
    assert {p: c["kind"] for p, c in found.items()} == {
        "fifo": "meta", "socket": "deleted", "plain": "added", "made": "added",
        "made-fifo": "added"}
    for name in ("plain", "made", "made-fifo"):
        assert found[name]["executes_on_host"]["kind"] == "special"
    done = review.apply()
    assert done.returncode == 1 and "is a socket" in done.stdout, done
    now = listing(as_user.workspace)
    assert not {"plain", "made"} & now.keys(), "no socket is made"
    assert (now["fifo"]["kind"], now["fifo"]["mode"]) == ("fifo", "0600")


@needs_root
def test_device_nodes_of_the_host(as_user, review):
    """Looked at from inside, they open nothing; and nobody can make one inside."""
    for name, minor in (("null", 3), ("zero", 5)):
        path = as_user.workspace / name
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        path.chmod(0o666)
    word = untouched(as_user.workspace)
    done = review.shell("head -c 1 zero; echo $?; echo x > null; echo $?; mknod d c 1 3; "
                        "echo $?; rm null; ls")
    status = done.stdout.split()
    assert status[0] != "0" and status[1] != "0" and status[2] != "0", done
    assert status[3:] == ["zero"] and untouched(as_user.workspace) == word
    assert {p: c["kind"] for p, c in review.diff().items()} == {"null": "deleted"}


@needs_root
def test_immutable_files_of_the_host(as_user, review):
    path = as_user.write("fixed/file", "mine\n")
    as_user.write("free", "mine\n")
    if subprocess.run(["chattr", "+i", path, path.parent], check=False,
                      capture_output=True).returncode:
        pytest.skip("no file can be made immutable here")
    try:
        word = untouched(as_user.workspace)
        ok(review.shell("echo edited > free; echo edited > fixed/file; echo new > fixed/new; "
                        "rm -rf fixed; true"))
        assert untouched(as_user.workspace) == word
        found = review.diff()
        assert found["free"]["kind"] == "modified"
        assert set(found) <= {"free", "fixed", "fixed/file", "fixed/new"}
    finally:
        subprocess.run(["chattr", "-i", path, path.parent], check=True)


# ---- hosts that will not have it ----

@needs_root
def test_apply_onto_a_full_disk(as_user, review):
    with tmpfs(as_user, "size=1M") as top:
        (top / "small").write_text("mine\n")
        own(as_user, top / "small")
        settle(as_user, top)
        ok(review.shell("echo edited > small; head -c 3M /dev/urandom > large; echo new > new",
                        options=["-w", f"{top}:review"]))
        before = listing(top)
        done = review.apply()
        assert done.returncode in (1, 125), done
        assert "large" in done.stdout + done.stderr
        assert "No space left on device" in done.stdout + done.stderr
        assert not list(top.rglob(".purple-*"))
        now = listing(top)
        assert "large" not in now
        assert differences(before, now) == [] or (top / "small").read_text() == "edited\n"
        # With room it goes on.
        subprocess.run(["mount", "-o", "remount,size=16M", top], check=True)
        ok(review.apply())
        assert (top / "large").stat().st_size == 3 << 20
        assert (top / "small").read_text() == "edited\n" and not review.store.exists()


@needs_root
def test_apply_onto_what_is_read_only_by_now(as_user, review):
    with tmpfs(as_user) as top:
        (top / "file").write_text("mine\n")
        own(as_user, top / "file")
        settle(as_user, top)
        ok(review.shell("echo edited > file; echo new > new", options=["-w", f"{top}:review"]))
        subprocess.run(["mount", "-o", "remount,ro", top], check=True)
        word = untouched(top)
        done = review.apply()
        assert done.returncode in (1, 125) and "Read-only file system" in done.stdout + done.stderr
        assert untouched(top) == word
        subprocess.run(["mount", "-o", "remount,rw", top], check=True)
        ok(review.apply())
        assert (top / "file").read_text() == "edited\n"


def test_apply_onto_a_directory_that_became_a_file(as_user, review):
    as_user.write("dir/file", "mine\n")
    as_user.write("other", "mine\n")
    settle(as_user)
    ok(review.shell("echo edited > dir/file; echo new > dir/new; echo edited > other"))
    as_user.run(["sh", "-c", "rm -r dir; echo host > dir"])
    word = untouched(as_user.workspace)
    done = review.apply()
    assert done.returncode == 1 and "conflict" in done.stdout and "dir" in done.stdout, done
    assert untouched(as_user.workspace) == word
    done = review.apply("--skip-conflicts")
    assert done.returncode == 1, done
    assert (as_user.workspace / "dir").read_text() == "host\n"
    assert (as_user.workspace / "other").read_text() == "edited\n"


@needs_root
def test_apply_onto_an_immutable_file(as_user, review):
    """Nobody may replace it, root neither; the rest lands or waits, and it is as it was."""
    path = as_user.write("fixed", "mine\n")
    as_user.write("free", "mine\n")
    settle(as_user)
    ok(review.shell("echo edited > fixed; echo edited > free"))
    was = listing(as_user.workspace)["fixed"]
    if subprocess.run(["chattr", "+i", path], check=False, capture_output=True).returncode:
        pytest.skip("no file can be made immutable here")
    try:
        done = review.apply("--skip-conflicts")
        assert done.returncode in (1, 125) and "fixed" in done.stdout + done.stderr, done
        assert path.read_text() == "mine\n"
        assert listing(as_user.workspace)["fixed"]["inode"] == was["inode"]
        assert not list(as_user.workspace.rglob(".purple-*"))
        assert review.store.exists() and "fixed" in review.diff()
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


def test_apply_without_write_permission(as_user, review):
    if as_user.uid == 0:
        pytest.skip("root may write all")
    as_user.write("dir/file", "mine\n")
    settle(as_user)
    ok(review.shell("echo edited > dir/file; echo new > dir/new; echo new > new"))
    (as_user.workspace / "dir").chmod(0o555)
    word = untouched(as_user.workspace / "dir")
    done = review.apply()
    assert done.returncode in (1, 125) and "dir" in done.stdout + done.stderr, done
    assert untouched(as_user.workspace / "dir") == word
    (as_user.workspace / "dir").chmod(0o755)


def test_apply_of_a_workspace_that_is_gone(as_user, review):
    (as_user.workspace / "sub").mkdir()
    own(as_user, as_user.workspace / "sub")
    ok(review.shell("echo new > new", options=["-w", "sub:review"]))
    (as_user.workspace / "sub").rmdir()
    refused(review.apply(), 125, "sub")
    assert review.store.exists()
    review.discard()
