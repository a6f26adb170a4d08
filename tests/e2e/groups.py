# SPDX-License-Identifier: Apache-2.0
"""
Control groups for tests, of version 1, 2 or both at once: what this kernel offers, a group that
root delegates to a plain user as systemd would, and a caller that has none.
"""
import contextlib
import json
import os
import pathlib
import subprocess

import pytest

from running import eventually

CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "pids", "io", "freezer")
# A writer of 0 to cgroup.procs moves itself.
ENTER = 'for g in $0; do echo 0 >"$g/cgroup.procs" || exit 99; done; exec "$@"'
WITHOUT = 'umount -R "$0" && exec "$@"'


def hierarchies():
    """(version, where it is mounted, its controllers), from mountinfo."""
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        point = pathlib.Path(before.split()[4])
        kind, _, options = after.split()[:3]
        words = {"io" if o == "blkio" else o for o in options.split(",")}
        if kind == "cgroup2":
            found.append((2, point, set((point / "cgroup.controllers").read_text().split())))
        elif kind == "cgroup":
            found.append((1, point, words & set(CONTROLLERS)))
    return [h for h in found if h[0] == 2 or h[2]]


def need(*controllers):
    """Skips where the kernel offers no such limit, whatever Purple says."""
    offered = set().union(*[h[2] for h in hierarchies()])
    missing = [c for c in controllers if c not in offered]
    if missing:
        pytest.skip(f"this machine has no control group for {', '.join(missing)}")


def doctor_says(runner):
    done = runner.run([runner.purple, "doctor", "--json"])
    item, = [x for x in json.loads(done.stdout) if x["id"] == "cgroup-limits"]
    return item


def group_of(pid, controller):
    """(version, directory) of the group that limits @pid by @controller, as the kernel tells."""
    places = {}
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            places["io" if name == "blkio" else name] = path.lstrip("/")
    for version, point, offered in hierarchies():
        if controller in offered:
            return version, point / places["" if version == 2 else controller]
    return None


class Caller:
    """A Runner whose programs are started by root through @before, a few words of a shell."""

    def __init__(self, runner, *before):
        self._runner = runner
        self._before = [str(b) for b in before]

    def __getattr__(self, name):
        return getattr(self._runner, name)

    def _argv(self, argv):
        drop = []
        if self._runner.uid != 0:
            drop = ["setpriv", f"--reuid={self._runner.uid}", f"--regid={self._runner.uid}",
                    "--clear-groups", "--"]
        return [*self._before, *drop, *argv]

    def run(self, argv, **kw):
        return self._runner.run(self._argv(argv), user=0, group=0, **kw)

    def popen(self, argv, **kw):
        return self._runner.popen(self._argv(argv), user=0, group=0, **kw)


def _hand_over(directory, uid, version):
    names = ["", "cgroup.procs"] + (["cgroup.subtree_control"] if version == 2 else [])
    for name in names:
        os.chown(directory / name, uid, uid)


def _make(version, point, controllers, name, uid):
    """The delegated directory, and where the caller is: below it (version 2) or in it (1)."""
    top = point / name
    if version == 2:
        for c in sorted(controllers & set(CONTROLLERS)):
            try:
                (point / "cgroup.subtree_control").write_text(f"+{c}")
            except OSError as e:
                pytest.skip(f"{point} does not pass {c} on: {e}")
    top.mkdir()
    if version == 1 and "cpuset" in controllers:
        for file in ("cpuset.cpus", "cpuset.mems"):
            (top / file).write_text((point / file).read_text())
    here = top
    if version == 2:
        here = top / "caller"
        here.mkdir()
        _hand_over(here, uid, version)
    _hand_over(top, uid, version)
    return top, here


def _gone(directory):
    with contextlib.suppress(OSError):
        directory.rmdir()
    return not directory.exists()


def _unmake(top):
    """Removes it all; returns what of Purple's was in it after a while."""
    ours = {top, top / "caller"}

    def below():
        return [pathlib.Path(path) for path, _, _ in os.walk(top, topdown=False)]
    eventually(lambda: set(below()) <= ours)
    found = set(below()) - ours
    for directory in below():
        if not eventually(lambda d=directory: _gone(d)):
            found.add(directory)
    return found


@contextlib.contextmanager
def delegated(runner, name):
    """@runner in a group that is its own; `.group(controller)` is the directory of that group."""
    made = []
    try:
        for version, point, controllers in hierarchies():
            made.append((controllers, *_make(version, point, controllers, name, runner.uid)))
        caller = Caller(runner, "sh", "-c", ENTER, " ".join(str(m[2]) for m in made))
        caller.group = lambda controller: [m[1] for m in made if controller in m[0]][0]
        yield caller
    finally:
        left = [d for _, top, _ in made for d in _unmake(top)]
    assert not left, left


def without(runner):
    """@runner where there is no group to have, by a mount namespace without the file systems."""
    points = [h[1] for h in hierarchies()]
    if not points:
        return runner
    top = os.path.commonpath(points)
    return Caller(runner, "unshare", "--mount", "--propagation", "private", "sh", "-c", WITHOUT,
                  top)


def swap_is_on():
    return len(pathlib.Path("/proc/swaps").read_text().splitlines()) > 1


def block_device_below(*directories):
    """The first directory that lies on a block device, with the device's numbers."""
    for directory in directories:
        done = subprocess.run(["findmnt", "-no", "MAJ:MIN", "-T", directory], check=False,
                              capture_output=True, text=True)
        numbers = done.stdout.strip()
        if pathlib.Path(f"/sys/dev/block/{numbers}").exists() and numbers:
            return directory
    return None
