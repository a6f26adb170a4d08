#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Start-up time, memory and call costs of Purple, beside the floor and bubblewrap.

All start-up rows of one table come from one interleaved run (bench/spawn.c),
so that only their ratios matter, not the machine's mood. As root the rows run
twice, as root and as an unprivileged user. A row whose program is not there
says so and the rest goes on. Everything measured is also written as JSON.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

UNPRIVILEGED = 12345
TEN_BINDS = ["usr", "bin", "sbin", "lib", "lib64", "etc", "opt", "var/lib", "var/cache"]
PROGRAMS = ["floor", "spawn", "tiny", "loops", "writebpf"]

# What is measured, as a ratio of two rows, and what it should be at most.
START_TARGETS = [
    ("purple run / floor", "purple", "floor", 1.25),
    ("purple run / bare spawn", "purple", "bare", 6.5),
    ("purple run / bwrap, 10 binds + filter", "purple", "bwrap-10", 0.45),
]
PSS_TARGET_KB = 500
DENSITY_TARGET = 0.6
LOOP_TARGETS = {"getppid": 1.05, "read": 1.05, "stat": 1.05, "openat+close": 1.12}


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
        if not home.exists():
            home.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(home, uid, uid)
        return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home),
                "LANG": "C.UTF-8"}

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


def start_up(place, uid, rounds):
    """Medians and p99 in milliseconds of every row, with two commands inside."""
    rows, failed = [], {}
    for inside in (str(place.work / "tiny"), "/bin/true"):
        command = pathlib.Path(inside).name
        for key, (_, argv) in place.sandboxes().items():
            if argv is None:
                failed[(command, key)] = "not there"
                continue
            why = works(place, uid, [*argv, inside])
            if why:
                failed[(command, key)] = why
            else:
                rows.append((command, key, [*argv, inside]))
    argv = [str(place.work / "spawn"), "-n", str(rounds), "-s", str(place.filter)]
    if uid != os.geteuid():
        argv += ["-u", str(uid)]
    for i, row in enumerate(rows):
        argv += ([","] if i else []) + row[2]
    r = subprocess.run(argv, cwd=place.work, env=place.env(uid), stdout=subprocess.PIPE,
                       check=True)
    result = {}
    for (command, key, _), samples in zip(rows, json.loads(r.stdout)):
        samples.sort()
        result[(command, key)] = {
            "median_ms": statistics.median(samples) / 1e6,
            "p99_ms": samples[min(len(samples) - 1, len(samples) * 99 // 100)] / 1e6,
        }
    for key, why in failed.items():
        result[key] = {"error": why}
    return result


def verdict(value, target):
    return "ok" if value <= target else "MISSED"


def print_start_up(place, who, result):
    print(f"\nStart-up as {who}, ms{'':15}median     p99   × bare  × floor")
    for command in ("tiny", "true"):
        def median(key):
            return result[(command, key)].get("median_ms")

        for key, (title, _) in place.sandboxes().items():
            row = result[(command, key)]
            label = f"  {command:5} {title}"
            if "error" in row:
                print(f"{label:36} {row['error']}")
                continue
            ratios = "".join(f"{row['median_ms'] / median(b):9.2f}" if median(b) else " " * 9
                             for b in ("bare", "floor"))
            print(f"{label:36} {row['median_ms']:7.3f} {row['p99_ms']:7.2f}{ratios}")


def start_up_targets(who, result):
    for title, a, b, target in START_TARGETS:
        values = [result[("tiny", key)].get("median_ms") for key in (a, b)]
        if all(values):
            yield f"{title}, tiny, as {who}", values[0] / values[1], target


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
                        stdin=subprocess.DEVNULL, close_fds=False,
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


def supervisors_pss(place, uid, argv):
    """kB of every process of one sandbox but the command itself, and how many they are."""
    with Alive(place, uid, argv, 1) as alive:
        time.sleep(0.2)
        pids = [pid for pid in tree(alive.procs[0].pid) if not is_tiny(pid)]
        return sum(pss_kb(pid) for pid in pids), len(pids)


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


def density(place, uid, argv, count):
    """kB of memory per sandbox, kernel included, with @count of them alive."""
    before = settled_kb()
    with Alive(place, uid, argv, count):
        return (before - settled_kb()) / count


def memory(place, uid, sandboxes):
    rows = {}
    for key, (_, argv) in place.sandboxes().items():
        if key == "bare":
            continue
        if argv is None:
            rows[key] = {"error": "not there"}
            continue
        try:
            pss, processes = supervisors_pss(place, uid, argv)
            rows[key] = {"pss_kb": pss, "processes": processes}
        except (RuntimeError, OSError) as e:
            rows[key] = {"error": str(e)}
    # In turns, and the median of each: other work moves the machine's memory too.
    taken = {key: [] for key, row in rows.items() if "error" not in row and key != "bwrap-min"}
    for _ in range(3):
        for key, values in taken.items():
            values.append(density(place, uid, place.sandboxes()[key][1], sandboxes))
    for key, values in taken.items():
        rows[key]["each_kb"] = statistics.median(values)
    return rows


def print_memory(place, rows, sandboxes):
    print(f"\nMemory, kB{'':21}PSS of supervisors   all-in, each of {sandboxes} alive")
    for key, row in rows.items():
        label = f"  {place.sandboxes()[key][0]}"
        if "error" in row:
            print(f"{label:36} {row['error']}")
            continue
        each = f"{row['each_kb']:20.0f}" if "each_kb" in row else ""
        print(f"{label:36} {row['pss_kb']:7}  ({row['processes']})   {each}")


def memory_targets(rows):
    purple, bwrap = rows.get("purple", {}), rows.get("bwrap-10", {})
    if "pss_kb" in purple:
        yield "PSS of Purple's processes, kB", purple["pss_kb"], PSS_TARGET_KB
    if "each_kb" in purple and "each_kb" in bwrap:
        yield ("memory per sandbox / bwrap, 10 binds + filter",
               purple["each_kb"] / bwrap["each_kb"], DENSITY_TARGET)


def loops(place, uid, times=9):
    """Nanoseconds of processor time per call outside and inside: the best of alternating runs."""
    argv = place.sandboxes()["purple"][1]
    if argv is None:
        return None
    runs = {"outside": [], "inside": []}
    for _ in range(times):
        for where, prefix in (("outside", []), ("inside", argv)):
            r = subprocess.run([*prefix, str(place.work / "loops"), "50000"], cwd=place.work,
                               env=place.env(uid), stdin=subprocess.DEVNULL, text=True,
                               capture_output=True, check=False, **identity(uid))
            if r.returncode != 0:
                return {"error": r.stderr.strip() or f"exit status {r.returncode}"}
            runs[where].append(json.loads(r.stdout))
    return {name: {where: min(run[name] for run in runs[where])
                   for where in runs} for name in LOOP_TARGETS}


def print_loops(result):
    print(f"\nSystem calls, ns{'':21}outside  inside   ratio")
    if result is None or "error" in result:
        print(f"  {result['error'] if result else 'purple is not there'}")
        return
    for name, row in result.items():
        print(f"  {name:34} {row['outside']:7.0f} {row['inside']:7.0f} "
              f"{row['inside'] / row['outside']:7.2f}")


def loop_targets(result):
    if result and "error" not in result:
        for name, row in result.items():
            yield f"{name}, inside / outside", row["inside"] / row["outside"], LOOP_TARGETS[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--purple", type=pathlib.Path, default=pathlib.Path("out"),
                        help="the installed tree")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--sandboxes", type=int, default=100,
                        help="alive at once for the memory rows; 0 leaves them out")
    args = parser.parse_args()
    report = {"kernel": platform.release(), "machine": platform.machine(),
              "cpus": os.cpu_count(), "load": os.getloadavg()[0],
              "rounds": args.rounds, "start_up_ms": {}}
    targets = []
    load = os.getloadavg()[0]
    if load > 0.5 * os.cpu_count():
        print(f"The load is {load:.1f} on {os.cpu_count()} processors: other work disturbs this.")
    users = [("root", 0), ("a user", UNPRIVILEGED)]
    if os.geteuid() != 0:
        users = [("this user", os.geteuid())]
    with tempfile.TemporaryDirectory(prefix="purple-bench-") as base:
        place = Place(base, args.build.resolve(), args.purple.resolve())
        for who, uid in users:
            if os.geteuid() == 0:
                os.chown(place.work, uid, uid)
            result = start_up(place, uid, args.rounds)
            print_start_up(place, who, result)
            sys.stdout.flush()
            targets += start_up_targets(who, result)
            report["start_up_ms"][who] = {f"{c}/{k}": v for (c, k), v in result.items()}
        uid = users[-1][1]
        if args.sandboxes > 0:
            report["memory_kb"] = memory(place, uid, args.sandboxes)
            print_memory(place, report["memory_kb"], args.sandboxes)
            targets += memory_targets(report["memory_kb"])
        report["calls_ns"] = loops(place, uid)
        print_loops(report["calls_ns"])
        targets += loop_targets(report["calls_ns"])
    print("\nTargets                                                         is  at most")
    for title, value, target in targets:
        print(f"  {title:56} {value:7.2f} {target:8.2f}  {verdict(value, target)}")
    if not targets:
        print("  none could be measured")
    report["targets"] = [{"what": t, "is": v, "at_most": m} for t, v, m in targets]
    path = args.build / "bench.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten: {path}")


if __name__ == "__main__":
    main()
