# SPDX-License-Identifier: Apache-2.0
"""What a policy lets out, and nothing else."""
import json
import os
import signal
import subprocess
import textwrap

import pytest

from netbox import (DNS, HELPERS, OTHER, PRIVATE, SERVER, box, helper_of,  # noqa: F401
                    host, needs_servers)
from running import alive, children_of, eventually, needs_root, ok, refused

pytestmark = [needs_root, needs_servers]


def test_an_allowed_name(box):
    assert ok(box.run("print(attempt('example.com'))", ["example.com:8000"])) == \
        "served example.com\n"


def test_a_wildcard(box):
    script = "print(attempt('a.example.org'), attempt('example.com'), sep='\\n')"
    assert ok(box.run(script, ["*.example.org:8000"])) == "served a.example.org\nno name\n"


def test_the_hosts_loopback_has_a_name_that_a_rule_must_say(box):
    script = "print(*(attempt('host.purple.internal', p) for p in (8000, 8001)), sep='\\n')"
    assert ok(box.run(script, ["host.purple.internal:8000"])) == \
        "served host.purple.internal\nrefused\n"
    assert ok(box.run(script, ["8000", "*.purple.internal:8000"])) == "no name\nno name\n"
    assert ok(box.run(script, ["host.purple.internal:8000"], ["127.0.0.0/8", "::1"])) == \
        "refused\nrefused\n"
    assert "host.purple.internal" not in box.host.queries()


def test_another_name_never_leaves(box):
    assert ok(box.run("print(attempt('secret.test'))", ["example.com:8000"])) == "no name\n"
    assert "secret.test" not in box.host.queries()


def test_another_port(box):
    script = "print(attempt('example.com', 8001))"
    assert ok(box.run(script, ["example.com:8000"])) == "refused\n"


def test_nothing_listed_is_nothing_reached(box):
    script = f"print(attempt('example.com'), attempt('{SERVER}'))"
    assert ok(box.run(script)) == "no name refused\n"


def test_addresses_need_a_rule_of_their_own(box):
    script = f"print(attempt('{SERVER}'), attempt('{OTHER}'), sep='\\n')"
    assert ok(box.run(script, ["example.com:8000", f"{OTHER}:8000"])) == \
        f"refused\nserved {OTHER}\n"


def test_a_name_is_no_way_to_a_private_address(box):
    script = "print(attempt('inside.test'))"
    assert ok(box.run(script, ["inside.test:8000"])) == "refused\n"
    assert ok(box.run(script, ["inside.test:8000", f"{PRIVATE}:8000"])) == "served inside.test\n"


def test_blocked_beats_allowed(box):
    script = "print(attempt('moved.test'), attempt('example.com'), sep='\\n')"
    rules = ["moved.test:8000", "example.com:8000"]
    assert ok(box.run(script, rules, [OTHER])) == "refused\nserved example.com\n"


def test_the_host_header_agrees_with_the_name(box):
    script = """
        print(attempt('example.com', data=b'GET / HTTP/1.1\\r\\nHost: secret.test\\r\\n\\r\\n'))
    """
    assert ok(box.run(script, ["example.com:8000"])) == "refused\n"


def test_bytes_both_ways_to_the_end(box):
    script = """
        import hashlib, threading
        s = socket.create_connection(("example.com", 9000), timeout=60)
        data = os.urandom(1 << 20) * 8
        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        threading.Thread(target=send).start()
        got = bytearray()
        while part := s.recv(1 << 16):
            got += part
        print(got[:-3] == data, bytes(got[-3:]))
    """
    assert ok(box.run(script, ["example.com:9000"])) == "True b'end'\n"


def test_what_was_sent_last_arrives(box):
    """Nobody inside waits for it, and the server is slow to read."""
    script = """
        s = socket.create_connection(("example.com", 9001))
        s.settimeout(0.2)
        size = 0
        try:
            while True: # until all that is between here and there is full
                size += s.send(bytes(65536))
        except TimeoutError:
            print(size, flush=True)
        os._exit(0)
    """
    sent = ok(box.run(script, ["example.com:9001"]))
    assert box.host.servers.stdout.readline() == sent


def test_udp_is_refused_at_once_and_loopback_works(box):
    script = f"""
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.connect(("{SERVER}", 443))
        u.send(b"x")
        try:
            u.send(b"x")
            print("sent")
        except ConnectionRefusedError:
            print("refused")
        l = socket.create_server(("127.0.0.1", 8000))
        c = socket.create_connection(("127.0.0.1", 8000))
        print(l.accept()[1] == c.getsockname())
        print([name for _, name in socket.if_nameindex()])
    """
    out = ok(box.run(script, ["example.com:8000"])).splitlines()
    assert out[:2] == ["refused", "True"]


def test_one_that_stays(box):
    name = f"net-{os.getpid()}-{box.runner.name}"
    box.names.append(name)
    ok(box.purple("create", "-p", box.policy(["example.com:8000"]), name))
    script = HELPERS + "print(attempt('example.com'), attempt('secret.test'), sep='\\n')"
    for _ in range(2):
        assert ok(box.purple("exec", name, "--", "python3", "-c", script)) == \
            "served example.com\nno name\n"
    ok(box.purple("stop", name))


def start(box, script, allow, *options):
    """One that waits for a line; the process is the supervisor, for nsenter and setpriv exec."""
    return subprocess.Popen(
        box.argv("run", "-p", box.policy(allow), *options, "--", "python3", "-c",
                 HELPERS + textwrap.dedent(script)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        **box.options(stdin=subprocess.PIPE))


def tracked(supervisor, helper):
    """How many connections the kernel tracks in the sandbox's network namespace."""
    for child in children_of(supervisor):
        if child != helper:
            return int(subprocess.run(
                ["nsenter", f"--net=/proc/{child}/ns/net", "cat",
                 "/proc/sys/net/netfilter/nf_conntrack_count"], check=True, capture_output=True,
                timeout=20).stdout)
    raise AssertionError("no sandbox")


@pytest.mark.skipif(not os.path.exists("/proc/sys/net/netfilter/nf_conntrack_count"),
                    reason="the kernel does not say how many connections it tracks")
def test_what_is_not_redirected_is_not_tracked(box):
    """Loopback, look-ups, datagrams: no entry of the kernel's. One that is redirected has one."""
    script = f"""
        l = socket.create_server(("127.0.0.1", 8000), backlog=100)
        l6 = socket.create_server(("::1", 8000), family=socket.AF_INET6, backlog=100)
        kept = [socket.create_connection((a, 8000)) for a in ("127.0.0.1", "::1") for _ in range(50)]
        for i in range(50):
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            u.connect(("{SERVER}", 1000 + i))
            u.send(b"x")
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            u.connect(("9.9.9.9", 53))
            u.send(bytes.fromhex("0001010000010000000000000765786d61706c6503636f6d0000010001"))
            u.recv(1000)
        d = socket.create_connection(("9.9.9.9", 53))
        print("ready", flush=True)
        sys.stdin.readline()
        far = socket.socket()
        far.bind(("127.0.0.1", 0))
        far.connect(("{SERVER}", 8000))
        far.sendall(b"GET / HTTP/1.0\\r\\nHost: here\\r\\n\\r\\n")
        print(b" 200 " in far.recv(100), flush=True)
        sys.stdin.readline()
        for i in range(2000):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("{OTHER}", 1 + i))
            s.close()
        print("many", flush=True)
        sys.stdin.readline()
    """
    child = start(box, script, [f"{SERVER}:8000"])

    def go_on(expect):
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == expect
    try:
        assert child.stdout.readline() == "ready\n"
        helper = helper_of(child.pid)
        assert tracked(child.pid, helper) == 0
        go_on("True\n")
        assert tracked(child.pid, helper) == 1
        go_on("many\n")
        assert tracked(child.pid, helper) <= 2001
        assert child.communicate("\n", timeout=60)[1].count("refused") > 0
    finally:
        child.kill()
        child.wait()


ASK_TWICE = """
    print(attempt("example.com"), flush=True)
    sys.stdin.readline()
    print(attempt("example.com"), flush=True)
    print(attempt("%s"), flush=True)
""" % SERVER


def test_without_its_helper_nothing_is_reached(box):
    report = box.runner.workspace / "report.json"
    child = start(box, ASK_TWICE, ["example.com:8000", f"{SERVER}:8000"], "--report", str(report))
    try:
        assert child.stdout.readline() == "served example.com\n"
        helper = helper_of(child.pid)
        assert helper
        os.kill(helper, signal.SIGKILL)
        assert eventually(lambda: helper_of(child.pid) is None or not alive(helper), 20)
        out, errors = child.communicate("\n", timeout=60)
    finally:
        child.kill()
        child.wait()
    assert out.splitlines()[0] in ("no name", "refused") and out.splitlines()[1] == "refused"
    assert child.returncode == 0, errors
    assert "purple-net died (killed by signal 9)" in errors
    told = json.loads(report.read_text())
    assert (told["network"], told["network_reason"]) == ("died", "killed by signal 9")


@pytest.mark.parametrize("end", ["by itself", "killed"])
def test_the_helper_ends_with_the_sandbox(box, end):
    child = start(box, ASK_TWICE, ["example.com:8000"])
    try:
        assert child.stdout.readline() == "served example.com\n"
        helper = helper_of(child.pid)
        assert helper
        if end == "killed":
            child.kill()
        else:
            child.communicate("\n", timeout=60)
        assert eventually(lambda: not alive(helper), 20)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("text, words", [
    ("network: {isolated: false, loopback: false}\n", "network.loopback"),
])
def test_what_is_not_built_is_refused_by_name(box, text, words):
    policy = str(box.runner.write("net.yaml", text))
    refused(box.purple("run", "-p", policy, "--", "true"), 125, words, "not supported yet")


def test_the_plan_shows_it(box):
    policy = box.policy(["example.com:443"], ["10.0.0.0/8"])
    plan = json.loads(ok(box.purple("plan", "--json", "-p", policy)))
    assert plan["network"]["allow"] == ["example.com:443"]
    assert plan["network"]["block"] == ["10.0.0.0/8"]
    assert plan["network"]["servers"] == [{"address": DNS, "port": 53}]
    assert "example.com:443" in ok(box.purple("plan", "-p", policy))
