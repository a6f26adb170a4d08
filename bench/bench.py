#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Purple costs, beside the floor, bubblewrap and crun: one table for each question.

Start-up; one more command in a running sandbox (running.py); many alive at once
(scale.py); a network by name (network.py); an audit (audit.py); a workspace in
review (workspace.py); memory; system calls. All rows of the first two come from
one interleaved run each (bench/spawn.c), so that only their ratios matter, not
the machine's mood. As root they run twice, as root and as an unprivileged user. A
row whose program is not there, or cannot work here, says so and the rest goes
on. Everything measured is also written as JSON.

On a busy machine `chrt -f 10 make bench` keeps other work away. Where the kernel
schedules real-time groups (RT_GROUP_SCHED), such processes cannot enter a control
group of the cpu hierarchy: then run the rows that need one without chrt.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import audit
import network
import running
import scale
import workspace
from common import (Alive, Place, Target, identity, is_tiny, pss_kb, row_of, settled_kb, spawn,
                    tree, works)

UNPRIVILEGED = 12345
TABLES = ["start", "running", "scale", "network", "audit", "workspace", "memory", "calls"]

# What is measured, as a ratio of two rows, and what it should be at most.
START_TARGETS = [
    ("purple run / floor", "purple", "floor", 1.25),
    ("purple run / bare spawn", "purple", "bare", 6.5),
    ("purple run / bwrap, 10 binds + filter", "purple", "bwrap-10", 0.45),
    ("a network by name / purple run", "purple-net", "purple", 1.30),
]
# The same with limits that need a control group, by the version that the host has.
GROUP_TARGETS = {1: 1.20, 2: 1.10}
PSS_TARGET_KB = 500
DENSITY_TARGET = 0.6
LOOP_TARGETS = {"getppid": 1.05, "read": 1.05, "stat": 1.05, "openat+close": 1.12}


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
    result = {}
    for (command, key, _), samples in zip(rows, spawn(place, uid, rounds,
                                                      [row for _, _, row in rows])):
        result[(command, key)] = row_of(samples)
    for key, why in failed.items():
        result[key] = {"error": why}
    return result


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


def cgroup_version():
    """Of the controllers: both at once counts as 1, which has the limits there."""
    return 2 if pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1


def start_up_targets(who, result):
    version = cgroup_version()
    grouped = (f"limits by cgroups v{version} / purple run", "purple-group", "purple",
               GROUP_TARGETS[version])
    for title, a, b, limit in [*START_TARGETS, grouped]:
        values = [result[("tiny", key)].get("median_ms") for key in (a, b)]
        if all(values):
            yield Target(f"{title}, tiny, as {who}", values[0] / values[1], limit)


def supervisors_pss(place, uid, argv):
    """kB of every process of one sandbox but the command itself, and how many they are."""
    with Alive(place, uid, argv, 1) as alive:
        time.sleep(0.2)
        pids = [pid for pid in tree(alive.procs[0].pid) if not is_tiny(pid)]
        return sum(pss_kb(pid) for pid in pids), len(pids)


def density(place, uid, argv, count):
    """kB of memory per sandbox, kernel included, with @count of them alive."""
    before = settled_kb()
    with Alive(place, uid, argv, count):
        return (before - settled_kb()) / count


def memory(place, uid, sandboxes):
    rows = {}
    for key, (_, argv) in place.sandboxes().items():
        if key in ("bare", "purple-group", "purple-net"):
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
        yield Target("PSS of Purple's processes, kB", purple["pss_kb"], PSS_TARGET_KB)
    if "each_kb" in purple and "each_kb" in bwrap:
        yield Target("memory per sandbox / bwrap, 10 binds + filter",
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
            yield Target(f"{name}, inside / outside", row["inside"] / row["outside"],
                         LOOP_TARGETS[name])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--purple", type=pathlib.Path, default=pathlib.Path("out"),
                        help="the installed tree")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--sandboxes", type=int, default=100,
                        help="alive at once for the memory rows; 0 leaves them out")
    parser.add_argument("--scale", type=int, default=100,
                        help="alive at once for the scale table; 0 leaves it out")
    parser.add_argument("--network-rounds", type=int, default=5)
    parser.add_argument("--flows", type=int, default=2000,
                        help="idle connections at once for the network table")
    parser.add_argument("--build-rounds", type=int, default=7,
                        help="builds of a C project for the audit and workspace tables")
    parser.add_argument("--files", type=int, default=20000,
                        help="files of the tree in the workspace table")
    parser.add_argument("--only", choices=TABLES, action="append",
                        help="this table; may be given more than once")
    args = parser.parse_args()
    args.only = args.only or TABLES
    return args


def measure(place, args, users, report):
    """All tables: into @report, onto the screen. Yields the targets."""
    for who, uid in users:
        if os.geteuid() == 0:
            os.chown(place.work, uid, uid)
        if "start" in args.only:
            result = start_up(place, uid, args.rounds)
            print_start_up(place, who, result)
            yield from start_up_targets(who, result)
            report["start_up_ms"][who] = {f"{c}/{k}": v for (c, k), v in result.items()}
        if "running" in args.only:
            result = report["running_ms"][who] = running.measure(place, uid, args.rounds)
            running.show(who, result)
            yield from running.targets(who, result)
        if "scale" in args.only and args.scale > 0:
            result = report["scale"][who] = scale.measure(place, uid, args.scale)
            scale.show(who, result, args.scale)
            yield from scale.targets(who, result, args.scale)
        if "network" in args.only:
            result = report["network"][who] = network.measure(place, uid, args.network_rounds,
                                                              args.flows)
            network.show(who, result)
            yield from network.targets(who, result)
        if "audit" in args.only:
            result = report["audit"][who] = audit.measure(place, uid, args.rounds,
                                                          args.build_rounds)
            audit.show(who, result)
            yield from audit.targets(who, result)
        if "workspace" in args.only:
            result = report["workspace"][who] = workspace.measure(
                place, uid, args.rounds, args.build_rounds, args.files)
            workspace.show(who, result)
            yield from workspace.targets(who, result)
        sys.stdout.flush()
    uid = users[-1][1]
    if "memory" in args.only and args.sandboxes > 0:
        report["memory_kb"] = memory(place, uid, args.sandboxes)
        print_memory(place, report["memory_kb"], args.sandboxes)
        yield from memory_targets(report["memory_kb"])
    if "calls" in args.only:
        report["calls_ns"] = loops(place, uid)
        print_loops(report["calls_ns"])
        yield from loop_targets(report["calls_ns"])


def print_targets(targets):
    print(f"\nTargets{'':57}is     target")
    for t in targets:
        sign = "≥" if t.at_least else "≤"
        print(f"  {t.what:60} {t.value:7.2f} {sign}{t.limit:8.2f}  "
              f"{'ok' if t.holds() else 'MISSED'}")
    if not targets:
        print("  none could be measured")


def main():
    args = arguments()
    load = os.getloadavg()[0]
    report = {"kernel": platform.release(), "machine": platform.machine(),
              "cpus": os.cpu_count(), "load": load, "rounds": args.rounds,
              "start_up_ms": {}, "running_ms": {}, "scale": {},
              "network": {}, "audit": {}, "workspace": {}}
    if load > 0.5 * os.cpu_count():
        print(f"The load is {load:.1f} on {os.cpu_count()} processors: other work disturbs this.")
    users = [("root", 0), ("a user", UNPRIVILEGED)]
    if os.geteuid() != 0:
        users = [("this user", os.geteuid())]
    with tempfile.TemporaryDirectory(prefix="purple-bench-") as base:
        place = Place(base, args.build.resolve(), args.purple.resolve())
        targets = list(measure(place, args, users, report))
    print_targets(targets)
    report["targets"] = [{"what": t.what, "is": t.value,
                          "at_least" if t.at_least else "at_most": t.limit} for t in targets]
    path = args.build / "bench.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten: {path}")


if __name__ == "__main__":
    main()
