# SPDX-License-Identifier: Apache-2.0
"""purple audit show and purple events, on trails that are made by hand (trail_lines.py)."""
import json
import os
import selectors
import signal
import time

import pytest

import trail_lines
from running import eventually, ok
from trail_lines import Trail

HOSTILE = "\x1b[31mred\x07 \u202egnp.exe \u2028<script>alert(1)</script> \x9b5n \\x41 \"q\" \xff"


@pytest.fixture
def trail(as_user):
    path = as_user.home / "audit.jsonl"
    return Trail(path, as_user.uid if os.geteuid() == 0 else None)


def show(runner, trail, *args, **kw):
    return runner.run([runner.purple, "audit", "show", "--file", trail.path, *args], **kw)


def shown(runner, trail, *args):
    return [json.loads(x) for x in
            ok(show(runner, trail, "--format", "json", *args)).splitlines()]


def test_json_is_the_lines_as_they_are(as_user, trail):
    trail_lines.session(trail)
    written = [json.loads(x) for x in trail.path.read_text().splitlines()]
    assert shown(as_user, trail) == written
    assert ok(show(as_user, trail, "--format", "json")) == trail.path.read_text()


def test_text_says_what_happened(as_user, trail):
    trail_lines.session(trail)
    out = ok(show(as_user, trail))
    assert "2026-11-18T11:06:40.010Z one info sandbox.created: created under coding-agent: " \
        "/bin/sh -c 'make && git push'\n" in out
    assert "executed /usr/bin/gcc: gcc -c 'a b.c'\n" in out
    assert "refused: read /etc/shadow (ENOENT, mount) (3 times)\n" \
        "    to allow it: filesystem: {read: [/etc/shadow]}\n" in out
    assert "audit.gap: lines are missing (2): the disk was full\n" in out
    assert "\x1b" not in out


def test_a_sandbox_that_is_not_there(as_user, trail):
    trail_lines.session(trail)
    for args in (["nobody"], ["--sandbox", "nobody", "--tail", "3"]):
        done = show(as_user, trail, *args)
        assert done.returncode == 125 and done.stdout == "", done
        assert "says nothing of a sandbox nobody" in done.stderr
    done = show(as_user, trail, "one", "--type", "layer.downgraded", "--grep", "nothing has this")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_home(as_user):
    for command in (["audit", "show"], ["events"], ["audit", "verify"], ["audit", "sign"], ["why"]):
        done = as_user.run(["env", "-u", "HOME", "-u", "XDG_STATE_HOME", "-u", "XDG_CONFIG_HOME",
                            as_user.purple, *command])
        if as_user.uid:
            assert done.returncode == 125 and "there is no home" in done.stderr, done
            assert "set HOME" in done.stderr


def test_json_by_either_word(as_user, trail):
    trail_lines.session(trail)
    assert ok(show(as_user, trail, "--json")) == ok(show(as_user, trail, "--format", "json"))


def test_filters(as_user, trail):
    trail_lines.session(trail)
    trail_lines.session(trail, "sb-2", "two")
    both = shown(as_user, trail)
    assert {x["sandbox"] for x in both} == {"sb-1", "sb-2"}
    for args in (["sb-2"], ["two"], ["--sandbox", "two"], ["--sandbox=sb-2"]):
        found = shown(as_user, trail, *args)
        assert found == [x for x in both if x["sandbox"] == "sb-2"]
    found = shown(as_user, trail, "--type", "net.*,*.denied")
    assert found == [x for x in both if x["type"].startswith("net.")
                     or x["type"].endswith(".denied")]
    found = shown(as_user, trail, "--severity", "warning")
    assert found == [x for x in both if x["severity"] in ("warning", "error")]
    assert shown(as_user, trail, "--grep", "a b.c", "one") == [
        x for x in both if x["sandbox"] == "sb-1" and x["type"] == "process.exec"
        and x["argv"][0] == "gcc"]
    assert {x["type"] for x in shown(as_user, trail, "--grep", "blocked_ips")} == {"net.denied"}
    assert shown(as_user, trail, "--tail", "3") == both[-3:]
    assert shown(as_user, trail, "--tail", "3", "one") == \
        [x for x in both if x["name"] == "one"][-3:]
    middle = both[20]["time"]
    assert shown(as_user, trail, "--since", middle) == both[20:]
    assert shown(as_user, trail, "--until", middle) == both[:21]
    assert shown(as_user, trail, "--since", "2026-11-18") == both
    assert shown(as_user, trail, "--until", "2026-11-18") == []
    assert shown(as_user, trail, "--since", "2026-11-18T12:06:40.010+01:00") == both


def test_times_ago(as_user, trail):
    trail.time = time.time_ns() - 3600 * 10**9
    old = trail.add("sandbox.started", pid=1)
    trail.time = time.time_ns() - 60 * 10**9
    new = trail.add("sandbox.started", pid=2)
    assert shown(as_user, trail, "--since", "10m") == [new]
    assert shown(as_user, trail, "--since", "2h ago") == [old, new]
    assert shown(as_user, trail, "--until", "30m") == [old]


@pytest.mark.parametrize("args, says", [
    (["--type", "file.denyed"], "did you mean file.denied?"),
    (["--since", "yesterday"], "yesterday is no time"),
    (["--until", "2026-13-01T00:00:00Z"], "is no time"),
    (["--until", "2026-02-31T00:00:00Z"], "is no time"),
    (["--severity", "fatal"], "no severity fatal"),
    (["--format", "xml"], "no format xml"),
    (["--tail", "0"], "--tail"),
    (["--tail", "many"], "--tail"),
    (["--frobnicate"], "no option --frobnicate"),
    (["-f"], "no option -f"),
    (["one", "--sandbox", "two"], "two sandboxes"),
])
def test_wrong_words_are_named(as_user, trail, args, says):
    done = show(as_user, trail, *args)
    assert done.returncode == 125 and done.stdout == "" and says in done.stderr, done.stderr


def test_no_trail(as_user):
    done = as_user.run([as_user.purple, "audit", "show", "--file", as_user.home / "none"])
    assert done.returncode == 125 and "No such file" in done.stderr and "--audit" in done.stderr
    done = as_user.run([as_user.purple, "audit", "show", "--file", as_user.home])
    assert done.returncode == 125
    done = as_user.run([as_user.purple, "audit", "show", "--file", "/dev/zero"])
    assert done.returncode == 125


def test_hostile_text_stays_text(as_user, trail):
    name = trail_lines.escaped(HOSTILE.encode()[:-2] + b"\xff")
    long = trail_lines.escaped(bytes([1 + i % 255 for i in range(4095)]))
    trail.add("file.write", pid=1, path=name, access="write")
    trail.add("file.write", pid=1, path=long, access="write")
    # What no Purple writes, but a trail of somebody else's may have.
    trail.add("file.write", pid=1, path="\x1b]0;owned\x07\u202e", access="\n\r\x00"[:2])
    for args in ((), ("--format", "ocsf"), ("--format", "json")):
        out = ok(show(as_user, trail, *args))
        if "json" not in args and "ocsf" not in args:
            assert len(out.splitlines()) == 3
            assert all(c == "\n" or c.isprintable() for c in out), ascii(out)
            assert long in out and name in out
        for char in "\x1b\x07\x9b\r":
            assert char not in out


def test_a_damaged_line_is_named_and_skipped(as_user, trail):
    trail.add("sandbox.started", pid=1)
    good = trail.text("sandbox.started", pid=2)[1]
    bad = ["{", "[1,2]", "", "\x00\x00", good[:-1], good.replace("seq", "sex"),
           good.replace('"pid":2', '"pid":"2"'), good.replace('"pid":2', '"pid":-2'),
           good.replace("Z", ""), good.replace('"info"', '"fine"'),
           good.replace('"pid":2', '"pid":2,"pid":3'), good.replace("started", "started\xff"),
           "[" * 100000, '{"a":"' + "b" * 200000 + '"}']
    for text in bad:
        trail.raw(text.encode("latin-1") + b"\n")
    last = trail.add("sandbox.ended", status=0, reason="exited")
    done = show(as_user, trail, "--format", "json")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert json.loads(done.stdout.splitlines()[-1]) == last
    for number in range(2, 2 + len(bad)):
        assert f"audit.jsonl:{number}: " in done.stderr


def test_cut_off_and_missing_lines_are_named(as_user, trail):
    trail.add("sandbox.started", pid=1)
    trail.text("sandbox.started", pid=2)
    trail.add("sandbox.started", pid=3)
    done = show(as_user, trail)
    assert done.returncode == 1 and "1 lines before this one are missing" in done.stderr
    trail = Trail(as_user.home / "other.jsonl")
    trail.add("sandbox.started", pid=1)
    with open(trail.path, "ab") as file:
        file.write(b'{"seq":2,"ti')
    if os.geteuid() == 0:
        os.chown(trail.path, as_user.uid, -1)
        os.chown(f"{trail.path}.head", as_user.uid, -1)
    # The head does not count it: it is being written.
    assert len(ok(show(as_user, trail)).splitlines()) == 1
    os.unlink(f"{trail.path}.head")
    done = show(as_user, trail)
    assert done.returncode == 1 and "other.jsonl:2: cut off" in done.stderr


def test_a_thousand_bad_lines_are_not_a_thousand_messages(as_user, trail):
    trail.raw(b"rubbish\n" * 1000)
    done = show(as_user, trail)
    assert done.returncode == 1 and 20 <= len(done.stderr.splitlines()) <= 23


def test_rotated_files_come_in_order(as_user, trail):
    written = []
    for number in range(12):
        written.append(trail.add("sandbox.started", pid=number))
        written.append(trail.rotate())
    (as_user.home / "audit.jsonl.x").write_text("no")
    (as_user.home / "audit.jsonl.01").write_text("no")
    (as_user.home / "audit.jsonl.1.sig").write_text("no")
    assert shown(as_user, trail) == written


def test_of_a_later_purple(as_user, trail):
    trail.add("quantum.leap", far="yes", times=3, prev2=["a", "b"])
    assert "quantum.leap: far=yes times=3 prev2=a b" in ok(show(as_user, trail))
    event = json.loads(ok(show(as_user, trail, "--format", "ocsf")))
    assert event["class_uid"] == 0 and event["unmapped"]["far"] == "yes"


def test_a_reader_that_goes_away(as_user, trail):
    for _ in range(3000):
        trail.raw(trail.text("sandbox.started", pid=1)[1].encode() + b"\n")
    done = as_user.run(["sh", "-c", f"'{as_user.purple}' audit show --file {trail.path} | head -1; "
                                    "exit 0"])
    assert len(done.stdout.splitlines()) == 1 and done.stderr == ""


# The attributes that OCSF 1.5.0 requires: schema.ocsf.io, events/*.json and objects/*.json of
# github.com/ocsf/ocsf-schema at 1.5.0; a tuple: at least one of them.
BASE = ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"]
REQUIRED = {
    0: [],
    1001: ["actor", "device", "file"],
    1007: ["actor", "device", "process"],
    1008: ["actor", "device", ("log_file", "log_name", "log_provider", "log_type_id")],
    2004: ["finding_info"],
    4001: [("dst_endpoint", "src_endpoint")],
    4002: [("dst_endpoint", "src_endpoint"), ("http_request", "http_response")],
    4003: [("dst_endpoint", "src_endpoint")],
    6002: ["app"],
    6003: ["actor", "api", "src_endpoint"],
}
ACTIVITIES = {
    0: {99}, 1001: {*range(15), 99}, 1007: {0, 1, 2, 3, 4, 5, 99}, 1008: {*range(11), 99},
    2004: {0, 1, 2, 3, 99}, 4001: {*range(8), 99}, 4002: {*range(9), 99}, 4003: {0, 1, 2, 6, 99},
    6002: {*range(9), 99}, 6003: {0, 1, 2, 3, 4, 99},
}
ENDPOINT = [("ip", "uid", "name", "hostname", "svc_name")]
OBJECTS = {
    "metadata": ["product", "version"], "product": [("name", "uid")], "device": ["type_id"],
    "actor": [("process", "user", "session")], "process": [("pid", "uid")],
    "parent_process": [("pid", "uid")], "file": ["name", "type_id"], "query": ["hostname"],
    "finding_info": ["uid"], "app": [("name", "uid")], "api": ["operation"], "user": [("uid",)],
    "url": [("url_string", "path")], "src_endpoint": ENDPOINT, "dst_endpoint": ENDPOINT,
    "connection_info": ["direction_id"],
}


def lacks(thing, required, where):
    for need in required:
        if not any(n in thing for n in ([need] if isinstance(need, str) else need)):
            yield f"{where} lacks {need}"


def faults_of(event):
    yield from lacks(event, BASE + REQUIRED[event["class_uid"]], "event")
    if event["activity_id"] not in ACTIVITIES[event["class_uid"]]:
        yield f"no activity {event['activity_id']} of {event['class_uid']}"
    if event["category_uid"] != event["class_uid"] // 1000:
        yield "category"
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        yield "type_uid"
    if event["severity_id"] not in range(1, 7) or not isinstance(event["time"], int):
        yield "severity_id, time"
    todo = [event]
    while todo:
        for key, value in todo.pop().items():
            if isinstance(value, dict) and key != "unmapped":
                yield from lacks(value, OBJECTS.get(key, []), key)
                todo.append(value)


def test_ocsf(as_user, trail):
    trail_lines.session(trail)
    trail.add("setup.error", stage="rootfs", message="bind /x", error="ENOENT")
    trail.add("file.open", pid=1, path="/etc/hosts", access="read")
    trail.add("intent", text="build it", expect=["host:example.org"], uid=1000, pid=3)
    trail.add("audit.opened", file="audit.jsonl.1", reason="rotated")
    lines = shown(as_user, trail)
    assert {x["type"] for x in lines} == trail_lines.ALL_TYPES
    events = [json.loads(x) for x in ok(show(as_user, trail, "--format", "ocsf")).splitlines()]
    assert len(events) == len(lines)
    for line, event in zip(lines, events):
        assert not list(faults_of(event)), (line, event)
        assert event["metadata"]["event_code"] == line["type"]
        assert event["metadata"]["sequence"] == line["seq"]
        assert event["metadata"]["version"] == "1.5.0"
        denied = line["type"].endswith(".denied") or line["type"] == "limit.reached"
        assert (event.get("action_id") == 2) == denied
        assert (event.get("disposition_id") == 2) == denied
    by_type = {x["metadata"]["event_code"]: x for x in events}
    gcc = next(x for x in events if x["class_uid"] == 1007 and x["activity_id"] == 1
               and x["process"]["name"] == "gcc")
    assert gcc["process"]["cmd_line"] == "gcc -c 'a b.c'" and gcc["process"]["pid"] == 4003
    assert gcc["process"]["parent_process"]["pid"] == gcc["actor"]["process"]["pid"] == 4002
    assert by_type["net.denied"]["dst_endpoint"]["port"] == 22
    assert by_type["net.denied"]["count"] == 21
    assert by_type["api.call"]["http_request"]["url"]["url_string"] == \
        "http://deb.example.org:80/pool/a?b=c"
    assert by_type["file.denied"]["unmapped"]["allow"] == "filesystem: {read: [/etc/shadow]}"


# --- purple events -f

class Follower:
    """`purple events -f` and the lines that it has printed."""

    def __init__(self, runner, trail, *args):
        self.process = runner.popen([runner.purple, "events", "-f", "--format", "json",
                                     "--file", trail.path, *args], stdout=-1, stderr=-1)
        self.text = b""
        self.selector = selectors.DefaultSelector()
        os.set_blocking(self.process.stdout.fileno(), False)

    def lines(self):
        self.text += self.process.stdout.read() or b""
        return [json.loads(x) for x in self.text.split(b"\n")[:-1]]

    def expects(self, lines):
        assert eventually(lambda: self.lines() == lines, 20), (self.lines(), lines)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def waits(follower):
    """It has read all that there is, and waits in poll(2)."""
    def asleep():
        try:
            with open(f"/proc/{follower.process.pid}/syscall", encoding="ascii") as file:
                return file.read().split()[0] in ("7", "271")
        except OSError:
            return False
    assert eventually(asleep, 20)


def test_follow_prints_what_comes(as_user, trail):
    trail.add("sandbox.started", pid=1)
    with Follower(as_user, trail) as f:
        waits(f)
        new = [trail.add("sandbox.started", pid=2)]
        f.expects(new)
        _, text = trail.text("sandbox.started", pid=3)
        trail.raw(text[:50].encode())
        new.append(trail_lines.json.loads(text))
        trail.raw(text[50:].encode() + b"\n")
        f.expects(new)
        for number in range(5):
            new.append(trail.add("sandbox.started", pid=number))
            new.append(trail.rotate())
            new.append(trail.add("sandbox.started", pid=number))
        f.expects(new)
        f.process.send_signal(signal.SIGINT)
        assert f.process.wait(10) == -signal.SIGINT


def test_follow_ends_with_the_sandbox(as_user, trail):
    old = trail.add("sandbox.started", "sb-7", "seven", pid=1)
    trail.add("sandbox.started", "sb-8", "eight", pid=1)
    with Follower(as_user, trail, "seven") as f:
        f.expects([old])
        trail.add("sandbox.ended", "sb-8", "eight", status=0, reason="exited")
        end = trail.add("sandbox.ended", "sb-7", "seven", status=0, reason="exited")
        assert f.process.wait(20) == 0
        f.expects([old, end])


def test_follow_waits_for_the_first_trail(as_user, trail):
    path, later = trail.path, as_user.home / "later.jsonl"
    trail.path = later
    with Follower(as_user, trail, "--tail", "5") as f:
        waits(f)
        trail.path = path
        first = trail.add("sandbox.started", pid=1)
        os.rename(path, later)
        f.expects([first])


def test_follow_survives_a_cut(as_user, trail):
    first = trail.add("sandbox.started", pid=1)
    with Follower(as_user, trail, "--since", "2000-01-01") as f:
        f.expects([first])
        trail.raw(b'{"seq":2,"half')
        waits(f)
        os.truncate(trail.path, trail.size - 14)
        trail.size -= 14
        f.expects([first, trail.add("sandbox.started", pid=2)])


def test_events_without_follow(as_user, trail):
    trail_lines.session(trail)
    done = as_user.run([as_user.purple, "events", "--file", trail.path])
    assert ok(done) == ok(show(as_user, trail))


@pytest.mark.parametrize("argv", [["audit", "--help"], ["audit", "show", "--help"],
                                  ["events", "--help"], ["help", "events"]])
def test_help(as_user, argv):
    out = ok(as_user.run([as_user.purple, *argv]))
    assert out.startswith("usage: purple ") and all(len(x) <= 100 for x in out.splitlines())
