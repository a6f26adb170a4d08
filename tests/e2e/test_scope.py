# SPDX-License-Identifier: Apache-2.0
"""
purple-scope, which asks the user's systemd for a control group.

Over a real bus, but with a mock in systemd's place: this only shows what is asked for, and that
every answer, and none, is understood. That systemd does what it is asked for, and that purple
then makes its group in the scope, is in the last tests here, which need a machine that runs systemd
and a login session of a user. What purple does inside the scope is in tests/unit/cgroup/test_scope.c.
"""
import importlib.util
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from groups import doctor_says
from running import eventually, ok, run, start

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

needs_bus = pytest.mark.skipif(
    not shutil.which("dbus-daemon") or not importlib.util.find_spec("gi"),
    reason="needs dbus-daemon and Python's gi")


# Root never asks; it has the top of every hierarchy.
pytestmark = pytest.mark.parametrize("as_user", ["user"], indirect=True)


@pytest.fixture(name="user")
def user_with_a_runtime_directory(as_user):
    runner = as_user
    if os.geteuid() == 0:
        # A bus does not speak with somebody who is not in /etc/passwd.
        (as_user.base / "nobody").mkdir(mode=0o755)
        runner = type(as_user)("nobody", pwd.getpwnam("nobody").pw_uid, as_user.base / "nobody",
                               as_user.purple)
    runner.scope = pathlib.Path(runner.purple).parent.parent / "libexec/purple/purple-scope"
    if not runner.scope.exists():
        pytest.skip("built without libsystemd")
    runner.runtime = runner.base / "run time"  # to be escaped in an address
    for directory in (runner.runtime, runner.runtime / "systemd"):
        directory.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(directory, runner.uid, runner.uid)
    runner.env["XDG_RUNTIME_DIR"] = str(runner.runtime)
    # That of another bus, which is not to be asked.
    runner.env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runner.base}/nobody"
    runner.started = []
    yield runner
    for process in runner.started:
        process.kill()
        process.communicate()


def background(user, argv):
    process = user.popen(argv, stdout=subprocess.PIPE, text=True)
    user.started.append(process)
    return process


def address_of(path):
    return "unix:path=" + str(path).replace(" ", "%20")


def start_bus(user):
    path = user.runtime / "bus"
    config = user.write("bus.conf", BUS.format(path=str(path).replace(" ", "%20")))
    daemon = background(user, ["dbus-daemon", f"--config-file={config}", "--nofork",
                               "--print-address"])
    assert daemon.stdout.readline(), "the bus did not start"
    return address_of(path)


def start_mock(user, mode, address):
    """It says "ready" in its first line, and in the next what it was asked for."""
    mock = pathlib.Path(__file__).with_name("systemd_mock.py").read_text()
    process = background(user, [sys.executable, "-c", mock, mode, address])
    assert process.stdout.readline() == "ready\n"
    return process


def ask(user, name="abcdefghijkl", pid=None):
    return user.run([user.scope, name, str(pid or os.getpid())])


def gives_up(done, *words):
    """One line for the launcher to make an error of."""
    assert done.returncode == 1, done
    assert done.stdout.count("\n") == 1 and done.stdout.endswith("\n"), done.stdout
    for word in words:
        assert word in done.stdout, done.stdout
    assert done.stderr == ""


@needs_bus
def test_what_is_asked_for(user):
    mock = start_mock(user, "done", start_bus(user))
    done = ask(user)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    call = json.loads(mock.stdout.readline())
    assert call["unit"] == "purple-abcdefghijkl.scope"
    assert call["mode"] == "fail"
    assert call["aux"] == []
    assert call["properties"] == {"Description": "Purple sandbox abcdefghijkl",
                                  "PIDs": [os.getpid()], "Delegate": True,
                                  "CollectMode": "inactive-or-failed"}
    assert call["signatures"] == {"Description": "s", "PIDs": "au", "Delegate": "b",
                                  "CollectMode": "s"}


@needs_bus
def test_without_a_bus_systemd_itself_is_the_peer(user):
    mock = start_mock(user, "private", address_of(user.runtime / "systemd" / "private"))
    assert ok(ask(user)) == ""
    assert json.loads(mock.stdout.readline())["unit"] == "purple-abcdefghijkl.scope"


@needs_bus
@pytest.mark.parametrize("mode,word", [
    ("refuses", "already exists."),
    ("fails", "could not start purple-abcdefghijkl.scope: failed"),
    ("silent", "not answered within 5 s"),
    ("job-stays", "not done it within 5 s"),
    ("leaves", "not done it within 5 s"),
])
def test_what_systemd_may_answer(user, mode, word):
    start_mock(user, mode, start_bus(user))
    gives_up(ask(user), word)


@needs_bus
def test_a_bus_without_systemd(user):
    start_bus(user)
    gives_up(ask(user), "org.freedesktop.systemd1")


def test_no_bus(user):
    gives_up(ask(user), "XDG_RUNTIME_DIR/bus: No such file")
    del user.env["XDG_RUNTIME_DIR"]
    gives_up(ask(user), "XDG_RUNTIME_DIR/bus: No such file")


def test_a_bus_that_never_speaks(user):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(user.runtime / "bus"))
        os.chmod(user.runtime / "bus", 0o777)
        listener.listen()
        gives_up(ask(user), "not answered within 5 s")


def test_a_bus_that_hangs_up(user):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(user.runtime / "bus"))
        os.chmod(user.runtime / "bus", 0o777)
        listener.listen()
        process = user.popen([user.scope, "abcdefghijkl", str(os.getpid())],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        listener.accept()[0].close()
        out, err = process.communicate(timeout=60)
        gives_up(subprocess.CompletedProcess([], process.returncode, out, err), ": ")


def test_only_for_who_started_it(user):
    gives_up(ask(user, pid=1), "not the one that asks")


@pytest.mark.parametrize("argv", [[], ["abc"], ["../x", "1"], ["", "1"], ["abc", "x"],
                                  ["a" * 33, "1"], ["abc", "1", "2"]])
def test_usage(user, argv):
    done = user.run([user.scope, *argv])
    assert done.returncode == 2
    assert "usage: purple-scope ID PID" in done.stderr


# ---- with the real one ----

@pytest.fixture(name="session")
def user_of_a_systemd(as_user):
    """This user, logged in, without a group; as on a desktop's or a server's terminal."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if os.geteuid() == 0 or not runtime:
        pytest.skip("needs a user's login session: run pytest in one")
    as_user.env["XDG_RUNTIME_DIR"] = runtime
    said = doctor_says(as_user)["why"]
    if "by a systemd scope" not in said:
        pytest.skip(f"purple doctor says: {said}")
    return as_user


# What else this machine may lack is not the matter here; the groups are looked at themselves.
LIMITED = ("--best-effort", "--workspace=none", "--memory", "64M")


def group_of(pid):
    line, = [x for x in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
             if x.startswith("0::")]
    return pathlib.Path("/sys/fs/cgroup") / line.removeprefix("0::/")


def look_at_scope(supervisor):
    """The scope that @supervisor is in, with the sandbox's group beside it."""
    own = group_of(supervisor)
    scope = own.parent
    assert own.name == "supervisor"
    assert scope.name.startswith("purple-") and scope.suffix == ".scope"
    leaf = scope / scope.name.removesuffix(".scope")
    assert (leaf / "memory.max").read_text() == f"{64 << 20}\n"
    assert (leaf / "cgroup.procs").read_text()
    return scope


def has_gone(scope):
    """systemd has noticed that nothing is in it any more, and forgotten it."""
    def unit():
        return subprocess.run(["systemctl", "--user", "show", "-p", "LoadState", scope.name],
                              check=True, capture_output=True, text=True).stdout
    return eventually(lambda: not scope.exists() and unit() == "LoadState=not-found\n", 20)


def test_systemd_in_the_foreground(session):
    sandbox = start(session, "sh", "-c", "echo ready; read end", options=LIMITED, text=True,
                    stdin=subprocess.PIPE)
    assert sandbox.stdout.readline() == "ready\n", sandbox.communicate()
    scope = look_at_scope(sandbox.pid)
    out, err = sandbox.communicate("end\n", timeout=60)
    assert (sandbox.returncode, out) == (0, ""), err
    assert has_gone(scope)


def test_systemd_and_too_much_memory(session):
    report = session.workspace / "report"
    done = run(session, "python3", "-c", "x = b'x' * (256 << 20)",
               options=[*LIMITED, "--report", report])
    assert done.returncode == 128 + signal.SIGKILL, done.stderr
    assert json.loads(report.read_text())["reason"] == "out of memory"


@pytest.mark.parametrize("end", ["stop", "supervisor is killed"])
def test_systemd_in_the_background(session, end):
    name = f"scope-test-{os.getpid()}"
    ok(session.run([session.purple, "run", *LIMITED, "--name", name, "--detach", "--",
                    "sleep", "1000"]))
    try:
        listed = json.loads(ok(session.run([session.purple, "ps", "--json"])))
        supervisor, = [s["supervisor"] for s in listed if s["name"] == name]
        scope = look_at_scope(supervisor)
        assert ok(session.run([session.purple, "exec", name, "--", "echo", "in"])) == "in\n"
        if end == "stop":
            ok(session.run([session.purple, "stop", name]))
        else:
            os.kill(supervisor, signal.SIGKILL)
        assert has_gone(scope)
    finally:
        session.run([session.purple, "rm", "-f", name])


def test_systemd_is_not_asked_in_vain(session):
    """Without limits, and with one that needs no group."""
    for options in ((), ("--set", "resources.cpu_time_seconds=100")):
        sandbox = start(session, "sh", "-c", "echo ready; read end", text=True,
                        options=["--best-effort", "--workspace=none", *options],
                        stdin=subprocess.PIPE)
        assert sandbox.stdout.readline() == "ready\n", sandbox.communicate()
        assert group_of(sandbox.pid) == group_of(os.getpid())
        sandbox.communicate("end\n", timeout=60)
        assert sandbox.returncode == 0
