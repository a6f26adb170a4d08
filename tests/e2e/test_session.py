# SPDX-License-Identifier: Apache-2.0
"""
A session of 200 actions is rebuilt from its trail alone: what was done, in its order, with its
arguments. The trail is read as anybody would, line by line; nothing else is asked.
"""
import json
import random
import textwrap

import pytest

from netbox import box, host, needs_servers  # noqa: F401
from running import needs_root, ok
from trail_reader import Trail

pytestmark = [needs_root, needs_servers]

ACTIONS = 200

# Does what it is told, one after the other, and nothing else; says how each ended.
AGENT = textwrap.dedent("""
    import ctypes, json, os, socket, subprocess, sys
    libc = ctypes.CDLL(None, use_errno=True)

    def do(kind, *args):
        if kind == "exec":
            subprocess.run(args, stdout=subprocess.DEVNULL)
        elif kind == "write":
            open(args[0], "w").close()
        elif kind == "write denied":
            try:
                open(args[0], "a").close()
            except OSError:
                return
            sys.exit(f"{args[0]} can be written")
        elif kind == "syscall denied":
            if libc.syscall(args[0], *args[2:]) != -1:
                sys.exit(f"{args[1]} is not refused")
        elif kind == "connect":
            with socket.create_connection((args[0], args[1]), timeout=20) as s:
                s.sendall(b"GET / HTTP/1.0\\r\\nHost: " + args[0].encode() + b"\\r\\n\\r\\n")
                s.recv(1)
        elif kind == "connect denied":
            try:
                s = socket.create_connection((args[0], args[1]), timeout=20)
                s.sendall(b"GET / HTTP/1.0\\r\\nHost: " + args[0].encode() + b"\\r\\n\\r\\n")
                if s.recv(1):
                    sys.exit(f"{args[0]} can be reached")
            except OSError:
                pass
        elif kind == "name denied":
            try:
                socket.gethostbyname(args[0])
            except socket.gaierror:
                return
            sys.exit(f"{args[0]} has an address")

    for action in json.load(open("actions.json")):
        do(*action)
""")

# Refused by the default policy: number on x86_64, name, arguments.
CALLS = [(165, "mount", 1, 2), (169, "reboot", 3), (175, "init_module", 4), (246, "kexec_load", 5),
         (155, "pivot_root", 6, 7)]


def make_session(seed):
    """A list of (kind, argument…). No two are alike, so that nothing can be confused."""
    rng = random.Random(seed)
    made = []
    for i in range(ACTIONS):
        kind = rng.choice(["exec", "exec", "exec", "write", "write", "write denied",
                           "syscall denied", "connect", "connect denied", "name denied"])
        if kind == "exec":
            made.append((kind, rng.choice(["/usr/bin/true", "/usr/bin/echo", "/usr/bin/env"]),
                         "--version" if rng.random() < 0.2 else f"argument {i}\t\u00e9"))
            if made[-1][1] == "/usr/bin/env":
                made[-1] = (kind, "/usr/bin/env", f"A={i}", "/usr/bin/true")
        elif kind == "write":
            made.append((kind, f"/tmp/out {i}"))
        elif kind == "write denied":
            made.append((kind, f"/etc/new-{i}"))
        elif kind == "syscall denied":
            call = rng.choice(CALLS)
            made.append((kind, call[0], call[1], i, *call[2:]))
        elif kind == "connect":
            made.append((kind, "example.com", 8000))
        elif kind == "connect denied":
            made.append((kind, "example.com", 8001))
        else:
            made.append((kind, f"host{i}.secret.test"))
    return made


def expected(session):
    """What the trail is to say; env(1) executes once more."""
    for kind, *args in session:
        if kind == "exec":
            yield ("exec", args[0], tuple(args))
            if args[0] == "/usr/bin/env" and args[1].startswith("A="):
                yield ("exec", args[2], tuple(args[2:]))
        elif kind == "syscall denied":
            yield (kind, args[1], tuple(args[2:]))
        else:
            yield (kind, *args)


def unescape(text):
    out, i = bytearray(), 0
    raw = text.encode()
    while i < len(raw):
        if raw[i:i + 2] == b"\\\\":
            out += b"\\"
            i += 2
        elif raw[i:i + 2] == b"\\x":
            out.append(int(raw[i + 2:i + 4], 16))
            i += 4
        else:
            out.append(raw[i])
            i += 1
    return out.decode()


def rebuild(events):
    """The agent's actions, from the lines of the trail."""
    agent = None
    for e in events:
        kind = e["type"]
        if kind == "process.exec":
            argv = tuple(unescape(a) for a in e["argv"])
            if argv[:1] == ("python3",):
                agent = e["pid"]
            elif agent:
                yield ("exec", unescape(e["path"]), argv)
        elif not agent:
            continue
        elif kind == "file.write":
            if not e["path"].startswith("/dev/"):
                yield ("write", unescape(e["path"]))
        elif kind == "file.denied" and e["access"] in ("write", "create"):
            yield ("write denied", unescape(e["path"]))
        elif kind == "syscall.denied":
            yield ("syscall denied", e["syscall"], tuple(int(a, 16) for a in e["args"]))
        elif kind == "net.allowed":
            yield ("connect", e["host"], e["port"])
        elif kind == "net.denied":
            yield ("connect denied", e["host"], e["port"])
        elif kind == "dns.denied":
            yield ("name denied", e["host"])


def same(want, got):
    if want[0] != got[0]:
        return False
    if want[0] == "syscall denied":
        return want[1] == got[1] and got[2][:len(want[2])] == want[2]
    return want == got


def settle(actions):
    """One refusal may be seen more than once in a row: glibc asks again, and for IPv6."""
    last = None
    for a in actions:
        if a != last or a[0] not in ("name denied", "connect denied"):
            yield a
        last = a


@pytest.mark.parametrize("source", ["seccomp", "ebpf"])
def test_a_session_is_rebuilt(box, as_user, source, request):
    if source == "ebpf" and as_user.uid != 0:
        pytest.skip("eBPF is root's")
    session = make_session(20261124)
    as_user.write("actions.json", json.dumps(session))
    as_user.write("agent.py", AGENT)
    trail = Trail(as_user)
    policy = box.policy(["example.com:8000"])
    more = ["--audit-ebpf"] if source == "ebpf" else []
    ok(box.purple("run", "-p", policy, *trail.options(*more), "--", "python3", "-S", "-E",
                  "agent.py"))
    # The kernel's own and purple-net's lines come by different ways: their times tell.
    got = list(settle(rebuild(sorted(trail.lines(), key=lambda e: e["time"]))))
    want = list(settle(expected(session)))
    for i, (a, b) in enumerate(zip(want, got)):
        assert same(a, b), f"action {i}: was {a}, the trail says {b}"
    assert len(got) == len(want)
    assert len(session) == ACTIONS
