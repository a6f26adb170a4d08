# SPDX-License-Identifier: Apache-2.0
"""
UDP that rules list, and no other. The host's side is the Internet of netpair.py: the launcher runs
there, and its servers are sockets of the test's own.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import textwrap
import threading
import time

import pytest

import netpair as net
from people import UNPRIVILEGED
from running import needs_root, ok, refused

pytestmark = [needs_root, pytest.mark.skipif(
    any(not shutil.which(t, path="/usr/sbin:/usr/bin:/sbin:/bin") for t in ("dnsmasq", "ip", "nft")),
    reason="needs dnsmasq, ip and nft")]

OTHER4, PRIVATE = "93.184.215.15", "10.9.8.7"
ECHO, SPOOFED, NOBODY = 5000, 5001, 5002
RECORDS = [f"echo.example,{net.WEB4},{net.WEB6}", f"v4.example,{net.WEB4}",
           f"v6.example,{net.WEB6}", f"other.example,{OTHER4}", f"private.example,{PRIVATE}",
           f"dns.example,{net.WEB4}"]


class Internet:
    """Servers, and what each of their addresses has got."""

    def __init__(self, base):
        self.outer = net.Outer(base, RECORDS, [f"{OTHER4}/32"],
                               [f"--address=/wild.example/{net.WEB4}"])
        self.got = {}
        for address in net.WEB4, net.WEB6, OTHER4, PRIVATE, "127.0.0.1":
            self.serve(address, ECHO, self.echo)
        self.serve(net.WEB4, SPOOFED, self.spoof)
        self.strangers = [self.bind(OTHER4, SPOOFED), self.bind(net.WEB4, 0)]
        self.dns = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root",
             "--conf-file=/dev/null", "--pid-file=", f"--listen-address={net.WEB4}",
             "--bind-interfaces", "--host-record=inner.test,10.1.2.3"],
            preexec_fn=net.enter(self.outer.ns), stderr=subprocess.DEVNULL)
        net.wait_for("dnsmasq", lambda: net.in_namespace(self.outer.ns, self._dns_is_up))

    @staticmethod
    def _dns_is_up():
        with contextlib.suppress(OSError):
            return net.query(net.WEB4, "inner.test", net.A, timeout=1) == (0, ["10.1.2.3"])
        return False

    def bind(self, address, port):
        def make():
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                              socket.SOCK_DGRAM)
            s.bind((address, port))
            return s
        s = net.in_namespace(self.outer.ns, make)
        self.outer.sockets.append(s)
        return s

    def serve(self, address, port, handler):
        s = self.bind(address, port)
        got = self.got[address, port] = []

        def loop():
            while True:
                try:
                    data, peer = s.recvfrom(1 << 16)
                except OSError:
                    return
                if not peer: # shut down
                    return
                got.append((data, peer))
                with contextlib.suppress(OSError):
                    handler(s, data, peer)
        threading.Thread(target=loop, daemon=True).start()

    @staticmethod
    def echo(s, data, peer):
        """What came; a question is answered by the address's own name."""
        s.sendto(s.getsockname()[0].encode() if data == b"who" else data, peer)

    def spoof(self, s, _, peer):
        for stranger in self.strangers:
            stranger.sendto(b"spoofed", peer)
        s.sendto(b"true", peer)

    def close(self):
        self.dns.kill()
        self.dns.wait()
        for s in self.outer.sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        self.outer.close()


@pytest.fixture(scope="module")
def base():
    with tempfile.TemporaryDirectory(prefix="purple-udp-") as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


@pytest.fixture(scope="module")
def internet(base):
    made = Internet(base)
    yield made
    made.close()


# `ask()` says in a word how a question ended; an answer that does not come is "silence".
HELPERS = """
import os, socket, sys
def ask(host, port, data=b"who", family=0):
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, family, socket.SOCK_DGRAM)[0]
    except socket.gaierror:
        return "no name"
    with socket.socket(family, kind, proto) as s:
        s.settimeout(20)
        try:
            s.connect(address)
            s.send(data)
            return s.recv(1 << 16).decode()
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silence"
"""


class Box:
    """Runs purple in the Internet, as one user."""

    def __init__(self, internet, runner):
        self.internet, self.runner = internet, runner

    def purple(self, *words, **kw):
        who = [] if self.runner.uid == 0 else [
            "setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
        space = f"/proc/{os.getpid()}/fd/{self.internet.outer.ns}"
        return subprocess.run(
            ["nsenter", f"--net={space}", *who, self.runner.purple, *words], capture_output=True,
            text=True, timeout=120, check=False, cwd=self.runner.workspace, env=self.runner.env,
            stdin=subprocess.DEVNULL, **kw)

    def policy(self, allow, block=()):
        return str(self.runner.write("net.yaml", (
            f"network:\n  isolated: false\n  dns_servers: ['127.0.0.1:{net.DNS_PORT}']\n"
            f"  allow_outgoing: {json.dumps(list(allow))}\n"
            f"  blocked_ips: {json.dumps(list(block))}\n")))

    def run(self, script, allow, block=(), options=()):
        """What a Python @script inside prints."""
        return ok(self.purple("run", "-p", self.policy(allow, block), *options, "--", "python3",
                              "-c", HELPERS + textwrap.dedent(script)))

    def got(self, address, port=ECHO):
        return len(self.internet.got[address, port])


@pytest.fixture
def box(internet, as_user):
    return Box(internet, as_user)


# Whom it reaches.

def test_by_name(box):
    """Of a name's addresses that of the family that was used inside, if there is one."""
    script = f"""
        for name in "echo.example", "v4.example", "v6.example":
            for family in socket.AF_INET, socket.AF_INET6:
                print(ask(name, {ECHO}, family=family))
    """
    allow = [f"{n}.example:{ECHO}/udp" for n in ("echo", "v4", "v6")]
    assert box.run(script, allow).split() == [net.WEB4, net.WEB6, net.WEB4, net.WEB4, net.WEB6,
                                              net.WEB6]


def test_by_address(box):
    script = f"print(ask('{net.WEB4}', {ECHO}), ask('{net.WEB6}', {ECHO}), ask('{OTHER4}', {ECHO}))"
    allow = [f"93.184.215.14/31:{ECHO}/udp", f"[2606:2800::/32]:{ECHO}/udp"]
    assert box.run(script, allow).split() == [net.WEB4, net.WEB6, OTHER4]


def test_two_peers_of_one_socket(box):
    """Answers come from whom they were sent to, whichever is asked first."""
    script = f"""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(20)
        peers = [("{OTHER4}", {ECHO}),
                 socket.getaddrinfo("echo.example", {ECHO}, socket.AF_INET)[0][4][:2]]
        for _ in range(3):
            for p in peers:
                s.sendto(b"who", p)
        answers = [s.recvfrom(100) for _ in range(6)]
        print(sorted(answers) == sorted([(b"{OTHER4}", peers[0]), (b"{net.WEB4}", peers[1])] * 3))
    """
    assert box.run(script, [f"{OTHER4}:{ECHO}/udp", f"echo.example:{ECHO}/udp"]) == "True\n"


def test_whole_datagrams_of_all_sizes(box):
    script = f"""
        for family, most in (socket.AF_INET, 65507), (socket.AF_INET6, 65527):
            s = socket.socket(family, socket.SOCK_DGRAM)
            s.settimeout(20)
            s.connect(socket.getaddrinfo("echo.example", {ECHO}, family)[0][4])
            for size in 0, 1, 1472, 1473, 9000, most:
                data = os.urandom(size)
                s.send(data)
                assert s.recv(1 << 16) == data, (family, size)
        print("whole")
    """
    assert box.run(script, [f"echo.example:{ECHO}/udp"]) == "whole\n"


def test_many_in_a_row(box):
    """More than a batch at a time, in order; what is lost, as UDP may lose, is not asked for."""
    script = f"""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(20)
        s.connect(("{net.WEB4}", {ECHO}))
        for turn in range(20):
            sent = [b"%d %d" % (turn, i) for i in range(40)]
            for data in sent:
                s.send(data)
            assert [s.recv(100) for _ in sent] == sent
        print("all")
    """
    assert box.run(script, [f"{net.WEB4}:{ECHO}/udp"]) == "all\n"


def test_bandwidth_is_held(box):
    """Nothing is lost by it where one waits for the other."""
    script = f"""
        import time
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(20)
        s.connect(("{net.WEB4}", {ECHO}))
        begun = time.monotonic()
        for i in range(100):
            s.send(b"%1000d" % i)
            assert s.recv(2000) == b"%1000d" % i
        print(time.monotonic() - begun)
    """
    allow = [f"{net.WEB4}:{ECHO}/udp"]
    assert float(box.run(script, allow, options=["--bandwidth=50KBps"])) > 1.8


def test_what_was_sent_last_arrives(box):
    before = box.got(net.WEB4)
    script = f"""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(b"last", (socket.gethostbyname("echo.example"), {ECHO}))
        os._exit(0)
    """
    box.run(script, [f"echo.example:{ECHO}/udp"])
    net.wait_for("the last datagram", lambda: box.got(net.WEB4) > before)


# Whom it does not.

def test_not_listed(box):
    """By address, by a name that is for TCP only, by another name; on the port that is listed."""
    before = box.got(OTHER4)
    script = f"""
        for host in "{OTHER4}", "other.example", "echo.example":
            print(ask(host, {ECHO}))
        print(ask("v4.example", {ECHO}))
        print(ask("::ffff:{OTHER4}", {ECHO}))
    """
    allow = [f"echo.example:{ECHO}/udp", f"other.example:{ECHO}"]
    assert box.run(script, allow).splitlines() == ["refused", "refused", net.WEB6, "no name",
                                                   "refused"]
    assert box.got(OTHER4) == before


def test_another_port_is_refused_at_once(box):
    """Also QUIC's, of a name that is listed for other ports."""
    before = box.got(net.WEB4, SPOOFED)
    script = f"""
        for port in {SPOOFED}, 443, 1:
            for family in socket.AF_INET, socket.AF_INET6:
                print(ask("echo.example", port, family=family))
    """
    allow = [f"echo.example:{ECHO}/udp", "echo.example:443"]
    assert box.run(script, allow).split() == ["refused"] * 6
    assert box.got(net.WEB4, SPOOFED) == before


def test_private_addresses_have_to_be_listed(box):
    before = box.got(PRIVATE)
    script = f"print(ask('private.example', {ECHO}), ask('{PRIVATE}', {ECHO}))"
    allow = [f"private.example:{ECHO}/udp", f"0.0.0.0/0:{ECHO}/udp"]
    assert box.run(script, allow).split() == ["refused", "refused"]
    assert box.got(PRIVATE) == before
    assert box.run(script, [allow[0], f"10.0.0.0/8:{ECHO}/udp"]).split() == [PRIVATE, PRIVATE]


def test_blocked_beats_allowed(box):
    before = box.got(OTHER4)
    script = f"""
        print(ask("other.example", {ECHO}), ask("{OTHER4}", {ECHO}), ask("{net.WEB4}", {ECHO}))
    """
    allow = [f"other.example:{ECHO}/udp", f"93.184.215.0/24:{ECHO}/udp"]
    assert box.run(script, allow, [OTHER4]).split() == ["refused", "refused", net.WEB4]
    assert box.got(OTHER4) == before


def test_loopback_is_the_sandboxs_own(box):
    """Of the host's nothing is reached, whatever is listed; a server inside is."""
    before = box.got("127.0.0.1")
    script = f"""
        print(ask("127.0.0.1", {ECHO}), ask("::1", {ECHO}))
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        c.sendto(b"inside", s.getsockname())
        print(s.recv(100).decode())
    """
    allow = [f"127.0.0.1:{ECHO}/udp", f"[::1]:{ECHO}/udp"]
    assert box.run(script, allow).split() == ["refused", "refused", "inside"]
    assert box.got("127.0.0.1") == before


def test_nobody_there_is_refused(box):
    """What the peer's host says is said inside."""
    script = f"""
        for family in socket.AF_INET, socket.AF_INET6:
            print(ask("echo.example", {NOBODY}, family=family))
    """
    assert box.run(script, [f"echo.example:{NOBODY}/udp"]).split() == ["refused", "refused"]


def test_nobody_else_can_answer(box):
    """Strangers who know the relay's port, at the peer's own address too, are not heard."""
    script = f"""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(20)
        s.connect((socket.gethostbyname("echo.example"), {SPOOFED}))
        for _ in range(20):
            s.send(b"who")
            print(s.recv(100).decode())
    """
    assert box.run(script, [f"echo.example:{SPOOFED}/udp"]).split() == ["true"] * 20


# Port 53.

ASK_DNS = """
import struct
def dns(server, name):
    q = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0)
    q += b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\\0\\0\\1\\0\\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.connect((server, 53))
        s.send(q)
        a = s.recv(4096)
    code, count = a[3] & 15, a[7]
    return "%d %s" % (code, socket.inet_ntoa(a[-4:]) if count else "-")
"""


def test_a_server_of_names_that_is_listed(box):
    """It is asked itself; at any other address, and without the rule, Purple's own answers."""
    script = ASK_DNS + textwrap.dedent(f"""
        print(dns("{net.WEB4}", "inner.test"))
        print(dns("{OTHER4}", "inner.test"))
        print(dns("198.18.0.1", "inner.test"))
        print(dns(socket.gethostbyname("dns.example"), "inner.test"))
    """)
    assert box.run(script, [f"{net.WEB4}:53/udp", "dns.example:443"]).splitlines() == [
        "0 10.1.2.3", "5 -", "5 -", "5 -"]
    assert box.run(script, ["dns.example:53/udp"]).splitlines() == [
        "5 -", "5 -", "5 -", "0 10.1.2.3"]


@pytest.mark.skipif(not shutil.which("dig"), reason="needs dig")
def test_dig(box):
    done = box.purple("run", "-p", box.policy([f"{net.WEB4}:53/udp"]), "--", "dig", "+short",
                      f"@{net.WEB4}", "inner.test")
    assert ok(done) == "10.1.2.3\n"


def test_a_rule_names_the_port(box):
    refused(box.purple("run", "-p", box.policy(["echo.example/udp"]), "--", "true"), 125,
            "echo.example/udp", "name the port")


def test_the_plan_shows_the_sockets(box):
    plan = json.loads(ok(box.purple("plan", "--json", "-p", box.policy(["a.example:123/udp"]))))
    assert plan["network"]["allow"] == ["a.example:123/udp"]
    assert [s["port"] for s in plan["network"]["sockets"] if s["kind"] == "udp"] == [123, 123]


# purple-net by itself: limits.

@pytest.fixture
def start(purple_prefix, internet, base):
    engines = []

    def make(allow, **kw):
        engines.append(net.Engine(purple_prefix / "libexec/purple/purple-net", internet.outer,
                                  net.block(allow, **kw), base, udp=(ECHO, NOBODY)))
        return engines[-1]
    yield make
    for engine in engines:
        assert engine.close() == 0


def sockets_of(engine):
    """How many it has, all of the sandbox's among them."""
    assert engine.ask("unlisted.example") == (net.REFUSED, [])
    links = []
    for f in pathlib.Path(f"/proc/{engine.process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(os.readlink(f))
    return sum(link.startswith("socket:") for link in links)


def ask_from(engine, port, address=net.WEB4, to=ECHO):
    """Asked from inside and @port (0: any)."""
    def body():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(20)
            s.bind(("0.0.0.0", port))
            s.connect((address, to))
            s.send(b"who")
            try:
                return s.recv(100).decode()
            except ConnectionRefusedError:
                return "refused"
    return net.in_namespace(engine.inner, body)


def test_two_thousand_flows_have_a_bound(start):
    """Those over it are refused at once; the one silent the longest makes room after a while."""
    engine = start([net.rule(address=net.WEB4, port=ECHO, udp=True)], max_connections=100)
    none = sockets_of(engine)
    begun = time.monotonic()
    answers = [ask_from(engine, 10000 + i) for i in range(2000)]
    quick = time.monotonic() - begun < 9
    assert sockets_of(engine) - none == 100
    assert set(answers[:100]) == {net.WEB4} and set(answers) <= {net.WEB4, "refused"}
    if quick:
        assert set(answers[100:]) == {"refused"}
        engine.denied(net.TOO_MANY, net.WEB4, ECHO)
    net.wait_for("room", lambda: ask_from(engine, 20000) == net.WEB4)
    assert sockets_of(engine) - none == 100


def test_idle_flows_end(start):
    engine = start([net.rule("echo.example", ECHO, udp=True)], idle_s=1)
    none = sockets_of(engine)
    address = engine.address("echo.example")
    for port in range(10000, 10010):
        assert ask_from(engine, port, address) == net.WEB4
    net.wait_for("their end", lambda: sockets_of(engine) == none)
    assert ask_from(engine, 10000, address) == net.WEB4


def test_datagrams_wait_while_a_name_is_asked_for(start, internet):
    """Eight of them, in order, when the answer of before is no longer kept."""
    engine = start([net.rule("echo.example", ECHO, udp=True), net.rule(port=1)])
    address = engine.address("echo.example")
    for i in range(1100): # RESOLVER_NAMES and more
        engine.address(f"n{i}.wild.example")
    asked = internet.outer.log.read_text().count("] echo.example from")
    internet.outer.dnsmasq.send_signal(signal.SIGSTOP)

    def body():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(20)
            s.connect((address, ECHO))
            for i in range(9):
                s.send(b"%d" % i)
            # It is past them when it has answered on another socket, without asking.
            assert net.query("198.18.0.1", "localhost", net.A) == (net.NOERROR, ["127.0.0.1"])
            internet.outer.dnsmasq.send_signal(signal.SIGCONT)
            got = [s.recv(100) for _ in range(8)]
            s.send(b"end")
            return got, s.recv(100)
    try:
        got, last = net.in_namespace(engine.inner, body)
    finally:
        internet.outer.dnsmasq.send_signal(signal.SIGCONT)
    assert internet.outer.log.read_text().count("] echo.example from") > asked
    assert got == [b"%d" % i for i in range(8)] and last == b"end"


def test_what_waits_when_the_sandbox_ends_arrives(start, internet):
    """More than a turn's worth, none of which has been read when the supervisor goes."""
    engine = start([net.rule(address=net.WEB4, port=ECHO, udp=True)])
    assert ask_from(engine, 0) == net.WEB4
    got = internet.got[net.WEB4, ECHO]
    before = len(got)
    engine.process.send_signal(signal.SIGSTOP)
    net.wait_for("its stop", lambda: pathlib.Path(f"/proc/{engine.process.pid}/stat").read_text()
                 .rsplit(")", 1)[1].split()[0] == "T")

    def body():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for i in range(150):
                s.sendto(b"%d" % i, (net.WEB4, ECHO))
    net.in_namespace(engine.inner, body)
    engine.control.close()
    engine.process.send_signal(signal.SIGCONT)
    net.wait_for("all of it", lambda: len(got) == before + 150)
    assert [data for data, _ in got[before:]] == [b"%d" % i for i in range(150)]


def test_denials_are_reported(start):
    engine = start([net.rule("echo.example", ECHO, udp=True),
                    net.rule(address=net.WEB4, port=NOBODY, udp=True)])
    address = engine.address("echo.example")
    for target, to, why, text in ((net.WEB4, ECHO, net.NOT_LISTED, net.WEB4),
                                  (PRIVATE, ECHO, net.SPECIAL, PRIVATE),
                                  (address, NOBODY, net.NOT_LISTED, "echo.example"),
                                  ("198.18.77.7", ECHO, net.NO_NAME, "198.18.77.7"),
                                  (net.WEB4, NOBODY, net.UNREACHABLE, net.WEB4)):
        assert ask_from(engine, 0, target, to) == "refused"
        engine.denied(why, text, to)


def test_a_flood_leaves_the_others_be(start):
    """What nobody reads, from many sockets at once; a question in between is answered."""
    engine = start([net.rule(address=net.WEB4, port=ECHO, udp=True)])
    stop = threading.Event()

    def flood():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((net.WEB4, ECHO))
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    s.send(bytes(1000))
    thread = threading.Thread(target=lambda: net.in_namespace(engine.inner, flood))
    thread.start()
    try:
        def asked():
            with contextlib.suppress(TimeoutError):
                return ask_from(engine, 0) == net.WEB4
            return False
        net.wait_for("an answer", asked)
        assert engine.process.poll() is None
    finally:
        stop.set()
        thread.join()
