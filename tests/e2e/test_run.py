# SPDX-License-Identifier: Apache-2.0
"""`purple run` as a program that runs a program: status, signals, streams, processes."""
import concurrent.futures
import errno
import json
import os
import re
import signal
import stat
import subprocess
import time

import pytest

from running import (alive, children_of, descendants, eventually, needs_root, ok, refused,
                     run, shell, start)


# --- exit status ----------------------------------------------------------

@pytest.mark.parametrize("status", [0, 1, 2, 42, 124, 125, 126, 127, 128, 255])
def test_status_is_the_commands_own(as_user, status):
    done = shell(as_user, f"exit {status}")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.parametrize("name", ["TERM", "KILL", "INT", "SEGV", "ABRT", "PIPE", "XCPU"])
@pytest.mark.parametrize("delay", ["", "sleep 0.05; "], ids=["at once", "later"])
def test_status_of_a_signal(as_user, name, delay):
    """Also after PID 1 has become purple-init."""
    done = shell(as_user, f"{delay}kill -{name} $$; sleep 5")
    assert done.returncode == 128 + getattr(signal, f"SIG{name}")
    assert done.stderr == ""


def test_status_late(as_user):
    assert shell(as_user, "sleep 0.1; exit 7").returncode == 7


@pytest.mark.parametrize("command,status,word", [
    ("nosuchcommand", 127, "No such file"),
    ("/no/such/command", 127, "No such file"),
    ("./nosuch", 127, "No such file"),
    ("./plain/x", 127, "Not a directory"),
    ("./plain", 126, "Permission denied"),
    ("./directory", 126, "Permission denied"),
    ("/tmp", 126, "Permission denied"),
    ("./garbage", 126, "Exec format error"),
    ("./empty", 126, "Exec format error"),
    ("./lost-interpreter", 127, "No such file"),
    ("./loop", 126, "ymbolic link"),
    ("/etc/passwd", 126, "Permission denied"),
    ("", 127, "No such file"),
    ("x" * 300, 126, "name too long"),
], ids=lambda v: str(v)[:20])
def test_command_that_cannot_run(as_user, command, status, word):
    as_user.write("plain", "echo hello\n")
    as_user.write("garbage", "\x01\x02\x03 not a program\n", mode=0o755)
    as_user.write("empty", "", mode=0o755)
    as_user.write("lost-interpreter", "#!/no/such/interpreter\n", mode=0o755)
    (as_user.workspace / "directory").mkdir()
    (as_user.workspace / "loop").symlink_to("loop")
    err = refused(run(as_user, command), status, "exec", word)
    assert command in err


def test_a_name_in_path_without_run_bit(as_user):
    """The search goes on, and what was found is what is told of."""
    as_user.write("a/tool", "#!/bin/sh\n")
    as_user.write("b/tool", "#!/bin/sh\necho b\n", mode=0o755)
    a, b = as_user.workspace / "a", as_user.workspace / "b"
    assert ok(run(as_user, "tool", options=["--env", f"PATH={a}:{b}"])) == "b\n"
    refused(run(as_user, "tool", options=["--env", f"PATH={a}:/nonexistent"]), 126, "tool")
    refused(run(as_user, "true", options=["--env", "PATH=/nonexistent"]), 127, "true")


@pytest.mark.parametrize("argv", [[], ["--"], ["-p", "default"], ["-p", "default", "--"]])
def test_no_command(as_user, argv):
    refused(as_user.run([as_user.purple, "run", *argv]), 125, "no command")


@pytest.mark.parametrize("argv", [["--nosuch"], ["-x"], ["-"], ["--memory"], ["-p"], ["--json=1"],
                                  ["--set"], ["--report"], ["--profile="],
                                  ["--isolated=maybe", "true"]])
def test_wrong_options(as_user, argv):
    done = as_user.run([as_user.purple, "run", *argv])
    assert done.returncode == 125
    assert done.stdout == "" and argv[0].split("=")[0] in done.stderr


def test_a_working_directory_that_is_not_there(as_user):
    done = as_user.run([as_user.purple, "run", "--workdir", "/nosuch", "true"])
    refused(done, 125, "working directory: enter /nosuch")
    assert "inside the sandbox" in done.stderr


def test_help_of_a_command(as_user):
    for name in "run", "stop", "profile":
        out = ok(as_user.run([as_user.purple, "help", name]))
        assert out == ok(as_user.run([as_user.purple, name, "--help"]))
        assert out.startswith(f"usage: purple {name} ")
    assert "  doctor " in ok(as_user.run([as_user.purple, "help", "help"]))


def test_a_command_that_there_is_not(as_user):
    refused(as_user.run([as_user.purple, "rnu", "true"]), 125, "did you mean `purple run`?")
    done = as_user.run([as_user.purple, "frobnicate"])
    refused(done, 125, "purple run -- frobnicate")
    assert "did you mean" not in done.stderr


def test_help(as_user):
    out = ok(as_user.run([as_user.purple, "run", "--help"]))
    assert out.startswith("usage: purple run")
    for word in ("--report", "--pids-limit", "-w, --dir"):
        assert word in out


def test_ends_of_the_options(as_user):
    """The first word that is no option is the command; its own options are its own."""
    assert ok(as_user.run([as_user.purple, "run", "echo", "-p", "--report", "x"])) == \
        "-p --report x\n"
    assert ok(as_user.run([as_user.purple, "run", "-p", "default", "--", "echo", "--", "-e"])) == \
        "-- -e\n"


# --- signals --------------------------------------------------------------

TRAPS = """
for s in HUP INT QUIT TERM USR1 USR2; do
    trap "echo $s; n=\\$((n + 1))" $s
done
echo ready
while [ "${n:-0}" -lt "$1" ]; do sleep 0.02; done
sleep 0.1
exit 9
"""


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2"])
def test_signal_reaches_the_command_once(as_user, name):
    with start(as_user, "sh", "-c", TRAPS, "x", "1") as p:
        assert p.stdout.readline() == b"ready\n"
        p.send_signal(getattr(signal, f"SIG{name}"))
        out, err = p.communicate(timeout=10)
    assert (out, err, p.returncode) == (name.encode() + b"\n", b"", 9)


def test_signal_to_the_whole_group_reaches_it_once(as_user):
    """As a terminal's Ctrl-C does: the launcher is in the group, the sandbox is not."""
    with start(as_user, "sh", "-c", TRAPS, "x", "1", start_new_session=True) as p:
        assert p.stdout.readline() == b"ready\n"
        os.killpg(p.pid, signal.SIGINT)
        out, _ = p.communicate(timeout=10)
    assert (out, p.returncode) == (b"INT\n", 9)


def test_signal_ends_a_command_that_does_not_catch_it(as_user):
    with start(as_user, "sleep", "100") as p:
        assert eventually(lambda: len(descendants(p.pid)) == 2)
        time.sleep(0.1)
        p.terminate()
        assert p.wait(timeout=10) == 128 + signal.SIGTERM


def test_signal_during_the_start(as_user):
    """Whatever has been reached by then, it ends, soon, and with the status of a signal."""
    for delay in (0, 0.001, 0.002, 0.003, 0.005, 0.01):
        with start(as_user, "sleep", "100") as p:
            time.sleep(delay)
            p.terminate()
            assert p.wait(timeout=10) in (-signal.SIGTERM, 128 + signal.SIGTERM,
                                          128 + signal.SIGKILL, 125)


def test_ignored_and_blocked_signals_stay_so(as_user):
    """nohup works; a caller's blocked signal is the command's too, as with any exec."""
    def prepare():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

    out = ok(run(as_user, "cat", "/proc/self/status", preexec_fn=prepare))
    masks = dict(re.findall(r"^(Sig\w+):\s+([0-9a-f]+)", out, re.M))
    assert int(masks["SigBlk"], 16) == 1 << (signal.SIGUSR2 - 1)
    assert int(masks["SigIgn"], 16) & 1 << (signal.SIGHUP - 1)
    plain = ok(run(as_user, "cat", "/proc/self/status"))
    masks = dict(re.findall(r"^(Sig\w+):\s+([0-9a-f]+)", plain, re.M))
    assert int(masks["SigBlk"], 16) == int(masks["SigCgt"], 16) == 0


def test_stop_and_continue_of_the_launcher(as_user):
    with start(as_user, "sh", "-c", "sleep 0.3; exit 3") as p:
        p.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        p.send_signal(signal.SIGCONT)
        assert p.wait(timeout=10) == 3


# --- streams --------------------------------------------------------------

SIZE = 10 << 20


def test_ten_megabytes_each_way(as_user):
    data = os.urandom(1 << 20) * (SIZE >> 20)
    done = run(as_user, "sh", "-c", "tee copy; cat copy >&2", stdin=None, input=data, text=None)
    assert done.returncode == 0
    assert done.stdout == data and done.stderr == data


def test_files_as_streams(as_user):
    source = as_user.write("in", "line\n" * 1000)
    with open(source, "rb") as i, open(as_user.workspace / "out", "wb") as o, \
            open(as_user.workspace / "err", "wb") as e:
        done = run(as_user, "sh", "-c", "cat; echo oops >&2", stdin=i, stdout=o, stderr=e)
    assert done.returncode == 0
    assert (as_user.workspace / "out").read_text() == source.read_text()
    assert (as_user.workspace / "err").read_text() == "oops\n"


def test_dev_stderr(as_user):
    """Scripts write to /dev/stderr and /dev/stdout as to any file."""
    script = 'echo e >/dev/stderr; echo o >/dev/stdout; echo f >/dev/fd/1'
    # Pipes and files that the user has made, not the test.
    pipes = as_user.run(["sh", "-c", '{ "$0" run -- sh -c "$1" 2>&1 >&3 | sed s/^/err:/; } 3>&1 '
                         '| cat', as_user.purple, script])
    assert sorted(pipes.stdout.splitlines()) == ["err:e", "f", "o"], pipes.stderr
    # Again, when the first run has used the pipe.
    twice = as_user.run(["sh", "-c", '{ "$0" run -- true; "$0" run -- sh -c "$1"; } 2>&1 | cat',
                         as_user.purple, script])
    assert sorted(twice.stdout.splitlines()) == ["e", "f", "o"], twice.stderr
    if as_user.uid != 0:  # root's files are not those of the ids inside
        as_user.run(["sh", "-c", '"$0" run -- sh -c "$1" >out 2>err', as_user.purple,
                     "echo e >>/dev/stderr; echo o >>/dev/stdout"])
        assert (as_user.workspace / "err").read_text() == "e\n"
        assert (as_user.workspace / "out").read_text() == "o\n"


def test_append_goes_on(as_user):
    log = as_user.write("log", "before\n")
    with open(log, "ab") as out:
        run(as_user, "echo", "after", stdout=out, stderr=out)
    assert log.read_text() == "before\nafter\n"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)],
                         ids=lambda c: "".join(map(str, c)))
def test_closed_streams(as_user, closed):
    """The command finds /dev/null there, not something of Purple's."""
    def close():
        for fd in closed:
            os.close(fd)

    script = """readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >found
                ls /proc/self/fd >fds"""
    done = run(as_user, "sh", "-c", script, preexec_fn=close, stdout=subprocess.PIPE,
               stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    found = (as_user.workspace / "found").read_text().splitlines()
    for fd in closed:
        if fd != 1:  # 1 is the file that readlink writes to
            assert found[fd] == "/dev/null"
    assert (as_user.workspace / "fds").read_text().split() == ["0", "1", "2", "3"]


def test_closed_stderr_leaves_the_status(as_user):
    done = run(as_user, "nosuchcommand", preexec_fn=lambda: os.close(2), stdout=subprocess.PIPE,
               stderr=subprocess.PIPE)
    assert done.returncode == 127


def test_closed_reader_ends_the_writer(as_user):
    with start(as_user, "yes") as p:
        p.stdout.read(10)
        p.stdout.close()
        assert p.wait(timeout=10) == 128 + signal.SIGPIPE


def test_full_device(as_user):
    with open("/dev/full", "wb") as full:
        assert run(as_user, "cat", "/proc/self/status", stdout=full,
                   stderr=subprocess.PIPE).returncode == 1


def test_a_directory_as_a_stream_is_refused(as_user):
    """openat(0, "..") would lead out of the root."""
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        refused(run(as_user, "true", stdin=fd), 125, "directory")
    finally:
        os.close(fd)


def test_other_descriptors_go_no_further(as_user):
    fds = [os.open("/etc/passwd", os.O_RDONLY) for _ in range(20)]
    pipe = os.pipe()
    high = os.dup2(fds[0], 900)
    try:
        for delay in ("", "sleep 0.05; "):
            out = ok(shell(as_user, f"{delay}ls /proc/self/fd",
                           pass_fds=[*fds, *pipe, high]))
            assert out.split() == ["0", "1", "2", "3"]
    finally:
        for fd in {*fds, *pipe, high}:
            os.close(fd)


def test_streams_end_with_the_command(as_user):
    """A process that is left in the background holds no pipe open: it is gone."""
    begin = time.monotonic()
    done = shell(as_user, "sleep 100 & (setsid sleep 100 &) ; sleep 0.05; echo out; exit 4")
    assert (done.returncode, done.stdout) == (4, "out\n")
    assert time.monotonic() - begin < 10


# --- report ---------------------------------------------------------------

def report_of(runner, *command, options=(), **kw):
    path = runner.workspace / "report.json"
    done = run(runner, *command, options=["--report", path, *options], **kw)
    text = path.read_text()
    assert text.endswith("}\n") and text.count("\n") == 1
    report = json.loads(text)
    assert report["version"] == 1
    assert report["status"] == done.returncode
    assert set(report["usage"]) == {"wall_ms", "user_ms", "system_ms", "max_rss_kb"}
    assert all(v >= 0 for v in report["usage"].values())
    return report


def test_report_of_an_exit(as_user):
    report = report_of(as_user, "sh", "-c", "sleep 0.2; exit 3")
    assert (report["profile"], report["reason"], report["status"]) == ("default", "exited", 3)
    assert "signal" not in report and "error" not in report
    assert report["downgrades"] == []
    assert 200 <= report["usage"]["wall_ms"] < 20000
    assert 100 < report["usage"]["max_rss_kb"] < 1 << 20


def test_report_of_a_signal(as_user):
    report = report_of(as_user, "sh", "-c", "kill -TERM $$")
    assert (report["reason"], report["signal"]) == ("signalled", signal.SIGTERM)


def test_report_of_a_kill_from_outside(as_user):
    path = as_user.workspace / "report.json"
    with start(as_user, "sleep", "100", options=["--report", path]) as p:
        assert eventually(lambda: len(descendants(p.pid)) == 2)
        time.sleep(0.1)
        os.kill(children_of(p.pid)[0], signal.SIGKILL)
        assert p.wait(timeout=10) == 137
    report = json.loads(path.read_text())
    assert (report["reason"], report["signal"]) == ("killed", signal.SIGKILL)


def test_report_of_what_did_not_start(as_user):
    report = report_of(as_user, "nosuchcommand")
    assert (report["reason"], report["status"]) == ("not started", 127)
    assert report["error"]["stage"] == "exec"
    assert "nosuchcommand" in report["error"]["message"] and report["error"]["remedy"]
    report = report_of(as_user, "true", options=["-p", "nosuch"])
    assert (report["reason"], report["status"]) == ("not started", 125)
    assert report["error"]["stage"] == "policy" and "nosuch" in report["error"]["message"]
    report = report_of(as_user, "true", options=["--set", "nosuch.key=1"])
    assert (report["reason"], report["error"]["stage"]) == ("not started", "policy")
    report = report_of(as_user, "true", options=["-w", "/"])
    assert report["error"]["stage"] == "workspace"


def test_report_of_a_busy_command(as_user):
    report = report_of(as_user, "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
    assert report["usage"]["user_ms"] > 10


def test_report_to_a_descriptor(as_user):
    r, w = os.pipe()
    try:
        out = ok(run(as_user, "ls", "/proc/self/fd", options=["--report", f"fd:{w}"],
                     pass_fds=[w]))
        assert out.split() == ["0", "1", "2", "3"]
        os.close(w)
        w = -1
        assert json.loads(os.read(r, 65536))["reason"] == "exited"
        assert os.read(r, 1) == b"", "nobody else holds it"
    finally:
        os.close(r)
        if w >= 0:
            os.close(w)


def test_report_to_standard_output(as_user):
    out = ok(run(as_user, "echo", "hello", options=["--report", "fd:1"]))
    hello, report = out.splitlines()
    assert hello == "hello" and json.loads(report)["status"] == 0


@pytest.mark.parametrize("where", ["fd:77", "fd:x", "fd:", "fd:-1", "fd:99999999999999999999",
                                   "/no/such/directory/report", "/", "."])
def test_report_that_cannot_be(as_user, where):
    refused(run(as_user, "sh", "-c", "echo ran", options=["--report", where]), 125, "report")


def test_report_replaces_an_old_one(as_user):
    as_user.write("report.json", "x" * 100000)
    assert report_of(as_user, "true")["reason"] == "exited"
    assert stat.S_IMODE((as_user.workspace / "report.json").stat().st_mode) == 0o644
    (as_user.workspace / "report.json").unlink()
    report_of(as_user, "true")
    assert stat.S_IMODE((as_user.workspace / "report.json").stat().st_mode) == 0o600


def test_report_that_is_lost_is_told(as_user):
    done = run(as_user, "true", options=["--report", "/dev/full"])
    assert "report" in done.stderr and "No space left" in done.stderr


# --- arguments ------------------------------------------------------------

def test_ten_thousand_arguments(as_user):
    words = [f"argument {i}" for i in range(10000)]
    out = ok(run(as_user, "printf", "%s\\n", *words))
    assert out.splitlines() == words


def test_odd_arguments(as_user):
    words = ["", " ", "a b", "*", "$HOME", "\n", "\t\x01", "日本", "-p", "--", "'\""]
    out = ok(run(as_user, "printf", "%s\\0", *words))
    assert out.split("\0")[:-1] == words


def test_arguments_that_are_no_text(as_user):
    done = subprocess.run([as_user.purple.encode(), b"run", b"--", b"printf", b"%s", b"\xff\xfe"],
                          check=False, **as_user.options(stdout=subprocess.PIPE))
    assert done.stdout == b"\xff\xfe"


def test_largest_argument(as_user):
    """The kernel's limit is 128 KiB for one; Purple takes nothing away from it."""
    word = "x" * (131072 - 1)
    assert len(ok(run(as_user, "printf", "%s", word))) == len(word)
    with pytest.raises(OSError) as caught:
        run(as_user, "true", word + "x")
    assert caught.value.errno == errno.E2BIG


def test_arguments_too_long_for_the_limits_inside(as_user):
    """A quarter of the stack limit is what arguments may take: execve(2)."""
    done = run(as_user, "true", *["x" * 1000] * 600, options=["--stack-size", "1M"])
    refused(done, 126, "Argument list too long")


# --- processes ------------------------------------------------------------

def test_orphans_are_reaped(as_user):
    out = ok(shell(as_user, """
        for i in 1 2 3 4 5 6 7 8; do (sleep 0.05 & sleep 0.02 &); done
        sleep 0.4
        grep -h '^State' /proc/[0-9]*/status | sort | uniq -c
        ls -d /proc/[0-9]* | wc -l
    """))
    assert "zombie" not in out
    assert int(out.split()[-1]) <= 5


def test_processes_are_alone(as_user):
    out = ok(shell(as_user, "cat /proc/[0-9]*/comm"))
    assert set(out.split()) <= {"purple", "purple-init", "sh", "cat"}


def test_the_command_cannot_kill_pid_1(as_user):
    done = shell(as_user, "sleep 0.05; kill -KILL 1; kill -TERM 1; sleep 0.1; exit 5")
    assert done.returncode == 5
    assert shell(as_user, "kill -KILL 1; sleep 0.05; exit 5").returncode == 5


def test_background_processes_end_with_the_command(as_user):
    with start(as_user, "sh", "-c", "sleep 100 & (setsid sleep 100 &); "
               "sh -c 'trap \"\" TERM HUP INT; sleep 100; sleep 100' & echo ready; sleep 0.5") as p:
        assert p.stdout.readline() == b"ready\n"
        time.sleep(0.2)
        below = descendants(p.pid)
        assert len(below) >= 5
        p.communicate(timeout=10)
        assert eventually(lambda: not [d for d in below if alive(d)])


@pytest.mark.parametrize("delay", [0.0, 0.3], ids=["young", "old"])
def test_sigkill_of_the_launcher_ends_everything(as_user, delay):
    with start(as_user, "sh", "-c", "sleep 100 & setsid sleep 100 & echo ready; sleep 100") as p:
        assert p.stdout.readline() == b"ready\n"
        time.sleep(delay)
        below = descendants(p.pid)
        assert len(below) >= 2
        p.kill()
        p.wait()
        assert eventually(lambda: not [d for d in below if alive(d)], 2.0), below
        assert p.stdout.read() == b"", "nobody holds the pipe"


def test_the_end_of_the_callers_shell(as_user):
    """`purple run … &` in a shell that ends: the sandbox goes on until its command ends."""
    marker = as_user.workspace / "marker"
    as_user.run(["sh", "-c", '"$0" run -- sh -c "sleep 0.3; echo done >marker" >/dev/null 2>&1 &',
                 as_user.purple])
    assert eventually(marker.exists)


# --- one in another, many at once -----------------------------------------

def test_nested(as_user, purple_prefix):
    """Purple cannot run inside, and says so; the other commands work."""
    options = ["--ro", purple_prefix]
    err = refused(run(as_user, as_user.purple, "run", "--workspace", "none", "--", "true",
                      options=options), 125, "namespaces")
    assert "purple doctor" in err
    out = ok(run(as_user, as_user.purple, "profile", "list", options=options))
    assert "default" in out


def test_twenty_at_once(as_user):
    def one(i):
        return shell(as_user, f"echo {i} >/tmp/mine; mkdir out-{i}; sleep 0.1; cat /tmp/mine; "
                     f"uname -n; exit {i}")

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        for i, done in enumerate(pool.map(one, range(20))):
            assert (done.returncode, done.stdout, done.stderr) == (i, f"{i}\npurple\n", "")
    assert len(list(as_user.workspace.iterdir())) == 20


@needs_root
def test_two_of_root_have_different_ids(as_user):
    if as_user.uid != 0:
        pytest.skip("ids of its own are root's")
    running = [start(as_user, "sh", "-c", "cat /proc/self/uid_map; sleep 100") for _ in range(5)]
    try:
        maps = [p.stdout.readline().split() for p in running]
        assert len({m[1] for m in maps}) == 5
    finally:
        for p in running:
            p.kill()
            p.communicate()
