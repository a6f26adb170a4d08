# SPDX-License-Identifier: Apache-2.0
"""
Real programs, unmodified and without proxy variables, against real servers by name, under
shipped profiles with nothing but rules of the network added. And what each of them says where no
rule allows it: its ordinary message, at once.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

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
    name, protocol, _ = ok(done).split()
    assert (name, protocol) == (f"web.{DOMAIN}", f"HTTP/{version}" + (".0" if version == "2" else ""))
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
