# SPDX-License-Identifier: Apache-2.0
"""`purple serve --metrics`: who scrapes gets an answer, whatever others do to the server."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from running import eventually, ok, refused
from test_metrics import detached, metrics, parse, promtool, supervisor, unique, value

pytestmark = pytest.mark.usefixtures("session_runtime")
PLACES = 64


class Server:
    """One `purple serve` at a free port of the loopback."""

    def __init__(self, runner, *options, address="127.0.0.1:0"):
        self.runner = runner
        self.process = runner.popen([runner.purple, "serve", "--metrics", address, *options],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.line = self.process.stdout.readline()
        match = re.fullmatch(r"purple serve: http://(.*):(\d+)/metrics\n", self.line)
        assert match, self.line + self.process.stderr.read()
        self.host, self.port = match[1], int(match[2])

    def ask(self, path="/metrics", method="GET", headers=None, seconds=30):
        """Status, headers, text."""
        c = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=seconds)
        try:
            c.request(method, path, headers=headers or {})
            answer = c.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            c.close()

    def connect(self, data=b""):
        s = socket.create_connection((self.host.strip("[]"), self.port), timeout=30)
        if data:
            s.sendall(data)
        return s

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        out, err = self.process.communicate(timeout=20)
        assert (out, err) == ("", ""), out + err
        return self.process.returncode


@pytest.fixture
def server(as_user):
    s = Server(as_user)
    yield s
    assert s.close() == 0


def closed(s, seconds=20):
    """Whether the other side ends it in that time; what it sends before is dropped."""
    s.settimeout(seconds)
    try:
        while s.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def test_routes(server):
    status, headers, text = server.ask()
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert value(parse(text)[0], "purple_build_info") == 1
    assert server.ask(method="HEAD")[::2] == (200, "")
    for path in ("/healthz", "/readyz"):
        assert server.ask(path)[::2] == (200, "ok\n")
    for path in ("/", "/metrics/", "/metrics/../metrics", "/etc/passwd", "/%2e%2e", "//metrics"):
        assert server.ask(path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "NOSUCH"):
        status, headers, _ = server.ask(method=method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD"), method


@pytest.mark.parametrize("host,status", [
    ("127.0.0.1", 200), ("localhost:9464", 200), ("[::1]:1", 200), ("evil.example", 403),
    ("localhost.evil.example:80", 403), ("127.0.0.1.nip.example", 403), ("a" * 300, 403)])
def test_a_web_page_does_not_read_it_by_a_name_of_its_own(server, host, status):
    assert server.ask(headers={"Host": host})[0] == status


def test_promtool_has_no_complaint(as_user, server):
    if not shutil.which("promtool"):
        pytest.skip("not installed: promtool")
    with detached(as_user, unique(as_user, "served")):
        promtool(server.ask()[2])


@pytest.mark.parametrize("bytes_", [
    b"\0" * 100, b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff",
], ids=["zeros", "no-path", "version", "tls", "length", "headers", "long-path", "chunks"])
def test_rubbish(server, bytes_):
    with server.connect() as s:
        with contextlib.suppress(OSError):
            s.sendall(bytes_)
            s.shutdown(socket.SHUT_WR)
        assert closed(s)
    assert server.ask("/healthz")[0] == 200


def test_a_thousand_idle_connections(server):
    with contextlib.ExitStack() as open_:
        for _ in range(1000):
            open_.enter_context(server.connect())
        assert server.ask()[0] == 200
        held = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        assert held < PLACES + 20, held
    assert server.ask()[0] == 200


def test_a_request_that_never_ends(server):
    """Bytes that trickle do not make a connection live for longer than others may."""
    with contextlib.ExitStack() as open_:
        slow = [open_.enter_context(server.connect(b"GET /metrics HTTP/1.1\r\nHost: x"))
                for _ in range(PLACES)]
        assert server.ask()[0] == 200, "the oldest has made room"
        end = time.monotonic() + 40
        left = slow
        while left and time.monotonic() < end:
            alive = []
            for s in left:
                try:
                    s.sendall(b"x")
                    s.setblocking(False)
                    if s.recv(1000):
                        continue
                except BlockingIOError:
                    s.setblocking(True)
                    alive.append(s)
                except OSError:
                    continue
            left = alive
            time.sleep(0.2)
        assert not left, f"{len(left)} trickle on"


def test_one_supervisor_that_hangs(as_user, server):
    hangs, lives = unique(as_user, "shung"), unique(as_user, "slive")
    with detached(as_user, hangs, lives):
        pid = supervisor(as_user, hangs)
        os.kill(pid, signal.SIGSTOP)
        try:
            samples = parse(server.ask()[2])[0]
        finally:
            os.kill(pid, signal.SIGCONT)
        assert value(samples, "purple_sandbox_answers", sandbox=hangs) == 0
        assert value(samples, "purple_sandbox_answers", sandbox=lives) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_its_end_ends_no_sandbox(as_user, how):
    name = unique(as_user, "stays")
    with detached(as_user, name):
        s = Server(as_user)
        assert s.ask()[0] == 200
        s.process.send_signal(how)
        s.process.communicate(timeout=20)
        assert s.process.returncode == (-9 if how == signal.SIGKILL else 0)
        assert value(metrics(as_user), "purple_sandbox_answers", sandbox=name) == 1


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_it_is_confined(as_user, server):
    """No capability, no new privilege, a filter; nothing open but what it needs; one thread."""
    server.ask()
    pid = server.process.pid
    have = status_of(pid)
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(have[field], 16) == 0, field
    assert (have["NoNewPrivs"], have["Seccomp"], have["Threads"]) == ("1", "2", "1")
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        assert int(fd) <= 2 or target.endswith("/sandboxes") or \
            re.match(r"socket:|anon_inode:", target), target


@pytest.mark.parametrize("address,options,words", [
    ("0.0.0.0:0", [], "--listen-any"), ("[::]:0", [], "--listen-any"),
    ("nosuch", [], "no address"), ("127.0.0.1", [], "no address"), ("127.0.0.1:", [], "no address"),
    ("127.0.0.1:65536", [], "no address"), ("127.0.0.1:-1", [], "no address"),
    ("host.example:80", [], "no address"), ("[127.0.0.1]:80", [], "no address"),
    ("[::1:80", [], "no address"), ("192.0.2.1:9464", ["--listen-any"], "192.0.2.1:9464")])
def test_addresses_that_are_refused(as_user, address, options, words):
    done = as_user.run([as_user.purple, "serve", "--metrics", address, *options])
    refused(done, 125, words)


def test_a_port_that_is_taken(as_user, server):
    done = as_user.run([as_user.purple, "serve", "--metrics", f"127.0.0.1:{server.port}"])
    refused(done, 125, "Address already in use")


def test_every_address(as_user):
    s = Server(as_user, "--listen-any", address="0.0.0.0:0")
    try:
        s.host = "127.0.0.1"
        assert s.ask(headers={"Host": "metrics.example"})[0] == 200
    finally:
        assert s.close() == 0


def test_without_an_address(as_user):
    refused(as_user.run([as_user.purple, "serve"]), 125, "what to serve", "--metrics")


def test_ready_until_the_directory_is_gone(as_user, server):
    if as_user.uid == 0:
        pytest.skip("root's directory is everybody's here")
    shutil.rmtree(as_user.sandboxes.parent)
    assert server.ask("/readyz")[0] == 503
    assert server.ask()[0] == 503
    assert server.ask("/healthz")[0] == 200


class Prometheus:
    """A real one, which scrapes @port every second, in a directory of its own."""

    def __init__(self, directory, port):
        (directory / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
            "scrape_configs:\n"
            f"- {{job_name: purple, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n",
            encoding="utf-8")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = open(directory / "log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={directory}/prometheus.yml",
             f"--storage.tsdb.path={directory}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            cwd=directory, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def query(self, expression):
        """[(labels, value)]; None: it does not answer yet."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + \
            urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                body = json.load(answer)
        except OSError:
            return None
        assert body["status"] == "success", body
        return [(r["metric"], float(r["value"][1])) for r in body["data"]["result"]]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture
def prometheus(tmp_path):
    if not shutil.which("prometheus"):
        pytest.skip("not installed: prometheus")
    running = []

    def start(port):
        running.append(Prometheus(tmp_path, port))
        return running[-1]

    yield start
    for p in running:
        p.close()


def never_read(server):
    """As many as there are places ask for much and read nothing; then one asks who reads."""
    with contextlib.ExitStack() as open_:
        deaf = []
        for _ in range(PLACES):
            s = open_.enter_context(socket.socket())
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            s.connect((server.host, server.port))
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            deaf.append(s)
        # That the answer does not fit into what the kernel holds for them is the point of this.
        assert eventually(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) > PLACES, 10)
        assert server.ask()[0] == 200
        assert eventually(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) < PLACES, 40)
        assert server.ask()[0] == 200


def test_a_real_prometheus_scrapes_fifty_sandboxes(as_user, server, prometheus):
    names = {f"{unique(as_user, 'fifty')}-{i}" for i in range(50)}
    pattern = unique(as_user, "fifty") + "-.*"
    with detached(as_user, *sorted(names)):
        p = prometheus(server.port)

        def of_all(metric):
            found = p.query(f'{metric}{{sandbox=~"{pattern}"}}')
            return found and {labels["sandbox"] for labels, _ in found} == names

        for metric in ("purple_sandbox_cpu_seconds_total", "purple_sandbox_pids",
                       "purple_sandbox_memory_bytes"):
            assert eventually(lambda m=metric: of_all(m), 60), \
                (metric, p.query("up"), pathlib.Path(p.log.name).read_text())
        assert p.query("up{job='purple'}")[0][1] == 1
        never_read(server)
        assert eventually(lambda: (p.query(
            "sum(rate(purple_sandbox_start_seconds_bucket[30s]))") or [({}, -1)])[0][1] >= 0, 30)
        quantile = p.query("histogram_quantile(0.9, purple_sandbox_start_seconds_bucket)")
        assert quantile and quantile[0][1] > 0
        # A counter that went down would have been a reset.
        assert [v for _, v in p.query("resets(purple_sandboxes_started_total[1m])")] == [0]
