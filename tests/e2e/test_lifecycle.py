# SPDX-License-Identifier: Apache-2.0
"""Time-outs, the grace, signals to the supervisor, suspension, what is left after SIGKILL."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from running import alive, children_of, descendants, eventually, ok, refused, run, start


def sandboxes(runner):
    return set(os.listdir(runner.sandboxes)) if runner.sandboxes.exists() else set()


def sandboxes_of(runner, pid):
    """Those of one supervisor: root's directory has those of other tests too."""
    found = set()
    for name in sandboxes(runner):
        try:
            text = (runner.sandboxes / name / "state").read_text()
        except OSError:
            continue
        if f"supervisor={pid}\n" in text:
            found.add(name)
    return found


def report_of(runner):
    return json.loads((runner.workspace / "report.json").read_text())


DEAF = "trap '' TERM INT HUP QUIT; echo ready; while :; do sleep 0.1; done"


def test_timeout_ends_a_command(as_user):
    began = time.monotonic()
    done = run(as_user, "sleep", "60", options=["--timeout", "1", "--report", "report.json"])
    assert done.returncode == 124, done.stderr
    assert 0.9 < time.monotonic() - began < 4
    assert report_of(as_user)["reason"] == "timeout"


def test_timeout_ends_one_that_will_not(as_user):
    """Deaf to SIGTERM, with a child in a session of its own that has stopped the rest."""
    began = time.monotonic()
    done = run(as_user, "sh", "-c", f"setsid sh -c '{DEAF.replace(chr(39), chr(34))}' & "
               "kill -STOP $$", options=["--timeout", "1", "--kill-grace", "1"])
    assert done.returncode == 124, done.stderr
    assert 1.9 < time.monotonic() - began < 6


def test_a_command_may_use_its_grace(as_user):
    done = run(as_user, "sh", "-c", "trap 'echo bye; exit 3' TERM; while :; do sleep 0.1; done",
               options=["--timeout", "1", "--report", "report.json"])
    assert (done.returncode, done.stdout) == (124, "bye\n")


def test_no_timeout_for_one_that_ends(as_user):
    assert ok(run(as_user, "echo", "x", options=["--timeout", "1"])) == "x\n"


def test_cpu_time_of_all_together(as_user):
    """Four at once, of which none reaches the limit alone."""
    began = time.monotonic()
    done = run(as_user, "sh", "-c", "for i in 1 2 3 4; do (while :; do :; done) & done; wait",
               options=["--cpu-time", "2", "--report", "report.json"])
    assert done.returncode == 124, done.stderr
    assert report_of(as_user)["reason"] == "cpu time"
    assert time.monotonic() - began < 12


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM"])
def test_a_signal_ends_it_within_the_grace(as_user, name):
    with start(as_user, "sh", "-c", DEAF, options=["--kill-grace", "1"]) as p:
        assert p.stdout.readline() == b"ready\n"
        inside = descendants(p.pid)
        began = time.monotonic()
        p.send_signal(getattr(signal, f"SIG{name}"))
        assert p.wait(timeout=10) == 137
        assert 0.8 < time.monotonic() - began < 4
        assert not [pid for pid in inside if alive(pid)]


def test_a_second_and_a_third_sigterm_shorten_the_grace(as_user):
    with start(as_user, "sh", "-c", DEAF, options=["--kill-grace", "60"]) as p:
        assert p.stdout.readline() == b"ready\n"
        began = time.monotonic()
        p.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        p.send_signal(signal.SIGTERM)
        assert p.wait(timeout=10) == 137
        assert 1 < time.monotonic() - began < 5
    with start(as_user, "sh", "-c", DEAF, options=["--kill-grace", "60"]) as p:
        assert p.stdout.readline() == b"ready\n"
        began = time.monotonic()
        for _ in range(3):
            p.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        assert p.wait(timeout=10) == 137
        assert time.monotonic() - began < 1.2


def test_an_ignored_hangup_stays_ignored(as_user):
    with start(as_user, "sh", "-c", "echo ready; sleep 0.5; echo done",
               preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as p:
        assert p.stdout.readline() == b"ready\n"
        p.send_signal(signal.SIGHUP)
        assert p.communicate(timeout=10)[0] == b"done\n"
        assert p.returncode == 0


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@pytest.mark.parametrize("options", [[], ["--name", "suspended"]], ids=["plain", "named"])
def test_suspend_and_resume(as_user, options):
    with start(as_user, "sh", "-c", "echo ready; while :; do sleep 0.05; echo .; done",
               options=options) as p:
        assert p.stdout.readline() == b"ready\n"
        time.sleep(0.1)
        p.send_signal(signal.SIGTSTP)
        assert eventually(lambda: state_of(p.pid) == "T")
        os.set_blocking(p.stdout.fileno(), False)
        time.sleep(0.2)
        p.stdout.read()
        time.sleep(0.3)
        assert not p.stdout.read()
        p.send_signal(signal.SIGCONT)
        assert eventually(p.stdout.read)
        p.terminate()
        p.wait(timeout=10)
        assert p.returncode == 143


def test_only_what_lasts_is_written_down(as_user):
    with start(as_user, "true") as p:
        p.communicate(timeout=10)
        assert not sandboxes_of(as_user, p.pid)
    with start(as_user, "sleep", "60") as p:
        assert eventually(lambda: sandboxes_of(as_user, p.pid))
        name, = sandboxes_of(as_user, p.pid)
        assert "state=running" in (as_user.sandboxes / name / "state").read_text()
        p.terminate()
        p.wait(timeout=10)
        assert eventually(lambda: name not in sandboxes(as_user))


def test_sigkill_of_the_supervisor_takes_all_and_the_next_start_cleans(as_user):
    with start(as_user, "sh", "-c", "sleep 100 & setsid sleep 100 & echo ready; wait",
               options=["--name", "killed"]) as p:
        assert p.stdout.readline() == b"ready\n"
        inside = descendants(p.pid)
        p.kill()
        p.wait(timeout=10)
        assert eventually(lambda: not [pid for pid in inside if alive(pid)])
    # What is root's any other test may have swept.
    assert as_user.uid == 0 or "killed" in sandboxes(as_user)
    assert ok(run(as_user, "echo", "again", options=["--name", "killed"])) == "again\n"
    assert "killed" not in sandboxes(as_user)


def test_a_name_is_used_once(as_user):
    with start(as_user, "sh", "-c", "echo ready; sleep 60", options=["--name", "one"]) as p:
        assert p.stdout.readline() == b"ready\n"
        refused(run(as_user, "true", options=["--name", "one"]), 125, "one", "already")
        p.terminate()
        p.wait(timeout=10)


@pytest.mark.parametrize("name", ["", "-x", "../x", "A", "x" * 65, "a/b", ".x", "ä"])
def test_names_that_are_none(as_user, name):
    refused(run(as_user, "true", options=[f"--name={name}"]), 125)


def test_two_starts_of_one_name_at_once(as_user):
    many = [start(as_user, "sh", "-c", "echo up; exec sleep 60", options=["--name", "race"])
            for _ in range(6)]
    assert eventually(lambda: sum(p.poll() is not None for p in many) >= 5, 30)
    for p in many:
        if p.poll() is None:
            assert p.stdout.readline() == b"up\n"
            p.terminate()
    statuses = sorted((p.communicate(timeout=30), p.returncode)[1] for p in many)
    assert statuses == [125] * 5 + [143]
    assert "race" not in sandboxes(as_user)


def test_the_state_directory_is_full(as_user, tmp_path):
    """The command runs on; one line says that it is not listed. A name is refused."""
    if os.geteuid() != 0:
        pytest.skip("mounts a small file system")
    where = pathlib.Path(as_user.base) / "full"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o",
                    f"size=4k,nr_inodes=4,mode=700,uid={as_user.uid}", "none", where], check=True)
    try:
        env = {**as_user.env, "XDG_RUNTIME_DIR": str(where)}
        if as_user.uid == 0:
            pytest.skip("root's state is in /run/purple")
        done = run(as_user, "sh", "-c", "sleep 0.3; echo done", env=env)
        assert (done.returncode, done.stdout) == (0, "done\n")
        assert len([x for x in done.stderr.splitlines() if x.startswith("purple:")]) == 1
        refused(run(as_user, "true", options=["--name", "x"], env=env), 125, "state")
    finally:
        subprocess.run(["umount", where], check=True)


def test_no_supervisor_outlives_its_sandbox(as_user):
    with start(as_user, "sh", "-c", "echo ready; sleep 60") as p:
        assert p.stdout.readline() == b"ready\n"
        pid1, = children_of(p.pid)
        os.kill(pid1, signal.SIGKILL)
        assert p.wait(timeout=10) == 137
