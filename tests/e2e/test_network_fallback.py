# SPDX-License-Identifier: Apache-2.0
"""
A kernel without nf_tables, which tests/tools/nonft stands for: a policy with a network is
refused, or, best-effort and said so, held at the TCP ports that its rules list. What is let
out is less than with nf_tables, and never more.
"""
import json
import os
import pathlib
import shutil
import sys
import textwrap
from subprocess import PIPE, Popen, run

import pytest

from running import needs_root, ok, refused
from netbox import (HELPERS, OTHER, PRIVATE, SERVER, Box, host,  # noqa: F401
                    needs_servers)

pytestmark = [needs_root, needs_servers]

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Without(Box):
    """A Box on a kernel without nf_tables."""

    def __init__(self, host, runner):
        super().__init__(host, runner)
        self.tool = runner.base / "nonft"
        shutil.copy(ROOT / os.environ.get("PURPLE_BUILD", "build") / "tests/tools/nonft",
                    self.tool)

    def argv(self, *words):
        argv = super().argv(*words)
        at = argv.index(self.runner.purple)
        return [*argv[:at], str(self.tool), *argv[at:]]

    def run(self, script, allow=(), block=(), options=()):
        return super().run(script, allow, block, ("--best-effort", *options))

    def has(self, *words, allow=(), **kw):
        """The output of what is run with @words before its policy."""
        return self.purple(*words, "-p", self.policy(allow, **kw))


@pytest.fixture
def box(host, as_user):
    made = Without(host, as_user)
    yield made
    for name in made.names:
        made.purple("rm", "-f", name)


def published(box, *options):
    return box.policy(["example.com:8000"], extra=f"  allow_incoming: {json.dumps(options)}\n")


# ---- what is said ----

def test_it_is_refused_with_the_remedy(box):
    done = box.purple("run", "-p", box.policy(["example.com:8000"]), "--", "true")
    refused(done, 125, "nf_tables", "Protocol not supported", "nft_chain_nat", "--best-effort")


def test_best_effort_says_what_there_is_not(box):
    report = box.runner.workspace / "report.json"
    done = box.run("print(attempt('example.com'))", ["example.com:8000", "a.example.org"],
                   options=("--report", str(report)))
    assert ok(done) == "served example.com\n"
    assert done.stderr.count("purple: downgraded: network.") == 3
    assert "8000, 3128: no program inside can listen on these" in done.stderr
    assert "without a port a rule holds at the ports above alone" in done.stderr
    told = {(d["what"], "nf_tables" in d["why"]) for d in json.loads(report.read_text())[
        "downgrades"]}
    assert ("network.isolated: false", True) in told and ("network.allow_outgoing", False) in told
    plan = json.loads(ok(box.has("plan", "--json", "--best-effort",
                                 allow=["example.com:8000", "a.example.org"])))
    layers = {layer["layer"]: layer for layer in plan["layers"]}
    assert layers["net"]["state"] == "downgraded" and "nf_tables" in layers["net"]["why"]
    assert plan["network"]["nf_tables_bytes"] == 0
    assert {s["port"] for s in plan["network"]["sockets"] if s["kind"] == "tcp"} == {8000, 3128}


def test_with_nf_tables_best_effort_lacks_nothing(box):
    argv = Box.argv(box, "run", "--best-effort", "-p", box.policy(["example.com:8000"]), "--",
                    "python3", "-c", HELPERS + "print(attempt('example.com', 8001))")
    done = box.runner.run(argv, user=None, group=None, extra_groups=None)
    assert ok(done) == "refused\n"
    assert "downgraded" not in done.stderr and "not listed" in done.stderr


# ---- what is let out, and what is not ----

def test_names_and_addresses_that_rules_list(box):
    script = f"""
        print(attempt('example.com'), attempt('a.example.org', 8001), attempt('{OTHER}'), sep='\\n')
        s = socket.create_connection(("example.com", 9000), timeout=60)
        data = os.urandom(1 << 16)
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        got = b""
        while part := s.recv(1 << 16):
            got += part
        print(got == data + b"end")
    """
    allow = ["example.com:8000", "*.example.org:8001", f"{OTHER}:8000", "9000"]
    assert ok(box.run(script, allow)) == \
        f"served example.com\nserved a.example.org\nserved {OTHER}\nTrue\n"


def test_ipv6_likewise(box):
    script = """
        address = socket.getaddrinfo("example.com", 8000, socket.AF_INET6)[0][4]
        s = socket.socket(socket.AF_INET6)
        s.connect(address)
        s.sendall(b"GET / HTTP/1.0\\r\\nHost: example.com\\r\\n\\r\\n")
        print(b" 200 " in s.recv(100))
        for to in (("2001:db8::1", 8000), ("2001:db8::1", 8001), (address[0], 8001),
                   (address[0], 443)):
            s = socket.socket(socket.AF_INET6)
            s.settimeout(20)
            try:
                s.connect(to)
                s.sendall(b"x")
                print("said" if s.recv(100) else "ended")
            except ConnectionError as e:
                print(type(e).__name__)
    """
    out = ok(box.run(script, ["example.com:8000"])).splitlines()
    assert out == ["True", "ConnectionResetError", *["ConnectionRefusedError"] * 3]


def test_another_name_never_leaves(box):
    assert ok(box.run("print(attempt('secret.test'))", ["example.com:8000"])) == "no name\n"
    assert "secret.test" not in box.host.queries()


def test_a_port_that_no_rule_lists(box):
    """The server is there, at 8001; the kernel refuses before anybody is asked."""
    done = box.run(f"print(attempt('example.com', 8001), attempt('{SERVER}', 8001))",
                   ["example.com:8000", f"{SERVER}:8000"])
    assert ok(done) == "refused refused\n"
    assert "8001" not in "".join(x for x in done.stderr.splitlines() if "downgraded" not in x)


def test_a_port_that_another_rule_lists(box):
    """There somebody listens, and the rules decide."""
    done = box.run(f"print(attempt('example.com', 8001), attempt('{SERVER}', 8001))",
                   ["example.com:8000", "a.example.org:8001"])
    assert ok(done) == "refused refused\n"
    assert "example.com:8001" in done.stderr


def test_literal_and_private_addresses(box):
    script = (f"print(attempt('{SERVER}'), attempt('{PRIVATE}'), attempt('inside.test'), "
              f"attempt('{OTHER}'))")
    assert ok(box.run(script, ["example.com:8000", "inside.test:8000", f"{OTHER}:8000"],
                      [OTHER])) == "refused refused refused refused\n"


def test_the_host_header_agrees_with_the_name(box):
    script = """
        print(attempt('example.com', data=b'GET / HTTP/1.1\\r\\nHost: secret.test\\r\\n\\r\\n'))
    """
    assert ok(box.run(script, ["example.com:8000", "secret.test:8001"])) == "refused\n"


def test_udp_443_is_refused_at_once(box):
    script = f"""
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.connect(("{SERVER}", 443))
        u.send(b"x")
        try:
            u.send(b"x")
            print("sent")
        except ConnectionRefusedError:
            print("refused")
    """
    assert ok(box.run(script, ["example.com:443", "9.9.9.9:5000/udp"])) == "refused\n"


def test_loopback_is_not_the_hosts(box):
    """The host's servers listen there at the same ports, and a rule lists it."""
    script = "print(*(attempt(a) for a in ('127.0.0.1', '127.1.2.3', '0.0.0.0', 'localhost')))"
    assert ok(box.run(script, ["8000", "127.0.0.0/8:8000", "0.0.0.0/0:8000"])) == \
        "refused refused refused refused\n"
    script = "print(attempt('host.purple.internal'))"
    assert ok(box.run(script, ["host.purple.internal:8000"])) == "served host.purple.internal\n"


def test_ports_that_programs_cannot_have(box):
    """Nobody inside takes what goes to a listed port; others are free."""
    script = """
        import errno
        for address, port in (("127.0.0.1", 8000), ("0.0.0.0", 8000), ("198.18.1.0", 8000),
                              ("127.0.0.1", 3128), ("127.0.0.1", 8001)):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                s.bind((address, port))
                s.listen()
                c = socket.create_connection((address, port), timeout=20)
                print(s.accept()[1] == c.getsockname())
            except OSError as e:
                print(errno.errorcode[e.errno])
    """
    assert ok(box.run(script, ["example.com:8000"])).split() == ["EADDRINUSE"] * 4 + ["True"]


def test_a_rule_without_a_port_holds_through_the_proxy(box):
    script = """
        print(attempt("example.com"))
        for to in ("example.com:8000", "secret.test:8000"):
            s = socket.create_connection(("proxy.purple.internal", 3128))
            s.sendall(f"CONNECT {to} HTTP/1.1\\r\\nHost: {to}\\r\\n\\r\\n".encode())
            print(s.recv(4096).split()[1].decode())
    """
    assert ok(box.run(script, ["example.com"])).split() == ["refused", "200", "403"]


# ---- what comes in ----

SERVE = """
import socket, sys
s = socket.create_server(("127.0.0.1", 8080))
print("ready", flush=True)
s.accept()[0].sendall(b"from inside")
sys.stdin.readline()
"""


def test_a_published_port(box):
    with Popen(box.argv("run", "--best-effort", "-p", published(box, "18080:8080"), "--",
                        "python3", "-c", SERVE), stdout=PIPE, text=True,
               **box.options(stdin=PIPE)) as child:
        try:
            assert child.stdout.readline() == "ready\n"
            fetch = ("import socket; s = socket.create_connection(('127.0.0.1', 18080));"
                     "print(s.recv(100))")
            done = run([*box.host.inside(), sys.executable, "-c", fetch], capture_output=True,
                       text=True, check=False, timeout=60)
            assert done.stdout == "b'from inside'\n", done.stderr
            child.communicate("\n", timeout=60)
            assert child.returncode == 0
        finally:
            child.kill()


@pytest.mark.parametrize("item", ["8000", "9000:8000", "3128"])
def test_a_published_port_that_cannot_be_had(box, item):
    done = box.purple("run", "--best-effort", "-p", published(box, item), "--", "true")
    refused(done, 125, "allow_incoming", "is taken", "let the program listen on another one")


# ---- a running one ----

def test_rules_that_change(box):
    name = f"fb-{os.getpid()}-{box.runner.name}"
    box.names.append(name)
    ok(box.purple("create", "--best-effort", "-p", box.policy(["example.com:8000"]), name))
    done = box.purple("net", "allow", name, "example.com:8001")
    assert done.returncode != 0 and "8001" in done.stderr and "later" in done.stderr
    done = box.purple("net", "allow", name, "secret.test")
    assert done.returncode != 0 and "name the port" in done.stderr
    ok(box.purple("net", "allow", name, "secret.test:8000"))
    script = textwrap.dedent(HELPERS) + "print(attempt('secret.test'), attempt('moved.test'))"
    assert ok(box.purple("exec", name, "--", "python3", "-c", script)) == \
        "served secret.test no name\n"
    ok(box.purple("net", "deny", name, "secret.test:8000"))
    assert ok(box.purple("exec", name, "--", "python3", "-c", script)) == "no name no name\n"
