# SPDX-License-Identifier: Apache-2.0
"""
An output box takes and gives nothing back: what is in it cannot be read, listed or led out of it,
by whatever name; and it takes no more than it may. With the layer off each of these succeeds.
"""
import json

import pytest

ATTACK = r"""
import json, mmap, os, shutil, subprocess
done = []

def attempt(name, what):
    try:
        what()
    except OSError:
        return
    done.append(name)

def write(path, data=b"secret"):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(fd, data)
    return fd

held = write("/out/file")
os.mkdir("/out/dir")
os.close(write("/out/dir/below"))

def opened(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags))

def mapped():
    fd = os.open("/out/file", os.O_RDWR)
    mmap.mmap(fd, 1, prot=mmap.PROT_READ)

# Who owns it may give it back all permission bits; that must not help.
for path, mode in (("/out", 0o777), ("/out/dir", 0o777), ("/out/file", 0o777)):
    attempt("", lambda: os.chmod(path, mode))
done.clear()

attempt("read", lambda: opened("/out/file"))
attempt("read and write", lambda: opened("/out/file", os.O_RDWR))
attempt("map", mapped)
attempt("reopen", lambda: opened(f"/proc/self/fd/{held}"))
attempt("by /proc/self/root", lambda: opened("/proc/self/root/out/file"))
attempt("by a descriptor", lambda: os.close(os.open(
    "file", os.O_RDONLY, dir_fd=os.open("/out", os.O_PATH))))
attempt("below", lambda: opened("/out/dir/below"))
attempt("execute", lambda: subprocess.run(["/out/file"]))
attempt("list", lambda: os.listdir("/out"))
attempt("list below", lambda: os.listdir("/out/dir"))
attempt("list by a descriptor", lambda: os.listdir(os.open("/out", os.O_RDONLY)))
attempt("link out", lambda: os.link("/out/file", "/tmp/linked"))
attempt("link by descriptor", lambda: os.link(f"/proc/self/fd/{held}", "/tmp/linked2",
                                              follow_symlinks=True))
attempt("rename out", lambda: os.rename("/out/file", "/tmp/moved"))
attempt("rename a directory out", lambda: os.rename("/out/dir", "/tmp/moved"))
attempt("symlink", lambda: os.symlink("/etc", "/out/link"))
attempt("fifo", lambda: os.mkfifo("/out/fifo"))
attempt("link in", lambda: os.link("/usr/bin/env", "/out/env"))
attempt("copy within", lambda: shutil.copyfile("/out/file", "/out/copy"))
print(json.dumps(done))
"""

FILL = r"""
import os
fd = os.open("/out/big", os.O_WRONLY | os.O_CREAT)
n = 0
try:
    while n < 4 << 20:
        n += os.write(fd, bytes(65536))
except OSError:
    pass
print(n)
"""


@pytest.fixture(name="box")
def fixture_box(lab):
    path = lab.own_dir(lab.runner.base / "box")
    return ["--output", f"{path}:/out"]


def attack(lab, options, ops=()):
    command = ["python3", "-c", ATTACK]
    done = lab.run_edited(ops, command, options) if ops else lab.run(command, options)
    assert done.returncode == 0, done
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_it_gives_nothing_back(lab, box):
    assert attack(lab, box) == set()


def test_not_to_an_owner_of_everything_inside_either(lab, box):
    caps = [word for cap in ("DAC_OVERRIDE", "FOWNER", "DAC_READ_SEARCH")
            for word in ("--cap-add", f"CAP_{cap}")]
    assert attack(lab, [*box, *caps]) == set()


def test_without_landlock_it_does(lab, box):
    found = attack(lab, box, ["off:landlock"])
    expected = {"read", "read and write", "map", "reopen", "by /proc/self/root", "by a descriptor",
                "below", "list below", "symlink", "copy within"}
    assert not expected - found, (expected - found, found)
    # As root the box itself belongs to somebody else.
    assert ("list" in found) == (lab.runner.uid != 0), found
    # What is another file system stays one.
    assert not found & {"link out", "rename out", "link in"}, found


@pytest.mark.parametrize("limit, fits", [("1M", False), ("8M", True)])
def test_its_size_is_a_limit(lab, box, limit, fits):
    done = lab.run(["python3", "-c", FILL], [*box, "--output-size", limit])
    assert done.returncode == 0, done
    assert (int(done.stdout) == 4 << 20) == fits
    size = (lab.runner.base / "box" / "big").stat().st_size
    assert size == int(done.stdout) and (fits or size <= 1 << 20)
