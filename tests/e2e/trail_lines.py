# SPDX-License-Identifier: Apache-2.0
"""A valid audit trail made by hand: the lines of src/event/event.h, the files of trail.h."""
import hashlib
import json
import os
import time

BEGIN_NS = 1_795_000_000_000_000_000  # 2026-11-18T11:06:40Z
ZEROS = "0" * 64
SEVERITIES = {
    "setup.error": "error", "layer.downgraded": "warning", "policy.changed": "notice",
    "file.write": "notice", "file.denied": "warning", "dns.denied": "warning",
    "net.denied": "warning", "net.lost": "error", "syscall.denied": "warning",
    "limit.reached": "warning", "intent": "notice", "audit.gap": "error",
}


def time_text(ns):
    seconds, rest = divmod(ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def escaped(data):
    """Text from inside as a line has it: \\xNN for what a screen would obey."""
    if isinstance(data, str):
        data = data.encode()
    out, at = "", 0
    while at < len(data):
        for size in (1, 2, 3, 4):
            try:
                char = data[at:at + size].decode()
                break
            except UnicodeDecodeError:
                char = None
        raw = data[at:at + size] if char else data[at:at + 1]
        at += len(raw)
        code = ord(char) if char else -1
        unsafe = (code < 0x20 or 0x7f <= code < 0xa0 or code in (0x61c, 0x200e, 0x200f)
                  or 0x2028 <= code <= 0x202e or 0x2066 <= code <= 0x2069)
        if char == "\\":
            out += "\\\\"
        elif unsafe:
            out += "".join(f"\\x{b:02x}" for b in raw)
        else:
            out += char
    return out


class Trail:
    """Appends lines to a file, with its head; .add() returns the line's object."""

    def __init__(self, path, owner=None):
        self.path = path
        self.owner = owner
        self.seq, self.prev, self.time = 1, ZEROS, BEGIN_NS
        self.number = 0
        self.size = 0
        self._write(b"")

    def _write(self, data):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        fd = os.open(self.path, flags, 0o600)
        os.write(fd, data)
        os.close(fd)
        self.size += len(data)
        head = f"purple-trail 1 seq={self.seq:020d} size={self.size:020d} hash={self.prev}\n"
        with open(f"{self.path}.head", "w", encoding="ascii") as file:
            file.write(head)
        if self.owner is not None:
            os.chown(self.path, self.owner, self.owner)
            os.chown(f"{self.path}.head", self.owner, self.owner)

    def text(self, kind, sandbox="sb-1", name="one", after_ms=10, **fields):
        """The line, which is not written yet."""
        self.time += after_ms * 1_000_000
        line = {"seq": self.seq, "time": time_text(self.time), "sandbox": sandbox, "name": name,
                "type": kind, "severity": SEVERITIES.get(kind, "info"), **fields,
                "prev": self.prev}
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        self.seq += 1
        self.prev = hashlib.sha256(text.encode()).hexdigest()
        return line, text

    def add(self, kind, sandbox="sb-1", name="one", after_ms=10, **fields):
        line, text = self.text(kind, sandbox, name, after_ms, **fields)
        self._write(text.encode() + b"\n")
        return line

    def raw(self, data):
        self._write(data)

    def rotate(self):
        self.number += 1
        os.rename(self.path, f"{self.path}.{self.number}")
        os.rename(f"{self.path}.head", f"{self.path}.{self.number}.head")
        self.size = 0
        return self.add("audit.opened", file=f"{os.path.basename(self.path)}.{self.number}",
                        reason="rotated")


def session(trail, sandbox="sb-1", name="one"):
    """A sandbox's life with one of everything."""
    def add(kind, after_ms=10, **fields):
        return trail.add(kind, sandbox, name, after_ms, **fields)

    add("sandbox.created", profile="coding-agent", plan="ab" * 32,
        command=["/bin/sh", "-c", "make && git push"], workspace="/home/me/project", uid=1000,
        pid=4000)
    add("sandbox.started", pid=4001)
    add("process.exec", pid=4001, ppid=4000, path="/bin/sh",
        argv=["/bin/sh", "-c", "make && git push"], cwd="/home/me/project", source="seccomp")
    add("process.exec", pid=4002, ppid=4001, path="/usr/bin/make", argv=["make"],
        cwd="/home/me/project", source="seccomp")
    add("process.exec", pid=4003, ppid=4002, path="/usr/bin/gcc", argv=["gcc", "-c", "a b.c"],
        cwd="/home/me/project", source="seccomp")
    add("process.exit", 500, pid=4003, ppid=4002, path="/usr/bin/gcc", status=0, source="seccomp")
    add("process.exit", pid=4002, ppid=4001, path="/usr/bin/make", status=0, source="seccomp")
    add("file.write", pid=4003, path="/tmp/cc1.s", access="create", source="seccomp")
    add("file.denied", pid=4003, path="/etc/shadow", access="read", error="ENOENT",
        layer="mount", rule="filesystem", allow="filesystem: {read: [/etc/shadow]}",
        source="seccomp", count=3)
    add("dns.allowed", host="github.com", address="140.82.121.3")
    add("net.allowed", host="github.com", address="140.82.121.3", port=443, proto="tcp")
    add("dns.denied", host="evil.example", reason="no rule allows it",
        allow="network: {allow_outgoing: ['evil.example:443']}")
    add("net.denied", host="10.0.0.1", address="10.0.0.1", port=22, proto="tcp",
        reason="private address", rule="blocked_ips",
        allow="network: {allow_outgoing: ['10.0.0.1:22']}", count=21)
    add("api.call", host="deb.example.org", port=80, method="GET", path="/pool/a?b=c")
    add("syscall.denied", pid=4003, path="/usr/bin/gcc", syscall="ptrace",
        args=["0x10", "0x0", "0x0", "0x0", "0x0", "0x0"], error="EPERM",
        rule="syscalls.deny", allow="syscalls: {allow: [ptrace]}", count=100000)
    add("limit.reached", limit="pids_limit", value=64, count=2, message="64 processes",
        allow="limits: {pids: 128}")
    add("layer.downgraded", layer="landlock", reason="this kernel has only ABI 1")
    add("policy.changed", rule="crates.io:443", message="allowed", uid=1000, pid=77)
    add("exec.requested", command=["ls", "-l"], cwd="/", uid=1000, pid=78)
    add("audit.gap", count=2, reason="the disk was full")
    add("net.lost", reason="killed by signal 9")
    add("process.exit", 900, pid=4001, ppid=4000, path="/bin/sh", status=3, source="seccomp")
    add("output.collected", path="/srv/out/result.csv", bytes=1200)
    add("sandbox.ended", status=3, reason="exited", duration_ms=1620, cpu_us=812000,
        memory_peak=52428800)


ALL_TYPES = {
    "sandbox.created", "sandbox.started", "sandbox.ended", "setup.error", "layer.downgraded",
    "policy.changed", "exec.requested", "process.exec", "process.exit", "file.write", "file.open",
    "file.denied", "dns.allowed", "dns.denied", "net.allowed", "net.denied", "net.lost",
    "api.call", "syscall.denied", "limit.reached", "intent", "audit.opened", "audit.gap",
    "output.collected",
}
