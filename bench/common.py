# SPDX-License-Identifier: Apache-2.0
"""What the tables of the bench share: the place, the users, the clock, sandboxes that live."""
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import time
from typing import NamedTuple

TEN_BINDS = ["usr", "bin", "sbin", "lib", "lib64", "etc", "opt", "var/lib", "var/cache"]
PROGRAMS = ["floor", "setns", "spawn", "alive", "tiny", "loops", "flows", "events",
            "writebpf"]
# Each needs a group; none of them slows the command.
GROUP_LIMITS = ["--memory", "256M", "--cpus", "1", "--pids-limit", "64"]


class Place:
    """A temporary tree that every user can read: programs, prefix, workspace, caches."""

    def __init__(self, base, build, prefix):
        self.base = pathlib.Path(base)
        os.chmod(base, 0o755)
        self.work = self.base / "work"
        self.work.mkdir(mode=0o755)
        for name in PROGRAMS:
            shutil.copy2(build / "bench" / name, self.work / name)
        self.filter = self.base / "filter.bpf"
        with open(self.filter, "wb") as out:
            subprocess.run([self.work / "writebpf"], stdout=out, stderr=subprocess.DEVNULL,
                           check=True)
        self.filter.chmod(0o644)
        (self.work / "loops-file").write_text("for stat and open\n")
        self.purple = None
        if (prefix / "bin" / "purple").exists():
            shutil.copytree(prefix, self.base / "prefix", symlinks=True)
            self.purple = self.base / "prefix" / "bin" / "purple"
        self.bwrap = shutil.which("bwrap")

    def env(self, uid):
        home = self.base / f"home-{uid}"
        run = home / "run"
        if not home.exists():
            for path in (home, run):
                path.mkdir(mode=0o700)
                if os.geteuid() == 0:
                    os.chown(path, uid, uid)
        return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home),
                "XDG_RUNTIME_DIR": str(run), "LANG": "C.UTF-8"}

    def binds(self):
        args = []
        for name in TEN_BINDS:
            args += ["--ro-bind-try", f"/{name}", f"/{name}"]
        return args + ["--bind", str(self.work), str(self.work)]

    def sandboxes(self):
        """Row name → (what it is, its command without the command inside)."""
        return {
            "bare": ("bare spawn", []),
            "floor": ("floor: all layers by hand", [str(self.work / "floor")]),
            "purple": ("purple run -p default",
                       self.purple and [str(self.purple), "run", "-p", "default", "--"]),
            "purple-group": ("the same, limits by cgroups",
                             self.purple and [str(self.purple), "run", "-p", "default",
                                              *GROUP_LIMITS, "--"]),
            "purple-net": ("the same, a network by name",
                           self.purple and [str(self.purple), "run", "-p", "default",
                                            "--isolated=false", "--allow-net",
                                            "example.org:443", "--"]),
            "bwrap-min": ("bwrap, minimal",
                          self.bwrap and ["bwrap", "--unshare-all", "--ro-bind", "/", "/",
                                          "--proc", "/proc", "--dev", "/dev", "--"]),
            "bwrap-10": ("bwrap, 10 binds + filter",
                         self.bwrap and ["bwrap", "--unshare-all", "--tmpfs", "/tmp",
                                         *self.binds(), "--proc", "/proc", "--dev", "/dev",
                                         "--seccomp", "9", "--"]),
        }


def identity(uid):
    if os.geteuid() != 0 or uid == 0:
        return {}
    return {"user": uid, "group": uid, "extra_groups": []}


class Target(NamedTuple):
    """What should be, beside what is: at most, or at least."""

    what: str
    value: float
    limit: float
    at_least: bool = False

    def holds(self):
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def works(place, uid, argv):
    """None, or why this row cannot be measured."""
    with open(place.filter, "rb") as seccomp:
        def give_filter():
            os.dup2(seccomp.fileno(), 9)

        try:
            r = subprocess.run(argv, cwd=place.work, env=place.env(uid), text=True,
                               stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
                               check=False, close_fds=False, preexec_fn=give_filter,
                               **identity(uid))
        except (OSError, subprocess.TimeoutExpired) as e:
            return str(e)
    if r.returncode == 0:
        return None
    return (r.stderr.strip().splitlines() or [f"exit status {r.returncode}"])[0]


def spawn(place, uid, rounds, rows, prefix=()):
    """Lists of milliseconds, sorted, one for each command of @rows, from one interleaved run."""
    argv = [*prefix, str(place.work / "spawn"), "-n", str(rounds), "-s", str(place.filter)]
    if uid != os.geteuid():
        argv += ["-u", str(uid)]
    for i, row in enumerate(rows):
        argv += ([","] if i else []) + row
    r = subprocess.run(argv, cwd=place.work, env=place.env(uid), stdout=subprocess.PIPE,
                       check=True)
    return [sorted(ns / 1e6 for ns in samples) for samples in json.loads(r.stdout)]


def row_of(samples):
    """What is shown of one row's milliseconds."""
    return {"median_ms": statistics.median(samples),
            "p99_ms": samples[min(len(samples) - 1, len(samples) * 99 // 100)]}


def children(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def tree(pid):
    """@pid and all its descendants."""
    pids = [pid]
    for found in pids:  # grows as it goes
        pids += children(found)
    return pids


def is_tiny(pid):
    try:
        return pathlib.Path("/proc", str(pid), "comm").read_text().strip() == "tiny"
    except OSError:
        return False


class Alive:
    """@count sandboxes that sleep; ends exactly these on the way out."""

    def __init__(self, place, uid, argv, count):
        self.place, self.uid, self.argv, self.count = place, uid, argv, count
        self.procs = []

    def __enter__(self):
        try:
            with open(self.place.filter, "rb") as seccomp:
                def give_filter():
                    os.lseek(seccomp.fileno(), 0, os.SEEK_SET)
                    os.dup2(seccomp.fileno(), 9)

                for _ in range(self.count):
                    # bwrap reads its filter before tiny runs: one at a time.
                    self.procs.append(subprocess.Popen(
                        [*self.argv, str(self.place.work / "tiny"), "sleep"],
                        cwd=self.place.work, env=self.place.env(self.uid),
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, close_fds=False,
                        preexec_fn=give_filter, **identity(self.uid)))
                    self._wait_for_tiny(self.procs[-1])
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_for_tiny(self, proc):
        for _ in range(3000):
            if proc.poll() is not None:
                raise RuntimeError(f"{self.argv[0]} ended with {proc.returncode}")
            if any(is_tiny(pid) for pid in tree(proc.pid)):
                return
            time.sleep(0.002)
        raise RuntimeError(f"{self.argv[0]}: the command did not start")

    def __exit__(self, *_):
        # The tree first: what a launcher leaves behind would be nobody's child.
        for pid in [pid for proc in self.procs for pid in tree(proc.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for proc in self.procs:
            proc.wait()


def pss_kb(pid):
    for line in pathlib.Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def available_kb():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    return 0


def settled_kb():
    """available_kb() once it stands still: namespaces are freed some time after their end."""
    last = available_kb()
    for _ in range(12):
        time.sleep(0.5)
        now = available_kb()
        if abs(now - last) < 1024:
            break
        last = now
    return now
