# SPDX-License-Identifier: Apache-2.0
"""`purple top` in a terminal that people use, and as text for scripts."""
import os
import re
import signal

import pytest

from running import eventually, ok, refused
from test_metrics import detached, supervisor, unique
from test_tmux import open_screen, pytestmark  # noqa: F401  pylint: disable=unused-import

BUSY = ("sh", "-c", "while :; do :; done")


def batch(runner, *options):
    return ok(runner.run([runner.purple, "top", "--batch", "-n", "1", *options])).splitlines()


def order_of(lines, *names):
    """Which of @names, in the order of the list."""
    first = [line.split()[0] for line in lines if line.strip()]
    return [n for n in first if n in names]


@pytest.fixture
def names(as_user):
    """One that is busy, one that was refused something, one that does nothing."""
    busy, denied, idle = (unique(as_user, w) for w in ("busy", "deny", "idle"))
    script = "getent hosts nosuch.example; sleep 1000 & sleep 1000 & sleep 1000 & wait"
    with detached(as_user, busy, command=BUSY), \
            detached(as_user, denied, options=("--set", "network.isolated=false"),
                     command=("sh", "-c", script)), detached(as_user, idle):
        assert eventually(lambda: row(batch(as_user), denied)[-2] != "0", 20)
        yield busy, denied, idle


def row(lines, name):
    return next(line.split() for line in lines if line.split()[:1] == [name])


def test_batch(as_user, names):
    busy, denied, idle = names
    lines = batch(as_user)
    assert re.match(r"purple top  \d\d:\d\d:\d\d  \d+ sandboxes, \d+ running", lines[0])
    assert lines[2].split()[:4] == ["NAME", "STATE", "CPU%*", "CPU"]
    assert order_of(lines, *names)[0] == busy
    assert row(lines, idle)[1] == "running" and row(lines, idle)[5] == "2"
    assert order_of(batch(as_user, "-o", "pids"), *names)[0] == denied
    assert order_of(batch(as_user, "-o", "denials"), *names)[0] == denied
    assert order_of(batch(as_user, "-o", "name"), *names) == sorted(names)
    assert order_of(batch(as_user, "--order", "time"), *names) == [busy, denied, idle]


def test_batch_goes_on(as_user):
    out = ok(as_user.run([as_user.purple, "top", "-b", "-d", "1", "-n", "2"]))
    assert out.count("purple top") == 2 and out.count("\n\n") == 1


@pytest.mark.parametrize("argv,words", [
    (["-o", "nosuch", "-b"], "nothing is ordered by nosuch"), (["-n", "0", "-b"], "from 1 to"),
    (["-d", "x", "-b"], "from 1 to"), (["-n", "1"], "--batch"), (["name"], "one too many"),
    ([], "no terminal")])
def test_bad_input(as_user, argv, words):
    refused(as_user.run([as_user.purple, "top", *argv]), 125, words)


@pytest.fixture
def top(as_user, names, open_screen):  # noqa: F811
    screen = open_screen(as_user.purple, "top", "-d", "1")
    screen.wait(lambda text: all(n in text for n in names))
    return screen


def select(screen, name):
    """Order by name, then go down to it; the one that is selected is drawn in reverse."""
    screen.key("a", "Home")

    def found(_):
        if name in reverse(screen):
            return True
        screen.key("Down")
        return False

    screen.wait(found, 60)


def order_of_screen(screen):
    return [line.split()[0] for line in screen.text().splitlines()[4:-1] if line.strip()]


def reverse(screen):
    """The row in reverse. What a line begins with holds on in the next ones."""
    on, rows = False, []
    for line in screen.tmux("capture-pane", "-e", "-p").splitlines():
        for mode in re.findall(r"\x1b\[([0-9;]*)m", line):
            on = mode == "7" or (on and mode not in ("", "0", "27"))
        if on:
            rows.append(line)
    return rows[1] if len(rows) > 1 else ""  # behind the titles


def test_what_is_seen(as_user, names, top):
    busy, denied, _ = names
    text = top.text().splitlines()
    assert len(text) == 24 and all(len(line) <= 80 for line in text)
    assert text[0].startswith("purple top  ") and "denied" in text[1]
    assert text[3].startswith("NAME") and text[3].rstrip().endswith("TIME")
    assert text[-1].rstrip().endswith("q quit")
    top.wait(lambda _: order_of_screen(top)[0] == busy)
    top.key("d")
    top.wait(lambda _: order_of_screen(top)[0] == denied)
    top.key("r")
    top.wait(lambda _: order_of_screen(top)[-1] == denied)
    top.key("h")
    top.see("the other way round")
    top.key("q")
    top.see("NAME")
    select(top, denied)
    top.key("Enter")
    shown = top.see("nosuch.example")
    for words in (denied, "policy     default", "getent hosts", "dns.denied ", "network.allow_outgoing"):
        assert words in shown, shown
    top.key("q")
    top.see("NAME")
    top.key("q")
    top.see("status=0.")


def test_pause_stop_and_kill(as_user, names, top):
    busy, denied, idle = names
    select(top, busy)
    top.key("p")
    top.see(f"{busy}: paused")
    assert row(batch(as_user), busy)[1] == "paused"
    top.key("p")
    top.see(f"{busy}: it goes on")
    select(top, idle)
    top.key("k")
    top.see(f"Kill {idle}?")
    top.key("n")
    top.wait(lambda text: "Kill" not in text.splitlines()[-1])
    assert row(batch(as_user), idle)[1] == "running"
    top.key("k")
    top.see(f"Kill {idle}?")
    top.key("y")
    top.see(f"{idle}: killed")
    assert as_user.run([as_user.purple, "wait", idle]).returncode == 137
    top.wait(lambda _: idle not in order_of_screen(top))
    select(top, denied)
    top.key("s")
    top.see(f"Stop {denied}?")
    top.key("y")
    top.see(f"{denied}: told to stop")
    as_user.run([as_user.purple, "wait", denied])
    top.wait(lambda _: denied not in order_of_screen(top))


def test_a_new_size(as_user, names, top):
    top.tmux("set-option", "-g", "window-size", "manual")
    for columns, rows in ((120, 40), (40, 8), (20, 3), (80, 24)):
        top.tmux("resize-window", "-x", str(columns), "-y", str(rows))
        top.wait(lambda _, c=columns: top.tmux("display", "-p", "#{pane_width}").strip() == str(c))
        top.wait(lambda text: "purple top" in text)
    top.wait(lambda text: text.splitlines()[-1].rstrip().endswith("q quit"))
    top.key("q")
    top.see("status=0.")


def pid_of_top(screen, runner):
    """The one in the screen's terminal."""
    tty = screen.tmux("display", "-p", "#{pane_tty}").strip()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                argv = file.read().split(b"\0")
            if argv[0] == b"top" and os.readlink(f"/proc/{pid}/fd/0") == tty:
                return int(pid)
        except OSError:
            continue
    raise AssertionError(f"no top of {runner.name} at {tty}")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_the_terminal_is_given_back(as_user, open_screen, how):  # noqa: F811
    screen = open_screen("sh", "-c", '"$@"; echo "ended=$?"; stty -a', "sh", as_user.purple, "top",
                         "-d", "1")
    screen.see("NAME")
    os.kill(pid_of_top(screen, as_user), how)
    text = screen.see(f"ended={128 + how}")
    text = screen.see("min = 1")
    for mode in ("icanon", "echo", "isig", "icrnl", "opost"):
        assert re.search(rf"(?<![-\w]){mode}\b", text), text
    # What stood there before is back, and the cursor is seen.
    assert "NAME" not in text
    assert screen.tmux("display", "-p", "#{alternate_on} #{cursor_flag}").strip() == "0 1"


def test_ctrl_z(as_user, open_screen):  # noqa: F811
    screen = open_screen("env", "PS1=shell% ", "HISTFILE=", "bash", "--norc", "--noprofile", "-i")
    screen.wait(lambda text: text.rstrip().endswith("shell%"))
    screen.type(f"{as_user.purple} top")
    screen.see("NAME")
    screen.key("C-z")
    screen.see("Stopped")
    screen.type("fg")
    screen.see("q quit")
    screen.key("q")
    screen.wait(lambda text: text.rstrip().endswith("shell%"))


def test_a_supervisor_that_hangs_is_said_to_be_silent(as_user, names, top):
    busy = names[0]
    pid = supervisor(as_user, busy)
    os.kill(pid, signal.SIGSTOP)
    try:
        top.wait(lambda text: any(busy in x and "silent" in x for x in text.splitlines()))
    finally:
        os.kill(pid, signal.SIGCONT)
    top.wait(lambda text: any(busy in x and "running" in x for x in text.splitlines()))


def test_names_from_inside_are_escaped(as_user, open_screen):  # noqa: F811
    name = unique(as_user, "hostile")
    with detached(as_user, name, command=("sh", "-c", "sleep 1000 # \x1b[31m\x1b]0;x\x07\u202e\x9b")):
        screen = open_screen(as_user.purple, "top", "-d", "1")
        screen.wait(lambda text: name in text)
        select(screen, name)
        screen.key("Enter")
        text = screen.see("\\x1b[31m\\x1b]0;x\\x07")
        assert "command" in text


def test_without_a_terminal_that_is_known(as_user, open_screen):  # noqa: F811
    screen = open_screen("env", "TERM=nosuch", as_user.purple, "top")
    screen.see("TERM names no terminal")
    screen.see("status=125.")
