# SPDX-License-Identifier: Apache-2.0
"""
Programs that try to mislead, to hold up or to break who observes their calls: tests/tools/hostile.c.
They get what they would without an observer, and what they did is told of all the same.
"""
import fcntl
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from running import ok, run, shell, start
from trail_reader import trail  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("PURPLE_BUILD", "build")


@pytest.fixture
def hostile(as_user, trail):
    """Runs a mode of it under observation, which must go well."""
    program = as_user.workspace / "hostile"
    shutil.copy2(BUILD / "tests" / "tools" / "hostile", program)
    program.chmod(0o755)

    def attempt(*words, options=()):
        return ok(run(as_user, program, *words, options=trail.options(*options)))
    return attempt


def refusals(trail):
    return sum(e.get("count", 1) for e in trail.of("syscall.denied"))


def test_pointers(hostile, trail):
    """Memory that is not there, strings without an end, every byte."""
    hostile("pointers", "x")
    written = [e.get("path") for e in trail.of("file.write")]
    assert "/tmp/e" in written
    assert None in written  # what could not be read is told of all the same
    # So is what has no name while it is looked at: it may have one when the kernel looks.
    assert sum(e.get("count", 1) for e in trail.of("file.write") if "path" not in e) >= 2
    assert "/tmp/\\xff\\x01\\x1b[31m\\x0a\"\\\\" in written
    assert any("path" not in e for e in trail.programs())  # as programs: the kernel may read them
    tried = [e for e in trail.programs() if e.get("path") == "/bin/true"]
    assert [e["argv"] for e in tried] == [[], ["x"], ["true", "true"]]


def test_a_race_gains_nothing(hostile, trail):
    """A path that changes while the call waits: the record may err, the kernel does not."""
    hostile("race", "2000")
    seen = trail.of("file.write") + trail.of("file.denied")
    assert sum(e.get("count", 1) for e in seen) == 2000


def test_ever_new_refusals(hostile, trail):
    hostile("paths", "5000")
    denied = trail.of("file.denied")
    assert sum(e.get("count", 1) for e in denied) == 5000
    began = trail.of("sandbox.started")[0]["time"]
    ended = trail.of("sandbox.ended")[0]["time"]
    seconds = seconds_of(ended) - seconds_of(began) + 2
    assert len(denied) < 1100 * seconds


def seconds_of(stamp):
    return time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))


def test_a_path_cannot_pass_for_another(as_user, trail):
    """Two names that FNV-1a, by which kinds were told apart once, gives the same value."""
    often, once = "/tmp/CE7M5b4OG78yG4^6@@", "/tmp/BGHF48-GAU54Av1PBB"
    script = (f"import os\nfor name in [{often!r}] * 20 + [{once!r}] + [{often!r}] * 20:\n"
              " os.close(os.open(name, os.O_WRONLY | os.O_CREAT))\n")
    ok(run(as_user, "/usr/bin/python3", "-c", script, options=trail.options()))
    written = trail.of("file.write")
    assert [e.get("count", 1) for e in written if e["path"] == once] == [1]
    assert sum(e.get("count", 1) for e in written if e["path"] == often) == 40


def test_a_storm_of_programs(hostile, trail):
    hostile("storm", "300")
    true = [e for e in trail.programs() if e["path"] == "/bin/true"]
    assert len(true) == 300 and len({e["pid"] for e in true}) == 300
    ended = {e["pid"] for e in trail.of("process.exit")}
    assert {e["pid"] for e in true} <= ended


def test_signals_meanwhile(hostile, trail):
    hostile("signals", "2000")
    # One that came before the observer looked makes the call anew; nothing is lost.
    assert 2000 <= refusals(trail) <= 2100


def test_a_thread_executes(hostile, trail):
    assert hostile("threads", "8") == "42\n"
    command, expr = trail.programs()
    assert expr["path"] == "/usr/bin/expr" and expr["pid"] == command["pid"]


def test_killed_meanwhile(hostile):
    hostile("killed", "150")


def test_stopped_meanwhile(hostile):
    hostile("stopped", "150")


def test_a_listener_of_its_own(as_user, hostile):
    """The filter refuses it; where a policy lifts that, the kernel does: there is one already."""
    hostile("listener", "1")
    policy = as_user.write("p.yaml", "name: p\nextends: default\nsyscalls:\n"
                           "  advanced_rules: [{syscall: seccomp, action: allow}]\n")
    hostile("listener", "16", options=["-p", str(policy)])


def test_unreadable_to_its_own(hostile, trail):
    hostile("undumpable", "/tmp/hidden")
    written, = trail.of("file.write")
    assert written["path"] == "/tmp/hidden"


def test_more_than_are_waited_for(hostile, trail):
    """The end of 256 is awaited; the others run and end all the same."""
    hostile("crowd", "300")
    cats = [e for e in trail.programs() if e["path"].endswith("/cat")]
    assert len(cats) == 300
    exits = [e for e in trail.of("process.exit") if e["path"].endswith("/cat")]
    assert 250 <= len(exits) <= 300


def test_programs_without_a_name(as_user, hostile, trail):
    """They do run, and no file by the name that their descriptor had says otherwise."""
    copy = as_user.workspace / "copy"
    shutil.copy2("/bin/true", copy)
    hostile("nameless", str(copy))
    ran = [e for e in trail.programs() if e["argv"] == ["true"]]
    assert [e["path"] for e in ran] == [f"{copy} (deleted)", "/memfd:memory (deleted)"]
    assert {e["pid"] for e in ran} <= {e["pid"] for e in trail.of("process.exit", status=0)}
    assert not trail.of("file.denied", access="exec")


def test_a_program_behind_a_link(as_user, trail):
    """A link to what only the caller sees: /proc/self is another for each."""
    ok(shell(as_user, "ln -s /proc/self/fd/3 link; exec 3</bin/true; ./link; /dev/fd/3",
             options=trail.options()))
    assert {"/dev/fd/3", str(as_user.workspace / "link")} <= {e["path"] for e in trail.programs()}


def test_writing_through_a_descriptor(as_user, trail):
    """A file, and what is in a directory, opened for reading and then again for writing."""
    ok(shell(as_user, ": >/tmp/a; exec 3</tmp/a 4</tmp; : >/proc/self/fd/3; : >/proc/self/fd/4/b; "
             ": >/dev/fd/4/c; : >/proc/thread-self/fd/4/d; exec </tmp/a; : >/dev/stdin; "
             "exec 5<.; : >/dev/fd/5/here; echo >/dev/stdout; : | cat >/dev/null",
             options=trail.options()))
    assert [e["path"] for e in trail.of("file.write")] == [
        "/tmp/a", "/tmp/a", "/tmp/b", "/tmp/c", "/tmp/d", "/tmp/a"]


def test_writing_through_a_link(as_user, trail):
    """In the workspace by the text, and elsewhere by a link made inside."""
    ok(shell(as_user, """
        ln -s / r; mkdir /tmp/d d; ln -s /tmp/d up; ln -s d down; ln -s /tmp/dangling nowhere
        ln -s /dev/null null
        : > r/tmp/unseen; : > r/tmp/unseen; : > up/../above; : > nowhere; : > null
        : > down/inside; : > d/../inside; : > inside; : > down/inside
        """, options=trail.options()))
    here = as_user.workspace
    assert [e["path"] for e in trail.of("file.write")] == [
        "/tmp/unseen", "/tmp/unseen", "/tmp/above", f"{here}/nowhere"]


def test_writing_through_a_link_is_refused(as_user, trail):
    shell(as_user, "ln -s /usr/lib r; : > r/unseen", options=trail.options())
    denied, = trail.of("file.denied")
    assert denied["path"] == "/usr/lib/unseen" and denied["error"] == "EROFS"


def test_truncating_by_name(as_user, trail):
    """truncate(2), which opens nothing."""
    ok(run(as_user, "python3", "-c", "import os; open('/tmp/t', 'w').close(); open('t', 'w').close();"
           "os.truncate('/tmp/t', 5); os.truncate('t', 5)", options=trail.options()))
    assert [(e["path"], e["access"]) for e in trail.of("file.write")] == [
        ("/tmp/t", "create"), ("/tmp/t", "write")]


def test_a_trail_that_somebody_has_locked(as_user, trail):
    """Lines wait for the lock; when there is no room for more, the policy is asked."""
    script = ("import os\nprint('started', flush=True)\ninput()\n"
              "for i in range(2000):\n"
              " if os.fork() == 0:\n  os.execv('/bin/true', ['true'] + ['\\x01' * 4000])\n"
              " os.wait()\nprint('all', flush=True)\ninput()\n")
    box = start(as_user, "/usr/bin/python3", "-c", script, options=trail.options(),
                stdin=subprocess.PIPE, text=True)
    assert box.stdout.readline() == "started\n"
    with open(f"{trail.path}.head", "rb") as head:
        fcntl.flock(head, fcntl.LOCK_EX)
        box.stdin.write("\n")
        box.stdin.flush()
        assert box.wait(60) != 0
    assert "another process holds the trail's lock" in box.stderr.read()
