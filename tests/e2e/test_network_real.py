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
