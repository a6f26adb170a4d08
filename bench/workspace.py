# SPDX-License-Identifier: Apache-2.0
"""
A workspace in review: what it adds to the start, what a git clone of a local repository and a
build of a C project (this one) take in it, what purple diff takes in large trees, and snapshot,
rollback and fork of many changes.
"""
import contextlib
import os
import shutil
import statistics
import subprocess
import time

from audit import project
from common import Target, identity, row_of, spawn, works

MODES = {"direct": "purple run", "review": "the same, in review", "scratch": "the same, scratch"}
WORK = {"clone": "git clone", "build": "C build"}
HISTORY = 2000  # files of the repository that is cloned
CHANGED, FAN = 10, 100
START_TARGET, WORK_TARGET = 1.15, 0.9
# What 50 ms are where the target was set, in starts of a bare process (0.92 ms there).
DIFF_TARGET, GROWTH_TARGET = 54, 1.5
LAYER_TARGET = 22  # 20 ms there
ROUNDS = 15


class Failed(Exception):
    """Why a row cannot be measured."""


def call(place, uid, argv, cwd, statuses=(0,)):
    """Seconds that it took."""
    began = time.monotonic()
    r = subprocess.run([str(a) for a in argv], cwd=cwd, env=place.env(uid), text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, check=False, **identity(uid))
    took = time.monotonic() - began
    if r.returncode not in statuses:
        raise Failed((r.stderr.strip().splitlines() or [f"exit status {r.returncode}"])[-1])
    return took


def run(place, mode, name, command):
    named = ["--name", name] if mode == "review" and name else []
    return [place.purple, "run", "-p", "default", f"--workspace={mode}", *named, "--", *command]


@contextlib.contextmanager
def directory(place, uid, name):
    """Of the user's, empty, and gone at the end."""
    where = place.base / f"{name}-{uid}"
    where.mkdir()
    if os.geteuid() == 0:
        os.chown(where, uid, uid)
    try:
        yield where
    finally:
        shutil.rmtree(where, ignore_errors=True)


def discard(place, uid, name):
    with contextlib.suppress(Failed):
        call(place, uid, [place.purple, "discard", name], place.base)


def starts(place, uid, rounds):
    result, rows = {}, {}
    for mode in MODES:
        argv = [str(a) for a in run(place, mode, None, [place.work / "tiny"])]
        why = works(place, uid, argv)
        if why:
            result[mode] = {"error": why}
        else:
            rows[mode] = argv
    for mode, samples in zip(rows, spawn(place, uid, rounds, list(rows.values()))):
        result[mode] = row_of(samples)
    return result


REPOSITORY = """
import os, subprocess, sys
for i in range(int(sys.argv[1])):
    os.makedirs(f"repo/{i // 100}", exist_ok=True)
    with open(f"repo/{i // 100}/{i}.c", "w") as f:
        f.write(f"int f{i}(void);\\n" * (i % 200 + 1))
for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "1"], ["gc", "-q"]):
    subprocess.run(["git", "-C", "repo", "-c", "user.name=b", "-c", "user.email=b@b", *words],
                   check=True)
"""


def work(place, uid, rounds):
    """Seconds of each kind of work, outside and inside, in turns; all from one tree."""
    taken = {kind: {"native": [], "direct": [], "review": []} for kind in WORK}
    with directory(place, uid, "clones") as top:
        built = project(place, uid)
        try:
            call(place, uid, ["python3", "-c", REPOSITORY, HISTORY], top)
            for i in range(rounds):
                for kind, rows in taken.items():
                    for where, seconds in rows.items():
                        seconds.append(work_once(place, uid, kind, where, top,
                                                 built, f"bench-{os.getpid()}-{i}"))
        finally:
            shutil.rmtree(built)
    return {kind: {where: statistics.median(v) for where, v in rows.items()}
            for kind, rows in taken.items()}


def work_once(place, uid, kind, where, top, built, name):
    # By hard links it would be no work, and within an overlay git cannot.
    command = (["git", "clone", "-q", "--no-hardlinks", "repo", "clone"] if kind == "clone"
               else ["sh", "build.sh"])
    cwd = top if kind == "clone" else built
    if where != "native":
        command = run(place, where, name, command)
    try:
        return call(place, uid, command, cwd)
    finally:
        if where == "review":
            discard(place, uid, name)
        shutil.rmtree(top / "clone", ignore_errors=True)
        for made in (built / "out").iterdir():
            made.unlink()


TREE = """
import os, sys
for i in range(int(sys.argv[1])):
    if i % 100 == 0:
        os.makedirs(f"{i // 10000}/{i // 100}")
    os.close(os.open(f"{i // 10000}/{i // 100}/{i}", os.O_CREAT | os.O_WRONLY, 0o644))
"""


@contextlib.contextmanager
def changed_tree(place, uid, count):
    """A tree of so many files, some of which a sandbox has changed; its name."""
    name = f"bench-{os.getpid()}-{count}"
    with directory(place, uid, f"tree-{count}") as top:
        call(place, uid, ["python3", "-c", TREE, count], top)
        files = [f"{i // 10000}/{i // 100}/{i}"
                 for i in range(0, count, max(count // CHANGED, 1))][:CHANGED]
        try:
            call(place, uid, run(place, "review", name, [
                "sh", "-c", 'for f; do echo changed > "$f"; done', "sh", *files]), top)
            yield name
        finally:
            discard(place, uid, name)


def diffs(place, uid, count):
    """ms of purple diff in a tree of @count files and in one of a hundredth of that, in turns."""
    counts = [max(count // FAN, CHANGED), count]
    with contextlib.ExitStack() as stack:
        rows = {"bare": [place.work / "tiny"]}
        for size in counts:
            name = stack.enter_context(changed_tree(place, uid, size))
            rows[size] = [place.purple, "diff", name]
        taken = {key: [] for key in rows}
        for _ in range(ROUNDS):
            for key, argv in rows.items():
                taken[key].append(1000 * call(place, uid, argv, place.base,
                                              (0,) if key == "bare" else (1,)))
    bare, small, large = (statistics.median(v) for v in taken.values())
    return {"files": count, "bare_ms": bare, "small_ms": small, "large_ms": large}


def layers(place, uid, count):
    """ms of each command on a sandbox that has changed @count files and has ended."""
    name = f"bench-{os.getpid()}-layers"
    taken = {what: [] for what in ("bare", "snapshot", "rollback", "fork")}
    with directory(place, uid, "layers") as top, contextlib.ExitStack() as stack:
        stack.callback(discard, place, uid, name)
        call(place, uid, run(place, "review", name, ["python3", "-c", TREE, count]), top)
        for i in range(ROUNDS):
            fork = f"{name}-{i}"
            stack.callback(discard, place, uid, fork)
            for what, words in (("bare", None), ("snapshot", [name, f"s{i}"]),
                                ("rollback", [name, "s0"]), ("fork", [name, fork])):
                argv = [place.purple, what, *words] if words else [place.work / "tiny"]
                taken[what].append(1000 * call(place, uid, argv, place.base))
    return {"files": count, **{what: statistics.median(v) for what, v in taken.items()}}


def measure(place, uid, rounds, build_rounds, files):
    if not place.purple:
        return {"error": "purple is not there"}
    result = {"start": starts(place, uid, rounds)}
    for key, part in (("work", lambda: work(place, uid, build_rounds)),
                      ("diff", lambda: diffs(place, uid, files)),
                      ("layers", lambda: layers(place, uid, files))):
        try:
            result[key] = part()
        except Failed as e:
            result[key] = {"error": str(e)}
    return result


def show(who, result):
    print(f"\nWorkspace as {who}{'':20}start, ms     p99")
    if "error" in result:
        print(f"  {result['error']}")
        return
    for mode, title in MODES.items():
        row = result["start"][mode]
        print(f"  {title:34} " + (row.get("error") or
                                  f"{row['median_ms']:7.3f} {row['p99_ms']:7.2f}"))
    if "error" in result["work"]:
        print(f"  git clone, C build: {result['work']['error']}")
    else:
        for kind, row in result["work"].items():
            print(f"  {WORK[kind] + ', s':34} " +
                  "  ".join(f"{where} {seconds:.3f}" for where, seconds in row.items()))
    d = result["diff"]
    if "error" in d:
        print(f"  purple diff: {d['error']}")
    else:
        print(f"  purple diff, {CHANGED} changed of {d['files']:,} files: {d['large_ms']:.1f} ms; "
              f"of {max(d['files'] // FAN, CHANGED):,}: {d['small_ms']:.1f} ms; "
              f"bare {d['bare_ms']:.1f}")
    lay = result["layers"]
    print("  snapshot, rollback, fork: " + (lay.get("error") or (
        f"{lay['snapshot']:.1f}, {lay['rollback']:.1f}, {lay['fork']:.1f} ms with "
        f"{lay['files']:,} files changed; bare {lay['bare']:.1f}")))


def targets(who, result):
    if "error" in result:
        return
    start = result["start"]
    if "median_ms" in start["direct"] and "median_ms" in start["review"]:
        yield Target(f"start, in review / direct, as {who}",
                     start["review"]["median_ms"] / start["direct"]["median_ms"], START_TARGET)
    if "error" not in result["work"]:
        for kind, row in result["work"].items():
            yield Target(f"{WORK[kind]}, speed in review / native, as {who}",
                         row["native"] / row["review"], WORK_TARGET, True)
    d = result["diff"]
    if "error" not in d:
        yield Target(f"purple diff, {CHANGED} of {d['files']:,} files / bare spawn, as {who}",
                     d["large_ms"] / d["bare_ms"], DIFF_TARGET)
        yield Target(f"the same / in a tree of a hundredth, as {who}",
                     d["large_ms"] / d["small_ms"], GROWTH_TARGET)
    lay = result["layers"]
    if "error" not in lay:
        for what in ("snapshot", "rollback", "fork"):
            yield Target(f"purple {what} / bare spawn, {lay['files']:,} changed, as {who}",
                         lay[what] / lay["bare"], LAYER_TARGET)
