# SPDX-License-Identifier: Apache-2.0
"""
Who may steer a sandbox: nobody inside one, even where its control socket has come
in and the user is the same; and who the user is outside.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from lab import build_directory
from test_exec_attest import sandbox

MAGIC, STATS, ERROR, STATS_ARE = 0x4c544350, 5, 65, 69
# Ask for the figures, which everybody else may have; the type of the answer, and its text.
ASK = """
import socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    s.settimeout(10)
    s.connect(sys.argv[1])
except OSError as e:
    sys.exit(f"no connection: {e}")
try:
    s.send(struct.pack("<IIII", %d, %d, 16, 0))
except OSError:
    pass  # it has gone; what it said is still to be read
for _ in range(2):
    try:
        data = s.recv(8192)
        break
    except ConnectionResetError:
        data = b""
if len(data) < 16:
    sys.exit("cut off without a word")
text = data[48:560].split(b"\\0")[0].decode() if len(data) > 560 else ""
print(struct.unpack("<IIII", data[:16])[1], text)
""" % (MAGIC, STATS)


def socket_of(runner, name):
    if runner.uid == 0:
        return pathlib.Path("/run/purple/sandboxes") / name / "control"
    return runner.home / ".local/state/purple/run/sandboxes" / name / "control"


def ask(runner, path, *before):
    return runner.run([*before, sys.executable, "-c", ASK, path])


@contextlib.contextmanager
def shown(lab):
    """A sandbox that its own socket is shown to; (name, the path inside)."""
    where = lab.own_dir(lab.runner.base / "shown")
    with sandbox(lab, ("--ro", str(where))) as (name, _):
        os.link(socket_of(lab.runner, name), where / "control")
        # As an administrator might make it: that the directory is closed is another layer.
        (where / "control").chmod(0o666)
        yield name, where / "control"


def open_purple(lab, purple_prefix):
    prefix = lab.runner.base / "open"
    shutil.copytree(purple_prefix, prefix, symlinks=True)
    shutil.copy2(build_directory() / "tests" / "escape" / "open-peer", prefix / "bin" / "purple")
    lab.runner.purple = str(prefix / "bin" / "purple")


def ask_from_inside(lab):
    with shown(lab) as (name, path):
        inside = lab.runner.run([lab.runner.purple, "exec", name, "--", "python3", "-c", ASK,
                                 path])
        outside = ask(lab.runner, path)
        assert outside.stdout.split()[:1] == [str(STATS_ARE)], outside
        return inside


def test_nobody_inside_steers_it(lab):
    done = ask_from_inside(lab)
    assert done.stdout.split()[:1] == [str(ERROR)], done
    assert ("other namespaces" if lab.runner.uid else "another user") in done.stdout


def test_without_the_check_who_is_inside_does(lab, purple_prefix):
    """The control."""
    open_purple(lab, purple_prefix)
    done = ask_from_inside(lab)
    assert done.stdout.split()[:1] == [str(STATS_ARE)], done


def elsewhere(lab, *options):
    """How to start something as the same user in other namespaces."""
    before = ["unshare", *options]
    if lab.runner.uid:
        before += ["--user", "--map-user", str(lab.runner.uid)]
    if lab.runner.run([*before, "true"]).returncode:
        pytest.skip(f"this user cannot {' '.join(before)}")
    return before


@pytest.mark.parametrize("options", [["--user"], ["--pid", "--fork"], ["--pid", "--user", "--fork"]],
                         ids="-".join)
def test_another_namespace_is_refused(lab, options):
    with sandbox(lab) as (name, _):
        path = socket_of(lab.runner, name)
        if "--user" in options and lab.runner.uid == 0:
            options = [*options, "--map-root-user"]
        done = ask(lab.runner, path, *elsewhere(lab, *options))
        assert done.stdout.split()[:1] == [str(ERROR)], done
        assert "other namespaces" in done.stdout
        assert ask(lab.runner, path).stdout.split()[:1] == [str(STATS_ARE)]


def test_the_command_says_so(lab):
    """`purple exec` and `purple stop` from elsewhere: one message that says why."""
    with sandbox(lab) as (name, _):
        before = elsewhere(lab, "--pid", "--fork")
        for words in (["exec", name, "--", "true"], ["pause", name]):
            done = lab.runner.run([*before, lab.runner.purple, *words])
            assert done.returncode == 125, done
            assert "other namespaces" in done.stderr and done.stderr.count("purple: ") == 1


def test_root_may(lab):
    if os.geteuid() != 0 or lab.runner.uid == 0:
        pytest.skip("is about root and somebody else's sandbox")
    with sandbox(lab) as (name, _):
        done = subprocess.run([sys.executable, "-c", ASK, socket_of(lab.runner, name)],
                              capture_output=True, text=True, check=False, timeout=30)
        assert done.stdout.split()[:1] == [str(STATS_ARE)], done


def test_another_user_is_refused(lab):
    if os.geteuid() != 0:
        pytest.skip("needs a second user")
    with shown(lab) as (_, path):
        done = subprocess.run(["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups",
                               sys.executable, "-c", ASK, path],
                              capture_output=True, text=True, check=False, timeout=30)
        assert done.stdout.split()[:1] == [str(ERROR)] and "another user" in done.stdout, done
