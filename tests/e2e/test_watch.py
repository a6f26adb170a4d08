# SPDX-License-Identifier: Apache-2.0
"""
What a sandbox does, seen by its supervisor through seccomp: programs, files opened for writing,
refused calls. As root and as a plain user, in one that ends with its command and in one that stays.
"""
import json
import os

import pytest

from running import eventually, ok, run, shell
from trail_reader import trail  # noqa: F401


def test_a_program(as_user, trail):
    """The command itself, looked up in PATH, and what it starts."""
    ok(shell(as_user, "cd /tmp; /usr/bin/env A=b expr 1 + 1; exit 0", options=trail.options()))
    command, env, expr = trail.programs()
    assert command["path"].endswith("/sh") and command["argv"][:2] == ["sh", "-c"]
    assert command["cwd"] == str(as_user.workspace)
    assert env["path"] == "/usr/bin/env" and env["argv"] == ["/usr/bin/env", "A=b", "expr", "1", "+", "1"]
    assert env["cwd"] == "/tmp" and env["ppid"] == command["pid"]
    assert expr["path"] == "/usr/bin/expr" and expr["argv"] == ["expr", "1", "+", "1"]
    assert expr["pid"] == env["pid"] != command["pid"]
    assert all(e["source"] == "seccomp" for e in trail.programs())


def test_how_programs_end(as_user, trail):
    ok(shell(as_user, "sh -c 'exit 7'; sh -c 'kill -15 $$'; true", options=trail.options()))
    command, seventh, killed = trail.programs()[:3]
    exits = {e["pid"]: e for e in trail.of("process.exit")}
    assert exits[command["pid"]]["path"] == command["path"]
    if tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (6, 15):
        assert exits[seventh["pid"]]["status"] == 7
        assert exits[killed["pid"]]["signal"] == 15
        assert exits[command["pid"]]["status"] == 0


def test_a_program_that_is_not_there(as_user, trail):
    ok(shell(as_user, "env nothing-like-this; /etc/passwd; exit 0", options=trail.options()))
    tried = [e for e in trail.of("process.exec") if e["argv"][0] == "nothing-like-this"]
    assert tried and all(e["path"].endswith("/nothing-like-this") for e in tried)
    # What the kernel has not looked up yet is not known to fail.
    assert {e.get("error") for e in tried} <= {"ENOENT", None}
    assert any(e.get("error") == "ENOENT" for e in tried)


def test_the_command_is_not_there(as_user, trail):
    """Where nothing was executed, nothing is told of."""
    assert run(as_user, "nothing-like-this", options=trail.options()).returncode == 127
    assert trail.of("process.exec") == []


def test_a_file_that_is_written(as_user, trail):
    ok(shell(as_user, """
        echo one > inside; echo one >> /tmp/outside; cd /tmp; mkdir x; echo 2 > ./x/../named
        echo 3 > /dev/null
        """, options=trail.options()))
    written = trail.of("file.write")
    assert [(e["path"], e["access"]) for e in written] == [("/tmp/outside", "create"),
                                                           ("/tmp/named", "create")]
    assert written[0]["pid"] == trail.programs()[0]["pid"]
    assert trail.of("file.open") == []


def test_a_file_that_is_refused(as_user, trail):
    shell(as_user, "echo a > /usr/lib/x; echo a > /nowhere; echo a > /lib/y; echo a > /srv/z",
          options=trail.options())
    denied = {e["path"]: e for e in trail.of("file.denied")}
    assert set(denied) == {"/usr/lib/x", "/nowhere", "/lib/y", "/srv/z"}
    for path in ("/usr/lib/x", "/nowhere", "/lib/y"):
        assert denied[path]["error"] == "EROFS" and denied[path]["layer"] == "mount"
        assert denied[path]["access"] == "create"
    assert denied["/srv/z"]["error"] == "ENOENT"


def test_reads_when_they_are_asked_for(as_user, trail):
    shell(as_user, "read x < /etc/hosts; read y < mine; read z < /srv/secret",
          options=trail.options("--audit-detail", "filesystem"))
    opened = [e["path"] for e in trail.of("file.open", access="read")]
    assert "/etc/hosts" in opened and str(as_user.workspace / "mine") in opened
    denied, = trail.of("file.denied", path="/srv/secret")
    assert denied["access"] == "read" and denied["error"] == "ENOENT"
    assert trail.of("process.exec") == [] # not asked for


def test_reads_that_only_refusals_are_told_of(as_user, trail):
    """For denials.file every open is observed; the trail has what its own detail asks for."""
    shell(as_user, "read x < /etc/hosts; read z < /srv/secret",
          options=trail.options("--denials-file", "/run/purple/denials.jsonl"))
    assert [e["path"] for e in trail.of("file.denied", access="read")] == ["/srv/secret"]
    assert trail.of("file.open") == []


KEYCTL_NUMBER = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
KEYCTL = """
import ctypes, sys
call = ctypes.CDLL(None, use_errno=True).syscall
for _ in range(int(sys.argv[1])):
    assert call(%d, 1, 2, 3, 4, 5) == -1 and ctypes.get_errno() == 1
print("refused")
""" % KEYCTL_NUMBER


def test_a_call_that_is_refused(as_user, trail):
    assert ok(run(as_user, "python3", "-c", KEYCTL, "1", options=trail.options())) == "refused\n"
    denied, = trail.of("syscall.denied")
    assert denied["syscall"] == "keyctl" and denied["error"] == "EPERM"
    assert denied["args"][:5] == ["0x1", "0x2", "0x3", "0x4", "0x5"]
    assert "python3" in denied["path"] and denied["pid"] == trail.programs()[0]["pid"]


def test_a_flood_becomes_counts(as_user, trail):
    """Every refusal is counted; few of them are lines."""
    ok(run(as_user, "python3", "-c", KEYCTL, "20000", options=trail.options()))
    denied = trail.of("syscall.denied")
    assert sum(e.get("count", 1) for e in denied) == 20000
    assert len(denied) < 200


def test_one_that_stays(as_user, trail):
    name = f"watched-{os.getpid()}-{as_user.name}"
    ok(as_user.run([as_user.purple, "create", *trail.options(), name]))
    try:
        ok(as_user.run([as_user.purple, "exec", name, "--", "sh", "-c",
                        "echo x > /tmp/y; expr 5 + 5; exit 0"]))
        assert eventually(lambda: any(e["path"].endswith("/expr") for e in trail.programs()))
        assert eventually(lambda: trail.of("file.write", path="/tmp/y"))
    finally:
        ok(as_user.run([as_user.purple, "rm", "-f", name]))
    assert [e["path"].rsplit("/", 1)[1] for e in trail.programs()] == ["sh", "expr"]


@pytest.mark.parametrize("stays", [False, True])
def test_few_open_files(as_user, trail, stays):
    """The listener is a descriptor as well, and is not the command's."""
    options = trail.options("--open-files", "8")
    if not stays:
        assert ok(shell(as_user, "ulimit -n; ls /proc/self/fd | wc -l", options=options)) == "8\n4\n"
        return
    name = f"few-{os.getpid()}-{as_user.name}"
    ok(as_user.run([as_user.purple, "create", *options, name]))
    try:
        assert ok(as_user.run([as_user.purple, "exec", name, "--", "sh", "-c", "ulimit -n"])) == "8\n"
        assert eventually(lambda: any(e["path"].endswith("/sh") for e in trail.programs()))
    finally:
        ok(as_user.run([as_user.purple, "rm", "-f", name]))


def test_pause_in_a_flood(as_user, trail):
    """What waits for an answer is frozen all the same, and goes on."""
    name = f"flood-{os.getpid()}-{as_user.name}"
    ok(as_user.run([as_user.purple, "run", "--detach", "--name", name, *trail.options(),
                    "--", "python3", "-c", KEYCTL, "100000000"]))
    try:
        assert eventually(lambda: trail.of("syscall.denied"), 20)
        paused = as_user.run([as_user.purple, "pause", name])
        if paused.returncode != 0 and "control group" in paused.stderr:
            pytest.skip(paused.stderr)
        ok(paused)
        ok(as_user.run([as_user.purple, "resume", name]))
        ok(as_user.run([as_user.purple, "exec", name, "--", "true"]))
    finally:
        ok(as_user.run([as_user.purple, "rm", "-f", name]))


def test_killing_calls_stay_deadly(as_user, trail):
    policy = as_user.write("p.yaml", "name: p\nextends: default\nsyscalls: {kill: true}\n")
    done = run(as_user, "python3", "-c", KEYCTL, "1", options=trail.options("-p", str(policy)))
    assert done.returncode == 128 + 31
    told, = trail.of("syscall.denied", syscall="keyctl")
    assert told["error"] == "SIGSYS" and told["allow"] == "syscalls.allow: [keyctl]"
    ended, = trail.of("process.exit", pid=told["pid"])
    assert ended.get("signal", 31) == 31


@pytest.mark.parametrize("how", ["SIG_IGN", "lambda *a: None", "block"])
def test_killing_calls_kill_who_withstands(as_user, trail, how):
    """The kernel's own end cannot be caught; ours is then SIGKILL, and the call is never made."""
    set_up = ("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSYS])" if how == "block" else
              f"signal.signal(signal.SIGSYS, {'signal.' if how == 'SIG_IGN' else ''}{how})")
    policy = as_user.write("p.yaml", "name: p\nextends: default\nsyscalls: {kill: true}\n")
    done = run(as_user, "python3", "-c", f"import signal; {set_up}\n{KEYCTL}\nprint('alive')", "3",
               options=trail.options("-p", str(policy)))
    assert done.returncode == 128 + 9 and "alive" not in done.stdout, done
    assert trail.of("syscall.denied", syscall="keyctl")[0]["error"] == "SIGSYS"


def test_killing_calls_kill_threads_too(as_user, trail):
    """Any thread's call ends the whole process, and nobody but it."""
    script = ("import threading, time\n"
              f"def f():\n import ctypes; ctypes.CDLL(None).syscall({KEYCTL_NUMBER}, 1)\n"
              "threading.Thread(target=f).start(); time.sleep(60)")
    policy = as_user.write("p.yaml", "name: p\nextends: default\nsyscalls: {kill: true}\n")
    done = run(as_user, "sh", "-c", 'python3 -c "$1"; echo $?', "sh", script,
               options=trail.options("-p", str(policy)))
    assert done.stdout == "159\n", done


def test_what_an_observer_cannot_bear(as_user, trail):
    """Its listener could not be handed on, or its reading of memory could be held up."""
    for line in ("advanced_rules: [{syscall: sendmsg, action: deny, conditions: [{arg: 0, op: eq, value: 9}]}]",
                 "allow: [userfaultfd]"):
        policy = as_user.write("p.yaml", f"name: p\nextends: default\nsyscalls:\n  {line}\n")
        done = run(as_user, "true", options=trail.options("-p", str(policy)))
        assert done.returncode == 125 and "observed" in done.stderr, done.stderr
        options = ["-p", str(policy), "--protect", "!**"]
        assert run(as_user, "true", options=options).returncode == 0


CONNECTIONS = """
import socket
for family, kind, to in ((socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80)),
                         (socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.2", 53)),
                         (socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 443)),
                         (socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:192.0.2.3", 1)),
                         (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 1)),
                         (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 1)),
                         (socket.AF_UNIX, socket.SOCK_STREAM, "/nowhere")):
    try:
        socket.socket(family, kind).connect(to)
        print("connected")
    except OSError as e:
        pass
"""


def test_connections_without_a_network(as_user, trail):
    """Each to elsewhere is told of, and fails as it would without an observer."""
    assert ok(run(as_user, "python3", "-c", CONNECTIONS, options=trail.options())) == ""
    denied = trail.of("net.denied", reason="isolated")
    assert [(e["host"], e["port"], e.get("proto")) for e in denied] == [
        ("192.0.2.1", 80, "tcp"), ("192.0.2.2", 53, "udp"), ("2001:db8::1", 443, "tcp"),
        ("192.0.2.3", 1, "tcp")]
    assert 'network.isolated: false; network.allow_outgoing: ["[2001:db8::1]:443"]' in denied[2]["advice"]


def test_connections_when_they_are_not_asked_for(as_user, trail):
    ok(run(as_user, "python3", "-c", CONNECTIONS, options=trail.options("--audit-detail", "resource")))
    assert trail.of("net.denied") == []
