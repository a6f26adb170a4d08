# SPDX-License-Identifier: Apache-2.0
"""
`purple audit verify` finds whatever was done to a trail: a thousand random edits, cuts, swaps and
joins, each alone, and says in which line. The trail is one of real sandboxes, in several files.
Its seed is printed; TAMPER_SEED repeats it, TAMPER_COUNT makes it longer.
"""
import hashlib
import os
import pathlib
import random
import re
import subprocess

import pytest

import sanitizing
from running import ok, run
from trail_writer import writer

SEED = int(os.environ.get("TAMPER_SEED", random.SystemRandom().randrange(1 << 32)))
COUNT = int(os.environ.get("TAMPER_COUNT", "1000"))
FAULT = re.compile(r"^([^:\n]+)(?::(\d+))?(?:: seq (\d+)(?:-(\d+))?)?: ([a-z ]+): .*$")


def faults(output):
    """(file, line, first seq, kind) of each."""
    found = [FAULT.match(line) for line in output.splitlines()]
    return [(m[1], int(m[2] or 0), int(m[3] or 0), m[5]) for m in found if m]


@pytest.fixture
def trail(as_user):
    """Real sandboxes, and four files, each with its head: another writer rotates them early."""
    path = as_user.home / "trail" / "audit.jsonl"
    tool = writer(as_user)
    for _ in range(4):
        for _ in range(3):
            ok(run(as_user, "sh", "-c", "echo a > /tmp/b; cat /etc/shadow; uname; true",
                   options=["--audit", "--audit-log", str(path)]))
        ok(as_user.run([tool, path, 1, 2000]))
    assert len(files_of(path)) >= 4
    return path


def files_of(path):
    return sorted(p for p in path.parent.iterdir() if re.search(r"jsonl(\.\d+)?$", p.name))


def line_at(data, offset):
    return data.count(b"\n", 0, offset) + 1


def edit(data, rnd):
    at = rnd.randrange(len(data))
    byte = rnd.choice([b for b in range(256) if b != data[at]])
    return data[:at] + bytes([byte]) + data[at + 1:], {line_at(data, at)}


def insert(data, rnd):
    at = rnd.randrange(len(data))
    byte = bytes([rnd.randrange(256)])
    line = line_at(data, at)
    return data[:at] + byte + data[at:], {line, line - 1} if data[at - 1:at] == b"\n" else {line}


def cut(data, rnd):
    at = rnd.randrange(len(data))
    end = min(len(data), at + rnd.choice([1, 2, 20, 200, 2000]))
    line = line_at(data, at)
    # A newline and the line behind it: the same as that line and its newline.
    return data[:at] + data[end:], {line, line + 1} if data[at:at + 1] == b"\n" else {line}


def cut_lines(data, rnd):
    lines = data.splitlines(keepends=True)
    at = rnd.randrange(len(lines))
    del lines[at:at + rnd.randint(1, 5)]
    return b"".join(lines), {at + 1}


def cut_end(data, rnd):
    at = rnd.randrange(len(data))
    return data[:at], {line_at(data, at)}


def swap(data, rnd):
    lines = data.splitlines(keepends=True)
    a, b = sorted(rnd.sample(range(len(lines)), 2))
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines), {a + 1}


def move(data, rnd):
    lines = data.splitlines(keepends=True)
    a, b = rnd.sample(range(len(lines)), 2)
    lines.insert(b, lines.pop(a))
    return b"".join(lines), {min(a, b) + 1}


def repeat(data, rnd):
    lines = data.splitlines(keepends=True)
    a, b = rnd.randrange(len(lines)), rnd.randrange(len(lines) + 1)
    lines.insert(b, lines[a])
    return b"".join(lines), {b + 1, b + 2} if a == b else {b + 1}


def join(data, rnd):
    ends = [i for i in range(len(data) - 1) if data[i:i + 1] == b"\n"]
    at = rnd.choice(ends)
    return data[:at] + data[at + 1:], {line_at(data, at)}


WAYS = [edit, edit, edit, edit, insert, cut, cut_lines, cut_end, swap, swap, move, repeat, join]


def verify(runner, path):
    # Not as the user: a change of identity makes a fork of all of pytest, a thousand times.
    done = subprocess.run([runner.purple, "audit", "verify", str(path)], check=False, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, env=runner.env)
    sanitizing.check(done)
    return done


def test_a_thousand(as_user, trail):
    rnd = random.Random(SEED)
    print(f"TAMPER_SEED={SEED}")
    done = verify(as_user, trail)
    assert done.returncode == 0 and not faults(done.stdout), done.stdout + done.stderr
    files, wrong = files_of(trail), []
    for number in range(COUNT if as_user.name == "user" else COUNT // 10):
        way, file = rnd.choice(WAYS), rnd.choice(files)
        whole = changed = file.read_bytes()
        while changed == whole:
            changed, lines = way(whole, rnd)
        file.write_bytes(changed)
        done = verify(as_user, trail)
        file.write_bytes(whole)
        found = faults(done.stdout)
        if done.returncode != 1 or not found or found[0][0] != file.name or \
                found[0][1] not in lines:
            wrong.append(f"{number} {way.__name__} {file.name} {sorted(lines)}: "
                         f"{done.returncode} {found[:3]}")
    assert not wrong, f"TAMPER_SEED={SEED}\n" + "\n".join(wrong)
    assert verify(as_user, trail).returncode == 0


def test_heads(as_user, trail):
    """Every byte of the last head, and of an older one."""
    for head in (f"{trail}.head", f"{trail}.2.head"):
        whole = pathlib.Path(head).read_bytes()
        for at in range(len(whole)):
            byte = b"1" if whole[at:at + 1] != b"1" else b"2"
            pathlib.Path(head).write_bytes(whole[:at] + byte + whole[at + 1:])
            done = verify(as_user, trail)
            found = faults(done.stdout)
            assert done.returncode == 1 and len(found) == 1, (at, done.stdout)
            assert found[0][3] in ("head disagrees", "changed", "cut off"), (at, done.stdout)
        pathlib.Path(head).write_bytes(whole)
    os.unlink(f"{trail}.head")
    assert faults(verify(as_user, trail).stdout)[0][3] == "head disagrees"
    # The next writer goes on, but does not hide it.
    ok(as_user.run([writer(as_user), trail, 1, 0]))
    done = verify(as_user, trail)
    assert done.returncode == 0 and "the trail says itself that something is missing" in done.stdout
    assert "whether some at the end are gone, nobody can say" in pathlib.Path(trail).read_text()


def test_files(as_user, trail):
    """A file that is gone, the first, one between and the last."""
    for name, kind in ((f"{trail}.1", "older files missing"), (f"{trail}.2", "missing"),
                       (trail, "cut off")):
        os.rename(name, f"{name}-away")
        done = verify(as_user, trail)
        os.rename(f"{name}-away", name)
        assert done.returncode == 1 and [f[3] for f in faults(done.stdout)] == [kind], done.stdout
    assert verify(as_user, trail).returncode == 0


def test_signatures(as_user, trail):
    """A trail that was written anew, hashes and heads and all, is found by its signature."""
    key, pub = as_user.home / "k", as_user.home / "k.pub"
    ok(as_user.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key]))
    ok(as_user.run(["openssl", "pkey", "-in", key, "-pubout", "-out", pub]))
    audit = [as_user.purple, "audit"]
    assert faults(as_user.run([*audit, "verify", "-k", pub, trail]).stdout)[0][3] == \
        "signature wrong"
    ok(as_user.run([*audit, "sign", "-k", key, trail]))
    assert "signed up to line" in ok(as_user.run([*audit, "verify", "-k", pub, trail]))
    # As RFC 8032 and OpenSSL have it.
    head, sign = pathlib.Path(f"{trail}.sig").read_text().split("\n", 1)
    (as_user.home / "m").write_text(head + "\n")
    (as_user.home / "s").write_bytes(bytes.fromhex(sign.split("signature=")[1]))
    ok(as_user.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", pub, "-rawin",
                    "-in", as_user.home / "m", "-sigfile", as_user.home / "s"]))
    # Of a line that was changed before it, it says nothing.
    lines = trail.read_bytes()
    trail.write_bytes(lines.replace(b'"seq":2,', b'"seq":2, ', 1)[:-1])
    done = as_user.run([*audit, "verify", "-k", pub, trail])
    assert done.returncode == 1 and "signed up to" not in done.stdout
    trail.write_bytes(lines)
    # Lines that follow take nothing from it.
    ok(as_user.run([writer(as_user), trail, 1, 0]))
    done = as_user.run([*audit, "verify", "-k", pub, trail])
    assert done.returncode == 0 and re.search(r"signed up to line (\d+) of (?!\1)", done.stdout)
    assert "which follow, are covered by no signature" in done.stdout
    for at in (30, len(head) + 10, len(head) + 100, len(head) + 150):
        text = pathlib.Path(f"{trail}.sig").read_text()
        byte = "1" if text[at] != "1" else "2"
        pathlib.Path(f"{trail}.sig").write_text(text[:at] + byte + text[at + 1:])
        done = as_user.run([*audit, "verify", "-k", pub, trail])
        pathlib.Path(f"{trail}.sig").write_text(text)
        assert done.returncode == 1 and \
            "signature wrong" in [f[3] for f in faults(done.stdout)], done.stdout
    forge(trail)
    assert verify(as_user, trail).returncode == 0
    done = as_user.run([*audit, "verify", "-k", pub, trail])
    assert done.returncode == 1, done.stdout
    assert {f[3] for f in faults(done.stdout)} == {"signature wrong"}, done.stdout


def forge(path):
    """The second line says another thing, and all the rest fits."""
    prev, seq = "0" * 64, 0
    for file in [f"{path}.{i}" for i in range(1, len(files_of(path)))] + [str(path)]:
        out = []
        for line in pathlib.Path(file).read_text().splitlines():
            seq += 1
            line = line[:line.rindex('"prev":"')] + f'"prev":"{prev}"}}'
            if seq == 2:
                line = line.replace('"uid":', '"uid":1')
            prev = hashlib.sha256(line.encode()).hexdigest()
            out.append(line + "\n")
        data = "".join(out)
        pathlib.Path(file).write_text(data)
        pathlib.Path(f"{file}.head").write_text(
            f"purple-trail 1 seq={seq + 1:020d} size={len(data.encode()):020d} hash={prev}\n")


def test_init(as_user, trail):
    """The key that is made signs at the end of each sandbox; it is not written over."""
    if as_user.name == "root":
        pytest.skip("root's key is the machine's")
    made = ok(as_user.run([as_user.purple, "audit", "init"]))
    key = as_user.home / ".config/purple/audit.key"
    assert str(key) in made and key.stat().st_mode & 0o777 == 0o600
    whole = key.read_bytes()
    done = as_user.run([as_user.purple, "audit", "init"])
    assert done.returncode == 125 and "not written over" in done.stderr
    assert key.read_bytes() == whole
    ok(run(as_user, "true", options=["--audit", "--audit-log", str(trail)]))
    done = ok(as_user.run([as_user.purple, "audit", "verify", trail]))
    assert re.search(r"signed up to line (\d+) of \1\n", done), done
    done = run(as_user, "cat", str(key), options=["--ro", str(key)])
    assert done.returncode == 125 and "signed with" in done.stderr
    key.chmod(0o644)
    done = run(as_user, "true", options=["--audit", "--audit-log", str(trail)])
    assert done.returncode == 0 and "others may read it" in done.stderr
