# SPDX-License-Identifier: Apache-2.0
"""How the tests of `purple run` start it, and what they ask about processes."""
import os
import pathlib
import subprocess
import textwrap
import time

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def run(runner, *command, options=(), **kw):
    return runner.run([runner.purple, "run", *options, "--", *command], **kw)


def start(runner, *command, options=(), **kw):
    """A sandbox that is left running; pipes unless told otherwise."""
    for stream in ("stdout", "stderr"):
        kw.setdefault(stream, subprocess.PIPE)
    return runner.popen([runner.purple, "run", *options, "--", *command], **kw)


def ok(done):
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def shell(runner, script, **kw):
    return run(runner, "sh", "-c", textwrap.dedent(script), **kw)


def refused(done, status, *words):
    """One message of Purple's, of one line or two, and nothing else."""
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= 2, done.stderr
    assert lines[0].startswith("purple: ") and not any(x.startswith("purple: ") for x in lines[1:])
    for word in words:
        assert word in done.stderr, done.stderr
    return done.stderr


def children_of(pid):
    try:
        return [int(c) for c in
                pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def descendants(pid):
    found = []
    for child in children_of(pid):
        found += [child, *descendants(child)]
    return found


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()
