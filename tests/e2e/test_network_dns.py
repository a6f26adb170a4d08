# SPDX-License-Identifier: Apache-2.0
"""What names tell, and how much can be asked by them, against a dnsmasq of the test's own."""
import contextlib
import os
import pathlib
import shutil
import socket
import struct
import tempfile

import pytest

import netpair as net
from netpair import AAAA, HTTPS, NOERROR, NXDOMAIN, REFUSED, SRV, SVCB, rule

TOOLS = ("ip", "nft", "dnsmasq")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
    pytest.mark.skipif(any(not shutil.which(t, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
                           for t in TOOLS), reason=f"needs {', '.join(TOOLS)}"),
]

BURST = 100  # NEWNAMES_BURST of net/newnames.h



def labels(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0"


def srv(target, port, priority=1, weight=2):
    return struct.pack("!3H", priority, weight, port) + labels(target)


def svcb(target="", priority=1, **params):
    """RFC 9460 §2.2."""
    keys = {"mandatory": 0, "alpn": 1, "port": 3, "hint4": 4, "ech": 5, "hint6": 6}
    return struct.pack("!H", priority) + labels(target) + b"".join(
        struct.pack("!2H", keys[key], len(value)) + value for key, value in params.items())


ALPN, PORT = b"\x02h2", struct.pack("!H", 8443)
HINTS = {"hint4": socket.inet_aton(net.WEB4), "ech": b"\0\4echc",
         "hint6": socket.inet_pton(socket.AF_INET6, net.WEB6)}
RECORDS = [
    ("_xmpp._tcp.web.example", SRV, srv("web.example", 5222)),
    ("_xmpp._tcp.web.example", SRV, srv("web.example", 5223)),
    ("_xmpp._tcp.web.example", SRV, srv("secret.example", 5222)),
    ("_ntp._udp.web.example", SRV, srv("web.example", 5222)),
    ("_none._tcp.web.example", SRV, srv("", 0)),
    ("_bad._tcp.web.example", SRV, b"\0\1\0"),
    ("_pg._tcp.wild.example", SRV, srv("a.wild.example", 5432)),
    ("_pg._tcp.a.wild.example", SRV, srv("a.wild.example", 5432)),
    ("_xmpp._tcp.secret.example", SRV, srv("web.example", 5222)),
    ("web.example", HTTPS, svcb(alpn=ALPN, **HINTS)),
    ("web.example", HTTPS, svcb("web.example", 2, alpn=ALPN, port=PORT, **HINTS)),
    ("web.example", HTTPS, svcb("web.example", 3, port=struct.pack("!H", 9))),
    ("web.example", HTTPS, svcb("a.wild.example", 4, alpn=ALPN)),
    ("web.example", HTTPS, svcb("secret.example", 5, alpn=ALPN)),
    ("web.example", HTTPS, svcb("a.wild.example", 0)),
    ("web.example", HTTPS, svcb("web.example", 0)),
    ("web.example", HTTPS, svcb(priority=6, mandatory=b"\0\5", ech=b"E")),
    ("_8443._https.web.example", HTTPS, svcb("web.example", alpn=ALPN, port=PORT)),
    ("b.wild.example", HTTPS, svcb(alpn=ALPN)[:-1]),
    ("b.wild.example", HTTPS, svcb(alpn=b"\x05h2")),
    ("b.wild.example", HTTPS, svcb(port=b"\1")),
    ("b.wild.example", HTTPS, svcb(alpn=ALPN) + b"\0"),
    ("b.wild.example", HTTPS, b"\0\1\xc0\x0c"),
    ("_dns.web.example", SVCB, svcb("a.wild.example", alpn=b"\x03dot", **HINTS)),
    ("_dns.web.example", SVCB, svcb("secret.example", alpn=b"\x03dot")),
    ("_dns.web.example", SVCB, svcb("a.wild.example", 0, alpn=ALPN)),
    ("_dns.web.example", SVCB, svcb("secret.example", 0)),
    ("_dns.wild.example", SVCB, svcb("", 0)),
]


@pytest.fixture(scope="module")
def outer():
    with tempfile.TemporaryDirectory(prefix="purple-net-") as directory:
        os.chmod(directory, 0o755)
        base = pathlib.Path(directory)
        side = net.Outer(base, [f"web.example,{net.WEB4}", f"a.wild.example,{net.WEB4}"], options=[
            f"--dns-rr={name},{kind},{data.hex()}" for name, kind, data in RECORDS])
        side.base = base
        yield side
        side.close()


@pytest.fixture
def start(purple_prefix, outer):
    engines = []

    def make(allow, **kw):
        engines.append(net.Engine(purple_prefix / "libexec/purple/purple-net", outer,
                                  net.block(allow, **kw), outer.base))
        return engines[-1]
    yield make
    for engine in engines:
        assert engine.close() == 0


# Services.

@pytest.fixture
def engine(start):
    return start([rule("web.example", 5222), rule("web.example", 8443), rule("web.example", 443),
                  rule("wild.example", wildcard=True)])


def test_srv(engine):
    """For an allowed host; of what comes, the targets and ports that are allowed."""
    for tcp in False, True:
        assert engine.ask("_xmpp._tcp.web.example", SRV, tcp=tcp) == (
            NOERROR, [srv("web.example", 5222)])
    for name in "_pg._tcp.wild.example", "_pg._tcp.a.wild.example":
        assert engine.ask(name, SRV) == (NOERROR, [srv("a.wild.example", 5432)])
    assert engine.ask("_ntp._udp.web.example", SRV) == (NOERROR, [])  # no rule for UDP
    assert engine.ask("_none._tcp.web.example", SRV) == (NOERROR, [])
    assert engine.ask("_bad._tcp.web.example", SRV) == (NOERROR, [])
    assert engine.ask("_absent._tcp.web.example", SRV) == (NXDOMAIN, [])
    assert engine.ask("web.example", SRV) == (NOERROR, [])
    assert engine.ask("a.wild.example")[0] == NOERROR
    assert engine.ask("_xmpp._tcp.web.example") == (REFUSED, [])  # a service has no address


@pytest.mark.parametrize("name", [
    "_xmpp._tcp.secret.example", "_xmpp.web.example", "_xmpp._any.web.example",
    "xmpp._tcp.web.example", "_a._b._tcp.web.example", "_0123456789abcdef._tcp.web.example"])
def test_srv_of_what_is_no_service(engine, outer, name):
    assert engine.ask(name, SRV) == (REFUSED, [])
    assert not outer.asked(name)


def test_https(engine):
    """What leads to the name itself, without hints and keys."""
    for tcp in False, True:
        code, records = engine.ask("web.example", HTTPS, tcp=tcp)
        assert code == NOERROR
        assert sorted(records) == [svcb(alpn=ALPN), svcb("web.example", 2, alpn=ALPN, port=PORT)]
    assert engine.ask("_8443._https.web.example", HTTPS) == (
        NOERROR, [svcb("web.example", alpn=ALPN, port=PORT)])
    assert engine.ask("_x._https.web.example", HTTPS) == (REFUSED, [])
    assert engine.ask("a.wild.example", HTTPS) == (NOERROR, [])
    assert engine.ask("b.wild.example", HTTPS) == (NOERROR, [])  # all of them malformed


def test_https_of_a_port_that_is_not_allowed(start):
    engine = start([rule("web.example", 80)])
    assert engine.ask("web.example", HTTPS) == (NOERROR, [])


def test_svcb(engine):
    code, records = engine.ask("_dns.web.example", SVCB)
    assert code == NOERROR
    assert sorted(records) == [svcb("a.wild.example", 0),
                               svcb("a.wild.example", alpn=b"\x03dot")]
    assert engine.ask("_dns.wild.example", SVCB) == (NOERROR, [])  # "not here"
    assert engine.ask("_dns.secret.example", SVCB) == (REFUSED, [])


def test_services_are_new_names(start, outer):
    """An exact rule for the host lets out no more of them than a wildcard would."""
    engine = start([rule("web.example")])
    codes = [engine.ask(f"_s{i}._tcp.web.example", SRV)[0] for i in range(3 * BURST)]
    refused = codes.index(REFUSED)
    assert BURST <= refused < 2 * BURST and codes[:refused] == [NXDOMAIN] * refused
    engine.denied(net.TOO_MANY_NAMES, f"_s{refused}._tcp.web.example", 0)
    assert not outer.asked(f"_s{refused}._tcp.web.example")
    assert engine.ask("web.example")[0] == NOERROR


def test_no_server_for_services(start):
    engine = start([rule("web.example")], servers=(("127.0.0.1", 1),))
    for tcp in False, True:
        assert engine.ask("web.example", HTTPS, tcp=tcp) == (net.SERVFAIL, [])


def test_many_services_at_a_time(engine):
    """More than are looked up at once: each has an answer, and then all is as before."""
    def body():
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                     for _ in range(80)]
            for i, s in enumerate(socks):
                s.settimeout(net.DEADLINE)
                s.connect(("198.18.0.1", 53))
                s.send(struct.pack("!6H", i, 0x0100, 1, 0, 0, 0) +
                       net.question("_xmpp._tcp.web.example", SRV))
            return [s.recv(4096)[3] & 15 for s in socks]
    codes = net.in_namespace(engine.inner, body)
    assert set(codes) <= {NOERROR, net.SERVFAIL} and NOERROR in codes
    assert engine.ask("_xmpp._tcp.web.example", SRV)[1] == [srv("web.example", 5222)]


# How much a name carries.

def test_random_labels(start, outer):
    """Under a wildcard new names come to an end, known ones and others do not."""
    engine = start([rule("wild.example", wildcard=True), rule("web.example"),
                    rule("x500.wild.example")])
    assert engine.ask("a.wild.example")[0] == NOERROR
    codes = [engine.ask(f"x{i}.wild.example")[0] for i in range(3 * BURST)]
    admitted = codes.count(NXDOMAIN)
    assert codes[:BURST - 1] == [NXDOMAIN] * (BURST - 1)
    assert admitted < 2 * BURST and codes.count(REFUSED) == len(codes) - admitted
    refused = codes.index(REFUSED)
    engine.denied(net.TOO_MANY_NAMES, f"x{refused}.wild.example", 0)
    assert not outer.asked(f"x{refused}.wild.example")
    for name, code in (("a.wild.example", NOERROR), ("web.example", NOERROR),
                       ("x0.wild.example", NXDOMAIN), ("x500.wild.example", NXDOMAIN)):
        assert engine.ask(name)[0] == code
        assert engine.ask(name, AAAA)[0] == code


def test_random_labels_by_the_proxy(start, outer):
    engine = start([rule("wild.example", wildcard=True)])
    answers = []
    for i in range(2 * BURST):
        with engine.connect("198.18.0.1", 3128) as s:
            s.sendall(f"CONNECT p{i}.wild.example:443 HTTP/1.1\r\n"
                      f"Host: p{i}.wild.example:443\r\n\r\n".encode())
            with contextlib.suppress(ConnectionResetError):
                answers.append(s.recv(4096))
    refused = [i for i, answer in enumerate(answers) if b"new name" in answer]
    assert refused and refused[0] >= BURST
    assert not outer.asked(f"p{refused[0]}.wild.example")
    assert outer.asked("p0.wild.example")


@pytest.mark.parametrize("front", ["a.b.c.d.e", "a" * 50 + "." + "b" * 50],
                         ids=["labels", "bytes"])
def test_long_names_under_a_wildcard(start, outer, front):
    engine = start([rule("wild.example", wildcard=True)])
    name = f"{front}.wild.example"
    assert engine.ask(name) == (REFUSED, [])
    engine.denied(net.NOT_LISTED, name, 0)
    assert not outer.asked(name)
