# SPDX-License-Identifier: Apache-2.0
"""What purple audit tells of sandboxes that really ran."""
import json

import pytest

from running import ok, run
from test_audit_report import Page
from test_audit_show import faults_of
from trail_lines import escaped

SCRIPT = """
ls / >/dev/null
(sh -c 'cat /etc/hostname; exit 4')
echo x >/var/tmp/outside
echo x >inside
echo x >/usr/refused
mount -t tmpfs none /mnt
exit 7
"""


def session(runner):
    trail = runner.home / "audit.jsonl"
    done = run(runner, "sh", "-c", SCRIPT, options=("--audit", "--audit-log", trail))
    assert done.returncode == 7, done.stderr
    lines = [json.loads(x) for x in trail.read_text().splitlines()]
    return trail, next(x["sandbox"] for x in lines if x["type"] == "sandbox.created"), lines


def test_the_report_of_a_run(as_user):
    trail, name, lines = session(as_user)

    def report(form):
        return ok(as_user.run([as_user.purple, "audit", "report", "--file", trail, "--format", form,
                               name]))

    r = json.loads(report("json"))
    assert r["end"]["status"] == 7 and not r["running"] and r["left_out"] == {}
    assert r["sandbox"]["command"] == ["sh", "-c", escaped(SCRIPT)]
    tree = [(p["depth"], p["path"].rpartition("/")[2], p["argv"][0], p["status"])
            for p in r["processes"] if "error" not in p]
    assert tree[0] == (0, "sh", "sh", 7) or tree[0][1] in ("dash", "bash"), tree
    assert [(depth, argv, status) for depth, _, argv, status in tree] == [
        (0, "sh", 7), (1, "ls", 0), (1, "sh", 4), (2, "cat", tree[3][3]), (1, "mount", tree[4][3])]
    assert [x["path"] for x in r["written"]] == ["/var/tmp/outside"]
    refused = {(x["type"], x.get("path") if x["type"] == "file.denied" else x.get("syscall"))
               for x in r["refused"]}
    assert ("file.denied", "/usr/refused") in refused
    assert r["trail"]["lines"] == len([x for x in lines if x["sandbox"] == name])
    text = report("text")
    assert "exited with status 7" in text and "/usr/refused" in text
    seen = "".join(Page(report("html")).text)
    assert "/var/tmp/outside" in seen and "exited with status 7" in seen


def test_every_real_line_is_shown_and_mapped(as_user):
    trail, name, lines = session(as_user)
    show = [as_user.purple, "audit", "show", "--file", trail, "--format"]
    assert [json.loads(x) for x in ok(as_user.run([*show, "json"])).splitlines()] == lines
    events = [json.loads(x) for x in ok(as_user.run([*show, "ocsf"])).splitlines()]
    assert len(events) == len(lines)
    for line, event in zip(lines, events):
        assert not list(faults_of(event)), (line, event)
    denied = [x for x in events if x.get("action_id") == 2]
    assert {x["metadata"]["event_code"] for x in denied} >= {"file.denied"}
    text = ok(as_user.run([*show, "text", "--type", "process.*", name])).splitlines()
    assert len(text) == len([x for x in lines if x["type"].startswith("process.")])


def test_ones_own_trail_is_found(as_user):
    """Without --file and --audit-log both mean the same."""
    if as_user.uid == 0:
        pytest.skip("root's own trail is the machine's")
    done = run(as_user, "true", options=("--audit",))
    assert done.returncode == 0, done.stderr
    out = ok(as_user.run([as_user.purple, "audit", "show", "--type", "sandbox.ended"]))
    assert len(out.splitlines()) == 1 and "status 0" in out
