# SPDX-License-Identifier: Apache-2.0
"""
The outside of the exfiltration suite: a network namespace that purple runs in, with
addresses that are public elsewhere, servers, a name server for its purple-net, and a
packet socket that records every packet that leaves a process in there. Needs root.
"""
import contextlib
import os
import pathlib
import socket
import struct
import threading

from netpair import in_namespace, new_namespace, sh

WEB, OTHER, ADDRESS, DNS, PUBLIC_DNS = (
    "93.184.216.34", "93.184.216.35", "93.184.216.36", "93.184.216.53", "8.8.8.8")
LAN, METADATA, WEB6, OTHER6 = "10.9.9.9", "169.254.169.254", "2606:2800:21f::14", "2606:2800::35"
COMPATIBLE, SIX_TO_FOUR, NAT64 = "::93.184.216.35", "2002:5db8:d823::1", "64:ff9b::10.9.9.9"
PUBLIC_DNS6 = "2001:4860:4860::8888"
DEVICE, FAR = "outside", "far"  # a pair; what goes into the first is outside
PORTS = (1, 22, 80, 443, 853, 9000, 9001)
A, CNAME, AAAA = 1, 5, 28
NAMES = {"ok.example": WEB, "lan.example": LAN, "meta.example": METADATA,
         "home.example": "127.0.0.1"}
CNAMES = {"alias.example": "lan.example"}

IP_VERSION = {0x0800: 4, 0x86dd: 6}
OUTGOING = 4
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 58: "icmp6", 132: "sctp", 136: "udplite"}


def addresses():
    for address in (WEB, OTHER, ADDRESS, DNS, PUBLIC_DNS, LAN, METADATA):
        yield f"address add {address}/32 dev lo"
    for address in (WEB6, OTHER6, COMPATIBLE, SIX_TO_FOUR, NAT64, PUBLIC_DNS6):
        yield f"address add {address}/128 dev lo nodad"


def answer(query):
    """What the name server says: a name that it does not know is WEB too."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
        at += 1 + query[at]
    kind, name, records = struct.unpack("!H", query[at + 1:at + 3])[0], ".".join(labels), []
    if name in CNAMES:
        target = b"".join(bytes([len(p)]) + p.encode() for p in CNAMES[name].split(".")) + b"\0"
        records.append((b"\xc0\x0c", CNAME, target))
    owner, name = records[0][2] if records else b"\xc0\x0c", CNAMES.get(name, name)
    if kind == A:
        records.append((owner, A, socket.inet_aton(NAMES.get(name, WEB))))
    return (query[:2] + struct.pack("!5H", 0x8180, 1, len(records), 0, 0) + query[12:at + 5] +
            b"".join(n + struct.pack("!HHIH", t, 1, 1, len(d)) + d for n, t, d in records))


class Packet:
    """What is needed of a packet to say whether it is one that was allowed."""

    def __init__(self, ethertype, data):
        self.data, self.ports = data, (0, 0)
        version = IP_VERSION.get(ethertype)
        if version == 4:
            header, self.protocol = (data[0] & 15) * 4, data[9]
            ends = [socket.inet_ntoa(data[i:i + 4]) for i in (12, 16)]
        elif version == 6:
            header, self.protocol = 40, data[6]
            ends = [socket.inet_ntop(socket.AF_INET6, data[i:i + 16]) for i in (8, 24)]
        else:
            header, self.protocol, ends = 0, 0, [f"ethertype {ethertype:#x}"] * 2
        self.ends = ends
        if self.protocol in (6, 17, 132, 136) and len(data) >= header + 4:
            self.ports = struct.unpack("!HH", data[header:header + 4])

    def is_between(self, allowed):
        """Does it go to, or come from, one of @allowed: (protocol, address, port)?"""
        name = PROTOCOLS.get(self.protocol)
        return any((name, end, port) in allowed for end, port in zip(self.ends, self.ports))

    def __str__(self):
        (a, b), (c, d) = self.ends, self.ports
        return f"{PROTOCOLS.get(self.protocol, self.protocol)} {a}:{c} > {b}:{d}"


class Canary:
    def __init__(self):
        self.ns = new_namespace()
        self.path = f"/proc/{os.getpid()}/fd/{self.ns}"
        self.sockets = []
        sh(self.ns, "ip", "link", "add", DEVICE, "type", "veth", "peer", "name", FAR)
        in_namespace(self.ns, self._settings)
        sh(self.ns, "ip", "-batch", "-", input="\n".join(
            ["link set lo up", *addresses(), f"link set {FAR} up", f"link set {DEVICE} up arp off",
             f"address add 100.64.7.1/24 dev {DEVICE}", f"route add default dev {DEVICE}",
             f"route add 224.0.0.0/4 dev {DEVICE}"]).encode())
        in_namespace(self.ns, self._open)
        self.take()

    def _settings(self):
        """Ping sockets for all; no IPv6 on the devices, which would speak by themselves."""
        for name, value in (("ipv4/ping_group_range", "0 2147483647"),
                            (f"ipv6/conf/{DEVICE}/disable_ipv6", "1"),
                            (f"ipv6/conf/{FAR}/disable_ipv6", "1"),
                            ("ipv4/conf/all/accept_source_route", "1"),
                            ("ipv4/conf/lo/accept_source_route", "1")):
            pathlib.Path("/proc/sys/net", name).write_text(value, encoding="ascii")

    def _open(self):
        self.tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.tap.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        for port in PORTS:
            self._serve(socket.create_server(("::", port), family=socket.AF_INET6,
                                             dualstack_ipv6=True, backlog=64), self._talk)
        for address in (DNS, PUBLIC_DNS):
            self._serve(socket.create_server((address, 53)), self._dns_stream)
        self._datagrams((DNS, 53), answer)
        for place in ((ADDRESS, 9000), (WEB, 9001)):
            self._datagrams(place, lambda text: text)

    def _thread(self, fn, *args):
        threading.Thread(target=fn, args=args, daemon=True).start()

    def _serve(self, server, handler):
        self.sockets.append(server)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    self._thread(handle, server.accept()[0])

        def handle(conn):
            with conn, contextlib.suppress(OSError):
                handler(conn)
        self._thread(accept)

    @staticmethod
    def _talk(conn):
        """An answer to all that comes, in HTTP for who wants that."""
        while conn.recv(65536):
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def _datagrams(self, place, reply):
        """Answer what comes to @place, until the socket is shut down."""
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(place)
        self.sockets.append(udp)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    text, peer = udp.recvfrom(4096)
                    if not peer:
                        return
                    with contextlib.suppress(IndexError, struct.error):
                        udp.sendto(reply(text), peer)
        self._thread(serve)

    @staticmethod
    def _dns_stream(conn):
        stream = conn.makefile("rb")
        while len(head := stream.read(2)) == 2:
            text = answer(stream.read(struct.unpack("!H", head)[0]))
            conn.sendall(struct.pack("!H", len(text)) + text)

    def inside(self):
        """A command's prefix: in the namespace."""
        return ["nsenter", f"--net={self.path}", "--"]

    def take(self):
        """The packets since the last call."""
        packets = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (_, ethertype, direction, *_) = self.tap.recvfrom(1 << 17,
                                                                        socket.MSG_DONTWAIT)
                if direction == OUTGOING:  # on lo each comes in as well
                    packets.append(Packet(ethertype, data))
        lost = struct.unpack("=II", self.tap.getsockopt(263, 6, 8))[1]  # PACKET_STATISTICS
        assert not lost, f"the canary has lost {lost} packets"
        return packets

    def close(self):
        for s in (*self.sockets, self.tap):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
        os.close(self.ns)
