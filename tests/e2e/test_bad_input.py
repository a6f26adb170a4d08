# SPDX-License-Identifier: Apache-2.0
"""
Whatever is wrong with a policy, an option or a path: one clear message on
standard error, status 125, and nothing made on the host.

Each table row is (name, what is wrong, words that the message must have).
"""
import os
import re
import subprocess

import pytest

UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
MARKER = ("/bin/sh", "-c", "echo >marker")


def tree(top, without):
    found = {}
    for path in sorted(top.rglob("*")):
        if path != without and without not in path.parents:
            st = path.lstat()
            found[str(path)] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_ino)
    return found


class Bad:
    def __init__(self, runner):
        self.runner = runner
        self.tmp = runner.base / "tmp"
        self.tmp.mkdir()
        self.tmp.chmod(0o1777)
        self.env = {**runner.env, "TMPDIR": str(self.tmp)}

    def write(self, data, name="p.yaml"):
        path = self.runner.write(name, "")
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def home(self, name, text):
        """A file in the user's home, with its directories."""
        path = self.runner.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def refuse(self, *options, words=(), command=MARKER, verb="run"):
        before = tree(self.runner.base, self.runner.home / ".cache")
        done = self.runner.run([self.runner.purple, verb, *options, "--", *command],
                               env=self.env, text=False, timeout=20)
        message = done.stderr.decode("utf-8")
        assert done.returncode == 125, message
        assert done.stdout == b""
        self.is_one_clear_message(message)
        for word in (words,) if isinstance(words, str) else words:
            assert word in message
        assert tree(self.runner.base, self.runner.home / ".cache") == before
        return message

    @staticmethod
    def is_one_clear_message(text):
        """Faults of the policy, a line each; one line of purple's; what to do about it."""
        assert text.endswith("\n") and len(text) < 64 * 1024
        assert not UNPRINTABLE.search(text), repr(text)
        lines = text.splitlines()
        assert len(lines) <= 103
        assert all(lines), "no empty line"
        ours = [i for i, line in enumerate(lines) if line.startswith("purple: ")]
        assert len(ours) == 1, text
        for line in lines[:ours[0]]:
            assert re.match(r".+: .+", line), line
        for line in lines[ours[0] + 1:]:
            assert line.startswith("  "), line


@pytest.fixture
def bad(as_user):
    return Bad(as_user)


def each(table):
    return pytest.mark.parametrize("data,words", [row[1:] for row in table],
                                   ids=[row[0] for row in table])


def bomb(depth, width):
    lines = ["a0: &a0 [" + ", ".join(["x"] * width) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * width) + "]"
              for i in range(1, depth)]
    return "\n".join(lines) + "\n"


KEYS = (
    ("unknown section", "secrets:\n  x: 1\n", "p.yaml:1:1: secrets: unknown key"),
    ("misspelt section", "resuorces: {}\n", "did you mean resources?"),
    ("misspelt key", "resources:\n  pids_limt: 3\n",
     ("p.yaml:2:3: resources.pids_limt: unknown key", "did you mean pids_limit?")),
    ("key of another section", "filesystem:\n  pids_limit: 3\n",
     "filesystem.pids_limit: unknown key"),
    ("wrong case", "Network: {isolated: true}\n", "did you mean network?"),
    ("key twice", "name: a\nname: b\n", "p.yaml:2:1: name: this key is there twice"),
    ("section twice", "network: {}\nnetwork: {}\n", "p.yaml:2:1: network"),
    ("key is a list", "[a]: 1\n", "p.yaml:1:1"),
    ("key is null", "~: 1\n", "p.yaml:1:1"),
    ("empty key", '"": 1\n', "p.yaml:1:1"),
    ("merge key", "<<: {name: x}\n", "<<: unknown key"),
    ("three faults at once", "resources:\n  pids_limit: [1]\n  open_files: x\nfoo: bar\n",
     ("p.yaml:2:15: resources.pids_limit", "p.yaml:3:15: resources.open_files",
      "p.yaml:4:1: foo", "3 errors")),
    ("key with an escape sequence", '"\\e[31mfoo": 1\n', "\\x1b[31mfoo"),
    ("more faults than anybody reads", "".join(f"k{i}: 1\n" for i in range(3000)),
     ("the first 100 faults; there may be more", "100 errors")),
)

TYPES = (
    ("section is a number", "resources: 3\n", "a map is expected here, not a number"),
    ("section is a list", "network: [isolated]\n", "a map is expected here, not a list"),
    ("section is text", "syscalls: default\n", "a map is expected here"),
    ("number is a list", "resources:\n  pids_limit: [1]\n",
     "a whole number is expected here, not a list"),
    ("number is text", "resources:\n  pids_limit: many\n", "many is not a whole number"),
    ("number is quoted garbage", "resources:\n  pids_limit: '1 2'\n", "whole number"),
    ("number with a point", "resources:\n  pids_limit: 1.5\n", "whole number"),
    ("number is null", "resources:\n  pids_limit:\n", "resources.pids_limit"),
    ("number in exponents", "resources:\n  pids_limit: 1e3\n", "whole number"),
    ("bool is a number", "network:\n  isolated: 1\n", "network.isolated"),
    ("bool is text", "network:\n  isolated: perhaps\n", "network.isolated"),
    ("bool is a map", "nesting: {}\n", "nesting"),
    ("enumeration", "filesystem:\n  workspace: readonly\n",
     ("filesystem.workspace", "read-only")),
    ("enumeration is a list", "filesystem:\n  workspace: [direct]\n", "filesystem.workspace"),
    ("list is text", "syscalls:\n  allow: read\n", "syscalls.allow"),
    ("list is a map", "syscalls:\n  allow: {read: 1}\n", "syscalls.allow"),
    ("item is a list", "syscalls:\n  allow: [[read]]\n", "syscalls.allow[0]"),
    ("item is a map", "syscalls:\n  allow: [{a: b}]\n", "syscalls.allow[0]"),
    ("path is a number", "filesystem:\n  immutable_paths: [7]\n", "immutable_paths[0]"),
    ("bind without a path", "filesystem:\n  immutable_paths: [{optional: true}]\n",
     ("immutable_paths[0]", "host_path")),
    ("bind with another key", "filesystem:\n  immutable_paths: [{host_path: /usr, mode: rw}]\n",
     ("immutable_paths[0]", "mode")),
    ("text is a map", "name: {}\n", "name"),
    ("environment is a list", "environment:\n  set: [A=1]\n", "environment.set"),
    ("environment value is a list", "environment:\n  set: {A: [1]}\n", "environment.set"),
    ("tag", "name: !!python/object/apply:os.system [id]\n", "p.yaml:1:7: unknown tag"),
    ("replace on text", "name: !replace x\n", "p.yaml:1:7"),
)

VALUES = (
    ("number negative", "resources: {pids_limit: -1}\n", "-1 is not a whole number"),
    ("number zero", "resources: {pids_limit: 0}\n", ("out of range", "1 to 4194304")),
    ("number too large", "resources: {pids_limit: 4194305}\n", "out of range"),
    ("number beyond 64 bits", "resources: {pids_limit: 99999999999999999999999}\n", "write 1 to 4194304"),
    ("number wraps", "resources: {pids_limit: 18446744073709551617}\n", "out of range"),
    ("size wraps", "filesystem: {scratch_bytes: 18446744073709551615T}\n",
     "filesystem.scratch_bytes"),
    ("size of an unknown unit", "filesystem: {scratch_bytes: 2X}\n", "a size such as"),
    ("size too small", "filesystem: {scratch_bytes: 1}\n", "out of range"),
    ("cores", "resources: {cpu_shares: 1.2.3}\n", "resources.cpu_shares"),
    ("rate", "resources: {block_io_limit: fast}\n", "resources.block_io_limit"),
    ("NUL escape", 'filesystem: {working_dir: "/a\\0b"}\n', "NUL"),
    ("relative path", "filesystem: {immutable_paths: [usr/share]}\n", "neither absolute"),
    ("another's home", "filesystem: {immutable_paths: ['~root/x']}\n", "neither absolute"),
    ("unknown variable", "filesystem: {immutable_paths: ['${PWD}/x']}\n", "unknown variable"),
    ("empty path", "filesystem: {immutable_paths: ['']}\n", "an empty path"),
    ("upwards", "filesystem: {immutable_paths: [/usr/../etc]}\n", "'..' in a path"),
    ("upwards at the end", "filesystem: {writable_paths: [/srv/..]}\n", "'..' in a path"),
    ("upwards from the workspace", "filesystem: {writable_paths: [./../x]}\n", "'..' in a path"),
    ("upwards from home", "filesystem: {working_dir: ~/../x}\n", "'..' in a path"),
    ("upwards inside", "filesystem: {immutable_paths: [{host_path: /usr, sandbox_path: /a/..}]}\n",
     "'..' in a path"),
    ("upwards by scratch", "filesystem: {scratch_paths: [/tmp/../etc]}\n", "'..' in a path"),
    ("a path of 5000 bytes", f"filesystem: {{immutable_paths: [/{'a' * 5000}]}}\n",
     "immutable_paths[0]"),
    ("the root", "filesystem: {immutable_paths: [/]}\n", "/ cannot be given"),
    ("the root by slashes", "filesystem: {immutable_paths: [//./]}\n", "cannot be given"),
    ("put at the root", "filesystem: {immutable_paths: [{host_path: /usr, sandbox_path: /}]}\n",
     "immutable_paths[0]"),
    ("put over /proc", "filesystem: {immutable_paths: [{host_path: /usr, sandbox_path: /proc}]}\n",
     "/proc is the sandbox's own"),
    ("scratch over /dev", "filesystem: {scratch_paths: [/dev/x]}\n", "the sandbox's own"),
    ("written twice", "filesystem:\n  immutable_paths: [/srv]\n  writable_paths: [/srv]\n",
     "keep one"),
    ("absent", "filesystem: {immutable_paths: [/nonexistent/x]}\n",
     ("p.yaml:1", "/nonexistent/x: No such file or directory", "optional: true")),
    ("a device as a file", "filesystem: {immutable_paths: [/dev/null]}\n", "/dev/null cannot"),
    ("a call that nobody knows", "syscalls: {allow: [nosuchcall]}\n", "nosuchcall"),
    ("no call's name", "syscalls: {deny: ['open at']}\n", "not the name of a system call"),
    ("a rule without a call", "syscalls: {advanced_rules: [{action: deny}]}\n",
     "advanced_rules[0]"),
    ("a rule's argument", "syscalls: {advanced_rules: [{syscall: read, action: deny, "
     "conditions: [{arg: 6, op: eq, value: 1}]}]}\n", "advanced_rules[0]"),
    ("a rule's comparison", "syscalls: {advanced_rules: [{syscall: read, action: deny, "
     "conditions: [{arg: 0, op: like, value: 1}]}]}\n", "advanced_rules[0]"),
    ("nothing could start", "syscalls: {baseline: none}\n", "nothing is allowed beyond the start"),
    ("no capability", "capabilities: {add: [CAP_NOSUCH]}\n", "unknown capability CAP_NOSUCH"),
    ("capabilities kept", "capabilities: {default_drop: false}\n", "capabilities.default_drop"),
    ("variable's name", "environment: {set: {'A B': 1}}\n", "not the name of a variable"),
    ("variable with =", "environment: {pass: ['A=B']}\n", "not the name of a variable"),
    ("every variable", "environment: {pass: ['*']}\n", "every variable, secrets too"),
    ("network rule", "network: {allow_outgoing: ['example.com:99999']}\n", "allow_outgoing[0]"),
    ("network block", "network: {blocked_ips: [10.0.0.0/33]}\n", "blocked_ips[0]"),
    ("nowhere to start", "filesystem: {workspace: none, working_dir: .}\n",
     "no workspace to start in"),
    ("device", "devices: {allow: [/etc/passwd]}\n", "devices.allow[0]"),
)

# Of every limit: no number of any kind, and more than there can be. Some may be 0.
NO_LIMITS = ("-1", "1e30", "'2GiB '", "' 1'", ".inf", ".nan", "''", "1 000", "'1,5'", "1_000", "[]",
             "~", "99999999999999999999", "4194304T")
LIMITS = ("cpu_shares", "cpu_weight", "cpuset", "memory_limit_bytes", "swap_limit_bytes",
          "pids_limit", "block_io_limit", "session_timeout_seconds", "cpu_time_seconds",
          "kill_grace_seconds", "open_files", "file_size_bytes", "core_size_bytes", "stack_bytes")
NEVER_ZERO = ("cpu_shares", "cpu_weight", "memory_limit_bytes", "pids_limit", "block_io_limit",
              "session_timeout_seconds", "cpu_time_seconds", "open_files", "stack_bytes")

PROCESSORS = ("0x1", "0000001x", "1-", "-1", "3-1", "1-2-3", "1-x", "0b1", "+1", "4096", "0-4096")

FORBIDDEN = ("/proc", "/proc/self/root", "/sys/fs/cgroup", "/dev", "/dev/sda", "/boot", "/root/.ssh",
             "/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock",
             "/run/user/1000/bus", "/run/purple", "/var/lib/docker")

UNSUPPORTED = (
    ("devices", "devices: {allow: [/dev/kvm]}\n", "devices.allow"),
    ("gpu", "devices: {gpu: [all]}\n", "devices.gpu"),
)

FILES = (
    ("empty", "", "empty; a policy is a map of sections"),
    ("only a comment", "# nothing\n", "empty"),
    ("a list", "- a\n", "not a list"),
    ("a word", "abc\n", "not text"),
    ("null", "~\n", "a map of sections"),
    ("NUL byte", b"name: a\0b\n", "p.yaml:1:8: a NUL byte"),
    ("only NUL bytes", bytes(4096), "a NUL byte"),
    ("not UTF-8", b"name: \xff\xfe\n", "p.yaml:1:7: not UTF-8"),
    ("Latin-1", "name: café\n".encode("latin-1"), "not UTF-8"),
    ("UTF-16", "name: x\n".encode("utf-16"), "p.yaml:1:"),
    ("control characters", b"name: \x1b[31mred\n", "control character"),
    ("tabs", "a:\n\tb: 1\n", ("p.yaml:2:1: not valid YAML", "not tabs")),
    ("unclosed", "syscalls: [a, b\n", "not valid YAML"),
    ("unclosed quote", "name: 'x\n", "not valid YAML"),
    ("two documents", "name: a\n---\nname: b\n", "a second document"),
    ("an executable", b"\x7fELF\x02\x01\x01" + bytes(100), "NUL byte"),
    ("random", bytes(range(256)) * 16, "p.yaml:1:"),
    ("JSON that is no policy", '{"a": {"b": [1, 2, {"c": null}]}}', "a: unknown key"),
    ("a bomb of aliases", bomb(9, 9), "too large"),
    ("a wide bomb", bomb(3, 4000), "too large"),
    ("a bomb in a key that is ignored", "ai_policy:\n" +
     "".join("  " + line + "\n" for line in bomb(9, 9).splitlines()), "too large"),
    ("an alias to itself", "a: &a [*a]\n", "an alias without an anchor"),
    ("an alias to nothing", "a: *b\n", "alias"),
    ("anchors without number", "".join(f"k{i}: &a{i} 1\n" for i in range(100)), "64"),
    ("nested without end", "a: " + "[" * 100000 + "\n", "nested too deeply"),
    ("nested maps", "{a: " * 20000 + "\n", "nested too deeply"),
    ("nested by indent", "".join(" " * i + "a:\n" for i in range(500)), "nested too deeply"),
    ("a long list", "syscalls:\n  allow: [" + "read, " * 5000 + "]\n", "4096"),
    ("a long value", "name: " + "x" * 20000 + "\n", "16384"),
    ("a long key", "x" * 20000 + ": 1\n", "16384"),
    ("a long line of nothing", "name: x" + " " * 1000000 + "\ny: 1\n", "y: unknown key"),
    ("a %YAML directive", "%YAML 9.9\n---\nname: x\n", "not valid YAML"),
    ("a million lines", "-\n" * 500000, "p.yaml:"),
)


@each(KEYS + TYPES + VALUES + FILES)
def test_bad_policy(bad, data, words):
    bad.refuse("-p", bad.write(data), words=words)


@pytest.mark.parametrize("key", LIMITS)
def test_what_is_no_limit(bad, key):
    """Each by itself; the message names the place, the key and what would be right."""
    for value in NO_LIMITS + (("0",) if key in NEVER_ZERO else ()):
        if key == "cpuset" and value == "[]":
            continue  # no processors named: no limit
        message = bad.refuse("-p", bad.write(f"resources:\n  {key}: {value}\n"),
                             words=("p.yaml:2:", f"resources.{key}: "), command=("/bin/true",))
        assert "expected" in message or "write " in message or " is not a whole number" in message \
            or "too large" in message, message


@pytest.mark.parametrize("value", PROCESSORS)
def test_what_is_no_processor(bad, value):
    bad.refuse("--cpuset", value, words=("resources.cpuset: ", "number"))


@each(UNSUPPORTED)
def test_what_nothing_enforces_is_refused(bad, data, words):
    bad.refuse("-p", bad.write(data), words=(words, "not supported yet"))


@pytest.mark.parametrize("path", FORBIDDEN)
@pytest.mark.parametrize("key", ["immutable_paths", "writable_paths", "output_paths"])
def test_forbidden_path(bad, key, path):
    bad.refuse("-p", bad.write(f"filesystem: {{{key}: [{path}]}}\n"),
               words=(f"filesystem.{key}[0]", "cannot be given"))


@pytest.mark.parametrize("target", ["/proc", "/dev", "/boot", "/sys/kernel"])
@pytest.mark.parametrize("key", ["immutable_paths", "writable_paths"])
def test_a_link_to_a_forbidden_path(bad, key, target):
    if not os.path.exists(target):
        pytest.skip(f"no {target}")
    home = bad.runner.home
    (home / "dir").symlink_to(target)
    (home / "link").symlink_to("dir")
    text = f"filesystem: {{{key}: [{{host_path: {home}/link, sandbox_path: /data}}]}}\n"
    bad.refuse("-p", bad.write(text), words=("leads to", "cannot be given"))


def test_a_link_below_a_link_to_a_forbidden_path(bad):
    home = bad.runner.home
    (home / "dir").symlink_to("/proc")
    text = f"filesystem: {{immutable_paths: [{home}/dir/sys]}}\n"
    bad.refuse("-p", bad.write(text), words="leads to /proc/sys, which cannot be given")


def test_a_link_that_another_may_have_made(bad):
    (bad.tmp / "link").symlink_to("/srv")
    text = f"filesystem: {{immutable_paths: [{bad.tmp}/link]}}\n"
    bad.refuse("-p", bad.write(text), words="link is a link to /srv")


def test_purples_own_state_where_the_environment_puts_it(bad):
    for variable, words in (("XDG_CACHE_HOME", "own state"), ("XDG_CONFIG_HOME", "policies"),
                            ("XDG_STATE_HOME", "own state"), ("XDG_RUNTIME_DIR", "own state")):
        place = bad.write("", f"{variable}/x").parent
        bad.env[variable] = str(place)
        for path in (place, place / "purple", place.parent):
            bad.refuse("--no-cache", "--rw", path, words=("cannot be", words))
        if variable in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR"):  # sockets: to read is to steer
            bad.refuse("--no-cache", "--ro", place / "purple", words=words)
        del bad.env[variable]


@pytest.mark.parametrize("links", [("loop",), ("a", "loop"), ("nowhere",)])
def test_a_link_that_leads_nowhere(bad, links):
    for here, there in zip(links, links[1:] + (links[0] if "loop" in links else "none",)):
        (bad.tmp / here).symlink_to(there)
    bad.refuse("-p", bad.write(f"filesystem: {{immutable_paths: [{bad.tmp}/{links[0]}]}}\n"),
               words=f"{bad.tmp}/{links[0]}")


def test_a_fifo_and_a_socket_are_not_given(bad):
    os.mkfifo(bad.tmp / "fifo")
    bad.refuse("-p", bad.write(f"filesystem: {{immutable_paths: [{bad.tmp}/fifo]}}\n"),
               words="neither a file nor a directory")


NAMES = (
    ("upwards", "..", "no profile name"),
    ("dots inside", "a..b", "no profile name"),
    ("upper case", "Default", "no profile name"),
    ("blank", " ", "no profile name"),
    ("hidden", ".default", "no profile name"),
    ("65 letters", "a" * 65, "no profile name"),
    ("5000 letters", "a" * 5000, "no profile name"),
    ("two lines", "a\nb", "no profile name"),
    ("escape", "\x1b[31m", "no profile name"),
    ("not UTF-8", b"\xff\xfe", "no profile name"),
    ("unknown", "nosuch", "there is no profile nosuch"),
    ("misspelt", "pyton", "there is no profile pyton; did you mean python?"),
    ("empty", "", "needs a value"),
    ("slash and upwards", "a/../../../../etc/passwd", "No such file"),
    ("profile with a slash", "profiles/default", "No such file"),
    ("directory", "/tmp", "directory"),
    ("no such file", "/nonexistent/p.yaml", "/nonexistent/p.yaml: No such file"),
    ("a device without end", "/dev/zero", "larger than"),
    ("a device", "/dev/null", "/dev/null"),
    ("too long for a path", "/" + "a" * 5000, "too long"),
    ("a component too long", "./" + "a" * 300, "too long"),
    ("not a policy", "/etc/passwd", "/etc/passwd"),
    ("the binary itself", "/bin/sh", "/bin/sh"),
)


@each(NAMES)
def test_bad_profile_name(bad, data, words):
    runner = bad.runner
    before = tree(runner.base, runner.home / ".cache")
    # Runner.run() makes text of its arguments; these may be none.
    done = subprocess.run(
        [os.fsencode(runner.purple), b"run", b"-p", os.fsencode(data), b"--", b"/bin/true"],
        check=False, **runner.options(env=bad.env, capture_output=True, timeout=20))
    message = done.stderr.decode("utf-8", "backslashreplace")
    assert done.returncode == 125, message
    bad.is_one_clear_message(message)
    assert words.lower() in message.lower().replace("filename too long", "file name too long")
    assert tree(runner.base, runner.home / ".cache") == before


def test_a_policy_of_100_megabytes(bad):
    path = bad.write("")
    os.truncate(path, 100 << 20)
    bad.refuse("-p", path, words="larger than 1024 KiB")


def test_a_policy_just_too_large(bad):
    text = "name: x\n#" + "y" * (1 << 20)
    bad.refuse("-p", bad.write(text), words="larger than 1024 KiB")
    done = bad.runner.run([bad.runner.purple, "run", "-p", bad.write(text[:1 << 20]), "--",
                           "/bin/true"])
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fifo_as_a_policy(bad):
    path = bad.tmp / "p.yaml"
    os.mkfifo(path)
    path.chmod(0o666)
    bad.refuse("-p", path, words="regular file")


def test_a_policy_that_may_not_be_read(bad):
    if bad.runner.uid == 0:
        pytest.skip("root reads it")
    path = bad.write("name: x\n")
    path.chmod(0)
    bad.refuse("-p", path, words="Permission denied")
    mine = bad.home(".config/purple/profiles/python.yaml", "name: x\n")
    mine.chmod(0)
    bad.refuse("-p", "python", words=("python.yaml", "Permission denied"))


def test_a_policy_behind_links(bad):
    """A link is followed as the caller could; one that leads nowhere is an error."""
    good = bad.write("name: x\n", "good.yaml")
    link, loop, lost = (bad.tmp / n for n in ("link", "loop", "lost"))
    link.symlink_to(good)
    loop.symlink_to("loop")
    lost.symlink_to("none")
    done = bad.runner.run([bad.runner.purple, "run", "-p", link, "--", "/bin/true"])
    assert (done.returncode, done.stderr) == (0, "")
    bad.refuse("-p", loop, words=f"{loop}: ")
    bad.refuse("-p", lost, words=f"{lost}: No such file")


EXTENDS = (
    ("nobody", "extends: nosuch\n", "there is no profile nosuch"),
    ("upwards", "extends: ../../etc/passwd\n", "No such file"),
    ("dots", "extends: ..\n", "not the name of a profile"),
    ("no name", "extends: A B\n", "not the name of a profile"),
    ("itself", "extends: ./p.yaml\n", "extends itself"),
    ("itself by another path", "extends: ././/p.yaml\n", "extends itself"),
    ("a list", "extends: [python, node]\n", "extends"),
    ("nothing", "extends: ''\n", "extends"),
    ("a directory", "extends: /tmp\n", "a directory"),
    ("a device", "extends: /dev/zero\n", "regular file"),
    ("no policy", "extends: /etc/passwd\n", "/etc/passwd:1:"),
)


@each(EXTENDS)
def test_bad_extends(bad, data, words):
    bad.refuse("-p", bad.write(data), words=words)


def test_extends_in_a_ring(bad):
    bad.write("extends: ./b.yaml\n", "a.yaml")
    bad.write("extends: ./c.yaml\n", "b.yaml")
    last = bad.write("extends: ./a.yaml\n", "c.yaml")
    bad.refuse("-p", last, words="extends itself, perhaps over others")


def test_extends_in_a_long_chain(bad):
    bad.write("name: x\n", "p0.yaml")
    for i in range(1, 20):
        last = bad.write(f"extends: ./p{i - 1}.yaml\n", f"p{i}.yaml")
    bad.refuse("-p", last, words="more than 8 policies")


def test_a_fault_in_a_parent_names_the_parent(bad):
    bad.write("name: x\nresources:\n  pids_limit: x\n", "parent.yaml")
    bad.refuse("-p", bad.write("extends: ./parent.yaml\n"), words="parent.yaml:3:15:")


def test_a_locked_policy_stays_as_it_is(bad):
    bad.home(".config/purple/profiles/fixed.yaml", "locked: true\nresources: {pids_limit: 9}\n")
    bad.refuse("-p", "fixed", "--pids-limit", "10", words="locked")
    bad.refuse("-p", "fixed", "--set", "locked=false", words="locked")
    bad.refuse("-p", "fixed", "--best-effort", words="locked")
    bad.refuse("-p", bad.write("extends: fixed\n"), words="locked")
    done = bad.runner.run([bad.runner.purple, "run", "-p", "fixed", "--", "/bin/true"])
    assert (done.returncode, done.stderr) == (0, "")


OPTIONS = (
    ("unknown", ["--nosuch"], "unknown option --nosuch"),
    ("unknown letter", ["-x"], "unknown option -x"),
    ("misspelt", ["--pid-limit", "3"], "--pid-limit; did you mean --pids-limit?"),
    ("beyond 64 bits", ["--pids-limit", "9" * 20], ("--pids-limit", "write 1 to 4194304")),
    ("no system call", ["--allow-syscall", "opn"], "--allow-syscall: syscalls.allow: no system"),
    ("a call that is needed", ["--deny-syscall", "execve"], "--deny-syscall: syscalls.deny: "),
    ("value missing", ["--pids-limit="], "--pids-limit"),
    ("no number", ["--pids-limit", "many"], ("--pids-limit", "whole number")),
    ("too small", ["--pids-limit=0"], ("--pids-limit", "out of range")),
    ("negative", ["--pids-limit", "-5"], "whole number"),
    ("a flag with a value", ["--no-cache=yes"], "takes no value"),
    ("a switch and a word", ["--isolated", "false"], "write --isolated=false"),
    ("an option of plan", ["--json"], "--json is an option of `purple plan`"),
    ("system configuration", ["--rw", "/etc/nosuch"], "the system's configuration"),
    ("set without a value", ["--set", "resources.pids_limit"], "--set"),
    ("set of an unknown key", ["--set", "resources.pids_limt=3"], "pids_limit"),
    ("set of another name of a key", ["--set", "resources.memroy=3"], "memory_limit_bytes"),
    ("set of a section", ["--set", "resources=3"], "resources"),
    ("set of nothing", ["--set", "=3"], "--set"),
    ("set of extends", ["--set", "extends=python"], "extends"),
    ("set adds to a number", ["--set", "resources.pids_limit+=3"], "pids_limit"),
    ("set with YAML in it", ["--set", "resources.pids_limit=[1, 2]"], "pids_limit"),
    ("relative path", ["--ro", "usr/x"], ("--ro", "neither absolute")),
    ("upwards", ["--ro", "/usr/.."], "'..'"),
    ("forbidden", ["--rw", "/proc"], "/proc cannot be given"),
    ("absent", ["--ro", "/nonexistent"], "/nonexistent"),
    ("no such call", ["--allow-syscall", "nosuchcall"], "nosuchcall"),
    ("no capability", ["--cap-add", "nosuch"], "unknown capability"),
    ("variable's name", ["--env", "A B=1"], "--env"),
    ("no baseline", ["--syscalls", "lax"], "--syscalls"),
    ("not supported", ["--gpu", "all"], ("devices.gpu", "not supported yet")),
    ("publish a name", ["--isolated=false", "--publish", "localhost:8080"],
     ("--publish", "one address of the host")),
    ("publish UDP", ["--isolated=false", "--publish", "53/udp"], ("--publish", "only TCP")),
    ("publish Purple's own", ["--isolated=false", "--publish", "5353:53"],
     ("network.allow_incoming", "Purple's own")),
    ("no memory", ["--memory", "0"], ("memory_limit_bytes", "write 1M to 1024T")),
    ("negative memory", ["--memory=-1"], "memory_limit_bytes"),
    ("memory as a float", ["--memory", "1e30"], "a size such as 512M or 2G"),
    ("memory with a blank", ["--memory", "2GiB "], "a size such as 512M or 2G"),
    ("memory beyond the machine", ["--memory", "1023T"], ("memory_limit_bytes", "MiB")),
    ("processors beyond the machine", ["--cpus", "1024"], ("cpu_shares", "processors")),
    ("a processor that is not there", ["--cpuset", "4095"], ("cpuset", "processors 0 to")),
    ("no set of processors", ["--cpuset", "2-1"], "cpuset"),
    ("a thousand options", ["--pids-limit=9"] * 1000, "too many options"),
    ("an option of 120 kB", ["--ro=/" + "a" * 120000], "--ro: filesystem.immutable_paths"),
    ("escape in an option", ["--\x1b[31m"], "\\x1b[31m"),
    ("no such workspace", ["-w", "/nonexistent"], "/nonexistent"),
    ("no such mode", ["-w", ".:reviw"], ("read-only, review or scratch",)),
    ("workspace is a file", ["-w", "/etc/passwd"], "Not a directory"),
    ("workspace is all", ["-w", "/"], "refused as a workspace"),
    ("workspace of the system", ["-w", "/usr"], "belongs to the system"),
    ("workspace below the system's", ["-w", "/usr/share"], "belongs to the system"),
    ("workspace of the kernel", ["-w", "/sys/kernel"], "belongs to the system"),
    ("workspace of procfs", ["-w", "/proc/self"], "belongs to the system"),
    ("workspace of services", ["-w", "/run"], "belongs to the system"),
    ("workspace of all state", ["-w", "/var"], "belongs to the system"),
    ("workspace of all homes", ["-w", "/tmp/.."], "refused as a workspace"),
    ("report nowhere", ["--report", "/nonexistent/r"], "/nonexistent/r"),
    ("report to a closed descriptor", ["--report", "fd:99"], "fd:99"),
    ("report to no descriptor", ["--report", "fd:x"], "fd:x"),
    ("report to a directory", ["--report", "/tmp"], "/tmp"),
)


@each(OPTIONS)
def test_bad_option(bad, data, words):
    bad.refuse(*data, words=words)


def test_the_workspace_holds_what_is_dear(bad):
    home = bad.runner.home
    bad.refuse("-w", home, words="your home directory")
    bad.refuse("-w", home.parent, words="your home directory")
    (bad.tmp / "home").symlink_to(home.parent)
    bad.env["HOME"] = str(bad.tmp / "home" / "home")
    bad.refuse("-w", home, words="your home directory")
    bad.env["HOME"] = str(home)
    profiles = home / ".config" / "purple" / "profiles"
    profiles.mkdir(parents=True)
    bad.refuse("-w", home / ".config", words="Purple's own")
    bad.refuse("-w", profiles, words="Purple's own")
    if bad.runner.uid == 0:
        bad.refuse("-w", "/var/cache/purple", words="Purple's own")
        return
    cache = bad.write("", "cache/x").parent
    bad.env["XDG_CACHE_HOME"] = str(cache)
    for where in (cache, cache.parent):
        bad.refuse("-w", where, "--no-cache", words="Purple's own")
    link = bad.tmp / "link"
    link.symlink_to(cache)
    bad.env["XDG_CACHE_HOME"] = str(link)
    bad.refuse("-w", cache, "--no-cache", words="Purple's own")


@pytest.mark.parametrize("argv", [["run"], ["run", "--"], ["run", "-p", "python"]])
def test_no_command(bad, argv):
    done = bad.runner.run([bad.runner.purple, *argv])
    assert done.returncode == 125 and done.stdout == ""
    assert "no command given" in done.stderr
    bad.is_one_clear_message(done.stderr)


def test_the_workspace_is_gone(bad):
    """Started in a directory that was removed meanwhile."""
    gone = bad.write("", "gone/x").parent
    (gone / "x").unlink()
    done = bad.runner.run(["/bin/sh", "-c", 'rmdir "$PWD"; exec "$0" "$@"', bad.runner.purple,
                           "run", "--", "/bin/true"], cwd=gone)
    assert done.returncode == 125
    bad.is_one_clear_message(done.stderr)


def test_plan_refuses_what_run_refuses(bad):
    bad.refuse("-p", bad.write("resources: {pids_limt: 3}\n"), words="did you mean pids_limit?",
               verb="plan", command=())
    bad.refuse(words="takes no command", verb="plan")
    bad.refuse("--report", "r", words="of `purple run`", verb="plan", command=())
    bad.refuse("-p", "..", words="name of a profile", verb="plan", command=())
