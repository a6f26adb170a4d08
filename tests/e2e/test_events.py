# SPDX-License-Identifier: Apache-2.0
"""
What the supervisor and purple-net write into the audit trail: a line for each thing that happens,
in order, with what it was; and what happens when the trail cannot be written.
"""
import contextlib
import json
import os
import pathlib
import signal
import subprocess

import pytest

from netbox import SERVER, box, host, needs_servers  # noqa: F401
from running import eventually, needs_root, ok, refused, run
from trail_reader import trail  # noqa: F401


def test_a_life(as_user, trail):
    ok(run(as_user, "sh", "-c", "exit 0", options=trail.options()))
    assert [t for t in trail.types() if t.startswith(("audit.", "sandbox."))] == [
        "audit.opened", "sandbox.created", "sandbox.started", "sandbox.ended"]
    created, ended = trail.of("sandbox.created")[0], trail.of("sandbox.ended")[0]
    assert created["command"] == ["sh", "-c", "exit 0"]
    assert created["profile"] == "default"
    assert created["workspace"] == str(as_user.workspace)
    assert created["uid"] == as_user.uid
    assert ended["status"] == 0 and ended["reason"] == "exited"
    assert ended["sandbox"] == created["sandbox"]
    assert created["time"] < trail.of("sandbox.started")[0]["time"] < ended["time"]
    assert os.stat(trail.path).st_mode & 0o777 == 0o600


def test_how_it_ended(as_user, trail):
    assert run(as_user, "sh", "-c", "kill -9 $$", options=trail.options()).returncode == 137
    assert run(as_user, "/nowhere", options=trail.options()).returncode == 127
    assert run(as_user, "sleep", "60", options=trail.options("--timeout", "1")).returncode == 124
    ended = trail.of("sandbox.ended")
    assert [e["reason"] for e in ended] == ["signalled", "not started", "timeout"]
    assert ended[0]["signal"] == 9 and ended[0]["status"] == 137
    error, = trail.of("setup.error")
    assert error["stage"] == "exec" and "/nowhere" in error["message"]
    assert error["error"] == "ENOENT"
    limit, = trail.of("limit.reached")
    assert limit["limit"] == "resources.session_timeout_seconds" and limit["value"] == 1
    started = {e["sandbox"] for e in trail.of("sandbox.started")}
    assert {ended[0]["sandbox"], ended[2]["sandbox"]} <= started


def test_an_argument_is_no_line(as_user, trail):
    """What a command is called may hold any byte; the line is one line of JSON, and plain."""
    evil = 'a"\n{"seq":9}\x1b[31m\x7f\u202e\\x41'
    ok(run(as_user, "true", evil, os.fsdecode(b"\xff\xfe"), options=trail.options()))
    raw = trail.path.read_bytes()
    assert not any(c < 0x20 and c != 0x0a or c == 0x7f for c in raw)
    assert "\u202e".encode() not in raw
    assert trail.of("sandbox.created")[0]["command"] == [
        "true", 'a"\\x0a{"seq":9}\\x1b[31m\\x7f\\xe2\\x80\\xae\\\\x41', "\\xff\\xfe"]


def test_who_asked_for_what(as_user, trail):
    name = f"trail-{os.getpid()}-{as_user.name}"
    purple = as_user.purple
    try:
        ok(as_user.run([purple, "create", *trail.options(), name]))
        ok(as_user.run([purple, "exec", name, "--", "echo", "a b"]))
        # The line is there while the sandbox lives.
        assert eventually(lambda: trail.of("exec.requested"))
        asked, = trail.of("exec.requested")
        assert asked["command"] == ["echo", "a b"] and asked["uid"] == as_user.uid
        assert asked["name"] == name
        ok(as_user.run([purple, "stop", name]))
    finally:
        as_user.run([purple, "rm", "-f", name])
    assert trail.types()[-1] == "sandbox.ended"


def test_a_downgrade(as_user, trail):
    policy = as_user.write("p.yaml", "enforcement: best-effort\ndevices: {gpu: [all]}\n")
    ok(run(as_user, "true", options=["-p", policy, *trail.options()]))
    down, = trail.of("layer.downgraded")
    assert "devices.gpu" in down["layer"] and "not supported" in down["reason"]


def test_what_is_written_is_chosen(as_user, trail):
    ok(run(as_user, "true", options=trail.options("--audit-detail", "resource")))
    assert trail.types() == ["audit.opened", "sandbox.created", "sandbox.started",
                             "sandbox.ended"]


# --- when it cannot be written ---


def unwritable(runner):
    return runner.home / "file" / "trail.jsonl"


def test_no_trail_no_start(as_user):
    (as_user.home / "file").write_text("")
    where = unwritable(as_user)
    refused(run(as_user, "touch", "ran", options=["--audit", "--audit-log", where]), 125,
            str(where), "audit.on_failure")
    assert not (as_user.workspace / "ran").exists()


def test_no_trail_with_warn(as_user):
    (as_user.home / "file").write_text("")
    done = run(as_user, "echo", "ran", options=["--audit", "--audit-log", unwritable(as_user),
                                               "--audit-on-failure", "warn"])
    assert ok(done) == "ran\n"
    assert "goes on" in done.stderr and str(unwritable(as_user)) in done.stderr


def test_in_the_workspace_it_is_refused(as_user):
    done = run(as_user, "true", options=["--audit", "--audit-log",
                                         as_user.workspace / "trail.jsonl"])
    assert done.returncode == 125 and "trail.jsonl" in done.stderr


@pytest.fixture
def small_disk(as_user):
    """A file system of 256 KiB for the trail."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    where = as_user.home / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o",
                    f"size=256k,mode=0700,uid={as_user.uid}", "tmpfs", where], check=True)
    yield where
    subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.parametrize("policy", ["stop", "warn"])
def test_the_disk_fills_up(as_user, small_disk, policy):
    log = small_disk / "trail.jsonl"
    name = f"full-{os.getpid()}-{as_user.name}-{policy}"
    try:
        ok(as_user.run([as_user.purple, "run", "--detach", "--name", name, "--audit",
                        "--audit-log", log, "--audit-on-failure", policy,
                        "--audit-detail", "resource", "--", "sleep", "60"]))
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as f:
            while f.write(b"x" * 4096):
                pass
        for i in range(100):
            done = as_user.run([as_user.purple, "exec", name, "--", "true", "x" * 1000])
            if policy == "stop" and done.returncode != 0:
                break
        if policy == "stop":
            done = as_user.run([as_user.purple, "wait", name])
            assert "audit failed" in as_user.run([as_user.purple, "ps", "-a"]).stdout
        else:
            assert ok(as_user.run([as_user.purple, "exec", name, "--", "echo", "on"])) == "on\n"
            filler.unlink()
            ok(as_user.run([as_user.purple, "stop", name]))
            # Room again: what waited was written.
            types = [json.loads(line)["type"] for line in log.read_text().splitlines()]
            assert types.count("exec.requested") == 101 and types[-1] == "sandbox.ended"
    finally:
        as_user.run([as_user.purple, "rm", "-f", name])


# --- the network ---

@needs_root
@needs_servers
def test_names_and_connections(box, trail):
    script = """
        print(attempt('example.com'), attempt('secret.test'), attempt('example.com', 8001))
    """
    detail = ["--audit-detail", "network", "--audit-detail", "api_calls"]
    done = box.run(script, ["example.com:8000"], options=trail.options(*detail))
    assert ok(done) == "served example.com no name refused\n"
    assert {e["host"] for e in trail.of("dns.allowed")} == {"example.com"}
    assert {(e["host"], e["address"], e["port"], e["proto"]) for e in trail.of("net.allowed")} \
        == {("example.com", SERVER, 8000, "tcp")}
    assert {(e["host"], e["port"], e["method"], e["path"]) for e in trail.of("api.call")} \
        == {("example.com", 8000, "GET", "/")}
    assert {(e["host"], e["allow"]) for e in trail.of("dns.denied")} \
        == {("secret.test", 'network.allow_outgoing: ["secret.test"]')}
    assert {(e["host"], e["port"], e["allow"]) for e in trail.of("net.denied")} \
        == {("example.com", 8001, 'network.allow_outgoing: ["example.com:8001"]')}


@needs_root
@needs_servers
def test_without_the_network_in_it_nobody_is_asked(box, trail):
    done = box.run("print(attempt('example.com'))", ["example.com:8000"],
                   options=trail.options("--audit-detail", "resource"))
    assert ok(done) == "served example.com\n"
    assert not trail.of("dns.allowed", "net.allowed", "api.call")


@needs_root
@needs_servers
def test_what_was_changed_and_by_whom(box, trail):
    name = f"changed-{os.getpid()}-{box.runner.name}"
    box.names.append(name)
    try:
        ok(box.purple("create", "-p", box.policy(["example.com:8000"]), *trail.options(), name))
        ok(box.purple("net", "allow", name, "secret.test:8000"))
        assert eventually(lambda: trail.of("policy.changed"))
        changed, = trail.of("policy.changed")
        assert changed["rule"] == "secret.test:8000" and changed["message"] == "purple net allow"
        assert changed["uid"] == box.runner.uid
    finally:
        box.purple("rm", "-f", name)


@needs_root
@needs_servers
def test_purple_net_dies(box, trail):
    name = f"died-{os.getpid()}-{box.runner.name}"
    try:
        ok(box.purple("create", "-p", box.policy(["example.com:8000"]), *trail.options(), name))
        # A name is answered by one that is ready; one that dies before is an error of the start.
        ok(box.purple("exec", name, "--", "getent", "hosts", "example.com"))
        supervisor = trail.of("sandbox.created")[0]["pid"]
        children = pathlib.Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text()
        helper, = (int(c) for c in children.split()
                   if pathlib.Path(f"/proc/{c}/comm").read_text() == "purple-net\n")
        os.kill(helper, signal.SIGKILL)
        assert eventually(lambda: trail.of("net.lost"))
        assert "killed by signal 9" in trail.of("net.lost")[0]["reason"]
    finally:
        box.purple("rm", "-f", name)
