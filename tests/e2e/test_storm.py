# SPDX-License-Identifier: Apache-2.0
"""
A fork bomb, a memory hog, a filler of scratch, a hog of descriptors and a busy loop, together in
one sandbox and alone in five: the host answers, the time-out ends all, nothing is left. Then what
could stop the watchdog from inside, and does not.

Everything here is bounded by itself too: with every limit off a storm has about 520 processes
and 1 GB, and goes with the test.
"""
import contextlib
import json
import os
import pathlib
import subprocess
import threading
import time

import pytest

import groups
from running import descendants, eventually, ok, start
from test_exec import purple
from test_lifecycle import sandboxes

# Nobody listens to SIGTERM: the time-out has to kill.
PRELUDE = """
import os, signal, time
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(s, signal.SIG_IGN)
"""
STORMS = {
    "memory-hog": """
kept = []
while True:
    kept.append(b"x" * (1 << 20))
    if len(kept) == 400: kept = []
""",
    "scratch-filler": """
block = b"x" * (1 << 16)
while True:
    for place in ("/tmp/fill", "/var/tmp/fill", "/dev/shm/fill"):
        try:
            with open(place, "wb", buffering=0) as f:
                for _ in range(3200): f.write(block)
        except OSError: pass
    for place in ("/tmp/fill", "/var/tmp/fill", "/dev/shm/fill"):
        try: os.unlink(place)
        except OSError: pass
""",
    "descriptor-hog": """
try: os.fork()
except OSError: pass
while True:
    kept = []
    try:
        while len(kept) < 100000: kept.extend(os.pipe())
    except OSError: pass
    time.sleep(0.01)
    for fd in kept: os.close(fd)
""",
    "busy-loop": """
try: os.fork()
except OSError: pass
while True: pass
""",
    # Not before the hog had its share of the processor: nobody has, after that.
    "fork-bomb": """
while os.path.exists(os.path.expanduser("~/hog")): time.sleep(0.02)
for _ in range(9):
    try: os.fork()
    except OSError: pass
while True:
    try:
        if os.fork() == 0: os._exit(0)
        os.wait()
    except OSError: pass
""",
}
LIMITS = ["--cpus", "1", "--open-files", "256", "--scratch-size", "16M", "--timeout", "5",
          "--kill-grace", "1"]
# Of the host while it storms, without the machine's noise: what a person would call stuck.
PATIENCE = 10.0


class Probe:
    """How long the host needs to start a program and to write a file, again and again."""

    def __init__(self, directory):
        self.times = []
        self._file = directory / "probe"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop)

    def _loop(self):
        while not self._stop.wait(0.02):
            began = time.monotonic()
            subprocess.run(["/bin/true"], check=True)
            self._file.write_bytes(b"x" * 4096)
            self.times.append(time.monotonic() - began)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def figures(self):
        times = sorted(self.times)
        return (f"{len(times)} probes, median {times[len(times) // 2] * 1000:.1f} ms, "
                f"p99 {times[int(len(times) * 0.99)] * 1000:.1f} ms, "
                f"max {times[-1] * 1000:.1f} ms")


class Inside:
    """The processes of a sandbox, by its namespace, which no orphan and no daemon leaves."""

    def __init__(self, launcher):
        assert eventually(lambda: self._find(launcher), 20), "the sandbox has started"

    def _find(self, launcher):
        own = os.stat("/proc/self/ns/pid").st_ino
        for pid in descendants(launcher):
            with contextlib.suppress(OSError):
                fd = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY)  # held: the number stays its own
                if os.fstat(fd).st_ino != own:
                    self.fd = fd
                    return True
                os.close(fd)
        return False

    def pids(self):
        wanted, found = os.fstat(self.fd).st_ino, []
        for path in pathlib.Path("/proc").iterdir():
            if path.name.isdigit():
                with contextlib.suppress(OSError):
                    if os.stat(path / "ns/pid").st_ino == wanted:
                        found.append(int(path.name))
        return found

    def is_empty(self):
        return not self.pids()


def groups_named(name):
    """Directories of control groups, wherever they are mounted."""
    return [path for _, point, _ in groups.hierarchies() for path, _, _ in os.walk(point)
            if path.endswith(f"/purple-{name}")]


# A shell, which the kernel never finds the largest. A hog comes back as long as there is room.
SHELL = """
trap '' TERM INT HUP QUIT
hog() { while :; do python3 -IS -c "$1"; rm -f ~/hog; done; }
if [ "$hogs" ]; then : >~/hog; hog "$hogs" & fi
for s; do python3 -IS -c "$s" & done
wait
sleep 1000
"""


def storm(kinds):
    scripts = {k: PRELUDE + STORMS[k] for k in kinds}
    hog = scripts.pop("memory-hog", "")
    return ["env", f"hogs={hog}", "sh", "-c", SHELL, "sh", *scripts.values()]


def launch(runner, number, kinds, pids, memory):
    report = f"report{number}.json"
    return start(runner, *storm(kinds), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                 options=[*LIMITS, "--pids-limit", pids, "--memory", memory, "--report", report])


def end_of(runner, number, process, inside):
    """It was the time-out, and nothing is left; returns the report's figures."""
    assert process.wait(timeout=60) == 124
    report = json.loads((runner.workspace / f"report{number}.json").read_text())
    assert report["reason"] == "timeout"
    assert eventually(inside.is_empty), inside.pids()
    assert not groups_named(report["id"]) and report["name"] not in sandboxes(runner)
    return report["usage"]


def stormed(runner, record_property, plan):
    """Starts each of @plan, (kinds, processes, memory), at once; returns their usage."""
    groups.need("memory", "pids", "cpu")
    with Probe(runner.base) as calm:
        assert eventually(lambda: len(calm.times) >= 50, 60)
    processes = []
    try:
        with Probe(runner.base) as probe:
            processes = [launch(runner, n, *each) for n, each in enumerate(plan)]
            insides = [Inside(p.pid) for p in processes]
            usage = [end_of(runner, n, p, i) for n, (p, i) in enumerate(zip(processes, insides))]
    finally:
        for p in processes:
            p.kill()
            p.wait()
    record_property("measured", f"calm: {calm.figures()}; storm: {probe.figures()}")
    assert max(probe.times) < PATIENCE
    assert {p.name for p in runner.workspace.iterdir()} == \
        {f"report{n}.json" for n in range(len(plan))}
    return usage


def test_all_storms_in_one(limited, record_property):
    usage, = stormed(limited, record_property, [(list(STORMS), "80", "96M")])
    assert usage["pids_peak"] == 80 and usage["forks_refused"] > 0
    assert usage["memory_peak_bytes"] <= 96 << 20 and usage["oom_kills"] > 0
    assert "throttled_us" in usage and usage["cpu_us"] < 1.3 * usage["wall_ms"] * 1000


def test_five_storms_at_once(limited, record_property):
    found = stormed(limited, record_property, [([k], "40", "48M") for k in STORMS])
    usage = dict(zip(STORMS, found))
    assert usage["fork-bomb"]["pids_peak"] == 40 and usage["fork-bomb"]["forks_refused"] > 0
    assert usage["memory-hog"]["oom_kills"] > 0
    for one in found:
        assert one["pids_peak"] <= 40 and one["memory_peak_bytes"] <= 48 << 20


# ---- the watchdog ----

ATTACKS = {
    "stops-all": """
while True:
    try: os.kill(-1, signal.SIGSTOP)
    except OSError: pass
    time.sleep(0.001)
""",
    "stops-itself": "os.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass\n",
    "signals-pid-1": """
for s in range(1, 65):
    try: os.kill(1, s)
    except OSError: pass
while True: time.sleep(1)
""",
    "daemons": """
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 100)
            while True: time.sleep(0.1)
        os._exit(0)
while True: time.sleep(1)
""",
    "double-forks": """
while True:
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.05)
            if os.fork() > 0: os._exit(0)
            time.sleep(0.05)
        os._exit(0)
    os.wait()
    time.sleep(0.005)
""",
    "full-pid-table": """
while True:
    try:
        while os.fork() == 0: pass
    except OSError: pass
    time.sleep(0.1)
""",
    "highest-priority": """
for wish in (lambda: os.nice(-20), lambda: os.sched_setscheduler(0, os.SCHED_FIFO,
             os.sched_param(99)), lambda: os.setpriority(os.PRIO_PROCESS, 0, -20)):
    try: wish()
    except OSError: pass
while True: pass
""",
}
WATCHED = ["--pids-limit", "60", "--timeout", "1"]


def attack(name):
    return ["python3", "-IS", "-c", PRELUDE + ATTACKS[name]]


@pytest.mark.parametrize("name", ATTACKS)
def test_the_watchdog_is_not_stopped(as_user, name):
    """With no control group to help: what ends all is the end of their PID 1."""
    p = start(as_user, *attack(name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
              options=[*WATCHED, "--kill-grace", "1", "--report", "report0.json"])
    try:
        end_of(as_user, 0, p, Inside(p.pid))
    finally:
        p.kill()
        p.wait()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_watchdog_in_the_background_is_not_stopped(as_user, name):
    box = f"dog-{os.getpid()}-{as_user.name}"
    began = time.monotonic()
    ok(purple(as_user, "run", "--detach", "--name", box, *WATCHED, "--kill-grace", "0", "--",
              *attack(name)))
    try:
        one, = [x for x in json.loads(ok(purple(as_user, "ps", "--json"))) if x["name"] == box]
        inside = Inside(one["supervisor"])
        assert purple(as_user, "wait", box).returncode == 124
        assert time.monotonic() - began < 30
        assert eventually(inside.is_empty), inside.pids()
        assert not groups_named(one["id"])
        ended, = [x for x in json.loads(ok(purple(as_user, "ps", "-a", "--json")))
                  if x["name"] == box]
        assert (ended["state"], ended["reason"]) == ("ended", "timeout")
    finally:
        purple(as_user, "rm", "-f", box)


def test_a_full_pid_table_keeps_nobody_out(as_user):
    """The supervisor still measures, pauses, resumes and ends it: none of that forks inside."""
    box = f"full-{os.getpid()}-{as_user.name}"
    ok(purple(as_user, "run", "--detach", "--name", box, "--pids-limit", "40", "--timeout", "60",
              "--kill-grace", "0", "--", *attack("full-pid-table")))
    try:
        def stats():
            return json.loads(ok(purple(as_user, "stats", "--json", box)))[0]
        assert eventually(lambda: stats()["pids"] >= 39, 20)
        ok(purple(as_user, "pause", box))
        ok(purple(as_user, "resume", box))
        done = purple(as_user, "exec", box, "true")
        assert done.returncode == 125 and "Resource temporarily unavailable" in done.stderr
        ok(purple(as_user, "stop", "-t", "0", box))
        assert purple(as_user, "wait", box).returncode == 137
    finally:
        purple(as_user, "rm", "-f", box)
