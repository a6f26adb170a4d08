# SPDX-License-Identifier: Apache-2.0
"""
What a command does with its output does not hold up the supervisor: a terminal that nobody
reads, or an accomplice in another sandbox who was given the other end and writes on.
"""
import contextlib
import os
import pathlib
import signal
import time

import pytest

from running import alive, children_of, eventually, ok, start
from test_exec import purple
from test_terminal import Terminal

FLOOD = "exec cat /dev/zero | tr \\\\0 x"


def pid1_of(supervisor):
    """PID 1 of the sandbox: the child that is in another pid namespace."""
    own = os.stat("/proc/self/ns/pid").st_ino
    for pid in children_of(supervisor):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}/ns/pid").st_ino != own:
                return pid
    return None


def is_still(pid):
    """It uses no processor: what it writes to is full."""
    def used():
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    before = used()
    time.sleep(0.1)
    return used() == before


@contextlib.contextmanager
def stuck(runner, *options):
    """A flood on a terminal that nobody reads, and PID 1 of its sandbox."""
    t = Terminal(runner, [runner.purple, "run", *options, "--", "sh", "-c", FLOOD])
    try:
        assert eventually(lambda: pid1_of(t.process.pid), 20)
        assert eventually(lambda: is_still(t.process.pid), 20)
        yield t, pid1_of(t.process.pid)
    finally:
        t.close()


def test_a_terminal_that_nobody_reads_stops_no_clock(as_user):
    with stuck(as_user, "--timeout", "1", "--kill-grace", "0") as (t, pid1):
        assert eventually(lambda: not alive(pid1), 20)
        assert t.wait(30) == 124 and t.restored()


def test_a_terminal_that_nobody_reads_holds_up_no_signal(as_user):
    with stuck(as_user, "--kill-grace", "0") as (t, pid1):
        t.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: not alive(pid1), 20)
        # Nor does the rest of the output, if somebody asks once more.
        t.process.send_signal(signal.SIGTERM)
        assert t.process.wait(20) > 128


GIVE = """
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect("meet")
socket.send_fds(s, [b"x"], [1])
s.recv(1)
"""


@pytest.fixture
def accomplice(as_user):
    """Takes a descriptor at the socket "meet" in the workspace, and writes to it without end."""
    taker = """
import fcntl, os, socket
s = socket.socket(socket.AF_UNIX)
s.bind("meet")
s.listen()
print("ready", flush=True)
c, _ = s.accept()
_, fds, _, _ = socket.recv_fds(c, 1, 1)
try:
    fcntl.fcntl(fds[0], fcntl.F_SETPIPE_SZ, 1 << 20)
except OSError:
    pass
os.fork()
os.set_blocking(fds[0], False)
c.close()
while True:
    try:
        os.write(fds[0], b"y" * 65536)
    except BlockingIOError:
        pass
    except OSError:  # nobody holds the other end any more
        os._exit(0)
"""
    p = start(as_user, "python3", "-IS", "-c", taker, options=["--timeout", "120"])
    try:
        assert p.stdout.readline() == b"ready\n"
        yield p
    finally:
        p.kill()
        p.wait()


def test_an_accomplice_who_writes_to_the_log(as_user, accomplice):
    box = f"gave-{os.getpid()}-{as_user.name}"
    ok(purple(as_user, "run", "--detach", "--name", box, "--timeout", "60", "--",
              "python3", "-IS", "-c", GIVE))
    try:
        assert purple(as_user, "wait", box, timeout=50).returncode == 0
        assert accomplice.poll() in (None, 0)
    finally:
        purple(as_user, "rm", "-f", box)


def test_an_accomplice_who_writes_to_the_terminal(as_user, accomplice):
    t = Terminal(as_user, [as_user.purple, "run", "--timeout", "60", "--",
                           "python3", "-IS", "-c", GIVE])
    try:
        assert t.wait(50) == 0 and t.restored()
        assert accomplice.poll() in (None, 0)
    finally:
        t.close()
