# SPDX-License-Identifier: Apache-2.0
"""What every test needs: the installed purple, and somebody to run it as."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

import sanitizing
from people import UNPRIVILEGED


def pytest_collection_modifyitems(items):
    """What a sanitizer's runtime cannot do is not asked of it."""
    for item in items if sanitizing.sanitized() else ():
        mark = item.get_closest_marker("not_sanitized")
        if mark:
            item.add_marker(pytest.mark.skip(reason=f"sanitized build: {mark.args[0]}"))


def pytest_configure(config):
    """What a nohup or a background shell has ignored would stay ignored in every child."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Runner:
    """Runs programs as one user, with a home and a workspace that this user owns."""

    def __init__(self, name, uid, base, purple):
        self.name = name
        self.uid = uid
        self.base = pathlib.Path(base)
        self.purple = str(purple)
        self.home = self.base / "home"
        self.workspace = self.base / "work"
        for directory in (self.home, self.workspace):
            directory.mkdir(mode=0o755)
            if os.geteuid() == 0:
                os.chown(directory, uid, uid)
        self.env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "LANG": "C.UTF-8",
            "USER": name,
            **sanitizing.options(),
        }

    @property
    def sandboxes(self):
        """Where the sandboxes that are alive have their records (DESIGN 5)."""
        if self.uid == 0:
            return pathlib.Path("/run/purple/sandboxes")
        if "XDG_RUNTIME_DIR" in self.env:
            return pathlib.Path(self.env["XDG_RUNTIME_DIR"]) / "purple/sandboxes"
        return self.home / ".local/state/purple/run/sandboxes"

    def _identity(self):
        if os.geteuid() != 0 or self.uid == 0:
            return {}
        return {"user": self.uid, "group": self.uid, "extra_groups": []}

    def options(self, **kw):
        """The keywords of subprocess calls, with this user's defaults filled in."""
        options = {"cwd": self.workspace, "env": self.env, "stdin": subprocess.DEVNULL}
        options.update(self._identity())
        options.update(kw)
        return options

    def popen(self, argv, **kw):
        return subprocess.Popen([str(a) for a in argv], **self.options(**kw))

    def run(self, argv, **kw):
        """Run @argv; output is captured as text unless the caller says otherwise."""
        if "stdout" not in kw and "stderr" not in kw:
            kw.setdefault("capture_output", True)
        kw.setdefault("text", True)
        kw.setdefault("timeout", 60)
        done = subprocess.run([str(a) for a in argv], check=False, **self.options(**kw))
        sanitizing.check(done)
        return done

    def write(self, name, content, mode=0o644):
        """A file of this user's in the workspace."""
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        if os.geteuid() == 0:
            owner = path
            while owner != self.workspace:
                os.chown(owner, self.uid, self.uid)
                owner = owner.parent
        return path


@pytest.fixture(scope="session")
def purple_prefix():
    """A copy of the installed tree that every user can reach; the checkout may be private."""
    installed = sanitizing.installed()
    if not installed.exists():
        pytest.skip(f"{installed} is not built")
    with tempfile.TemporaryDirectory(prefix="purple-test-") as directory:
        os.chmod(directory, 0o755)
        prefix = pathlib.Path(directory) / "prefix"
        shutil.copytree(installed.parent.parent, prefix, symlinks=True)
        if sanitizing.sanitized():
            sanitizing.report_to(prefix.parent / "findings")
        yield prefix


@pytest.fixture(autouse=True)
def no_findings(request):
    """What a sanitizer has found fails the test, whatever else came out."""
    yield
    if sanitizing.sanitized() and "purple_prefix" in request.fixturenames:
        prefix = request.getfixturevalue("purple_prefix")
        found = sanitizing.take_findings(prefix.parent / "findings")
        assert not found, found


@pytest.fixture(scope="session")
def purple(purple_prefix):
    """The path of the purple to test."""
    return purple_prefix / "bin" / "purple"


@pytest.fixture(params=["root", "user"])
def as_user(request, purple):
    """A Runner as root and as a plain user; the test runs once with each."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    uid = 0 if request.param == "root" else UNPRIVILEGED
    if os.geteuid() != 0:
        uid = os.geteuid()
    with tempfile.TemporaryDirectory(prefix="purple-user-") as directory:
        os.chmod(directory, 0o755)
        yield Runner(request.param, uid, directory, purple)
        if uid == 0:
            discard_below(directory, purple)


def discard_below(directory, purple):
    """What root's sandboxes in workspaces below @directory left in root's state to be reviewed."""
    state = pathlib.Path("/var/lib/purple/workspaces")
    for store in state.iterdir() if state.is_dir() else ():
        try:
            ours = f"\npath={directory}/" in (store / "meta").read_text(errors="replace")
        except OSError:
            continue  # another test's, that goes
        if ours:
            subprocess.run([purple, "discard", store.name.split(":")[0]], capture_output=True,
                           check=False)


@pytest.fixture
def session_runtime(request):
    """A runtime directory that goes with the session: only there a user's totals are kept."""
    if "as_user" not in request.fixturenames:
        return
    runner = request.getfixturevalue("as_user")
    where = runner.home / "runtime"
    where.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(where, runner.uid, runner.uid)
    runner.env["XDG_RUNTIME_DIR"] = str(where)
