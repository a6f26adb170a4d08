# SPDX-License-Identifier: Apache-2.0
"""
The proxy inside a sandbox: HTTP and SOCKS5 at proxy.purple.internal:3128, with the decisions of
any connection. First purple-net by itself, then programs in sandboxes of both users.
"""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import pytest

import netpair as net
from netpair import AAAA, NOERROR, rule
from running import ok
from netbox import Box

TOOLS = ("ip", "nft", "dnsmasq", "openssl", "curl", "git")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
    pytest.mark.skipif(any(not shutil.which(t, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
                           for t in TOOLS), reason=f"needs {', '.join(TOOLS)}"),
]

RECORDS = [f"{name}.example,{net.WEB4},{net.WEB6}" for name in ("web", "other", "secret")] + [
    f"dead.example,{net.DEAD6}", "private.example,10.9.8.7", "home.example,127.0.0.1"]
NAMES = ["web.example", "other.example", "dead.example", "private.example", "home.example",
         "absent.example"]
PROXY4, PROXY6, PORT = "198.18.0.1", "fd00:aabb:ccdd:eeff::1", 3128
PROXY = f"http://proxy.purple.internal:{PORT}"
NOT_ALLOWED = ("purple: {0} is not allowed by this sandbox's policy\n"
               'rule that would allow it: network.allow_outgoing: ["{0}"]\n')

REQUESTS = []  # all that came to port 80, as it came


def read_all(conn):
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := conn.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def read_head(conn):
    head = b""
    while b"\r\n\r\n" not in head and (part := conn.recv(65536)):
        head += part
    return head


def serve_http(conn):
    """Says what it was asked, once; what else comes within a moment is noted."""
    head, _, body = read_head(conn).partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(fields.get(b"content-length", 0)) or (
            b"transfer-encoding" in fields and not body.endswith(b"0\r\n\r\n")):
        body += conn.recv(65536)
    entry = [head + b"\r\n\r\n" + body]
    REQUESTS.append(entry)
    answer = b"served " + fields.get(b"host", b"nobody")
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                 % (len(answer), answer))
    conn.shutdown(socket.SHUT_WR)
    entry.append(read_all(conn))


def serve_echo(conn):
    while part := conn.recv(65536):
        conn.sendall(part)


def serve_banner(conn):
    conn.sendall(b"220 hello\r\n")
    serve_echo(conn)


@pytest.fixture(scope="module")
def base():
    with tempfile.TemporaryDirectory(prefix="purple-proxy-") as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


@pytest.fixture(scope="module")
def files(base):
    """A git repository as files of a web server."""
    def git(*words, **kw):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example", *words],
                       check=True, capture_output=True, timeout=60, **kw)
    git("init", "-q", base / "src")
    git("commit", "-q", "--allow-empty", "-m", "the one commit", cwd=base / "src")
    git("clone", "-q", "--bare", base / "src", base / "www/repo.git")
    git("update-server-info", cwd=base / "www/repo.git")
    return base / "www"


@pytest.fixture(scope="module")
def outer(base, files):
    """The host's side of these tests."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=web.example", "-addext", "subjectAltName=DNS:web.example",
                    "-keyout", base / "key", "-out", base / "cert"],
                   check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(base / "cert", base / "key")

    def serve_tls(conn):
        """Files, by HTTP/1.0."""
        with context.wrap_socket(conn, server_side=True) as tls:
            target = read_head(tls).split(b" ")[1].decode().partition("?")[0]
            path = files / target.strip("/")
            body = b"served by TLS" if target == "/" else (
                path.read_bytes() if path.is_file() else b"")
            tls.sendall(b"HTTP/1.0 %s\r\nContent-Length: %d\r\n\r\n%s" % (
                b"200 OK" if body else b"404 Not Found", len(body), body))
            tls.unwrap()
    side = net.Outer(base, RECORDS)
    for port, handler in ((80, serve_http), (8080, serve_http), (443, serve_tls),
                          (25, serve_banner), (7, serve_echo)):
        side.listen(port, handler)
    yield side
    side.close()


@pytest.fixture
def start(purple_prefix, outer, base):
    """Starts an Engine; all are ended as their supervisor would end them."""
    engines = []

    def make(allow, **kw):
        engine = net.Engine(purple_prefix / "libexec/purple/purple-net", outer,
                            net.block(allow, **kw), base)
        engines.append(engine)
        return engine
    yield make
    for engine in engines:
        assert engine.close() == 0


@pytest.fixture
def engine(start):
    """With the names of these tests allowed, and no other."""
    return start([rule(name) for name in NAMES])


def say(engine, *pieces, address=PROXY4):
    """All that the proxy answers."""
    with engine.connect(address, PORT) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            s.sendall(piece)
        return read_all(s)


def connect_http(engine, target, address=PROXY4):
    """The connection and the head of the answer."""
    s = engine.connect(address, PORT)
    s.sendall(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target.encode(), target.encode()))
    return s, read_head(s)


def refusal(answer, status, text):
    """A whole answer of the proxy, with this text, and its first line as the reason."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == f"HTTP/1.1 {status} {text.splitlines()[0]}"
    assert body.decode() == text
    assert "Content-Type: text/plain; charset=utf-8" in lines
    assert f"Content-Length: {len(body)}" in lines and "Connection: close" in lines


def socks(host, port, command=1):
    """A SOCKS5 request; @host is a name in bytes, or an address."""
    if isinstance(host, bytes):
        where = b"\3" + bytes([len(host)]) + host
    elif ":" in host:
        where = b"\4" + socket.inet_pton(socket.AF_INET6, host)
    else:
        where = b"\1" + socket.inet_aton(host)
    return b"\5" + bytes([command]) + b"\0" + where + struct.pack("!H", port)


HELLO = b"\5\1\0"
GRANTED = b"\5\0" + b"\5\0\0\1" + bytes(6)


def socks_code(engine, request):
    """The reply's code, after which nothing comes."""
    answer = say(engine, HELLO, request)
    assert len(answer) == 12 and answer[:3] == b"\5\0\5" and answer[4:] == b"\0\1" + bytes(6), answer
    return answer[3]


# Where it is.

def test_its_name(engine):
    assert engine.ask("proxy.purple.internal") == (NOERROR, [PROXY4])
    assert engine.ask("proxy.purple.internal", AAAA) == (NOERROR, [PROXY6])
    assert engine.ask("proxy.purple.internal", net.MX) == (NOERROR, [])


@pytest.mark.parametrize("address", [PROXY4, PROXY6, "::ffff:" + PROXY4])
def test_its_addresses(engine, address):
    s, head = connect_http(engine, "web.example:7", address)
    with s:
        assert head == b"HTTP/1.1 200 Connection established\r\n\r\n"
        s.sendall(b"\0echo")
        assert s.recv(100) == b"\0echo"


def test_no_other_port_and_address_is_a_proxy(engine):
    for address, port in ((PROXY4, 3129), ("198.18.0.2", PORT), (PROXY6[:-1] + "2", PORT)):
        with pytest.raises(ConnectionResetError), engine.connect(address, port) as s:
            s.sendall(b"CONNECT web.example:7 HTTP/1.1\r\nHost: web.example:7\r\n\r\n")
            s.recv(1)
        engine.denied(net.NO_NAME, address, port)


# CONNECT.

def test_pipelined_behind_connect(engine):
    """What comes with the request goes through, after the gate."""
    answer = say(engine, b"CONNECT web.example:80 HTTP/1.1\r\nHost: web.example\r\n\r\n"
                 b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nserved web.example")


def test_a_byte_at_a_time(engine):
    for text in (b"GET http://web.example/ HTTP/1.1\r\nHost: web.example\r\n\r\n",
                 b"CONNECT web.example:80 HTTP/1.1\r\nHost: web.example:80\r\n\r\n"
                 b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n",
                 HELLO + socks(b"web.example", 80) + b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n"):
        assert say(engine, *(bytes([b]) for b in text)).endswith(b"served web.example")


def test_server_speaks_first(engine):
    s, head = connect_http(engine, "web.example:25")
    with s:
        expect = b"HTTP/1.1 200 Connection established\r\n\r\n220 hello\r\n"
        while len(head) < len(expect) and (part := s.recv(100)):
            head += part
        assert head == expect
        s.sendall(b"EHLO me\r\n")
        assert s.recv(100) == b"EHLO me\r\n"


def test_what_is_not_listed(engine, outer):
    refusal(say(engine, b"CONNECT secret.example:443 HTTP/1.1\r\nHost: secret.example:443\r\n\r\n"),
            403, NOT_ALLOWED.format("secret.example:443"))
    engine.denied(net.NOT_LISTED, "secret.example", 443)
    refusal(say(engine, b"GET http://Secret.EXAMPLE/ HTTP/1.1\r\nHost: x\r\n\r\n"),
            403, NOT_ALLOWED.format("secret.example:80"))
    assert say(engine, b"HEAD http://secret.example/ HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n")
    for address in f"{net.WEB4}:7", f"[{net.WEB6}]:7":
        refusal(say(engine, b"CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n".replace(b"x", b"%s") % (
            address.encode(), address.encode())), 403, NOT_ALLOWED.format(address))
    assert socks_code(engine, socks(b"secret.example", 443)) == 2
    assert socks_code(engine, socks(net.WEB4, 443)) == 2
    assert socks_code(engine, socks(net.WEB6, 443)) == 2
    assert not outer.asked("secret.example")


def test_port_and_address_rules(start):
    engine = start([rule("web.example", 80), rule(address=net.WEB4, port=7)],
                   deny=[rule("other.example")])
    assert say(engine, b"GET http://web.example/ HTTP/1.0\r\n\r\n").endswith(b"served web.example")
    refusal(say(engine, b"GET http://web.example:8080/ HTTP/1.0\r\n\r\n"), 403,
            NOT_ALLOWED.format("web.example:8080"))
    s, head = connect_http(engine, f"{net.WEB4}:7")
    with s:
        assert b" 200 " in head
        s.sendall(b"GET / HTTP/1.1\r\nHost: any.example\r\n\r\n")  # no name to agree with
        assert s.recv(5) == b"GET /"
    answer = say(engine, b"CONNECT other.example:443 HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ") and b"network.blocked_ips" in answer
    assert socks_code(engine, socks(b"other.example", 443)) == 2


def test_special_addresses(start):
    """Also of a name that is allowed."""
    engine = start([rule("private.example"), rule("home.example")])
    for target in "10.9.8.7:80", "169.254.169.254:80", "[fe80::1]:80":
        answer = say(engine, b"CONNECT %s HTTP/1.0\r\n\r\n" % target.encode())
        refusal(answer, 403, f"purple: {target} is no public address, and this sandbox's policy "
                "does not list it\nrule that would allow it: network.allow_outgoing: "
                f'["{target}"]\n')
    for name in "private.example", "home.example":
        answer = say(engine, b"CONNECT %s:80 HTTP/1.0\r\n\r\n" % name.encode())
        assert answer.startswith(b"HTTP/1.1 403 ") and b'["ADDRESS:80"]' in answer, answer
        engine.denied(net.SPECIAL, name, 80)
        assert socks_code(engine, socks(name.encode(), 80)) == 2


LOOPBACK = ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "0.0.0.0", "[::1]", "[::]"]


def test_loopback(start, outer):
    """It would be the host's, and the rules seem to allow it."""
    reached = []
    outer.listen(4321, lambda conn: reached.append(conn.recv(1)))
    engine = start([rule(port=4321), rule(address="127.0.0.0", prefix=8), rule(address="0.0.0.0"),
                    rule(address="::1"), rule(address="::"), rule(address="::", prefix=0)])
    for host in LOOPBACK:
        refusal(say(engine, b"CONNECT %s:4321 HTTP/1.0\r\n\r\n" % host.encode()), 403,
                f"purple: {host}:4321 is this sandbox itself, which no proxy leads to\n"
                "connect without the proxy: NO_PROXY=localhost,127.0.0.1,::1\n")
        assert say(engine, b"GET http://%s:4321/ HTTP/1.0\r\n\r\n" % host.encode()).startswith(
            b"HTTP/1.1 403 ")
    for host in b"localhost", b"127.0.0.1", "127.0.0.1", "::1", "::", "::ffff:127.0.0.1", "0.0.0.0":
        assert socks_code(engine, socks(host, 4321)) == 2, host
    assert not reached


def test_itself(start):
    """No loops."""
    engine = start([rule(port=PORT), rule(address="198.18.0.0", prefix=15),
                    rule(address=PROXY6)])
    for target in PROXY4, f"[{PROXY6}]", "proxy.purple.internal":
        answer = say(engine, b"CONNECT %s:%d HTTP/1.0\r\n\r\n" % (target.encode(), PORT))
        refusal(answer, 403, f"purple: {target}:{PORT} is of this sandbox's own making, and "
                "stands for no host\n")
    for host in PROXY4, PROXY6, b"proxy.purple.internal", f"::ffff:{PROXY4}":
        assert socks_code(engine, socks(host, PORT)) == 2


def test_synthetic_address_is_its_name(engine):
    """As a client does that looks names up itself."""
    address = engine.address("web.example")
    assert say(engine, HELLO, socks(address, 80), b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n"
               ).startswith(GRANTED + b"HTTP/1.1 200 OK")
    answer = say(engine, HELLO, socks(address, 80), b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
    assert answer.startswith(GRANTED + b"HTTP/1.1 403 ")


def test_what_cannot_be_reached(engine):
    for target, code, why in (("absent.example:80", 4, "no address is known for that name"),
                              ("web.example:81", 5, "connection refused"),
                              ("dead.example:80", 3, "no way there")):
        answer = say(engine, b"CONNECT %s HTTP/1.0\r\n\r\n" % target.encode())
        refusal(answer, 502, f"purple: {target} cannot be reached: {why}\n"
                "this sandbox's policy allows it\n")
        host, port = target.split(":")
        assert socks_code(engine, socks(host.encode(), int(port))) == code


# The gate, behind CONNECT.

def client_hello(engine, base, opening, expect, sent_name):
    context = ssl.create_default_context(cafile=base / "cert")
    context.check_hostname = False
    with engine.connect(PROXY4, PORT) as s:
        s.sendall(opening)
        got = b""
        while len(got) < len(expect):
            got += s.recv(len(expect) - len(got))
        assert got == expect
        with context.wrap_socket(s, server_hostname=sent_name) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return read_all(tls)


@pytest.mark.parametrize("how", ["http", "socks"])
def test_server_name(engine, base, how):
    opening, expect = (b"CONNECT web.example:443 HTTP/1.0\r\n\r\n",
                       b"HTTP/1.1 200 Connection established\r\n\r\n")
    if how == "socks":
        opening, expect = HELLO + socks(b"web.example", 443), GRANTED
    assert b"served by TLS" in client_hello(engine, base, opening, expect, "web.example")
    with pytest.raises(ssl.SSLError, match="(?i)access.denied"):
        client_hello(engine, base, opening, expect, "other.example")
    engine.denied(net.OTHER_NAME, "web.example", 443)


def test_host_in_a_tunnel(engine):
    """Also with what is sent before the answer to CONNECT."""
    opening = b"CONNECT web.example:80 HTTP/1.0\r\n\r\n"
    for host, port in (b"other.example", ""), (b"web.example:8080", ":8080"):
        answer = say(engine, opening, b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host)
        established, _, answer = answer.partition(b"\r\n\r\n")
        assert b" 200 " in established
        name = host.decode().partition(":")[0]
        refusal(answer, 403, f"purple: this connection is for web.example:80, and the request for "
                f"{name}{port}\nthat takes a connection of its own, and the rule "
                f'network.allow_outgoing: ["{name}{port or ":80"}"]\n')
    answer = say(engine, opening, b"GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n")
    assert b"HTTP/1.1 403 " in answer
    engine.denied(net.OTHER_NAME, "web.example", 80)


# Requests with a URL.

def seen(engine, *pieces):
    """The one request that came to the server, and what came behind it."""
    REQUESTS.clear()
    assert say(engine, *pieces).endswith(b"served web.example")
    net.wait_for("the server's end", lambda: REQUESTS and len(REQUESTS[0]) == 2)
    assert len(REQUESTS) == 1
    return REQUESTS[0]


def test_request_in_origin_form(engine):
    request, _ = seen(engine, b"GET http://WEB.example:80?q=1 HTTP/1.1\r\nHost: other.example\r\n"
                      b"Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\n"
                      b"Connection: keep-alive, X-Hop ,Content-Length\r\nX-Hop: 1\r\nX-Hops: 2\r\n"
                      b"Keep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nAccept: */*\r\n\r\n")
    assert request == (b"GET /?q=1 HTTP/1.1\r\nHost: web.example\r\nX-Hops: 2\r\nAccept: */*\r\n"
                       b"Connection: close\r\n\r\n")
    request, _ = seen(engine, b"OPTIONS http://web.example HTTP/1.0\r\n\r\n")
    assert request == b"OPTIONS * HTTP/1.0\r\nHost: web.example\r\nConnection: close\r\n\r\n"


def test_bodies(engine):
    body = os.urandom(300000)
    request, _ = seen(engine, b"POST http://web.example/p HTTP/1.1\r\nHost: web.example\r\n"
                      b"Connection: content-length\r\nContent-Length: %d\r\n\r\n" % len(body), body)
    assert request.endswith(b"Content-Length: 300000\r\nConnection: close\r\n\r\n" + body)
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    request, _ = seen(engine, b"POST http://web.example/p HTTP/1.1\r\nHost: web.example\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n", chunks)
    assert request.endswith(b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks)


def test_head_keeps_to_the_bandwidth(start):
    """It is more than what may go at once: it goes in pieces, and comes whole."""
    engine = start([rule("web.example")], bytes_per_second=8000)
    began = time.monotonic()
    request, _ = seen(engine, b"GET http://web.example/" + b"x" * 16000 + b" HTTP/1.0\r\n\r\n")
    assert time.monotonic() - began > 1  # 14,000 bytes of it wait for their time
    assert request == (b"GET /" + b"x" * 16000 + b" HTTP/1.0\r\nHost: web.example\r\n"
                       b"Connection: close\r\n\r\n")


@pytest.mark.parametrize("method, body", [(b"GET", b""), (b"POST", b"body")])
def test_second_request_goes_nowhere(engine, method, body):
    second = b"GET http://secret.example/ HTTP/1.1\r\nHost: secret.example\r\n\r\n"
    request, behind = seen(engine, b"%s http://web.example/ HTTP/1.1\r\nHost: web.example\r\n"
                     b"Content-Length: %d\r\n\r\n" % (method, len(body)) + body + second)
    assert request.partition(b"\r\n\r\n")[2] == body and behind == b""


def test_second_request_behind_chunks_goes_nowhere(engine):
    second = b"GET http://secret.example/ HTTP/1.1\r\nHost: secret.example\r\n\r\n"
    _, behind = seen(engine, b"POST http://web.example/ HTTP/1.1\r\nHost: web.example\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n" + second)
    assert behind == b""


@pytest.mark.parametrize("text, status, why", [
    (b"POST http://web.example/ HTTP/1.1\r\nHost: web.example\r\nContent-Length: 3\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n", 400, "both Content-Length and Transfer-Encoding"),
    (b"GET http://web.example/ HTTP/1.1\r\nHost: web.example\r\nHost: web.example\r\n\r\n", 400,
     "more than one Host"),
    (b"GET http://user@web.example/ HTTP/1.1\r\nHost: web.example\r\n\r\n", 400, "not one"),
    (b"GET https://web.example/ HTTP/1.1\r\nHost: web.example\r\n\r\n", 400, "http URL"),
    (b"CONNECT web.example HTTP/1.1\r\nHost: web.example\r\n\r\n", 400, "a host and a port"),
    (b"CONNECT web.example:443 HTTP/1.1\r\nHost: other.example:443\r\n\r\n", 400, "Host other than"),
    (b"CONNECT 0x7f.1:443 HTTP/1.0\r\n\r\n", 400, "a host and a port"),
    (b"CONNECT 2130706433:443 HTTP/1.0\r\n\r\n", 400, "a host and a port"),
    (b"CONNECT [::ffff:127.0.0.1]:443 HTTP/1.0\r\n\r\n", 400, "a host and a port"),
    (b"CONNECT web.example\0.other:443 HTTP/1.0\r\n\r\n", 400, "this is a proxy"),
    (b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n", 400, "this is a proxy"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "this is a proxy"),
    (b"\x16\x03\x01\x02\x00\x01\n", 400, "this is a proxy"),
    (b"GET http://web.example/ HTTP/3.0\r\n\r\n", 505, "HTTP/1.0 or HTTP/1.1"),
    (b"GET http://web.example/" + b"x" * (1 << 20) + b" HTTP/1.1\r\n\r\n", 431, "16 KiB"),
    (b"GET http://web.example/ HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431, "too many"),
], ids=["both-lengths", "two-hosts", "user", "https", "no-port", "other-host", "hex", "number",
        "mapped", "nul", "origin", "http2", "tls", "version", "1MB", "fields"])
def test_bad_requests(engine, text, status, why):
    """Told in words, to a client that has sent all of it too."""
    answer = say(engine, text).decode()
    assert answer.startswith(f"HTTP/1.1 {status} purple: ") and why in answer
    assert not any(ord(c) < 32 and c not in "\r\n" for c in answer)


# SOCKS.

def test_socks(engine):
    assert say(engine, HELLO, socks(b"WEB.example", 80), b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n"
               ).endswith(b"served web.example")
    assert socks_code(engine, socks(b"web.example", 80, command=2)) == 7
    assert socks_code(engine, socks(b"web.example", 80, command=3)) == 7
    assert socks_code(engine, socks(b"web.example\0.other", 80)) == 2
    assert socks_code(engine, socks(b"web\0", 80)) == 2
    assert socks_code(engine, socks(b"", 80)) == 2
    assert socks_code(engine, socks(b"web.example", 0)) == 1
    assert socks_code(engine, b"\5\1\0\2web") == 8
    assert say(engine, b"\5\1\2") == b"\5\xff"  # it insists on a password
    assert say(engine, b"\4\1\0\x50" + socket.inet_aton(net.WEB4) + b"\0") == b"\0\x5b" + bytes(6)
    assert say(engine, b"\5\0") == b""


# Limits.

def test_half_a_request_and_the_end(engine):
    for text in (b"CONNECT web.example:80 HTTP/1.1\r\n", b"\5", HELLO + b"\5\1\0\3", b""):
        with engine.connect(PROXY4, PORT) as s:
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            answer = read_all(s)
        assert answer.startswith(b"HTTP/1.1 400 ") if text[:1] == b"C" else answer in (b"", b"\5\0")


def test_half_open_clients_are_bounded(start):
    """They count as connections, and their time is limited."""
    engine = start([rule("web.example")], max_connections=4)
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(engine.connect(PROXY4, PORT)) for _ in range(4)]
        for s, text in zip(conns, (b"", b"\5", HELLO, b"GET http://web.example/ HTTP/1.1\r\nHo")):
            s.sendall(text)
        with pytest.raises(ConnectionResetError), engine.connect(PROXY4, PORT) as s:
            s.recv(1)
        engine.denied(net.TOO_MANY, "", 0)
        answers = [read_all(s) for s in conns]
    assert answers[:3] == [b"", b"", b"\5\0"] and answers[3].startswith(b"HTTP/1.1 408 ")
    assert say(engine, b"GET http://web.example/ HTTP/1.0\r\n\r\n").endswith(b"served web.example")


def test_client_goes_while_its_server_is_silent(start, outer):
    """The server sees the end: nothing waits for it until the connection is idle for long."""
    ended = threading.Event()

    def silent(conn):
        read_head(conn)
        assert conn.recv(1) == b""
        ended.set()
    outer.listen(4322, silent)
    engine = start([rule("web.example")])
    with engine.connect(PROXY4, PORT) as s:
        s.sendall(b"GET http://web.example:4322/ HTTP/1.0\r\n\r\nmore")
    assert ended.wait(net.DEADLINE)


def test_refused_upload_hears_why(engine):
    """A client that sends megabytes to where it may not, and reads then."""
    answer = say(engine, b"PUT http://secret.example/ HTTP/1.1\r\nHost: secret.example\r\n"
                 b"Content-Length: %d\r\n\r\n" % (4 << 20), b"x" * (4 << 20))
    refusal(answer, 403, NOT_ALLOWED.format("secret.example:80"))


def test_refused_client_that_stays_is_ended(start):
    """It has its answer, and keeps the connection: the place is needed for others."""
    engine = start([rule("web.example")], max_connections=1)
    s, head = connect_http(engine, "secret.example:443")
    with s:
        assert head.startswith(b"HTTP/1.1 403 ")
        read_all(s)

        def served():
            try:
                answer = say(engine, b"GET http://web.example/ HTTP/1.0\r\n\r\n")
            except ConnectionError:
                return False
            return answer.endswith(b"served web.example")
        net.wait_for("room", served)


def test_gate_without_the_proxy_says_the_same(engine):
    with engine.connect("web.example", 80) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
        refusal(read_all(s), 403, "purple: this connection is for web.example:80, and the request "
                "for other.example\nthat takes a connection of its own, and the rule "
                'network.allow_outgoing: ["other.example:80"]\n')


# Programs in sandboxes.

class Side:
    """What Box asks of a host."""

    def __init__(self, outer):
        self.ns = outer.ns

    def inside(self):
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.ns}"]


class ProxyBox(Box):
    """Its dns_servers is that of Outer; a shell script instead of a Python one."""

    def policy(self, allow=(), block=(), extra=""):
        return str(self.runner.write("net.yaml", json.dumps({"network": {
            "isolated": False, "dns_servers": [f"127.0.0.1:{net.DNS_PORT}"],
            "allow_outgoing": list(allow), "blocked_ips": list(block)}}) + extra))

    def shell(self, script, *allow):
        return self.purple("run", "-p", self.policy(allow), "--", "sh", "-c", script)


@pytest.fixture
def box(outer, base, as_user):
    as_user.write("cert", (base / "cert").read_text())
    return ProxyBox(Side(outer), as_user)


@pytest.mark.parametrize("option", ["-x " + PROXY, "--socks5-hostname proxy.purple.internal:3128",
                                    "--socks5 proxy.purple.internal:3128", f"-x http://{PROXY4}:3128"])
def test_curl(box, option):
    curl = f"curl -sS --max-time 30 {option}"
    done = box.shell(f"{curl} http://web.example/; echo; {curl} --cacert cert https://web.example/",
                     "web.example")
    assert ok(done) == "served web.example\nserved by TLS"


def test_curl_with_a_literal_address(box):
    curl = "curl -sS --max-time 30 --socks5 proxy.purple.internal:3128"
    done = box.shell(f"{curl} http://{net.WEB4}/; {curl} http://{net.WEB4}:8080/ || echo no $?",
                     f"{net.WEB4}:80")
    assert ok(done) == f"served {net.WEB4}no 97\n"


def test_curl_is_told(box):
    """The body of a URL, the reason of CONNECT."""
    curl = f"curl -sS --max-time 30 -x {PROXY}"
    done = box.shell(f"{curl} http://secret.example/; {curl} -v https://secret.example/ 2>&1",
                     "web.example")
    assert done.stdout.startswith(NOT_ALLOWED.format("secret.example:80")), done
    assert "403 purple: secret.example:443 is not allowed by this sandbox's policy" in done.stdout


URLLIB = """
import os, urllib.request, ssl
context = ssl.create_default_context(cafile="cert")
for url in "https://web.example/", "http://web.example/", "https://secret.example/":
    try:
        print(urllib.request.urlopen(url, timeout=30, context=context).read().decode())
    except OSError as e:
        print(e)
"""


def test_urllib(box):
    box.runner.write("get.py", URLLIB)
    done = box.shell(f"HTTPS_PROXY={PROXY} HTTP_PROXY={PROXY} http_proxy={PROXY} python3 get.py",
                     "web.example")
    lines = ok(done).splitlines()
    assert lines[:2] == ["served by TLS", "served web.example"]
    assert "403 purple: secret.example:443 is not allowed" in lines[2]


def test_git(box):
    git = f"git -c http.sslCAInfo=$PWD/cert -c http.proxy={PROXY} clone -q"
    done = box.shell(f"{git} https://web.example/repo.git got && git -C got log --format=%s; "
                     f"{git} https://secret.example/repo.git no || echo refused", "web.example")
    assert done.stdout == "the one commit\nrefused\n", done.stderr
    assert "403" in done.stderr, done
