# SPDX-License-Identifier: Apache-2.0
"""Snapshots of sandboxes that run: what is kept is of one moment, and they go on."""
import concurrent.futures
import json
import os
import random
import signal
import subprocess
import time

import pytest

from running import eventually, ok, refused
from test_snapshots import VIEW, labels, purple, resume, view
from test_snapshots import fixture_name, fixture_project  # noqa: F401  pylint: disable=unused-import
from test_workspace import stores

pytestmark = pytest.mark.usefixtures("as_user")


@pytest.fixture(name="live")
def fixture_live(as_user, project, name):
    """A sandbox in review that stays."""
    ok(purple(as_user, "create", "--workspace=review", name))
    yield name
    purple(as_user, "kill", name)
    purple(as_user, "rm", name)


def inside(runner, name, script):
    return ok(purple(runner, "exec", name, "--", "sh", "-c", script))


def end(runner, name):
    ok(purple(runner, "stop", "-t", "0", name))
    ok(purple(runner, "rm", name))


def state(runner, name):
    done = ok(purple(runner, "ps", "--json"))
    return next(s["state"] for s in json.loads(done) if s["name"] == name)


def at_label(runner, name, label):
    """What was at a snapshot, seen by a fork of it."""
    ok(purple(runner, "fork", name, f"{name}-at-{label}", "--at", label))
    return view(runner, f"{name}-at-{label}")


def test_what_is_kept(as_user, live):
    """All kinds of files, and what its owner may not read."""
    inside(as_user, live, """
        echo two >> file; rm -r deep; mkdir deep; ln file hard; ln -sf run.sh link
        mkfifo fifo; truncate -s 64M holes; echo end >> holes; rm run.sh
        printf x > "$(printf 'odd\\nname')"; mkdir -p none/below; echo s > none/secret
        chmod 640 none/secret""")
    one = inside(as_user, live, VIEW)
    assert ok(purple(as_user, "snapshot", live, "one")) == "one\n"
    inside(as_user, live, "echo three >> hard; rm -r deep none holes; mkdir new; chmod 700 .")
    two = inside(as_user, live, VIEW)
    assert ok(purple(as_user, "snapshot", live)) == "1\n"
    assert inside(as_user, live, VIEW) == two != one
    assert at_label(as_user, live, "one") == one
    assert at_label(as_user, live, "1") == two
    assert inside(as_user, live, "echo more > more; cat hard file") == "one\ntwo\nthree\n" * 2
    last = inside(as_user, live, VIEW)
    end(as_user, live)
    assert view(as_user, live) == last
    ok(purple(as_user, "rollback", live, "one"))
    assert view(as_user, live) == one
    assert resume(as_user, live, "stat -c '%b %h' holes file hard; stat -c %a .").split() == [
        resume(as_user, live, "stat -c %b holes").strip(), "1", "8", "2", "8", "2", "755"]


def test_what_its_owner_may_not_read(as_user, live):
    inside(as_user, live, "mkdir none; echo s > none/secret; echo t > closed; chmod 0 none closed")
    assert ok(purple(as_user, "snapshot", live, "one")) == "one\n"
    inside(as_user, live, "chmod 700 none; rm -r none; rm -f closed")
    ok(purple(as_user, "fork", live, live + "-2", "--at", "one"))
    assert resume(as_user, live + "-2", """
        stat -c %a none closed; chmod 700 none closed; cat none/secret closed""") == "0\n0\ns\nt\n"


WRITER = """
i=0
while :; do
    i=$((i + 1))
    echo $i > first.new; mv first.new first
    echo $i > second.new; mv second.new second
    echo $i >> log
done
"""


def test_it_is_of_one_moment(as_user, live):
    """The writer changes the one file before the other: they never differ by more than one."""
    with as_user.popen([as_user.purple, "exec", live, "--", "sh", "-c", WRITER]) as writer:
        assert eventually(lambda: "log" in inside(as_user, live, "ls"))
        for i in range(8):
            assert ok(purple(as_user, "snapshot", live)) == f"{i + 1}\n"
        before = inside(as_user, live, "cat second")
        assert eventually(lambda: inside(as_user, live, "cat second") != before)
        writer.send_signal(signal.SIGTERM)
    seen = []
    for i in range(8):
        fork = f"{live}-{i}"
        ok(purple(as_user, "fork", live, fork, "--at", str(i + 1)))
        first, second, last = map(int, resume(
            as_user, fork, "cat first second; tail -n 1 log").split())
        assert first - 1 <= second <= first and second - 1 <= last <= second, (first, second, last)
        seen.append(first)
    assert seen == sorted(seen) and seen[0] < seen[-1]


def test_what_is_open_goes_on(as_user, live):
    """The current directory, a file that is written, a mapping: they lie in the live layer."""
    script = """
import mmap, os, sys, time
os.makedirs("d", exist_ok=True); os.chdir("d")
f = open("open", "w+b"); f.write(b"a" * 4096); f.flush()
m = mmap.mmap(f.fileno(), 4096)
m[0:1] = b"b"
print("ready", flush=True)
sys.stdin.readline()
m[1:2] = b"c"; f.seek(2); f.write(b"d"); f.flush(); open("beside", "w").write("x")
print(open("open").read(4), sorted(os.listdir(".")), flush=True)
"""
    with as_user.popen([as_user.purple, "exec", live, "--", "python3", "-c", script],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        ok(purple(as_user, "snapshot", live, "one"))
        out, _ = child.communicate("go\n", timeout=30)
    assert out == "bcda ['beside', 'open']\n" and child.returncode == 0
    assert inside(as_user, live, "head -c 4 d/open") == "bcda"
    ok(purple(as_user, "fork", live, live + "-2", "--at", "one"))
    assert resume(as_user, live + "-2", "head -c 4 d/open; ls d") == "baaaopen\n"


def test_a_paused_one_stays_so(as_user, live):
    inside(as_user, live, "echo x > x")
    ok(purple(as_user, "pause", live))
    ok(purple(as_user, "snapshot", live, "one"))
    assert state(as_user, live) == "paused"
    ok(purple(as_user, "resume", live))
    ok(purple(as_user, "snapshot", live, "two"))
    assert state(as_user, live) == "running"
    assert labels(as_user, live) == ["one", "two"]


def test_at_the_same_time(as_user, live):
    inside(as_user, live, "echo x > x")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        taken = [pool.submit(purple, as_user, "snapshot", live, f"n{i}") for i in range(6)]
        forks = [pool.submit(purple, as_user, "fork", live, f"{live}-{i}") for i in range(3)]
        execs = [pool.submit(purple, as_user, "exec", live, "--", "cat", "x") for i in range(6)]
    for one in taken + forks:
        ok(one.result())
    for one in execs:
        done = one.result()
        assert done.stdout == "x\n" or "a snapshot of it is being made" in done.stderr
    assert sorted(set(labels(as_user, live))) == sorted([f"n{i}" for i in range(6)] + ["1", "2", "3"])
    assert state(as_user, live) == "running"
    assert resume(as_user, f"{live}-1", "cat x") == "x\n"


def test_refused(as_user, project, live, name):
    for words in (["rollback", live, "x"], ["discard", live]):
        done = purple(as_user, *words)
        assert done.returncode == 125 and "purple stop" in done.stderr
    refused(purple(as_user, "snapshot", live, "a b"), 125, "label")
    ok(purple(as_user, "snapshot", live, "one"))
    refused(purple(as_user, "snapshot", live, "one"), 125, "already")
    refused(purple(as_user, "fork", live, live + "-2", "--at", "two"), 125, "no snapshot two")
    refused(purple(as_user, "fork", live, live), 125, "already")
    refused(purple(as_user, "snapshot", "--live", live), 125, "CRIU")
    assert labels(as_user, live) == ["one"]
    direct, scratch = name + "-direct", name + "-scratch"
    ok(purple(as_user, "create", direct))
    ok(purple(as_user, "create", "--workspace=scratch", scratch))
    try:
        refused(purple(as_user, "snapshot", direct), 125, ":review")
        refused(purple(as_user, "snapshot", scratch), 125, ":review")
    finally:
        for other in (direct, scratch):
            end(as_user, other)
    assert state(as_user, live) == "running"


def test_too_deep(as_user, live):
    """What cannot be copied is an error, leaves nothing, and lets it go on."""
    inside(as_user, live, """python3 -c '
import os
for i in range(2500):
    os.mkdir("d"); os.chdir("d")'""")
    done = purple(as_user, "snapshot", live)
    assert done.returncode == 125 and ("too deep" in done.stderr or "Too many" in done.stderr)
    assert os.listdir(stores(as_user)[live] / "layers") == ["1"]
    assert eventually(lambda: state(as_user, live) == "running") and labels(as_user, live) == []
    inside(as_user, live, "echo on")


def test_a_client_that_is_killed(as_user, live):
    """The sandbox goes on, and the next snapshot is whole."""
    chance = random.Random(3)
    inside(as_user, live, "for i in $(seq 300); do echo $i > f$i; done; head -c 20M /dev/zero > big")
    for i in range(12):
        with as_user.popen([as_user.purple, "snapshot", live, f"k{i}"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            time.sleep(chance.random() * 0.05)  # where it is then is chance
            child.send_signal(signal.SIGKILL)
        assert eventually(lambda: state(as_user, live) == "running")
    inside(as_user, live, "echo on > on")
    want = inside(as_user, live, VIEW)
    ok(purple(as_user, "snapshot", live, "last"))
    assert at_label(as_user, live, "last") == want
    end(as_user, live)
    assert view(as_user, live) == want


def test_it_ends_meanwhile(as_user, live):
    """SIGKILL to the sandbox while snapshots are made: each is whole, or there is none."""
    inside(as_user, live, "for i in $(seq 200); do echo $i > f$i; done")
    want = inside(as_user, live, VIEW)
    ok(purple(as_user, "snapshot", live, "before"))
    with as_user.popen([as_user.purple, "snapshot", live, "during"], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True) as child:
        ok(purple(as_user, "kill", live))
        child.communicate(timeout=60)
    purple(as_user, "rm", live)
    assert view(as_user, live) == want
    for label in labels(as_user, live):
        assert at_label(as_user, live, label) == want

