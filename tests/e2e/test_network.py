# SPDX-License-Identifier: Apache-2.0
"""
What a policy lets out, and nothing else. The host's side is a network namespace of the test's
own, in which the launcher runs: servers at addresses that are public elsewhere, and dnsmasq.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from people import UNPRIVILEGED
from running import alive, children_of, eventually, needs_root, ok, refused

SERVER, OTHER, PRIVATE, DNS = "93.184.216.34", "93.184.216.35", "10.9.9.9", "93.184.216.53"
NAMES = {"example.com": SERVER, "a.example.org": SERVER, "secret.test": SERVER,
         "inside.test": PRIVATE, "moved.test": OTHER}

pytestmark = [needs_root, pytest.mark.skipif(
    not (shutil.which("dnsmasq", path="/usr/sbin:/usr/bin:/sbin:/bin") and
         shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin")),
    reason="needs dnsmasq and ip")]

# Port 8000: one line that says whom it was asked for. 9000: what comes is sent back, to the end,
# and a datagram to the first address.
# 9001: reads late; says how much it was.
SERVERS = r"""
import http.server, os, socket, socketserver, subprocess, sys, threading, time
addresses = sys.argv[1].split(",")
for a in addresses:
    subprocess.run(["ip", "address", "add", a + "/32", "dev", "lo"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("served %s" % self.headers["Host"]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a):
        pass

class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
        self.request.sendall(b"end")

class Slow(socketserver.BaseRequestHandler):
    def handle(self):
        time.sleep(1)
        size = 0
        try:
            while data := self.request.recv(65536):
                size += len(data)
        finally:
            print(size, flush=True)

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

def echo_datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((addresses[0], 9000))
        while True:
            s.sendto(*s.recvfrom(65536))

threading.Thread(target=echo_datagrams, daemon=True).start()
for port, handler in ((8000, Page), (8001, Page), (9000, Echo), (9001, Slow)):
    server = Server(("0.0.0.0", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


class Host:
    """The host's side. Its queries() are what dnsmasq was asked."""

    def __init__(self, directory):
        self.log = directory / "queries"
        addresses = ",".join([SERVER, OTHER, PRIVATE, DNS])
        self.servers = subprocess.Popen(
            ["unshare", "--net", "--", sys.executable, "-c", SERVERS, addresses],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.servers.stdout.readline() == "ready\n"
        self.dns = subprocess.Popen(
            self.inside() + ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv",
                             "--no-hosts", "--bind-interfaces", f"--listen-address={DNS}",
                             "--user=root", "--log-queries", f"--log-facility={self.log}",
                             *(f"--address=/{n}/{a}" for n, a in NAMES.items())],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        table = pathlib.Path(f"/proc/{self.servers.pid}/net/udp")
        assert eventually(lambda: ":0035 " in table.read_text(), 20)

    def inside(self):
        return ["nsenter", f"--net=/proc/{self.servers.pid}/ns/net"]

    def queries(self):
        return self.log.read_text() if self.log.exists() else ""

    def close(self):
        for child in (self.dns, self.servers):
            child.kill()
            child.wait()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    made = Host(tmp_path_factory.mktemp("host"))
    yield made
    made.close()


class Box:
    """Runs purple in the host's side, as one user, with a policy of the test's."""

    def __init__(self, host, runner):
        self.host, self.runner, self.names = host, runner, []

    def argv(self, *words):
        who = [] if self.runner.uid == 0 else [
            "setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
        return [*self.host.inside(), *who, self.runner.purple, *words]

    def options(self, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return {"cwd": self.runner.workspace, "env": self.runner.env, **kw}

    def policy(self, allow=(), block=(), extra=""):
        rules = (f"network:\n  isolated: false\n  dns_servers: ['{DNS}']\n"
                 f"  allow_outgoing: {json.dumps(list(allow))}\n"
                 f"  blocked_ips: {json.dumps(list(block))}\n")
        return str(self.runner.write("net.yaml", rules + extra))

    def purple(self, *words):
        return subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=60,
                              check=False, **self.options())

    def run(self, script, allow=(), block=(), options=()):
        """The output of a Python @script inside."""
        policy = self.policy(allow, block)
        return self.purple("run", "-p", policy, *options, "--", "python3", "-c",
                           HELPERS + textwrap.dedent(script))


# `attempt()` says in a word how a connection ended.
HELPERS = """
import socket, sys, time, os
def attempt(host, port=8000, data=None):
    data = data or b"GET / HTTP/1.0\\r\\nHost: " + host.encode() + b"\\r\\n\\r\\n"
    try:
        s = socket.create_connection((host, port), timeout=20)
    except socket.gaierror:
        return "no name"
    except OSError:
        return "refused"
    try:
        s.sendall(data)
        answer = b""
        while part := s.recv(65536):
            answer += part
    except OSError:
        return "refused"
    return answer.decode().rpartition("\\n")[2] if b" 200 " in answer else "refused"
"""


@pytest.fixture
def box(host, as_user):
    made = Box(host, as_user)
    yield made
    for name in made.names:
        made.purple("rm", "-f", name)


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


def helper_of(supervisor):
    """The purple-net among the children of @supervisor."""
    for child in children_of(supervisor):
        try:
            if pathlib.Path(f"/proc/{child}/comm").read_text() == "purple-net\n":
                return child
        except OSError:
            continue
    return None


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
