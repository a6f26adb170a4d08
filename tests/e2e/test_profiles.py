# SPDX-License-Identifier: Apache-2.0
"""Real programs under every shipped profile, as root and as a plain user."""
import json
import os
import shutil
import textwrap

import pytest

PROFILES = ["ci-worker", "code-analyst", "coding-agent", "data-retriever", "default", "honeypot",
            "node", "python", "strict"]


def needs(*programs):
    """Skip where a program is missing from the system's directories, which are what is inside."""
    missing = [p for p in programs if not shutil.which(p, path="/usr/local/bin:/usr/bin:/bin")]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {' '.join(missing)}")


def run(runner, profile, *command, options=(), **kw):
    return runner.run([runner.purple, "run", "-p", profile, *options, "--", *command], **kw)


def ok(done):
    """The output of a run that must have succeeded."""
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def shell(runner, profile, script, **kw):
    return run(runner, profile, "sh", "-ec", textwrap.dedent(script), **kw)


def test_this_list_is_all_of_them(as_user, purple_prefix):
    shipped = sorted(p.stem for p in (purple_prefix / "share/purple/profiles").glob("*.yaml"))
    assert shipped == PROFILES


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile(as_user, profile):
    """What holds under each: it starts, says nothing of its own, and is locked down."""
    done = shell(as_user, profile, """
        cat /proc/self/status
        ls /proc | grep -c '^[0-9]'
        id -u
        test ! -e /etc/shadow; test ! -e /root; test ! -e /boot
        test -z "$(ls -A /tmp)" || test "$(ls -A /tmp | wc -l)" = 1
    """)
    out = ok(done)
    assert done.stderr == ""
    status = dict(line.split(":\t") for line in out.splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[caps], 16) == 0
    processes, uid = out.splitlines()[-2:]
    assert int(processes) <= 4
    # As root the ids are those of the workspace's owner; without a workspace, 1000.
    alone = profile in ("honeypot", "strict")
    assert int(uid) == (1000 if as_user.uid == 0 and alone else as_user.uid)


# --- python ---------------------------------------------------------------

PYTHON = """\
    import ctypes, hashlib, json, multiprocessing, os, pathlib, socket, sqlite3, ssl
    import subprocess, sys, tempfile, threading, concurrent.futures

    def square(n):
        return n * n

    def main():
        # Processes and their pipes.
        out = subprocess.run(["sh", "-c", "echo $((6 * 7))"], capture_output=True, text=True)
        assert out.stdout == "42\\n", out
        # Threads.
        seen = []
        threads = [threading.Thread(target=seen.append, args=(i,)) for i in range(20)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert sorted(seen) == list(range(20))
        # Semaphores and queues in /dev/shm, shared memory, a pool.
        with multiprocessing.Pool(2) as pool:
            assert pool.map(square, range(10)) == [n * n for n in range(10)]
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            assert list(pool.map(square, [3])) == [9]
        from multiprocessing import shared_memory
        block = shared_memory.SharedMemory(create=True, size=1 << 20)
        block.buf[0] = 7
        block.close()
        block.unlink()
        # TLS can be set up: certificates and randomness are there.
        ssl.create_default_context()
        assert len(os.urandom(32)) == 32
        # A data base with its locks, in the workspace and in scratch.
        for place in ("here.db", tempfile.mktemp(suffix=".db")):
            db = sqlite3.connect(place)
            db.execute("pragma journal_mode=wal")
            db.execute("create table t (x)")
            db.executemany("insert into t values (?)", [(i,) for i in range(100)])
            db.commit()
            assert db.execute("select sum(x) from t").fetchone() == (4950,)
            db.close()
        # A server and its client on loopback.
        server = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
        client.sendall(b"hello")
        assert peer.recv(5) == b"hello"
        # Nobody else.
        try:
            socket.create_connection(("192.0.2.1", 80), timeout=2)
            sys.exit("reached the network")
        except OSError:
            pass
        with tempfile.TemporaryDirectory() as d:
            pathlib.Path(d, "x").write_text("x")
        pathlib.Path.home().joinpath(".cache").mkdir(parents=True, exist_ok=True)
        ctypes.CDLL(None).getpid()
        import helper
        json.dump({"ok": True, "args": sys.argv[1:], "hash": hashlib.sha256(b"").hexdigest(),
                   "helper": helper.NAME}, open("result.json", "w"))

    if __name__ == "__main__":
        multiprocessing.set_start_method("spawn")
        main()
"""


@needs("python3")
def test_python(as_user):
    as_user.write("script.py", textwrap.dedent(PYTHON))
    as_user.write("helper.py", "NAME = 'helper'\n")
    ok(run(as_user, "python", "python3", "script.py", "a b", "c"))
    result = as_user.workspace / "result.json"
    assert json.loads(result.read_text())["args"] == ["a b", "c"]
    assert result.stat().st_uid == as_user.uid
    assert sorted(p.name for p in as_user.workspace.iterdir()) == [
        "helper.py", "here.db", "result.json", "script.py"]
    assert {p.name for p in as_user.home.iterdir()} <= {".cache", ".local"}
    assert not [p for p in as_user.home.joinpath(".local").rglob("*") if not p.is_dir()]


@needs("python3")
def test_python_script_with_an_interpreter_line(as_user):
    as_user.write("tool", "#!/usr/bin/env python3\nimport sys; print(sys.argv)\n", mode=0o755)
    assert ok(run(as_user, "python", "./tool", "x")) == "['./tool', 'x']\n"


@needs("python3")
def test_python_passes_its_variables(as_user):
    as_user.write("lib/mine.py", "X = 5\n")
    as_user.env.update(PYTHONPATH=str(as_user.workspace / "lib"), SECRET="s")
    out = ok(run(as_user, "python", "python3", "-c",
                 "import mine, os; print(mine.X, 'SECRET' in os.environ)"))
    assert out == "5 False\n"


# --- node -----------------------------------------------------------------

NODE = """\
    const fs = require('fs'), http = require('http'), crypto = require('crypto');
    const os = require('os'), path = require('path'), zlib = require('zlib');
    const { Worker, isMainThread, parentPort } = require('worker_threads');
    const { execFileSync, spawn } = require('child_process');
    const assert = require('assert');

    async function main() {
      fs.writeFileSync('out.txt', 'text');
      fs.renameSync('out.txt', 'out2.txt');
      assert.equal(fs.readFileSync('out2.txt', 'utf8'), 'text');
      fs.mkdtempSync(path.join(os.tmpdir(), 'x-'));
      const copy = await fs.promises.readFile(__filename);
      assert(copy.length > 100);

      assert.equal(execFileSync('sh', ['-c', 'echo hi']).toString(), 'hi\\n');
      const status = await new Promise(r => spawn('sh', ['-c', 'exit 3']).on('exit', r));
      assert.equal(status, 3);

      const answer = await new Promise((r, bad) => {
        const w = new Worker(__filename);
        w.on('message', r);
        w.on('error', bad);
      });
      assert.equal(answer, 42);

      const server = http.createServer((q, s) => s.end('hello ' + q.url));
      await new Promise(r => server.listen(0, '127.0.0.1', r));
      const body = await new Promise((r, bad) => http.get(
        { host: '127.0.0.1', port: server.address().port, path: '/x' }, m => {
          let text = '';
          m.on('data', d => text += d).on('end', () => r(text));
        }).on('error', bad));
      assert.equal(body, 'hello /x');
      server.close();

      assert.equal(crypto.createHash('sha256').update('').digest('hex').slice(0, 8), 'e3b0c442');
      const { privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
      assert(crypto.sign('sha256', Buffer.from('x'), privateKey).length > 60);
      assert.equal(zlib.gunzipSync(zlib.gzipSync('abc')).toString(), 'abc');
      new Intl.DateTimeFormat('en').format(new Date());
      const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
      await WebAssembly.instantiate(wasm);
      fs.watch('.').close();

      const failed = await new Promise(r => http.get('http://192.0.2.1/').on('error', r));
      assert(failed.code, 'no way to the network');
      console.log(JSON.stringify({ args: process.argv.slice(2), env: process.env.NODE_ENV }));
    }
    if (isMainThread) main().catch(e => { console.error(e); process.exit(1); });
    else parentPort.postMessage(42);
"""


@needs("node")
def test_node(as_user):
    as_user.write("app.js", textwrap.dedent(NODE))
    as_user.env.update(NODE_ENV="test", NODE_OPTIONS="--require /nonexistent")
    out = ok(run(as_user, "node", "node", "app.js", "a", "b"))
    assert json.loads(out) == {"args": ["a", "b"], "env": "test"}
    assert (as_user.workspace / "out2.txt").stat().st_uid == as_user.uid


# --- ci-worker ------------------------------------------------------------

PROJECT = {
    "Makefile": """\
        CFLAGS ?= -O2 -g -Wall
        OBJS = main.o stack.o
        all: calc libstack.a libstack.so
        calc: $(OBJS)
        \t$(CC) $(LDFLAGS) -o $@ $^ -lm
        libstack.a: stack.o
        \t$(AR) rcs $@ $^
        libstack.so: stack.c
        \t$(CC) $(CFLAGS) -shared -fPIC -o $@ $<
        %.o: %.c stack.h
        \t$(CC) $(CFLAGS) -c -o $@ $<
        check: all
        \t./calc 2 3 + 4 x | diff - expected
        \t./calc 2 s | diff - expected-root
        many: $(foreach n,1 2 3 4 5 6 7 8 9,gen/$n.o)
        gen/%.c:
        \t@mkdir -p gen
        \techo "int f$*(void) { return $*; }" >$@
        gen/%.o: gen/%.c
        \t$(CC) -O2 -pipe -c -o $@ $<
        clean:
        \trm -rf calc *.o *.a *.so gen
        """,
    "stack.h": "void push(double v);\ndouble pop(void);\n",
    "stack.c": """\
        #include "stack.h"
        #include <stdlib.h>
        static double *items;
        static size_t count;
        void push(double v)
        {
        \titems = realloc(items, ++count * sizeof(*items));
        \titems[count - 1] = v;
        }
        double pop(void) { return items[--count]; }
        """,
    "main.c": """\
        #include <math.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include "stack.h"
        int main(int argc, char **argv)
        {
        \tfor (int i = 1; i < argc; i++)
        \t\tswitch (argv[i][0]) {
        \t\tcase '+': push(pop() + pop()); break;
        \t\tcase 'x': push(pop() * pop()); break;
        \t\tcase 's': push(sqrt(pop())); break;
        \t\tdefault: push(atof(argv[i]));
        \t\t}
        \tprintf("%.4f\\n", pop());
        }
        """,
    "expected": "20.0000\n",
    "expected-root": "1.4142\n",
}


@pytest.fixture
def project(as_user):
    for name, text in PROJECT.items():
        as_user.write(name, textwrap.dedent(text))
    return as_user


@needs("gcc", "make")
def test_ci_worker_builds_and_tests(project):
    out = ok(run(project, "ci-worker", "make", "check"))
    assert "diff" in out
    calc = project.workspace / "calc"
    assert calc.stat().st_uid == project.uid
    assert ok(run(project, "default", "./calc", "1", "2", "+")) == "3.0000\n"
    # A failing test fails the job.
    project.write("expected", "21.0000\n")
    done = run(project, "ci-worker", "make", "check")
    assert done.returncode == 2
    ok(run(project, "ci-worker", "make", "clean"))
    assert sorted(p.name for p in project.workspace.iterdir()) == sorted(PROJECT)


@needs("gcc", "make")
def test_ci_worker_in_parallel(project):
    ok(run(project, "ci-worker", "make", "-j4", "all", "many"))
    assert len(list((project.workspace / "gen").glob("*.o"))) == 9


@needs("gcc", "make")
def test_ci_worker_passes_its_variables(project):
    project.env.update(CFLAGS="-O0 -DSEEN", CI="true", GITHUB_TOKEN="secret")
    out = ok(shell(project, "ci-worker", "make main.o; echo $CI$GITHUB_TOKEN"))
    assert "-O0 -DSEEN" in out
    assert out.endswith("\ntrue\n")


@needs("gcc", "make")
@pytest.mark.skipif(not shutil.which("g++", path="/usr/bin"), reason="not installed: g++")
def test_ci_worker_cplusplus_and_sanitizer(project):
    project.write("x.cc", "#include <thread>\n#include <iostream>\nint main() { "
                  "std::thread t([] { std::cout << 1; }); t.join(); }\n")
    assert ok(shell(project, "ci-worker", "g++ -pthread -fsanitize=address x.cc -o x && "
                    "ASAN_OPTIONS=detect_leaks=0 ./x")) == "1"


# --- coding-agent ---------------------------------------------------------

@needs("git")
def test_coding_agent_git(as_user):
    """A morning of git: the whole in the workspace, and nothing outside it."""
    config = as_user.home / ".gitconfig"
    config.write_text("[user]\n\tname = Test\n\temail = test@example.com\n"
                      "[init]\n\tdefaultBranch = main\n")
    os.chown(config, as_user.uid, as_user.uid)
    before = config.read_bytes()
    out = ok(shell(as_user, "coding-agent", """
        git init -q .
        echo one >file; git add file; git commit -qm one
        git branch side; git checkout -q side
        echo two >>file; git commit -qam two
        git checkout -q main
        echo other >other; git add other; git commit -qm other
        git merge -q --no-edit side
        echo three >>file; git stash -q; git stash pop -q
        git diff --stat; git checkout -q file
        git rebase -q side 2>&1
        git worktree add -q wt side
        git tag v1; git log --oneline | wc -l
        git gc -q; git fsck --no-progress
        git clone -q . copy
        git status --short
        if git config --global user.name Other; then echo WROTE; fi
    """))
    assert "WROTE" not in out
    assert config.read_bytes() == before
    log = as_user.run(["git", "log", "--format=%an <%ae>", "main"])
    if log.returncode == 0:  # git of the host may not trust the directory
        assert set(log.stdout.split("\n")) == {"Test <test@example.com>", ""}
    assert (as_user.workspace / ".git" / "HEAD").stat().st_uid == as_user.uid


@needs("git")
def test_coding_agent_commits_without_any_configuration(as_user):
    as_user.env.update(GIT_AUTHOR_NAME="A", GIT_AUTHOR_EMAIL="a@example.com",
                       GIT_COMMITTER_NAME="C", GIT_COMMITTER_EMAIL="c@example.com",
                       GIT_DIR="/nonexistent", GIT_SSH_COMMAND="false")
    ok(run(as_user, "coding-agent", "git", "init", "-q"))
    as_user.write("f", "x")
    ok(run(as_user, "coding-agent", "git", "add", "."))
    ok(run(as_user, "coding-agent", "git", "commit", "-qm", "first"))
    out = ok(run(as_user, "coding-agent", "git", "log", "--format=%an %cn %s"))
    assert out == "A C first\n"


@needs("npm", "node")
def test_coding_agent_npm_install_of_a_local_package(as_user):
    as_user.write("pkg/package.json", json.dumps(
        {"name": "thing", "version": "1.0.0", "main": "m.js", "bin": {"thing": "m.js"},
         "scripts": {"postinstall": "echo ran >ran"}}))
    as_user.write("pkg/m.js", "#!/usr/bin/env node\nmodule.exports = 9;\n", mode=0o755)
    as_user.write("package.json", json.dumps({"name": "app", "version": "1.0.0"}))
    out = ok(shell(as_user, "coding-agent", """
        (cd pkg && npm pack --silent >/dev/null && mv thing-1.0.0.tgz ..)
        npm install --offline --no-audit --no-fund ./thing-1.0.0.tgz >/dev/null
        node -p 'require("thing")'
        node_modules/.bin/thing
    """, timeout=120))
    assert out == "9\n"
    assert (as_user.workspace / "node_modules/thing/ran").read_text() == "ran\n"
    assert not (as_user.home / ".npm").exists()


def test_coding_agent_environment(as_user):
    as_user.env.update(ANTHROPIC_API_KEY="key", OPENAI_API_KEY="key2", AWS_SECRET_ACCESS_KEY="no",
                       GITHUB_TOKEN="no", CLAUDE_CODE_X="x", SSH_AUTH_SOCK="/tmp/agent",
                       EDITOR="vi")
    env = dict(line.split("=", 1)
               for line in ok(run(as_user, "coding-agent", "env")).splitlines())
    assert env["ANTHROPIC_API_KEY"] == "key" and env["OPENAI_API_KEY"] == "key2"
    assert env["CLAUDE_CODE_X"] == "x" and env["EDITOR"] == "vi"
    assert not {"AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SSH_AUTH_SOCK",
                "XDG_CACHE_HOME"} & set(env)


def test_coding_agent_directories(as_user):
    """An agent's own directory of the home is given, writable; the rest of the home is not."""
    for name, text in ((".claude/settings.json", "{}"), (".ssh/id_ed25519", "KEY")):
        path = as_user.home / name
        path.parent.mkdir()
        path.write_text(text)
        os.chown(path, as_user.uid, as_user.uid)
        os.chown(path.parent, as_user.uid, as_user.uid)
    ok(shell(as_user, "coding-agent", """
        cat ~/.claude/settings.json; echo more >~/.claude/session
        test ! -e ~/.ssh; echo x >~/scratch
    """))
    assert (as_user.home / ".claude" / "session").read_text() == "more\n"
    assert (as_user.home / ".claude" / "session").stat().st_uid == as_user.uid
    assert not (as_user.home / "scratch").exists()


@needs("ps", "find", "sed", "tar", "diff")
def test_coding_agent_tools(as_user):
    out = ok(shell(as_user, "coding-agent", """
        ps aux | wc -l
        ps -e -o comm= | sort | head -1 >/dev/null
        mkdir d; echo text >d/f; tar czf d.tgz d; rm -r d; tar xzf d.tgz
        find . -name f -exec sed -i s/text/other/ {} +
        cat d/f
        diff d/f - <<E
        other
        E
        df . >/dev/null; du -s . >/dev/null; uname -a >/dev/null; date >/dev/null
        if command -v ssh-keygen >/dev/null; then ssh-keygen -q -t ed25519 -N '' -f k; fi
        timeout 5 sleep 0.01; nproc >/dev/null; free >/dev/null; uptime >/dev/null
    """))
    assert int(out.splitlines()[0]) <= 8
    assert out.splitlines()[1] == "other"


# --- code-analyst ---------------------------------------------------------

@needs("git", "grep")
def test_code_analyst(as_user):
    as_user.write("src/a.c", "int needle;\n")
    as_user.env["GIT_CONFIG_NOSYSTEM"] = "1"
    ok(shell(as_user, "ci-worker", """
        git init -q; git add .
        git -c user.name=n -c user.email=e@example.com commit -qm first
    """))
    before = sorted((str(p), p.lstat().st_mtime_ns) for p in as_user.workspace.rglob("*"))
    out = ok(shell(as_user, "code-analyst", """
        grep -rn needle src; git log --format=%s; git grep -c needle; git blame src/a.c >/dev/null
        git status --short
        for attempt in 'echo x >new' 'echo x >>src/a.c' 'mkdir d' 'rm src/a.c' 'mv src s' \
                       'ln -s a b' 'chmod 777 src/a.c' 'touch src/a.c' 'truncate -s 0 src/a.c'; do
            if sh -c "$attempt" 2>/dev/null; then echo "DONE: $attempt"; fi
        done
        echo report >/tmp/report; cat /tmp/report
    """))
    assert "DONE" not in out
    assert out.startswith("src/a.c:1:int needle;\nfirst\nsrc/a.c:1\n")
    assert out.endswith("report\n")
    assert sorted((str(p), p.lstat().st_mtime_ns)
                  for p in as_user.workspace.rglob("*")) == before


def test_code_analyst_output(as_user):
    """Results go where --output says."""
    results = as_user.base / "results"
    results.mkdir()
    os.chown(results, as_user.uid, as_user.uid)
    ok(shell(as_user, "code-analyst", "echo found >/out/r", options=["--output", f"{results}:/out"]))
    assert (results / "r").read_text() == "found\n"
    assert (results / "r").stat().st_uid == as_user.uid


# --- data-retriever -------------------------------------------------------

@needs("python3")
def test_data_retriever(as_user):
    as_user.write("fetch.py", textwrap.dedent("""\
        import ctypes, http.server, os, threading, urllib.request
        class H(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200); self.end_headers(); self.wfile.write(b"x" * 100000)
            def log_message(self, *a): pass
        s = http.server.HTTPServer(("127.0.0.1", 0), H)
        threading.Thread(target=s.serve_forever, daemon=True).start()
        data = urllib.request.urlopen("http://127.0.0.1:%d/" % s.server_port).read()
        open("data.bin", "wb").write(data)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.ptrace(0, 0, 0, 0) == -1 and ctypes.get_errno() == 1, "ptrace"
        assert not os.path.exists("/proc/meminfo"), "only pids in /proc"
        assert not os.path.isdir(os.environ["HOME"] + "/work")
        assert os.environ["HOME"] == "/"
        try:
            open("/home-file", "w"); raise SystemExit("wrote to /")
        except OSError:
            pass
        s.shutdown()
    """))
    ok(run(as_user, "data-retriever", "python3", "fetch.py"))
    assert (as_user.workspace / "data.bin").stat().st_size == 100000


# --- honeypot -------------------------------------------------------------

def test_honeypot(as_user):
    out = ok(shell(as_user, "honeypot", """
        test "$(pwd)" = "$HOME"; echo x >f; cat f
        ls /sys | grep -c .
        if echo x >/sys/power/state; then echo WROTE; fi 2>/dev/null
        test -z "$(ls -A /sys/kernel /sys/firmware 2>/dev/null | grep -v :)" && echo masked
        mkdir -p ~/.ssh; echo bait >~/.ssh/id; cat ~/.ssh/id
    """))
    lines = out.splitlines()
    assert lines[0] == "x" and lines[-1] == "bait" and int(lines[1]) > 3 and "WROTE" not in lines
    assert not (as_user.home / ".ssh").exists() and not list(as_user.workspace.iterdir())


# --- strict ---------------------------------------------------------------

def test_strict_filters(as_user):
    """Feed it by standard input, take its standard output."""
    as_user.write("not-there", "x")
    assert ok(run(as_user, "strict", "cat", stdin=None, input="text\n")) == "text\n"
    assert ok(run(as_user, "strict", "tr", "a-z", "A-Z", stdin=None, input="abc")) == "ABC"
    assert ok(run(as_user, "strict", "pwd")) == "/\n"
    done = run(as_user, "strict", "ls", str(as_user.workspace))
    assert done.returncode == 2 and "No such file" in done.stderr


@needs("python3")
def test_strict_python(as_user):
    out = ok(run(as_user, "strict", "python3", "-c", textwrap.dedent("""\
        import json, os, socket, sys, threading
        t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
        for family in socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK:
            try:
                socket.socket(family, socket.SOCK_STREAM if family != socket.AF_NETLINK
                              else socket.SOCK_RAW)
                print("socket", family)
            except OSError as e:
                pass
        open("/tmp/x", "w").write("x")
        print(os.listdir("/tmp"), json.dumps({"a": 1}))
        """)))
    assert out == "thread\n['x'] {\"a\": 1}\n"


@needs("python3")
def test_strict_fork_bomb(as_user):
    """It ends at pids_limit, which is 64, and only there."""
    out = ok(run(as_user, "strict", "python3", "-c", textwrap.dedent("""\
        import errno, os, signal
        n = 0
        try:
            for n in range(500):
                if os.fork() == 0:
                    signal.pause()
        except OSError as e:
            print(n, errno.errorcode[e.errno])
        """)))
    count, error = out.split()
    assert error == "EAGAIN" and 50 <= int(count) <= 64


# --- default --------------------------------------------------------------

@needs("java")
def test_default_java(as_user):
    as_user.write("Hello.java", textwrap.dedent("""\
        import java.nio.file.*;
        import java.util.stream.*;
        public class Hello {
            public static void main(String[] a) throws Exception {
                long n = IntStream.range(0, 100000).parallel().filter(i -> i % 3 == 0).count();
                Thread t = new Thread(() -> System.out.println("thread")); t.start(); t.join();
                Process p = new ProcessBuilder("echo", "child").inheritIO().start(); p.waitFor();
                Files.writeString(Path.of("out"), "" + n);
                System.out.println(n);
            }
        }
    """))
    if shutil.which("javac", path="/usr/bin"):
        ok(run(as_user, "default", "javac", "Hello.java", timeout=120))
        out = ok(run(as_user, "default", "java", "-Xmx128m", "Hello", timeout=120))
        assert out == "thread\nchild\n33334\n"
        assert (as_user.workspace / "out").read_text() == "33334"
    else:
        ok(run(as_user, "default", "java", "-version", timeout=120))


@needs("go")
def test_default_go(as_user):
    as_user.write("main.go", 'package main\nimport "fmt"\nfunc main() { c := make(chan int); '
                  'go func() { c <- 7 }(); fmt.Println(<-c) }\n')
    out = ok(shell(as_user, "default", "GOCACHE=/tmp/c GOFLAGS=-mod=mod GO111MODULE=off "
                   "go run main.go", timeout=120))
    assert out == "7\n"


@needs("gcc", "gdb")
def test_default_gdb(as_user):
    as_user.write("x.c", "int twice(int n) { return 2 * n; }\n"
                  "int main(void) { return twice(21) - 42; }\n")
    ok(run(as_user, "default", "gcc", "-g", "-O0", "-o", "x", "x.c"))
    out = ok(run(as_user, "default", "gdb", "-q", "-nx", "-batch", "-ex", "break twice",
                 "-ex", "run", "-ex", "print n", "-ex", "bt", "-ex", "continue", "./x"))
    assert "$1 = 21" in out and "#1" in out and "exited normally" in out


@needs("strace")
def test_default_strace(as_user):
    done = run(as_user, "default", "strace", "-f", "-e", "trace=execve", "sh", "-c",
               "cat /dev/null; true")
    ok(done)
    assert 'execve("/usr/bin/cat"' in done.stderr or 'execve("/bin/cat"' in done.stderr


@needs("perl")
def test_default_perl(as_user):
    out = ok(run(as_user, "default", "perl", "-MPOSIX", "-MIO::Socket::UNIX", "-e",
                 'my $p = fork; if (!$p) { POSIX::_exit(5) } waitpid $p, 0; print $? >> 8;'
                 'open F, ">f" or die $!; flock F, 2 or die $!; print F "x"; close F;'
                 'print -s "f"; my $s = IO::Socket::UNIX->new(Local => "s", Listen => 1) or die;'
                 'IO::Socket::UNIX->new(Peer => "s") or die; print "ok"'))
    assert out == "51ok"


@needs("bash")
def test_default_bash(as_user):
    out = ok(run(as_user, "default", "bash", "-c", textwrap.dedent("""\
        set -em
        sleep 0.1 & wait %1
        diff <(echo a) <(echo a)
        coproc cat; echo to >&"${COPROC[1]}"; read -r x <&"${COPROC[0]}"; echo $x
        eval "exec ${COPROC[1]}>&-"; wait $COPROC_PID
        trap 'echo trapped' USR1; kill -USR1 $$
        mkfifo p; echo through >p & cat p; wait
        exec 9>lock; flock 9; [[ -e /dev/stdin && -e /dev/fd/9 ]]; ulimit -c
        """)))
    assert out.splitlines() == ["to", "trapped", "through", "0"]
