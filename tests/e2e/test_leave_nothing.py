# SPDX-License-Identifier: Apache-2.0
"""
The host is what it was: mount table, /tmp, the home directory and the process
list, after success, after refusals, and after SIGKILL of the launcher, of PID 1
and of the command.

Every run gets a /tmp and a home of its own (where the tests run as root), so
that what is found there is Purple's. The test is a child subreaper: a process
that Purple leaves behind becomes its child.
"""
import ctypes
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest

from hostmounts import host_mounts
from running import children_of

PR_SET_CHILD_SUBREAPER = 36
KILLS = 100

# The private /tmp has the runner's directory and Purple at their usual paths.
OWN_TMP = """
mkdir -p "$0/tmp$0" "$0/tmp$1"
chmod 1777 "$0/tmp/tmp"
mount --rbind "$0" "$0/tmp$0"
mount --rbind "$1" "$0/tmp$1"
mount --rbind "$0/tmp/tmp" /tmp
shift
exec "$@"
"""


def children():
    found = set()
    for task in pathlib.Path("/proc/self/task").iterdir():
        found |= {int(c) for c in (task / "children").read_text().split()}
    return found


def is_zombie(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def tree(top):
    """Every name below @top with what it is."""
    found = {}
    for path in sorted(pathlib.Path(top).rglob("*")):
        st = path.lstat()
        found[str(path)] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns)
    return found


class Host:
    """What must not change."""

    def __init__(self, runner, purple_prefix):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.runner = runner
        self.prefix = pathlib.Path(purple_prefix)
        self.private = os.geteuid() == 0 and str(runner.base).startswith("/tmp/")
        self.tmp = runner.base / "tmp" / "tmp"
        self.children = children()

    def argv(self, argv):
        """@argv as the user, in a mount namespace with a /tmp of its own."""
        argv = [str(a) for a in argv]
        if not self.private:
            return argv
        if self.runner.uid != 0:
            argv = ["setpriv", f"--reuid={self.runner.uid}", f"--regid={self.runner.uid}",
                    "--clear-groups", "--", *argv]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", OWN_TMP,
                str(self.runner.base), str(self.prefix.parent), *argv]

    def popen(self, argv, **kw):
        options = {"cwd": self.runner.workspace, "env": self.runner.env,
                   "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
                   "stderr": subprocess.PIPE, **kw}
        if self.private and "cwd" not in kw:
            # Entered by the shell: before that, /tmp is another one.
            argv = ["env", f"--chdir={self.runner.workspace}", *argv]
        return subprocess.Popen(self.argv(argv), **options)

    def run(self, argv, **kw):
        process = self.popen(argv, **kw)
        _, err = process.communicate(timeout=60)
        return process.returncode, err

    def state(self):
        return {"mounts": host_mounts(self.runner.base),
                "tmp": tree(self.tmp) if self.private and self.tmp.exists() else None,
                "home": {path: what for path, what in tree(self.runner.home).items()
                         if not pathlib.Path(path).is_relative_to(self.runner.home / ".local")},
                "workspace": tree(self.runner.workspace)}

    def left_behind(self, patience=5.0):
        """Processes that came to us and do not end. What has ended is reaped."""
        end = time.monotonic() + patience
        while True:
            new = children() - self.children
            for pid in list(new):
                if is_zombie(pid):
                    try:
                        os.waitpid(pid, os.WNOHANG)
                    except ChildProcessError:
                        pass
                    new.discard(pid)
            if not new or time.monotonic() > end:
                return new
            time.sleep(0.005)


@pytest.fixture
def host(as_user, purple_prefix):
    """After a first run, so that the cache is there; --no-cache leaves that alone too."""
    one = Host(as_user, purple_prefix)
    status, err = one.run([as_user.purple, "run", "--no-cache", "--", "/bin/true"])
    assert status == 0, err
    return one


def sandboxed(host, *command, options=()):
    return [host.runner.purple, "run", "--no-cache", *options, "--", *command]


@pytest.mark.parametrize("command,status", [
    (["/bin/true"], 0),
    (["/bin/false"], 1),
    (["/bin/sh", "-c", "echo x >/tmp/a; echo x >~/b; echo x >/dev/shm/c; mkdir /var/tmp/d"], 0),
    (["/bin/sh", "-c", "kill -KILL $$"], 137),
    (["/bin/sh", "-c", "sleep 100 & setsid sleep 100 & exit 4"], 4),
    (["/nonexistent"], 127),
    (["/etc/passwd"], 126),
    (["/tmp"], 126),
], ids=lambda v: "" if isinstance(v, int) else v[-1][:24])
def test_after_an_ordinary_end(host, command, status):
    before = host.state()
    done = host.run(sandboxed(host, *command))
    assert done[0] == status, done
    assert not host.left_behind()
    assert host.state() == before


@pytest.mark.parametrize("options", [
    ["-p", "nosuch"], ["--memory", "many"], ["--ro", "/nonexistent"], ["--ro", "/proc"],
    ["-w", "/nonexistent"], ["-w", "/"], ["--nosuch"], ["--set", "nosuch=1"],
    ["--syscalls", "none", "--deny-syscall", "execve"], ["--report", "/nonexistent/report"],
], ids=lambda o: " ".join(o)[:40])
def test_after_a_refusal(host, options):
    before = host.state()
    status, err = host.run(sandboxed(host, "/bin/sh", "-c", "echo >marker", options=options))
    assert status == 125, err
    assert not host.left_behind()
    assert host.state() == before


def test_the_cache_is_all_that_appears(as_user, purple_prefix):
    host = Host(as_user, purple_prefix)
    status, err = host.run([as_user.purple, "run", "--", "/bin/true"])
    assert status == 0, err
    assert not host.left_behind()
    cache, state = as_user.home / ".cache", as_user.home / ".local"
    assert not [p for p in tree(as_user.home) if not pathlib.Path(p).is_relative_to(cache)
                and not pathlib.Path(p).is_relative_to(state)]
    sandboxes = state / "state/purple/run/sandboxes"
    assert not sandboxes.exists() or all(n.startswith(".totals") for n in os.listdir(sandboxes))
    assert tree(as_user.workspace) == {}


def descend(pid, depth, deadline=5.0):
    """The process @depth generations below @pid, when it is there; None if @pid ends first."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        at = [pid]
        for _ in range(depth):
            at = [c for p in at for c in children_of(p)]
        if at:
            return at[-1]
        if is_zombie(pid):
            return None
    return None


@pytest.mark.parametrize("depth,status", [(0, {-9}), (1, {137}), (2, {137})],
                         ids=["launcher", "pid1", "command"])
def test_after_sigkill(host, depth, status):
    """The command is killed in its own right, or goes with the others."""
    before = host.state()
    process = host.popen(sandboxed(host, "/bin/sh", "-c", "sleep 100 & sleep 100"))
    try:
        # env, unshare and setpriv exec: the launcher has the pid that we started.
        assert descend(process.pid, 3), "the sandbox has started"
        os.kill(descend(process.pid, depth), signal.SIGKILL)
        process.communicate(timeout=10)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode in status
    assert not host.left_behind()
    assert host.state() == before


@pytest.mark.parametrize("rounds", [KILLS, pytest.param(1000, marks=pytest.mark.long)])
@pytest.mark.parametrize("depth", [0, 1, 2], ids=["launcher", "pid1", "command"])
def test_after_sigkill_at_any_moment(host, depth, rounds):
    """Kill while the sandbox is being built, at a different moment each time."""
    chance = random.Random(rounds + depth)
    before = host.state()
    for _ in range(rounds):
        process = host.popen(sandboxed(host, "/bin/sleep", "0.02"))
        victim = descend(process.pid, depth) if depth else process.pid
        time.sleep(chance.random() * 0.012)
        if victim:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        _, err = process.communicate(timeout=10)
        assert process.returncode in {-9, 0, 137, 125}, err
        assert not host.left_behind(), f"after {process.returncode} {err}"
    assert host.state() == before
