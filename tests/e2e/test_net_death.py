# SPDX-License-Identifier: Apache-2.0
"""
purple-net killed, stopped, without descriptors, without memory: connections end, nothing gets out
past it, the report says why, and the sandbox goes on. Nobody answers at the canary's ports, and
nobody may come: no rule lists them.
"""
import contextlib
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys

import pytest

import netpair as net
from running import alive, eventually, needs_root, ok
from test_net_control import program
from netbox import PRIVATE, SERVER, box, helper_of, host, needs_servers  # noqa: F401

pytestmark = [needs_root, needs_servers]

CANARY, DEEP = 7000, 7001


class Canary:
    """Sockets of the host's side. @deep is allowed, and takes connections without a word."""

    def __init__(self, host):
        ns = os.open(f"/proc/{host.servers.pid}/ns/net", os.O_RDONLY)
        self.tcp, self.udp, self.deep = net.in_namespace(ns, self.make)
        os.close(ns)

    @staticmethod
    def make():
        made = []
        for port in CANARY, DEEP:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("0.0.0.0", port))
            s.listen(4096)
            s.setblocking(False)
            made.append(s)
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.bind(("0.0.0.0", CANARY))
        u.setblocking(False)
        return made[0], u, made[1]

    def is_silent(self):
        with contextlib.suppress(BlockingIOError):
            return not self.tcp.accept()
        with contextlib.suppress(BlockingIOError):
            return not self.udp.recvfrom(1)
        return True

    def drop(self):
        """What has come to @deep."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self.deep.accept()[0].close()
                count += 1
        return count

    def close(self):
        for s in self.tcp, self.udp, self.deep:
            s.close()


@pytest.fixture
def canary(host):
    made = Canary(host)
    yield made
    assert made.is_silent()
    made.close()


def test_the_canary_sees_who_comes(host, canary, box):
    """Else these tests would say nothing: with a rule for it, it is reached."""
    script = f"socket.create_connection(('{SERVER}', {CANARY}))"
    ok(box.run(script, [f"{SERVER}:{CANARY}"]))
    assert not canary.is_silent()
    script = f"""
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.sendto(b"x", ("{SERVER}", {CANARY}))
    """
    ok(box.run(script, [f"{SERVER}:{CANARY}/udp"]))
    assert eventually(lambda: not canary.is_silent(), 20)


# Everything that could be a way out; then a word that nobody else has said.
WAYS = f"""
    def ways():
        for host in "{SERVER}", "{PRIVATE}", "example.com", "127.0.0.1", "secret.test":
            print(host, attempt(host, {CANARY}))
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                u.connect((host, {CANARY}))
                u.send(b"canary")
                u.send(b"canary")
                print(host, "sent")
            except OSError:
                print(host, "refused")
        for server in "{SERVER}", "198.18.0.1":
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            u.connect((server, 53))
            u.settimeout(20)
            try:
                u.send(b"\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6secret\\4test\\0\\0\\1\\0\\1")
                print(server, "answered", u.recv(512)[3] & 15)
            except OSError:
                print(server, "refused")
"""

# A stream both ways without an end.
STREAM = WAYS + """
    import threading
    s = socket.create_connection(("example.com", 9000), timeout=60)
    def send():
        try:
            while True:
                s.sendall(bytes(65536))
        except OSError:
            pass
    threading.Thread(target=send, daemon=True).start()
    size, told = 0, 1 << 22
    try:
        while part := s.recv(1 << 16):
            size += len(part)
            if size > told:
                told = size + (1 << 22)
                print("moves", flush=True)
        print("ended")
    except ConnectionResetError:
        print("reset")
    ways()
    print(sum(range(1000)), flush=True)
"""


class Run:
    """A sandbox that runs, its report, and its purple-net."""

    def __init__(self, box, script, *words, allow=("example.com:9000",), name=None):
        self.report = box.runner.workspace / "report.json"
        options = ["--name", name] if name else []
        self.child = subprocess.Popen(
            box.argv("run", "-p", box.policy(list(allow)), *options, *words, "--report",
                     str(self.report), "--", "python3", "-c", program(script)),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **box.options(stdin=subprocess.PIPE))

    def line(self):
        return self.child.stdout.readline().strip()

    def helper(self):
        assert eventually(lambda: helper_of(self.child.pid), 20)
        return helper_of(self.child.pid)

    def end(self, said=""):
        """(its output, its errors, the report)."""
        out, errors = self.child.communicate(said, timeout=90)
        assert self.child.returncode == 0, errors
        return out.splitlines(), errors, json.loads(self.report.read_text())

    def close(self):
        self.child.kill()
        self.child.communicate()


@pytest.fixture
def run(box):
    made = []

    def make(*words, **kw):
        made.append(Run(box, *words, **kw))
        return made[-1]
    yield make
    for one in made:
        one.close()


def limit(pid, what, soft):
    """Set a soft limit of @pid, as whoever it runs as: root may lack CAP_SYS_RESOURCE."""
    ids = [line.split()[1] for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
           if line.startswith(("Uid:", "Gid:"))]
    script = (f"import resource as r; h = r.prlimit({pid}, {int(what)})[1]; "
              f"r.prlimit({pid}, {int(what)}, ({soft}, h))")
    subprocess.run(["setpriv", f"--reuid={ids[0]}", f"--regid={ids[1]}", "--clear-groups",
                    sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("sig", [
    signal.SIGKILL, signal.SIGTERM,
    pytest.param(signal.SIGSEGV, marks=pytest.mark.not_sanitized("its runtime takes SIGSEGV"))],
                         ids=lambda s: s.name)
def test_killed_in_the_middle_of_a_stream(canary, run, sig):
    one = run(STREAM)
    assert one.line() == "moves"
    helper = one.helper()
    os.kill(helper, sig)
    out, errors, report = one.end()
    out = [line for line in out if line != "moves"]
    assert out[0] in ("reset", "ended")
    said = dict(line.rsplit(" ", 1) for line in out[1:-1])
    assert set(said.values()) <= {"refused", "no name", "name"}, out
    assert out[-1] == str(sum(range(1000))), "the sandbox goes on"
    assert not alive(helper)
    why = f"killed by signal {int(sig)}"
    assert (report["network"], report["network_reason"]) == ("died", why)
    assert (report["reason"], report["status"]) == ("exited", 0)
    assert f"purple-net died ({why})" in errors


def test_stopped(canary, box, run):
    """It answers nobody, so nothing gets out; its supervisor waits for nothing of it."""
    name = f"held-{os.getpid()}-{box.runner.name}"
    one = run("""
        s = socket.create_connection(("example.com", 9000), timeout=60)
        s.sendall(bytes(10))
        print(len(s.recv(10)), flush=True)
        sys.stdin.readline()
        c = socket.socket()
        c.settimeout(1)
        try:
            c.connect(("%s", %d))
            c.sendall(b"canary")
            print(c.recv(1))
        except OSError as e:
            print(type(e).__name__, flush=True)
        sys.stdin.readline()
    """ % (SERVER, CANARY), name=name)
    assert one.line() == "10"
    helper = one.helper()
    os.kill(helper, signal.SIGSTOP)
    try:
        show = subprocess.Popen(box.argv("net", "show", name), stderr=subprocess.PIPE, text=True,
                                **box.options())
        ok(box.purple("stats", name))
        ok(box.purple("exec", name, "--", "true"))
        one.child.stdin.write("\n")
        one.child.stdin.flush()
        assert one.line() == "TimeoutError"
        _, errors = show.communicate(timeout=60)
        assert show.returncode == 125 and "does not answer" in errors
        _, _, report = one.end("\n")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(helper, signal.SIGCONT)
    assert "network" not in report, "we have ended it, it did not die"
    assert not alive(helper)


def holds(pid, what):
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if what in os.readlink(fd):
                return True
    return False


def test_killed_while_somebody_asks(canary, box, run):
    name = f"asked-{os.getpid()}-{box.runner.name}"
    one = run("""
        s = socket.create_connection(("example.com", 9000), timeout=60)
        print("open", flush=True)
        sys.stdin.readline()
    """, name=name)
    assert one.line() == "open"
    helper = one.helper()
    os.kill(helper, signal.SIGSTOP)
    asked = [subprocess.Popen(box.argv("net", *words), stderr=subprocess.PIPE, text=True,
                              **box.options())
             for words in (["show", name], ["deny", name, "example.com:9000"])]
    # The supervisor has heard the first, and waits for nothing itself.
    assert eventually(lambda: holds(one.child.pid, "memfd:shown"), 20)
    ok(box.purple("stats", name))
    os.kill(helper, signal.SIGKILL)
    for child in asked:
        _, errors = child.communicate(timeout=60)
        assert child.returncode == 125 and "killed by signal 9" in errors, errors
    one.end("\n")


# The first stays and is used throughout; then many more.
MANY = WAYS + """
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    first = socket.create_connection(("example.com", 9000), timeout=60)
    def echo():
        first.sendall(bytes(1000))
        size = 0
        while size < 1000:
            size += len(first.recv(1000))
        return "alive"
    print(echo(), flush=True)
    count, host, port = int(sys.stdin.readline()), "example.com", 7001
    address = socket.gethostbyname(host)
    kept, refused = [], 0
    for _ in range(count):
        s = socket.socket()
        s.settimeout(30)
        try:
            s.connect((address, port))
            kept.append(s)
        except OSError:
            refused += 1
    for s in kept:
        s.settimeout(0)
    end = time.monotonic() + 30
    open_ = list(kept)
    while len(open_) >= MOST_OPEN and time.monotonic() < end:
        for s in list(open_):
            try:
                if not s.recv(1):
                    raise ConnectionResetError
            except BlockingIOError:
                continue
            except OSError:
                open_.remove(s)
        time.sleep(0.05)
    print(len(open_), refused, echo(), flush=True)
    sys.stdin.readline()
    del s
    for s in kept:
        s.close()
    ways()
    end = time.monotonic() + 20
    while (word := attempt("example.com", 8000)) in ("refused", "no name") and \
            time.monotonic() < end:
        time.sleep(0.1)
    print(word, echo(), flush=True)
"""


def many(run, most, *words):
    """Waits until fewer than @most of those that were opened are left."""
    script = MANY.replace("MOST_OPEN", str(most))
    return run(script, *words, allow=["example.com:9000", "example.com:7001", "example.com:8000"])


def test_without_descriptors(canary, run):
    """Those that are open go on; the others are refused at once; when there is room, all is well."""
    one = many(run, 60)
    assert one.line() == "alive"
    helper = one.helper()
    used = len(os.listdir(f"/proc/{helper}/fd"))
    limit(helper, resource.RLIMIT_NOFILE, used + 100)
    one.child.stdin.write("300\n")
    one.child.stdin.flush()
    left, refused, word = one.line().split()
    assert word == "alive" and 10 <= int(left) <= 60, (left, refused)
    assert len(os.listdir(f"/proc/{helper}/fd")) <= used + 100
    assert canary.drop() >= 10
    out, errors, report = one.end("\n")
    assert out[-1] == "served example.com alive"
    assert not alive(helper) and "network" not in report
    assert "too many connections" in {d["reason"] for d in report["denials"]}
    assert "open files" in errors


def test_none_at_all(canary, run):
    """Not one more descriptor: nothing new, and what there is goes on."""
    one = many(run, 21)
    assert one.line() == "alive"
    helper = one.helper()
    limit(helper, resource.RLIMIT_NOFILE, 0)
    one.child.stdin.write("20\n")
    one.child.stdin.flush()
    left, refused, word = one.line().split()
    assert word == "alive" and int(left) + int(refused) == 20
    assert canary.drop() == 0
    limit(helper, resource.RLIMIT_NOFILE, 4096)
    assert eventually(lambda: canary.drop() > 0, 30), "there is room again"
    out, _, report = one.end("\n")
    assert out[-1] == "served example.com alive"
    assert "network" not in report


def test_without_memory(canary, run):
    """It has all its memory from the start."""
    one = run(STREAM)
    assert one.line() == "moves"
    helper = one.helper()
    for what in resource.RLIMIT_AS, resource.RLIMIT_DATA:
        limit(helper, what, 4096)
    for _ in range(50):
        assert one.line() == "moves"
    assert alive(helper)
    os.kill(helper, signal.SIGKILL)
    assert one.end()[2]["network_reason"] == "killed by signal 9"


def test_thousands_of_connections(canary, run):
    """As many as there may be are held, in little memory, and the others refused at once."""
    one = many(run, 2000, "--max-connections=2000")
    assert one.line() == "alive"
    helper = one.helper()
    one.child.stdin.write("3000\n")
    one.child.stdin.flush()
    left, refused, word = one.line().split()
    assert (word, int(left)) == ("alive", 1999), (left, refused)
    pss = [int(line.split()[1]) for line in
           pathlib.Path(f"/proc/{helper}/smaps_rollup").read_text().splitlines()
           if line.startswith("Pss:")][0]
    assert pss < 32 << 10, f"{pss} KiB"
    assert canary.drop() == 1999
    out, errors, report = one.end("\n")
    assert out[-1] == "served example.com alive"
    assert "too many connections" in {d["reason"] for d in report["denials"]}
    assert "network.max_connections" in errors
