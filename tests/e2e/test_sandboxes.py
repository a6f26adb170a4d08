# SPDX-License-Identifier: Apache-2.0
"""ps, stats, stop, kill, pause, resume, wait, logs, rm; and who speaks badly to a supervisor."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

import pytest

from running import alive, descendants, eventually, ok, refused
from test_exec import connect, purple, supervisor_of

MAGIC, STATS, EXEC, ATTACH, SIGNAL, INPUT = 0x4c544350, 5, 7, 8, 9, 10
IS_OK, IS_ERROR, EXITED, STATS_ARE = 64, 65, 67, 69
DEAF = "trap 'echo told' TERM; echo ready; while :; do sleep 0.05; done"


def state_of(runner, name):
    """What the record says, by key."""
    text = (runner.sandboxes / name / "state").read_text()
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@pytest.fixture
def boxes(as_user):
    """Makes sandboxes, detached with a command or created without; all go at the end."""
    names = []

    def make(*command, options=()):
        name = f"sb{len(names)}-{os.getpid()}-{as_user.name}"
        names.append(name)
        if command:
            ok(purple(as_user, "run", "--detach", "--name", name, *options, "--", *command))
        else:
            ok(purple(as_user, "create", *options, name))
        return name

    yield make
    for name in names:
        purple(as_user, "rm", "-f", name)
        assert not (as_user.sandboxes / name).exists()


def listed(runner, *options):
    return {x["name"]: x for x in json.loads(ok(purple(runner, "ps", "--json", *options)))}


# ---- ps and stats ----

def test_ps_lists_what_runs_and_with_a_what_has_ended(as_user, boxes):
    one, two = boxes(), boxes("sh", "-c", "exit 3")
    assert eventually(lambda: two not in listed(as_user))
    now, all_of_them = listed(as_user), listed(as_user, "-a")
    assert (now[one]["state"], now[one]["kind"]) == ("running", "created")
    assert now[one]["supervisor"] == supervisor_of(as_user, one)
    assert now[one]["pid1"] in descendants(now[one]["supervisor"])
    assert now[one]["workspace"] == str(as_user.workspace)
    ended = all_of_them[two]
    assert (ended["state"], ended["exit_status"], ended["reason"]) == ("ended", 3, "exited")
    assert ended["command"] == "sh -c exit 3"
    assert ended["ended_ms"] >= ended["started_ms"] > 1e12
    quiet = ok(purple(as_user, "ps", "-q")).split()
    assert one in quiet and two not in quiet
    table = ok(purple(as_user, "ps", "-a")).splitlines()
    assert table[0].split() == ["NAME", "ID", "STATE", "SINCE", "PROFILE", "COMMAND"]
    line, = [x for x in table if x.startswith(f"{two} ")]
    assert "ended: 3, exited" in line and "sh -c exit 3" in line


def test_ps_shows_a_hostile_command_as_text(as_user, boxes):
    name = boxes("sh", "-c", "sleep 100", "\x1b[31m\nred\x07")
    done = ok(purple(as_user, "ps"))
    line, = [x for x in done.splitlines() if x.startswith(name)]
    assert "red" in line and "\x1b" not in done and "\x07" not in done
    assert listed(as_user)[name]["command"].endswith("\x1b[31m\nred\x07")


def test_ps_where_there_is_nothing(as_user):
    if as_user.uid == 0:
        pytest.skip("root's directory is there")
    assert ok(purple(as_user, "ps")).split()[0] == "NAME"
    assert ok(purple(as_user, "ps", "--json")) == "[]\n"
    assert ok(purple(as_user, "ps", "-q")) == ""


def stats_of(runner, name):
    return json.loads(ok(purple(runner, "stats", "--json", name)))[0]


def test_stats_tells_what_is_used(as_user, boxes):
    name = boxes("sh", "-c", "head -c 30000000 /dev/zero | tail -c 20000000 >/dev/null; sleep 100")
    assert eventually(lambda: stats_of(as_user, name)["cpu_us"] > 1000)
    figures = stats_of(as_user, name)
    assert figures["name"] == name and figures["commands"] == 1
    assert figures["memory_bytes"] > 10000 and figures["pids"] >= 2
    assert figures["counted_by"] in ("cgroup", "processes")
    line, = [x for x in ok(purple(as_user, "stats")).splitlines() if x.startswith(f"{name} ")]
    assert len(line.split()) == 11
    with as_user.popen([as_user.purple, "exec", name, "sleep", "100"]) as p:
        assert eventually(lambda: stats_of(as_user, name)["commands"] == 2)
        p.terminate()


def test_stats_follows_until_the_end(as_user, boxes):
    name = boxes("sleep", "100")
    with as_user.popen([as_user.purple, "stats", "-f", "--json", name], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE) as p:
        assert json.loads(p.stdout.readline())[0]["name"] == name
        assert json.loads(p.stdout.readline())[0]["name"] == name
        ok(purple(as_user, "kill", name))
        p.communicate(timeout=20)


# ---- stop, kill, wait ----

def test_stop_gives_the_grace_and_returns_at_the_end(as_user, boxes):
    name = boxes("sh", "-c", "trap 'sleep 0.3; exit 5' TERM; echo r; while :; do sleep 0.05; done",
                 options=["--kill-grace", "60"])
    assert eventually(lambda: ok(purple(as_user, "logs", name)) == "r\n")
    supervisor = supervisor_of(as_user, name)
    ok(purple(as_user, "stop", name))
    assert state_of(as_user, name)["state"] == "ended"
    assert (state_of(as_user, name)["exit_status"], state_of(as_user, name)["reason"]) == \
        ("5", "stopped")
    assert eventually(lambda: not alive(supervisor))
    ok(purple(as_user, "stop", name))  # ended already: no fault


def test_stop_kills_when_the_grace_is_over(as_user, boxes):
    name = boxes("sh", "-c", DEAF, options=["--kill-grace", "600"])
    assert eventually(lambda: ok(purple(as_user, "logs", name)) == "ready\n")
    ok(purple(as_user, "stop", "-t", "1", name))
    assert ok(purple(as_user, "logs", name)) == "ready\ntold\n"
    assert state_of(as_user, name)["exit_status"] == "137"


def test_stop_of_an_idle_one_waits_for_nothing(as_user, boxes):
    """No command, nothing that could use the grace."""
    name = boxes(options=["--kill-grace", "600"])
    ok(purple(as_user, "exec", name, "true"))
    ok(purple(as_user, "stop", name, timeout=30))
    assert state_of(as_user, name)["reason"] == "stopped"


def test_stop_lets_what_was_execd_use_the_grace(as_user, boxes):
    name = boxes(options=["--kill-grace", "600"])
    with as_user.popen([as_user.purple, "exec", name, "sh", "-c",
                        "trap 'sleep 0.3; echo bye; exit 4' TERM; echo ready; "
                        "while :; do sleep 0.05; done"], stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"ready\n"
        ok(purple(as_user, "stop", name, timeout=30))
        assert p.communicate(timeout=10)[0] == b"bye\n"
        assert p.returncode == 4


def test_kill_and_signals(as_user, boxes):
    name = boxes("sh", "-c", "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done")
    assert eventually(lambda: ok(purple(as_user, "logs", name)) == "ready\n")
    ok(purple(as_user, "kill", "-s", "USR1", name))
    assert eventually(lambda: ok(purple(as_user, "logs", name)) == "ready\nusr1\n")
    refused(purple(as_user, "kill", "-s", "NOSUCH", name), 125, "NOSUCH")
    inside = descendants(supervisor_of(as_user, name))
    ok(purple(as_user, "kill", name))
    assert not [pid for pid in inside if alive(pid)]
    assert (state_of(as_user, name)["exit_status"], state_of(as_user, name)["reason"]) == \
        ("137", "killed")
    refused(purple(as_user, "kill", name), 125, name, "ended")


def test_wait_for_one_that_ends_at_this_moment(as_user, boxes):
    """Connected or not: the status is to be had, from the supervisor or from the record."""
    for status in range(20, 50):
        name = boxes("sh", "-c", f"exit {status}")
        assert purple(as_user, "wait", name).returncode == status
        ok(purple(as_user, "stop", name))


def test_wait_exits_as_they_did(as_user, boxes):
    one, two = boxes("sh", "-c", "while ! [ -e go ]; do sleep 0.05; done; exit 9"), boxes("true")
    with as_user.popen([as_user.purple, "wait", two, one], stdout=subprocess.PIPE) as p:
        assert eventually(lambda: two not in listed(as_user))
        assert p.poll() is None
        as_user.write("go", "")
        p.communicate(timeout=20)
        assert p.returncode == 9
    assert purple(as_user, "wait", two).returncode == 0


# ---- pause and resume ----

def test_pause_stops_all_and_resume_goes_on(as_user, boxes):
    name = boxes("sh", "-c", "(while :; do echo .; sleep 0.02; done) & wait")
    assert eventually(lambda: "." in ok(purple(as_user, "logs", name)))
    ok(purple(as_user, "pause", name))
    assert listed(as_user)[name]["state"] == "paused"
    before = ok(purple(as_user, "logs", name))
    time.sleep(0.3)
    after = ok(purple(as_user, "logs", name))
    assert len(after) - len(before) <= 4  # what was in the pipe
    refused(purple(as_user, "exec", name, "true"), 125, "paused", "purple resume")
    assert stats_of(as_user, name)["pids"] >= 2
    ok(purple(as_user, "resume", name))
    assert eventually(lambda: len(ok(purple(as_user, "logs", name))) > len(after) + 4)
    assert ok(purple(as_user, "exec", name, "echo", "on")) == "on\n"


def test_stop_of_a_paused_one(as_user, boxes):
    name = boxes("sh", "-c", "trap 'exit 6' TERM; echo r; while :; do sleep 0.05; done")
    assert eventually(lambda: ok(purple(as_user, "logs", name)) == "r\n")
    ok(purple(as_user, "pause", name))
    ok(purple(as_user, "stop", name))
    assert state_of(as_user, name)["exit_status"] == "6"


# ---- logs and rm ----

def test_logs_follow_to_the_end(as_user, boxes):
    name = boxes("sh", "-c", "echo one; while ! [ -e go ]; do sleep 0.05; done; echo two >&2")
    with as_user.popen([as_user.purple, "logs", "-f", name], stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"one\n"
        as_user.write("go", "")
        assert p.communicate(timeout=20)[0] == b"two\n"
        assert p.returncode == 0
    assert ok(purple(as_user, "logs", name)) == "one\ntwo\n"
    refused(purple(as_user, "logs", boxes()), 125, "no log", "--detach")


def test_rm_takes_records_only(as_user, boxes):
    name = boxes("sleep", "100")
    refused(purple(as_user, "rm", name), 125, name, "purple stop")
    assert name in listed(as_user)
    ok(purple(as_user, "rm", "-f", name, f"{name}-none"))
    assert name not in listed(as_user, "-a") and not (as_user.sandboxes / name).exists()
    refused(purple(as_user, "rm", name), 125, "no sandbox", name)


@pytest.mark.parametrize("words", [
    ["exec", "{}", "true"], ["attach", "{}"], ["stats", "{}"], ["stop", "{}"], ["kill", "{}"],
    ["pause", "{}"], ["resume", "{}"], ["wait", "{}"], ["logs", "{}"], ["rm", "{}"],
], ids=lambda words: words[0])
@pytest.mark.parametrize("name", ["none-such", "../sb", "", "a" * 300, "/etc"])
def test_a_name_that_there_is_not(as_user, words, name):
    done = purple(as_user, *[name if w == "{}" else w for w in words])
    assert done.returncode == 125
    assert done.stderr.startswith("purple: ") and done.stderr.count("purple: ") == 1
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 2


def test_the_nearest_name_is_named(as_user, boxes):
    name = boxes()
    refused(purple(as_user, "stop", f"{name}x"), 125, f"did you mean {name}?")


def test_letters_in_one_word(as_user, boxes):
    name = boxes()
    assert name in ok(purple(as_user, "ps", "-aq")).splitlines()
    refused(purple(as_user, "ps", "-ax"), 125, "no option -ax")


def test_a_value_that_is_empty(as_user):
    refused(purple(as_user, "kill", "-s", "", "none-such"), 125, "missing after -s")


def test_options_that_there_are_not(as_user):
    for command in "attach", "doctor", "exec", "stop":
        refused(purple(as_user, command, "--frob", "x"), 125, "no option --frob")


def test_options_behind_the_name(as_user):
    refused(purple(as_user, "create", "none-such", "--pids-limit", "9"), 125, "before the name")


def test_stats_of_none_is_no_table(as_user):
    done = purple(as_user, "stats", "none-such")
    assert done.returncode == 125 and done.stdout == ""


# ---- starts and ends at once ----

def test_two_creates_of_one_name(as_user, boxes):
    name = boxes()
    ok(purple(as_user, "rm", "-f", name))
    for _ in range(5):
        both = [as_user.popen([as_user.purple, "create", name], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) for _ in range(2)]
        said = [p.communicate(timeout=30) for p in both]
        assert sorted(p.returncode for p in both) == [0, 125], said
        lost = said[0 if both[0].returncode else 1]
        assert f"{name} already" in lost[1] and f"`purple rm -f {name}`" in lost[1]
        assert lost[1].count("purple: ") == 1 and not lost[0]
        assert ok(purple(as_user, "exec", name, "echo", "won")) == "won\n"
        ok(purple(as_user, "rm", "-f", name))


def test_exec_into_one_that_is_ending(as_user, boxes):
    name = boxes("sh", "-c", DEAF, options=["--kill-grace", "600"])
    assert eventually(lambda: ok(purple(as_user, "logs", name)) == "ready\n")
    with as_user.popen([as_user.purple, "stop", name]) as p:
        assert eventually(lambda: state_of(as_user, name)["state"] == "stopping")
        refused(purple(as_user, "exec", name, "true"), 125, "being stopped")
        refused(purple(as_user, "pause", name), 125, "being stopped")
        ok(purple(as_user, "kill", name))
        assert p.wait(timeout=20) == 0
    refused(purple(as_user, "exec", name, "true"), 125, name)


def test_execs_while_it_ends(as_user, boxes):
    """Each is done, or is killed with the sandbox, or is told; none waits for ever."""
    name = boxes()
    many = []
    for n in range(12):
        many.append(as_user.popen([as_user.purple, "exec", name, "echo", str(n)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        if n == 6:
            many.append(as_user.popen([as_user.purple, "kill", name], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True))
    for p in many:
        out, err = p.communicate(timeout=30)
        assert p.returncode in (0, 125, 137), (p.args, out, err)
        assert err.count("purple: ") == (1 if p.returncode == 125 else 0), (p.args, err)


# ---- clients that speak badly ----

def still_answers(runner, name):
    assert ok(purple(runner, "exec", name, "echo", "still", timeout=30)) == "still\n"
    assert listed(runner)[name]["state"] == "running"
    assert stats_of(runner, name)["name"] == name


def message(kind, value=0, payload=b""):
    return struct.pack("<IIII", MAGIC, kind, 16 + len(payload), value) + payload


def answer(s):
    """(type, text) of the next packet; (None, "") at the end."""
    for _ in range(2):
        try:
            data = s.recv(8192)
            break
        except ConnectionResetError:
            data = b""  # with unread words; what it said last comes after this
    if not data:
        return None, ""
    text = data[48:560].split(b"\0")[0].decode() if len(data) > 560 else ""
    return struct.unpack("<IIII", data[:16])[1], text


@pytest.mark.parametrize("bad", [
    b"\x50", message(STATS)[:12], os.urandom(4096), b"GET / HTTP/1.1\r\n\r\n", message(0),
    message(63), message(64), message(2 ** 32 - 1), message(STATS)[:8] + b"\xff" * 8,
], ids=["byte", "half", "random", "http", "type-0", "no-request", "answer", "type-max", "size-max"])
def test_what_is_no_message(as_user, boxes, bad):
    """One answer, and the end of the connection: also for who is silent after it."""
    name = boxes()
    s = connect(as_user, name)
    s.send(bad)
    kind, text = answer(s)
    assert kind == IS_ERROR and text
    assert answer(s) == (None, "")
    still_answers(as_user, name)


def test_a_gigabyte(as_user, boxes):
    """In one message, as what to execute, and as input that nobody asked for."""
    name = boxes()
    s = connect(as_user, name)
    with pytest.raises(OSError):
        s.send(bytes(1 << 30))
    s.close()
    s = connect(as_user, name)
    fd = os.memfd_create("block")
    os.ftruncate(fd, 1 << 30)
    socket.send_fds(s, [message(EXEC)], [fd, 0, 1, 2])
    kind, text = answer(s)
    assert kind == IS_ERROR and "read what to execute" in text
    packet = message(INPUT, payload=bytes(4096))
    for _ in range((1 << 30) // 4096):
        s.send(packet)
    s.send(message(STATS))
    assert answer(s)[0] == STATS_ARE
    os.close(fd)
    still_answers(as_user, name)


@pytest.mark.parametrize("fds", [0, 1, 3, 5, 250])
def test_another_number_of_descriptors(as_user, boxes, fds):
    name = boxes()
    held = f"/proc/{supervisor_of(as_user, name)}/fd"
    before = len(os.listdir(held))
    for _ in range(20):
        with connect(as_user, name) as s, open("/dev/null", "rb") as null:
            socket.send_fds(s, [message(EXEC)], [null.fileno()] * fds)
            kind, text = answer(s)
        assert kind == IS_ERROR and text
    still_answers(as_user, name)
    assert eventually(lambda: len(os.listdir(held)) < before + 10)


@pytest.mark.parametrize("block", [
    b"", b"x", struct.pack("<IIII", 16, 1, 0, 0), struct.pack("<IIII", 2 ** 32 - 1, 1, 0, 0),
    struct.pack("<IIII", 24, 2 ** 32 - 1, 0, 0) + b"/\0true\0\0"[:8],
    struct.pack("<IIII", 24, 1, 2 ** 32 - 1, 0) + b"/\0true\0\0"[:8],
    struct.pack("<IIII", 20, 1, 0, 0) + b"/tru",
    struct.pack("<IIII", 22, 0, 0, 0) + b"/\0tru\0",
    struct.pack("<IIII", 25, 1, 1, 0) + b"/\0true\0x\0",
], ids=["empty", "byte", "no-strings", "size", "argc", "envc", "no-nul", "no-command", "no-equals"])
def test_what_to_execute_is_rubbish(as_user, boxes, block):
    name = boxes()
    s = connect(as_user, name)
    fd = os.memfd_create("block")
    os.write(fd, block)
    with open("/dev/null", "rb") as null:
        socket.send_fds(s, [message(EXEC)], [fd, *[null.fileno()] * 3])
        kind, text = answer(s)
    os.close(fd)
    assert kind == IS_ERROR and "execute" in text
    s.send(message(STATS))
    assert answer(s)[0] == STATS_ARE
    still_answers(as_user, name)


def test_a_signal_for_a_command_that_has_just_ended(as_user, boxes):
    """It must not reach the sandbox's own command instead."""
    name = boxes("sh", "-c", "trap 'echo stray' USR1; trap 'echo meant' USR2; echo ready; "
                 "while :; do sleep 0.05; done")

    def logged(word):
        return word in ok(purple(as_user, "logs", name))
    assert eventually(lambda: logged("ready"))
    s = connect(as_user, name)
    fd = os.memfd_create("block")
    words = b"/\0true\0"
    os.write(fd, struct.pack("<IIII", 16 + len(words), 1, 0, 0) + words)
    with open("/dev/null", "rb") as null:
        socket.send_fds(s, [message(EXEC)], [fd, *[null.fileno()] * 3])
    os.close(fd)
    assert answer(s)[0] == EXITED
    s.send(message(SIGNAL, signal.SIGUSR1))
    s.send(message(STATS))
    assert answer(s)[0] == STATS_ARE
    ok(purple(as_user, "kill", "-s", "USR2", name))
    assert eventually(lambda: logged("meant"))
    assert not logged("stray")


def test_two_hundred_that_never_speak(as_user, boxes):
    """The oldest make room; who waits for something keeps its place."""
    name = boxes()
    with contextlib.ExitStack() as stack:
        waits = stack.enter_context(as_user.popen([as_user.purple, "wait", name]))
        works = stack.enter_context(as_user.popen([as_user.purple, "exec", name, "cat"],
                                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        works.stdin.write(b"x\n")
        works.stdin.flush()
        assert works.stdout.readline() == b"x\n"
        many = [stack.enter_context(connect(as_user, name)) for _ in range(200)]
        still_answers(as_user, name)
        kind, text = answer(many[0])
        assert kind == IS_ERROR and "cut off" in text
        many[-1].send(message(STATS))
        assert answer(many[-1])[0] == STATS_ARE
        assert works.communicate(b"y\n", timeout=10)[0] == b"y\n" and works.returncode == 0
        ok(purple(as_user, "kill", name))
        assert waits.wait(timeout=10) != 125


def test_one_that_never_reads(as_user, boxes):
    """Its answers pile up until it is cut off; the others are served."""
    name = boxes()
    s = connect(as_user, name)
    s.settimeout(20)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            s.send(message(STATS))
    still_answers(as_user, name)


def test_one_that_attaches_and_never_reads(as_user, boxes):
    """The command goes on, and its log is whole."""
    name = boxes("sh", "-c", "while ! [ -e go ]; do sleep 0.05; done; "
                 "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo done; sleep 100")
    s = connect(as_user, name)
    s.send(message(ATTACH))
    assert answer(s)[0] == IS_OK
    as_user.write("go", "")
    log = as_user.sandboxes / name / "log"
    assert eventually(lambda: log.read_bytes().endswith(b"done\n"), 30)
    assert log.read_bytes() == b"x" * 3000000 + b"\ndone\n"
    still_answers(as_user, name)


# ---- state that is damaged ----

RUBBISH = {"empty": b"", "cut": None, "zeros": bytes(500), "random": os.urandom(2000),
           "long": b"id=" + b"x" * 100000, "text": b"id=\nname=../..\n"}


@pytest.mark.parametrize("how", RUBBISH)
def test_the_state_of_a_live_one_is_rubbish(as_user, boxes, how):
    """It is still listed, entered, measured and stopped; its next state mends the file."""
    name = boxes()
    file = as_user.sandboxes / name / "state"
    content = RUBBISH[how] if RUBBISH[how] is not None else file.read_bytes()[:100]
    file.write_bytes(content)
    line, = [x for x in ok(purple(as_user, "ps")).splitlines() if x.startswith(f"{name} ")]
    assert "unreadable" in line
    assert ok(purple(as_user, "exec", name, "echo", "still")) == "still\n"
    assert stats_of(as_user, name)["name"] == name
    assert file.read_bytes() == content  # nobody took it for a dead one's
    ok(purple(as_user, "stop", name))
    assert state_of(as_user, name)["reason"] == "stopped"


@pytest.mark.parametrize("how", RUBBISH)
def test_the_record_of_one_that_has_ended_is_rubbish(as_user, boxes, how):
    """Nothing can be told of it: it goes, and its name is free."""
    name = boxes("true")
    ok(purple(as_user, "wait", name))
    file = as_user.sandboxes / name / "state"
    file.write_bytes(RUBBISH[how] if RUBBISH[how] is not None else file.read_bytes()[:100])
    assert purple(as_user, "stats", name).returncode == 125
    assert name not in listed(as_user, "-a")
    ok(purple(as_user, "create", name))
    still_answers(as_user, name)


@pytest.fixture
def full_disk(as_user):
    """(what to start purple by, the runtime directory) on a file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounts a small file system")
    where = pathlib.Path(as_user.base) / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=64k,mode=700,uid={as_user.uid}",
                    "none", where], check=True)
    before = []
    if as_user.uid == 0:
        before = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                  'mkdir -p /run/purple && mount --bind "$0" /run/purple && exec "$@"', where]
        runtime_dir = where
    else:
        as_user.env["XDG_RUNTIME_DIR"] = str(where)
        runtime_dir = where / "purple"
    yield lambda *words, **kw: as_user.run([*before, as_user.purple, *words], **kw), runtime_dir
    subprocess.run(["umount", where], check=True)


def fill(directory):
    """To the last byte."""
    with open(directory / "ballast", "wb", buffering=0) as file:
        with pytest.raises(OSError):
            while True:
                file.write(bytes(1024))


def test_a_disk_that_is_full_from_the_start(full_disk):
    go, runtime_dir = full_disk
    fill(runtime_dir.parent if runtime_dir.name == "purple" else runtime_dir)
    done = go("create", "new")
    refused(done, 125, "No space left")
    done = go("run", "--", "sh", "-c", "sleep 0.3; echo done")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.count("purple: ") == 1 and "runs on" in done.stderr
    assert "new" not in ok(go("ps", "-a"))


def test_a_disk_that_gets_full(full_disk):
    """The command goes on without a log, and how it ended is still written down."""
    go, runtime_dir = full_disk
    ok(go("run", "-d", "--name", "fills", "--", "sh", "-c",
          "head -c 1000000 /dev/zero; echo said; while ! [ -e go ]; do sleep 0.05; done; exit 7"))
    try:
        log = runtime_dir / "sandboxes" / "fills" / "log"
        assert eventually(lambda: log.stat().st_size > 30000)
        with contextlib.suppress(AssertionError):
            fill(runtime_dir)
        assert ok(go("exec", "fills", "echo", "still")) == "still\n"
        assert json.loads(ok(go("stats", "--json", "fills")))[0]["commands"] == 1
        ok(go("exec", "fills", "touch", "go"))
        assert go("wait", "fills").returncode == 7
        # Root's workspaces whose changes wait are listed too, whoever left them.
        ended, = (x for x in json.loads(ok(go("ps", "-a", "--json"))) if x["name"] == "fills")
        assert (ended["state"], ended["exit_status"]) == ("ended", 7)
    finally:
        ok(go("rm", "-f", "fills"))
