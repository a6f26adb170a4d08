# SPDX-License-Identifier: Apache-2.0
"""Many sandboxes alive at once: how fast they start, what they take, how they end.

Purple's are detached and named (`purple run --detach --name`), so each has its
supervisor, its PID 1 and its command; the start ends when `purple run` returns.
bubblewrap's and the floor's stay below their launcher, which waits; the start
ends with the command's first byte. bench/alive.c is the clock.
"""
import contextlib
import json
import os
import signal
import statistics
import subprocess
import time

from common import Target, identity, settled_kb, spawn, tree

TURNS = 3
ENDS = 20  # the first and the last so many starts are compared
TITLES = {
    "floor": "floor: all layers by hand",
    "purple": "purple run --detach --name",
    "bwrap-10": "bwrap, 10 binds + filter",
}
RATE_TARGET, MEMORY_TARGET, LAST_TARGET, PS_TARGET = 2, 0.6, 1.5, 40


class Many:
    """@count sandboxes of one kind, and @starts, how many ns each took."""

    def __init__(self, place, uid, key, count):
        self.place, self.uid, self.key, self.count = place, uid, key, count
        self.starts, self.names = [], []

    def __enter__(self):
        tiny, argv = str(self.place.work / "tiny"), [str(self.place.work / "alive")]
        if self.key == "purple":
            base = f"bench-{os.getpid()}-"
            self.names = [f"{base}{i}" for i in range(self.count)]
            command = [str(self.place.purple), "run", "-p", "default", "--detach",
                       "--name", base + "{}", "--"]
            argv.append("-d")
        else:
            command = self.place.sandboxes()[self.key][1]
        argv += ["-s", str(self.place.filter)]
        if self.uid != os.geteuid():
            argv += ["-u", str(self.uid)]
        self.proc = subprocess.Popen([*argv, str(self.count), *command, tiny, "sleep"],
                                     cwd=self.place.work, env=self.place.env(self.uid),
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.starts = json.loads(self.proc.stdout.readline() or "[]")
            if len(self.starts) != self.count:
                raise RuntimeError(f"only {len(self.starts)} of {self.count} started")
        except BaseException:
            self.__exit__()
            raise
        return self

    def stop(self):
        """Seconds until all have ended: `purple stop` in order, the others by SIGKILL."""
        pids = [] if self.names else tree(self.proc.pid)[1:]
        start = time.monotonic()
        if self.names:
            self._purple("stop")
        for pid in pids:  # one may take others with it
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.proc.stdin.close()
        self.proc.wait()
        return time.monotonic() - start

    def _purple(self, *command):
        subprocess.run([str(self.place.purple), *command, *self.names], check=False,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, cwd=self.place.work,
                       env=self.place.env(self.uid), **identity(self.uid))

    def __exit__(self, *_):
        if self.names:
            self._purple("rm", "--force")
        # alive is everybody's reaper, so nobody has left its tree.
        for pid in tree(self.proc.pid)[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self.proc.stdin.close()
        self.proc.wait()


def ps_ratio(place, uid):
    """`purple ps` beside a bare spawn."""
    bare, ps = (statistics.median(samples) for samples in spawn(
        place, uid, 20, [[str(place.work / "tiny")], [str(place.purple), "ps"]]))
    return {"ps_ms": ps, "ps_ratio": ps / bare}


def one_turn(place, uid, key, count):
    before = settled_kb()
    with Many(place, uid, key, count) as many:
        row = {"each_kb": (before - settled_kb()) / count}
        ends = min(ENDS, count // 2) or 1
        first, last = many.starts[:ends], many.starts[-ends:]
        row |= {"rate": count / (sum(many.starts) / 1e9),
                "first_ms": statistics.median(first) / 1e6,
                "last_ms": statistics.median(last) / 1e6}
        row["growth"] = row["last_ms"] / row["first_ms"]
        if key == "purple":
            row |= ps_ratio(place, uid)
        row["stop_s"] = many.stop()
    return row


def measure(place, uid, count):
    """Medians of some turns, the kinds one after the other in each."""
    rows = {key: [] for key in TITLES}
    for _ in range(TURNS):
        for key, turns in rows.items():
            if place.sandboxes()[key][1] is None:
                rows[key] = {"error": "not there"}
            elif isinstance(turns, list):
                try:
                    turns.append(one_turn(place, uid, key, count))
                except (RuntimeError, subprocess.CalledProcessError) as e:
                    rows[key] = {"error": str(e)}
    return {key: {what: statistics.median(turn[what] for turn in row) for what in row[0]}
            if isinstance(row, list) else row for key, row in rows.items()}


def show(who, result, count):
    print(f"\nAlive at once as {who}: {count}{'':10} starts/s  first ms   last ms  kB each"
          "  stop all s")
    for key, title in TITLES.items():
        row = result[key]
        if "error" in row:
            print(f"  {title:34} {row['error']}")
            continue
        print(f"  {title:34} {row['rate']:8.0f} {row['first_ms']:9.2f} {row['last_ms']:9.2f} "
              f"{row['each_kb']:8.0f} {row['stop_s']:11.2f}")
    if "ps_ms" in result["purple"]:
        print(f"  {'purple ps over them':34} {result['purple']['ps_ms']:8.2f} ms, "
              f"{result['purple']['ps_ratio']:.1f} × bare")


def targets(who, result, count):
    purple, bwrap = result["purple"], result["bwrap-10"]
    if "error" in purple:
        return
    about = f"of {count} alive, as {who}"
    if "error" not in bwrap:
        yield Target(f"starts/s / bwrap's, {about}", purple["rate"] / bwrap["rate"], RATE_TARGET,
                     True)
        yield Target(f"memory each / bwrap's, {about}", purple["each_kb"] / bwrap["each_kb"],
                     MEMORY_TARGET)
    yield Target(f"the last starts / the first, {about}", purple["growth"], LAST_TARGET)
    yield Target(f"purple ps / bare spawn, {about}", purple["ps_ratio"], PS_TARGET)
