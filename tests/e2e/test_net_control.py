# SPDX-License-Identifier: Apache-2.0
"""What is said of a network: refusals, and the rules and connections of one that runs."""
import json
import os
import shutil
import textwrap

import pytest

from running import needs_root, ok
from test_network import HELPERS, OTHER, PRIVATE, SERVER, Box, Host

pytestmark = [needs_root, pytest.mark.skipif(
    not (shutil.which("dnsmasq", path="/usr/sbin:/usr/bin:/sbin:/bin") and
         shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin")),
    reason="needs dnsmasq and ip")]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    made = Host(tmp_path_factory.mktemp("host"))
    yield made
    made.close()


@pytest.fixture
def box(host, as_user):
    made = Box(host, as_user)
    yield made
    for name in made.names:
        made.purple("rm", "-f", name)


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
        ("moved.test", 8000): ("blocked", None),
        ("198.18.77.77", 8000): ("no name", None),
        ("example.com", 8000): ("another name", None),
        ("example.com", 7777): ("unreachable", None),
    }
    for key, (reason, allow) in expect.items():
        assert (denials[key]["reason"], denials[key]["allow"]) == (reason, allow), denials[key]
        assert denials[key]["type"] == "network"
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
