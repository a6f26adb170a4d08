# SPDX-License-Identifier: Apache-2.0
"""`purple metrics`: what it says is so, and Prometheus's own tool has no complaint."""
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from running import eventually, ok, run


pytestmark = pytest.mark.usefixtures("session_runtime")
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"),
                                    reason="not installed: promtool")
SAMPLE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? ([0-9.e+-]+|\+Inf)$')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)",?')


def parse(text):
    """{name: [(labels, value)]}, and each name's type; the text's form is checked."""
    samples, types, seen = {}, {}, []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} comes twice"
            types[name] = kind
            continue
        if line.startswith("# HELP "):
            continue
        match = SAMPLE.match(line)
        assert match, line
        base = match[1]
        if base not in types:
            base = re.sub(r"_(bucket|sum|count)$", "", base)
        assert base in types, f"no TYPE before {line}"
        if not seen or seen[-1] != base:
            assert base not in seen, f"{base} is not in one piece"
            seen.append(base)
        labels = dict(LABEL.findall(match[2] or ""))
        samples.setdefault(match[1], []).append((labels, float(match[3])))
    return samples, types


def metrics(runner):
    return parse(ok(runner.run([runner.purple, "metrics"])))[0]


def value(samples, name, **labels):
    found = [v for have, v in samples.get(name, ())
             if all(have.get(k) == w for k, w in labels.items())]
    assert len(found) <= 1, f"{name} {labels}: {found}"
    return found[0] if found else None


@contextlib.contextmanager
def detached(runner, *names, options=(), command=("sleep", "1000")):
    try:
        for name in names:
            ok(runner.run([runner.purple, "run", "--detach", "--name", name, *options,
                           "--", *command]))
        yield
    finally:
        runner.run([runner.purple, "rm", "-f", *names])


def unique(runner, word):
    return f"{word}-{os.getpid()}-{runner.name}"


def promtool(text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stderr and not done.stdout, \
        done.stdout + done.stderr


@needs_promtool
def test_promtool_has_no_complaint(as_user):
    promtool(ok(as_user.run([as_user.purple, "metrics"])))
    with detached(as_user, unique(as_user, "tool"), options=("--best-effort", "--memory", "1G")):
        promtool(ok(as_user.run([as_user.purple, "metrics"])))


def test_a_sandbox_is_there_while_it_lives(as_user):
    name = unique(as_user, "live")
    before = metrics(as_user)
    with detached(as_user, name):
        live = metrics(as_user)
        assert value(live, "purple_sandbox_answers", sandbox=name) == 1
        assert value(live, "purple_sandbox_pids", sandbox=name) >= 2
        assert value(live, "purple_sandbox_memory_bytes", sandbox=name) > 0
        assert value(live, "purple_sandbox_info", sandbox=name, profile="default",
                     kind="detached") == 1
        assert value(live, "purple_sandbox_paused", sandbox=name) == 0
        ok(as_user.run([as_user.purple, "pause", name]))
        assert value(metrics(as_user), "purple_sandbox_paused", sandbox=name) == 1
        ok(as_user.run([as_user.purple, "kill", name]))
        ended = metrics(as_user)
        assert not [s for family in ended.values() for s, _ in family
                    if s.get("sandbox") == name]
    # Other tests may start and end some at the same time.
    for total in ("purple_sandboxes_started_total", "purple_sandbox_start_seconds_count"):
        assert value(ended, total) >= (value(before, total) or 0) + 1
    assert value(ended, "purple_sandboxes_ended_total", reason="killed") >= \
        value(before, "purple_sandboxes_ended_total", reason="killed") + 1


def test_short_runs_are_in_the_totals(as_user):
    with detached(as_user, unique(as_user, "first")):
        before = metrics(as_user)
        for _ in range(3):
            ok(run(as_user, "true"))
        after = metrics(as_user)
    assert value(after, "purple_sandboxes_started_total") >= \
        value(before, "purple_sandboxes_started_total") + 3
    for stage in ("plan", "prepare", "jail"):
        name = "purple_sandbox_start_stage_seconds"
        assert value(after, f"{name}_count", stage=stage) >= 3
        assert value(after, f"{name}_bucket", stage=stage, le="+Inf") == \
            value(after, f"{name}_count", stage=stage)
    assert value(after, "purple_sandbox_start_stage_seconds_sum", stage="jail") > \
        value(before, "purple_sandbox_start_stage_seconds_sum", stage="jail")


def test_limits(as_user):
    name = unique(as_user, "limits")
    done = as_user.run([as_user.purple, "run", "--detach", "--name", name, "--memory", "256M",
                        "--", "sleep", "1000"])
    if done.returncode:
        pytest.skip(f"no limits here: {done.stderr}")
    try:
        samples = metrics(as_user)
        assert value(samples, "purple_sandbox_memory_limit_bytes", sandbox=name) == 256 << 20
        assert value(samples, "purple_sandbox_oom_kills_total", sandbox=name) == 0
    finally:
        as_user.run([as_user.purple, "rm", "-f", name])


def test_denials(as_user):
    """By type, of the sandbox; and events of all, which stay."""
    name = unique(as_user, "denied")
    before = value(metrics(as_user), "purple_events_total", type="dns.denied")
    with detached(as_user, name, options=("--set", "network.isolated=false"),
                  command=("sh", "-c", "getent hosts nosuch.example; sleep 1000")):
        assert eventually(lambda: value(metrics(as_user), "purple_sandbox_denials_total",
                                        sandbox=name, type="dns"), 20)
        live = metrics(as_user)
        assert value(live, "purple_sandbox_denials_total", sandbox=name, type="file") == 0
        assert value(live, "purple_sandbox_audit_lost_lines_total", sandbox=name) == 0
    after = metrics(as_user)
    assert value(after, "purple_events_total", type="dns.denied") > before
    assert value(after, "purple_events_total", type="sandbox.ended") >= 1


DOWN, UP = 1_000_000, 5_000
CLIENT = f"""
import socket, time
with socket.create_connection(("host.purple.internal", PORT)) as s:
    s.sendall(bytes({UP}))
    got = 0
    while part := s.recv(1 << 16):
        got += len(part)
    assert got == {DOWN}, got
time.sleep(1000)
"""


@contextlib.contextmanager
def tcp_server():
    """At the loopback: takes UP bytes, gives DOWN, of one client. Yields the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(60)

        def serve():
            conn, _ = listener.accept()
            with conn:
                left = UP
                while left:
                    left -= len(conn.recv(left))
                conn.sendall(b"y" * DOWN)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(60)


def test_network(as_user):
    """What goes out and in is counted, by whoever relays it, while the sandbox lives and after."""
    name = unique(as_user, "bytes")
    total = "purple_network_receive_bytes_total"
    before = value(metrics(as_user), total)
    with tcp_server() as port:
        options = ("--set", "network.isolated=false",
                   "--allow-net", f"host.purple.internal:{port}")
        with detached(as_user, name, options=options,
                      command=("python3", "-c", CLIENT.replace("PORT", str(port)))):
            def of(what):
                return value(metrics(as_user), f"purple_sandbox_network_{what}_total", sandbox=name)

            assert eventually(lambda: of("connections_closed") == 1, 30), \
                as_user.run([as_user.purple, "logs", name])
            assert of("receive_bytes") == DOWN
            assert of("transmit_bytes") == UP
            assert of("connections") == 1
    after = metrics(as_user)
    assert value(after, total) >= before + DOWN


def test_without_a_network_nothing_is_said_of_it(as_user):
    name = unique(as_user, "isolated")
    with detached(as_user, name):
        assert value(metrics(as_user), "purple_sandbox_network_receive_bytes_total",
                     sandbox=name) is None


def test_a_supervisor_that_hangs_holds_up_nothing(as_user):
    """Its figures are missing, and what it has done stays in the totals."""
    hangs, lives = unique(as_user, "hangs"), unique(as_user, "lives")
    with detached(as_user, hangs, lives):
        pid = supervisor(as_user, hangs)
        os.kill(pid, signal.SIGSTOP)
        try:
            samples = metrics(as_user)
            assert value(samples, "purple_sandbox_answers", sandbox=hangs) == 0
            assert value(samples, "purple_sandbox_pids", sandbox=hangs) is None
            assert value(samples, "purple_sandbox_answers", sandbox=lives) == 1
            assert value(samples, "purple_supervisors_silent") >= 1
            assert value(samples, "purple_gather_seconds") < 4
        finally:
            os.kill(pid, signal.SIGCONT)
        assert eventually(lambda: value(metrics(as_user), "purple_sandbox_answers",
                                        sandbox=hangs) == 1)


def supervisor(runner, name):
    """Its pid, from the state file."""
    with open(runner.sandboxes / name / "state", encoding="utf-8") as file:
        return int(re.search(r"^supervisor=(\d+)$", file.read(), re.M)[1])


def test_what_is_left_by_a_killed_supervisor_is_not_shown(as_user):
    name = unique(as_user, "dead")
    with detached(as_user, name):
        os.kill(supervisor(as_user, name), signal.SIGKILL)
        assert eventually(lambda: value(metrics(as_user), "purple_sandbox_info",
                                        sandbox=name) is None)
