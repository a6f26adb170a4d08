# SPDX-License-Identifier: Apache-2.0
"""What is told of changes that wait: the report, the trail, ps, diff without a name, the advice."""
import itertools
import json
import os
import pathlib

import pytest

from running import ok, refused, shell, start
from trail_reader import Trail

pytestmark = pytest.mark.usefixtures("as_user")
serial = itertools.count()

EDITS = """
    set -e
    echo 2 > a
    rm gone
    mkdir -p new/deep && echo x > new/deep/file
    chmod 600 mode
    rm old && mkdir old
"""
COUNTS = {"added": 3, "modified": 3, "deleted": 1}


def stores(runner):
    return (pathlib.Path("/var/lib/purple") if runner.uid == 0
            else runner.home / ".local/state/purple") / "workspaces"


@pytest.fixture(name="review")
def fixture_review(as_user):
    """Run a script in review; the name of what is left, which goes at the end."""
    names = []
    for name in ("a", "gone", "mode", "old"):
        as_user.write(name, f"{name}\n")

    def review(script, *options):
        name = f"told-{as_user.name}-{os.getpid()}-{next(serial)}"
        names.append(name)
        ok(shell(as_user, script, options=["--workspace=review", "--name", name, *options]))
        return name

    yield review
    for name in names:
        as_user.run([as_user.purple, "discard", name])


def listed(runner, *words):
    done = runner.run([runner.purple, "ps", "--json", *words])
    return {x["name"]: x for x in json.loads(ok(done))}


def test_the_report_counts_by_kind(as_user, review):
    report = as_user.home / "report.json"
    name = review(EDITS, "--report", report)
    assert json.loads(report.read_text())["changes"] == {"store": name, **COUNTS}
    review("true", "--report", report)
    assert "changes" not in json.loads(report.read_text())


def test_the_trail_and_its_account_count_them(as_user, review):
    trail = Trail(as_user)
    name = review(EDITS, *trail.options())
    ended, = trail.of("sandbox.ended")
    assert {k: ended[f"changes_{k}"] for k in COUNTS} == COUNTS
    audit = [as_user.purple, "audit", "report", "--file", trail.path, name]
    assert "3 files added, 3 modified, 1 deleted" in ok(as_user.run(audit))
    end = json.loads(ok(as_user.run([*audit, "--format", "json"])))["end"]
    assert {k: end[f"changes_{k}"] for k in COUNTS} == COUNTS
    html = ok(as_user.run([*audit, "--format", "html"]))
    assert "3 files added, 3 modified, 1 deleted" in html
    ok(shell(as_user, "true", options=trail.options()))
    assert "changes_added" not in trail.of("sandbox.ended")[-1]


def test_ps_marks_what_waits(as_user, review):
    name = review("echo 2 > a")
    assert name not in listed(as_user)
    one = listed(as_user, "-a")[name]
    assert one["changes_wait"] is True and one["workspace"] == str(as_user.workspace)
    line, = [x for x in ok(as_user.run([as_user.purple, "ps", "-a"])).splitlines()
             if x.startswith(f"{name} ")]
    assert "changes wait" in line
    assert name in ok(as_user.run([as_user.purple, "ps", "-a", "-q"])).split()
    ok(as_user.run([as_user.purple, "discard", name]))
    assert not listed(as_user, "-a").get(name, {}).get("changes_wait")


def test_of_one_that_lives_nothing_waits_yet(as_user, review):
    name = review("true")
    p = start(as_user, "sh", "-c", "echo 2 > a; echo ready; read x",
              options=["--workspace=review", "--name", name], stdin=-1)
    with p:
        assert p.stdout.readline() == b"ready\n"
        assert listed(as_user)[name]["changes_wait"] is False
        p.stdin.close()
        p.wait(30)
    assert listed(as_user, "-a")[name]["changes_wait"] is True


def test_a_store_that_was_being_made_is_swept(as_user, review):
    review("echo 2 > a")
    half = stores(as_user) / f"half-{as_user.name}-{os.getpid()}"
    ok(as_user.run(["mkdir", "-m", "700", "-p", half, half / "layers/1"]))
    ok(as_user.run([as_user.purple, "ps"]))
    assert not half.exists()


def test_diff_lists_those_of_this_directory(as_user, review):
    names = [review("echo 2 > a"), review("echo 3 > a")]
    text = refused(as_user.run([as_user.purple, "diff"]), 125, "2 sandboxes", *names)
    assert "purple diff " in text and "purple discard " in text


def test_diff_elsewhere_names_those_that_wait(as_user, review):
    if as_user.uid == 0:
        pytest.skip("root's state directory is everybody's")
    name = review("echo 2 > a")
    refused(as_user.run([as_user.purple, "diff"], cwd=as_user.home), 125, "no changes", name,
            "purple diff NAME")


def test_the_advice_does_not_take_the_review_away(as_user):
    """What is refused in a workspace that may be written is not refused by its mode."""
    as_user.write("sub/file", "x\n")
    options = ["--workspace=review", "--set", "denials.file=/run/denials/told", "--ro", "./sub"]
    done = shell(as_user, "echo 2 > sub/file; cat /run/denials/told", options=options)
    told = [json.loads(x) for x in done.stdout.splitlines()]
    mine, = [x for x in told if x["what"].endswith("/sub/file")]
    assert not mine["allow"] and "the workspace may be written" in mine["why"]
    assert "workspace: direct" not in done.stderr
