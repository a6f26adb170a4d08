# SPDX-License-Identifier: Apache-2.0
"""Plain HTTP/1 to a name: every request of a connection is for that name, and its body goes by."""
import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import tempfile
import threading

import pytest

import netpair as net
from netpair import rule

TOOLS = ("ip", "nft", "dnsmasq", "curl")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
    pytest.mark.skipif(any(not shutil.which(t, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
                           for t in TOOLS), reason=f"needs {', '.join(TOOLS)}"),
]

OK, BAD, OTHER = b"HTTP/1.1 200 ", b"HTTP/1.1 400 ", b"HTTP/1.1 403 "
# 80: serves all. 81: switches protocols. 83: answers its first request late. 84: talks first, in
# the words of a server that switches. 85: an answer of more than fits in between.
SEEN = []


class Front:
    """A shared front: it serves whatever Host it is told, and notes it."""

    def __init__(self, conn):
        self.conn, self.data = conn, b""

    def until(self, mark):
        while mark not in self.data:
            part = self.conn.recv(65536)
            if not part:
                raise ConnectionError
            self.data += part
        head, _, self.data = self.data.partition(mark)
        return head

    def take(self, count):
        digest, left = hashlib.sha256(), count
        while left:
            if not self.data:
                self.data = self.conn.recv(1 << 18)
                if not self.data:
                    raise ConnectionError
            part, self.data = self.data[:left], self.data[left:]
            digest.update(part)
            left -= len(part)
        return digest

    def chunks(self):
        digest = hashlib.sha256()
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            while size:
                if not self.data:
                    self.data = self.conn.recv(1 << 18)
                part, self.data = self.data[:size], self.data[size:]
                digest.update(part)
                size -= len(part)
            assert self.until(b"\r\n") == b""
        while self.until(b"\r\n"):
            pass
        return digest

    def request(self):
        """(host, the body's hash) of one."""
        head = self.until(b"\r\n\r\n").lstrip(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if b"host" not in fields:
            raise ConnectionError
        host = fields[b"host"].decode()
        SEEN.append(host)
        if b"transfer-encoding" in fields:
            return host, self.chunks()
        return host, self.take(int(fields.get(b"content-length", 0)))

    def answer(self, text, status=b"200 OK"):
        self.conn.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))


def serve(conn):
    front = Front(conn)
    while True:
        host, digest = front.request()
        front.answer(f"{host} {digest.hexdigest()}".encode())


def serve_switch(conn):
    """What comes after the 101 is sent back."""
    front = Front(conn)
    front.request()
    conn.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 101 Switching\r\n\r\nhello")
    if front.data:
        conn.sendall(front.data)
    while part := conn.recv(65536):
        conn.sendall(part)


def serve_first(conn):
    """The head of an answer before anybody asks; its body is what a server says that switches."""
    body = b"HTTP/1.1 101 Switching\r\n\r\n"
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
    front = Front(conn)
    front.request()
    conn.sendall(body)
    serve(conn)


@pytest.fixture(scope="module")
def outer():
    with tempfile.TemporaryDirectory(prefix="purple-net-") as directory:
        os.chmod(directory, 0o755)
        base = pathlib.Path(directory)
        side = net.Outer(base, [f"web.example,{net.WEB4}", f"other.example,{net.WEB4}"])
        side.base = base
        late = side.late = threading.Event()

        def serve_late(conn):
            front = Front(conn)
            front.request()
            late.wait(net.DEADLINE)
            front.answer(b"no")
            serve(conn)


        def serve_much(conn):
            Front(conn).request()
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while True:
                conn.sendall(b"x" * 65536)
        for port, handler in ((80, serve), (81, serve_switch), (83, serve_late),
                              (84, serve_first), (85, serve_much)):
            side.listen(port, handler)
        yield side
        side.close()


@pytest.fixture
def start(purple_prefix, outer):
    engines = []

    def make(**kw):
        SEEN.clear()
        outer.late.clear()
        engines.append(net.Engine(purple_prefix / "libexec/purple/purple-net", outer,
                                  net.block([rule("web.example")], **kw), outer.base))
        return engines[-1]
    yield make
    for engine in engines:
        assert engine.close() == 0


@pytest.fixture
def engine(start):
    return start()


def get(host="web.example", extra=b"", method=b"GET"):
    return b"%s / HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (method, host.encode(), extra)


def post(body, host="web.example", extra=b""):
    return get(host, b"Content-Length: %d\r\n%s" % (len(body), extra), b"POST") + body


def chunked(*parts, host="web.example", trailer=b""):
    return get(host, b"Transfer-Encoding: chunked\r\n", b"POST") + b"".join(
        b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n" + trailer + b"\r\n"


class Client(Front):
    """From inside."""

    def __init__(self, engine, port=80):
        super().__init__(engine.connect("web.example", port))
        self.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.conn.close()

    def send(self, data):
        self.conn.sendall(data)

    def response(self):
        """(status line, body) of one answer."""
        head = self.until(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                      if line.lower().startswith(b"content-length:"))
        while len(self.data) < length:
            part = self.conn.recv(65536)
            assert part
            self.data += part
        body, self.data = self.data[:length], self.data[length:]
        return head.split(b"\r\n")[0], body

    def rest(self):
        """Until it ends, however."""
        with contextlib.suppress(ConnectionResetError):
            while part := self.conn.recv(65536):
                self.data += part
        return self.data


def served(client, body=b""):
    line, text = client.response()
    assert line.startswith(OK), line
    assert text == f"web.example {hashlib.sha256(body).hexdigest()}".encode()


def is_refused(engine, client, status=OTHER):
    answer = client.rest()
    assert answer.startswith(status) and answer.count(b"HTTP/1.1") == 1, answer
    engine.denied(net.OTHER_NAME, "web.example", client.conn.getpeername()[1])
    assert set(SEEN) <= {"web.example"}


BODIES = {"none": (get(), b""), "length": (post(b"GET / HTTP/1.1\r\n"), b"GET / HTTP/1.1\r\n"),
          "empty": (post(b""), b""),
          "chunks": (chunked(b"a" * 70000, b"\r\n0\r\n\r\n", b"b"),
                     b"a" * 70000 + b"\r\n0\r\n\r\nb"),
          "trailer": (chunked(b"x", trailer=b"X-Sum: 1\r\n"), b"x"),
          "blank line before": (b"\r\n" + get(), b"")}


@pytest.mark.parametrize("kind", BODIES)
def test_requests_one_after_the_other(engine, kind):
    """… to the allowed name are served, whatever their bodies; the first to another ends it."""
    request, body = BODIES[kind]
    with Client(engine) as c:
        c.send(get())
        served(c)
        for _ in range(3):
            c.send(request)
            served(c, body)
        c.send(get("other.example"))
        is_refused(engine, c)


@pytest.mark.parametrize("kind", BODIES)
def test_a_second_request_in_the_same_segment(engine, kind):
    """… ends the flow, perhaps before those in front of it are answered."""
    request, _ = BODIES[kind]
    with Client(engine) as c:
        c.send(get() + request + request + get("other.example"))
        c.rest()
        engine.denied(net.OTHER_NAME, "web.example", 80)
    assert set(SEEN) <= {"web.example"}


def test_a_byte_at_a_time(engine):
    with Client(engine) as c:
        for byte in get() + chunked(b"abc", trailer=b"A: b\r\n") + post(b"x"):
            c.send(bytes([byte]))
        for body in b"", b"abc", b"x":
            served(c, body)
        for byte in get("other.example"):
            c.send(bytes([byte]))
        is_refused(engine, c)


HEAD = get()[:-2]


@pytest.mark.parametrize("text, status", [
    (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
    (HEAD + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello", BAD),
    (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n", b"HTTP/1.1 501 "),
    (HEAD + b"Transfer-Encoding : chunked\r\n\r\n", BAD),
    (HEAD + b"X: a\n\r\n\r\n", BAD),
    (HEAD + b"Host: other.example\r\n\r\n", BAD),
    (b" " + get(), BAD), (b"\0\1\2\3", None), (b"hello\r\n", BAD),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD), (b"GET /\r\n", BAD),
    (b"GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n", OTHER),
    (b"GET http://other.example/ HTTP/1.1\r\nHost: web.example\r\n\r\n", BAD),
    (get("web.example:8080"), OTHER), (get(net.WEB4), OTHER),
    (get(extra=b"X: " + b"a" * 17000 + b"\r\n"), b"HTTP/1.1 431 "),
], ids=range(16))
def test_what_could_be_read_in_two_ways(engine, text, status):
    """… as a later request: refused, and the server has not seen it."""
    with Client(engine) as c:
        c.send(get())
        served(c)
        c.send(text)
        if status:
            is_refused(engine, c, status)
        else:
            c.rest()
            engine.denied(net.OTHER_NAME, "web.example", 80)
    assert SEEN == ["web.example"]


@pytest.mark.parametrize("body", [
    b"5\nhello\n0\n\n", b"1\r\nxx\r\n0\r\n\r\n", b"0x1\r\nx\r\n0\r\n\r\n", b"-1\r\n", b"1 \r\nx\r\n",
    b"1;\n\r\nx\r\n0\r\n\r\n", b"0\r\nHost: other.example\r\n\r\n", b"fffffffffffffffff\r\n",
], ids=range(8))
def test_chunks_that_are_none(engine, body):
    with Client(engine) as c:
        c.send(get(extra=b"Transfer-Encoding: chunked\r\n", method=b"POST") + body +
               get("other.example"))
        is_refused(engine, c, BAD)


def test_an_answer_on_its_way_stays_whole(start):
    """The refusal is not put into its midst: here bandwidth is what holds it up."""
    engine = start(bytes_per_second=65536)
    with Client(engine, 85) as c:
        c.send(get())
        c.until(b"\r\n\r\n" + b"x" * 4096)
        c.send(get("other.example"))
        engine.denied(net.OTHER_NAME, "web.example", 85)
        assert not c.rest().strip(b"x")


UPGRADE = get(extra=b"Connection: Upgrade\r\nUpgrade: websocket\r\n")


def test_another_protocol_after_its_answer(engine):
    """… goes unread: here, even what looks like a request to somebody else."""
    text = b"\x81\x05hello" + get("other.example")
    for request in UPGRADE, UPGRADE[:-2] + b"Content-Length: 3\r\n\r\nabc", get(
            extra=b"Upgrade: x\r\nTransfer-Encoding: chunked\r\n") + b"1\r\nx\r\n0\r\n\r\n":
        with Client(engine, 81) as c:
            c.send(request)
            assert c.until(b"\r\n\r\n").startswith(b"HTTP/1.1 103 ")
            assert c.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
            c.send(text)
            c.until(text)


def test_another_protocol_before_its_answer(engine, outer):
    """Nothing of it goes on until the server has spoken; then it is read as HTTP/1."""
    with Client(engine, 83) as c:
        c.send(UPGRADE + get("other.example"))
        net.wait_for("the request", lambda: SEEN)
        outer.late.set()
        c.rest()
        engine.denied(net.OTHER_NAME, "web.example", 83)
    assert SEEN == ["web.example"]


def test_a_server_that_does_not_switch(engine):
    """Each request asks for it, as Java's client does."""
    with Client(engine) as c:
        for _ in range(3):
            c.send(UPGRADE)
            served(c)
        c.send(get("other.example"))
        is_refused(engine, c)


def test_an_answer_before_the_question(engine):
    """What the server says is known to be an answer only if all of it is."""
    with Client(engine, 84) as c:
        c.until(b"\r\n\r\n")
        c.send(UPGRADE)
        c.until(b"HTTP/1.1 101 Switching\r\n\r\n")
        c.send(get("other.example"))
        is_refused(engine, c)


def test_connect(engine):
    """… to this very name: after 2xx what follows is not HTTP, after all else it is."""
    request = b"CONNECT web.example:%d HTTP/1.1\r\nHost: web.example:%d\r\n\r\n"
    with Client(engine, 80) as c:
        c.send(request % (80, 80))
        assert c.response()[0].startswith(OK)
        c.send(b"\0\1\2\r\n\r\n")
        c.rest()
    with Client(engine, 81) as c:
        c.send(request % (81, 81))
        c.until(b"hello")
        c.send(get("other.example"))
        c.rest()
        engine.denied(net.OTHER_NAME, "web.example", 81)


def test_half_a_request_and_the_end(engine):
    """Answers to what came before arrive; the half is nobody's."""
    for half in b"GE", HEAD, b"\r":
        with Client(engine) as c:
            c.send(get())
            served(c)
            c.send(half)
            c.conn.shutdown(socket.SHUT_WR)
            assert c.rest() == b""
    assert set(SEEN) == {"web.example"}


def test_large_bodies(engine, outer):
    """By length, and in chunks of every size; then the connection goes on."""
    data = os.urandom(1 << 20)
    with Client(engine) as c:
        c.send(get(extra=b"Content-Length: %d\r\n" % (32 << 20), method=b"POST"))
        for _ in range(32):
            c.send(data)
        served(c, data * 32)
        c.send(chunked(*[data] * 16, *[data[:n] for n in (1, 2, 4095, 4096, 4097, 16384)],
                       *[bytes([n]) for n in range(200)]))
        served(c, data * 16 + b"".join(data[:n] for n in (1, 2, 4095, 4096, 4097, 16384)) +
               bytes(range(200)))
        c.send(get())
        served(c)
    path = outer.base / "data"
    path.write_bytes(data)
    for extra in (), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue"):
        done = engine.run("curl", "-sS", "-m", "50", "-T", path, *extra, "http://web.example/",
                          "--next", "-sS", "-m", "50", "-T", path, "http://web.example/")
        assert done.stdout.decode().count(hashlib.sha256(data).hexdigest()) == 2, done
