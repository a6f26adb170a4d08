# SPDX-License-Identifier: Apache-2.0
"""`purple run` as a program that runs a program: status, signals, streams, limits, refusals."""
import concurrent.futures
import errno
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import stat
import subprocess
import textwrap
import time

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def run(runner, *command, options=(), **kw):
    return runner.run([runner.purple, "run", *options, "--", *command], **kw)


def start(runner, *command, options=(), **kw):
    """A sandbox that is left running; pipes unless told otherwise."""
    for stream in ("stdout", "stderr"):
        kw.setdefault(stream, subprocess.PIPE)
    return runner.popen([runner.purple, "run", *options, "--", *command], **kw)


def ok(done):
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def shell(runner, script, **kw):
    return run(runner, "sh", "-c", textwrap.dedent(script), **kw)


def refused(done, status, *words):
    """One message of Purple's, of one line or two, and nothing else."""
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= 2, done.stderr
    assert lines[0].startswith("purple: ") and not any(x.startswith("purple: ") for x in lines[1:])
    for word in words:
        assert word in done.stderr, done.stderr
    return done.stderr


def children_of(pid):
    try:
        return [int(c) for c in
                pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def descendants(pid):
    found = []
    for child in children_of(pid):
        found += [child, *descendants(child)]
    return found


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


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
    """Scripts write to /dev/stderr and /dev/stdout as to any file: pipes and files of the caller's."""
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


# --- environment ----------------------------------------------------------

OURS = {"PATH", "HOME", "USER", "LOGNAME", "SHELL"}


def environment(runner, *options, **kw):
    out = ok(run(runner, "cat", "/proc/self/environ", options=options, **kw))
    return dict(entry.split("=", 1) for entry in out.split("\0") if entry)


def test_environment_is_scrubbed(as_user):
    secrets = ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "DATABASE_URL",
               "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "BASH_ENV", "ENV", "PROMPT_COMMAND",
               "GIT_DIR", "GIT_SSH_COMMAND", "GIT_CONFIG_GLOBAL", "NODE_OPTIONS", "PYTHONPATH",
               "PYTHONSTARTUP", "PERL5OPT", "RUBYOPT", "JAVA_TOOL_OPTIONS", "BASH_FUNC_ls%%",
               "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "XDG_RUNTIME_DIR", "TMPDIR", "IFS", "MAIL",
               "GCONV_PATH", "LOCPATH", "TZDIR", "TERMINFO", "LC", "LANGX", "TZX", "XLANG"]
    as_user.env.update({name: "secret" for name in secrets})
    as_user.env.update(LANG="C.UTF-8", LC_ALL="C", TZ="Asia/Tokyo", TERM="xterm",
                       PATH="/evil:/bin:/usr/bin")
    env = environment(as_user)
    assert set(env) == OURS | {"LANG", "LC_ALL", "TZ", "TERM"}
    assert "secret" not in env.values()
    assert env["TZ"] == "Asia/Tokyo" and env["LANG"] == "C.UTF-8"
    assert "/evil" not in env["PATH"]
    assert env["HOME"] == str(as_user.home)


def test_time_zone_works(as_user):
    if not os.path.exists("/usr/share/zoneinfo/Asia/Tokyo"):
        pytest.skip("no time zones installed")
    as_user.env["TZ"] = "Asia/Tokyo"
    assert ok(run(as_user, "date", "+%z")) == "+0900\n"


def test_environment_options(as_user):
    as_user.env.update(TOKEN="t", MINE_A="a", MINE_B="b", OTHER="o")
    env = environment(as_user, "--pass-env", "TOKEN", "--pass-env", "MINE_*", "--pass-env",
                      "ABSENT", "--env", "SET=1=2", "--env", "LANG=xx")
    assert env["TOKEN"] == "t" and env["MINE_A"] == "a" and env["MINE_B"] == "b"
    assert env["SET"] == "1=2" and env["LANG"] == "xx"
    assert "OTHER" not in env and "ABSENT" not in env


def test_environment_of_pid_1_tells_nothing(as_user):
    as_user.env["SECRET"] = "hidden-in-the-launcher"
    for delay in ("", "sleep 0.05; "):
        out = shell(as_user, delay + "cat /proc/*/environ /proc/1/cmdline 2>/dev/null")
        assert "hidden-in-the-launcher" not in out.stdout
        assert "SECRET" not in out.stdout


def test_malformed_environment(as_user):
    """Entries without =, doubled, empty, large: nothing of it matters."""
    as_user.env.update({"LC_X": "y" * 100000, "LC_EMPTY": "", "LC_NL": "a\nb"})
    env = environment(as_user)
    assert len(env["LC_X"]) == 100000 and env["LC_EMPTY"] == "" and env["LC_NL"] == "a\nb"


def test_too_many_variables(as_user):
    as_user.env.update({f"LC_{i}": "x" for i in range(600)})
    refused(run(as_user, "true"), 125, "environment")


def test_many_variables_that_stay_outside(as_user):
    as_user.env.update({f"X_{i}": "x" for i in range(5000)})
    assert set(environment(as_user)) <= OURS | {"LANG"}


# --- workspace ------------------------------------------------------------

def test_workspace_is_the_current_directory(as_user):
    as_user.write("file", "content\n")
    out = ok(shell(as_user, "pwd; cat file; echo new >made; ls -A"))
    assert out == f"{as_user.workspace}\ncontent\nfile\nmade\n"
    made = as_user.workspace / "made"
    assert made.read_text() == "new\n"
    assert (made.stat().st_uid, made.stat().st_gid) == (as_user.uid, as_user.uid)
    assert stat.S_IMODE(made.stat().st_mode) == 0o644


@pytest.mark.parametrize("how", ["absolute", "relative", "symlink", "trailing", "long option"])
def test_workspace_by_option(as_user, how):
    other = as_user.workspace / "other"
    as_user.write("other/file", "x")
    link = as_user.base / "link"
    link.symlink_to(other)
    options = {"absolute": ["-w", other], "relative": ["-w", "./other"], "symlink": ["-w", link],
               "trailing": ["-w", f"{other}//"], "long option": [f"--dir={other}"]}[how]
    out = ok(shell(as_user, "pwd; echo ..; ls -A ..; touch made", options=options))
    assert out == f"{other}\n..\nother\n", "the real path, and nothing beside it"
    assert (other / "made").exists()


@pytest.mark.parametrize("name", ["with space", "new\nline", "colon:comma,", "ünïcode-日本",
                                  "back\\slash", "-dash", "quote'\"", "x" * 200, "~", "..."])
def test_workspace_with_an_odd_name(as_user, name):
    directory = as_user.workspace / name
    directory.mkdir()
    os.chown(directory, as_user.uid, as_user.uid)
    ok(shell(as_user, "echo x >made; cat made", options=["-w", directory]))
    assert (directory / "made").read_text() == "x\n"
    ok(shell(as_user, "echo x >again", cwd=directory))


@pytest.mark.parametrize("where", ["/", "/etc", "/usr", "/usr/lib", "/bin", "/dev", "/dev/shm",
                                   "/proc", "/sys", "/run", "/var/lib", "/boot", "/var",
                                   "/home", "HOME",
                                   "above HOME", "far above HOME"])
def test_workspace_refused(as_user, where):
    where = {"HOME": as_user.home, "above HOME": as_user.base,
             "far above HOME": as_user.base.parent}.get(where, where)
    if not os.path.isdir(where):
        pytest.skip(f"there is no {where} here")
    err = refused(shell(as_user, "echo ran", options=["-w", where]), 125, "workspace")
    assert "-w DIR" in err
    if str(where) != "/proc" and os.access(where, os.X_OK):
        refused(shell(as_user, "echo ran", cwd=where), 125, "workspace")


@pytest.mark.parametrize("where,word", [("/no/such", "No such file"), ("file", "Not a directory"),
                                        ("", "needs a value"), ("loop", "ymbolic link"),
                                        ("x" * 5000, "too long")])
def test_workspace_that_cannot_be(as_user, where, word):
    as_user.write("file", "")
    (as_user.workspace / "loop").symlink_to("loop")
    refused(run(as_user, "true", options=["-w", where]), 125, word)


def test_workspace_that_was_deleted(as_user):
    gone = as_user.workspace / "gone"
    gone.mkdir()
    done = as_user.run(["sh", "-c", 'cd gone && rmdir ../gone && exec "$0" run -- true',
                        as_user.purple])
    if as_user.uid != 0 and gone.exists():
        pytest.skip("could not be deleted")
    refused(done, 125, "workspace")


def test_workspace_read_only_and_none(as_user):
    as_user.write("file", "x")
    done = shell(as_user, "cat file; echo y >file", options=["--workspace", "read-only"])
    assert done.stdout == "x" and done.returncode != 0
    assert (as_user.workspace / "file").read_text() == "x"
    out = ok(run(as_user, "pwd", options=["--workspace", "none"], cwd="/"))
    assert out == "/\n", "without a workspace, any directory will do"


def test_workspace_of_somebody_else(as_user):
    """Nothing becomes possible that was not before."""
    other = as_user.base / "foreign"
    other.mkdir(mode=0o755)
    os.chown(other, 4711, 4711) if os.geteuid() == 0 else None
    done = shell(as_user, "id -u; touch made", options=["-w", other])
    if as_user.uid == 0:
        assert done.stdout == "4711\n" and done.returncode == 0
        assert (other / "made").stat().st_uid == 4711
    elif os.geteuid() == 0:
        assert done.stdout == f"{as_user.uid}\n" and done.returncode != 0
        assert "Permission denied" in done.stderr and not (other / "made").exists()


@needs_root
def test_workspace_that_cannot_be_entered(as_user):
    if as_user.uid == 0:
        pytest.skip("root enters everything")
    locked = as_user.base / "locked"
    locked.mkdir(mode=0o700)
    done = shell(as_user, "ls -A", options=["-w", locked])
    assert done.returncode != 0 and "Permission denied" in done.stderr


@needs_root
def test_workspace_of_an_owner_outside_the_range(as_user):
    other = as_user.base / "high"
    other.mkdir()
    os.chown(other, 70000, 70000)
    done = run(as_user, "true", options=["-w", other])
    if as_user.uid == 0:
        refused(done, 125, "70000", "run purple as that user")
    else:
        ok(done)


@needs_root
def test_root_does_not_work_with_host_ids(as_user):
    """What root starts runs under ids that are nobody's on the host."""
    with start(as_user, "sleep", "100") as p:
        try:
            assert eventually(lambda: len(descendants(p.pid)) == 2)
            time.sleep(0.05)
            status = pathlib.Path(f"/proc/{descendants(p.pid)[-1]}/status").read_text()
            uids = re.search(r"^Uid:\s+(.*)", status, re.M).group(1).split()
            groups = re.search(r"^Groups:[ \t]*(.*)", status, re.M).group(1).split()
            if as_user.uid == 0:
                assert all(0x70000000 <= int(u) < 0x80000000 for u in uids)
            else:
                assert set(uids) == {str(as_user.uid)}
            assert groups == []
        finally:
            p.kill()


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


# --- where and how --------------------------------------------------------

def test_working_directory(as_user):
    as_user.write("sub/file", "")
    assert ok(run(as_user, "pwd", options=["--workdir", "./sub"])).strip().endswith("/work/sub")
    assert ok(run(as_user, "pwd", options=["--workdir", "/tmp"])) == "/tmp\n"
    assert ok(run(as_user, "pwd", options=["--workdir", "~/"])) == f"{as_user.home}\n"
    refused(run(as_user, "pwd", options=["--workdir", "/no/such"]), 125, "/no/such")


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_umask_is_always_the_same(as_user, mask):
    out = ok(shell(as_user, "umask; touch made; mkdir dir", preexec_fn=lambda: os.umask(mask)))
    assert out == "0022\n"
    assert stat.S_IMODE((as_user.workspace / "made").stat().st_mode) == 0o644
    assert stat.S_IMODE((as_user.workspace / "dir").stat().st_mode) == 0o755


def test_modes_do_not_depend_on_the_umask(as_user):
    show = "stat -c '%a %n' / /etc /etc/passwd /tmp /dev /dev/shm /dev/null ~ /var /var/tmp"
    plain = ok(shell(as_user, show))
    assert "1777 /tmp\n" in plain and "644 /etc/passwd\n" in plain
    for mask in (0o077, 0o000):
        assert ok(shell(as_user, show, preexec_fn=lambda m=mask: os.umask(m))) == plain


def test_home_is_scratch(as_user):
    secret = as_user.home / ".netrc"
    secret.write_text("password")
    os.chown(secret, as_user.uid, as_user.uid)
    out = ok(shell(as_user, "ls -A ~; echo x >~/mine; mkdir -p ~/.config/a; cat ~/mine"))
    assert out == "x\n"
    assert not (as_user.home / "mine").exists() and not (as_user.home / ".config").exists()
    assert ok(shell(as_user, "ls -A ~")) == "", "each start has its own"


def test_home_that_is_odd(as_user):
    for home in ("/", "relative", "", "/no/such/home", "/tmp"):
        as_user.env["HOME"] = home
        as_user.env["XDG_CACHE_HOME"] = str(as_user.base / "home" / ".cache")
        done = run(as_user, "true", options=["--workspace", "none"])
        assert done.returncode in (0, 125), done.stderr
        if done.returncode:
            refused(done, 125)
    del as_user.env["HOME"]
    ok(shell(as_user, "cd; pwd"))


def test_system_is_read_only(as_user):
    out = ok(shell(as_user, """
        for d in / /usr /usr/bin /etc /bin /lib /dev /opt /var; do
            if touch $d/made 2>/dev/null; then echo $d; fi
        done
        for d in /tmp /var/tmp /dev/shm; do touch $d/made || echo "not $d"; done
    """))
    assert out == ""


def test_hostname_and_accounts(as_user):
    out = ok(shell(as_user, "uname -n; cat /etc/hostname 2>/dev/null; id -un; cat /etc/passwd"))
    lines = out.splitlines()
    assert lines[0] == "purple"
    assert len(lines) <= 6
    assert any(line.split(":")[2:3] == [str(as_user.uid)] for line in lines[2:])


# --- limits ---------------------------------------------------------------

def test_scratch_limit(as_user):
    out = ok(shell(as_user, """
        exec 2>&1
        head -c 3M /dev/zero >/tmp/a && echo a
        head -c 3M /dev/zero >/dev/shm/b && echo b
        rm -f /tmp/a /dev/shm/b; head -c 3M /dev/zero >~/c && echo c
    """, options=["--scratch-size", "4M"])).splitlines()
    assert (out[0], out[-1]) == ("a", "c")
    assert "b" not in out and "No space left" in out[1], "the limit is for all together"


def test_scratch_files_limit(as_user):
    """Names cost memory as well."""
    done = shell(as_user, "i=0; while [ $i -lt 3000 ]; do : >/tmp/$i || exit 9; i=$((i+1)); done",
                 options=["--scratch-size", "1M"])
    assert done.returncode in (2, 9) and "No space left" in done.stderr


def test_limits(as_user):
    options = ["--open-files", "40", "--pids-limit", "77", "--file-size", "1M", "--core-size",
               "0", "--stack-size", "2M", "--cpu-time", "50"]
    out = ok(run(as_user, "cat", "/proc/self/limits", options=options))
    limits = {line[:25].strip(): line[26:].split()[:2] for line in out.splitlines()[1:]}
    assert limits["Max open files"] == ["40", "40"]
    assert limits["Max processes"] == ["77", "77"]
    assert limits["Max file size"] == ["1048576", "1048576"]
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max stack size"] == ["2097152", "2097152"]
    assert limits["Max cpu time"] == ["50", "50"]


def test_open_files_limit(as_user):
    done = shell(as_user, "for i in 3 4 5 6 7 8 9; do eval \"exec $i</dev/null\"; done",
                 options=["--open-files", "8"])
    assert done.returncode != 0


def test_file_size_limit(as_user):
    done = shell(as_user, "exec head -c 2M /dev/zero >big", options=["--file-size", "1M"])
    assert done.returncode == 128 + signal.SIGXFSZ
    assert (as_user.workspace / "big").stat().st_size == 1 << 20


def test_processor_time_limit(as_user):
    done = shell(as_user, "while :; do :; done", options=["--cpu-time", "1"])
    assert done.returncode in (128 + signal.SIGXCPU, 128 + signal.SIGKILL)


def test_no_core_is_dumped(as_user):
    def unlimited():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    done = shell(as_user, "ulimit -c; kill -SEGV $$", preexec_fn=unlimited)
    assert done.stdout == "0\n" and done.returncode == 128 + signal.SIGSEGV
    assert list(as_user.workspace.iterdir()) == []


@pytest.mark.skipif(not shutil.which("python3", path="/usr/bin"), reason="needs python3")
def test_pids_limit(as_user):
    """Threads count too, and other processes of the same user do not."""
    others = [as_user.popen(["sleep", "60"]) for _ in range(25)]
    try:
        out = ok(run(as_user, "/usr/bin/python3", "-c", textwrap.dedent("""\
            import errno, os, threading, time
            n = 0
            try:
                for n in range(100):
                    if os.fork() == 0:
                        time.sleep(60)
            except OSError as e:
                print(n, errno.errorcode[e.errno])
            try:
                threading.Thread(target=print).start()
                print("thread")
            except RuntimeError:
                print("none")
            """), options=["--pids-limit", "20"]))
    finally:
        for p in others:
            p.kill()
            p.wait()
    count, error, thread = out.split()
    assert 16 <= int(count) <= 20 and error == "EAGAIN" and thread == "none"


def test_limit_of_the_caller_that_is_tighter_stays(as_user):
    def tight():
        resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))

    assert ok(shell(as_user, "ulimit -Hn", preexec_fn=tight)) == "50\n"


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
