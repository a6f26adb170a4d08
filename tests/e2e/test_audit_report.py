# SPDX-License-Identifier: Apache-2.0
"""purple audit report, on trails that are made by hand (trail_lines.py)."""
import html.parser
import json
import os
import shutil
import struct
import zlib

import pytest

import trail_lines
from running import ok
from trail_lines import Trail, escaped

HOSTILE = b"/tmp/<script>alert(1)</script>\"'&amp;\x1b[31m\x07\xe2\x80\xaegnp.exe\xff\xc2\x9b"
VOID = {"meta", "br", "rect"}


@pytest.fixture
def trail(as_user):
    return Trail(as_user.home / "audit.jsonl", as_user.uid if os.geteuid() == 0 else None)


def report(runner, trail, *args, **kw):
    return runner.run([runner.purple, "audit", "report", "--file", trail.path, *args], **kw)


def as_json(runner, trail, *args):
    return json.loads(ok(report(runner, trail, "--format", "json", *args)))


def test_all_of_a_session(as_user, trail):
    trail_lines.session(trail, "sb-0", "other")
    trail_lines.session(trail)
    r = as_json(as_user, trail, "one")
    assert r["sandbox"]["id"] == "sb-1" and r["sandbox"]["profile"] == "coding-agent"
    assert r["sandbox"]["command"] == ["/bin/sh", "-c", "make && git push"]
    assert r["running"] is False and r["end"]["status"] == 3 and r["end"]["reason"] == "exited"
    assert [(p["depth"], p["pid"], p["path"], p.get("status")) for p in r["processes"]] == [
        (0, 4001, "/bin/sh", 3), (1, 4002, "/usr/bin/make", 0), (2, 4003, "/usr/bin/gcc", 0)]
    assert {(h["host"], h["port"], h["allowed"], h["refused"]) for h in r["hosts"]} == {
        ("github.com", 443, 1, 0), ("10.0.0.1", 22, 0, 21), ("deb.example.org", 80, 1, 0)}
    assert {(h["host"], h["allowed"], h["refused"]) for h in r["names"]} == {
        ("github.com", 1, 0), ("evil.example", 0, 1)}
    assert [(w["path"], w["count"], w["access"]) for w in r["written"]] == [
        ("/tmp/cc1.s", 1, ["create"])]
    refused = {x["type"]: x for x in r["refused"]}
    assert {t: x["count"] for t, x in refused.items()} == {
        "file.denied": 3, "dns.denied": 1, "net.denied": 21, "syscall.denied": 100000}
    assert refused["syscall.denied"]["allow"] == "syscalls: {allow: [ptrace]}"
    assert refused["syscall.denied"]["by"] == ["/usr/bin/gcc"]
    assert r["limits"][0]["limit"] == "pids_limit" and len(r["gaps"]) == 1
    assert r["downgrades"][0]["layer"] == "landlock"
    assert r["changes"][0]["rule"] == "crates.io:443"
    assert r["requests"][0]["command"] == ["ls", "-l"]
    assert r["errors"][0]["reason"] == "killed by signal 9"
    assert [(o["path"], o["bytes"]) for o in r["outputs"]] == [("/srv/out/result.csv", 1200)]
    assert r["counts"]["process.exec"] == 3 and r["trail"]["lines"] == 24
    assert sum(r["activity"]["lanes"]["refused"]) == 100025
    assert len(r["timeline"]) == 24 and r["left_out"] == {}


def test_text(as_user, trail):
    trail_lines.session(trail)
    out = ok(report(as_user, trail, "sb-1"))
    for text in ("Sandbox one (sb-1)", "exited with status 3", "1.62 s", "50.0 MiB",
                 "read /etc/shadow (ENOENT, mount) (3 times)",
                 "to allow it: filesystem: {read: [/etc/shadow]}",
                 "10.0.0.1:22  10.0.0.1  REFUSED 21", "    make  [4002, status 0]",
                 "pids_limit 64: 64 processes (2 times)", "Gaps in the trail"):
        assert text in out, text


def test_of_a_name_the_last_sandbox(as_user, trail):
    trail_lines.session(trail, "sb-1")
    trail_lines.session(trail, "sb-2")
    done = report(as_user, trail, "--format", "json", "one")
    assert done.returncode == 0 and "2 sandboxes had this name" in done.stderr
    assert json.loads(done.stdout)["sandbox"]["id"] == "sb-2"
    assert as_json(as_user, trail, "sb-1")["sandbox"]["id"] == "sb-1"


def test_one_that_runs_and_one_that_never_started(as_user, trail):
    trail.add("sandbox.created", "sb-1", "one", command=["x"], profile="p")
    trail.add("sandbox.created", "sb-2", "two", command=["x"], profile="p")
    trail.add("setup.error", "sb-2", "two", stage="rootfs", message="bind /x",
              error="ENOENT")
    assert as_json(as_user, trail, "one")["running"] is True
    assert "its end is not in the trail" in ok(report(as_user, trail, "one"))
    r = as_json(as_user, trail, "two")
    assert r["running"] is False and r["errors"][0]["stage"] == "rootfs"
    assert "bind /x" in ok(report(as_user, trail, "two", "--format", "html"))


def test_unknown_and_wrong_words(as_user, trail):
    trail_lines.session(trail)
    for args, says in ((["nobody"], "nothing of a sandbox nobody"), ([], "no sandbox is named"),
                       (["one", "--format", "pdf"], "no format pdf"),
                       (["one", "two"], "one too many"),
                       (["one", "--rules", "/nowhere.yaml"], "/nowhere.yaml"),
                       (["one", "-o", "/proc/none/x"], "/proc/none/x")):
        done = report(as_user, trail, *args)
        assert done.returncode == 125 and says in done.stderr, (args, done.stderr)
        assert done.stdout == ""
    assert "No such file" not in report(as_user, trail, "nobody").stderr


def test_what_no_single_line_allows(as_user, trail):
    trail.add("sandbox.created", "sb-1", "one", command=["x"], profile="p")
    trail.add("syscall.denied", "sb-1", "one", pid=9, path="/bin/x", syscall="mount",
              error="EPERM", layer="seccomp", advice="two lines: a and <b>")
    trail.add("sandbox.ended", "sb-1", "one", status=0, reason="exited", duration_ms=5)
    out = ok(report(as_user, trail, "one"))
    assert "system call mount" in out and \
        "      two lines: a and <b>\n" in out
    assert "used       5 ms\n" in out  # where nobody measures processors, no figure
    assert json.loads(ok(report(as_user, trail, "one", "--json")))["refused"][0]["advice"] == \
        "two lines: a and <b>"
    html = ok(report(as_user, trail, "one", "--format", "html"))
    assert "two lines: a and &lt;b&gt;" in html


def test_damaged_lines_are_said(as_user, trail):
    trail_lines.session(trail)
    trail.raw(b"rubbish\n")
    done = report(as_user, trail, "one")
    assert done.returncode == 1 and done.stderr.count("damaged") == 1
    assert "1 of the trail are damaged" in done.stdout
    done = report(as_user, trail, "one", "--format", "html")
    assert done.returncode == 1 and "damaged or missing" in done.stdout


def test_processes_are_a_tree(as_user, trail):
    def execute(pid, ppid, name, **kw):
        trail.add("process.exec", pid=pid, ppid=ppid, path=f"/bin/{name}", argv=[name], **kw)

    execute(10, 1, "a")
    execute(11, 10, "b")
    execute(12, 11, "c")
    execute(13, 10, "d")
    execute(11, 10, "b2")  # the same process becomes another program
    execute(14, 11, "e")
    trail.add("process.exit", pid=13, ppid=10, path="/bin/d", signal=9)
    execute(13, 12, "f")  # the number again
    execute(15, 99, "orphan")
    execute(16, 10, "missing", error="ENOENT")
    for n in range(200):  # deeper than anybody reads
        execute(1000 + n, 999 + n if n else 10, f"deep{n}")
    r = as_json(as_user, trail, "one")
    rows = [(p["depth"], p["argv"][0]) for p in r["processes"]]
    assert rows[:9] == [(0, "a"), (1, "b"), (2, "c"), (3, "f"), (2, "b2"), (3, "e"), (1, "d"),
                        (1, "missing"), (1, "deep0")]
    assert len(rows) == 209 and (0, "orphan") in rows
    assert {name for _, name in rows} >= {f"deep{n}" for n in range(200)}
    assert max(depth for depth, _ in rows) < 64
    ok(report(as_user, trail, "one", "--format", "html"))


def test_more_than_anybody_reads(as_user, trail):
    lines = []
    for n in range(12000):
        lines.append(trail.text("file.write", pid=1, path=f"/tmp/{n}", access="create")[1])
        lines.append(trail.text("process.exec", pid=n + 2, ppid=1, path="/bin/x")[1])
    trail.raw("\n".join(lines).encode() + b"\n")
    r = as_json(as_user, trail, "one")
    assert len(r["written"]) == 5000 and r["left_out"]["written"] == 7000
    assert r["left_out"]["processes"] == 7000 and r["counts"]["file.write"] == 12000
    page = ok(report(as_user, trail, "one", "--format", "html"))
    assert len(page) < 4 << 20 and "which only the trail has" in page


class Page(html.parser.HTMLParser):
    """What a browser would take from it: elements, attributes, text; tags must match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], set(), [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, *a) for a in attrs]
        if tag not in VOID - {"rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def hostile_trail(trail):
    trail_lines.session(trail)
    path = escaped(HOSTILE)
    long = escaped(bytes(1 + i % 255 for i in range(4095)))
    for text in (path, long, "/tmp/\u05e9\u05dc\u05d5\u05dd", "\x1b[2J\u202e<img src=x>"):
        trail.add("file.write", pid=4001, path=text, access="create")
        trail.add("file.denied", pid=4001, path=text, access="read", error="EACCES", layer=text,
                  allow=text)
        trail.add("process.exec", pid=4005, ppid=4001, path=text, argv=[text], cwd=text)
        trail.add("net.denied", host=text, address=text, port=1, proto=text, reason=text,
                  allow=text)
        trail.add("setup.error", stage=text, message=text, error=text)
        trail.add("intent", text=text, expect=[f"host:{text}"], uid=1, pid=1)
        trail.add("quantum.leap", **{"<b>": text})
    return path, long


def test_html_is_inert(as_user, trail):
    path, long = hostile_trail(trail)
    text = ok(report(as_user, trail, "one", "--format", "html"))
    page = Page(text)
    assert page.tags <= {
        "html", "bdi", "head", "meta", "title", "style", "body", "main", "header", "p", "h1", "h2", "h3",
        "span", "div", "code", "dl", "dt", "dd", "ul", "li", "a", "b", "section", "svg", "rect",
        "small", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "time",
        "footer"}
    for _, name, value in page.attributes:
        assert not name.startswith("on") and name not in ("src", "srcset", "action"), name
        if name == "href":
            assert value.startswith("#")
        if name == "style":
            assert value.startswith("--d:") and value[4:].isdigit()
    policy = [v for t, n, v in page.attributes if t == "meta" and v and "default-src" in v]
    assert policy and "default-src 'none'" in policy[0]
    assert "url(" not in text and "@import" not in text
    assert all(c == "\n" or c.isprintable() or c == "\u202f" for c in text)
    seen = "".join(page.text)
    assert path in seen and long in seen and "/tmp/\u05e9\u05dc\u05d5\u05dd" in seen
    out = ok(report(as_user, trail, "one"))
    assert all(c == "\n" or c.isprintable() for c in out)
    as_json(as_user, trail, "one")


def test_output_file(as_user, trail):
    trail_lines.session(trail)
    path = as_user.home / "report.html"
    assert ok(report(as_user, trail, "one", "--format", "html", "-o", path)) == ""
    assert path.read_text().endswith("</html>\n") and path.stat().st_mode & 0o777 == 0o600


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def browser(directory, page, *args, **kw):
    import subprocess
    profile = directory / "profile"
    profile.mkdir(exist_ok=True)
    return subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}", *args,
         f"file://{page}"], capture_output=True, check=True, timeout=120, **kw).stdout


def pixels(path):
    """The rows of an RGB or RGBA PNG without interlacing, unfiltered."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        at += 12 + size
        if kind == b"IHDR":
            width, _, depth, colour, _, _, _ = struct.unpack(">IIBBBBB", body)
        if kind == b"IDAT":
            packed += body
    assert depth == 8 and colour in (2, 6)
    channels = 3 if colour == 2 else 4
    raw, before, rows = zlib.decompress(packed), bytearray(width * channels), []
    for start in range(0, len(raw), width * channels + 1):
        kind, row = raw[start], bytearray(raw[start + 1:start + 1 + width * channels])
        for i, _ in enumerate(row):
            left = row[i - channels] if i >= channels else 0
            corner = before[i - channels] if i >= channels else 0
            guess = left + before[i] - corner
            paeth = min((left, before[i], corner), key=lambda v: abs(guess - v))
            row[i] = (row[i] + (0, left, before[i], (left + before[i]) // 2, paeth)[kind]) & 255
        rows.append(bytes(row))
        before = row
    return rows, channels


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_a_browser_shows_it(as_user, trail, tmp_path):
    path, _ = hostile_trail(trail)
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    page.write_text(ok(report(as_user, trail, "one", "--format", "html")))
    seen = Page(browser(tmp_path, page, "--dump-dom").decode())
    assert "script" not in seen.tags and "img" not in seen.tags
    assert path in "".join(seen.text) and "Written outside the workspace" in seen.text
    browser(tmp_path, page, f"--screenshot={picture}", "--hide-scrollbars",
            "--window-size=600,900")
    rows, channels = pixels(picture)
    assert len(rows) >= 800
    # Text on nearly every second row, and a margin on both sides: nothing runs out of the page.
    written = [row for row in rows if len(set(row[::channels])) > 1]
    assert len(written) > len(rows) / 3
    for row in rows:
        assert row[:channels] == row[-channels:] == rows[0][:channels]
