# SPDX-License-Identifier: Apache-2.0
"""
denials.file: whoever is refused reads why, and can neither change that nor put something else in
its place: not as an owner of everything inside, not from a user namespace of its own, and not
where Landlock is off.
"""
import json

import pytest

FILE = "/run/purple/denials.jsonl"
DIR = "/run/purple"

ATTACK = r"""
import ctypes, fcntl, json, mmap, os, shutil, stat, sys, time
FILE, DIR = "/run/purple/denials.jsonl", "/run/purple"
libc = ctypes.CDLL(None, use_errno=True)
done = []

def told():
    with open(FILE) as f:
        return [json.loads(line) for line in f]

def wait(what):
    # The supervisor tells a moment after it has answered.
    for _ in range(500):
        if any(what in d["what"] for d in told()):
            return told()
        time.sleep(0.02)
    sys.exit("not told: " + what)

def attempt(name, what):
    try:
        what()
    except (OSError, ValueError, KeyError):
        return
    done.append(name)

def call(*args):
    args = [a.encode() if isinstance(a, str) else a for a in args]
    if args[0](*args[1:]) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def opened(path, flags):
    os.close(os.open(path, flags, 0o600))

def reopen(flags):
    fd = os.open(FILE, os.O_RDONLY)
    try:
        opened("/proc/self/fd/%d" % fd, flags)
    finally:
        os.close(fd)

def by_descriptor(what):
    fd = os.open(FILE, os.O_RDONLY)
    try:
        what(fd)
    finally:
        os.close(fd)

def others():
    # Somebody else's descriptor, writable: PID 1's, or of any process there is.
    wanted = os.stat(FILE)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for fd in os.listdir("/proc/%s/fd" % pid):
            path = "/proc/%s/fd/%s" % (pid, fd)
            if os.path.samestat(os.stat(path), wanted):
                opened(path, os.O_WRONLY)
                return
    raise OSError("none")

with open("/tmp/mine", "w") as f:
    f.write("{}\n")
try:
    open("/first-refusal", "w")
except OSError:
    pass
before = wait("/first-refusal")

for name in ("O_WRONLY", "O_RDWR", "O_APPEND", "O_TRUNC", "O_CREAT"):
    flags = getattr(os, name) | (os.O_WRONLY if name not in ("O_WRONLY", "O_RDWR") else 0)
    attempt("open " + name, lambda: opened(FILE, flags))
    attempt("reopen " + name, lambda: reopen(flags))
attempt("truncate by O_RDONLY", lambda: opened(FILE, os.O_RDONLY | os.O_TRUNC))
attempt("truncate", lambda: os.truncate(FILE, 0))
attempt("ftruncate", lambda: by_descriptor(lambda fd: os.ftruncate(fd, 0)))
attempt("write", lambda: by_descriptor(lambda fd: os.write(fd, b"x")))
attempt("fallocate", lambda: by_descriptor(lambda fd: os.posix_fallocate(fd, 0, 100)))
attempt("map", lambda: by_descriptor(lambda fd: mmap.mmap(fd, 100)))
attempt("fchmod", lambda: by_descriptor(lambda fd: os.fchmod(fd, 0o666)))
attempt("unlink", lambda: os.unlink(FILE))
attempt("rename away", lambda: os.rename(FILE, DIR + "/other"))
attempt("rename out", lambda: os.rename(FILE, "/tmp/other"))
attempt("rename over", lambda: os.rename("/tmp/mine", FILE))
attempt("rename directory", lambda: os.rename(DIR, "/run/other"))
attempt("rename directory out", lambda: os.rename(DIR, "/tmp/other"))
attempt("rmdir", lambda: os.rmdir(DIR))
attempt("rmtree", lambda: shutil.rmtree(DIR))
attempt("link out", lambda: os.link(FILE, "/tmp/linked"))
attempt("link beside", lambda: os.link(FILE, DIR + "/linked"))
attempt("link over", lambda: os.link("/tmp/mine", FILE))
attempt("link by descriptor", lambda: by_descriptor(
    lambda fd: os.link("/proc/self/fd/%d" % fd, "/tmp/linked", follow_symlinks=True)))
attempt("symlink beside", lambda: os.symlink("/tmp/mine", DIR + "/linked"))
attempt("new file", lambda: opened(DIR + "/new", os.O_WRONLY | os.O_CREAT))
attempt("unnamed file", lambda: opened(DIR, os.O_WRONLY | os.O_TMPFILE))
attempt("new directory", lambda: os.mkdir("/run/new"))
attempt("chmod", lambda: os.chmod(FILE, 0o666))
attempt("chmod directory", lambda: os.chmod(DIR, 0o777))
attempt("chown", lambda: os.chown(FILE, os.getuid(), os.getgid()))
attempt("utime", lambda: os.utime(FILE, (0, 0)))
attempt("attribute", lambda: os.setxattr(FILE, "user.x", b"y"))
attempt("others", others)
for how in ("proc", "tmpfs"):
    attempt("mount over", lambda: call(libc.mount, "none", DIR, how, 0, None))
attempt("bind over", lambda: call(libc.mount, "/tmp/mine", FILE, None, 4096, None))
attempt("remount", lambda: call(libc.mount, None, "/", None, 32, None))
attempt("remount bind", lambda: call(libc.mount, None, "/", None, 32 | 4096, None))
attempt("unmount", lambda: call(libc.umount2, "/", 2))

try:
    open("/second-refusal", "w")
except OSError:
    pass
after = wait("/second-refusal")
causes = {(d["what"], d["layer"], d["reason"]) for d in after}
same = after[:len(before)] == before and len(causes) == len(after)
print(json.dumps({"done": done, "same": same, "told": len(after)}))
"""

# The rights of every owner inside, in the sandbox's own user namespace.
OWNER = [word for cap in ("DAC_OVERRIDE", "FOWNER", "CHOWN", "SETFCAP", "LINUX_IMMUTABLE")
         for word in ("--cap-add", f"CAP_{cap}")]


def attack(lab, *options, ops=(), before=()):
    options = ["--denials-file", FILE, *options]
    command = [*before, "python3", "-c", ATTACK]
    done = lab.run_edited(ops, command, options) if ops else lab.run(command, options)
    assert done.returncode == 0, done
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("options", [(), OWNER], ids=["plain", "owner"])
def test_nobody_inside_changes_it(lab, options):
    found = attack(lab, *options)
    assert found["done"] == [] and found["same"], found


def test_nor_from_a_namespace_of_ones_own(lab):
    """With all capabilities there: no mount can be changed in Landlock's domain."""
    found = attack(lab, "--nesting", before=["unshare", "--user", "--mount", "--propagation",
                                             "unchanged"])
    assert found["done"] == [] and found["same"], found


def test_without_landlock_the_mount_holds(lab):
    found = attack(lab, *OWNER, ops=["off:landlock"])
    assert found["done"] == [] and found["same"], found


def test_a_sandbox_that_stays(lab):
    """What comes in by exec is told there, and has no descriptor of it."""
    def purple(*words):
        return lab.runner.run([lab.runner.purple, *words])

    name = f"denials-{lab.runner.uid}"
    made = purple("create", "-p", lab.policy, "--denials-file", FILE, name)
    assert made.returncode == 0, made
    try:
        done = purple("exec", name, "--", "python3", "-c", ATTACK)
        assert done.returncode == 0, done
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["done"] == [] and found["same"], found
    finally:
        purple("rm", "-f", name)


def test_it_is_bounded(lab):
    """A megabyte, then a last line; many kinds of refusals are counted."""
    script = rf"""
import json, os, time
FILE = {FILE!r}
for i in range(3000):
    try:
        open("/" + "x" * 200 + str(i), "w")
    except OSError:
        pass
    if i % 300 == 299:
        time.sleep(1.1)
time.sleep(1)
data = open(FILE).read()
lines = [json.loads(line) for line in data.splitlines()]
print(json.dumps([len(data), len(lines), sorted({{d["type"] for d in lines}})]))
"""
    done = lab.run(["python3", "-c", script], ["--denials-file", FILE])
    assert done.returncode == 0, done
    size, lines, types = json.loads(done.stdout)
    assert size <= 1 << 20 and 64 <= lines <= 80, (size, lines)
    assert types == ["denials.more", "file.denied"]


def test_repeats_are_collapsed(lab):
    script = rf"""
import json, os, time
for i in range(1500):
    try:
        open("/again", "w")
    except OSError:
        pass
time.sleep(2.5)
print(open({FILE!r}).read(), end="")
"""
    done = lab.run(["python3", "-c", script], ["--denials-file", FILE])
    assert done.returncode == 0, done
    told = [d for d in map(json.loads, done.stdout.splitlines()) if d["what"] == "create /again"]
    assert 1 <= len(told) <= 4 and told[0]["count"] < 20, told
    assert [d["count"] for d in told] == sorted({d["count"] for d in told})
    assert set(told[0]) >= {"time", "type", "what", "allow", "option", "why", "count"}
