# SPDX-License-Identifier: Apache-2.0
"""
What may happen to a trail that is written: the disk is full or read-only, somebody rotates the
file away, writers are killed, verifiers read meanwhile, names are hostile, there are many lines.
"""
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import subprocess

import pytest

from running import eventually, needs_root, ok
from trail_writer import writer

SEED = int(os.environ.get("TRAIL_SEED", random.SystemRandom().randrange(1 << 32)))


def verify(runner, path, **kw):
    return runner.run([runner.purple, "audit", "verify", path], **kw)


@pytest.fixture
def directory(as_user):
    made = as_user.home / "trail"
    made.mkdir(mode=0o700)
    os.chown(made, as_user.uid, as_user.uid)
    return made


def lines_of(directory):
    files = [p for p in directory.iterdir() if re.search(r"jsonl(\.\d+)?$", p.name)]
    lines = [json.loads(line) for p in files for line in p.read_bytes().splitlines()]
    return sorted(lines, key=lambda line: line["seq"])


@pytest.fixture
def small_disk(as_user, directory):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=64k,mode=700,uid={as_user.uid}", "trail",
                    str(directory)], check=True)
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


@needs_root
def test_full_disk(as_user, small_disk):
    path, tool = small_disk / "audit.jsonl", writer(as_user)
    done = as_user.run([tool, path, 1000, 0, 10])
    assert done.returncode == 1
    assert "No space left on device" in done.stderr and "make room on that disk" in done.stderr
    written = int(done.stdout.split()[-1])
    assert verify(as_user, path).returncode == 0
    assert len(lines_of(small_disk)) == written + 1
    # It goes on where it was once there is room.
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    ok(as_user.run([tool, path, 10, 0]))
    assert verify(as_user, path).returncode == 0
    assert len(lines_of(small_disk)) == written + 11


@needs_root
def test_full_disk_at_rotation(as_user, small_disk):
    path, tool = small_disk / "audit.jsonl", writer(as_user)
    done = as_user.run([tool, path, 1000, 4096, 3])
    assert done.returncode == 1 and "No space left on device" in done.stderr
    assert verify(as_user, path).returncode == 0
    assert len([line for line in lines_of(small_disk) if line["type"] == "file.write"]) == \
        int(done.stdout.split()[-1])


@needs_root
def test_read_only(as_user, small_disk):
    path, tool = small_disk / "audit.jsonl", writer(as_user)
    ok(as_user.run([tool, path, 3, 0]))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = as_user.run([tool, path, 1, 0])
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr and "audit.log_path" in done.stderr
    assert verify(as_user, path).returncode == 0


def gone(directory):
    shutil.rmtree(directory, ignore_errors=True)
    return not directory.exists()


def test_vanished_directory(as_user, directory):
    """While it writes; it says so, and a new trail is begun where one is wanted."""
    path, tool = directory / "audit.jsonl", writer(as_user)
    with as_user.popen([tool, path, 10_000_000, 0], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        os.rename(directory, as_user.home / "away")
        # It makes its files anew as long as there is a directory.
        assert eventually(lambda: gone(as_user.home / "away"), 30)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and "No such file or directory" in err and "mkdir" in err
    assert verify(as_user, path).returncode == 125
    ok(as_user.run([tool, path, 2, 0]))
    assert verify(as_user, path).returncode == 0


@pytest.mark.parametrize("create", [False, True])
def test_rotated_by_others(as_user, directory, create):
    """As logrotate does, the newest first, while two supervisors write."""
    path, tool = directory / "audit.jsonl", writer(as_user)
    writers = [as_user.popen([tool, path, 4000, 0], stdout=subprocess.DEVNULL) for _ in range(2)]
    for _ in range(3):
        assert eventually(lambda: path.exists() and path.stat().st_size > 50_000, 60)
        for number in (2, 1):
            old = pathlib.Path(f"{path}.{number}")
            if old.exists():
                old.rename(f"{path}.{number + 1}")
        path.rename(f"{path}.1")
        if create:
            empty = directory / "empty"  # of the user before it has that name
            empty.touch(0o600)
            os.chown(empty, as_user.uid, as_user.uid)
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(empty)
            empty.unlink()
    assert [w.wait(timeout=120) for w in writers] == [0, 0]
    done = verify(as_user, path)
    assert done.returncode == 0, done.stdout
    lines = lines_of(directory)
    assert collections.Counter(line["type"] for line in lines) == \
        {"file.write": 8000, "audit.opened": 4}


def test_verifiers_while_it_is_written(as_user, directory):
    path, tool = directory / "audit.jsonl", writer(as_user)
    ok(as_user.run([tool, path, 1, 0]))
    writers = [as_user.popen([tool, path, 3000, 100_000], stdout=subprocess.DEVNULL)
               for _ in range(2)]
    rounds = 0
    while any(w.poll() is None for w in writers):
        both = [as_user.popen([as_user.purple, "audit", "verify", path], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) for _ in range(2)]
        for process in both:
            out = process.communicate(timeout=60)[0]
            assert process.returncode == 0, out
        rounds += 1
    assert [w.wait() for w in writers] == [0, 0] and rounds > 0
    ok(verify(as_user, path))
    assert len([line for line in lines_of(directory) if line["type"] == "file.write"]) == 6001


def test_hostile_names(as_user, directory):
    """4,095 bytes with every value, as the name of a file: printable, and to be had back."""
    path, tool = directory / "audit.jsonl", writer(as_user)
    name = bytes(range(1, 256)) * 16 + b"\n\x1b[2J\xff\xc2\x9b'\"\\"
    name = name[:4095].ljust(4095, b"\x1b")
    file = as_user.write("name", "")
    file.write_bytes(name)
    ok(as_user.run([tool, path, 3, 0, 1, file]))
    assert verify(as_user, path).returncode == 0
    data = path.read_bytes()
    assert data.count(b"\n") == 4
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", data)
    data.decode()
    text = lines_of(directory)[1]["path"].encode()
    back = re.sub(rb"\\(\\|x[0-9a-f]{2})",
                  lambda m: b"\\" if m[1] == b"\\" else bytes([int(m[1][1:], 16)]), text)
    assert back == name


def test_killed_writers(as_user, directory):
    """By SIGKILL at any moment: what was acknowledged is there, once; nothing else is wrong."""
    rnd = random.Random(SEED)
    print(f"TRAIL_SEED={SEED}")
    path, tool = directory / "audit.jsonl", writer(as_user)
    acknowledged = {}
    for _ in range(20):
        writers = [as_user.popen([tool, path, 1_000_000, 20_000, rnd.choice([1, 2, 7])],
                                 stdout=subprocess.PIPE, text=True) for _ in range(3)]
        for process in writers:
            for _ in range(rnd.randrange(1, 30)):
                last = process.stdout.readline()
            process.kill()
            # What it wrote until it was killed may be in the pipe still.
            acknowledged[process.pid] = int(([last] + process.stdout.readlines())[-1])
            process.stdout.close()
            process.wait()
        assert verify(as_user, path).returncode == 0
    ok(as_user.run([tool, path, 1, 20_000]))
    done = verify(as_user, path)
    assert done.returncode == 0 and "a writer died" not in done.stdout, done.stdout
    counts = collections.defaultdict(list)
    for line in lines_of(directory):
        if line["type"] == "file.write":
            counts[line["pid"]].append(line["count"])
    for pid, last in acknowledged.items():
        got = counts[pid]
        assert got == list(range(1, len(got) + 1)), f"TRAIL_SEED={SEED}"
        assert last <= len(got) <= last + 7, f"TRAIL_SEED={SEED}"


def test_a_million_lines(as_user, directory):
    if as_user.name == "root":
        pytest.skip("once is enough")
    path, tool = directory / "audit.jsonl", writer(as_user)
    done = as_user.run([tool, path, 1_000_000, 64 << 20, 500], timeout=300)
    assert done.returncode == 0, done.stderr
    files = len([p for p in directory.iterdir() if re.search(r"jsonl(\.\d+)?$", p.name)])
    assert files > 3
    out = ok(verify(as_user, path, timeout=300))
    assert f"{1_000_000 + files} lines in {files} files: good" in out
