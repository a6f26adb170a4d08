# SPDX-License-Identifier: Apache-2.0
"""
A refusal teaches: each kind of it has a line of a policy, and with exactly that line added the
action succeeds; so it does with the option that says the same. Where no single line allows it,
that is said, and why.
"""
import dataclasses
import json
import os
import pathlib
import platform
import shlex
import shutil

import pytest

from running import ok, run

X86 = platform.machine() == "x86_64"
KCMP = 312 if X86 else 272


@dataclasses.dataclass(frozen=True)
class Row:
    """@action is Python that raises, or is ended, where it is refused."""
    id: str
    type: str
    what: str  # part of it
    allow: str  # how the line begins
    action: str
    policy: str = ""
    option: bool = True  # there is one
    limited: bool = False  # takes a control group
    place: bool = False  # takes {place}, a directory of the host's outside of all scratch


def denied(*names):
    return f"syscalls: {{{{deny: [{', '.join(names)}]}}}}\n"


FILES = [
    Row("read", "file.denied", "read {place}/file", "filesystem.immutable_paths: ",
        "open('{place}/file').read()", place=True),
    Row("read, an odd name", "file.denied", "read {place}/an 'odd", "filesystem.immutable_paths: ",
        "open('{place}/an \\'odd\\' näme').read()", place=True),
    Row("exec", "file.denied", "exec {place}/true", "filesystem.immutable_paths: ",
        "subprocess.check_call(['{place}/true'])", place=True),
    Row("write", "file.denied", "write {place}/file", "filesystem.writable_paths: ",
        "open('{place}/file', 'r+').write('x')",
        "filesystem: {{immutable_paths: ['{place}']}}\n", place=True),
    Row("create", "file.denied", "create {place}/sub/new",
        "filesystem.writable_paths: [{place}/sub]", "open('{place}/sub/new', 'w')",
        "filesystem: {{immutable_paths: ['{place}']}}\n", place=True),
    Row("create where nothing is", "file.denied", "create {place}/new",
        "filesystem.writable_paths: [{place}]", "open('{place}/new', 'w')", place=True),
    Row("create at another place", "file.denied", "create /data/sub/new",
        "filesystem.writable_paths: [{{host_path: {place}/sub, sandbox_path: /data/sub}}]",
        "open('/data/sub/new', 'w')",
        "filesystem: {{immutable_paths: [{{host_path: '{place}', sandbox_path: /data}}]}}\n",
        place=True),
    Row("workspace", "file.denied", "create ", "filesystem.workspace: direct",
        "open('new', 'w')", "filesystem: {{workspace: read-only}}\n"),
    Row("proc", "file.denied", "read /proc/self/status", "filesystem.proc: masked",
        "open('/proc/self/status').read()", "filesystem: {{proc: none}}\n"),
]

FLOCK = "f = open('f', 'w'); fcntl.flock(f, fcntl.LOCK_EX)"
RO = "filesystem: {{immutable_paths: ['{place}']}}\n"
SUB = "filesystem.writable_paths: [{place}/sub]"

CHANGES = [
    Row("mkdir", "file.denied", "create {place}/sub/new", SUB, "os.mkdir('{place}/sub/new')", RO,
        place=True),
    Row("mkdir where nothing is", "file.denied", "create {place}/sub/new", SUB,
        "os.mkdir('{place}/sub/new')", place=True),
    Row("symlink", "file.denied", "create {place}/sub/new", SUB,
        "os.symlink('x', '{place}/sub/new')", RO, place=True),
    Row("mknod", "file.denied", "create {place}/sub/new", SUB, "os.mkfifo('{place}/sub/new')", RO,
        place=True),
    Row("link", "file.denied", "create {place}/sub/new", SUB,
        "os.link('{place}/sub/old', '{place}/sub/new')", RO, place=True),
    Row("unlink", "file.denied", "remove {place}/sub/old", SUB, "os.unlink('{place}/sub/old')", RO,
        place=True),
    Row("rmdir", "file.denied", "remove {place}/sub/dir", SUB, "os.rmdir('{place}/sub/dir')", RO,
        place=True),
    Row("rename", "file.denied", "remove {place}/sub/old", SUB,
        "os.rename('{place}/sub/old', '{place}/sub/new')", RO, place=True),
    Row("rename, to there", "file.denied", "create {place}/sub/new", SUB,
        "os.rename('{place}/sub/old', '{place}/sub/new')", RO, place=True),
    Row("chmod", "file.denied", "write {place}/file", "filesystem.writable_paths: [{place}/file]",
        "os.chmod('{place}/file', 0o600)", RO, place=True),
]

CALLS = [
    Row("list", "syscall.denied", "flock", "syscalls.deny: !replace [kcmp, fsync]", FLOCK,
        denied("kcmp", "flock", "fsync")),
    Row("list of one", "syscall.denied", "flock", "syscalls.deny: !replace []", FLOCK,
        denied("flock")),
    Row("baseline", "syscall.denied", "kcmp", "syscalls.allow: [kcmp]",
        f"call({KCMP}, os.getpid(), os.getpid(), 1, 0, 0)"),
    Row("rule", "syscall.denied", "flock", "syscalls.advanced_rules: !replace [{{syscall: fsync",
        FLOCK, "syscalls:\n  advanced_rules:\n"
        "    - {{syscall: flock, action: deny, conditions: [{{arg: 1, op: eq, value: 2}}]}}\n"
        "    - {{syscall: fsync, action: deny, conditions: [{{arg: 0, op: gt, value: 1000}}]}}\n",
        option=False),
    Row("guard: namespaces", "syscall.denied", "unshare", "nesting: true",
        "subprocess.check_call(['unshare', '--user', 'true'])"),
    Row("guard: set-user-ID", "syscall.denied", "chmod", "syscalls.advanced_rules: [",
        "open('f', 'w'); os.chmod('f', 0o4755)", option=False),
    Row("guard: personality", "syscall.denied", "personality", "syscalls.advanced_rules: [",
        f"call({135 if X86 else 92}, 0x0100000, 0, 0, 0, 0)", option=False),
    Row("family of sockets", "syscall.denied", "socket", "syscalls.advanced_rules: [",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)", option=False),
    Row("loopback off", "syscall.denied", "socket", "network.loopback: true",
        "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); "
        "socket.create_connection(s.getsockname())", "network: {{loopback: false}}\n"),
    Row("raw socket, with its capability", "syscall.denied", "socket", "syscalls.advanced_rules: [",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "capabilities: {{add: [CAP_NET_RAW]}}\n", option=False),
    Row("capability that is there", "syscall.denied", "chroot", "syscalls.allow: [chroot]",
        "os.chroot('/')", "capabilities: {{add: [CAP_SYS_CHROOT]}}\n"),
]

# clone3(2): struct clone_args, with SIGCHLD as its exit_signal; the child ends as the parent does.
CLONE3 = ("a = (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17, 0, 0, 0); "
          "call(435, ctypes.addressof(a), ctypes.sizeof(a))")
IO_SETUP = f"a = ctypes.c_uint64(0); call({206 if X86 else 0}, 1, ctypes.addressof(a))"

ABSENT = [
    Row("as an older kernel", "syscall.denied", "io_setup", "syscalls.allow: [io_setup]", IO_SETUP),
    Row("as an older kernel, in each thread", "syscall.denied", "clone3",
        "syscalls.advanced_rules: [{{syscall: clone3, action: allow}}]", CLONE3, option=False),
    Row("ended", "syscall.denied", "kcmp", "syscalls.allow: [kcmp]",
        f"call({KCMP}, os.getpid(), os.getpid(), 1, 0, 0)", "syscalls: {{kill: true}}\n"),
    Row("ended by a list", "syscall.denied", "flock", "syscalls.deny: !replace []", FLOCK,
        "syscalls: {{kill: true, deny: [flock]}}\n"),
]

LIMITS = [
    Row("time", "limit.reached", "resources.session_timeout_seconds",
        "resources.session_timeout_seconds: 6", "time.sleep(4)",
        "resources: {{session_timeout_seconds: 3}}\n"),
    Row("processor time", "limit.reached", "resources.cpu_time_seconds",
        "resources.cpu_time_seconds: 4", "while time.process_time() < 2.5: pass",
        "resources: {{cpu_time_seconds: 2}}\n"),
    Row("file size", "limit.reached", "resources.file_size_bytes", "resources.file_size_bytes: 32K",
        "subprocess.check_call(['dd', 'if=/dev/zero', 'of=f', 'bs=1k', 'count=20'])",
        "resources: {{file_size_bytes: 16K}}\n"),
    Row("open files", "limit.reached", "resources.open_files", "resources.open_files: 128",
        "f = [open('/etc/hosts') for _ in range(90)]", "resources: {{open_files: 64}}\n"),
    Row("processes, each by itself", "limit.reached", "resources.pids_limit",
        "resources.pids_limit: 24",
        "p = [subprocess.Popen(['sleep', '30']) for _ in range(16)]; [x.kill() for x in p]",
        "resources: {{pids_limit: 12}}\n"),
    Row("threads", "limit.reached", "resources.pids_limit", "resources.pids_limit: 24",
        "import threading; e = threading.Event()\n"
        "try:\n    for _ in range(16): threading.Thread(target=e.wait).start()\n"
        "finally: e.set()", "resources: {{pids_limit: 12}}\n"),
    Row("room", "limit.reached", "filesystem.scratch_bytes", "filesystem.scratch_bytes: 2M",
        "f = open('/tmp/x', 'wb', 0); [f.write(bytes(1 << 14)) for _ in range(80)]",
        "filesystem: {{scratch_bytes: 1M}}\n"),
    Row("memory", "limit.reached", "resources.memory_limit_bytes",
        "resources.memory_limit_bytes: 128M", "bytearray(90 << 20)",
        "resources: {{memory_limit_bytes: 64M}}\n", limited=True),
    Row("processes", "limit.reached", "resources.pids_limit", "resources.pids_limit: 24",
        "p = [subprocess.Popen(['sleep', '30']) for _ in range(16)]; [x.kill() for x in p]",
        "resources: {{pids_limit: 12, memory_limit_bytes: 1G}}\n", limited=True),
]

HEAD = """
import ctypes, fcntl, os, socket, subprocess, sys, time
def call(*args):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*(ctypes.c_long(a) for a in args)) < 0:
        raise OSError(ctypes.get_errno(), "refused")
"""


class Lesson:
    def __init__(self, runner, place=None):
        self.runner, self.place = runner, place
        self.trail = runner.home / "trail" / "audit.jsonl"
        self.report = runner.workspace / "report.json"

    def fill(self, text):
        return text.format(place=self.place) if self.place else text.format()

    def policy(self, body, *lines):
        text = (f"extends: default\naudit: {{enabled: true, log_path: '{self.trail}', "
                "detail_level: [filesystem, syscall, network, resource, security_events]}\n" + body +
                "".join(line + "\n" for line in lines))
        return str(self.runner.write("p.yaml", text))

    def run(self, policy, action, options=()):
        for name in ("f", "new"):
            (self.runner.workspace / name).unlink(missing_ok=True)
        self.renew()
        return run(self.runner, "python3", "-c", HEAD + action,
                   options=["-p", policy, "--report", str(self.report), *options])

    def renew(self):
        """As it was before an action has succeeded."""
        if not self.place:
            return
        new = pathlib.Path(f"{self.place}/sub/new")
        if new.is_dir() and not new.is_symlink():
            new.rmdir()
        else:
            new.unlink(missing_ok=True)
        pathlib.Path(f"{self.place}/sub/dir").mkdir(exist_ok=True)
        pathlib.Path(f"{self.place}/sub/old").touch()
        for name in ("dir", "old"):
            os.chown(f"{self.place}/sub/{name}", self.runner.uid, self.runner.uid)

    def why(self, *words):
        return self.runner.run([self.runner.purple, "why", "--file", str(self.trail), *words])

    def denials(self):
        """Those of the last run; the trail and the report say the same."""
        told = json.loads(ok(self.why("--json")))["denials"]
        reported = json.loads(self.report.read_text()).get("denials", [])
        assert {(d["type"], d["what"], d["allow"]) for d in reported} <= \
            {(d["type"], d["what"], d["allow"]) for d in told}
        return told, reported


@pytest.fixture
def place(as_user):
    """A directory of the host's that this user can write, where no sandbox has one of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    directory = f"/srv/purple-test-{os.getpid()}-{as_user.uid}"
    os.makedirs(f"{directory}/sub/dir")
    for name in ("file", "sub/old", "an 'odd' näme"):
        with open(f"{directory}/{name}", "w") as f:
            f.write("x")
    shutil.copy2("/bin/true", f"{directory}/true")
    for name in ("", "file", "sub", "sub/old", "sub/dir", "an 'odd' näme"):
        os.chown(f"{directory}/{name}", as_user.uid, as_user.uid)
    yield directory
    shutil.rmtree(directory)


def teach(lesson, row):
    """Refused; then with the line, and with the option, not."""
    body, action = lesson.fill(row.policy), lesson.fill(row.action)
    policy = lesson.policy(body)
    done = lesson.run(policy, action)
    assert done.returncode != 0, done
    told, reported = lesson.denials()
    found = [d for d in told if d["type"] == row.type and lesson.fill(row.what) in d["what"]]
    assert len(found) == 1, told
    denial = found[0]
    assert denial["count"] >= 1 and denial["layer"] and denial["reason"], denial
    assert denial["allow"] and denial["allow"].startswith(lesson.fill(row.allow)), denial
    assert any(d["what"] == denial["what"] and d["allow"] == denial["allow"] for d in reported)
    assert bool(denial["option"]) == row.option, denial
    if row.option:
        (lesson.runner.workspace / "f").unlink(missing_ok=True)
        done = lesson.run(policy, action, shlex.split(denial["option"]))
        assert done.returncode == 0, (denial["option"], done)
    done = lesson.run(lesson.policy(body, denial["allow"]), action)
    assert done.returncode == 0, (denial["allow"], done)
    assert not [d for d in lesson.denials()[0] if d["what"] == denial["what"] and
                d["allow"] == denial["allow"]]


@pytest.mark.parametrize("row", [r for r in FILES + CHANGES if r.place], ids=lambda r: r.id)
def test_files_of_the_host(as_user, place, row):
    teach(Lesson(as_user, place), row)


@pytest.mark.parametrize("row", [r for r in FILES + CALLS + ABSENT + LIMITS if not r.place and not r.limited],
                         ids=lambda r: r.id)
def test_here(as_user, row):
    teach(Lesson(as_user), row)


@pytest.mark.parametrize("row", [r for r in LIMITS if r.limited], ids=lambda r: r.id)
def test_limits_of_all_together(limited, row):
    teach(Lesson(limited), row)


HOME = {
    "read": ("read {home}/.npmrc", "open('{home}/.npmrc').read()"),
    "read, looked for": ("read {home}/.gitconfig",
                         "sys.exit(not os.access('{home}/.gitconfig', os.R_OK))"),
    "exec": ("exec {home}/.bin/tool", "subprocess.check_call(['{home}/.bin/tool'])"),
}


@pytest.mark.parametrize("what, action", HOME.values(), ids=HOME)
def test_files_of_the_home(as_user, what, action):
    """The sandbox's home is empty: what agents miss most is told, and what is in it is not."""
    home = as_user.home
    (home / ".bin").mkdir()
    shutil.copy2("/bin/true", home / ".bin/tool")
    for name in (".npmrc", ".gitconfig"):
        (home / name).write_text("[secret]\n")
    for name in (".npmrc", ".gitconfig", ".bin", ".bin/tool"):
        os.chown(home / name, as_user.uid, as_user.uid)
    path = what.split()[1].format(home=home)
    teach(Lesson(as_user), Row("", "file.denied", what.format(home=home),
                               f"filesystem.immutable_paths: [{path}]", action.format(home=home)))
    assert "secret" not in (home / "trail/audit.jsonl").read_text()


def test_files_that_the_home_outside_has_not_either(as_user):
    """Nobody outside is told; inside it looks like any other. What is made inside is there."""
    lesson, home = Lesson(as_user), as_user.home
    inside = "/run/purple/denials.jsonl"
    (home / ".here").write_text("x")
    script = (f"for p in '{home}/.nothing', '{home}/.here':\n"
              "    try: open(p)\n    except OSError: pass\n"
              f"open('{home}/.made', 'w').close(); open('{home}/.made').close()\n"
              f"time.sleep(1)\nprint(open('{inside}').read())")
    done = lesson.run(lesson.policy(f"denials: {{file: {inside}}}\n"), script)
    assert done.returncode == 0, done
    what = [json.loads(line)["what"] for line in done.stdout.splitlines() if line]
    assert {f"read {home}/.nothing", f"read {home}/.here"} <= set(what)
    assert not [w for w in what if ".made" in w]
    told, reported = lesson.denials()
    for denials in (told, reported):
        assert [d["what"] for d in denials if str(home) in d["what"]] == [f"read {home}/.here"]


def test_what_is_no_refusal(as_user, place):
    """Of what the policy allows, or what fails for another reason, nothing is said."""
    lesson = Lesson(as_user, place)
    script = lesson.fill(
        "def fails(f, *args):\n"
        "    try: f(*args)\n    except OSError: return\n    raise SystemExit(3)\n"
        "os.mkdir('d'); os.rename('d', 'e'); os.rmdir('e'); os.symlink('x', 'l'); os.unlink('l')\n"
        "open('f', 'w').close(); os.chmod('f', 0o600); os.link('f', 'g'); os.unlink('g')\n"
        "fails(os.unlink, 'nothing'); fails(os.mkdir, '/tmp'); fails(os.mkdir, '/usr/lib')\n"
        "fails(os.unlink, '/nothing/at/all'); fails(os.rename, 'f', '{place}/sub/new')\n"
        "os.mkdir('/tmp/x'); os.rename('/tmp/x', '/tmp/y')")
    done = lesson.run(lesson.policy(lesson.fill(RO)), script)
    assert done.returncode == 0, done
    assert [d for d in lesson.denials()[0] if d["type"] == "file.denied" and
            not d["what"].startswith("read ")] == []


NO_LINE = [
    ("create in a read-only path", "create {place}/new", "two changes",
     "open('{place}/new', 'w')", "filesystem: {{immutable_paths: ['{place}']}}\n"),
    ("the system", "create /usr/new", "the system's programs", "open('/usr/new', 'w')", ""),
    ("the configuration", "create /etc/passwd", "Purple's own", "open('/etc/passwd', 'w')", ""),
    ("a device", "read /dev/kvm", "not supported yet", "open('/dev/kvm', 'rb')", ""),
    ("a capability of the host", "settimeofday", "nobody inside can have",
     "call(SETTIME, 0, 0, 0, 0, 0)", ""),
    ("a device node", "mknod", "nobody inside can have",
     "os.mknod('f', 0o020666, os.makedev(1, 3))", ""),
    ("a call without a name", "500", "no call of that number", "call(500)", ""),
    ("create beside what no policy gives", "create /run/new", "/run/docker.sock is there",
     "open('/run/new', 'w')", ""),
    ("a listener", "seccomp", "one listener", "call(SECCOMP, 1, 8, 0, 0, 0)", ""),
    ("two lines", "chroot", "two lines: syscalls.allow: [chroot]; capabilities.add: "
     "[CAP_SYS_CHROOT]", "os.chroot('/')", ""),
    ("no network", "192.0.2.1:9/udp", "two lines: network.isolated: false; "
     'network.allow_outgoing: ["192.0.2.1:9/udp"]',
     "socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))", ""),
    ("no network, by sendto", "192.0.2.1:9/udp", "two lines: network.isolated: false; "
     'network.allow_outgoing: ["192.0.2.1:9/udp"]',
     "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))", ""),
]


@pytest.mark.parametrize("row", NO_LINE, ids=lambda r: r[0])
def test_no_single_line(as_user, place, row):
    _, what, why, action, body = row
    lesson = Lesson(as_user, place)
    action = lesson.fill(action).replace("SETTIME", "164" if X86 else "170").replace(
        "SECCOMP", "317" if X86 else "277")
    policy = lesson.policy(lesson.fill(body))
    # What is there and may be read is read; what could not be is told of all the same.
    lesson.run(policy, action)
    found = [d for d in lesson.denials()[0] if lesson.fill(what) in d["what"]]
    assert len(found) == 1, lesson.denials()
    assert found[0]["allow"] is None and found[0]["option"] is None, found
    assert why in found[0]["why"], found
    if why.startswith("two lines: "):
        lines = why.removeprefix("two lines: ").split("; ")
        text = ok(lesson.why())
        assert lesson.run(lesson.policy("", *lines), action).returncode == 0
        shown = "    policy:  {}\n             {}\n    option:  ".format(*lines)
        assert shown in text, text
        option = text.split(shown)[1].split("\n", maxsplit=1)[0]
        assert lesson.run(lesson.policy(""), action, options=shlex.split(option)).returncode == 0


def test_a_file_that_the_host_has_not_either(as_user):
    """Programs look for many: outside nobody is told of it, inside it looks like any other."""
    lesson = Lesson(as_user)
    inside = "/run/purple/denials.jsonl"
    script = ("for p in '/nothing-like-this', '/etc/login.defs':\n"
              "    try: open(p)\n    except OSError: pass\n"
              f"time.sleep(1)\nprint(open('{inside}').read())")
    done = lesson.run(lesson.policy(f"denials: {{file: {inside}}}\n"), script)
    assert done.returncode == 0, done
    what = [json.loads(line)["what"] for line in done.stdout.splitlines() if line]
    assert {"read /nothing-like-this", "read /etc/login.defs"} <= set(what)
    assert "/nothing-like-this" not in done.stderr
    assert not [d for d in lesson.denials()[1] if "nothing-like-this" in d["what"]]


def test_the_end_of_a_run_is_short(as_user):
    """At most sixteen lines and a count; of hostile names nothing that a terminal obeys."""
    lesson = Lesson(as_user)
    script = ("for i in range(40):\n"
              "    try: open('/usr/\\x1b[2J\\u202e\\n%d' % i, 'w')\n    except OSError: pass\n")
    done = lesson.run(lesson.policy(""), script)
    assert done.returncode == 0, done
    lines = done.stderr.splitlines()
    assert len(lines) == 17 and lines[16].endswith("more were refused; --report has them"), lines
    assert all(line.startswith("purple: files: refused create /usr/\\x1b[2J\\xe2\\x80\\xae\\x0a")
               for line in lines[:16]), lines
    assert all(c == "\n" or c.isprintable() for c in done.stderr), repr(done.stderr)


def test_nothing_refused_is_nothing_told(as_user):
    lesson = Lesson(as_user)
    policy = lesson.policy("")
    done = run(as_user, "true", options=["-p", policy, "--report", str(lesson.report)])
    assert (done.returncode, done.stderr) == (0, "")
    assert "denials" not in json.loads(lesson.report.read_text())
    assert ok(lesson.why()) == "nothing was refused\n"
    assert ok(as_user.run([as_user.purple, "why", "--report", lesson.report])) == \
        "nothing was refused\n"


def test_the_log_says_what_it_is_about(as_user):
    """The log of a detached sandbox, as standard error does: files are no matter of the network."""
    name = f"why-log-{as_user.uid}-{os.getpid()}"
    try:
        ok(as_user.run([as_user.purple, "run", "-p", Lesson(as_user).policy(""), "-d", "--name", name,
                        "sh", "-c", "echo x >/usr/first"]))
        as_user.run([as_user.purple, "wait", name])
        logged = ok(as_user.run([as_user.purple, "logs", name]))
        assert "purple: files: refused create /usr/first: EROFS" in logged, logged
    finally:
        as_user.run([as_user.purple, "rm", "-f", name])


def test_which_sandbox_is_meant(as_user):
    """By name the last one of it, a live one too; by id any; without a word the last of all."""
    lesson = Lesson(as_user)
    policy = lesson.policy("")
    name = f"why-{as_user.uid}-{os.getpid()}"
    ids = []

    def refused(path, *words):
        return [as_user.purple, *words, "sh", "-c", f"echo x 2>/dev/null >{path}; true"]

    try:
        for path in ("/usr/first", "/usr/second"):
            ok(as_user.run([as_user.purple, "create", "-p", policy, name]))
            ok(as_user.run(refused(path, "exec", name, "--")))
            told = json.loads(ok(lesson.why("--json", name)))
            assert [d["what"] for d in told["denials"]] == [f"create {path}"], told
            ids.append(told["sandbox"])
            ok(as_user.run([as_user.purple, "stop", name]))
            as_user.run([as_user.purple, "rm", name])
    finally:
        as_user.run([as_user.purple, "rm", "-f", name])
    assert "create /usr/first\n" in ok(lesson.why(ids[0]))
    assert "create /usr/second\n    refused: EROFS, by mount\n    no line: " in ok(lesson.why())
    missing = lesson.why("nobody")
    assert missing.returncode == 125 and "tells of no sandbox nobody" in missing.stderr
    assert as_user.run([as_user.purple, "why", "--report", policy]).returncode == 125
    assert lesson.why("a", "b").returncode == 125
