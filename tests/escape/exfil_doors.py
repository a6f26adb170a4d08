# SPDX-License-Identifier: Apache-2.0
"""
More of the table in exfil_rows.py: ways out that need something on the host's side, such
as a service, a descriptor or a second sandbox; and changes to what keeps packets in.
"""
import contextlib
import os
import socket
import struct
import subprocess

from canary import OTHER
from exfil_rows import NET, ROOT, Given, Row, send
from netpair import in_namespace


# ---- what is on the host's side ----

@contextlib.contextmanager
def service(lab, token, plan):
    """A unix socket in a directory of the host's; it may be connected to by anybody."""
    directory = lab.runner.base / "service"
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    path = directory / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o666)
        yield Given({"path": path}, granted=["--ro", str(directory)],
                    hear=lambda token: heard_by(listener, token))
    path.unlink()


@contextlib.contextmanager
def abstract(lab, token, plan):
    """An abstract one, in the namespace that purple is started in."""
    with in_namespace(lab.canary.ns, socket.socket, socket.AF_UNIX) as listener:
        listener.bind("\0purple-" + token)
        listener.listen()
        yield Given({"name": "purple-" + token}, hear=lambda token: heard_by(listener, token))


def heard_by(listener, token):
    """Whoever has connected has sent what it sends, and may be gone."""
    listener.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        conn, _ = listener.accept()
        with conn:
            text, fds, _, _ = socket.recv_fds(conn, 4096, 4)
        for fd in fds:
            text += os.pread(fd, 4096, 0)
            os.close(fd)
        return token.encode() in text
    return False


@contextlib.contextmanager
def connection(lab, keywords):
    with in_namespace(lab.canary.ns, socket.create_connection, (OTHER, 9000)) as conn:
        # Ended by one packet at once: the canary shall not hear of it later.
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        yield Given(call=keywords(conn.fileno()), names={"fd": conn.fileno()})


def left_open(lab, token, plan):
    """A connection that the caller of purple has open."""
    return connection(lab, lambda fd: {"pass_fds": [fd]})


def as_input(lab, token, plan):
    """A connection that is its standard input."""
    return connection(lab, lambda fd: {"stdin": fd})


LISTEN = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("ready", flush=True)
while True:
    conn = server.accept()[0]
    print(conn.recv(99), flush=True)
    conn.close()
"""
NEIGHBOUR_PORT = 9100


@contextlib.contextmanager
def neighbour(lab, token, plan, incoming=()):
    """Another sandbox of the same user, with the same layers, that listens."""
    policy = lab.policy.read_text()
    lab.network((), incoming=incoming)
    if plan:
        lab.edit(plan)
    process = lab.popen(["python3", "-c", LISTEN, NEIGHBOUR_PORT], stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT, text=True)
    try:
        line = process.stdout.readline()
        assert line == "ready\n", line + process.stdout.read()
        lab.policy.write_text(policy)

        def hear(token):
            process.kill()
            return token in process.stdout.read()
        yield Given(hear=hear)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        lab.policy.write_text(policy)


def published(lab, token, plan):
    """The same, with its port published on the host's loopback, and with all layers."""
    return neighbour(lab, token, (), [str(NEIGHBOUR_PORT)])


def door(*words):
    return lambda token: ["/probes/door", *(w.replace("TOKEN", token) for w in words)]


SERVICES = [
    Row("unix-path", ("given",), door("unix", "{path}", "TOKEN"), setup=service),
    Row("unix-rights", ("given",), door("rights", "{path}", "TOKEN"), setup=service),
    Row("unix-abstract", ("off:net", "off:landlock"), door("abstract", "{name}", "TOKEN"),
        setup=abstract),
    Row("inherited", ("off:step:CLOSE_FDS",),
        send("tcp", OTHER, 9000, "TOKEN", options=["--fd={fd}"]), setup=left_open),
    Row("descriptors", ("off:step:CLOSE_FDS",), lambda token: ["/probes/fds"], setup=left_open,
        seen=True),
    Row("standard-input", ("run:stdio",), send("tcp", OTHER, 9000, "TOKEN", options=["--fd=0"]),
        setup=as_input, status=125),
    Row("neighbour", NET, send("tcp", "127.0.0.1", NEIGHBOUR_PORT, "TOKEN"), setup=neighbour),
    Row("neighbour-published", NET, send("tcp", "127.0.0.1", NEIGHBOUR_PORT, "TOKEN"),
        setup=published),
]

# ---- the kernel's other doors ----

def probe(*words):
    return lambda token: [f"/probes/{words[0]}", *words[1:]]


CAPABILITIES = ("off:capabilities",)
ROOT_CAPABLE = {"users": ("root",), "why": "another user's program has none after its execve"}
GREP = "grep -l 'outside:' /proc/[0-9]*/net/dev && exit 1; exit 0"

KERNEL = [
    Row("families", ("off:seccomp",), door("families"), seen=True),
    Row("vsock", ("off:seccomp",), probe("call", "vsock"), seen=True),
    Row("netlink-protocols", ("off:seccomp",), door("netlinks"), seen=True),
    Row("io_uring", ("off:seccomp", *NET), door("uring", OTHER, "9000", "TOKEN")),
    Row("interfaces", NET, probe("net", "interfaces"), seen=True),
    Row("proc-net", NET, lambda token: ["sh", "-c", GREP], seen=True),
    Row("netlink-route", CAPABILITIES, door("route"), seen=True, **ROOT_CAPABLE),
    Row("netlink-rule", CAPABILITIES, door("rule"), seen=True, **ROOT_CAPABLE),
    Row("netlink-address", CAPABILITIES, door("address"), seen=True, **ROOT_CAPABLE),
    Row("netlink-link", CAPABILITIES, door("link"), seen=True, **ROOT_CAPABLE),
    Row("ioctl-interface", CAPABILITIES, probe("net", "admin"), seen=True, **ROOT_CAPABLE),
    Row("nft", ("off:seccomp", *CAPABILITIES), door("ruleset"), seen=True, **ROOT_CAPABLE),
    Row("unshare", ("off:seccomp", "off:step:NO_NESTING"), door("unshare"), seen=True),
    Row("setns", ("off:seccomp", *CAPABILITIES), probe("call", "join_ns"), seen=True,
        **ROOT_CAPABLE),
    Row("bpf", ("off:seccomp", *CAPABILITIES, "off:user"), probe("call", "bpf"), seen=True,
        **ROOT),
    Row("tun", ("off:seccomp", *CAPABILITIES, "off:user", "off:landlock",
                "set-mount-flags:.:-nodev"), door("tun", "tun"), seen=True, **ROOT),
    Row("purple-net", ("off:pid", "off:landlock", *CAPABILITIES, "off:user"), door("getfd"),
        seen=True, base=("drop-mount:/proc",), users=("root",),
        why="the kernel lets nobody else reach into a process of another user namespace"),
]

ROWS = SERVICES + KERNEL
