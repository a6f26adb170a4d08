# SPDX-License-Identifier: Apache-2.0
"""purple-net by itself: names, rules and bytes between two network namespaces."""
import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import pytest

import netpair as net
from netpair import A, AAAA, NOERROR, NXDOMAIN, REFUSED, rule
from people import UNPRIVILEGED

TOOLS = ("ip", "nft", "dnsmasq", "openssl", "curl")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
    pytest.mark.skipif(any(not shutil.which(t, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
                           for t in TOOLS), reason=f"needs {', '.join(TOOLS)}"),
]

RECORDS = [
    f"web.example,{net.WEB4},{net.WEB6}", f"other.example,{net.WEB4}", f"v4.example,{net.WEB4}",
    f"v6.example,{net.WEB6}", f"dead6.example,{net.WEB4},{net.DEAD6}",
    f"drop6.example,{net.WEB4},{net.DROP6}", "private.example,10.9.8.7", "home.example,127.0.0.1",
    f"secret.example,{net.WEB4}",
]
# In this order, IPv6 alone.
SILENT = [f"last.example,{address}" for address in (*net.DROPS6, net.WEB6)]
NAMES = ["web.example", "v4.example", "v6.example", "dead6.example", "drop6.example",
         "private.example", "home.example", "absent.example", "last.example"]
BIG = 48 << 20


def read_all(conn):
    parts = []
    while part := conn.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def serve_http(conn):
    head = b""
    while b"\r\n\r\n" not in head:
        part = conn.recv(65536)
        if not part:
            return
        head += part
    host = [line for line in head.split(b"\r\n") if line.lower().startswith(b"host:")]
    body = b"served " + (host[0] if host else b"nobody")
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                 % (len(body), body))


def serve_big(conn):
    """Takes a stream to its end, answers with its hash, then with as many bytes of its own."""
    digest, count = hashlib.sha256(), 0
    while part := conn.recv(1 << 18):
        digest.update(part)
        count += len(part)
    conn.sendall(digest.digest())
    for _ in range(count >> 20):
        conn.sendall(b"x" * (1 << 20))


def serve_banner(conn):
    conn.sendall(b"220 hello\r\n")
    conn.sendall(b"got " + conn.recv(4096))
    read_all(conn)


def serve_echo(conn):
    while part := conn.recv(65536):
        conn.sendall(part)


RESETS = []


def serve_reset(conn):
    """Reset what is "reset"; else note how the other side ends."""
    if conn.recv(16) == b"\0reset":
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return
    conn.sendall(b"here")
    try:
        RESETS.append(conn.recv(16))
    except ConnectionResetError:
        RESETS.append("reset")


@pytest.fixture(scope="module")
def base():
    with tempfile.TemporaryDirectory(prefix="purple-net-") as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


@pytest.fixture(scope="module")
def outer(base):
    """The Internet of these tests."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=web.example", "-keyout", base / "key", "-out", base / "cert"],
                   check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(base / "cert", base / "key")

    def serve_tls(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            serve_http(tls)
    side = net.Outer(base, RECORDS + SILENT, [f"{a}/128" for a in net.DROPS6],
                     ["--no-round-robin"])
    stalled = threading.Event()
    for port, handler in ((80, serve_http), (8080, serve_http), (443, serve_tls), (25, serve_banner),
                          (7, serve_echo), (1000, serve_big), (1001, serve_reset),
                          (1002, lambda conn: stalled.wait())):
        side.listen(port, handler)
    yield side
    stalled.set()
    side.close()


@pytest.fixture
def start(purple_prefix, outer, base):
    """Starts an Engine; all are ended as their supervisor would end them."""
    engines = []

    def make(allow, **kw):
        own = {k: kw.pop(k) for k in ("redirect", "ports", "uid") if k in kw}
        engine = net.Engine(purple_prefix / "libexec/purple/purple-net", outer,
                            net.block(allow, **kw), base, **own)
        engines.append(engine)
        return engine
    yield make
    for engine in engines:
        killed = engine.process.poll()
        status = engine.close()
        assert killed is not None or status == 0, status


@pytest.fixture
def engine(start):
    """With the names of these tests allowed, and no other."""
    return start([rule(name) for name in NAMES])


def get(engine, host, port, request, kind=A):
    with engine.connect(host, port, kind) as s:
        s.sendall(request)
        return read_all(s)


HTTP = b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n"


# Names.

def test_not_listed_is_refused_and_stays_here(engine, outer):
    for kind in A, AAAA, net.MX, net.HTTPS:
        assert engine.ask("secret.example", kind) == (REFUSED, [])
    assert engine.ask("secret.example", tcp=True) == (REFUSED, [])
    assert engine.ask("sub.web.example") == (REFUSED, [])
    engine.denied(net.NOT_LISTED, "secret.example", 0)
    assert engine.ask("web.example")[0] == NOERROR
    assert outer.asked("web.example")
    assert not outer.asked("secret.example") and not outer.asked("sub.web.example")


def test_names_have_synthetic_addresses(engine):
    v4, v6 = engine.address("web.example"), engine.address("web.example", AAAA)
    assert v4.startswith("198.18.") and v6.startswith("fd00:aabb:ccdd:eeff:")
    assert engine.address("WEB.example") == v4
    assert engine.address("v4.example") != v4
    assert engine.ask("web.example", tcp=True) == (NOERROR, [v4])
    assert engine.ask(".".join(reversed(v4.split("."))) + ".in-addr.arpa", net.PTR) == (
        NOERROR, ["web.example"])
    assert engine.ask("14.215.184.93.in-addr.arpa", net.PTR) == (NXDOMAIN, [])
    assert engine.ask("web.example", net.MX) == (NOERROR, [])
    assert engine.ask("localhost") == (NOERROR, ["127.0.0.1"])


def test_any_address_is_the_dns_server(engine):
    for server in "8.8.8.8", "2001:4860:4860::8888":
        for tcp in False, True:
            code, addresses = net.in_namespace(engine.inner, lambda s=server, t=tcp: net.query(
                s, "web.example", A, tcp=t))
            assert code == NOERROR and addresses[0].startswith("198.18.")


def test_many_questions_on_one_connection(engine):
    """Sent as one piece, then a byte at a time; answered in order."""
    names = ["web.example", "secret.example", "absent.example", "v4.example"]
    text = b"".join(struct.pack("!H", len(q)) + q for q in (
        struct.pack("!6H", i, 0x0100, 1, 0, 0, 0) + net.question(n, A)
        for i, n in enumerate(names)))
    with engine.connect("198.18.0.1", 53) as s:
        stream = s.makefile("rb")
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pieces in [text], [bytes([b]) for b in text]:
            for piece in pieces:
                s.sendall(piece)
            for i, code in enumerate((NOERROR, REFUSED, NXDOMAIN, NOERROR)):
                answer = stream.read(struct.unpack("!H", stream.read(2))[0])
                ident, flags = struct.unpack("!2H", answer[:4])
                assert (ident, flags & 15) == (i, code)


def test_rubbish_to_the_dns_server(engine):
    """A connection that says it ends; a datagram gets no answer, and the next one does."""
    for text in b"\0\0", b"\xff\xff", b"\0\x04abcd":
        with engine.connect("198.18.0.1", 53) as s:
            s.sendall(text)
            with contextlib.suppress(ConnectionResetError):
                assert s.recv(1) == b""

    def datagrams():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for text in b"", b"x" * 11, b"x" * 5000, struct.pack("!6H", 1, 0x8000, 0, 0, 0, 0):
                s.sendto(text, ("198.18.0.1", 53))
    net.in_namespace(engine.inner, datagrams)
    assert engine.ask("web.example")[0] == NOERROR


def test_too_many_connections_for_names(engine):
    """More than are served are closed; the others, and UDP, go on."""
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(engine.connect("198.18.0.1", 53)) for _ in range(33)]
        assert conns[32].recv(1) == b""
        assert engine.ask("web.example")[0] == NOERROR
        conns[0].sendall(b"\0\x04abcd")
        with contextlib.suppress(ConnectionResetError):
            assert conns[0].recv(1) == b""
        net.wait_for("room again", lambda: engine.ask("web.example", tcp=True)[0] == NOERROR)


def test_absent_name(engine):
    assert engine.ask("absent.example") == (NXDOMAIN, [])


def test_dns_server_gone(start):
    engine = start([rule("web.example")], servers=(("127.0.0.1", 1),))
    assert engine.ask("web.example") == (net.SERVFAIL, [])


# Connections.

@pytest.mark.parametrize("kind", [A, AAAA], ids=["A", "AAAA"])
@pytest.mark.parametrize("name", ["web.example", "v4.example", "v6.example", "dead6.example",
                                  "drop6.example"])
def test_allowed_name(engine, name, kind):
    """Both synthetic addresses lead to whatever the name has."""
    answer = get(engine, name, 80, HTTP % name.encode(), kind)
    assert answer.endswith(b"served Host: " + name.encode())


def test_curl(engine, base):
    done = engine.run("curl", "-sS", "http://web.example/")
    assert done.stdout == b"served Host: web.example", done.stderr
    done = engine.run("curl", "-sS", "--cacert", base / "cert", "https://web.example/")
    assert done.stdout == b"served Host: web.example", done.stderr
    done = engine.run("curl", "-sS", "http://secret.example/")
    assert done.returncode == 6, done  # could not resolve


def test_literal_address_is_refused(engine):
    for address, why in ((net.WEB4, net.NOT_LISTED), (net.WEB6, net.NOT_LISTED),
                         ("10.9.8.7", net.SPECIAL), ("169.254.169.254", net.SPECIAL)):
        with pytest.raises(ConnectionResetError):
            get(engine, address, 80, HTTP % b"web.example")
        engine.denied(why, address, 80)


def test_address_rule(start):
    engine = start([rule(address=net.WEB4, port=80), rule(address="2606:2800::", prefix=32)],
                   deny=[rule(address=net.DEAD6)])
    assert b"served" in get(engine, net.WEB4, 80, HTTP % b"any.example")
    assert b"served" in get(engine, net.WEB6, 8080, HTTP % b"any.example")
    for address, port, why in ((net.WEB4, 8080, net.NOT_LISTED), (net.DEAD6, 80, net.BLOCKED)):
        with pytest.raises(ConnectionResetError):
            get(engine, address, port, HTTP % b"any.example")
        engine.denied(why, address, port)


def test_port_rule(start):
    engine = start([rule("web.example", 80)])
    assert b"served" in get(engine, "web.example", 80, HTTP % b"web.example")
    with pytest.raises(ConnectionResetError):
        get(engine, "web.example", 8080, HTTP % b"web.example:8080")
    engine.denied(net.NOT_LISTED, "web.example", 8080)


def test_name_of_a_private_address(engine, start):
    for name in "private.example", "home.example":
        with pytest.raises(ConnectionResetError):
            get(engine, name, 80, HTTP % name.encode())
        engine.denied(net.SPECIAL, name, 80)
    listed = start([rule("private.example"), rule(address="10.9.0.0", prefix=16)])
    assert b"served" in get(listed, "private.example", 80, HTTP % b"private.example")


def test_synthetic_address_of_nobody(engine):
    for address in "198.18.0.77", "198.19.0.1", "fd00:aabb:ccdd:eeff::4000":
        with pytest.raises(ConnectionResetError):
            get(engine, address, 80, b"x")
        engine.denied(net.NO_NAME, address, 80)


def test_nobody_listens(engine):
    with pytest.raises(ConnectionResetError):
        get(engine, "web.example", 81, b"x")
    engine.denied(net.UNREACHABLE, "web.example", 81)


def test_silence_beside_a_refusal(engine):
    """One address says no at once, the other nothing: no 30 s for that."""
    begun = time.monotonic()
    with pytest.raises(ConnectionResetError):
        get(engine, "drop6.example", 81, b"x")
    engine.denied(net.UNREACHABLE, "drop6.example", 81)
    assert time.monotonic() - begun < 20


def test_many_silent_addresses(engine):
    """The one that answers is behind more than are tried at a time."""
    begun = time.monotonic()
    assert b"served" in get(engine, "last.example", 80, HTTP % b"last.example")
    assert time.monotonic() - begun < 25


def test_without_redirection(start):
    """Where there is no nft: the listeners are on the policy's ports, every address is local."""
    engine = start([rule("web.example")], redirect=False, ports=(80,))
    assert b"served" in get(engine, "web.example", 80, HTTP % b"web.example")
    assert b"served" in get(engine, "web.example", 80, HTTP % b"web.example", AAAA)
    with pytest.raises(ConnectionRefusedError):
        engine.connect("web.example", 8080)


# The gate.

@pytest.mark.parametrize("request_text", [
    HTTP % b"other.example", HTTP % b"web.example:8080", HTTP % net.WEB4.encode(),
    b"GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n",
    b"CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\n\r\n"],
    ids=["name", "port", "address", "absolute", "connect"])
def test_other_host(engine, request_text):
    assert get(engine, "web.example", 80, request_text).startswith(b"HTTP/1.1 403 ")
    engine.denied(net.OTHER_NAME, "web.example", 80)


def test_bad_http(engine):
    answer = get(engine, "web.example", 80, b"GET / HTTP/1.1\r\nHost: web.example\r\nHost: b\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_host_in_pieces(engine):
    """A byte at a time is no way around."""
    with engine.connect("web.example", 80) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HTTP % b"other.example":
            s.send(bytes([byte]))
        assert read_all(s).startswith(b"HTTP/1.1 403 ")


def handshake(engine, base, sent_name):
    context = ssl.create_default_context(cafile=base / "cert")
    context.check_hostname = False
    with engine.connect("web.example", 443) as s:
        with context.wrap_socket(s, server_hostname=sent_name) as tls:
            tls.sendall(HTTP % b"inside")
            return read_all(tls)


def test_server_name(engine, base):
    assert b"served Host: inside" in handshake(engine, base, "web.example")
    assert b"served Host: inside" in handshake(engine, base, None)
    with pytest.raises(ssl.SSLError, match="(?i)access.denied"):
        handshake(engine, base, "other.example")
    engine.denied(net.OTHER_NAME, "web.example", 443)


def test_server_speaks_first(engine):
    with engine.connect("web.example", 25) as s:
        assert s.recv(100) == b"220 hello\r\n"
        s.sendall(b"EHLO me\r\n")
        assert s.recv(100) == b"got EHLO me\r\n"


def test_gate_stays_shut_after_the_server_spoke(engine):
    with engine.connect("web.example", 25) as s:
        assert s.recv(100) == b"220 hello\r\n"
        s.sendall(HTTP % b"other.example")
        assert read_all(s).startswith(b"HTTP/1.1 403 ")


def test_half_a_hello_and_the_end(engine):
    with engine.connect("web.example", 7) as s:
        s.sendall(b"\x16\x03\x01\x02\x00\x01")
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == bytes([21, 3, 3, 0, 2, 2, 49])
    with engine.connect("web.example", 7) as s:
        s.sendall(b"no line")
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b"no line"
    with engine.connect("web.example", 80) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: web.example\r\n")
        s.shutdown(socket.SHUT_WR)
        assert read_all(s).startswith(b"HTTP/1.1 400 ")


# Bytes.

def test_big_both_ways_with_half_close(engine):
    data = os.urandom(1 << 20)
    with engine.connect("web.example", 1000) as s:
        for _ in range(BIG >> 20):
            s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        answer = read_all(s)
    assert answer[:32] == hashlib.sha256(data * (BIG >> 20)).digest()
    assert len(answer) == 32 + BIG


def test_both_ways_at_once(engine):
    data = os.urandom(BIG)
    with engine.connect("web.example", 7) as s:
        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        assert read_all(s) == data
        sender.join()


def test_hundred_at_a_time(engine):
    def one(number):
        payload = b"%d " % number * 1000
        with engine.connect("web.example", 7, A if number % 2 else AAAA) as s:
            barrier.wait()
            s.sendall(payload)
            s.shutdown(socket.SHUT_WR)
            return read_all(s) == payload
    barrier = threading.Barrier(100, timeout=net.DEADLINE)
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        assert all(pool.map(one, range(100)))


def test_slow_reader_slows_the_writer(engine):
    with engine.connect("web.example", 1002) as s:
        s.setblocking(False)
        sent = 0
        while select.select([], [s], [], 1)[1]:
            sent += s.send(b"x" * 65536)
            assert sent < 64 << 20, "nothing holds it back"


def test_resets_are_passed_on(engine):
    with engine.connect("web.example", 1001) as s:
        s.sendall(b"\0reset")
        with pytest.raises(ConnectionResetError):
            s.recv(16)
    RESETS.clear()
    with engine.connect("web.example", 1001) as s:
        s.sendall(b"\0wait")
        assert s.recv(4) == b"here"
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    net.wait_for("the server sees the reset", lambda: RESETS == ["reset"])


def storm(engine, number):
    """Connections that end in every way and at every time."""
    pick = random.Random(number)
    for _ in range(60):
        host = pick.choice(["web.example", "dead6.example", "absent.example", "private.example",
                            net.WEB4, "198.18.0.99"])
        code, addresses = engine.ask(host) if host.endswith("example") else (NOERROR, [host])
        if code != NOERROR:
            continue
        with contextlib.suppress(OSError), engine.connect(addresses[0], pick.choice(
                [7, 25, 80, 81, 443, 1000, 1001])) as s:
            for _ in range(pick.randrange(4)):
                s.send(pick.choice([b"\0" * pick.randrange(1, 100000), b"GET / HT", HTTP % b"web.example",
                                    b"\x16\x03\x01\x02", os.urandom(50)]))
            if pick.random() < 0.3:
                s.shutdown(socket.SHUT_WR)
            if pick.random() < 0.3:
                s.settimeout(0.05)
                s.recv(pick.randrange(1, 5000))
            if pick.random() < 0.5:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_nothing_is_left_of_a_storm(engine):
    def descriptors():
        kinds = [os.readlink(f) for f in pathlib.Path(f"/proc/{engine.process.pid}/fd").iterdir()]
        return sum(k.startswith("socket:") for k in kinds), sum(k.startswith("pipe:") for k in kinds)
    assert engine.ask("absent.example") == (NXDOMAIN, [])  # it has its sockets
    sockets, _ = descriptors()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: storm(engine, n), range(8)))
    net.wait_for("its flows end", lambda: descriptors()[0] == sockets)
    assert descriptors()[1] <= 2 * 32  # PIPES_KEPT
    assert b"served" in get(engine, "web.example", 80, HTTP % b"web.example")


def test_no_more_than_max_connections(start):
    engine = start([rule("web.example")], max_connections=2)
    with engine.connect("web.example", 7) as a, engine.connect("web.example", 7) as b:
        for s in a, b:
            s.sendall(b"\0hello")
            assert s.recv(6) == b"\0hello"
        with pytest.raises(ConnectionResetError):
            get(engine, "web.example", 7, b"x")
        engine.denied(net.TOO_MANY, "", 0)

    def served():
        try:
            return b"served" in get(engine, "web.example", 80, HTTP % b"web.example")
        except ConnectionResetError:
            return False
    net.wait_for("room again", served)


def test_idle_flow_ends(start):
    engine = start([rule("web.example")], idle_s=1)
    with engine.connect("web.example", 7) as s:
        with pytest.raises(ConnectionResetError):
            s.recv(1)


# The process.

@pytest.mark.parametrize("uid", [0, UNPRIVILEGED], ids=["root", "user"])
def test_is_confined(start, uid):
    """Also that it works for both. What each layer refuses: tests/unit/net/test_confine.c."""
    engine = start([rule("web.example")], uid=uid)
    assert b"served" in get(engine, "web.example", 80, HTTP % b"web.example")
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{engine.process.pid}/status").read_text().splitlines())
    assert status["Uid"].split() == [str(uid or 65534)] * 4
    assert status["Groups"].split() == []
    assert {int(status[c], 16) for c in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    if os.geteuid() == 0:
        files = [os.readlink(f"/proc/{engine.process.pid}/fd/{fd}")
                 for fd in os.listdir(f"/proc/{engine.process.pid}/fd") if int(fd) > 2]
        assert all(x.startswith(("socket:", "pipe:", "anon_inode:", "/memfd:"))
                   for x in files), files


def test_killed(engine):
    """Fail closed: what was connected ends, what connects is refused."""
    address = engine.address("web.example")
    with engine.connect(address, 7) as s:
        s.sendall(b"\0hello")
        assert s.recv(6) == b"\0hello"
        engine.process.send_signal(signal.SIGKILL)
        engine.process.wait()
        try:
            assert s.recv(6) == b""
        except ConnectionResetError:
            pass
    with pytest.raises(ConnectionRefusedError):
        engine.connect(address, 7)


def test_bad_configuration(purple_prefix, outer, base):
    engine = net.Engine(purple_prefix / "libexec/purple/purple-net", outer,
                        b"\0" * 300, base)
    assert engine.first[0] == net.NET_FAILED
    assert engine.close() == 125


def test_not_by_hand(purple_prefix):
    done = subprocess.run([purple_prefix / "libexec/purple/purple-net"], check=False,
                          capture_output=True, timeout=60)
    assert done.returncode == 125 and b"purple run" in done.stderr
