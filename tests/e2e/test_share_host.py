# SPDX-License-Identifier: Apache-2.0
"""
network.share_host: the caller's network namespace, and no right over it. That namespace is one of
the test's own, in which the launcher runs.
"""
import json
import os
import subprocess
import sys

import pytest

from people import UNPRIVILEGED
from running import needs_root, ok

pytestmark = needs_root
SHARE = ("--isolated=false", "--share-host-network")
WARNING = "purple: warning: network.share_host: "

# Port 9000 of the loopback, and an abstract socket: whoever connects is told.
HOST = r"""
import socket, subprocess, sys, threading
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
tcp = socket.create_server(("127.0.0.1", 9000))
unix = socket.socket(socket.AF_UNIX)
unix.bind("\0purple-share-host")
unix.listen()
def serve(s):
    while True:
        s.accept()[0].sendall(b"host")
for s in (tcp, unix):
    threading.Thread(target=serve, args=(s,), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""

# What CAP_NET_ADMIN and CAP_NET_RAW would do. Each line: what, and the error.
ADMIN = r"""
import errno, fcntl, socket, struct
def tried(what, f):
    try:
        f()
        print(what, "done")
    except OSError as e:
        print(what, errno.errorcode[e.errno])
def netlink(kind, body, flags=0x605):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    s.sendall(struct.pack("IHHII", 16 + len(body), kind, flags, 1, 0) + body)
    code = struct.unpack_from("i", s.recv(4096), 16)[0]
    if code:
        raise OSError(-code, "")
def flags():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x49))
def write(path):
    with open(path, "w") as f:
        f.write("1")
attribute = struct.pack("HH4s", 8, 2, socket.inet_aton("198.51.100.7"))
tried("address", lambda: netlink(20, struct.pack("BBBBI", 2, 32, 0, 0, 1) + attribute))
tried("route", lambda: netlink(24, struct.pack("BBBBBBBBI", 2, 32, 0, 0, 254, 4, 253, 1, 0) +
      struct.pack("HH4sHHI", 8, 1, socket.inet_aton("198.51.100.7"), 8, 4, 1)))
tried("link", flags)
tried("nft", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))
tried("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
tried("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3))
tried("port", lambda: socket.create_server(("127.0.0.1", 80)))
tried("sysctl", lambda: write("/proc/sys/net/ipv4/ip_forward"))
"""
REFUSED = ("address EPERM\nroute EPERM\nlink EPERM\nnft EAFNOSUPPORT\nraw EPERM\n"
           "packet EAFNOSUPPORT\nport EACCES\nsysctl EROFS\n")


class Box:
    def __init__(self, runner):
        self.runner = runner
        self.host = subprocess.Popen(["unshare", "--net", "--", sys.executable, "-c", HOST],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.host.stdout.readline() == "ready\n"
        self.net = f"/proc/{self.host.pid}/ns/net"

    def purple(self, *words, who=True):
        who = ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}",
               "--clear-groups"] if self.runner.uid and who else []
        return subprocess.run(
            ["nsenter", f"--net={self.net}", *who, self.runner.purple, *words],
            cwd=self.runner.workspace, env=self.runner.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False)

    def python(self, script, *options):
        return self.purple("run", *options, "--", "python3", "-c", script)


@pytest.fixture
def box(as_user):
    made = Box(as_user)
    yield made
    made.host.communicate()


def told(done):
    """The output of a start that has warned, once."""
    out = ok(done)
    assert [line.startswith(WARNING) for line in done.stderr.splitlines()].count(True) == 1
    return out


TCP = "import socket; print(socket.create_connection(('127.0.0.1', 9000)).recv(9))"


def test_the_namespace_is_the_callers(box):
    link = "import os; print(os.readlink('/proc/self/ns/net'))"
    assert told(box.python(link, *SHARE)) == os.readlink(box.net) + "\n"
    assert told(box.python(TCP, *SHARE)) == "b'host'\n"
    # It is the key that does it.
    assert box.python(TCP).returncode == 1
    assert ok(box.python(link)) != os.readlink(box.net) + "\n"


def test_abstract_sockets_stay_out_of_reach(box):
    script = """
import socket
def attempt(name):
    try:
        socket.socket(socket.AF_UNIX).connect(name)
        print("connected")
    except PermissionError:
        print("refused")
attempt("\\0purple-share-host")
own = socket.socket(socket.AF_UNIX)
own.bind("\\0purple-own")
own.listen()
attempt("\\0purple-own")
"""
    assert told(box.python(script, *SHARE)) == "refused\nconnected\n"


def test_no_right_over_it(box):
    assert told(box.python(ADMIN, *SHARE)) == REFUSED
    # Capabilities are those of the sandbox's user namespace, which does not own this network.
    caps = ("--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_NET_RAW", "--cap-add",
            "CAP_NET_BIND_SERVICE")
    assert told(box.python(ADMIN, *SHARE, *caps)) == REFUSED
    # Whoever has the right is not refused, so the attempts are sound.
    script = "exec(open('/proc/self/fd/0').read())"
    done = subprocess.run(["nsenter", f"--net={box.net}", sys.executable, "-c", script],
                          input=ADMIN, capture_output=True, text=True, timeout=60, check=True)
    assert [line.split()[1] for line in done.stdout.splitlines()[:7]] == ["done"] * 7, done.stdout


def test_names_are_the_hosts_to_answer(box):
    here = open("/etc/resolv.conf", encoding="utf-8").read() \
        if os.path.exists("/etc/resolv.conf") else None
    script = "import os; p = '/etc/resolv.conf'; print(open(p).read() if os.path.exists(p) else '')"
    assert told(box.python(script, *SHARE)) == (here or "") + "\n"


def test_a_sandbox_that_stays(box):
    name = f"shared{os.getpid()}{box.runner.name}"
    try:
        made = box.purple("create", "--name", name, *SHARE)
        assert WARNING in made.stderr and made.returncode == 0, made.stderr
        assert ok(box.purple("exec", name, "--", "python3", "-c", TCP)) == "b'host'\n"
        shown = box.purple("net", "show", name)
        assert shown.returncode != 0 and "shares the host's" in shown.stderr
    finally:
        box.purple("rm", "-f", name)


def test_the_plan_says_it(box):
    plan = json.loads(ok(box.purple("plan", "--json", *SHARE)))
    (net,) = [layer for layer in plan["layers"] if layer["layer"] == "net"]
    assert net["state"] == "off" and net["why"] == "policy says so: network.share_host"
    assert "net" not in plan["namespaces"]
    assert "off: policy says so" in ok(box.purple("plan", *SHARE))


def test_contradictions(box):
    for text, words in (("isolated: true", "network.isolated"),
                        ("allow_outgoing: ['443']", "network.allow_outgoing"),
                        ("loopback: false", "network.loopback")):
        policy = box.runner.write("net.yaml", f"network: {{share_host: true, {text}}}\n")
        done = box.purple("run", "-p", str(policy), "--", "true")
        assert done.returncode == 125 and words in done.stderr, done.stderr
    # A profile that says isolated is not overruled by one word.
    done = box.purple("run", "--share-host-network", "--", "true")
    assert done.returncode == 125 and "--isolated=false" in done.stderr, done.stderr
    policy = box.runner.write("net.yaml", "network: {share_host: true}\n")
    assert "warning: the command may connect" in \
        box.purple("profile", "check", str(policy)).stderr
