# SPDX-License-Identifier: Apache-2.0
"""
The supervisor takes what purple-init says as hostile, for it lives inside: here it is another
program, evil-init.c, with all that confines the real one.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from lab import build_directory
from test_attest import proc, wait_for


@pytest.fixture
def evil(lab):
    """Its purple; the name and the supervisor of a created sandbox with that PID 1."""
    name = f"evil-{os.getpid()}-{lab.runner.name}"
    with tempfile.TemporaryDirectory(prefix="purple-evil-") as directory:
        os.chmod(directory, 0o755)
        prefix = pathlib.Path(directory) / "prefix"
        purple = prefix / "bin" / "purple"
        shutil.copytree(pathlib.Path(lab.runner.purple).parent.parent, prefix, symlinks=True)
        shutil.copy2(build_directory() / "tests" / "escape" / "evil-init",
                     prefix / "libexec" / "purple" / "purple-init")
        done = lab.runner.run([purple, "create", name])
        assert done.returncode == 0, done.stderr
        try:
            done = lab.runner.run([purple, "ps", "--json"])
            one, = [x for x in json.loads(done.stdout) if x["name"] == name]
            yield purple, name, one["supervisor"]
        finally:
            lab.runner.run([purple, "rm", "-f", name])


def alive(pid):
    """And no zombie, which nobody takes where the tests have no init."""
    try:
        return proc(pid, "stat").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


VICTIM = """
import os, signal, socket, subprocess, sys, time
ours, theirs = socket.socketpair()
p = subprocess.Popen([sys.argv[1], "exec", sys.argv[2], "--", "kill"], stdin=theirs)
print(p.pid, flush=True)
time.sleep(600)
"""


def test_signals_reach_nobody_outside(lab, evil):
    purple, name, _ = evil
    victim = lab.runner.popen([sys.executable, "-IS", "-c", VICTIM, purple, name],
                              stdout=subprocess.PIPE)
    try:
        client = int(victim.stdout.readline())
        # It has been heard, when what is asked after it is answered.
        assert lab.runner.run([purple, "stats", name]).returncode == 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            victim.wait(0.5)
        os.kill(client, signal.SIGKILL)  # whereupon the command is killed
        wait_for(lambda: lab.runner.run([purple, "stats", name]).returncode == 0, 10)
        with pytest.raises(subprocess.TimeoutExpired):
            victim.wait(0.5)
    finally:
        victim.kill()
        victim.wait()


def test_descriptors_do_not_pile_up(lab, evil):
    purple, name, supervisor = evil
    before = len(os.listdir(f"/proc/{supervisor}/fd"))
    done = lab.runner.run([purple, "exec", name, "--", "leak"])
    assert done.returncode in (125, 126), done.stderr
    wait_for(lambda: len(os.listdir(f"/proc/{supervisor}/fd")) <= before, 10)
    assert len(os.listdir(f"/proc/{supervisor}/fd")) <= before


def test_one_that_never_stops_talking(lab, evil):
    purple, name, supervisor = evil
    lab.runner.run([purple, "exec", name, "--", "flood"])
    assert lab.runner.run([purple, "stats", name], timeout=20).returncode == 0
    assert lab.runner.run([purple, "kill", name], timeout=20).returncode == 0
    wait_for(lambda: not alive(supervisor), 10)
    assert not alive(supervisor)
