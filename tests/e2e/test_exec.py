# SPDX-License-Identifier: Apache-2.0
"""create, run --name, run --detach, exec and attach."""
import fcntl
import os
import pathlib
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from running import alive, descendants, eventually, needs_root, ok, refused, run
from test_lifecycle import sandboxes, sandboxes_of


def purple(runner, *words, **kw):
    return runner.run([runner.purple, *words], **kw)


def supervisor_of(runner, name):
    text = (runner.sandboxes / name / "state").read_text()
    return int(dict(x.split("=", 1) for x in text.splitlines() if "=" in x)["supervisor"])


def end(runner, name):
    """By its supervisor: the commands that do this have tests of their own."""
    path = runner.sandboxes / name
    if not path.exists():
        return
    if (path / "control").exists():
        pid = supervisor_of(runner, name)
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        assert eventually(lambda: not (path / "control").exists(), 10)
        assert eventually(lambda: not alive(pid))
    for file in path.iterdir() if path.exists() else ():
        file.unlink()
    if path.exists():
        path.rmdir()


@pytest.fixture
def box(as_user):
    """The name of a created sandbox."""
    name = f"box-{os.getpid()}-{as_user.name}"
    done = purple(as_user, "create", name)
    assert (done.returncode, done.stdout) == (0, f"{name}\n"), done.stderr
    yield name
    end(as_user, name)


@pytest.mark.parametrize("option", ["-d", "-t", "--detach", "--tty"])
def test_create_refuses_what_only_run_has(as_user, option):
    name = f"never-{os.getpid()}"
    refused(purple(as_user, "create", option, name), 125, "is an option of `purple run`, not of")
    assert name not in sandboxes(as_user)
    assert f"{option}," not in ok(purple(as_user, "create", "--help"))


def test_exec_gives_output_status_and_input(as_user, box):
    done = purple(as_user, "exec", box, "--", "sh", "-c", "cat; echo err >&2; exit 7",
                  stdin=None, input="in\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, "in\n", "err\n")


def test_exec_without_dashes_and_with_a_variable_and_a_directory(as_user, box):
    done = purple(as_user, "exec", "-e", "A=b c", "--env=PATH=/usr/bin", "-w", "/tmp", box, "sh",
                  "-c", 'echo "$A $PATH"; pwd')
    assert ok(done) == "b c /usr/bin\n/tmp\n"


def test_exec_starts_in_the_workspace(as_user, box):
    assert ok(purple(as_user, "exec", box, "pwd")) == f"{as_user.workspace}\n"


def test_exec_failures(as_user, box):
    refused(purple(as_user, "exec", box, "--", "no-such-program"), 127, "no-such-program")
    refused(purple(as_user, "exec", box, "--", "/etc"), 126, "/etc")
    refused(purple(as_user, "exec", "-w", "/nowhere", box, "--", "true"), 125, "directory",
            "inside the sandbox")
    refused(purple(as_user, "exec", box, "-t", "--", "true"), 125, "before the name")
    refused(purple(as_user, "exec", "none-such", "--", "true"), 125, "none-such", "purple ps")
    refused(purple(as_user, "exec", "../etc", "--", "true"), 125)
    refused(purple(as_user, "exec", box), 125, "command")
    refused(purple(as_user, "exec"), 125, "sandbox")
    refused(purple(as_user, "exec", "--frob", box, "true"), 125, "--frob")


def test_exec_is_killed_by_a_signal(as_user, box):
    assert purple(as_user, "exec", box, "--", "sh", "-c", "kill -KILL $$").returncode == 137


def test_signals_reach_an_execd_command(as_user, box):
    with as_user.popen([as_user.purple, "exec", box, "--", "sh", "-c",
                        "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.1; done"],
                       stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"ready\n"
        p.terminate()
        assert p.communicate(timeout=10)[0] == b"got\n"
        assert p.returncode == 5


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_the_death_of_the_client_is_the_commands(as_user, box):
    inside = descendants(supervisor_of(as_user, box))
    with as_user.popen([as_user.purple, "exec", box, "--", "sh", "-c", "echo ready; sleep 100"],
                       stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"ready\n"
        assert len(descendants(supervisor_of(as_user, box))) > len(inside)
        p.kill()
    # What it had started becomes purple-init's; the command itself is gone.
    assert eventually(lambda: "sh" not in [
        name_of(x) for x in descendants(supervisor_of(as_user, box)) if alive(x)])


def test_an_execd_process_cannot_reach_the_host(as_user, box):
    """CVE-2016-9962, CVE-2022-31214: no descriptor and no process of the host's is in reach."""
    out = ok(purple(as_user, "exec", box, "--", "sh", "-c",
                    "ls -l /proc/self/fd | grep -c -- '->'; ls /proc | grep -c '^[0-9]'"))
    fds, processes = map(int, out.split())
    assert fds == 4  # 0-2, and the directory that ls reads
    assert processes <= 6
    out = purple(as_user, "exec", box, "--", "sh", "-c",
                 "cat /proc/1/environ; readlink /proc/1/fd/* /proc/1/exe /proc/1/root; "
                 "head -c1 /proc/1/mem").stdout
    assert out == ""


def test_exec_refuses_a_directory_as_stdin(as_user, box):
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        refused(purple(as_user, "exec", box, "--", "true", stdin=fd), 125, "directory")
    finally:
        os.close(fd)


def test_many_at_once(as_user, box):
    many = [as_user.popen([as_user.purple, "exec", box, "--", "sh", "-c", f"echo {n}; exit {n}"],
                          stdout=subprocess.PIPE) for n in range(20)]
    for n, p in enumerate(many):
        assert p.communicate(timeout=20)[0] == f"{n}\n".encode()
        assert p.returncode == n


def test_exec_into_an_anonymous_run_is_refused(as_user):
    with as_user.popen([as_user.purple, "run", "--", "sleep", "60"]) as p:
        assert eventually(lambda: sandboxes_of(as_user, p.pid))
        name, = sandboxes_of(as_user, p.pid)
        assert eventually((as_user.sandboxes / name / "control").exists)
        refused(purple(as_user, "exec", name, "--", "true"), 125, "--name")
        p.terminate()


def test_the_end_of_the_sandbox_ends_what_was_execd(as_user, box):
    with as_user.popen([as_user.purple, "exec", box, "--", "sh", "-c", "echo ready; exec sleep 100"],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"ready\n"
        end(as_user, box)
        p.communicate(timeout=10)
        assert p.returncode in (137, 143)
    refused(purple(as_user, "exec", box, "--", "true"), 125, box)


def read_until(fd, word, seconds=10):
    got = b""
    stop = time.monotonic() + seconds
    while word not in got and time.monotonic() < stop:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                got += os.read(fd, 4096)
            except OSError:
                break
    assert word in got, got
    return got


def on_terminal(runner, *words):
    master, slave = pty.openpty()
    p = runner.popen([runner.purple, *words], stdin=slave, stdout=slave, stderr=slave,
                     start_new_session=True,
                     preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    return p, master


def test_exec_with_a_terminal(as_user, box):
    p, master = on_terminal(as_user, "exec", "-it", box, "--", "sh")
    os.write(master, b"tty; echo $((6*7))\n")
    assert b"/dev/pts/" in read_until(master, b"42")
    os.write(master, b"sleep 100\n")
    time.sleep(0.3)
    os.write(master, b"\x03")
    os.write(master, b"echo $((7*8)); exit 9\n")
    read_until(master, b"56")
    assert p.wait(timeout=10) == 9
    os.close(master)


def test_a_terminal_is_of_the_callers_kind(as_user, box):
    """TERM is that of whoever looks at it, not of whoever made the sandbox."""
    as_user.env["TERM"] = "vt220"
    for words, said in ([], b"vt220."), (["-e", "TERM=ansi"], b"ansi."):
        p, master = on_terminal(as_user, "exec", *words, box, "sh", "-c", "echo $TERM.")
        read_until(master, said)
        assert p.wait(timeout=10) == 0
        os.close(master)
    assert ok(purple(as_user, "exec", box, "sh", "-c", "echo ${TERM-none}")) == "none\n"


@pytest.fixture
def detached(as_user):
    """Starts detached sandboxes and ends them."""
    names = []

    def go(*command, options=()):
        name = f"det{len(names)}-{os.getpid()}-{as_user.name}"
        done = purple(as_user, "run", "--detach", "--name", name, *options, "--", *command)
        if done.returncode == 0:
            names.append(name)
            assert done.stdout == f"{name}\n"
        return name if done.returncode == 0 else done

    yield go
    for name in names:
        end(as_user, name)


def test_detached_output_is_logged_and_the_end_recorded(as_user, detached):
    name = detached("sh", "-c", "echo out; echo err >&2; exit 4")
    path = as_user.sandboxes / name
    assert eventually(lambda: "state=ended" in (path / "state").read_text())
    assert sorted((path / "log").read_text().splitlines()) == ["err", "out"]
    assert "exit_status=4\n" in (path / "state").read_text()
    assert "reason=exited\n" in (path / "state").read_text()
    refused(run(as_user, "true", options=["--name", name]), 125, name, "purple rm")


def test_a_detached_start_that_fails_says_so(as_user, detached):
    refused(detached("no-such-program"), 127, "no-such-program")
    # Root's sandboxes are all in one directory, those of tests that run beside this one too.
    assert not [x for x in sandboxes(as_user) if x.endswith(f"-{os.getpid()}-{as_user.name}")]


def test_detached_log_is_bounded(as_user, detached):
    name = detached("sh", "-c", "head -c 25000000 /dev/zero; echo end")
    path = as_user.sandboxes / name
    assert eventually(lambda: "state=ended" in (path / "state").read_text(), 20)
    assert (path / "log").stat().st_size <= 10 << 20
    assert (path / "log.1").stat().st_size <= 10 << 20
    assert (path / "log").read_bytes().endswith(b"end\n")


def test_attach_without_a_terminal(as_user, detached):
    name = detached("sh", "-c", "while ! [ -e go ]; do sleep 0.05; done; echo hello; exit 6")
    with as_user.popen([as_user.purple, "attach", name], stdout=subprocess.PIPE) as p:
        time.sleep(0.3)
        as_user.write("go", "")
        assert p.communicate(timeout=10)[0] == b"hello\n"
        assert p.returncode == 6


def test_attach_with_a_terminal_and_leave(as_user, detached):
    name = detached("sh", options=["--tty"])
    p, master = on_terminal(as_user, "attach", name)
    time.sleep(0.3)
    os.write(master, b"echo $((6*7))\n")
    read_until(master, b"42")
    refused(purple(as_user, "attach", name), 125, "attached")
    os.write(master, b"\x10\x11")
    assert p.wait(timeout=10) == 0
    os.close(master)
    p, master = on_terminal(as_user, "attach", name)
    time.sleep(0.3)
    os.write(master, b"exit 8\n")
    assert p.wait(timeout=10) == 8
    os.close(master)


def connect(runner, name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fd = os.open(runner.sandboxes / name, os.O_RDONLY)
    s.connect(f"/proc/self/fd/{fd}/control")
    os.close(fd)
    s.settimeout(10)
    return s


@pytest.mark.parametrize("message", [
    b"x", b"\0" * 16, b"rubbish" * 1000, struct.pack("<IIII", 0x4c544350, 1, 999, 0),
    struct.pack("<IIII", 0x4c544350, 99, 16, 0),
], ids=["half", "zeros", "long", "size", "type"])
def test_a_bad_message_is_answered_and_cut_off(as_user, box, message):
    s = connect(as_user, box)
    s.send(message)
    answer = s.recv(8192)
    assert struct.unpack("<IIII", answer[:16])[1] == 65
    assert s.recv(8192) == b""
    assert ok(purple(as_user, "exec", box, "echo", "still")) == "still\n"


def test_a_client_that_never_reads_holds_nothing_up(as_user, box):
    s = connect(as_user, box)
    s.setblocking(False)
    stats = struct.pack("<IIII", 0x4c544350, 5, 16, 0)
    try:
        for _ in range(10000):
            s.send(stats)
    except OSError:
        pass
    assert ok(purple(as_user, "exec", box, "echo", "still")) == "still\n"


def test_more_clients_than_there_is_room_for(as_user, box):
    many = [connect(as_user, box) for _ in range(64)]
    time.sleep(0.2)
    many.pop().close()
    assert ok(purple(as_user, "exec", box, "echo", "still")) == "still\n"
    for s in many:
        s.close()


@needs_root
def test_another_user_may_not_speak_to_it(as_user, box):
    if as_user.uid == 0:
        pytest.skip("root's directory is root's")
    done = subprocess.run(["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", "ls",
                           as_user.sandboxes / box], capture_output=True, check=False)
    assert done.returncode != 0


STOP_THE_NEXT = """
import os, signal
next = os.getpid() + 1
print(flush=True)
while True:
    try:
        os.kill(next, signal.SIGSTOP)
        next += 1
    except ProcessLookupError:
        pass
"""


def test_one_inside_that_stops_a_command_before_its_exec(as_user, box):
    """It holds purple-init up as well, but neither the client nor the end."""
    with as_user.popen([as_user.purple, "exec", box, "--", "python3", "-c", STOP_THE_NEXT],
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as hostile:
        try:
            assert hostile.stdout.readline() == b"\n"
            # A path that takes long to search; and no pipe, which the stopped one would hold.
            slow = "PATH=" + "/n:" * 40000 + "/usr/bin"
            with open(as_user.base / "said", "w+", encoding="utf-8") as said:
                done = purple(as_user, "exec", "-e", slow, box, "--", "true", stderr=said)
                said.seek(0)
                assert done.returncode == 125 and "did not start within" in said.read()
        finally:
            ok(purple(as_user, "stop", "-t", "0", box))
        assert hostile.wait(timeout=20) != 0
