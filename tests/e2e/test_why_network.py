# SPDX-License-Identifier: Apache-2.0
"""What the network refuses: each has a line with which, added, the action succeeds."""
import dataclasses
import json
import shlex

import pytest

from running import needs_root, ok
from netbox import (HELPERS, OTHER, PRIVATE, SERVER, box, host,  # noqa: F401
                    needs_servers)

pytestmark = [needs_root, needs_servers]


@dataclasses.dataclass(frozen=True)
class Row:
    """@action: an expression of Python that is true where it was allowed."""
    id: str
    type: str
    what: str
    reason: str
    allow: str
    action: str
    rules: tuple = ("example.com:8000",)
    block: tuple = ()
    extra: str = ""
    detail: str = ""


def served(host, port=8000):
    return f"attempt({host!r}, {port}).startswith('served')"


ROWS = [
    Row("look-up", "dns.denied", "a.example.org", "not listed",
        'network.allow_outgoing: ["a.example.org"]', served("a.example.org")),
    Row("port", "net.denied", "example.com:8001", "not listed",
        'network.allow_outgoing: ["example.com:8001"]', served("example.com", 8001)),
    Row("address", "net.denied", f"{OTHER}:8000", "not listed",
        f'network.allow_outgoing: ["{OTHER}:8000"]', served(OTHER)),
    Row("private address", "net.denied", f"{PRIVATE}:8000", "special address",
        f'network.allow_outgoing: ["{PRIVATE}:8000"]', served(PRIVATE)),
    Row("name of a private address", "net.denied", "inside.test:8000", "special address",
        f'network.allow_outgoing: ["{PRIVATE}:8000"]', served("inside.test"), ("inside.test:8000",)),
    Row("blocked address", "net.denied", "moved.test:8000", "blocked",
        "network.blocked_ips: !replace []", served("moved.test"), ("moved.test:8000",), (OTHER,)),
    Row("blocked range", "net.denied", "example.com:8000", "blocked",
        'network.blocked_ips: !replace ["198.51.100.0/24", "bad.example"]', served("example.com"),
        ("example.com:8000",), ("198.51.100.0/24", "93.184.216.32/30", "bad.example")),
    Row("datagram", "net.denied", f"{SERVER}:9000/udp", "not listed",
        f'network.allow_outgoing: ["{SERVER}:9000/udp"]', f"datagram({SERVER!r}, 9000)",
        (f"{OTHER}:9000/udp",)),
    Row("datagram, port of no rule", "net.denied", f"{SERVER}:9000/udp", "not listed",
        f'network.allow_outgoing: ["{SERVER}:9000/udp"]', f"sent({SERVER!r}, 9000)",
        detail="network"),
    Row("datagram to a name", "net.denied", "example.com:9000/udp", "not listed",
        'network.allow_outgoing: ["example.com:9000/udp"]', "sent('example.com', 9000)",
        detail="network"),
    Row("too many connections", "net.denied", "a connection", "too many connections",
        "network.max_connections: 2", "both('example.com', 9000)", ("example.com:9000",),
        extra="  max_connections: 1\n"),
    Row("too many names", "dns.denied", "n149.example.com", "too many names",
        'network.allow_outgoing: ["n149.example.com"]', "names(150)", ("*.example.com:8000",)),
]

MORE = """
def datagram(host, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(20)
    s.connect((host, port))
    try:
        s.send(b"x")
        return s.recv(10) == b"x"
    except OSError:
        return False
def sent(host, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    try:
        s.sendto(b"x", (host, port))
        return s.recv(10) == b"x"
    except OSError:
        return False
def both(host, port):
    held = socket.create_connection((host, port), 20)
    held.send(b"\\0x")  # nothing that could become a request
    assert held.recv(1) == b"\\0"
    try:
        second = socket.create_connection((host, port), 20)
        second.send(b"\\0y")
        return second.recv(1) == b"\\0"
    except OSError:
        return False
def names(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(20)
    s.connect(("198.18.0.1", 53))
    for i in range(count):
        name = b"n%d" % i
        s.send(bytes([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(name)]) + name +
               b"\\7example\\3com\\0\\0\\1\\0\\1")
        answer = s.recv(512)
    return answer[3] & 15 == 0
"""


class Lesson:
    def __init__(self, box):
        self.box = box
        self.trail = box.runner.home / "trail" / "audit.jsonl"

    def run(self, policy, action, options=()):
        done = self.box.purple("run", "-p", policy, *options, "--", "python3", "-c",
                               HELPERS + MORE + f"sys.exit(0 if {action} else 9)")
        assert done.returncode in (0, 9), done
        return done.returncode == 0

    def denials(self):
        runner = self.box.runner
        told = ok(runner.run([runner.purple, "why", "--json", "--file", str(self.trail)]))
        return json.loads(told)["denials"]

    def policy(self, row, *lines):
        audit = f"audit: {{enabled: true, log_path: '{self.trail}', " \
            f"detail_level: [{row.detail}]}}\n"
        return self.box.policy(row.rules, row.block,
                               row.extra + audit + "".join(line + "\n" for line in lines))


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_the_network(box, row):
    lesson = Lesson(box)
    policy = lesson.policy(row)
    assert not lesson.run(policy, row.action)
    found = [d for d in lesson.denials() if (d["type"], d["what"]) == (row.type, row.what)]
    assert len(found) == 1, lesson.denials()
    denial = found[0]
    assert (denial["reason"], denial["allow"]) == (row.reason, row.allow), denial
    assert lesson.run(policy, row.action, shlex.split(denial["option"])), denial["option"]
    assert lesson.run(lesson.policy(row, denial["allow"]), row.action), denial["allow"]
    assert not [d for d in lesson.denials() if d["what"] == row.what]


def test_no_single_line(box):
    lesson = Lesson(box)
    row = Row("", "", "", "", "", "")
    other = "data=b'GET / HTTP/1.1\\r\\nHost: secret.test\\r\\n\\r\\n'"
    lesson.run(lesson.policy(row), f"attempt('198.18.77.77') + attempt('example.com', {other})")
    why = {d["reason"]: (d["allow"], d["option"], d["why"]) for d in lesson.denials()}
    assert set(why) == {"no name", "another name"}, why
    assert all(line is None and option is None and text for line, option, text in why.values()), why
