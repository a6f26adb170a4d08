# SPDX-License-Identifier: Apache-2.0
"""audit.ebpf: what the kernel tells of one sandbox, and of no other."""
import json
import os
import pathlib
import platform
import shutil
import signal

import pytest

from running import alive, children_of, eventually, ok, run, start

STORM = """
import os
for i in range(100000):
    os.close(os.open(f"/tmp/file-{i % 100}-{'x' * 100}", os.O_WRONLY | os.O_CREAT))
"""


@pytest.fixture
def root(as_user, purple_prefix):
    if as_user.uid != 0 or os.geteuid() != 0:
        pytest.skip("only root may load programs into the kernel")
    if not (purple_prefix / "libexec/purple/purple-trace").exists():
        pytest.skip("purple-trace is not built: no libbpf or clang")
    return as_user


def trail(runner):
    return runner.home / "audit.jsonl"


def options(runner, *more):
    return ["--audit", "--audit-ebpf", "--audit-log", trail(runner), *more]


def events(runner):
    return [json.loads(x) for x in trail(runner).read_text().splitlines()]


def of(found, kind, **fields):
    return [e for e in found if e["type"] == kind and
            all(e.get(k) == v for k, v in fields.items())]


def tracer(supervisor):
    """The purple-trace of a `purple run`."""
    def find():
        return [c for c in children_of(supervisor) if
                pathlib.Path(f"/proc/{c}/comm").read_text().strip() == "purple-trace"]
    assert eventually(find, 60)
    return find()[0]


def test_an_ordinary_user_is_refused(as_user):
    if as_user.uid == 0:
        pytest.skip("is about an ordinary user")
    done = run(as_user, "true", options=options(as_user))
    assert done.returncode == 125
    assert "audit.ebpf: true: " in done.stderr and "leave audit.ebpf out" in done.stderr


def test_what_happens_is_told(root):
    script = """
        cd /tmp && echo x >made && cat made made
        mkdir /usr/dir; rm /usr/bin/env; mv /usr/bin/env /usr/bin/other
        echo x >in-the-workspace-or-not
        echo y >"$WORK/inside"
        sh -c 'exit 7'; sh -c 'kill -9 $$'
        printf '#!/bin/sh\\n' >script; ./script
        exit 0
    """
    ok(run(root, "env", f"WORK={root.workspace}", "sh", "-c", script, options=options(root)))
    found = events(root)
    shell = of(found, "process.exec", path="/usr/bin/sh")[0]
    assert shell["argv"][:2] == ["sh", "-c"] and shell["cwd"] == str(root.workspace)
    cat, = of(found, "process.exec", argv=["cat", "made", "made"])
    assert cat["cwd"] == "/tmp" and cat["ppid"] == shell["pid"] and cat["source"] == "ebpf"
    assert of(found, "process.exit", pid=cat["pid"], status=0, path=cat["path"])
    assert of(found, "process.exit", status=7)
    assert of(found, "process.exit", signal=9)
    assert of(found, "file.write", path="/tmp/made", access="create")
    assert not [e for e in found if e.get("path", "").endswith("/inside")]
    for path, access in (("/usr/dir", "create"), ("/usr/bin/env", "remove"),
                         ("/usr/bin/other", "create")):
        denied = of(found, "file.denied", path=path, access=access)
        assert denied and denied[0]["error"] == "EROFS" and denied[0]["layer"] == "mount"
    refusal = of(found, "file.denied", access="exec")
    assert [e["path"] for e in refusal] == ["/tmp/script"] and refusal[0]["error"] == "EACCES"
    assert not of(found, "audit.gap")


def test_what_the_policy_does_not_show_is_refused(root):
    hidden = pathlib.Path("/srv/hidden")
    script = f"cat {hidden} /usr/no-such-file; cd /tmp; cat ../root/.ssh/id 2>&1; /opt/nothing; exit 0"
    ok(run(root, "sh", "-c", script, options=options(root)))
    found = events(root)
    denied = {(e["path"], e["access"]): e for e in of(found, "file.denied", error="ENOENT")}
    assert (str(hidden), "read") in denied and ("/root/.ssh/id", "read") in denied
    assert denied[(str(hidden), "read")]["layer"] == "mount"
    assert denied[(str(hidden), "read")]["allow"].startswith("filesystem.")
    # There is /usr, and this is not in it: nobody refuses anything.
    assert not [path for path, _ in denied if path.startswith(("/usr", "/etc/ld.so"))]


def test_the_plan_says_who_tells(root):
    for words, line in ((["--audit"], "programs      by seccomp"),
                        (["--audit", "--audit-ebpf"], "programs      by eBPF")):
        out = ok(root.run([root.purple, "plan", "-p", "default", *words]))
        assert line in out, out


def test_reads_are_told_when_asked_for(root):
    ok(run(root, "cat", "/etc/passwd", options=options(root)))
    assert not of(events(root), "file.open")
    trail(root).unlink()
    ok(run(root, "cat", "/etc/passwd", options=options(root, "--audit-detail", "filesystem")))
    found = events(root)
    assert of(found, "file.open", path="/etc/passwd", access="read", source="ebpf")
    assert not of(found, "process.exec")


def test_connections_of_an_isolated_sandbox(root):
    script = """import socket
for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)):
    try:
        socket.socket(family, kind).connect(("192.0.2.1", 81))
    except OSError:
        pass
s = socket.create_server(("127.0.0.1", 0))
socket.create_connection(s.getsockname())
"""
    ok(run(root, "/usr/bin/python3", "-c", script, options=options(root)))
    found = events(root)
    denied = of(found, "net.denied", host="192.0.2.1", port=81)
    assert {e["proto"] for e in denied} == {"tcp", "udp"}
    assert {e["reason"] for e in denied} == {"ENETUNREACH"}
    assert of(found, "net.allowed", host="127.0.0.1", proto="tcp")


@pytest.mark.parametrize("how", ["foreground", "detached"])
def test_no_start_and_no_exec_is_lost(root, how):
    for i in range(5):
        command = ["sh", "-c", f"n=0; while [ $n -lt 100 ]; do /bin/true {i} $n; n=$((n+1)); done"]
        if how == "foreground":
            ok(run(root, *command, options=options(root)))
        else:
            name = f"ebpf-{os.getpid()}-{i}"
            ok(run(root, *command, options=options(root, "-d", "--name", name)))
            try:
                assert eventually(lambda n=name: of(events(root), "sandbox.ended", name=n), 60)
            finally:
                root.run([root.purple, "rm", "--force", name])
        found = events(root)
        for n in range(100):
            assert len(of(found, "process.exec", argv=["/bin/true", str(i), str(n)])) == 1
    assert len(of(found, "process.exec", path="/usr/bin/sh")) == 5
    assert len(of(found, "process.exit", path="/bin/true")) == 500
    assert not of(found, "audit.gap")


def test_neighbours_are_not_seen(root):
    script = "n=0; while [ $n -lt 50 ]; do /bin/true {} $n; n=$((n+1)); done; read line"
    names = ("left", "right")
    both = {n: start(root, "sh", "-c", script.format(n), options=options(root), stdin=-1)
            for n in names}
    outside = 0
    for process in both.values():
        tracer(process.pid)
    while outside < 20:
        root.run(["/bin/true", "outside"])
        outside += 1
    for process in both.values():
        out, err = process.communicate(b"\n", timeout=60)
        assert process.returncode == 0, (out, err)
    found = events(root)
    for sandbox in {e["sandbox"] for e in found}:
        told = [e["argv"] for e in of(found, "process.exec", sandbox=sandbox)]
        assert {a[1] for a in told if a[0] == "/bin/true"} in ({"left"}, {"right"})
        assert len(told) == 51
    assert not [e for e in found if "outside" in e.get("argv", [])]


def test_purple_trace_gives_up_what_it_does_not_need(root):
    process = start(root, "sh", "-c", "echo; read line", options=options(root), stdin=-1)
    process.stdout.readline()
    proc = pathlib.Path(f"/proc/{tracer(process.pid)}")
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines()
                  if ":\t" in line)
    files = {int(fd.name): os.readlink(fd) for fd in (proc / "fd").iterdir()}
    process.communicate(b"\n", timeout=60)
    assert {status[f"Cap{s}"] for s in ("Inh", "Prm", "Eff", "Amb")} == {"0" * 16}
    assert status["Uid"].split() == ["65534"] * 4 and status["Gid"].split() == ["65534"] * 4
    assert status["Groups"].strip() == "" and status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2" and status["Threads"] == "1"
    # Its socket, and what it has in the kernel. What each layer refuses: tests/unit/trace.
    assert {files.pop(fd) for fd in range(3)} == {"/dev/null"}
    assert sum(x.startswith("socket:") for x in files.values()) == 1, files
    assert all(x.startswith(("socket:", "anon_inode:")) for x in files.values()), files


@pytest.mark.parametrize("on_failure", ["stop", "warn"])
def test_its_death_is_told(root, on_failure):
    process = start(root, "sh", "-c", "trap 'exit 0' TERM; echo; while read line; do echo; done",
                    options=options(root, "--audit-on-failure", on_failure), stdin=-1)
    process.stdout.readline()
    pid = tracer(process.pid)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: of(events(root), "audit.gap"), 30)
    assert not alive(pid)
    if on_failure == "warn":
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"\n"
    _, err = process.communicate(timeout=60)
    assert b"purple-trace" in err
    end, = of(events(root), "sandbox.ended")
    assert end["reason"] == ("audit failed" if on_failure == "stop" else "exited")


def test_what_is_lost_is_counted(root):
    """purple-trace cannot keep up: it does not run at all."""
    root.write("storm.py", STORM)
    process = start(root, "sh", "-c", "echo; read x; /usr/bin/python3 storm.py; echo; read x",
                    options=options(root), stdin=-1)
    process.stdout.readline()
    pid = tracer(process.pid)
    os.kill(pid, signal.SIGSTOP)
    try:
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
    finally:
        os.kill(pid, signal.SIGCONT)
    _, err = process.communicate(b"\n", timeout=120)
    assert process.returncode == 0, err
    found = events(root)
    lost = sum(e["count"] for e in of(found, "audit.gap"))
    told = [e for e in of(found, "file.write") if e["path"].startswith("/tmp/file-")]
    assert lost > 0
    # Of the rest, a few records are of the shell and of Python.
    assert 100000 - 20 <= lost + len(told) <= 100000 + 20


FAKE = """#!/usr/bin/python3
import socket, struct, sys
control = socket.socket(fileno=3)
control.recv(8192)
head = lambda kind: struct.pack("=IiQ128s", kind, 0, 0, b"")
control.send(head(1))
control.send({rubbish})
control.recv(1)
"""
RECORD = "head(3) + struct.pack('=IBBBBQIIiIHHHH16s', {}, b'') + bytes(8)"


@pytest.mark.parametrize("rubbish", [
    "b'x'", "head(9)", "head(3) + b'short'",
    RECORD.format("72, 9, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0"),      # of no kind
    RECORD.format("72, 1, 255, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0"),    # flags that are none
    RECORD.format("72, 3, 0, 99, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0"),     # an access that is none
    RECORD.format("72, 1, 0, 0, 0, 0, 1, 1, 0, 0, 9, 0, 0, 0"),      # a path that ends behind it
    RECORD.format("72, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 65535, 0"),  # and arguments
    RECORD.format("4096, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0"),    # longer than the packet
    RECORD.format("0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0"),
])
def test_rubbish_is_no_event(root, tmp_path, purple_prefix, rubbish):
    """Who takes its place cannot make the supervisor read beyond what was sent."""
    prefix = tmp_path / "prefix"
    shutil.copytree(purple_prefix, prefix, symlinks=True)
    fake = prefix / "libexec/purple/purple-trace"
    fake.unlink()
    fake.write_text(FAKE.replace("{rubbish}", rubbish))
    fake.chmod(0o755)
    done = root.run([prefix / "bin/purple", "run", *options(root), "--", "sleep", "60"])
    assert "purple-trace: it sent rubbish" in done.stderr or \
        "purple-trace: it has ended" in done.stderr, done.stderr
    found = events(root)
    assert of(found, "audit.gap") and not of(found, "process.exec")
    end, = of(found, "sandbox.ended")
    assert end["reason"] == "audit failed"


def test_doctor_says_that_it_works(root):
    found = json.loads(root.run([root.purple, "doctor", "--json"]).stdout)
    line, = [x for x in found if x["id"] == "ebpf"]
    assert line["state"] == "ok"


UNDER_COVER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
def ptrace(*words):
    ctypes.set_errno(0)
    value = libc.ptrace(*words)
    assert not ctypes.get_errno(), (words, os.strerror(ctypes.get_errno()))
    return value
TRACEME, POKE, CONT, KILL, STEP, GET, SET = 0, 4, 7, 8, 9, 12, 13
child = os.fork()
if child == 0:
    ptrace(TRACEME, 0, None, None)
    os.execv(sys.argv[1], ["purple-init"])
os.waitpid(child, 0)
regs = (ctypes.c_ulong * 27)()
ptrace(GET, child, None, ctypes.addressof(regs))
RAX, RDX, RSI, RDI, ORIG, RIP, RSP = 10, 12, 13, 14, 15, 16, 19
name = b"/tmp/under-cover\\0\\0\\0\\0\\0\\0\\0\\0"
at = regs[RSP] - 4096
for i in range(0, len(name), 8):
    ptrace(POKE, child, at + i, int.from_bytes(name[i:i + 8], "little"))
ptrace(POKE, child, regs[RIP], 0x050f)
regs[RAX], regs[ORIG] = 257, 2 ** 64 - 1
regs[RDI], regs[RSI], regs[RDX] = 2 ** 64 - 100, at, os.O_WRONLY | os.O_CREAT
ptrace(SET, child, None, ctypes.addressof(regs))
ptrace(STEP, child, None, None)
os.waitpid(child, 0)
os.kill(child, 9)
assert os.path.exists("/tmp/under-cover")
"""


def test_who_poses_as_purple_init_is_told(root, purple_prefix):
    """What purple-init does of itself is not told; what others make it do is."""
    if platform.machine() != "x86_64":
        pytest.skip("puts a system call of x86-64 into another process")
    init = purple_prefix / "libexec/purple/purple-init"
    ok(run(root, "/usr/bin/python3", "-c", UNDER_COVER, init,
           options=options(root, "--ro", init)))
    assert of(events(root), "file.write", path="/tmp/under-cover")
