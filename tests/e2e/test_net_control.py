# SPDX-License-Identifier: Apache-2.0
"""What is said of a network: refusals, and the rules and connections of one that runs."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import textwrap
import threading

import pytest

import netpair as net
from running import needs_root, ok
from netbox import (HELPERS, OTHER, PRIVATE, SERVER, box, helper_of,  # noqa: F401
                    host, needs_servers)

pytestmark = [needs_root, needs_servers]


def program(script):
    return HELPERS + textwrap.dedent(script)


def run(box, script, *rules, **kw):
    """The run, and the denials of its report by host and port."""
    report = box.runner.workspace / "report.json"
    done = box.purple("run", "-p", box.policy(*rules, **kw), "--report", str(report), "--",
                      "python3", "-c", program(script))
    ok(done)
    found = json.loads(report.read_text())
    return done, {(d["host"], d["port"]): d for d in found.get("denials", [])}, found


# Refusals.

def test_each_refusal_is_told_with_its_remedy(box):
    script = f"""
        attempt('secret.test')
        for _ in range(3):
            attempt('example.com', 8001)
        attempt('{SERVER}', 8000)
        attempt('inside.test')
        attempt('moved.test')
        attempt('{PRIVATE}')
        attempt('198.18.77.77')
        attempt('example.com', data=b'GET / HTTP/1.1\\r\\nHost: secret.test\\r\\n\\r\\n')
        attempt('example.com', 7777)
    """
    done, denials, _ = run(box, script, ["example.com:8000", "inside.test:8000", "moved.test:8000",
                                         "example.com:7777"], [f"{OTHER}"])
    expect = {
        ("secret.test", None): ("not listed", 'network.allow_outgoing: ["secret.test"]'),
        ("example.com", 8001): ("not listed", 'network.allow_outgoing: ["example.com:8001"]'),
        (SERVER, 8000): ("not listed", f'network.allow_outgoing: ["{SERVER}:8000"]'),
        ("inside.test", 8000): ("special address", f'network.allow_outgoing: ["{PRIVATE}:8000"]'),
        (PRIVATE, 8000): ("special address", f'network.allow_outgoing: ["{PRIVATE}:8000"]'),
        ("moved.test", 8000): ("blocked", "network.blocked_ips: !replace []"),
        ("198.18.77.77", 8000): ("no name", None),
        ("example.com", 8000): ("another name", None),
        ("example.com", 7777): ("unreachable", None),
    }
    for key, (reason, allow) in expect.items():
        assert (denials[key]["reason"], denials[key]["allow"]) == (reason, allow), denials[key]
        assert denials[key]["type"] == ("net.denied" if key[1] else "dns.denied")
        assert denials[key]["layer"] == "network"
    assert set(denials) == set(expect)
    times = denials["example.com", 8001]["count"]
    assert 3 <= times <= 6  # where the first address is reset at once, the second is tried
    assert denials["moved.test", 8000]["rule"] == OTHER
    assert denials["inside.test", 8000]["address"] == PRIVATE
    assert denials["secret.test", None]["protocol"] == "dns"
    assert denials["example.com", 8001]["protocol"] == "tcp"
    lines = done.stderr.splitlines()
    assert len(lines) == len(expect), done.stderr
    assert all(line.startswith("purple: network: ") for line in lines)
    assert (f'purple: network: refused example.com:8001 ({times} times): not listed; to allow: '
            'network.allow_outgoing: ["example.com:8001"]') in lines


def test_the_line_that_is_told_allows_it(box):
    _, denials, _ = run(box, "attempt('example.com', 8001)", ["example.com:8000"])
    line = denials["example.com", 8001]["allow"]
    rules = json.loads(line.partition(": ")[2])
    done, denials, _ = run(box, "print(attempt('example.com', 8001))", ["example.com:8000", *rules])
    assert (done.stdout, done.stderr, denials) == ("served example.com\n", "", {})


def test_nothing_refused_is_nothing_told(box):
    done, _, report = run(box, "print(attempt('example.com'))", ["example.com:8000"])
    assert done.stderr == "" and "denials" not in report


def test_more_refusals_than_are_kept(box):
    """Sixty-four, and how many more; of a flood of them each is counted once."""
    script = """
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("198.18.0.1", 53))
        for i in range(2000):
            name = b"n%d" % i
            s.send(bytes([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(name)]) + name + b"\\0\\0\\1\\0\\1")
            s.recv(512)
            if i % 20 == 19 and i < 200:
                time.sleep(1)
    """
    done, denials, report = run(box, script, ["example.com:8000"])
    assert len(denials) == 64
    assert sum(d["count"] for d in denials.values()) + report["denials_not_listed"] == 2000
    lines = done.stderr.splitlines()
    assert len(lines) == 17 and lines[16] == \
        f"purple: network: {2000 - 16} more were refused; --report has them"


def test_a_name_prints_no_control_characters(box):
    script = """
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("198.18.0.1", 53))
        for name in b"a\\x1b[31mb", b"a\\nb", b'a"b\\\\c', b"a\\x9bc", b"a`id`":
            s.send(bytes([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(name)]) + name + b"\\0\\0\\1\\0\\1")
            s.recv(512)
    """
    done, denials, _ = run(box, script, ["example.com:8000"])
    assert all(c == "\n" or " " <= c <= "~" for c in done.stderr), repr(done.stderr)
    assert not set("\\`") & set(done.stderr)
    for host, _ in denials:
        assert all(c.isalnum() or c in "?.-_:" for c in host), host


def test_refusals_of_a_detached_one_are_in_its_log(box):
    name = f"told-{os.getpid()}-{box.runner.name}"
    box.names.append(name)
    policy = box.policy(["example.com:8000"])
    script = "import socket\ntry:\n socket.create_connection(('secret.test', 8000))\n" \
             "except OSError:\n print('so it is')"
    ok(box.purple("run", "--detach", "--name", name, "-p", policy, "--", "python3", "-c", script))
    ok(box.purple("wait", name))
    lines = ok(box.purple("logs", name)).splitlines()
    assert lines[0] == "so it is"
    assert lines[1].startswith("purple: network: refused secret.test") and \
        lines[1].endswith('to allow: network.allow_outgoing: ["secret.test"]')


# Limits.

TRANSFER = """
    import threading
    def echo(size, got):
        # What was sent is sent back, and no faster than it goes out.
        s = socket.create_connection(("example.com", 9000), timeout=120)
        def send():
            s.sendall(bytes(size))
            s.shutdown(socket.SHUT_WR)
        threading.Thread(target=send, daemon=True).start()
        while part := s.recv(1 << 16):
            got[0] += len(part)
"""


def test_bandwidth_is_held_both_ways(box):
    """A lower bound on the time, which is no faster where the machine is slow."""
    script = TRANSFER + """
    got, begin = [0], time.monotonic()
    echo(3 << 20, got)
    print(got[0], time.monotonic() - begin)
    """
    for limit, least in (("1MBps", 2.8), ("1GBps", 0)):
        policy = box.policy(["example.com:9000"], extra=f"  bandwidth: {limit}\n")
        done = box.purple("run", "-p", policy, "--", "python3", "-c", program(script))
        size, seconds = ok(done).split()
        assert int(size) == (3 << 20) + 3
        assert float(seconds) >= least, limit


def test_bandwidth_is_shared_evenly(box):
    """When the first of four has all, the others have a good part."""
    script = TRANSFER + """
    got = [[0] for _ in range(4)]
    threads = [threading.Thread(target=echo, args=(1 << 20, g), daemon=True) for g in got]
    begin = time.monotonic()
    for t in threads:
        t.start()
    while not any(g[0] > 1 << 20 for g in got):
        time.sleep(0.01)
    print(time.monotonic() - begin, *sorted(g[0] for g in got), flush=True)
    os._exit(0)
    """
    done = box.purple("run", "-p", box.policy(["example.com:9000"]), "--bandwidth=1MBps", "--",
                      "python3", "-c", program(script))
    seconds, *got = (float(w) for w in ok(done).split())
    assert got[0] > (1 << 20) * 0.6, got
    assert seconds > sum(got) / (1 << 20) - 0.3


def test_no_more_than_max_connections(box):
    script = """
        keep = [socket.create_connection(("example.com", 9000)) for _ in range(3)]
        for s in keep:
            s.sendall(b"\\0")
            assert s.recv(1) == b"\\0"
        print(attempt("example.com"))
        keep.pop().close()
        end = time.monotonic() + 20
        while (a := attempt("example.com")) == "refused" and time.monotonic() < end:
            time.sleep(0.05)
        print(a)
    """
    done, denials, _ = run(box, script, ["example.com:9000", "example.com:8000"],
                           extra="  max_connections: 3\n")
    assert done.stdout == "refused\nserved example.com\n"
    assert denials[None, None]["reason"] == "too many connections"
    assert "network.max_connections" in done.stderr


@pytest.mark.parametrize("option", ["--max-connections=0", "--max-connections=16385",
                                    "--bandwidth=1Mbps", "--bandwidth=1", "--bandwidth=0"])
def test_limits_have_bounds(box, option):
    name = option.partition("=")[0].strip("-").replace("-", "_")
    done = box.purple("run", "-p", box.policy(), option, "--", "true")
    assert done.returncode == 125 and f"network.{name}" in done.stderr


def test_the_plan_shows_the_limits(box):
    words = ["-p", box.policy(), "--max-connections=7", "--bandwidth=2MBps"]
    plan = json.loads(ok(box.purple("plan", "--json", *words)))["network"]
    assert (plan["max_connections"], plan["bytes_per_second"]) == (7, 2 << 20)
    assert "2097152 bytes a second" in ok(box.purple("plan", *words))


# A network that runs.

DRIVEN = """
    kept = {}
    def do(word, host="example.com", port="8000"):
        if word == "get":
            return attempt(host, int(port))
        if word == "address":
            return socket.gethostbyname(host)
        if word == "udp":
            if host not in kept:
                kept[host] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                kept[host].settimeout(20)
                kept[host].connect((host, int(port)))
            kept[host].send(bytes(700))
            return len(kept[host].recv(1000))
        if word == "open":
            kept[host] = socket.create_connection((host, int(port)), timeout=20)
        if word in ("open", "echo"):
            kept[host].sendall(bytes(1000))
            got = b""
            while len(got) < 1000:
                got += kept[host].recv(1000)
            return "alive"
        try:
            return "ended" if kept[host].recv(1) == b"" else "data"
        except ConnectionResetError:
            return "cut"
        except TimeoutError:
            return "silence"
    for line in sys.stdin:
        try:
            print(do(*line.split()), flush=True)
        except OSError as e:
            print(type(e).__name__, flush=True)
"""


class Live:
    """A sandbox that does what it is told, one line at a time."""

    def __init__(self, box, *words, **policy):
        self.box = box
        self.name = f"live-{os.getpid()}-{box.runner.name}"
        policy = box.policy(policy.pop("allow", ["example.com:8000", "example.com:9000"]), **policy)
        self.child = subprocess.Popen(
            box.argv("run", "--name", self.name, "-p", policy, *words, "--", "python3", "-c",
                     program(DRIVEN)),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **box.options(stdin=subprocess.PIPE))

    def __call__(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def net(self, word, *rules):
        return self.box.purple("net", word, self.name, *rules)

    def show(self):
        return json.loads(ok(self.box.purple("net", "show", "--json", self.name)))

    def end(self):
        _, errors = self.child.communicate(timeout=60)
        assert self.child.returncode == 0, errors
        return errors

    def close(self):
        self.child.kill()
        self.child.communicate()


@pytest.fixture
def live(box):
    made = []

    def make(*words, **policy):
        made.append(Live(box, *words, **policy))
        return made[-1]
    yield make
    for one in made:
        one.close()


def test_allow_and_deny(live):
    """Of new connections; the address that a name has stays what it is."""
    box = live()
    assert box("get") == "served example.com"
    address = box("address")
    assert box("get example.com 8001") == "refused" and box("get moved.test") == "no name"
    ok(box.net("allow", "example.com:8001", "MOVED.test"))
    assert box("get example.com 8001") == "served example.com"
    assert box("get moved.test") == "served moved.test"
    ok(box.net("deny", "example.com:8001", "example.com:8000", "moved.test"))
    assert box("get example.com 8001") == "refused" and box("get") == "refused"
    assert box("get moved.test") == "no name"
    assert box("address") == address, "9000 is still allowed"
    ok(box.net("allow", "example.com:8000"))
    assert box("address") == address and box("get") == "served example.com"
    errors = box.end()
    assert "example.com:8001" in errors


def test_flows_that_are_not_allowed_any_more_are_cut(live):
    box = live(allow=["example.com", "moved.test"])
    assert box("open example.com 9000") == "alive" and box("open moved.test 9000") == "alive"
    done = box.net("deny", "moved.test")
    assert ok(done) == "1 connection was cut\n"
    assert box("end moved.test") == "cut"
    assert box("echo example.com") == "alive"
    assert [f["host"] for f in box.show()["flows"]] == ["example.com"]
    # By the address that it has gone to.
    assert ok(box.net("deny", f"{SERVER}/32")) == "1 connection was cut\n"
    assert box("end example.com") == "cut"
    assert box.show()["block"] == [SERVER]


def test_what_one_rule_still_allows_is_blocked(live):
    """A rule that is taken out, and whose target another one allows too."""
    box = live(allow=["example.com", "example.com:9000"])
    assert box("open example.com 9000") == "alive"
    assert ok(box.net("deny", "example.com:9000")) == "1 connection was cut\n"
    shown = box.show()
    assert (shown["allow"], shown["block"]) == (["example.com"], ["example.com:9000"])
    ok(box.net("allow", "example.com:9000"))
    assert box("open example.com 9000") == "alive"
    assert box.show()["block"] == []


def test_a_refusal_names_the_rule_of_now(live):
    """By its place in the list as `purple net` has changed it, not in the plan's."""
    box = live(block=["10.0.0.0/8"])
    assert box("get") == "served example.com"
    ok(box.net("deny", SERVER))
    ok(box.net("allow", "10.0.0.0/8"))
    assert box("get") == "refused"
    told, = box.show()["denials"]
    assert (told["reason"], told["rule"]) == ("blocked", SERVER)


def test_show(live):
    box = live("--bandwidth=100MBps", block=["10.0.0.0/8"])
    assert box("open example.com 9000") == "alive" and box("get secret.test") == "no name"
    shown = box.show()
    flow, = shown["flows"]
    assert (flow["protocol"], flow["host"], flow["port"], flow["address"], flow["state"]) == \
        ("tcp", "example.com", 9000, SERVER, "open")
    assert (flow["bytes_up"], flow["bytes_down"]) == (1000, 1000)
    assert 0 <= flow["quiet_ms"] <= flow["age_ms"] < 60000
    assert shown["network"] == "on" and shown["locked"] is False
    assert (shown["connections"], shown["max_connections"]) == (1, 1024)
    assert shown["bytes_per_second"] == 100 << 20
    assert shown["allow"] == ["example.com:8000", "example.com:9000"]
    assert shown["block"] == ["10.0.0.0/8"]
    assert [d["host"] for d in shown["denials"]] == ["secret.test"]
    text = ok(box.box.purple("net", "show", box.name))
    for word in ("1 of 1024", "104857600 bytes", "example.com", SERVER, "10.0.0.0/8",
                 "refused secret.test"):
        assert word in text, text


def test_many_flows_are_shown(live):
    box = live(allow=["example.com"])
    for i in range(3):
        assert box("open example.com 9000") == "alive"
    # The descriptors of those before are closed with the last reference to each.
    assert len(box.show()["flows"]) >= 1
    box.child.stdin.write("".join("get example.com 8000\n" for _ in range(50)))
    box.child.stdin.flush()
    for _ in range(10):
        box.show()
    assert [box.child.stdout.readline() for _ in range(50)] == ["served example.com\n"] * 50


def test_bad_rules_are_told_by_the_policys_parser(live):
    box = live()
    assert box("get") == "served example.com"
    before = box.show()["allow"]
    for rule, word in (("http://example.com", "a URL"), ("1.2.3", "IPv4"), ("a b", "host name"),
                       ("10.1.2.3/8", "bits are set"), ("x" * 300, "too long"), ("0x7f.1", "IPv4"),
                       ("*", "everything"), ("", "no host")):
        for verb in "allow", "deny":
            done = box.net(verb, "example.com:1", rule)
            assert done.returncode == 125 and word in done.stderr, (rule, done)
    for words in (["net"], ["net", "open", "x"], ["net", "allow"], ["net", "allow", box.name],
                  ["net", "show"], ["net", "show", "a", "b"], ["net", "show", "no-such"]):
        assert box.box.purple(*words).returncode == 125, words
    assert box.show()["allow"] == before
    assert "443" in box.net("deny", "443").stderr
    assert "whole top-level domain" in box.net("allow", "*.com").stderr


def test_a_blocked_range_is_not_allowed_in_part(live):
    network = SERVER.rpartition(".")[0] + ".0/24"
    box = live(allow=["example.com"], block=[network])
    assert box("get") == "refused"
    done = box.net("allow", f"{SERVER}:8000")
    assert done.returncode == 125 and "would still be blocked" in done.stderr
    ok(box.net("allow", network))
    assert box("get") == "served example.com" and box.show()["block"] == []


def test_new_udp_ports_are_refused(live):
    box = live(allow=["example.com:8000", "example.com:9000/udp"])
    assert box("get") == "served example.com"
    done = box.net("allow", "example.com:9001/udp")
    assert done.returncode == 125 and "UDP to port 9001" in done.stderr
    ok(box.net("allow", "moved.test:9000/udp"))
    assert "moved.test:9000/udp" in box.show()["allow"]


@pytest.fixture
def datagrams(host):
    """Something on the host's side that sends back what comes to UDP port 9002."""
    def make():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((SERVER, 9002))
        return s

    def echo():
        while (got := s.recvfrom(2000))[1]:
            s.sendto(*got)
    ns = os.open(f"/proc/{host.servers.pid}/ns/net", os.O_RDONLY)
    s = net.in_namespace(ns, make)
    os.close(ns)
    thread = threading.Thread(target=echo, daemon=True)
    thread.start()
    yield
    with contextlib.suppress(OSError):  # it is not connected, but that wakes the thread
        s.shutdown(socket.SHUT_RDWR)
    thread.join()
    s.close()


def test_udp_flows_are_shown_and_cut(live, datagrams):
    box = live(allow=["example.com:9002/udp", f"{SERVER}:9002/udp"])
    assert box("udp example.com 9002") == "700" and box(f"udp {SERVER} 9002") == "700"
    shown = {f["host"]: f for f in box.show()["flows"]}
    assert set(shown) == {"example.com", SERVER}
    for flow in shown.values():
        assert (flow["protocol"], flow["port"], flow["address"]) == ("udp", 9002, SERVER)
        assert (flow["bytes_up"], flow["bytes_down"]) == (700, 700)
    assert ok(box.net("deny", "example.com:9002/udp")) == "1 connection was cut\n"
    assert box("udp example.com 9002") == "ConnectionRefusedError"
    assert box(f"udp {SERVER} 9002") == "700"
    # Of the address, whatever the name.
    ok(box.net("allow", "example.com:9002/udp"))
    assert box("udp example.com 9002") == "700"
    assert ok(box.net("deny", f"{SERVER}/24".replace("34/24", "0/24"))) == \
        "2 connections were cut\n"
    assert box("udp example.com 9002") == "ConnectionRefusedError"


def test_no_more_rules_than_there_may_be(live):
    """And as many at once as fit into a message."""
    box = live(allow=["example.com"])
    assert box("get") == "served example.com"
    for first in range(0, 1020, 170):
        ok(box.net("allow", *(f"n{i}.example.org:443" for i in range(first, first + 170))))
    ok(box.net("allow", "a.test", "b.test", "c.test"))
    done = box.net("allow", "d.test")
    assert done.returncode == 125 and "1024" in done.stderr
    done = box.net("deny", *(f"{'x' * 60}{i}.{'y' * 60}.test" for i in range(100)))
    assert done.returncode == 125 and "too many" in done.stderr
    assert len(box.show()["allow"]) == 1024 and box.show()["block"] == []
    assert box("get") == "served example.com"


def test_a_locked_policy_stays_as_it_is(live, box):
    text = box.policy(["example.com:8000", "example.com:9000"])
    with open(text, "a", encoding="utf-8") as f:
        f.write("locked: true\n")
    box.policy = lambda *a, **kw: text
    one = live()
    assert one("open example.com 9000") == "alive"
    for verb in "allow", "deny":
        done = one.net(verb, "example.com:9000")
        assert done.returncode == 125 and "locked" in done.stderr
    assert one("echo example.com") == "alive" and one.show()["locked"] is True


def test_an_isolated_one_has_nothing_to_change(box):
    name = f"iso-{os.getpid()}-{box.runner.name}"
    box.names.append(name)
    ok(box.purple("create", name))
    for words in (["show", name], ["allow", name, "example.com"], ["deny", name, "example.com"]):
        done = box.purple("net", *words)
        assert done.returncode == 125 and "isolated" in done.stderr


def test_one_in_the_background_notes_its_changes(box):
    name = f"noted-{os.getpid()}-{box.runner.name}"
    box.names.append(name)
    ok(box.purple("run", "--detach", "--name", name, "-p", box.policy(["example.com:8000"]), "--",
                  "sleep", "600"))
    ok(box.purple("net", "allow", name, "Moved.test:8000"))
    ok(box.purple("net", "deny", name, "example.com:8000"))
    script = HELPERS + "print(attempt('example.com'), attempt('moved.test'), sep='\\n')"
    assert ok(box.purple("exec", name, "--", "python3", "-c", script)) == \
        "no name\nserved moved.test\n"
    assert ok(box.purple("logs", name)).splitlines() == [
        "purple: network: allowed from here on: moved.test:8000",
        "purple: network: denied from here on: example.com:8000"]


def test_one_that_was_created(box):
    name = f"made-{os.getpid()}-{box.runner.name}"
    box.names.append(name)
    ok(box.purple("create", "-p", box.policy(["example.com:9000"]), name))
    script = HELPERS + "print(attempt('example.com'))"
    assert ok(box.purple("exec", name, "--", "python3", "-c", script)) == "refused\n"
    ok(box.purple("net", "allow", name, "example.com:8000"))
    assert ok(box.purple("exec", name, "--", "python3", "-c", script)) == "served example.com\n"


def test_when_purple_net_is_gone(live):
    box = live()
    assert box("open example.com 9000") == "alive"
    helper = helper_of(box.child.pid)
    os.kill(helper, signal.SIGKILL)
    assert box("end example.com") in ("cut", "ended")
    shown = box.show()
    assert (shown["network"], shown["network_reason"]) == ("died", "killed by signal 9")
    done = box.net("allow", "example.com:1")
    assert done.returncode == 125 and "killed by signal 9" in done.stderr
    assert box("get") in ("no name", "refused")
