# SPDX-License-Identifier: Apache-2.0
"""What it costs to write down what happens: at the start, in a build of a real C project (this
one), and what the trail itself takes in and gives back."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

from common import Target, identity, row_of, spawn, works

ROOT = pathlib.Path(__file__).resolve().parent.parent
TITLES = {
    "plain": "purple run",
    "audit": "the same, with an audit",
    "opens": "the same, all opens",
    "ebpf": "the same, by eBPF",
}
FLOOD_S, RATE = 3, 50000
# What is compiled: every file of these, by one shell, one after the other.
PARTS = ("src/base", "src/policy")
BUILD = """
for f in {parts}; do
    cc -O1 -I. -Isrc -D_GNU_SOURCE -std=gnu17 -w -c "$f" -o "out/$(basename "$f").o" || exit 1
done
ar rcs out/all.a out/*.o
"""


def options(place, uid):
    """Row → options of purple run."""
    log = ["--audit", "--audit-log", str(place.base / f"trail-{uid}" / "trail.jsonl")]
    rows = {"plain": [], "audit": log, "opens": [*log, *(
        word for name in ("resource", "filesystem", "syscall", "network", "security_events")
        for word in ("--audit-detail", name))]}
    if uid == 0:
        rows["ebpf"] = [*log, "--audit-ebpf"]
    return rows


def argv(place, words, command):
    return [str(place.purple), "run", "-p", "default", *words, "--", *command]


def project(place, uid):
    """A copy of this project's sources that @uid may build in."""
    where = place.base / f"project-{uid}"
    shutil.copytree(ROOT / "src", where / "src")
    (where / "out").mkdir()
    (where / "config.h").write_text('#define PURPLE_VERSION "0"\n#define HAVE_SYSTEMD 0\n')
    files = " ".join(str(f.relative_to(where)) for part in PARTS
                     for f in sorted((where / part).glob("*.c")))
    (where / "build.sh").write_text(BUILD.format(parts=files))
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{uid}:{uid}", str(where)], check=True)
    return where


def build_once(place, uid, where, words):
    began = time.monotonic()
    r = subprocess.run(argv(place, words, ["sh", "build.sh"]), cwd=where, env=place.env(uid),
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                       **identity(uid))
    if r.returncode != 0:
        raise RuntimeError((r.stderr.strip().splitlines() or [f"status {r.returncode}"])[-1])
    return time.monotonic() - began


def builds(place, uid, rows, rounds):
    """Seconds of each row, in turns."""
    where = project(place, uid)
    taken = {key: [] for key in rows}
    try:
        for _ in range(rounds):
            for key in taken:
                taken[key].append(build_once(place, uid, where, rows[key]))
    finally:
        shutil.rmtree(where)
    return {key: {"build_s": statistics.median(v)} for key, v in taken.items()}


def trail(place, uid):
    """What one writer takes in, and what is read back to be verified."""
    log = place.base / f"trail-{uid}" / "flood.jsonl"
    how = {"cwd": place.work, "env": place.env(uid), "capture_output": True, "text": True,
           **identity(uid)}
    result = {}
    for key, rate in (("at_rate", RATE), ("at_most", 0)):
        r = subprocess.run([str(place.work / "events"), str(log), str(FLOOD_S), str(rate)],
                           check=True, **how)
        result[key] = json.loads(r.stdout)
    began = time.monotonic()
    r = subprocess.run([str(place.purple), "audit", "verify", str(log)], check=False, **how)
    seconds = time.monotonic() - began
    if r.returncode != 0:
        result["error"] = (r.stdout + r.stderr).strip()
    size = sum(f.stat().st_size for f in log.parent.glob("flood.jsonl*"))
    result["verify_mb_s"] = size / 1e6 / seconds
    return result


def measure(place, uid, rounds, build_rounds):
    if not place.purple:
        return {"error": "purple is not there"}
    logs = place.base / f"trail-{uid}"
    logs.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(logs, uid, uid)
    rows, result = {}, {}
    for key, words in options(place, uid).items():
        why = works(place, uid, argv(place, words, [str(place.work / "tiny")]))
        if why:
            result[key] = {"error": why}
        else:
            rows[key] = words
            result[key] = {}
    starts = spawn(place, uid, rounds, [argv(place, words, [str(place.work / "tiny")])
                                        for words in rows.values()])
    for key, samples in zip(rows, starts):
        result[key].update(row_of(samples))
    try:
        for key, row in builds(place, uid, rows, build_rounds).items():
            result[key].update(row)
    except RuntimeError as e:
        result["build"] = {"error": str(e)}
    result["trail"] = trail(place, uid)
    return result


def show(who, result):
    print(f"\nAudit as {who}{'':24}start, ms     p99    a build, s")
    if "error" in result:
        print(f"  {result['error']}")
        return
    for key, title in TITLES.items():
        row = result.get(key)
        if row is None:
            continue
        if "error" in row:
            print(f"  {title:34} {row['error']}")
            continue
        build = f"{row['build_s']:12.3f}" if "build_s" in row else ""
        print(f"  {title:34} {row['median_ms']:7.3f} {row['p99_ms']:7.2f} {build}")
    if "build" in result:
        print(f"  the build: {result['build']['error']}")
    t = result["trail"]
    for key in ("at_rate", "at_most"):
        print(f"  the trail takes {t[key]['per_second']:,} events/s, {t[key]['lost']} lost")
    print(f"  audit verify reads {t['verify_mb_s']:.0f} MB/s"
          + (f": {t['error']}" if "error" in t else ""))


def targets(who, result):
    plain = result.get("plain", {})
    for key, start, build in (("audit", 1.10, 1.02), ("ebpf", None, 1.05)):
        row = result.get(key, {})
        if start and "median_ms" in row:
            yield Target(f"start, {TITLES[key]}, as {who}",
                         row["median_ms"] / plain["median_ms"], start)
        if "build_s" in row:
            yield Target(f"a C build, {TITLES[key]}, as {who}",
                         row["build_s"] / plain["build_s"], build)
    if "trail" in result:
        t = result["trail"]
        yield Target(f"events/s without loss, as {who}",
                     t["at_rate"]["per_second"] if not t["at_rate"]["lost"] else 0, 0.99 * RATE,
                     True)
        if "error" not in t:
            yield Target(f"audit verify, MB/s, as {who}", t["verify_mb_s"], 100, True)
