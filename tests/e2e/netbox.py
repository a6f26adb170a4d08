# SPDX-License-Identifier: Apache-2.0
"""
The host's side for tests of the network: a network namespace of the test's own, in which the
launcher runs, with servers at addresses that are public elsewhere, and dnsmasq. A module that
imports the fixtures `host` and `box` has one of its own.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import textwrap

import pytest

from people import UNPRIVILEGED
from running import children_of, eventually

SERVER, OTHER, PRIVATE, DNS = "93.184.216.34", "93.184.216.35", "10.9.9.9", "93.184.216.53"
NAMES = {"example.com": SERVER, "a.example.org": SERVER, "secret.test": SERVER,
         "inside.test": PRIVATE, "moved.test": OTHER}

needs_servers = pytest.mark.skipif(
    not (shutil.which("dnsmasq", path="/usr/sbin:/usr/bin:/sbin:/bin") and
         shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin")),
    reason="needs dnsmasq and ip")

# Port 8000: one line that says whom it was asked for. 9000: what comes is sent back, to the end,
# and a datagram to the first address.
# 9001: reads late; says how much it was.
SERVERS = r"""
import http.server, os, socket, socketserver, subprocess, sys, threading, time
addresses = sys.argv[1].split(",")
for a in addresses:
    subprocess.run(["ip", "address", "add", a + "/32", "dev", "lo"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("served %s" % self.headers["Host"]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a):
        pass

class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
        self.request.sendall(b"end")

class Slow(socketserver.BaseRequestHandler):
    def handle(self):
        time.sleep(1)
        size = 0
        try:
            while data := self.request.recv(65536):
                size += len(data)
        finally:
            print(size, flush=True)

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

def echo_datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((addresses[0], 9000))
        while True:
            s.sendto(*s.recvfrom(65536))

threading.Thread(target=echo_datagrams, daemon=True).start()
for port, handler in ((8000, Page), (8001, Page), (9000, Echo), (9001, Slow)):
    server = Server(("0.0.0.0", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


class Host:
    """The host's side. Its queries() are what dnsmasq was asked."""

    def __init__(self, directory):
        self.log = directory / "queries"
        addresses = ",".join([SERVER, OTHER, PRIVATE, DNS])
        self.servers = subprocess.Popen(
            ["unshare", "--net", "--", sys.executable, "-c", SERVERS, addresses],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.servers.stdout.readline() == "ready\n"
        self.dns = subprocess.Popen(
            self.inside() + ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv",
                             "--no-hosts", "--bind-interfaces", f"--listen-address={DNS}",
                             "--user=root", "--log-queries", f"--log-facility={self.log}",
                             *(f"--address=/{n}/{a}" for n, a in NAMES.items())],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        table = pathlib.Path(f"/proc/{self.servers.pid}/net/udp")
        assert eventually(lambda: ":0035 " in table.read_text(), 20)

    def inside(self):
        return ["nsenter", f"--net=/proc/{self.servers.pid}/ns/net"]

    def queries(self):
        return self.log.read_text() if self.log.exists() else ""

    def close(self):
        for child in (self.dns, self.servers):
            child.kill()
            child.wait()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    made = Host(tmp_path_factory.mktemp("host"))
    yield made
    made.close()


class Box:
    """Runs purple in the host's side, as one user, with a policy of the test's."""

    def __init__(self, host, runner):
        self.host, self.runner, self.names = host, runner, []

    def argv(self, *words):
        who = [] if self.runner.uid == 0 else [
            "setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
        return [*self.host.inside(), *who, self.runner.purple, *words]

    def options(self, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return {"cwd": self.runner.workspace, "env": self.runner.env, **kw}

    def policy(self, allow=(), block=(), extra=""):
        rules = (f"network:\n  isolated: false\n  dns_servers: ['{DNS}']\n"
                 f"  allow_outgoing: {json.dumps(list(allow))}\n"
                 f"  blocked_ips: {json.dumps(list(block))}\n")
        return str(self.runner.write("net.yaml", rules + extra))

    def purple(self, *words):
        return subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=60,
                              check=False, **self.options())

    def run(self, script, allow=(), block=(), options=()):
        """The output of a Python @script inside."""
        policy = self.policy(allow, block)
        return self.purple("run", "-p", policy, *options, "--", "python3", "-c",
                           HELPERS + textwrap.dedent(script))


# `attempt()` says in a word how a connection ended.
HELPERS = """
import socket, sys, time, os
def attempt(host, port=8000, data=None):
    data = data or b"GET / HTTP/1.0\\r\\nHost: " + host.encode() + b"\\r\\n\\r\\n"
    try:
        s = socket.create_connection((host, port), timeout=20)
    except socket.gaierror:
        return "no name"
    except OSError:
        return "refused"
    try:
        s.sendall(data)
        answer = b""
        while part := s.recv(65536):
            answer += part
    except OSError:
        return "refused"
    return answer.decode().rpartition("\\n")[2] if b" 200 " in answer else "refused"
"""


@pytest.fixture
def box(host, as_user):
    made = Box(host, as_user)
    yield made
    for name in made.names:
        made.purple("rm", "-f", name)


def helper_of(supervisor):
    """The purple-net among the children of @supervisor."""
    for child in children_of(supervisor):
        try:
            if pathlib.Path(f"/proc/{child}/comm").read_text() == "purple-net\n":
                return child
        except OSError:
            continue
    return None
