# SPDX-License-Identifier: Apache-2.0
"""purple intent, and the report that holds what was done against it: by real sandboxes."""
import json
import os
import socket
import struct

import pytest

from running import eventually, ok
from trail_lines import Trail

MAGIC, INTENT, ERROR = 0x4c544350, 15, 65


# Root's sandboxes are all in one directory, those of tests that run beside this one too.
AGENT = f"agent-{os.getpid()}"


@pytest.fixture
def sandbox(as_user):
    """One that stays, with a trail."""
    trail = as_user.home / "audit.jsonl"
    ok(as_user.run([as_user.purple, "run", "--audit", "--audit-log", trail, "--name", AGENT,
                    "--detach", "--", "sleep", "600"]))
    yield as_user, trail
    as_user.run([as_user.purple, "stop", "-t", "0", AGENT])
    as_user.run([as_user.purple, "rm", AGENT])


def intent(runner, *args):
    return runner.run([runner.purple, "intent", *args])


def inside(runner, script):
    return runner.run([runner.purple, "exec", AGENT, "--", "sh", "-c", script])


def report(runner, trail, *args):
    done = runner.run([runner.purple, "audit", "report", "--file", trail, "--format", "json",
                       AGENT, *args])
    return json.loads(ok(done))


def events(runner, trail, *args):
    done = runner.run([runner.purple, "audit", "show", "--file", trail, "--format", "json", *args])
    return [json.loads(x) for x in ok(done).splitlines()]


def test_a_session_against_what_was_announced(sandbox):
    runner, trail = sandbox
    inside(runner, "/bin/true")  # before any intent: held against none
    ok(intent(runner, AGENT, "--text", "look around", "--expect", "exec:sh",
              "--expect", "exec:ls", "--expect", "exec:cat"))
    ok(inside(runner, "ls / >/dev/null"))
    ok(intent(runner, AGENT, "--text=write the cache", "--expect", "write:**/cache/**",
              "--expect", "exec:sh"))
    ok(inside(runner, "mkdir ~/cache; echo a >~/cache/a; echo c >/var/tmp/c; "
                      "uname >/dev/null"))
    done = inside(runner, "echo d >/usr/d")
    assert done.returncode != 0
    ok(intent(runner, AGENT, "--text", "rest"))
    assert eventually(lambda: len(report(runner, trail)["intents"]) == 3)
    first, second, third = report(runner, trail)["intents"]
    assert (first["text"], second["text"], third["text"]) == \
        ("look around", "write the cache", "rest")
    assert first["met"] == ["exec:sh", "exec:ls"] and first["unmet"] == ["exec:cat"]
    assert first["unannounced"] == [] and first["until"] == second["time"]
    assert second["met"] == ["write:**/cache/**", "exec:sh"]
    found = {(x["rule"], x["what"].rpartition("/")[2], bool(x.get("refused")))
             for x in second["unannounced"]}
    assert found == {("unexpected write", "c", False), ("unexpected write", "d", True),
                     ("unexpected program", "mkdir", False),
                     ("unexpected program", "uname", False)}
    assert "until" not in third


def test_in_order_in_the_trail(sandbox):
    runner, trail = sandbox
    for number in range(5):
        ok(intent(runner, AGENT, "--text", f"step {number}", "--expect", "exec:true"))
        ok(inside(runner, f"test {number} -ge 0"))
    seen = [x for x in events(runner, trail) if x["type"] in ("intent", "exec.requested")]
    assert [x.get("text") or x["command"][2] for x in seen] == [
        text for n in range(5) for text in (f"step {n}", f"test {n} -ge 0")]
    assert {x["uid"] for x in seen} == {runner.uid}
    assert seen[0]["expect"] == ["exec:true"] and seen[0]["severity"] == "notice"


def test_hostile_text(sandbox):
    runner, trail = sandbox
    text = "\x1b[31m</script>\u202e\n\"x\""
    ok(intent(runner, AGENT, "--text", text, "--expect", "host:\x1b[2J*"))
    line = events(runner, trail, "--type", "intent")[0]
    assert line["text"] == '\\x1b[31m</script>\\xe2\\x80\\xae\\x0a"x"'
    assert line["expect"] == ["host:\\x1b[2J*"]


@pytest.mark.parametrize("args, says", [
    ([], "no sandbox is named"),
    ([AGENT], "--text is missing"),
    ([AGENT, "--text", "x", "--expect", "api.example.com"], "no KIND:PATTERN"),
    ([AGENT, "--text", "x", "--expect", ":y"], "no KIND:PATTERN"),
    ([AGENT, "--text", "x", "--expect", "hostt:x"], "did you mean host:x?"),
    ([AGENT, "--text", "x", "--expect", "exce:git"], "did you mean exec:git?"),
    ([AGENT, "--text", "x", "--expect", "exec:"], "no KIND:PATTERN"),
    ([AGENT, "--text", "x" * 5000], "more than 4096 bytes"),
    ([AGENT, "--text", "x", *["--expect", "a:b"] * 65], "too often"),
    (["nobody", "--text", "x"], "nobody"),
])
def test_wrong_words_are_named(as_user, args, says):
    done = intent(as_user, *args)
    assert done.returncode == 125 and says in done.stderr, done.stderr


def test_a_kind_of_ones_own(sandbox):
    """For rules of one's own; who has none is told."""
    runner, trail = sandbox
    done = intent(runner, AGENT, "--text", "x", "--expect", "call:ptrace")
    assert done.returncode == 0 and "no rule that is shipped has the kind call" in done.stderr
    assert events(runner, trail, "--type", "intent")[0]["expect"] == ["call:ptrace"]


def test_without_a_trail_it_is_refused(as_user):
    ok(as_user.run([as_user.purple, "run", "--name", AGENT, "--detach", "--", "sleep", "600"]))
    done = intent(as_user, AGENT, "--text", "x")
    assert done.returncode == 125 and "--audit" in done.stderr
    as_user.run([as_user.purple, "stop", "-t", "0", AGENT])
    as_user.run([as_user.purple, "rm", AGENT])


def test_a_malformed_message_is_refused(sandbox):
    runner, trail = sandbox
    if runner.uid != 0:
        pytest.skip("the same code; the socket is only its owner's")
    for body in (b"", b"x", b"\0", b"\0\0", b"text", b"text\0exec", b"text\0exec\0",
                 b"text\0exec:\0", b"text\0:x\0", b"text\0exec:a\0\0"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(20)
            s.connect(str(runner.sandboxes / AGENT / "control"))
            s.send(struct.pack("IIII", MAGIC, INTENT, 16 + len(body), 0) + body)
            answer = s.recv(8192)
            assert struct.unpack("II", answer[:8]) == (MAGIC, ERROR), body
    assert events(runner, trail, "--type", "intent") == []
    ok(intent(runner, AGENT, "--text", "still there"))


def test_the_shipped_rules(as_user):
    trail = Trail(as_user.home / "audit.jsonl", as_user.uid if as_user.uid else None)

    def add(kind, **fields):
        trail.add(kind, "sb", AGENT, **fields)

    add("intent", text="t", expect=["host:*.example.com", "host:db:5432", "exec:git",
                                    "write:/srv/*"])
    for host, port in (("api.example.com", 443), ("db", 5432), ("db", 22), ("evil.org", 443),
                       ("localhost", 1), ("example.com", 443)):
        add("net.allowed", host=host, port=port, address="192.0.2.1", proto="tcp")
    add("dns.denied", host="evil.org", reason="no rule")
    for path, access in (("/srv/a", "write"), ("/srv/a/b", "write"), ("/tmp/x", "create")):
        add("file.write", path=path, access=access, pid=1)
    add("file.denied", path="/root/.ssh/id", access="read", error="ENOENT", layer="mount")
    add("file.open", path="/home/x", access="read", pid=1)
    add("process.exec", path="/usr/bin/git", argv=["git"], pid=2, ppid=1)
    add("process.exec", path="/usr/bin/python3", argv=["git"], pid=3, ppid=1)
    add("process.exec", path="/usr/bin/nc", argv=["nc"], pid=4, ppid=1, count=3)
    add("process.exec", path="/usr/local/bin/nc", argv=["nc"], pid=4, ppid=1, error="ENOENT")
    (one,) = report(as_user, trail.path)["intents"]
    assert [(x["rule"], x["what"], x["count"]) for x in one["unannounced"]] == [
        ("new host", "db:22", 1), ("new host", "evil.org:443", 1),
        ("new host", "example.com:443", 1), ("new host", "evil.org", 1),
        ("unexpected write", "/srv/a/b", 1), ("refused read", "/root/.ssh/id", 1),
        ("unexpected program", "/usr/bin/nc", 3)]
    assert one["unmet"] == []


def test_rules_of_ones_own(as_user):
    trail = Trail(as_user.home / "audit.jsonl", as_user.uid if as_user.uid else None)
    trail.add("intent", "sb", AGENT, text="t", expect=["call:ptrace"])
    trail.add("syscall.denied", "sb", AGENT, syscall="ptrace", error="EPERM")
    trail.add("syscall.denied", "sb", AGENT, syscall="mount", error="EPERM")
    rules = as_user.write("rules.yaml", "rules:\n  - {name: calls, events: syscall.denied, "
                                        "field: syscall, expect: call, always: true}\n")
    (one,) = report(as_user, trail.path, "--rules", rules)["intents"]
    assert [x["what"] for x in one["unannounced"]] == ["mount"] and one["met"] == ["call:ptrace"]
    for text, says in (("rules: 5", "a list of rules"), ("- x", "map"), ("rules: [{name: x}]",
                       "a rule needs events"), ("rules: [", "not valid YAML"), (
                       "rules: [{name: x, events: no.such, field: path, expect: y}]", "no.such"), (
                       "rules: [{name: x, events: intent, field: pid, expect: y}]", "pid"), (
                       "rules: [{name: x, events: intent, field: text, expect: y, z: 1}]", "z")):
        rules = as_user.write("rules.yaml", text)
        done = as_user.run([as_user.purple, "audit", "report", "--file", trail.path, AGENT,
                            "--rules", rules])
        assert done.returncode == 125 and says in done.stderr, (text, done.stderr)
        assert done.stdout == ""


def test_events_follow_a_real_sandbox(sandbox):
    runner, trail = sandbox
    follower = runner.popen([runner.purple, "events", "-f", "--file", trail, AGENT], stdout=-1,
                            text=True)
    ok(intent(runner, AGENT, "--text", "say hello"))
    ok(inside(runner, "echo hello >/dev/null"))
    assert eventually(lambda: any(x["type"] == "exec.requested" for x in events(runner, trail)), 20)
    ok(runner.run([runner.purple, "stop", "-t", "0", AGENT]))
    out, _ = follower.communicate(timeout=30)
    assert follower.returncode == 0
    kinds = [x.split(" ")[3] for x in out.splitlines() if not x.startswith(" ")]
    assert kinds[:2] == ["audit.opened:", "sandbox.created:"] and kinds[-1] == "sandbox.ended:"
    assert kinds.index("intent:") < kinds.index("exec.requested:")
