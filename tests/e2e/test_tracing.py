# SPDX-License-Identifier: Apache-2.0
"""Traces: what a collector gets, what the command is told, and a collector that is no good."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import time

import pytest

from collector import attributes, collector, raw, reply
from running import alive, children_of, descendants, eventually, ok, run, start
from test_exec import box, end, purple  # noqa: F401


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = f"00-{TRACE}-{PARENT}-01"
ERROR, INTERNAL = 2, 1  # enum StatusCode, enum SpanKind
JAIL = ["namespaces", "ids", "mounts", "network namespace", "root", "lock-down"]
LONG = 40  # s: what takes as long on a busy machine has failed


def traced(runner, c, *command, options=(), wait=LONG, **kw):
    return run(runner, *command, options=[f"--trace-endpoint={c.url}", f"--trace-wait={wait}",
                                          *options], **kw)


def with_env(runner, **variables):
    return {"env": {**runner.env, **variables}}


def check_tree(c, *roots):
    """One trace; every span but @roots has its parent in it, and lies within it in time."""
    assert not c.faults, c.faults
    by_id = {span.span_id: span for span in c.spans}
    assert len(by_id) == len(c.spans)
    for span in c.spans:
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano, span
        if span.span_id in [root.span_id for root in roots]:
            continue
        parent = by_id[span.parent_span_id]
        assert parent.trace_id == span.trace_id
        assert parent.start_time_unix_nano <= span.start_time_unix_nano, (parent, span)
        assert span.end_time_unix_nano <= parent.end_time_unix_nano, (parent, span)


def children(c, parent):
    return [s.name for s in sorted((s for s in c.spans if s.parent_span_id == parent.span_id),
                                   key=lambda s: s.start_time_unix_nano)]


@contextlib.contextmanager
def orphans():
    """What outlives its parent becomes our child: {pid}, of purple-otlp."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER

    def find():
        found = set()
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == "purple-otlp\n":
                    found.add(pid)
        return {pid for pid in found if alive(pid)}
    try:
        yield find
    finally:
        assert eventually(lambda: not find(), LONG), "purple-otlp has not ended"
        libc.prctl(36, 0, 0, 0, 0)
        for pid in children_of(os.getpid()):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == "purple-otlp\n":
                    os.waitpid(pid, 0)


def test_tree(as_user):
    with collector() as c:
        done = traced(as_user, c, "sh", "-c", "echo $TRACEPARENT", "a b", "\x1b[31m\xff",
                      options=["--report=fd:2"])
        said = json.loads(done.stderr)
        assert done.returncode == 0
        assert said["spans_exported"] == len(c.spans) and said["spans_dropped"] == 0
        root, command, jail = c.one("purple run"), c.one("command"), c.one("jail")
        check_tree(c, root)
        assert children(c, root) == ["plan", "prepare", "jail", "command"]
        assert children(c, jail) == JAIL
        assert not root.parent_span_id and root.kind == INTERNAL
        assert said["traceparent"].split("-")[1:3] == [root.trace_id.hex(), root.span_id.hex()]
        assert done.stdout == f"00-{root.trace_id.hex()}-{command.span_id.hex()}-03\n"
        assert attributes(root)["purple.sandbox.id"] == said["id"]
        assert attributes(root)["process.exit.code"] == 0
        assert attributes(root)["purple.profile"] == said["profile"]
        assert attributes(c.one("plan"))["purple.plan.origin"] == "compiled"
        assert attributes(command)["process.executable.name"] == "sh"
        assert attributes(command)["process.command_args"][:4] == [
            "sh", "-c", "echo $TRACEPARENT", "a b"]
        assert all(not span.HasField("status") or span.status.code == 0 for span in c.spans)
        assert c.resources[0] == {
            "service.name": "purple", "service.version": "0.1.0",
            "service.instance.id": said["id"], "purple.sandbox.id": said["id"],
            "purple.sandbox.name": said["name"], "purple.profile": said["profile"]}
        c.spans.clear()
        ok(traced(as_user, c, "true"))
        assert attributes(c.one("plan"))["purple.plan.origin"] == "cached"


def test_network_is_prepared(as_user):
    with collector() as c:
        ok(traced(as_user, c, "true",
                  options=["--isolated=false", "--allow-net=127.0.0.1:9"]))
        check_tree(c, c.one("purple run"))
        assert children(c, c.one("prepare")) == ["network"]


def test_arguments_of_any_bytes(as_user):
    with collector() as c:
        words = [bytes(range(1, 256)), b"\xe2\x80\xae\xff" * 2000, b"x" * 100000]
        ok(traced(as_user, c, "true", *map(os.fsdecode, words)))
        told = attributes(c.one("command"))["process.command_args"]
        assert told[1].startswith("\\x01\\x02")
        assert all(" " <= char and char != "\x7f" for word in told for char in word)
        assert sum(map(len, told)) < 20000


def test_the_caller_is_the_parent(as_user):
    with collector() as c:
        done = traced(as_user, c, "sh", "-c", "echo $TRACEPARENT $TRACESTATE",
                      **with_env(as_user, TRACEPARENT=CALLER, TRACESTATE="rojo=1,congo=2"))
        root, command = c.one("purple run"), c.one("command")
        check_tree(c, root)
        assert root.trace_id.hex() == TRACE and root.parent_span_id.hex() == PARENT
        assert root.flags == 0x301 and command.flags == 0x101  # W3C's, "has is_remote", "is"
        assert {span.trace_state for span in c.spans} == {"rojo=1,congo=2"}
        assert ok(done) == f"00-{TRACE}-{command.span_id.hex()}-01 rojo=1,congo=2\n"


@pytest.mark.parametrize("parent", [
    "", "00", CALLER.upper(), CALLER + "-", CALLER[:-1], f"ff-{TRACE}-{PARENT}-01",
    f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", CALLER + "\n", "x" * 10000],
    ids=lambda text: ascii(text[:60]))
def test_a_malformed_parent_is_none(as_user, parent):
    with collector() as c:
        done = traced(as_user, c, "sh", "-c", "echo $TRACEPARENT $TRACESTATE",
                      **with_env(as_user, TRACEPARENT=parent, TRACESTATE="rojo=1"))
        root = c.one("purple run")
        assert not root.parent_span_id and not root.trace_state
        assert root.trace_id.hex() != TRACE
        assert re.fullmatch(rf"00-{root.trace_id.hex()}-[0-9a-f]{{16}}-03\n", ok(done))


def test_a_malformed_state_is_none(as_user):
    with collector() as c:
        done = traced(as_user, c, "sh", "-c", "echo [$TRACESTATE]",
                      **with_env(as_user, TRACEPARENT=CALLER, TRACESTATE="rojo=1,rojo=2"))
        assert ok(done) == "[]\n"
        assert c.one("purple run").parent_span_id.hex() == PARENT


def test_who_does_not_sample_is_followed(as_user):
    with collector() as c, orphans() as left:
        done = traced(as_user, c, "sh", "-c", "echo $TRACEPARENT",
                      **with_env(as_user, TRACEPARENT=CALLER[:-1] + "0"))
        assert re.fullmatch(rf"00-{TRACE}-(?!{PARENT})[0-9a-f]{{16}}-00\n", ok(done))
        assert not left() and c.requests == 0


def test_the_policy_s_environment_wins(as_user):
    with collector() as c:
        done = traced(as_user, c, "sh", "-c", "echo $TRACEPARENT", options=["--env=TRACEPARENT=x"],
                      **with_env(as_user, TRACEPARENT=CALLER))
        assert ok(done) == "x\n"
        assert c.one("purple run").parent_span_id.hex() == PARENT


def test_without_a_policy_that_says_so_nothing_is_traced(as_user):
    with collector() as c, orphans() as left:
        variables = {"TRACEPARENT": CALLER, "OTEL_EXPORTER_OTLP_ENDPOINT": c.url}
        done = run(as_user, "sh", "-c", "env | grep -c -e TRACE -e OTEL",
                   **with_env(as_user, **variables))
        assert done.stdout == "0\n"
        done = run(as_user, "true", options=["--trace-endpoint=" + c.url, "--trace=false"],
                   **with_env(as_user, **variables))
        ok(done)
        assert not left() and c.requests == 0


def test_the_caller_s_variables(as_user):
    variables = {"OTEL_SERVICE_NAME": "my agent", "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b,x-2=c",
                 "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test%21,service.name=no,"
                                             "purple.profile=forged,bad,=x"}
    with collector() as c:
        options = ["--trace", f"--trace-wait={LONG}"]
        ok(run(as_user, "true", options=options,
               **with_env(as_user, OTEL_EXPORTER_OTLP_ENDPOINT=c.url + "/", **variables)))
        assert c.resources[0]["service.name"] == "my agent"
        assert c.resources[0]["deployment.environment"] == "test!"
        assert c.resources[0]["purple.profile"] == "default"
        assert c.headers[0]["x-key"] == "a b" and c.headers[0]["x-2"] == "c"
        ok(run(as_user, "true", options=options,
               **with_env(as_user, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=c.url + "/v1/traces",
                          OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")))
        assert len(c.named("purple run")) == 2
        # An endpoint of the policy's is no leave for them, and theirs is no way around it.
        ok(traced(as_user, c, "true", **with_env(
            as_user, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **variables)))
        assert c.resources[-1]["service.name"] == "purple" and "x-key" not in c.headers[-1]


def test_a_proxy_of_the_environment_is_not_used(as_user):
    with collector() as c:
        ok(traced(as_user, c, "true", **with_env(
            as_user, http_proxy="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9")))
        assert c.one("purple run")


@pytest.mark.parametrize("script, status, words", [
    ("exit 3", 3, "exit status 3"), ("kill -9 $$", 137, "signal 9"),
    ("sleep 100", 124, "timeout")])
def test_how_it_ended(as_user, script, status, words):
    with collector() as c:
        done = traced(as_user, c, "sh", "-c", script,
                      options=["--timeout=1"] if status == 124 else [])
        assert done.returncode == status
        for name in ("command", "purple run"):
            span = c.one(name)
            assert span.status.code == ERROR and words in span.status.message
        assert attributes(c.one("purple run"))["process.exit.code"] == status
        check_tree(c, c.one("purple run"))


def test_a_start_that_fails(as_user):
    with collector() as c:
        assert traced(as_user, c, "/no/such/thing").returncode == 127
        root = c.one("purple run")
        assert root.status.code == ERROR and "/no/such/thing: No such file" in root.status.message
        assert attributes(root)["error.type"] == "exec"
        c.spans.clear()
        # Here nothing is ever released.
        done = traced(as_user, c, "true", options=["--workdir=/no/where"])
        assert done.returncode == 125
        assert "/no/where" in c.one("purple run").status.message
        check_tree(c, c.one("purple run"))


def test_refusals_are_events(as_user):
    with collector() as c:
        names = "".join(f"getent hosts name{i}.invalid; " for i in range(100))
        traced(as_user, c, "sh", "-c", names + "exit 0",
               options=["--isolated=false", "--allow-net=127.0.0.1:9"])
        root = c.one("purple run")
        events = [e for e in root.events if e.name == "dns.denied"]
        hosts = {attributes(e)["purple.host"] for e in events}
        assert "name0.invalid" in hosts and len(root.events) <= 64
        for event in events:
            assert root.start_time_unix_nano <= event.time_unix_nano <= root.end_time_unix_nano


def test_exec(as_user):
    name = f"trace-{os.getpid()}-{as_user.name}"
    with collector() as c:
        try:
            ok(purple(as_user, "create", f"--trace-endpoint={c.url}", f"--trace-wait={LONG}", name,
                      **with_env(as_user, TRACEPARENT=CALLER)))
            told = ok(purple(as_user, "exec", name, "--", "sh", "-c", "echo $TRACEPARENT"))
            other = f"00-{'12' * 16}-{'34' * 8}-01"
            own = ok(purple(as_user, "exec", "-e", f"TRACEPARENT={other}", name, "--", "sh", "-c",
                            "echo $TRACEPARENT"))
            assert purple(as_user, "exec", name, "--", "sh", "-c", "exit 4").returncode == 4
            assert purple(as_user, "exec", name, "--", "/no/such").returncode == 127
            # They come while it lives.
            assert eventually(lambda: len(c.named("purple exec")) == 4, LONG)
            assert eventually(lambda: c.named("jail"), LONG)
        finally:
            end(as_user, name)
        assert eventually(lambda: c.named("purple create"), LONG)
        root = c.one("purple create")
        by_trace = [s for s in c.named("purple exec") if s.trace_id == root.trace_id]
        assert len(by_trace) == 3
        assert {s.parent_span_id for s in by_trace} == {root.span_id}
        assert f"00-{TRACE}-{by_trace[0].span_id.hex()}-01\n" == told
        stranger = next(s for s in c.named("purple exec") if s.trace_id != root.trace_id)
        assert stranger.trace_id.hex() == "12" * 16 and stranger.parent_span_id.hex() == "34" * 8
        assert own == f"00-{'12' * 16}-{stranger.span_id.hex()}-01\n"
        assert [s.status.message for s in by_trace] == [
            "", "exit status 4", "/no/such"]
        assert attributes(by_trace[1])["process.command_args"] == ["sh", "-c", "exit 4"]
        check_tree(c, root, stranger)
        assert "command" not in {s.name for s in c.spans}


def lost(runner):
    found = re.search(r'purple_trace_spans_total\{result="dropped"\} (\d+)',
                      ok(purple(runner, "metrics")))
    return int(found[1]) if found else 0


def unused_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_nobody_listens(as_user, session_runtime, box):  # the sandbox keeps the totals
    with orphans() as left:
        before = lost(as_user)
        options = [f"--trace-endpoint=http://127.0.0.1:{unused_port()}"]
        done = run(as_user, "true", options=options)
        assert ok(done) == "" and done.stderr == ""
        # Behind its back it is tried again, and given up, and counted.
        assert eventually(lambda: not left(), LONG)
        assert eventually(lambda: lost(as_user) >= before + 11, LONG)
        done = run(as_user, "true", options=[*options, f"--trace-wait={LONG}"])
        assert done.returncode == 0
        assert re.search(r"purple: tracing: (\d+) of \1 spans were lost: .*connect", done.stderr)


def hang(handler):
    handler.server.RequestHandlerClass  # a request is there; no answer to it is
    handler.connection.settimeout(60)
    with contextlib.suppress(OSError):
        handler.connection.recv(1)


def test_a_collector_that_hangs(as_user):
    with collector() as c, orphans() as left:
        c.always = hang
        began = time.monotonic()
        done = traced(as_user, c, "true", wait=0)
        assert ok(done) == "" and done.stderr == ""
        assert eventually(left, LONG) or c.requests  # it goes on without the run …
        assert eventually(lambda: not left(), LONG)  # … and ends
        assert time.monotonic() - began < LONG
        done = traced(as_user, c, "true", wait=1)
        assert done.returncode == 0 and "were not delivered in time" in done.stderr


def test_it_is_confined(as_user):
    with collector() as c, orphans() as left:
        c.always = hang
        ok(traced(as_user, c, "true", wait=0))
        assert eventually(lambda: c.requests == 1, LONG)
        pid, = left()
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2"
        assert all(int(facts[f"Cap{s}"], 16) == 0 for s in ("Inh", "Prm", "Eff", "Amb"))
        assert facts["Uid"].split()[0] == ("65534" if as_user.uid == 0 else str(as_user.uid))
        assert os.getsid(pid) == pid
        if os.geteuid() == 0:
            where = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            assert where["0"] == where["1"] == where["2"] == "/dev/null"
            assert all(x.startswith(("/dev/null", "socket:", "anon_inode:")) or ".totals" in x
                       for x in where.values()), where


def test_a_collector_that_is_busy(as_user):
    with collector(reply(503, Retry_After="1"), reply(429)) as c:
        done = traced(as_user, c, "true")
        assert ok(done) == "" and done.stderr == "" and c.requests == 3
        assert c.one("purple run")


@pytest.mark.parametrize("answer, words", [
    (reply(400), "status 400"), (reply(307, Location="http://127.0.0.1:9/"), "status 307"),
    (reply(503, Retry_After="86400"), "status 503"), (reply(200, b"x" * 100000), "too long"),
    (raw(b"\x00\xff no http at all\r\n\r\n"), ""), (raw(b""), ""),
    (reply(200, b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"a\\u001b[31m\\nb"}}'),
     "2 of ")], ids=["400", "307", "503", "long", "no http", "nothing", "partial"])
def test_answers_that_lose_spans(as_user, answer, words):
    with collector() as c:
        c.always = answer
        done = traced(as_user, c, "true")
        assert done.returncode == 0
        assert re.search(r"^purple: tracing: \d+ of \d+ spans were lost: ", done.stderr)
        assert words in done.stderr and "\x1b" not in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("body", [
    b"", b"\xff\x00garbage", b"[]", b'{"partialSuccess":{}}', b'{"partialSuccess":7}',
    b'{"partialSuccess":{"rejectedSpans":-5}}', b'{"partialSuccess":{"rejectedSpans":"x"}}',
    b"[" * 60000], ids=range(8))
def test_answers_that_say_nothing(as_user, body):
    with collector(reply(200, body)) as c:
        done = traced(as_user, c, "true")
        assert ok(done) == "" and done.stderr == ""
        assert c.requests == 1


def test_a_killed_supervisor(as_user):
    with collector() as c, orphans() as left:
        with start(as_user, "sleep", "100", options=[f"--trace-endpoint={c.url}"]) as sandbox:
            assert eventually(lambda: c.named("jail"), LONG)
            sandbox.kill()
        assert eventually(lambda: not left(), LONG)


def test_a_killed_exporter(as_user):
    """Another takes its place; what the first had not sent is lost, and said."""
    with collector() as c, orphans() as left:
        with start(as_user, "sh", "-c", "read x", stdin=subprocess.PIPE,
                   options=[f"--trace-endpoint={c.url}", f"--trace-wait={LONG}"]) as sandbox:
            assert eventually(lambda: c.named("jail") and left(), LONG)
            for pid in left():
                os.kill(pid, 9)
            sandbox.communicate(b"\n", timeout=LONG)
            assert sandbox.returncode == 0


@pytest.mark.parametrize("trusted", [True, False])
def test_https(as_user, tmp_path, trusted):
    cert, key = tmp_path / "cert", tmp_path / "key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    own = as_user.write("cert.pem", cert.read_text())
    trust = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(own)} if trusted else {}
    with collector(tls=context) as c:
        done = traced(as_user, c, "true", options=["--trace"], **with_env(as_user, **trust))
        assert done.returncode == 0
        if trusted:
            assert done.stderr == "" and c.one("purple run")
        else:
            assert "certificate" in done.stderr and c.requests == 0


@pytest.mark.parametrize("text", ["127.0.0.1:4318", "ftp://h", "http://u:p@h", "http://h?x",
                                  "http://h:0", "http://h/\t"])
def test_a_bad_endpoint_is_refused(as_user, text):
    done = run(as_user, "true", options=[f"--trace-endpoint={text}"])
    assert done.returncode == 125 and "tracing.endpoint" in done.stderr


@pytest.mark.not_sanitized("strace and the runtime's own calls")
def test_a_supervisor_that_is_held_up(as_user):
    """purple-otlp waits for nothing: what it is to do is there before it is."""
    slow = ["strace", "-qq", "-o", "/dev/null", "-e", "inject=sendto:delay_enter=500000"]
    with collector() as c:
        done = as_user.run([*slow, as_user.purple, "run", f"--trace-endpoint={c.url}",
                            f"--trace-wait={LONG}", "--", "/bin/true"])
        assert done.returncode == 0 and not done.stderr, done.stderr
        c.one("purple run")


def calls_of_launcher(runner, log, options, **kw):
    """Names of its system calls, up to where it waits for the sandbox."""
    done = runner.run(["strace", "-qq", "-o", log, runner.purple, "run", *options, "--",
                       "/bin/true"], **kw)
    assert done.returncode == 0, done.stderr
    names = [line.split("(", 1)[0] for line in log.read_text().splitlines()]
    return names[:names.index("ppoll")]


@pytest.mark.not_sanitized("its runtime has calls of its own, and leaks are not looked for")
def test_what_it_costs_to_start(as_user, record_property):
    """Off: not one system call, whatever the caller's variables say. On: a few; no program."""
    log = as_user.write("strace", "")
    with collector() as c:
        on = [f"--trace-endpoint={c.url}"]
        for options in ((), on):
            ok(run(as_user, "/bin/true", options=options))  # the plan is in the cache
        variables = with_env(as_user, TRACEPARENT=CALLER, OTEL_EXPORTER_OTLP_ENDPOINT=c.url)
        off = sorted(calls_of_launcher(as_user, log, (), **with_env(
            as_user, XRACEPARENT=CALLER, XTEL_EXPORTER_OTLP_ENDPOINT=c.url)))
        assert sorted(calls_of_launcher(as_user, log, (), **variables)) == off
        traced_calls = calls_of_launcher(as_user, log, on, **variables)
    more = list(traced_calls)
    for name in off:
        with contextlib.suppress(ValueError):
            more.remove(name)
    record_property("measured", f"{len(off)} calls of the launcher without, {len(more)} more with")
    # 9, and two where a lock is somebody else's for a moment.
    assert len(more) <= 12 and not {"connect", "execve", "clone", "vfork"} & set(more), more
