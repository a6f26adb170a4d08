# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces of a test's own, a DNS server, and purple-net between them.

`Outer` is a small Internet: public addresses on its loopback, dnsmasq, servers as threads.
`Engine` is a purple-net whose host is Outer, with an inner namespace as a sandbox has it: every
address is local, nft redirects TCP, the sockets are handed over as PID 1 does. Needs root."""
import array
import contextlib
import ctypes
import os
import signal
import socket
import struct
import subprocess
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18

WEB4, WEB6 = "93.184.215.14", "2606:2800:21f::14"
DEAD6, DROP6 = "2606:2800:21f::dead", "2606:2800:21f::d"  # nobody's; dropped without a word
DROPS6 = [f"2606:2800:21f::d:{i}" for i in range(1, 5)]  # dropped too, of an Outer that has them
DNS_PORT = 5353
PREFIX = bytes.fromhex("fd00aabbccddeeff")

NET_CONFIG, NET_SOCKETS, NET_READY, NET_FAILED, NET_DENIED = range(1, 6)
TCP, DNS_TCP, DNS_UDP, UDP, ICMP = range(1, 6)
NOT_LISTED, BLOCKED, SPECIAL, OTHER_NAME, NO_NAME, UNREACHABLE, TOO_MANY, TOO_MANY_NAMES = range(
    1, 9)
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
A, PTR, MX, AAAA, SRV, SVCB, HTTPS = 1, 12, 15, 28, 33, 64, 65

DEADLINE = 30


def call(name, *args):
    if getattr(LIBC, name)(*args) != 0:
        raise OSError(ctypes.get_errno(), name)


def in_namespace(ns, fn, *args):
    """@fn(@args) by a thread that is in the network namespace @ns; sockets it makes stay there."""
    out = []

    def body():
        try:
            call("setns", ns, CLONE_NEWNET)
            out.append((True, fn(*args)))
        except BaseException as e:  # pylint: disable=broad-except
            out.append((False, e))
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    ok, value = out[0]
    if not ok:
        raise value
    return value


def new_namespace():
    """A descriptor that keeps a new network namespace."""
    out = []

    def body():
        call("unshare", CLONE_NEWNET)
        out.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return out[0]


def enter(ns, resolv_conf=None):
    """A preexec_fn: in @ns, with @resolv_conf as /etc/resolv.conf."""
    def body():
        call("setns", ns, CLONE_NEWNET)
        if resolv_conf:
            call("unshare", CLONE_NEWNS)
            call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
            call("mount", str(resolv_conf).encode(), b"/etc/resolv.conf", None, MS_BIND, None)
    return body


def sh(ns, *argv, **kw):
    return subprocess.run(argv, check=True, preexec_fn=enter(ns), timeout=DEADLINE, **kw)


def wait_for(what, condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)


class Outer:
    """The host's side, and all that it can reach."""

    def __init__(self, base, records, addresses=(), options=()):
        self.ns = new_namespace()
        self.log = base / "dnsmasq.log"
        self.sockets = []
        sh(self.ns, "ip", "-batch", "-", input="\n".join(
            ["link set lo up"] + [f"addr add {a} dev lo" for a in
                                  (f"{WEB4}/32", f"{WEB6}/128", "10.9.8.7/32", f"{DROP6}/128",
                                   *addresses)]
        ).encode())
        sh(self.ns, "nft", f"add table ip6 t; add chain ip6 t i "
           f"{{ type filter hook input priority 0; }}; add rule ip6 t i ip6 daddr "
           f"{{ {', '.join([DROP6] + DROPS6)} }} drop")
        self.dnsmasq = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root",
             "--conf-file=/dev/null", "--pid-file=", "--listen-address=127.0.0.1",
             "--bind-interfaces", f"--port={DNS_PORT}", "--local=/example/", "--log-queries",
             f"--log-facility={self.log}"] + [f"--host-record={r}" for r in records] +
            list(options),
            preexec_fn=enter(self.ns), stderr=subprocess.DEVNULL)
        wait_for("dnsmasq", lambda: in_namespace(self.ns, self._dns_is_up))

    @staticmethod
    def _dns_is_up():
        with contextlib.suppress(OSError):
            query("127.0.0.1", "web.example", A, port=DNS_PORT, timeout=1)
            return True
        return False

    def listen(self, port, handler, address="::", v6=True):
        """Call @handler(socket) in a thread for each connection to @port."""
        def make():
            s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, port))
            s.listen(256)
            return s
        server = in_namespace(self.ns, make)
        self.sockets.append(server)

        def serve(conn):
            with conn, contextlib.suppress(OSError):
                handler(conn)

        def accept():
            while True:
                try:
                    conn, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(conn,), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()

    def asked(self, name):
        """Has this name reached dnsmasq?"""
        return f"] {name} from" in self.log.read_text()

    def close(self):
        self.dnsmasq.kill()
        self.dnsmasq.wait()
        for s in self.sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
        os.close(self.ns)


def rule(host=None, port=0, address=None, prefix=None, wildcard=False, udp=False):
    """struct net_rule."""
    kind, name, addr, bits = 0, b"", b"", 0
    if host:
        kind, name = (2 if wildcard else 1), host.encode()
    elif address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        addr = socket.inet_pton(family, address)
        kind, bits = (4 if ":" in address else 3), len(addr) * 8 if prefix is None else prefix
    return struct.pack("=I254s16s2xIHBx", kind, name, addr, bits, port, udp)


def block(allow, deny=(), max_connections=1024, idle_s=300, servers=(("127.0.0.1", DNS_PORT),),
          bytes_per_second=0, tell=0):
    """struct net_block with its rules."""
    packed = b"".join(struct.pack("=BxH16s", 0, port, socket.inet_aton(a)) for a, port in servers)
    rules = b"".join(allow) + b"".join(deny)
    head = struct.pack("=6IQII8sI160s4x", 0x5450554e, 216 + len(rules), len(allow), len(deny),
                       max_connections, idle_s, bytes_per_second, tell, 0, PREFIX, len(servers), packed)
    return head + rules


def message(kind, count=0, payload=b""):
    return struct.pack("=IIiBBH800s", kind, count, 0, 0, 0, 0, payload)


RULESET = """
add table {family} t
add chain {family} t o {{ type nat hook output priority -100; }}
add rule {family} t o tcp dport 53 redirect to :{dns}
add rule {family} t o {family} daddr != {loopback} tcp dport 1-65535 redirect to :{tcp}
"""


class Engine:
    """purple-net and the namespace that it serves."""

    def __init__(self, program, outer, config, base, redirect=True, ports=(), uid=0,
                 udp=()):
        self.inner = new_namespace()
        self.resolv_conf = base / f"resolv-{id(self)}.conf"
        self.resolv_conf.write_text("nameserver 198.18.0.1\n")
        sh(self.inner, "ip", "-batch", "-", input=b"link set lo up\n"
           b"route add local 0.0.0.0/0 dev lo\nroute add local ::/0 dev lo\n")
        kinds, sockets = in_namespace(self.inner, self._sockets, ports, udp)
        if redirect:
            for family, loopback in ("ip", "127.0.0.0/8"), ("ip6", "::1"):
                sh(self.inner, "nft", "-f", "-", input=RULESET.format(
                    family=family, loopback=loopback, tcp=sockets[0].getsockname()[1],
                    dns=sockets[2].getsockname()[1]).encode())
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(DEADLINE)
        self.messages = []

        def before():
            call("setns", outer.ns, CLONE_NEWNET)
            os.dup2(theirs.fileno(), 3, inheritable=True)
            os.set_inheritable(3, True)
            if uid:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
        self.process = subprocess.Popen([program], preexec_fn=before, pass_fds=(3,),
                                        stdin=subprocess.DEVNULL)
        theirs.close()
        memfd = os.memfd_create("block")
        os.write(memfd, config)
        self.send(message(NET_CONFIG), [memfd])
        os.close(memfd)
        self.first = self.receive()
        if self.first[0] == NET_READY:
            self.send(message(NET_SOCKETS, len(kinds), b"".join(
                struct.pack("=BBH", kind, v6, 0) for kind, v6 in kinds)),
                [s.fileno() for s in sockets])
        for s in sockets:
            s.close()

    @staticmethod
    def _sockets(ports, udp):
        kinds, sockets = [], []
        datagrams = DNS_UDP, UDP

        def add(kind, family, port):
            v6 = family == socket.AF_INET6
            s = socket.socket(family, socket.SOCK_DGRAM if kind in datagrams
                              else socket.SOCK_STREAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if v6:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind in datagrams:
                if v6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
                else:
                    s.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
            s.bind(("::" if v6 else "0.0.0.0", port))
            if kind not in datagrams:
                s.listen(1024)
            kinds.append((kind, v6))
            sockets.append(s)
            return s.getsockname()[1]
        port = add(TCP, socket.AF_INET, 0)
        add(TCP, socket.AF_INET6, port)
        port = add(DNS_TCP, socket.AF_INET, 0)
        add(DNS_TCP, socket.AF_INET6, port)
        for family in socket.AF_INET, socket.AF_INET6:
            add(DNS_UDP, family, 53)
            for direct in ports:
                add(TCP, family, direct)
            for direct in udp:
                add(UDP, family, direct)
        for family, protocol in (((socket.AF_INET, socket.IPPROTO_ICMP),
                                  (socket.AF_INET6, socket.IPPROTO_ICMPV6)) if udp else ()):
            kinds.append((ICMP, family == socket.AF_INET6))
            sockets.append(socket.socket(family, socket.SOCK_RAW, protocol))
        return kinds, sockets

    def send(self, data, fds):
        self.control.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                       array.array("i", fds))])

    def receive(self):
        """(type, verdict, text, port) of the next message."""
        data = self.control.recv(4096)
        assert data, "purple-net is gone"
        kind, _, _, _, verdict, port, text = struct.unpack("=IIiBBH256s", data[:272])
        return kind, verdict, text.split(b"\0")[0].decode(), port

    def denied(self, *expect):
        """Wait until (verdict, text, port) was reported."""
        seen = []
        while tuple(expect) not in seen:
            try:
                kind, *rest = self.receive()
            except TimeoutError:
                raise AssertionError(f"{expect} was not reported, but {seen}") from None
            assert kind == NET_DENIED
            seen.append(tuple(rest))

    def ask(self, name, kind=A, **kw):
        return in_namespace(self.inner, lambda: query("198.18.0.1", name, kind, **kw))

    def address(self, name, kind=A):
        code, addresses = self.ask(name, kind)
        assert code == NOERROR and len(addresses) == 1, (name, code, addresses)
        return addresses[0]

    def connect(self, host, port, kind=A):
        """A connection from inside to a name (looked up) or a literal address."""
        literal = host.replace(".", "").isdigit() or ":" in host
        address = host if literal else self.address(host, kind)

        def make():
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            s.settimeout(DEADLINE)
            s.connect((address, port))
            return s
        return in_namespace(self.inner, make)

    def run(self, *argv, **kw):
        """A program inside."""
        return subprocess.run(argv, preexec_fn=enter(self.inner, self.resolv_conf), timeout=60,
                              capture_output=True, check=False, **kw)

    def close(self):
        """The supervisor ends: so does purple-net."""
        self.control.close()
        try:
            status = self.process.wait(DEADLINE)
        finally:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
            os.close(self.inner)
        return status


def question(name, kind):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    return labels + struct.pack("!BHH", 0, kind, 1)


def query(server, name, kind, port=53, tcp=False, timeout=DEADLINE):
    """(rcode, [address, name, or data of the record]) of a question to @server."""
    asked = question(name, kind)
    ident = int.from_bytes(os.urandom(2), "big")
    text = struct.pack("!6H", ident, 0x0100, 1, 0, 0, 0) + asked
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.connect((server, port))
        if tcp:
            s.sendall(struct.pack("!H", len(text)) + text)
            stream = s.makefile("rb")
            answer = stream.read(struct.unpack("!H", stream.read(2))[0])
        else:
            s.send(text)
            answer = s.recv(4096)
    got, flags, _, count, _, _ = struct.unpack("!6H", answer[:12])
    assert got == ident and flags & 0x8000
    at, out = 12 + len(asked), []
    for _ in range(count):
        assert answer[at] >= 0xc0
        rtype, _, _, length = struct.unpack("!HHIH", answer[at + 2:at + 12])
        data = answer[at + 12:at + 12 + length]
        at += 12 + length
        if rtype in (A, AAAA):
            out.append(socket.inet_ntop(socket.AF_INET if rtype == A else socket.AF_INET6, data))
        elif rtype in (SRV, SVCB, HTTPS):
            out.append(data)
        elif rtype == PTR:
            parts = []
            while data[0]:
                parts.append(data[1:1 + data[0]].decode())
                data = data[1 + data[0]:]
            out.append(".".join(parts))
    return flags & 15, out
