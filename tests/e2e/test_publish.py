# SPDX-License-Identifier: Apache-2.0
"""
Published ports: network.allow_incoming. The host's side is a network namespace of the test's own,
in which the launcher runs, so that every port is free and every address known.
"""
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest

from netpair import in_namespace, new_namespace, sh
from people import UNPRIVILEGED
from running import alive, children_of, eventually, needs_root, ok, refused

pytestmark = [needs_root, pytest.mark.skipif(
    not shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin"), reason="needs ip")]

V4, V6, DEADLINE = "10.9.0.1", "fd00:9::1", 60
LOOPBACK = ("127.0.0.1", "::1")
RESET = struct.pack("ii", 1, 0)

# Serves port 8080 of each address that is named. The first line says what is wanted: `echo`, what
# follows comes back; `sum`, its length and digest, at its end; `give N` bytes; `reset`; `hold`, a
# greeting, and an answer to each line; `told`, a greeting, and how it ended is printed; `fill`,
# as much as can be sent to who does not read. "wait" before an address: only when told so.
SERVER = r"""
import hashlib, os, select, socket, struct, sys, threading
def serve(c):
    f = c.makefile("rb")
    word, _, more = f.readline().decode().strip().partition(" ")
    if word == "echo":
        while data := f.read1(65536):
            c.sendall(data)
    elif word == "sum":
        size, digest = 0, hashlib.sha256()
        while data := f.read1(65536):
            size += len(data)
            digest.update(data)
        c.sendall(b"%d %s" % (size, digest.hexdigest().encode()))
    elif word == "give":
        block = bytes(range(256)) * 256
        for _ in range(int(more) // len(block)):
            c.sendall(block)
    elif word == "hold":
        c.sendall(b"held\n")
        while line := f.readline():
            c.sendall(line)
    elif word == "told":
        c.sendall(b"held\n")
        try:
            f.read()
            print("end", flush=True)
        except ConnectionResetError:
            print("reset", flush=True)
    elif word == "fill":
        c.setblocking(False)
        while select.select([], [c], [], 0.5)[1]:
            c.send(bytes(65536))
        print("full", flush=True)
        c.setblocking(True)
        f.read()
    if word == "reset":
        c.sendall(b"so far")
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    f.close()
    c.close()
def run(s):
    while True:
        threading.Thread(target=serve, args=s.accept()[:1], daemon=True).start()
for a in sys.argv[1:]:
    if a == "wait":
        print("waiting", flush=True)
        sys.stdin.readline()
        continue
    s = socket.create_server((a, 8080), family=socket.AF_INET6 if ":" in a else socket.AF_INET,
                             backlog=512)
    threading.Thread(target=run, args=(s,), daemon=True).start()
print("ready", flush=True)
sys.stdin.readline()
"""

WEB = r"""
import http.server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("you asked for " + self.path).encode() * 100
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
s = Server(("127.0.0.1", 8080), Page)
print("ready", flush=True)
s.serve_forever()
"""


class Host:
    """A network namespace with lo and two more addresses."""

    def __init__(self):
        self.ns = new_namespace()
        sh(self.ns, "ip", "-batch", "-", input=(
            f"link set lo up\naddr add {V4}/32 dev lo\naddr add {V6}/128 dev lo\n").encode())

    def socket(self, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return in_namespace(self.ns, socket.socket, family)

    def connect(self, address, port=8080):
        s = self.socket(address)
        s.settimeout(DEADLINE)
        try:
            s.connect((address, port))
        except OSError:
            s.close()
            raise
        return s

    def refuses(self, address, port=8080):
        try:
            self.connect(address, port).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:  # somebody listened, but no more
            return False
        return False

    def listen(self, address, port=8080):
        s = self.socket(address)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen()
        return s

    def close(self):
        os.close(self.ns)


@pytest.fixture(scope="module")
def host():
    made = Host()
    yield made
    made.close()


class Box:
    """Sandboxes of one user, started in the host's side; all are gone at the end."""

    def __init__(self, host, runner):
        self.host, self.runner = host, runner
        self.children, self.timers, self.names = [], [], []

    def argv(self, *words):
        who = [] if self.runner.uid == 0 else [
            "setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
        ns = f"/proc/{os.getpid()}/fd/{self.host.ns}"
        return ["nsenter", f"--net={ns}", *who, self.runner.purple, *words]

    def options(self, publish, *more):
        items = [w for p in publish for w in ("--publish", p)]
        return ["--isolated=false", *items, *more]

    def purple(self, *words):
        return subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=60,
                              check=False, stdin=subprocess.DEVNULL, cwd=self.runner.workspace,
                              env=self.runner.env)

    def run(self, publish, *command, options=()):
        return self.purple("run", *self.options(publish, *options), "--", *command)

    def spawn(self, publish, *command, options=(), ready="ready"):
        child = subprocess.Popen(
            self.argv("run", *self.options(publish, *options), "--", *command),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=self.runner.workspace, env=self.runner.env)
        self.children.append(child)
        self.timers.append(threading.Timer(2 * DEADLINE, child.kill))
        self.timers[-1].start()
        line = child.stdout.readline()
        assert line == ready + "\n", child.communicate(timeout=60)
        return child

    def serve(self, publish, *addresses, options=(), ready="ready"):
        return self.spawn(publish, "python3", "-c", SERVER, *(addresses or ("127.0.0.1",)),
                          options=options, ready=ready)

    def end(self, child):
        """By itself, and well."""
        out, errors = child.communicate("\n", timeout=60)
        assert child.returncode == 0, errors
        return out

    def detach(self, publish, *command):
        name = f"pub{len(self.names)}-{os.getpid()}-{self.runner.name}"
        self.names.append(name)
        return name, self.purple("run", "--detach", "--name", name, *self.options(publish), "--",
                                 *command)

    def close(self):
        for timer in self.timers:
            timer.cancel()
        for child in self.children:
            child.kill()
            child.communicate()
        for name in self.names:
            self.purple("rm", "-f", name)


@pytest.fixture
def box(host, as_user):
    made = Box(host, as_user)
    yield made
    made.close()


def ask(s, data, more=b""):
    """What comes back, to its end, after all was sent and the stream ended."""
    with s:
        s.sendall(data + b"\n" + more)
        s.shutdown(socket.SHUT_WR)
        return rest(s)


def rest(s):
    parts = []
    while part := s.recv(65536):
        parts.append(part)
    return b"".join(parts)


def helper_of(supervisor):
    for child in children_of(supervisor):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{child}/comm").read_text() == "purple-net\n":
                return child
    return None


def fetch(address, path):
    c = http.client.HTTPConnection(address, 8080, timeout=DEADLINE)
    c.request("GET", path)
    answer = c.getresponse()
    body = answer.read()
    c.close()
    return answer.status == 200 and body == f"you asked for {path}".encode() * 100


def fetch_all(address, start, count):
    return sum(fetch(address, f"/{start + i}") for i in range(count))


# ---- what it is for ----

def test_a_thousand_requests_and_a_hundred_at_once(box):
    box.spawn(["8080"], "python3", "-c", WEB)
    assert in_namespace(box.host.ns, fetch_all, "127.0.0.1", 0, 1000) == 1000
    got, gate = [], threading.Barrier(100)

    def one(i):
        gate.wait()
        got.append(in_namespace(box.host.ns, fetch_all, LOOPBACK[i % 2], 1000 * i, 3))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(100)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == [3] * 100


def test_the_loopback_alone(box):
    box.serve(["8080"], "0.0.0.0")
    for address in LOOPBACK:
        assert ask(box.host.connect(address), b"echo", b"hello") == b"hello"
    for address in ("127.0.0.2", V4, V6):
        assert box.host.refuses(address)


def test_another_port_of_the_host(box):
    box.serve(["9000:8080"])
    for address in LOOPBACK:
        assert ask(box.host.connect(address, 9000), b"echo", b"hello") == b"hello"
        assert box.host.refuses(address, 8080)


@pytest.mark.parametrize("item, open_at", [
    (f"{V4}:9000:8080", [V4]), (f"[{V6}]:9000:8080", [V6]), ("127.0.0.2:9000:8080", ["127.0.0.2"]),
    ("0.0.0.0:9000:8080", ["127.0.0.1", "127.0.0.2", V4]), ("[::]:9000:8080", ["::1", V6]),
], ids=["IPv4", "IPv6", "loopback", "any IPv4", "any IPv6"])
def test_an_address_and_no_other(box, item, open_at):
    box.serve([item])
    for address in ("127.0.0.1", "127.0.0.2", "::1", V4, V6):
        if address in open_at:
            assert ask(box.host.connect(address, 9000), b"echo", b"hello") == b"hello"
        else:
            assert box.host.refuses(address, 9000)


def test_both_families_of_one_port(box):
    box.serve(["0.0.0.0:9000:8080", "[::]:9000:8080"])
    for address in (V4, V6):
        assert ask(box.host.connect(address, 9000), b"echo", b"hello") == b"hello"


@pytest.mark.parametrize("inside", [["127.0.0.1"], ["0.0.0.0"], ["::1"], ["::"]], ids="".join)
def test_wherever_the_server_listens(box, inside):
    box.serve(["8080"], *inside)
    for address in LOOPBACK:
        for _ in range(3):
            assert ask(box.host.connect(address), b"echo", b"hello") == b"hello"


def test_big_bodies_and_a_half_close(box):
    box.serve(["8080"])
    data = os.urandom(1 << 20) * 24
    want = f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode()
    assert ask(box.host.connect("127.0.0.1"), b"sum", data) == want
    got = ask(box.host.connect("127.0.0.1"), b"give %d" % (24 << 20))
    assert got == bytes(range(256)) * 256 * 384
    s = box.host.connect("::1")
    s.sendall(b"echo\n")
    sender = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
    sender.start()
    assert hashlib.sha256(rest(s)).hexdigest() == hashlib.sha256(data).hexdigest()
    sender.join()
    s.close()


def test_resets_are_passed_on(box):
    child = box.serve(["8080"])
    s = box.host.connect("127.0.0.1")
    s.sendall(b"reset\n")
    with pytest.raises(ConnectionResetError):
        while s.recv(100):
            pass
    s.close()
    s = box.host.connect("127.0.0.1")
    s.sendall(b"told\n")
    assert greeted(s)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    s.close()
    assert child.stdout.readline() == "reset\n"
    s = box.host.connect("127.0.0.1")
    s.sendall(b"told\n")
    assert greeted(s)
    s.close()
    assert child.stdout.readline() == "end\n"


def test_before_the_server_listens_clients_are_reset(box):
    child = box.serve(["8080"], "wait", "127.0.0.1", ready="waiting")
    for address in LOOPBACK:
        with pytest.raises(ConnectionResetError), box.host.connect(address) as s:
            s.recv(1)
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline() == "ready\n"
    assert ask(box.host.connect("127.0.0.1"), b"echo", b"hello") == b"hello"


# ---- how many at once ----

def held(host, count):
    """Connections that are sent a line; those that are answered, by number."""
    all_of_them = [host.connect("127.0.0.1") for _ in range(count)]
    for s in all_of_them:
        s.sendall(b"hold\n")
    return all_of_them


def greeted(s):
    s.settimeout(DEADLINE)
    return s.recv(5, socket.MSG_WAITALL) == b"held\n"


def is_quiet(s):
    s.setblocking(False)
    try:
        return s.recv(1, socket.MSG_PEEK) is None
    except BlockingIOError:
        return True


def test_more_than_the_pool_wait(box):
    box.serve(["8080"], options=["--open-files", "4096"])
    all_of_them = held(box.host, 140)
    assert all(greeted(s) for s in all_of_them[:128])
    assert all(is_quiet(s) for s in all_of_them[128:])
    for s in all_of_them[:128]:
        s.close()
    assert all(greeted(s) for s in all_of_them[128:])
    for s in all_of_them[128:]:
        s.close()


OUTGOING = f"""
import socket
out = socket.create_connection(("{V4}", 7000), timeout=20)
print("out", flush=True)
"""


def test_they_count_in_max_connections(box):
    box.serve(["8080"], options=["--max-connections", "2"])
    one, two, three = held(box.host, 3)
    assert greeted(one) and greeted(two) and is_quiet(three)
    one.close()
    assert greeted(three)
    for s in (two, three):
        s.close()


def test_outgoing_ones_leave_the_rest(box):
    """One that goes out, of two: one may come in, the other waits."""
    with box.host.listen(V4, 7000) as listener:
        child = box.spawn(["8080"], "python3", "-c",
                          OUTGOING + SERVER, "127.0.0.1", ready="out",
                          options=["--max-connections", "2", "--allow-net", f"{V4}:7000"])
        assert child.stdout.readline() == "ready\n"
        out = listener.accept()[0]
        one, two = held(box.host, 2)
        assert greeted(one) and is_quiet(two)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        out.close()
        assert greeted(two)
        one.close()
        two.close()


# ---- what cannot be had ----

def fails(done, *words):
    """As refused(), but a warning may come before; what errors are called is the C library's."""
    done.stderr = "".join(x for x in done.stderr.splitlines(True) if " warning: " not in x)
    refused(done, 125, *words)


@pytest.mark.parametrize("held_at, item, named", [
    ("127.0.0.1", "8080", "127.0.0.1:8080"), ("::1", "8080", "[::1]:8080"),
    ("0.0.0.0", "8080", "127.0.0.1:8080"), (V4, f"{V4}:8080", f"{V4}:8080"),
    ("127.0.0.1", "0.0.0.0:8080", "0.0.0.0:8080"), ("::1", "[::]:8080", "[::]:8080")],
    ids=["IPv4", "IPv6", "everything", "address", "any IPv4", "any IPv6"])
def test_a_port_in_use(box, held_at, item, named):
    with box.host.listen(held_at):
        done = box.run([item], "echo", "started")
    fails(done, f"publish: listen on {named}: Address", "in use", "ss -ltn",
          f"--publish {item.rpartition(':8080')[0]}:18080:8080".replace(" :", " "))


def test_a_port_of_another_sandbox(box):
    box.serve(["8080"])
    fails(box.run(["8080"], "true"), "127.0.0.1:8080: Address", "in use")
    name, done = box.detach(["8080"], "true")
    fails(done, "127.0.0.1:8080: Address", "in use")
    assert name not in ok(box.purple("ps", "-a"))


def test_nothing_is_held_after_a_conflict(box):
    with box.host.listen("127.0.0.1", 8081):
        refused(box.run(["8080", "8081"], "true"), 125, "127.0.0.1:8081")
    assert all(box.host.refuses(a) for a in LOOPBACK)
    box.host.listen("127.0.0.1").close()


def test_a_privileged_port(box):
    if box.runner.uid == 0:
        box.serve(["80:8080"])
        assert ask(box.host.connect("127.0.0.1", 80), b"echo", b"hello") == b"hello"
    else:
        refused(box.run(["80:8080"], "true"), 125, "listen on 127.0.0.1:80: Permission denied",
                "ip_unprivileged_port_start", "--publish 10080:8080")


def test_an_address_that_is_not_of_this_host(box):
    refused(box.run(["10.9.0.77:8080"], "true"), 125,
            "listen on 10.9.0.77:8080: ", "ip address")


def test_a_host_without_ipv6(as_user):
    host = Host()
    sh(host.ns, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
    box = Box(host, as_user)
    try:
        box.serve(["8080"])
        assert ask(host.connect("127.0.0.1"), b"echo", b"hello") == b"hello"
        refused(box.run(["[::1]:9000:8080"], "true"), 125, "listen on [::1]:9000")
    finally:
        box.close()
        host.close()


def test_too_few_descriptors(box):
    done = subprocess.run(["prlimit", "--nofile=200:200", *box.argv(
        "run", *box.options(["8080"]), "--", "true")], capture_output=True, text=True, timeout=60,
        check=False, stdin=subprocess.DEVNULL, cwd=box.runner.workspace, env=box.runner.env)
    refused(done, 125, "network", "descriptors")


def test_isolated_is_isolated(box):
    done = box.purple("run", "--publish", "8080", "--", "sh", "-c", "echo in; read x || true")
    assert ok(done) == "in\n"
    assert "this has no effect" in done.stderr


# ---- its end ----

def test_the_port_is_free_at_once(box):
    """Also while connections that it had are in TIME_WAIT, for us and for the next sandbox."""
    for _ in range(3):
        child = box.serve(["8080"])
        for address in LOOPBACK:
            with box.host.connect(address) as s:
                s.sendall(b"give 65536\n")
                assert len(rest(s)) == 65536  # it ends first, so the host's side is its
        box.end(child)
        for address in LOOPBACK:
            box.host.listen(address).close()


def test_an_open_connection_ends_with_the_sandbox(box):
    child = box.serve(["8080"])
    s, = held(box.host, 1)
    assert greeted(s)
    box.end(child)
    with contextlib.suppress(ConnectionResetError):
        assert s.recv(1) == b""
    s.close()
    assert box.host.refuses("127.0.0.1")


def test_the_last_answer_arrives(box):
    """What the server has sent, and ended at once, is all there."""
    script = """
import socket
s = socket.create_server(("127.0.0.1", 8080))
print("ready", flush=True)
c = s.accept()[0]
c.recv(100)
c.sendall(b"x" * 1000000)
"""
    child = box.spawn(["8080"], "python3", "-c", script)
    with box.host.connect("127.0.0.1") as s:
        s.sendall(b"go")
        assert len(rest(s)) == 1000000
    assert child.wait(timeout=60) == 0


@pytest.mark.parametrize("who", ["supervisor", "helper"])
def test_killed(box, who):
    child = box.serve(["8080"])
    s, = held(box.host, 1)
    assert greeted(s)
    helper = helper_of(child.pid)
    os.kill(child.pid if who == "supervisor" else helper, signal.SIGKILL)
    assert eventually(lambda: not alive(helper), 20)
    assert all(box.host.refuses(a) for a in LOOPBACK)
    with contextlib.suppress(ConnectionResetError):
        assert s.recv(1) == b""
    s.close()
    for address in LOOPBACK:
        box.host.listen(address).close()
    if who == "helper":
        box.end(child)


def test_nobody_is_let_in_while_the_last_bytes_go_out(box):
    """purple-net has 2 s for those. On a busy machine it may be seen too late: then again."""
    def refused_before_it_ends():
        child = box.serve(["8080"])
        with box.host.connect("127.0.0.1") as s:
            s.sendall(b"fill\n")
            assert child.stdout.readline() == "full\n"
            helper = helper_of(child.pid)
            child.kill()
            assert eventually(lambda: box.host.refuses("127.0.0.1"), 20)
            with contextlib.suppress(OSError):
                return os.listdir(f"/proc/{helper}/fd") != []  # one that exits has none
            return False
    assert any(refused_before_it_ends() for _ in range(5))


def test_a_detached_one(box):
    name, done = box.detach(["9000:8080"], "sh", "-c",
                            'while :; do python3 -c "$0" 127.0.0.1; done', SERVER + "import time\n"
                            "time.sleep(1000)\n")
    ok(done)

    def serves():
        with contextlib.suppress(ConnectionResetError):
            return ask(box.host.connect("127.0.0.1", 9000), b"echo", b"hello") == b"hello"
        return False
    assert eventually(serves, 20)
    ok(box.purple("stop", "-t", "0", name))
    assert eventually(lambda: all(box.host.refuses(a, 9000) for a in LOOPBACK), 20)
    for address in LOOPBACK:
        box.host.listen(address, 9000).close()


def test_the_plan_shows_it(box):
    plan = json.loads(ok(box.purple("plan", "--json", *box.options(["9000:8080"]))))["network"]
    assert plan["publish"] == [
        {"address": "127.0.0.1", "port": 9000, "inside": 8080, "optional": 0},
        {"address": "::1", "port": 9000, "inside": 8080, "optional": 1}]
    assert plan["published_connections"] == 128
    text = ok(box.purple("plan", *box.options(["0.0.0.0:9000:8080"])))
    assert "publish       0.0.0.0:9000, to port 8080 inside\n" in text
