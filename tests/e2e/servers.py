# SPDX-License-Identifier: Apache-2.0
"""
A small Internet of real servers for test_network_real.py: a network namespace with names from
dnsmasq, certificates of an authority of its own, and Debian's servers, each with a configuration
in the directory of the test and ended by its pid. Nothing of the system's services is touched.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap

import pytest

from running import alive, eventually

PATH = ":".join(["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin",
                 *sorted(str(p) for p in pathlib.Path("/usr/lib/postgresql").glob("*/bin"))])
DOMAIN = "example.org"
# Of both families; "four" of one, as most of the Internet still is.
HOSTS = ["web", "git", "ssh", "db", "cache", "ws", "rpc", "four", "other"]
RESOLVER = "93.184.216.53"
NOBODY = 65534


def address(host, v6=False):
    number = HOSTS.index(host) + 1
    return f"2606:2800:21f::{number}" if v6 else f"93.184.216.{number}"


def find(program):
    return shutil.which(program, path=PATH)


def need(*programs):
    """Skip, and say what is missing."""
    missing = [p for p in programs if not find(p)]
    if missing:
        pytest.skip(f"not installed: {' '.join(missing)}")


class World:
    """What purple's host can reach. Servers start when they are first asked for."""

    def __init__(self, base):
        self.base = base
        self.children, self.started = [], set()
        self.keeper = subprocess.Popen(["unshare", "--net", "--", "sh", "-c", "echo; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def _set_up(self):
        assert self.keeper.stdout.readline() == b"\n"
        addresses = [f"{RESOLVER}/32"]
        for host in HOSTS:
            addresses.append(f"{address(host)}/32")
            if host != "four":
                addresses.append(f"{address(host, True)}/128")
        self.do("ip", "-batch", "-", input="link set lo up\n" + "".join(
            f"addr add {a} dev lo\n" for a in addresses), text=True)
        self._names()
        self._certificates()

    def inside(self):
        return ["nsenter", f"--net=/proc/{self.keeper.pid}/ns/net"]

    def do(self, *argv, **kw):
        """Run to its end in the namespace."""
        return subprocess.run([*self.inside(), *map(str, argv)], check=True, timeout=120,
                              env={"PATH": PATH, "LC_ALL": "C"}, **kw)

    def start(self, *argv, port=None, **kw):
        """A server that is not a daemon, with its output in a file; waits until it listens."""
        log = self.base / f"{pathlib.Path(argv[0]).name}-{len(self.children)}.log"
        with log.open("w") as out:
            kw.setdefault("env", {"PATH": PATH, "LC_ALL": "C"})
            child = subprocess.Popen([*self.inside(), *map(str, argv)], stdout=out, stderr=out,
                                     stdin=subprocess.DEVNULL, cwd="/", **kw)
        self.children.append(child)
        if port:
            eventually(lambda: self.listens(port) or child.poll() is not None, 60)
            assert self.listens(port), log.read_text()
        return child

    def listens(self, port):
        """The tables of this namespace, not of ours: state 0A is LISTEN."""
        for table in ("tcp", "tcp6"):
            text = pathlib.Path(f"/proc/{self.keeper.pid}/net/{table}").read_text()
            if any(f"[{port:04X}]" == f"[{line.split()[1].rpartition(':')[2]}]"
                   and line.split()[3] == "0A" for line in text.splitlines()[1:]):
                return True
        return False

    def _names(self):
        self.queries = self.base / "queries"
        names = []
        for host in HOSTS:
            names.append(f"--host-record={host}.{DOMAIN},{address(host)}" + (
                "" if host == "four" else f",{address(host, True)}"))
        self.start("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                   "--no-hosts", "--bind-interfaces", f"--listen-address={RESOLVER}", "--pid-file=",
                   "--user=root", f"--local=/{DOMAIN}/", "--log-queries",
                   f"--log-facility={self.queries}", *names, port=53)

    def _certificates(self):
        self.authority, self.key, self.cert = (
            self.base / n for n in ("authority.pem", "server.key", "server.pem"))
        extensions = self.base / "extensions"
        extensions.write_text(
            "subjectAltName=" + ",".join(f"DNS:{h}.{DOMAIN}" for h in HOSTS) +
            "\nextendedKeyUsage=serverAuth\n")
        for line in (
                f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Tests"
                f" -keyout {self.base}/ca.key -out {self.authority}"
                " -addext basicConstraints=critical,CA:TRUE"
                " -addext keyUsage=critical,keyCertSign",
                f"req -newkey rsa:2048 -nodes -subj /CN={DOMAIN} -keyout {self.key}"
                f" -out {self.base}/request",
                f"x509 -req -in {self.base}/request -CA {self.authority} -CAkey {self.base}/ca.key"
                f" -CAcreateserial -days 2 -extfile {extensions} -out {self.cert}"):
            subprocess.run(["openssl", *line.split()], check=True, capture_output=True, timeout=120)

    def python(self, script, *args, port):
        path = self.base / f"server-{port}.py"
        path.write_text(textwrap.dedent(script))
        return self.start(sys.executable, path, *args, port=port)

    def _once(self, what):
        fresh = what not in self.started
        self.started.add(what)
        return fresh

    def repository(self):
        """A bare repository with one commit, which may be pushed to."""
        path = self.base / "srv" / "project.git"
        if path.exists():
            return path
        tree = self.base / "tree"
        git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org",
               "-c", "init.defaultBranch=main", "-C", tree]
        tree.mkdir()
        (tree / "README").write_text("from the server\n")
        (tree / "big").write_bytes(os.urandom(4 << 20))
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"],
                      ["clone", "-q", "--bare", tree, path]):
            self.do(*git, *words)
        self.do("git", "-C", path, "config", "http.receivepack", "true")
        return path

    def need_git(self, *parts):
        """Some systems have these programs of git in packages of their own."""
        path = self.do("git", "--exec-path", capture_output=True, text=True).stdout.strip()
        missing = [p for p in parts if not os.path.exists(f"{path}/git-{p}")]
        if missing:
            pytest.skip(f"not installed: git {' '.join(missing)}")

    def git_daemon(self):
        self.need_git("daemon")
        self.repository()
        if self._once("git daemon"):
            self.start("git", "-c", "safe.directory=*", "daemon", "--export-all", "--reuseaddr",
                       f"--base-path={self.base}/srv", port=9418)

    def sshd(self):
        """Public keys only; who has @key may log in as root, which is nobody in particular here."""
        need("sshd", "ssh-keygen")
        self.repository()
        etc = self.base / "sshd"
        if not self._once("sshd"):
            return etc
        etc.mkdir()
        for key in ("host", "client"):
            self.do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", etc / key)
        (etc / "config").write_text(textwrap.dedent(f"""\
            Port 22
            HostKey {etc}/host
            AuthorizedKeysFile {etc}/client.pub
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            UsePAM no
            StrictModes no
            PidFile none
            PermitRootLogin prohibit-password
            AllowTcpForwarding yes
            Subsystem sftp internal-sftp
            """))
        public = (etc / "host.pub").read_text().split()
        (etc / "known_hosts").write_text(f"ssh.{DOMAIN} {public[0]} {public[1]}\n")
        # Its directory for separated privileges is on a /run of its own.
        self.start("unshare", "--mount", "--", "sh", "-c",
                   "mount -t tmpfs tmpfs /run && mkdir /run/sshd && chmod 755 /run/sshd && "
                   f"exec {find('sshd')} -D -e -f {etc}/config", port=22)
        return etc

    def nginx(self):
        """80 and 443, the latter with HTTP/2; /up takes PUT; /git is git's smart protocol."""
        need("nginx")
        if not self._once("nginx"):
            return
        root = self.base / "www"
        (root / "up").mkdir(parents=True)
        os.chown(root / "up", NOBODY, NOBODY)
        (root / "page").write_text("served\n")
        (root / "big").write_bytes(os.urandom(1 << 20) * 64)
        self.repository()
        self.python(GIT_HTTP, self.base / "srv", port=8090)
        (self.base / "nginx.conf").write_text(NGINX.format(
            base=self.base, cert=self.cert, key=self.key, root=root))
        for port in (80, 443):
            assert not self.listens(port)
        self.start("nginx", "-p", self.base, "-c", self.base / "nginx.conf", "-e", "stderr",
                   port=443)

    def postgres(self):
        """One database, one user with a password, in the clear and with TLS."""
        need("postgres", "initdb", "psql")
        if not self._once("postgres"):
            return
        home = self.base / "postgres"
        home.mkdir()
        for source, name in ((self.key, "server.key"), (self.cert, "server.pem")):
            shutil.copy(source, home / name)
        (home / "password").write_text("secret\n")
        for path in (home, *home.iterdir()):
            os.chown(path, NOBODY, NOBODY)
            path.chmod(0o700 if path == home else 0o600)
        who = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        data = home / "data"
        self.do(*who, find("initdb"), "-D", data, "-U", "test", "--no-sync", "-E", "UTF8",
                "--locale=C", "-A", "scram-sha-256", f"--pwfile={home}/password",
                capture_output=True, cwd=home)
        with (data / "pg_hba.conf").open("a") as hba:
            hba.write("host all all 0.0.0.0/0 scram-sha-256\nhost all all ::/0 scram-sha-256\n")
        settings = {"listen_addresses": "*", "unix_socket_directories": "", "ssl": "on",
                    "ssl_cert_file": home / "server.pem", "ssl_key_file": home / "server.key",
                    "fsync": "off", "shared_buffers": "16MB"}
        self.start(*who, find("postgres"), "-D", data,
                   *(f"--{name}={value}" for name, value in settings.items()), port=5432)

    def redis(self):
        """6379 in the clear, 6380 with TLS."""
        need("redis-server")
        if self._once("redis"):
            self.start("redis-server", "--port", 6379, "--bind", "*", "-::*", "--save", "",
                       "--protected-mode", "no", "--tls-port", 6380, "--tls-cert-file", self.cert,
                       "--tls-key-file", self.key, "--tls-auth-clients", "no", "--dir", self.base,
                       port=6380)

    def system_python(self, module):
        """Debian's modules are those of Debian's Python, which is also the one inside."""
        if not os.path.exists("/usr/bin/python3") or subprocess.run(
                ["/usr/bin/python3", "-c", f"import {module}"], check=False,
                capture_output=True, timeout=60).returncode != 0:
            pytest.skip(f"not installed: Python's {module}")

    def websocket(self):
        """8765 in the clear, 8766 with TLS; echoes."""
        self.system_python("websockets")
        if self._once("websocket"):
            path = self.base / "ws.py"
            path.write_text(textwrap.dedent(WEBSOCKET))
            self.start("/usr/bin/python3", path, self.cert, self.key, port=8766)

    def grpc(self):
        """50051 in the clear, 50052 with TLS; echoes, once and as a stream."""
        self.system_python("grpc")
        if self._once("grpc"):
            path = self.base / "rpc.py"
            path.write_text(textwrap.dedent(GRPC))
            self.start("/usr/bin/python3", path, self.cert, self.key, port=50052)

    def close(self):
        for child in reversed(self.children):
            child.terminate()
        for child in reversed(self.children):
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.keeper.kill()
        self.keeper.wait()


NGINX = """\
daemon off;
user nobody nogroup;
worker_processes 1;
pid {base}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
	access_log {base}/access.log;
	client_body_temp_path {base}/body;
	proxy_temp_path {base}/proxy;
	fastcgi_temp_path {base}/fastcgi;
	uwsgi_temp_path {base}/uwsgi;
	scgi_temp_path {base}/scgi;
	client_max_body_size 256m;
	default_type text/plain;
	server {{
		listen 80;
		listen [::]:80;
		listen 443 ssl http2;
		listen [::]:443 ssl http2;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_certificate {cert};
		ssl_certificate_key {key};
		root {root};
		location /up/ {{
			dav_methods PUT;
		}}
		location /host {{
			return 200 "$host $server_protocol $remote_addr\\n";
		}}
		location /git/ {{
			proxy_pass http://127.0.0.1:8090/;
		}}
	}}
}}
"""

# git's own CGI behind the smallest server that can run it.
GIT_HTTP = """
    import http.server, os, subprocess, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            env = {**os.environ, "GIT_PROJECT_ROOT": sys.argv[1], "GIT_HTTP_EXPORT_ALL": "1",
                   "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                   "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                   "CONTENT_LENGTH": str(len(body)), "REMOTE_ADDR": "127.0.0.1",
                   "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                   "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
            out = subprocess.run(["git", "-c", "safe.directory=*", "http-backend"], input=body,
                                 env=env, stdout=subprocess.PIPE, check=False).stdout
            head, _, rest = out.partition(b"\\r\\n\\r\\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\\r\\n"))
            self.send_response(int(fields.pop("Status", "200")[:3]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest)
        do_POST = do_GET
        def log_message(self, *args):
            pass
    http.server.ThreadingHTTPServer(("127.0.0.1", 8090), Handler).serve_forever()
"""

WEBSOCKET = """
    import asyncio, ssl, sys, websockets
    async def echo(socket, path=None):
        async for message in socket:
            await socket.send(message)
    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        async with websockets.serve(echo, ["0.0.0.0", "::"], 8765, max_size=None):
            async with websockets.serve(echo, ["0.0.0.0", "::"], 8766, ssl=context, max_size=None):
                await asyncio.Future()
    asyncio.run(main())
"""

GRPC = """
    import concurrent.futures, grpc, sys
    echo = grpc.unary_unary_rpc_method_handler(lambda request, context: b"got " + request)
    count = grpc.unary_stream_rpc_method_handler(
        lambda request, context: (b"%d" % n for n in range(int(request))))
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
        "test.Echo", {"Once": echo, "Many": count})])
    with open(sys.argv[1], "rb") as cert, open(sys.argv[2], "rb") as key:
        credentials = grpc.ssl_server_credentials([(key.read(), cert.read())])
    server.add_insecure_port("[::]:50051")
    server.add_secure_port("[::]:50052", credentials)
    server.start()
    server.wait_for_termination()
"""
