# SPDX-License-Identifier: Apache-2.0
"""`purple run` on a real terminal: one of its own inside, and the caller's as it was."""
import fcntl
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest


def needs(program):
    return pytest.mark.skipif(not shutil.which(program, path="/usr/bin:/bin"),
                              reason=f"not installed: {program}")


pytestmark = needs("bash")


class Terminal:
    """A terminal, and a program in the foreground of it."""

    def __init__(self, runner, argv, size=(24, 80), streams=None):
        self.master, self.slave = os.openpty()
        self.seen = b""
        self.resize(*size)
        self.settings = termios.tcgetattr(self.slave)
        runner.env.setdefault("TERM", "xterm")
        streams = dict(dict.fromkeys(("stdin", "stdout", "stderr"), self.slave), **(streams or {}))
        self.process = runner.popen(argv, start_new_session=True, pass_fds=[self.slave],
                                    preexec_fn=self._control, **streams)

    def _control(self):
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        data = text.encode() if isinstance(text, str) else text
        while data:
            if not select.select([], [self.master], [], 10)[1]:
                raise TimeoutError("the terminal takes no input")
            data = data[os.write(self.master, data[:1024]):]
            self.read(0)

    def read(self, seconds):
        """What comes within @seconds; False at the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            self.seen += os.read(self.master, 65536)
        except OSError:
            return False
        return True

    def expect(self, pattern, seconds=15):
        """Wait for @pattern in what was not expected yet; the match."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern.encode(), self.seen, re.S)
            if match:
                self.seen = self.seen[match.end():]
                return match
            left = end - time.monotonic()
            if left <= 0 or not self.read(min(left, 0.5)):
                raise AssertionError(f"no {pattern!r} in {self.seen[-2000:]!r}")

    def silence(self, seconds=0.3):
        """All that comes until nothing has come for a while."""
        before = None
        while before != self.seen:
            before = self.seen
            self.read(seconds)
        seen, self.seen = self.seen, b""
        return seen

    def wait(self, seconds=15):
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise AssertionError(f"still running; saw {self.seen[-2000:]!r}")
            self.read(0.01)
        while select.select([self.master], [], [], 0)[0] and self.read(0):
            pass
        return self.process.returncode

    def restored(self):
        return termios.tcgetattr(self.slave) == self.settings

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)
        self.master = self.slave = -1


@pytest.fixture
def terminal(as_user):
    """terminal(command…) runs it in a sandbox on a terminal; keywords as Terminal's."""
    made = []

    def make(*command, options=(), **kw):
        made.append(Terminal(as_user, [as_user.purple, "run", *options, "--", *command], **kw))
        return made[-1]

    yield make
    for one in made:
        one.close()


PROMPT = r"ready\$ "


def interactive(terminal, **kw):
    """A shell that says "ready$ ". Echo stays on: what is typed is seen before what it prints."""
    t = terminal("bash", "--norc", "--noprofile", "-i", **kw)
    t.expect(r"\$ |# ")
    t.send("PS1='rea''dy$ '; bind 'set enable-bracketed-paste off'\n")
    t.expect(PROMPT)
    return t


# --- whose terminal -------------------------------------------------------

def test_a_terminal_of_its_own(terminal):
    t = terminal("sh", "-c", "tty; stat -L -c '%d %i' $(tty); ls /dev/pts | tr '\\n' ' '; exit 7")
    t.expect(r"/dev/pts/0\r\n")
    device, inode = t.expect(r"(\d+) (\d+)\r\n").groups()
    host = os.fstat(t.slave)
    assert (int(device), int(inode)) != (host.st_dev, host.st_ino)
    t.expect(r"^0 ptmx ")
    assert t.wait() == 7


@pytest.mark.parametrize("limit", [8, 10, 12, 14, 1024])
def test_few_open_files_leave_no_terminal_of_the_caller(terminal, limit):
    """It reaches the command's task by a socket, and a full descriptor table would drop it."""
    t = terminal("sh", "-c", "stat -L -c '%d %i is it' /proc/self/fd/0; ulimit -n; tty; exit 7",
                 options=("--open-files", str(limit)))
    device, inode = t.expect(r"(\d+) (\d+) is it\r\n").groups()
    host = os.fstat(t.slave)
    assert (int(device), int(inode)) != (host.st_dev, host.st_ino)
    t.expect(rf"{limit}\r\n")
    t.expect(r"/dev/pts/0\r\n")
    assert t.wait() == 7


def test_it_controls_its_processes(terminal):
    """A session of its own, with this terminal: /dev/tty opens."""
    t = terminal("sh", "-c", "echo through >/dev/tty; ps -o tty=,tpgid= -p $$; exit 0")
    t.expect(r"through\r\n")
    t.expect(r"pts/0 +\d+\r\n")
    assert t.wait() == 0


def test_no_terminal_without_one(as_user):
    done = as_user.run([as_user.purple, "run", "--", "sh", "-c",
                        "tty; ls /dev/pts; : >/dev/tty"])
    assert "not a tty\nptmx\n" in done.stdout
    assert done.returncode != 0


def test_settings_are_handed_on(terminal, as_user):
    t = Terminal(as_user, ["sh", "-c", 'stty -ixon intr ^G; "$0" run -- stty -a; stty -a',
                           as_user.purple])
    try:
        for _ in range(2):
            t.expect(r"intr = \^G.*?-ixon")
        assert t.wait() == 0
    finally:
        t.close()


# --- keys -----------------------------------------------------------------

def test_ctrl_c_ends_the_job_and_not_the_shell(terminal):
    t = interactive(terminal)
    t.send("echo start''ed; sleep 100\n")
    t.expect(r"started\r\n")
    time.sleep(0.2)
    t.send("\x03")
    t.expect(PROMPT, 5)
    t.send("echo status $?\n")
    t.expect(r"status 130\r\n")
    t.send("exit 5\n")
    assert t.wait() == 5


def test_ctrl_c_ends_a_command_without_a_shell(terminal):
    t = terminal("sleep", "100")
    time.sleep(0.5)
    t.send("\x03")
    assert t.wait(5) == 128 + signal.SIGINT
    assert t.restored()


def test_ctrl_backslash(terminal):
    t = terminal("sh", "-c", "echo started; sleep 100")
    t.expect("started")
    t.send("\x1c")
    assert t.wait(5) == 128 + signal.SIGQUIT


def test_job_control(terminal):
    t = interactive(terminal)
    t.send("sleep 100; echo after $?\n")
    time.sleep(0.5)
    t.send("\x1a")
    t.expect(r"\[1\]\+ +Stopped +sleep 100")
    t.expect(PROMPT)
    t.send("jobs\n")
    t.expect(r"\[1\]\+ +Stopped +sleep 100")
    t.expect(PROMPT)
    t.send("bg\n")
    t.expect(r"\[1\]\+ sleep 100 &")
    t.expect(PROMPT)
    t.send("jobs -r\n")
    t.expect(r"Running +sleep 100")
    t.expect(PROMPT)
    t.send("fg\n")
    t.expect(r"sleep 100\r\n")
    time.sleep(0.2)
    t.send("\x03")
    t.expect(PROMPT)
    t.send("exit\n")
    t.wait()
    assert t.restored()


def test_ctrl_d_ends(terminal):
    t = terminal("cat")
    t.send("line\n")
    t.expect(r"line\r\nline\r\n")
    t.send("\x04")
    assert t.wait(5) == 0
    t = interactive(terminal)
    t.send("\x04")
    assert t.wait(5) == 0


def test_every_key_arrives(terminal):
    """In the raw mode of a program inside, all 256 bytes."""
    t = terminal("sh", "-c", "stty raw -echo; echo ready; head -c 256 | od -An -v -tu1; stty sane")
    t.expect("ready")
    t.send(bytes(range(256)))
    t.wait()
    assert [int(n) for n in re.findall(rb"\d+", t.seen)] == list(range(256))


def test_what_is_not_to_be_echoed_is_not(terminal):
    t = terminal("bash", "-c", "read -rsp 'Password: ' p; echo; echo ${#p}")
    t.expect("Password: ")
    t.send("secret-word\n")
    t.expect(r"\r\n11\r\n")
    t.wait()
    assert b"secret-word" not in t.seen


# --- window size ----------------------------------------------------------

def test_window_size(terminal):
    t = interactive(terminal, size=(31, 97))
    t.send("stty size\n")
    t.expect(r"31 97\r\n")
    t.send("trap 'echo WIN''CH' WINCH\n")
    t.expect(PROMPT)
    t.resize(50, 132)
    time.sleep(0.3)
    t.send("stty size\n")
    t.expect(r"WINCH")
    t.expect(r"50 132\r\n")
    for rows in range(20, 60):
        t.resize(rows, 100)
    time.sleep(0.3)
    t.send("\nstty size\n")
    t.expect(r"59 100\r\n")
    t.send("exit\n")
    t.wait()


# --- the caller's terminal afterwards -------------------------------------

@pytest.mark.parametrize("command", ["exit 0", "exit 3", "kill -KILL $$", "stty raw -echo",
                                     "kill -TERM $$", "stty size rows 5"])
def test_the_callers_settings_are_restored(terminal, command):
    t = terminal("sh", "-c", f"sleep 0.2; {command}")
    end = time.monotonic() + 5
    while not t.is_raw() and time.monotonic() < end:
        time.sleep(0.005)
    assert t.is_raw(), "while it runs"
    t.wait()
    assert t.restored()
    assert struct.unpack("HH", fcntl.ioctl(t.slave, termios.TIOCGWINSZ, b"\0" * 8)[:4]) == (24, 80)


@pytest.mark.parametrize("who", ["launcher", "pid 1"])
def test_the_callers_settings_are_restored_after_a_signal(terminal, who):
    t = terminal("sh", "-c", "echo started; exec sleep 100")
    t.expect("started")
    time.sleep(0.2)
    if who == "launcher":
        t.process.terminate()
    else:
        path = f"/proc/{t.process.pid}/task/{t.process.pid}/children"
        with open(path, encoding="ascii") as children:
            os.kill(int(children.read().split()[0]), signal.SIGKILL)
    assert t.wait(5) == (143 if who == "launcher" else 137)
    assert t.restored()


def test_a_refusal_leaves_the_settings(terminal):
    for command, options in (("nosuchcommand", ()), ("true", ("-w", "/")), ("true", ("-p", "no"))):
        t = terminal(command, options=options)
        assert t.wait() in (125, 127)
        assert t.restored()
        lines = t.seen.decode().split("\r\n")
        assert lines[0].startswith("purple: ") and lines[-1] == ""


@pytest.mark.parametrize("command", ["echo ready; sleep 100", "echo ready; cat",
                                     "echo ready; while :; do echo output; sleep 0.01; done"])
def test_hang_up(terminal, command):
    """The terminal goes away: the command is told, and everything ends."""
    t = terminal("sh", "-c", command)
    t.expect("ready")
    os.close(t.slave)
    os.close(t.master)
    t.master = t.slave = -1
    assert t.process.wait(15) == 128 + signal.SIGHUP


# --- much of it -----------------------------------------------------------

def test_a_megabyte_of_output(terminal):
    t = terminal("seq", "1", "150000")
    assert t.wait(60) == 0
    assert t.seen == b"".join(b"%d\r\n" % n for n in range(1, 150001))


def test_output_of_a_command_that_ends_at_once(terminal):
    for _ in range(10):
        t = terminal("seq", "1", "2000")
        t.wait()
        assert t.seen.endswith(b"\r\n2000\r\n") and t.seen.startswith(b"1\r\n2\r\n")
        t.close()


def test_a_large_paste(terminal, as_user):
    text = "".join(f"{n:079}\n" for n in range(2500))
    t = terminal("sh", "-c", "stty -echo; echo ready; cat >pasted; echo end")
    t.expect("ready\r\n")
    t.send(text)
    t.send("\x04")
    t.expect("end")
    assert t.wait() == 0
    assert (as_user.workspace / "pasted").read_text() == text


def test_both_ways_at_once(terminal):
    """More in and out than all buffers hold: nothing waits for the other for ever."""
    t = terminal("sh", "-c", "stty -echo -icanon -opost; echo ready; exec head -c 300000")
    t.expect("ready\r?\n")
    data = bytes(65 + n % 26 for n in range(300000)).replace(b"Z", b"\n")
    t.send(data)
    t.wait(30)
    assert t.seen == data


# --- mixed streams --------------------------------------------------------

def test_only_the_input_is_a_terminal(terminal):
    r, w = os.pipe()
    t = terminal("sh", "-c", "tty; test -t 1 || echo no; read x; echo got $x; echo e >&2",
                 streams={"stdout": w, "stderr": subprocess.DEVNULL})
    os.close(w)
    try:
        t.send("typed\n")
        assert t.wait() == 0
        assert os.read(r, 1000) == b"/dev/pts/0\nno\ngot typed\n", "as it was written: no \\r"
        assert os.read(r, 1000) == b""
        assert t.restored()
    finally:
        os.close(r)


def test_only_the_output_is_a_terminal(terminal, as_user):
    path = as_user.write("in", "from the file\n")
    with open(path, "rb") as source:
        t = terminal("sh", "-c", "test -t 0 || test -t 1 && cat && stty size </dev/tty",
                     streams={"stdin": source}, size=(33, 44))
    assert t.wait() == 0
    assert t.seen == b"from the file\r\n33 44\r\n"
    assert t.restored()


def test_much_output_with_input_from_elsewhere(terminal):
    """The caller's terminal is not raw then, and makes the line ends itself."""
    t = terminal("sh", "-c", "seq 1 50000; printf 'a\\rb\\r'; stty -opost </dev/tty; "
                 "printf 'x\\r\\ny\\n'", streams={"stdin": subprocess.DEVNULL})
    assert t.wait(60) == 0
    assert t.seen == b"".join(b"%d\r\n" % n for n in range(1, 50001)) + b"a\rb\rx\r\ny\r\n"


def test_only_the_errors_are_a_terminal(terminal, as_user):
    with open(as_user.workspace / "out", "wb") as out:
        t = terminal("sh", "-c", "test -t 2 && echo out; echo err >&2",
                     streams={"stdin": subprocess.DEVNULL, "stdout": out})
    assert t.wait() == 0
    assert t.seen == b"err\r\n"
    assert (as_user.workspace / "out").read_bytes() == b"out\n"


# --- full-screen programs -------------------------------------------------

@needs("vi")
def test_vi(terminal, as_user):
    t = terminal("vi", "file")
    t.silence(0.5)
    t.send("ihello from vi\x1b")
    t.silence(0.3)
    t.send(":wq\r")
    assert t.wait() == 0
    assert (as_user.workspace / "file").read_text() == "hello from vi\n"
    assert t.restored()


@needs("less")
def test_less(terminal, as_user):
    as_user.write("long", "".join(f"line {n}\n" for n in range(1, 1001)))
    t = terminal("less", "long")
    t.expect("line 23")
    t.send("G")
    t.expect("line 1000")
    t.send("?line 500\r")
    t.expect("line 500")
    t.send("q")
    assert t.wait() == 0
    assert t.restored()


# --- from a shell ---------------------------------------------------------

@pytest.fixture
def outer(as_user):
    """An interactive shell outside, as people use Purple."""
    as_user.env["PURPLE"] = as_user.purple
    t = Terminal(as_user, ["bash", "--norc", "--noprofile", "-i"])
    t.expect(r"\$ |# ")
    t.send("PS1='out''er$ '; bind 'set enable-bracketed-paste off'\n")
    t.expect(r"outer\$ ")
    yield t
    t.close()


def test_from_a_shell(outer):
    outer.send('"$PURPLE" run -- sleep 100\n')
    time.sleep(0.7)
    outer.send("\x03")
    outer.expect(r"outer\$ ", 5)
    outer.send("echo status $?\n")
    outer.expect(r"status 130\r\n")
    outer.send('"$PURPLE" run -- cat | tr a-z A-Z\n')
    time.sleep(0.5)
    outer.send("piped\n")
    outer.expect("PIPED")
    outer.send("\x04")
    outer.expect(r"outer\$ ")
    outer.send('echo from-a-pipe | "$PURPLE" run -- cat\n')
    outer.expect(r"from-a-pipe\r\n")
    outer.expect(r"outer\$ ")


def test_in_the_background_of_a_shell(outer):
    """It leaves the terminal alone: the shell's own line editing goes on."""
    outer.send('"$PURPLE" run -- sh -c "sleep 1; echo from-be""hind" &\n')
    outer.expect(r"outer\$ ")
    outer.send("echo still he''re\n")
    outer.expect(r"still here\r\n")
    outer.expect(r"from-behind\r?\n")
    outer.send("wait; echo waited $?\n")
    outer.expect(r"waited 0\r\n")
    outer.send("stty -a | grep -c -- -icanon\n")
    outer.expect(r"\r\n0\r\n")


# --- in tmux --------------------------------------------------------------

@needs("tmux")
def test_tmux(as_user):
    """A terminal that somebody else has written."""
    socket = as_user.base / "tmux"
    socket.mkdir()
    os.chown(socket, as_user.uid, as_user.uid)
    as_user.env.update(PURPLE=as_user.purple, TERM="xterm-256color", TMUX_TMPDIR=str(socket))

    def tmux(*argv):
        done = as_user.run(["tmux", "-f", "/dev/null", *argv])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def screen(pattern, seconds=10):
        end = time.monotonic() + seconds
        while True:
            shown = tmux("capture-pane", "-p")
            if re.search(pattern, shown, re.M):
                return shown
            assert time.monotonic() < end, shown
            time.sleep(0.05)

    tmux("new-session", "-d", "-x", "90", "-y", "30",
         'exec "$PURPLE" run -- bash --norc --noprofile -i')
    try:
        screen(r"[$#] $|[$#]$")
        tmux("send-keys", "tty; stty size; echo $TERM", "Enter")
        shown = screen(r"^30 90$|^29 90$")
        assert re.search(r"^/dev/pts/0$", shown, re.M)
        tmux("send-keys", "sleep 100", "Enter")
        time.sleep(0.3)
        tmux("send-keys", "C-c")
        tmux("send-keys", "echo status $?", "Enter")
        screen(r"^status 130$")
        tmux("resize-window", "-x", "60", "-y", "20")
        time.sleep(0.3)
        tmux("send-keys", "clear; stty size", "Enter")
        screen(r"^(20|19) 60$")
        tmux("send-keys", "exit", "Enter")
        end = time.monotonic() + 10
        while as_user.run(["tmux", "has-session"]).returncode == 0:
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        as_user.run(["tmux", "kill-server"])
