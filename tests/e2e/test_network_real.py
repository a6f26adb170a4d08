# SPDX-License-Identifier: Apache-2.0
"""
Real programs, unmodified and without proxy variables, against real servers by name, under
shipped profiles with nothing but rules of the network added. And what each of them says where no
rule allows it: its ordinary message, at once.
"""
import hashlib
import ipaddress
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import textwrap
import time
import urllib.parse
import urllib.request

import pytest

import servers
from people import UNPRIVILEGED
from running import needs_root, ok
from servers import DOMAIN, need

pytestmark = [needs_root, pytest.mark.skipif(
    not all(servers.find(p) for p in ("dnsmasq", "ip", "nft", "openssl")),
    reason="needs dnsmasq, ip, nft and openssl")]

# What an agent would wait for at most; a hang is a minute or more.
AT_ONCE = 20
NO_NAME = f"other.{DOMAIN}"


@pytest.fixture(scope="module")
def world():
    with tempfile.TemporaryDirectory(prefix="purple-world-") as directory:
        os.chmod(directory, 0o755)
        made = servers.World(pathlib.Path(directory))
        try:
            yield made
        finally:
            made.close()


class Box:
    """Runs a program under a shipped profile and rules of the test's, as one user."""

    def __init__(self, world, runner, note):
        self.world, self.runner, self.note = world, runner, note
        self.file("authority.pem", world.authority.read_text())
        self.trust = str(runner.workspace / "authority.pem")

    def file(self, name, content, mode=0o644):
        return str(self.runner.write(name, content, mode))

    def policy(self, profile, allow, env):
        trust = {name: self.trust for name in
                 ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE",
                  "NODE_EXTRA_CA_CERTS")}
        # JSON is YAML.
        return self.file("policy.yaml", json.dumps({
            "extends": profile, "environment": {"set": {**trust, **env}},
            "network": {"isolated": False, "dns_servers": [servers.RESOLVER],
                        "allow_outgoing": list(allow)}}))

    def argv(self, *words):
        who = [] if self.runner.uid == 0 else [
            "setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
        return [*self.world.inside(), *who, self.runner.purple, *words]

    def run(self, profile, *command, allow=(), env=(), timeout=120, measured=None):
        argv = self.argv("run", "-p", self.policy(profile, allow, dict(env)), "--",
                         *map(str, command))
        began = time.monotonic()
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False,
                              cwd=self.runner.workspace, env=self.runner.env,
                              stdin=subprocess.DEVNULL)
        if measured:
            self.note("measured", f"{measured}: {time.monotonic() - began:.2f} s in all")
        return done

    def refused(self, profile, *command, allow=(), says, **kw):
        """It fails by itself and says one of @says; Purple tells what would have allowed it."""
        done = self.run(profile, *command, allow=allow, timeout=AT_ONCE, **kw)
        text = done.stdout + done.stderr
        lines = text.splitlines()
        told = [line for line in lines if line.startswith("purple: ")]
        assert done.returncode != 0, text
        assert any(word in line for word in says for line in lines if line not in told), text
        assert told and all(line.startswith("purple: network: refused ") for line in told), text


@pytest.fixture
def box(world, as_user, record_property):
    return Box(world, as_user, record_property)


# A port or an address that no rule lists: purple-net takes the connection, decides, and resets
# it. What a program says then depends on what it was doing when the reset came.
REFUSED = ("Connection refused", "ECONNREFUSED", "Connection reset", "connection reset",
           "ECONNRESET", "Failed to connect", "SSL_ERROR_SYSCALL", "Broken pipe")


# --- curl, wget ------------------------------------------------------------

TIMES = r"name %{time_namelookup} connect %{time_connect} TLS %{time_appconnect} all %{time_total}"


@pytest.fixture
def web(world, box):
    world.nginx()
    return box


@pytest.mark.parametrize("profile", ["coding-agent", "data-retriever", "node", "python"])
@pytest.mark.parametrize("version", ["1.1", "2"])
def test_curl(web, profile, version):
    """By each profile; of a name with one family of addresses, and with two."""
    need("curl")
    done = web.run(profile, "curl", "-sS", f"--http{version}", "-w", f"%{{stderr}}{TIMES}",
                   f"https://web.{DOMAIN}/host", allow=[f"web.{DOMAIN}:443"])
    protocol = {"1.1": "HTTP/1.1", "2": "HTTP/2.0"}[version]
    assert ok(done).split()[:2] == [f"web.{DOMAIN}", protocol]
    web.note("measured", done.stderr)
    out = ok(web.run(profile, "curl", "-sS", f"http://four.{DOMAIN}/page",
                     allow=[f"four.{DOMAIN}:80"]))
    assert out == "served\n"


def test_curl_many_streams(web):
    """Twenty at once, on one HTTP/2 connection and on many of HTTP/1."""
    need("curl")
    urls = [f"https://web.{DOMAIN}/host?{n}" for n in range(20)]
    for version in "1.1", "2":
        out = ok(web.run("data-retriever", "curl", "-sSZ", f"--http{version}", *urls,
                         allow=[f"web.{DOMAIN}:443"]))
        assert out.count(f"web.{DOMAIN} HTTP/{version}") == 20


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_curl_large_both_ways(web, scheme):
    need("curl")
    port = {"http": 80, "https": 443}[scheme]
    got = ok(web.run("coding-agent", "sh", "-c", f"""
        set -e
        curl -sS -o big {scheme}://web.{DOMAIN}/big
        curl -sS -T big {scheme}://web.{DOMAIN}/up/{web.runner.name}-{scheme}
        sha256sum big""", allow=[f"web.{DOMAIN}:{port}"], measured="64 MiB down and up")).split()[0]
    served = web.world.base / "www/big"
    stored = web.world.base / f"www/up/{web.runner.name}-{scheme}"
    for path in served, stored:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == got
    stored.unlink()


def test_curl_refused(web):
    need("curl")
    rules = [f"web.{DOMAIN}:443"]
    web.refused("data-retriever", "curl", "-sS", f"https://{NO_NAME}/", allow=rules,
                says=["Could not resolve host"])
    for url in (f"http://web.{DOMAIN}/", f"https://{servers.address('web')}/",
                f"http://[{servers.address('web', True)}]/"):
        web.refused("data-retriever", "curl", "-sS", url, allow=rules, says=REFUSED)
    assert NO_NAME not in web.world.queries.read_text()


def test_wget(web):
    need("wget")
    trust = f"--ca-certificate={web.trust}"
    out = ok(web.run("data-retriever", "wget", "-q", "-O-", trust, f"https://web.{DOMAIN}/page",
                     allow=[f"web.{DOMAIN}:443"], measured="https"))
    assert out == "served\n"
    web.refused("data-retriever", "wget", "-O-", trust, f"https://{NO_NAME}/page",
                allow=[f"web.{DOMAIN}:443"], says=["unable to resolve host address"])
    # By itself it tries what was reset 20 times, and waits in between.
    web.refused("data-retriever", "wget", "--tries=1", "-O-", trust, f"http://web.{DOMAIN}/page",
                allow=[f"web.{DOMAIN}:443"], says=REFUSED)


# --- git, ssh --------------------------------------------------------------

WHO = {"GIT_AUTHOR_NAME": "Test", "GIT_AUTHOR_EMAIL": "test@example.org",
       "GIT_COMMITTER_NAME": "Test", "GIT_COMMITTER_EMAIL": "test@example.org"}


def clone_and_push(box, url, allow, setup="", push=True):
    """Clone by @url, and push a branch of this test's own back."""
    branch = f"{box.runner.name}-{url.partition(':')[0]}"
    script = f"""
        {setup}
        set -e
        git clone -q {url} project
        cd project
        cat README
        {"#" if not push else ""}git checkout -q -b {branch}
        echo more >README
        git commit -q -a -m more
        {"#" if not push else ""}git push -q origin {branch}
        git rev-parse HEAD
    """
    out = ok(box.run("coding-agent", "sh", "-c", script, allow=allow, env=WHO,
                     measured="clone and push")).split("\n")
    assert out[0] == "from the server"
    if push:
        head = (box.world.base / "srv/project.git/refs/heads" / branch).read_text()
        assert head.strip() == out[1]


def test_git_over_https(web):
    web.world.need_git("http-backend")
    clone_and_push(web, f"https://git.{DOMAIN}/git/project.git", [f"git.{DOMAIN}:443"])
    web.refused("coding-agent", "git", "ls-remote", f"https://{NO_NAME}/git/project.git",
                allow=[f"git.{DOMAIN}:443"], says=["Could not resolve host"])
    web.refused("coding-agent", "git", "ls-remote", f"http://git.{DOMAIN}/git/project.git",
                allow=[f"git.{DOMAIN}:443"], says=REFUSED)


def test_git_protocol(world, box):
    world.git_daemon()
    clone_and_push(box, f"git://git.{DOMAIN}/project.git", [f"git.{DOMAIN}:9418"], push=False)
    box.refused("coding-agent", "git", "ls-remote", f"git://{NO_NAME}/project.git",
                allow=[f"git.{DOMAIN}:9418"], says=["unable to look up"])
    box.refused("coding-agent", "git", "ls-remote", f"git://git.{DOMAIN}/project.git",
                allow=[f"git.{DOMAIN}:443"], says=REFUSED)


@pytest.fixture
def ssh(world, box):
    """What to put behind `ssh`: key and known hosts are files of the workspace."""
    etc = world.sshd()
    key = box.file("key", (etc / "client").read_text(), 0o600)
    known = box.file("known_hosts", (etc / "known_hosts").read_text())
    box.ssh = ["-i", key, "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes"]
    return box


def test_ssh(ssh):
    need("ssh")
    allow = [f"ssh.{DOMAIN}:22"]
    out = ok(ssh.run("coding-agent", "ssh", *ssh.ssh, f"root@ssh.{DOMAIN}", "echo $((6*7)); cat",
                     allow=allow, measured="a command"))
    assert out == "42\n"
    # A megabyte each way, and the command's own status.
    done = ssh.run("coding-agent", "sh", "-c", f"""
        head -c 1000000 /dev/zero |
        ssh {" ".join(ssh.ssh)} root@ssh.{DOMAIN} 'cat; exit 7' | wc -c""", allow=allow)
    assert ok(done) == "1000000\n"
    done = ssh.run("coding-agent", "ssh", *ssh.ssh, f"root@ssh.{DOMAIN}", "exit 7", allow=allow)
    assert done.returncode == 7


def test_scp_and_sftp(ssh):
    need("scp", "sftp")
    ssh.file("batch", f"get {ssh.world.base}/www-page got\n")
    (ssh.world.base / "www-page").write_text("by sftp\n")
    options = " ".join(ssh.ssh)
    out = ok(ssh.run("coding-agent", "sh", "-c", f"""
        set -e
        sftp -q {options} -b batch root@ssh.{DOMAIN} >/dev/null
        cat got
        scp -q {options} root@ssh.{DOMAIN}:{ssh.world.base}/www-page again
        cat again""", allow=[f"ssh.{DOMAIN}:22"]))
    assert out == "by sftp\nby sftp\n"


def test_git_over_ssh(ssh):
    need("ssh")
    setup = f"export GIT_SSH_COMMAND='ssh {' '.join(ssh.ssh)}'"
    path = f"{ssh.world.base}/srv/project.git"
    clone_and_push(ssh, f"ssh://root@ssh.{DOMAIN}{path}", [f"ssh.{DOMAIN}:22"], setup)


def test_ssh_of_root_in_the_directory_of_another(ssh):
    """Inside it is that user, whom the host may not know."""
    need("ssh")
    if ssh.runner.uid != 0:
        pytest.skip("of root")
    for path in (ssh.runner.workspace, *ssh.runner.workspace.iterdir()):
        os.chown(path, 1001, 1001)
    out = ok(ssh.run("coding-agent", "ssh", *ssh.ssh, f"root@ssh.{DOMAIN}", "echo here",
                     allow=[f"ssh.{DOMAIN}:22"]))
    assert out == "here\n"


def test_ssh_refused(ssh):
    need("ssh")
    allow = [f"ssh.{DOMAIN}:443"]
    ssh.refused("coding-agent", "ssh", *ssh.ssh, f"root@{NO_NAME}", "true", allow=allow,
                says=["Could not resolve hostname"])
    ssh.refused("coding-agent", "ssh", *ssh.ssh, f"root@ssh.{DOMAIN}", "true", allow=allow,
                says=REFUSED)


# --- databases -------------------------------------------------------------

@pytest.mark.parametrize("mode", ["disable", "verify-full"])
def test_psql(world, box, mode):
    """In the clear and with TLS, which begins only after some words of PostgreSQL's own."""
    world.postgres()
    allow, secret = [f"db.{DOMAIN}:5432"], {"PGPASSWORD": "secret"}
    where = f"host=db.{DOMAIN} user=test dbname=postgres sslmode={mode} sslrootcert={box.trust}"
    out = ok(box.run("data-retriever", "psql", "-XqAt", where, "-c",
                     "select count(*), sum(n) from generate_series(1, 100000) n", "-c",
                     "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
                     allow=allow, env=secret, measured="two queries"))
    assert out == f"100000|5000050000\n{'f' if mode == 'disable' else 't'}\n"
    out = ok(box.run("data-retriever", "sh", "-c", f"""
        seq 100000 | psql -Xq '{where}' -c 'create temp table t (n int)' -c '\\copy t from stdin' \
            -c '\\copy t to stdout' | md5sum; seq 100000 | md5sum""", allow=allow, env=secret))
    assert out.splitlines()[0] == out.splitlines()[1]
    box.refused("data-retriever", "psql", where.replace(f"db.{DOMAIN}", NO_NAME), allow=allow,
                env=secret, says=["could not translate host name"])
    box.refused("data-retriever", "psql", where + " port=5433", allow=allow, env=secret,
                says=(*REFUSED, "server closed the connection unexpectedly"))


@pytest.mark.parametrize("tls", [False, True])
def test_redis_cli(world, box, tls):
    world.redis()
    need("redis-cli")
    port = 6380 if tls else 6379
    cli = ["redis-cli", "-p", port, *(["--tls", "--cacert", box.trust] if tls else [])]
    allow = [f"cache.{DOMAIN}:{port}"]
    key = f"key-{box.runner.name}-{port}"
    value = "x" * 200000
    script = f'r="{" ".join(map(str, cli))} -h cache.{DOMAIN}"; $r ping; $r -x set {key} <value; ' \
             f"$r get {key} | wc -c"
    box.file("value", value)
    out = ok(box.run("data-retriever", "sh", "-c", script, allow=allow, measured="three commands"))
    assert out == "PONG\nOK\n200001\n"
    box.refused("data-retriever", *cli, "-h", NO_NAME, "ping", allow=allow,
                says=["Name or service not known", "Temporary failure in name resolution"])
    box.refused("data-retriever", *cli, "-h", f"cache.{DOMAIN}", "ping", allow=[
        f"cache.{DOMAIN}:1"], says=(*REFUSED, "Server closed the connection"))


# --- languages -------------------------------------------------------------

NODE = """
    const done = [];
    for (const url of process.argv.slice(2)) {
        try {
            const began = performance.now();
            const r = await fetch(url);
            done.push((await r.text()).trim().split(' ')[0]);
            console.error(Math.round(performance.now() - began) + ' ms');
        } catch (e) {
            done.push(e.message + ': ' + (e.cause.code ?? e.cause.message));
        }
    }
    const body = new Uint8Array(3 << 20);
    const put = await fetch(new URL('/up/fetch', process.argv[2]), { method: 'PUT', body });
    console.log([...done, put.ok].join('\\n'));
"""


def test_node_fetch(web):
    need("node")
    script = web.file("fetch.mjs", NODE)
    done = web.run("node", "node", script, f"https://web.{DOMAIN}/host",
                   f"http://four.{DOMAIN}/host", f"https://{NO_NAME}/", f"http://web.{DOMAIN}/",
                   allow=[f"web.{DOMAIN}:443", f"four.{DOMAIN}:80"])
    out = ok(done).splitlines()
    assert out[:2] == [f"web.{DOMAIN}", f"four.{DOMAIN}"]
    assert out[2] in ("fetch failed: EAI_AGAIN", "fetch failed: ENOTFOUND")
    assert out[3] in ("fetch failed: ECONNRESET", "fetch failed: ECONNREFUSED",
                      "fetch failed: UND_ERR_SOCKET")
    assert out[4] == "true"
    web.note("measured", " ".join(done.stderr.split("purple:")[0].split("\n")))


URLLIB = """
    import sys, time, urllib.error, urllib.request
    for url in sys.argv[1:]:
        began = time.monotonic()
        try:
            print(urllib.request.urlopen(url, timeout=20).read().split()[0].decode())
        except (urllib.error.URLError, ConnectionResetError) as e:
            print(type(getattr(e, "reason", e)).__name__)
        print(f"{time.monotonic() - began:.3f} s", file=sys.stderr)
"""

REQUESTS = """
    import requests, sys
    session = requests.Session()
    for n in range(3):
        print(session.get(sys.argv[1], timeout=20).text.split()[0])
    print(session.put(sys.argv[1] + "/../up/requests", data=bytes(3 << 20)).ok)
    for url in sys.argv[2:]:
        try:
            print(session.get(url, timeout=20).text)
        except requests.ConnectionError as e:
            print("ConnectionError")
"""


def test_python_urllib(web):
    script = web.file("fetch.py", textwrap.dedent(URLLIB))
    done = web.run("python", "python3", script, f"https://web.{DOMAIN}/host",
                   f"http://four.{DOMAIN}/host", f"https://{NO_NAME}/", f"http://web.{DOMAIN}/",
                   allow=[f"web.{DOMAIN}:443", f"four.{DOMAIN}:80"])
    out = ok(done).splitlines()
    assert out[:3] == [f"web.{DOMAIN}", f"four.{DOMAIN}", "gaierror"]
    assert out[3] in ("ConnectionResetError", "ConnectionRefusedError")
    web.note("measured", " ".join(done.stderr.split("purple:")[0].split("\n")))


def test_python_requests(web):
    web.world.system_python("requests")
    script = web.file("fetch.py", textwrap.dedent(REQUESTS))
    out = ok(web.run("python", "/usr/bin/python3", script, f"https://web.{DOMAIN}/host",
                     f"https://{NO_NAME}/", f"http://web.{DOMAIN}/", allow=[f"web.{DOMAIN}:443"],
                     measured="five requests"))
    assert out.splitlines() == [f"web.{DOMAIN}"] * 3 + ["True"] + ["ConnectionError"] * 2


JAVA = """
    import java.net.URI;
    import java.net.http.*;
    public class Fetch {
        public static void main(String[] urls) throws Exception {
            var client = HttpClient.newHttpClient();
            for (String url : urls) {
                long began = System.nanoTime();
                try {
                    var request = HttpRequest.newBuilder(URI.create(url)).build();
                    var r = client.send(request, HttpResponse.BodyHandlers.ofString());
                    System.out.println(r.version() + " " + r.body().split(" ")[0]);
                } catch (java.io.IOException e) {
                    System.out.println(e.getClass().getSimpleName());
                }
                System.err.print((System.nanoTime() - began) / 1000000 + " ms ");
            }
        }
    }
"""


def test_java_http_client(web):
    need("java", "javac", "keytool")
    store = web.runner.workspace / "trust.p12"
    done = web.runner.run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-storepass",
                           "changeit", "-storetype", "PKCS12", "-keystore", store, "-file",
                           web.trust], timeout=120)
    ok(done)
    source = web.file("Fetch.java", textwrap.dedent(JAVA))
    done = web.run("coding-agent", "java", "-XX:TieredStopAtLevel=1",
                   f"-Djavax.net.ssl.trustStore={store}",
                   "-Djavax.net.ssl.trustStorePassword=changeit", source,
                   f"https://web.{DOMAIN}/host", f"http://four.{DOMAIN}/host",
                   f"https://{NO_NAME}/", f"http://web.{DOMAIN}/",
                   allow=[f"web.{DOMAIN}:443", f"four.{DOMAIN}:80"])
    out = ok(done).splitlines()
    assert out[:3] == [f"HTTP_2 web.{DOMAIN}", f"HTTP_1_1 four.{DOMAIN}", "ConnectException"]
    assert out[3].endswith("Exception")
    web.note("measured", done.stderr.split("purple:")[0])


GO = """
    package main

    import (
        "fmt"
        "io"
        "net/http"
        "os"
        "strings"
        "time"
    )

    func main() {
        for _, url := range os.Args[1:] {
            began := time.Now()
            if r, err := http.Get(url); err != nil {
                fmt.Println("refused:", err)
            } else {
                body, _ := io.ReadAll(r.Body)
                fmt.Println(r.Proto, strings.Split(string(body), " ")[0])
            }
            fmt.Fprint(os.Stderr, time.Since(began), " ")
        }
    }
"""


@pytest.mark.parametrize("cgo", [0, 1])
def test_go(web, cgo):
    """With its own resolver, and with that of the C library."""
    need("go", *(["gcc"] if cgo else []))
    source = web.world.base / "fetch.go"
    program = web.world.base / f"fetch-{cgo}"
    if not program.exists():
        source.write_text(textwrap.dedent(GO))
        subprocess.run(["go", "build", "-o", program, source], check=True, timeout=300,
                       capture_output=True, cwd=web.world.base, env={
                           "PATH": servers.PATH, "HOME": str(web.world.base), "GO111MODULE": "off",
                           "GOCACHE": f"{web.world.base}/go", "CGO_ENABLED": str(cgo)})
    copy = web.runner.workspace / "fetch"
    copy.write_bytes(program.read_bytes())
    copy.chmod(0o755)
    done = web.run("coding-agent", copy, f"https://web.{DOMAIN}/host", f"http://four.{DOMAIN}/host",
                   f"https://{NO_NAME}/", f"http://web.{DOMAIN}/",
                   allow=[f"web.{DOMAIN}:443", f"four.{DOMAIN}:80"],
                   env={"GODEBUG": f"netdns={'cgo' if cgo else 'go'}"})
    out = ok(done).splitlines()
    assert out[:2] == [f"HTTP/2.0 web.{DOMAIN}", f"HTTP/1.1 four.{DOMAIN}"]
    assert out[2].startswith("refused:") and NO_NAME in out[2]
    assert any(word in out[3] for word in (*REFUSED, "EOF")), out[3]
    web.note("measured", done.stderr.split("purple:")[0])


# --- npm -------------------------------------------------------------------

@pytest.fixture
def registry(as_user):
    """The registry that npm is configured to use, if it answers; its address goes nowhere else."""
    need("npm")
    configured = {}
    for key in "registry", "cafile":
        done = subprocess.run(["npm", "config", "get", key], capture_output=True, text=True,
                              timeout=60, check=False)
        configured[key] = done.stdout.strip()
    url = urllib.parse.urlsplit(configured["registry"])
    try:
        if url.scheme != "https" or not url.hostname:
            raise OSError("no https")
        with socket.create_connection((url.hostname, url.port or 443), timeout=10):
            pass
        with urllib.request.urlopen(configured["registry"].rstrip("/") + "/isarray", timeout=20):
            pass
    except (OSError, ValueError):
        pytest.skip("no registry of npm's answers without a proxy")
    return configured


def test_npm_install(as_user, registry, record_property):
    """From the registry, in the host's own network and by the host's resolver; nothing else."""
    url = urllib.parse.urlsplit(registry["registry"])
    options = [f"--registry={registry['registry']}", "--no-audit", "--no-fund"]
    if registry["cafile"] not in ("", "null", "undefined"):
        options.append("--cafile=" + str(as_user.write(
            "ca.pem", pathlib.Path(registry["cafile"]).read_text())))
    as_user.write("package.json", '{"name": "test", "version": "1.0.0"}')
    port = url.port or 443
    # A mirror near by has a private address, which is nothing that a name alone allows.
    addresses = {a[4][0] for a in socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)}
    near = [ipaddress.ip_address(a) for a in addresses if not ipaddress.ip_address(a).is_global]
    rules = [f"{url.hostname}:{port}", *(f"[{a}]:{port}" if a.version == 6 else f"{a}:{port}"
                                         for a in near)]

    def npm(*words, allow):
        policy = as_user.write("policy.yaml", json.dumps({"extends": "node", "network": {
            "isolated": False, "allow_outgoing": allow}}))
        return as_user.run([as_user.purple, "run", "-p", policy, "--", "npm", *words, *options],
                           timeout=120)
    began = time.monotonic()
    done = npm("install", "isarray@2.0.5", allow=rules)
    assert "added 1 package" in ok(done)
    record_property("measured", f"npm install: {time.monotonic() - began:.1f} s")
    installed = as_user.workspace / "node_modules/isarray/package.json"
    assert json.loads(installed.read_text())["version"] == "2.0.5"
    shutil.rmtree(as_user.workspace / "node_modules")
    # By itself it tries twice more, after 10 s and after a minute, whatever the error is.
    done = npm("install", "isarray@2.0.5", "--fetch-retries=0", allow=[f"web.{DOMAIN}:443"])
    assert done.returncode != 0
    assert "EAI_AGAIN" in done.stderr or "ENOTFOUND" in done.stderr
    assert f"purple: network: refused {url.hostname}" in done.stderr


# --- WebSocket, gRPC -------------------------------------------------------

WEBSOCKET = """
    import asyncio, ssl, sys, time, websockets
    async def main():
        began = time.monotonic()
        context = ssl.create_default_context() if sys.argv[1].startswith("wss") else None
        async with websockets.connect(sys.argv[1], ssl=context, max_size=None) as socket:
            print(f"{time.monotonic() - began:.3f} s", file=sys.stderr)
            for message in "hello", bytes(1 << 20), "x" * 70000:
                await socket.send(message)
                print(await socket.recv() == message)
            # One end idles, the other speaks first.
            await asyncio.sleep(0.5)
            await (await socket.ping())
            print("pong")
    asyncio.run(main())
"""


@pytest.mark.parametrize("scheme, port", [("ws", 8765), ("wss", 8766)])
def test_websocket(world, box, scheme, port):
    world.websocket()
    script = box.file("client.py", textwrap.dedent(WEBSOCKET))
    allow = [f"ws.{DOMAIN}:{port}"]
    done = box.run("python", "/usr/bin/python3", script, f"{scheme}://ws.{DOMAIN}:{port}/",
                   allow=allow)
    assert ok(done) == "True\nTrue\nTrue\npong\n"
    box.note("measured", f"connect {done.stderr.strip()}")
    box.refused("python", "/usr/bin/python3", script, f"{scheme}://{NO_NAME}:{port}/", allow=allow,
                says=["gaierror"])
    box.refused("python", "/usr/bin/python3", script, f"{scheme}://ws.{DOMAIN}:1/", allow=allow,
                says=["ConnectionRefusedError", "ConnectionResetError", "Connect call failed",
                      "InvalidMessage"])


RPC = """
    import grpc, sys, time
    began = time.monotonic()
    if sys.argv[2]:
        with open(sys.argv[2], "rb") as f:
            channel = grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials(f.read()))
    else:
        channel = grpc.insecure_channel(sys.argv[1])
    try:
        print(channel.unary_unary("/test.Echo/Once")(b"this", timeout=30).decode())
        print(f"{time.monotonic() - began:.3f} s", file=sys.stderr)
        print(sum(int(n) for n in channel.unary_stream("/test.Echo/Many")(b"1000", timeout=30)))
    except grpc.RpcError as e:
        sys.exit(f"{e.code().name} {e.details()}")
"""


@pytest.mark.parametrize("tls", [False, True])
def test_grpc(world, box, tls):
    """It asks the DNS itself, with a resolver of its own."""
    world.grpc()
    script = box.file("client.py", textwrap.dedent(RPC))
    port, trust = (50052, box.trust) if tls else (50051, "")
    allow = [f"rpc.{DOMAIN}:{port}"]
    done = box.run("python", "/usr/bin/python3", script, f"rpc.{DOMAIN}:{port}", trust, allow=allow)
    assert ok(done) == "got this\n499500\n"
    box.note("measured", f"first answer {done.stderr.splitlines()[-1]}")
    box.refused("python", "/usr/bin/python3", script, f"{NO_NAME}:{port}", trust, allow=allow,
                says=["UNAVAILABLE"])
    box.refused("python", "/usr/bin/python3", script, f"rpc.{DOMAIN}:1", trust, allow=allow,
                says=["UNAVAILABLE"])
