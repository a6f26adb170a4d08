# SPDX-License-Identifier: Apache-2.0
"""
An interactive sandbox in a terminal emulator that people use: tmux draws what
a person would see, and its keys go through a real terminal.
"""
import contextlib
import os
import shutil
import time

import pytest

PROMPT = "inside% "
SHELL = ["env", f"PS1={PROMPT}", "bash", "--norc", "--noprofile", "-i"]

pytestmark = [
    pytest.mark.skipif(not shutil.which(program), reason=f"not installed: {program}")
    for program in ("tmux", "bash")]


class Screen:
    """A tmux server of its own, with one window in which @argv runs."""

    def __init__(self, runner, argv, size=(80, 24)):
        self.runner = runner
        self.socket = runner.base / "tmux.socket"
        runner.env["TERM"] = "xterm-256color"
        runner.env["SHELL"] = "/bin/sh"
        runner.base.chmod(0o777)
        columns, rows = map(str, size)
        # The window stays when the program has ended: its last words are read then.
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", columns, "-y", rows,
                  "sh", "-c", '"$@"; echo "status=$?."; exec sleep 60', "sh", *argv)

    def tmux(self, *argv):
        done = self.runner.run(["tmux", "-S", self.socket, *argv])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def text(self):
        return self.tmux("capture-pane", "-p")

    def last(self):
        """The line that the cursor is at, or the last that is not empty."""
        lines = self.text().rstrip().splitlines()
        return lines[-1] if lines else ""

    def wait(self, holds, seconds=15):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = self.text()
            if holds(text):
                return text
            time.sleep(0.05)
        raise AssertionError(f"not seen in {seconds} s; the screen:\n{self.text()}")

    def see(self, words):
        return self.wait(lambda text: words in text)

    def prompt(self):
        return self.wait(lambda text: text.rstrip().splitlines()[-1:] == [PROMPT.rstrip()])

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def key(self, *names):
        self.tmux("send-keys", *names)

    def close(self):
        self.runner.run(["tmux", "-S", self.socket, "kill-server"])


@pytest.fixture
def open_screen(as_user):
    screens = []

    def opened(*argv, **kw):
        screens.append(Screen(as_user, [str(a) for a in argv], **kw))
        return screens[-1]

    yield opened
    for screen in screens:
        screen.close()


@contextlib.contextmanager
def run_shell(runner):
    yield [runner.purple, "run", "--", *SHELL]


@contextlib.contextmanager
def exec_shell(runner):
    """In a sandbox that was made before, by somebody without a terminal."""
    name = f"tmux-{os.getpid()}-{runner.name}"
    done = runner.run([runner.purple, "create", name])
    assert done.returncode == 0, done.stderr
    try:
        yield [runner.purple, "exec", "-it", name, "--", *SHELL]
    finally:
        done = runner.run([runner.purple, "rm", "-f", name])
        assert done.returncode == 0, done.stderr


@pytest.fixture(params=[run_shell, exec_shell], ids=["run", "exec"])
def screen(request, as_user, open_screen):
    with request.param(as_user) as argv:
        s = open_screen(*argv)
        s.prompt()
        yield s


def test_ctrl_c_ends_what_runs_and_not_the_shell(screen):
    screen.type("sleep 1000")
    time.sleep(0.3)
    screen.key("C-c")
    screen.prompt()
    screen.type("echo after=$?")
    screen.see("after=130")


def test_ctrl_z_and_fg(screen):
    screen.type("sleep 1000")
    time.sleep(0.3)
    screen.key("C-z")
    screen.see("Stopped")
    screen.type("jobs | wc -l | tr '\\n' ' '; echo jobs")
    screen.see("1 jobs")
    screen.type("fg")
    screen.see("sleep 1000\n")
    time.sleep(0.3)
    screen.key("C-c")
    screen.prompt()
    screen.type("jobs | wc -l | tr '\\n' ' '; echo left")
    screen.see("0 left")


def test_a_new_size_arrives(screen):
    screen.type("stty size")
    screen.see("24 80")
    screen.tmux("set-option", "-g", "window-size", "manual")
    screen.tmux("resize-window", "-x", "100", "-y", "30")
    screen.wait(lambda _: screen.tmux("display", "-p", "#{pane_width}").strip() == "100")
    time.sleep(0.2)
    screen.type("stty size")
    screen.see("30 100")


@pytest.mark.skipif(not shutil.which("less"), reason="not installed: less")
def test_less_pages(screen):
    screen.type("clear; seq 1 500 | LESS= less")
    screen.wait(lambda text: text.startswith("1\n2\n3\n"))
    screen.key("Space")
    screen.wait(lambda text: text.startswith("24\n"))
    screen.key("G")
    screen.see("500\n")
    screen.key("q")
    screen.prompt()


@pytest.mark.skipif(not shutil.which("vi"), reason="not installed: vi")
def test_vi_edits_a_file(as_user, screen):
    screen.type("clear; vi -u NONE note.txt")
    screen.wait(lambda text: text.count("\n~") > 5)
    screen.key("i")
    screen.tmux("send-keys", "-l", "written inside")
    screen.key("Escape")
    screen.type(":wq")
    screen.prompt()
    assert (as_user.workspace / "note.txt").read_text() == "written inside\n"


def test_exit_gives_the_terminal_back(screen):
    screen.type("exit 7")
    screen.see("status=7.")
