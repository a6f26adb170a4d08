# SPDX-License-Identifier: Apache-2.0
"""Snapshots of what a sandbox changed: taken, gone back to, forked, in any number and order."""
import concurrent.futures
import hashlib
import json
import os
import random
import re
import signal
import stat
import subprocess
import time

import pytest

from running import eventually, ok, refused, run
from test_workspace import fingerprint, stores

pytestmark = pytest.mark.usefixtures("as_user")
VIEW = """
    find . -mindepth 1 -printf '%P %y %m %s %n %l\\n' | grep -v ' d ' | sort
    find . -type d -printf '%P %y %m\\n' | sort
    find . -type f -exec sha256sum {} + | sort
"""


@pytest.fixture(name="name")
def fixture_name(as_user):
    """A name that no store has; all whose names begin with it are removed at the end."""
    prefix = f"snap{os.getpid():x}{random.getrandbits(24):x}"
    yield prefix
    for other, path in stores(as_user).items():
        if other.startswith(prefix):
            purple(as_user, "kill", other)
            purple(as_user, "discard", other)
            assert not path.exists()


@pytest.fixture(name="project")
def fixture_project(as_user):
    as_user.write("file", "one\n")
    as_user.write("deep/er/file", "deep\n")
    as_user.write("run.sh", "#!/bin/sh\n", 0o755)
    as_user.run(["ln", "-s", "file", "link"])
    return as_user.workspace


def purple(runner, *words, **kw):
    return runner.run([runner.purple, *words], **kw)


def begin(runner, name, script, *options):
    return ok(run(runner, "sh", "-c", script,
                  options=["--name", name, "-w", f"{runner.workspace}:review", *options]))


def resume(runner, name, script):
    return ok(run(runner, "sh", "-c", script, options=["--name", name, "--resume"],
                  cwd=runner.home))


def view(runner, name):
    return resume(runner, name, VIEW)


def labels(runner, name):
    done = ok(purple(runner, "snapshots", "--json", name))
    return [s["label"] for s in json.loads(done)["snapshots"]]


def shared(runner):
    """Layers that stores stand on together."""
    some = next(iter(stores(runner).values()), None)
    place = some and some.parent / ".shared"
    return sorted(p.name for p in place.iterdir()) if place and place.exists() else []


def test_take_and_go_back(as_user, project, name):
    before = fingerprint(project)
    begin(as_user, name, "echo two >> file; rm deep/er/file; chmod 700 .; mkdir new; echo x > new/x")
    first = view(as_user, name)
    assert ok(purple(as_user, "snapshot", name, "first")) == "first\n"
    assert view(as_user, name) == first
    resume(as_user, name, "echo three >> file; rm -r new; mkdir deep/er/file; ln file hard;"
                          "ln -sf run.sh link; chmod 600 run.sh; mv deep shallow; chmod 755 .")
    second = view(as_user, name)
    assert second != first
    assert ok(purple(as_user, "snapshot", name)) == "1\n"
    resume(as_user, name, "rm -rf shallow; mkdir shallow; echo other > shallow/file; echo 4 > file")
    third = view(as_user, name)

    done = purple(as_user, "rollback", name, "first")
    assert ok(done) == "" and "is the snapshot 2" in done.stderr
    assert view(as_user, name) == first
    assert resume(as_user, name, "stat -c %a .") == "700\n"
    done = purple(as_user, "rollback", name, "1")
    assert ok(done) == done.stderr == ""  # nothing had been changed
    assert view(as_user, name) == second
    assert ok(purple(as_user, "rollback", name, "2")) == ""
    assert view(as_user, name) == third
    assert labels(as_user, name) == ["first", "1", "2"]
    done = json.loads(ok(purple(as_user, "snapshots", "--json", name)))
    assert done["current"] == "2" and not done["live"]
    assert [s["on"] for s in done["snapshots"]] == [None, "first", "1"]
    table = ok(purple(as_user, "snapshots", name))
    assert re.fullmatch(r"  LABEL  CREATED +ON\n  first  [-0-9]+ [:0-9]+  -\n  1 .*first\n\* 2 .*1\n",
                        table), table
    assert fingerprint(project) == before


def test_diff_sees_through_all(as_user, project, name):
    begin(as_user, name, "echo two >> file; rm deep/er/file; echo a > a")
    ok(purple(as_user, "snapshot", name))
    resume(as_user, name, "rm a; echo b > b; echo three >> file")
    done = purple(as_user, "diff", "--json", name)
    changes = {c["path"]: c["kind"] for c in json.loads(done.stdout)["changes"]}
    assert changes == {"file": "modified", "deep/er/file": "deleted", "b": "added"}
    ok(purple(as_user, "rollback", name, "1"))
    done = purple(as_user, "diff", "--json", name)
    changes = {c["path"]: c["kind"] for c in json.loads(done.stdout)["changes"]}
    assert changes == {"file": "modified", "deep/er/file": "deleted", "a": "added"}


def test_two_hundred(as_user, project, name):
    begin(as_user, name, "echo 0 > count; touch made-0")
    slowest = 0
    for i in range(1, 201):
        began = time.monotonic()
        assert ok(purple(as_user, "snapshot", name)) == f"{i}\n"
        slowest = max(slowest, time.monotonic() - began)
        if i % 40 == 0:
            resume(as_user, name, f"echo {i} > count; rm made-*; touch made-{i}")
    assert resume(as_user, name, "cat count file; ls made-*") == "200\none\nmade-200\n"
    ok(purple(as_user, "rollback", name, "100"))
    assert resume(as_user, name, "cat count; ls made-*; echo on > on") == "80\nmade-80\n"
    ok(purple(as_user, "fork", name, name + "-fork", "--at", "150"))
    assert resume(as_user, name + "-fork", "cat count; ls made-*") == "120\nmade-120\n"
    assert len(labels(as_user, name)) == 201 and len(labels(as_user, name + "-fork")) == 150
    assert slowest < 10


GOOD = ["a", "A.b_c:d+e@f-g", "0", "2026-11-24T22:10:05", "x" * 64, "last"]
BAD = ["", " ", "a b", "-a", ".", "..", "../x", "a/b", "a\nb", "a=b", "\x1b[31m", "ä", "a" * 65,
       "layer=1", "%41", "a\tb", "_a"]


def test_labels(as_user, project, name):
    begin(as_user, name, "echo x > x")
    for label in GOOD:
        assert ok(purple(as_user, "snapshot", name, "--", label)) == label + "\n"
    for label in BAD:
        done = purple(as_user, "snapshot", name, "--", label)
        refused(done, 125, "label")
        assert "\x1b" not in done.stderr
        done = purple(as_user, "rollback", name, "--", label)
        refused(done, 125, "no such snapshot" if label != "-a" else "snapshot")
    refused(purple(as_user, "snapshot", name, "last"), 125, "already", "purple snapshots")
    assert labels(as_user, name) == GOOD
    assert ok(purple(as_user, "snapshot", name)) == "1\n"


def test_who_has_none(as_user, project, name):
    for words in (["snapshot", name], ["snapshots", name], ["rollback", name, "x"],
                  ["fork", name, name + "2"]):
        refused(purple(as_user, *words), 125, "no sandbox", ":review")
    refused(run(as_user, "true", options=["--name", name, "--resume"]), 125, "no changes",
            "--resume")
    refused(run(as_user, "true", options=["--resume"]), 125, "--resume needs --name")
    begin(as_user, name, "echo x > x")
    refused(run(as_user, "true", options=["--name", name, "-w", ".:review"]), 125, "wait for review",
            "--resume")
    refused(run(as_user, "true", options=["--name", name, "--resume", "-w", ".:direct"]), 125,
            "in review")
    (as_user.home / "other").mkdir(exist_ok=True)
    refused(run(as_user, "true", options=["--name", name, "--resume", "-w", as_user.base / "home/other"]),
            125, "directory")
    refused(purple(as_user, "rollback", name, "x"), 125, "no snapshot x")
    refused(purple(as_user, "fork", name, name), 125, "already")
    refused(purple(as_user, "fork", name, "../x"), 125, "no name")
    assert resume(as_user, name, "cat x") == "x\n"


def test_overlays_go_on_too(as_user, project, name):
    data = as_user.base / "home/data"
    as_user.run(["mkdir", "-p", data])
    as_user.run(["sh", "-c", f"echo one > {data}/file"])
    overlay = ["--overlay", f"{data}:review"]
    begin(as_user, name, f"echo x > x; echo two >> {data}/file", *overlay)
    refused(purple(as_user, "snapshot", name + ":1"), 125, "not of overlays")
    ok(purple(as_user, "snapshot", name))
    done = run(as_user, "sh", "-c", f"cat x {data}/file; echo three >> {data}/file",
               options=["--name", name, "--resume", *overlay])
    assert ok(done) == "x\none\ntwo\n"
    done = run(as_user, "cat", data / "file", options=["--name", name, "--resume", *overlay])
    assert ok(done) == "one\ntwo\nthree\n"
    assert (data / "file").read_text() == "one\n"
    ok(purple(as_user, "discard", name))
    assert not [s for s in stores(as_user) if s.startswith(name)]


def test_forks_are_independent(as_user, project, name):
    fork, both = name + "-fork", {}
    begin(as_user, name, "echo two >> file; mkdir -p a/b; echo c > a/b/c; setfattr -n user.x -v y file || true")
    whole = view(as_user, name)
    ok(purple(as_user, "fork", name, fork))
    assert view(as_user, fork) == view(as_user, name) == whole
    resume(as_user, name, "echo parent >> file; rm -r a")
    both[name] = view(as_user, name)
    assert view(as_user, fork) == whole
    resume(as_user, fork, "echo child >> file; chmod 600 a/b/c; echo d > a/b/d")
    both[fork] = view(as_user, fork)
    assert view(as_user, name) == both[name] != whole
    assert both[fork] not in (both[name], whole)
    ok(purple(as_user, "snapshot", fork, "mine"))
    assert labels(as_user, name) == [] and labels(as_user, fork) == ["mine"]
    # A fork has the snapshots that it stands on.
    ok(purple(as_user, "fork", fork, name + "-third", "--at", "mine"))
    assert labels(as_user, name + "-third") == ["mine"]
    assert view(as_user, name + "-third") == both[fork]


@pytest.mark.parametrize("seed", range(3))
def test_discard_in_any_order(as_user, project, name, seed):
    chance = random.Random(seed)
    begin(as_user, name, "echo first > first")
    views = {name: view(as_user, name)}
    for i in range(6):
        parent = chance.choice(sorted(views))
        resume(as_user, parent, f"echo {i} >> in-{i}; echo {i} >> first")
        views[parent] = view(as_user, parent)
        if chance.random() < 0.5:
            ok(purple(as_user, "snapshot", parent, f"s{i}"))
        child = f"{name}-{i}"
        ok(purple(as_user, "fork", parent, child))
        views[child] = views[parent]
    order = sorted(views)
    chance.shuffle(order)
    while order:
        ok(purple(as_user, "discard", order.pop()))
        for left in order:
            assert view(as_user, left) == views[left], (left, order)
    assert not shared(as_user) or not [s for s in stores(as_user) if s.startswith(name)]


def test_nothing_is_left(as_user, project, name):
    """Shared layers go with the last store that stands on them."""
    before = set(shared(as_user))
    begin(as_user, name, "echo x > x")
    for child in ("-a", "-b", "-c"):
        ok(purple(as_user, "fork", name, name + child))
    mine = set(shared(as_user)) - before
    assert mine
    for child in ("", "-a", "-b"):
        ok(purple(as_user, "discard", name + child))
        assert mine & set(shared(as_user))
    ok(purple(as_user, "discard", name + "-c"))
    assert not mine & set(shared(as_user))


def test_what_is_killed_leaves_it_usable(as_user, project, name):
    """SIGKILL at random moments of every command: before or after, and nothing is lost."""
    chance = random.Random(7)
    begin(as_user, name, "echo x > x")
    want = view(as_user, name)
    ok(purple(as_user, "snapshot", name, "base"))
    for i in range(40):
        words = chance.choice([["snapshot", name, f"k{i}"], ["rollback", name, "base"],
                               ["fork", name, f"{name}-{i}"],
                               ["fork", name, f"{name}-{i}", "--at", "base"],
                               ["discard", f"{name}-{i - 1}"]])
        with as_user.popen([as_user.purple, *words], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL) as child:
            time.sleep(chance.random() * 0.02)  # where it is then is chance
            child.send_signal(signal.SIGKILL)
        if i % 8 == 7:
            assert view(as_user, name) == want
    assert "base" in labels(as_user, name)
    ok(purple(as_user, "rollback", name, "base"))
    assert view(as_user, name) == want
    for other, path in stores(as_user).items():
        if not other.startswith(name + "-"):
            continue
        # A fork that is not whole is one that a sweep removes.
        if (path / "meta").exists() and "mode=review" in (path / "meta").read_text():
            assert view(as_user, other) == want
        purple(as_user, "discard", other)
        assert eventually(lambda path=path: not path.exists())
    assert view(as_user, name) == want


def test_at_the_same_time(as_user, project, name):
    begin(as_user, name, "echo x > x")
    want = view(as_user, name)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda i: purple(as_user, "snapshot", name, f"n{i}"), range(12)))
        forks = list(pool.map(lambda i: purple(as_user, "fork", name, f"{name}-{i}"), range(6)))
    assert all(d.returncode == 0 for d in done + forks), [d.stderr for d in done + forks]
    assert sorted(labels(as_user, name)) == sorted(f"n{i}" for i in range(12))
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda i: view(as_user, f"{name}-{i}"), range(6))) == {want}
        gone = list(pool.map(lambda i: purple(as_user, "discard", f"{name}-{i}"), range(5)))
    assert all(d.returncode == 0 for d in gone), [d.stderr for d in gone]
    assert view(as_user, f"{name}-5") == want == view(as_user, name)


def test_the_limit_counts_all_layers(as_user, project, name):
    begin(as_user, name, "head -c 600k /dev/zero > a", "--set", "workspace.max_bytes=1M")
    ok(purple(as_user, "snapshot", name))
    done = run(as_user, "sh", "-c", "head -c 600k /dev/zero > b; sleep 30",
               options=["--name", name, "--resume", "--set", "workspace.max_bytes=1M"])
    assert done.returncode != 0 and "workspace.max_bytes" in done.stderr


def test_content_is_exact(as_user, project, name):
    """Whiteouts, opaque directories, hard links, holes, odd names."""
    begin(as_user, name, """
        rm -rf deep; mkdir -p deep/er; echo again > deep/er/other
        printf 'x' > "$(printf 'new\\nline')"; ln file second; truncate -s 1M holes
        mkfifo fifo; echo secret > none; chmod 0 none""")
    one = resume(as_user, name, "ls -lR --time=mtime --full-time | grep -v ' \\.\\.\\?$'; cat deep/er/*")
    ok(purple(as_user, "snapshot", name, "one"))
    resume(as_user, name, "rm -rf deep second holes fifo; rm -f none; mkdir deep; echo > deep/x")
    ok(purple(as_user, "rollback", name, "one"))
    two = resume(as_user, name, "ls -lR --time=mtime --full-time | grep -v ' \\.\\.\\?$'; cat deep/er/*")
    assert hashlib.sha256(one.encode()).hexdigest() == hashlib.sha256(two.encode()).hexdigest()


def test_the_store_is_private(as_user, project, name):
    begin(as_user, name, "echo x > x")
    ok(purple(as_user, "fork", name, name + "-2"))
    top = stores(as_user)[name].parent
    assert stat.S_IMODE((top / ".shared").stat().st_mode) == 0o700


def test_beside_an_apply(as_user, project, name):
    """One has the lock and the other waits: all is applied, and the snapshots are whole."""
    begin(as_user, name, "for i in $(seq 200); do echo $i > f$i; done; echo two >> file")
    want = view(as_user, name)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        taken = [pool.submit(purple, as_user, "snapshot", name, f"n{i}") for i in range(3)]
        fork = pool.submit(purple, as_user, "fork", name, name + "-fork")
        done = pool.submit(purple, as_user, "apply", name, "file").result()
    # An apply does not wait: it may have met one of the others.
    assert done.returncode == 0 or any(
        word in done.stderr for word in ("in use", "lives", "at this moment")), done.stderr
    for one in [*taken, fork]:
        ok(one.result())
    assert sorted(labels(as_user, name)) == ["n0", "n1", "n2"]
    assert view(as_user, name) == want == view(as_user, name + "-fork")
    applied = (project / "file").read_text()
    assert applied == ("one\ntwo\n" if done.returncode == 0 else "one\n")
    # What its parent has applied is no conflict for the fork.
    ok(purple(as_user, "apply", name + "-fork"))
    assert (project / "file").read_text() == "one\ntwo\n"
    assert (project / "f200").read_text() == "200\n"
