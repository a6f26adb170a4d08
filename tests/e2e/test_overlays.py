# SPDX-License-Identifier: Apache-2.0
"""filesystem.overlays: directories beside the workspace in review or scratch."""
import itertools
import json
import os
import pathlib

import pytest

from running import needs_root, ok, refused, run, shell
from test_workspace import fingerprint

pytestmark = pytest.mark.usefixtures("as_user")
serial = itertools.count()

EDIT = """
    set -e
    echo 2 > {data}/file
    echo new > {data}/sub/new
    rm {data}/gone
    cat {data}/file {data}/sub/new
    test ! -e {data}/gone
"""


def make(as_user, name):
    top = as_user.base / name
    for path in (top, top / "sub"):
        path.mkdir(mode=0o755)
    (top / "file").write_text("1\n")
    (top / "gone").write_text("gone\n")
    for path in (top, *top.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, as_user.uid, as_user.uid)
    return top


@pytest.fixture(name="data")
def fixture_data(as_user):
    """A directory of the user's beside the workspace."""
    return make(as_user, "data")


@pytest.fixture(name="name")
def fixture_name(as_user):
    names = []

    def name():
        names.append(f"lay-{as_user.name}-{os.getpid()}-{next(serial)}")
        return names[-1]

    yield name
    for one in names:
        as_user.run([as_user.purple, "discard", one])


def stores(runner, name):
    top = (pathlib.Path("/var/lib/purple") if runner.uid == 0
           else runner.home / ".local/state/purple") / "workspaces"
    return sorted(p.name for p in top.iterdir() if p.name.split(":")[0] == name) \
        if top.exists() else []


def purple(runner, *words):
    return runner.run([runner.purple, *words])


@pytest.mark.parametrize("mode", ["review", "scratch"])
def test_the_host_is_untouched(as_user, data, name, mode):
    before, box = fingerprint(data), name()
    done = shell(as_user, EDIT.format(data=data),
                 options=["--name", box, "--overlay", f"{data}:{mode}"])
    assert ok(done) == "2\nnew\n"
    assert fingerprint(data) == before
    if mode == "scratch":
        assert done.stderr == "" and not stores(as_user, box)
    else:
        assert f"3 changes wait: purple diff {box}," in done.stderr
        assert stores(as_user, box) == [f"{box}:1"]


def test_diff_apply_and_discard_mean_all_of_it(as_user, data, name):
    other = make(as_user, "other")
    box = name()
    as_user.write("mine", "1\n")
    options = ["--name", box, "--workspace=review", "--overlay", f"{data}:review",
               "--overlay", f"{other}:review"]
    done = shell(as_user, EDIT.format(data=data) + "echo 2 > mine; echo 3 > " + str(other / "file"),
                 options=options)
    ok(done)
    assert "5 changes wait" in done.stderr
    assert stores(as_user, box) == [box, f"{box}:1", f"{box}:2"]
    shown = purple(as_user, "diff", box)
    assert shown.returncode == 1 and shown.stderr == ""
    headings = [x for x in shown.stdout.splitlines() if x.startswith("# ")]
    assert headings == [f"# {data} ({box}:1)", f"# {other} ({box}:2)"]
    assert shown.stdout.index("a/mine") < shown.stdout.index(headings[0])
    objects = decode_all(purple(as_user, "diff", box, "--json").stdout)
    assert [(o["sandbox"], o["workspace"], len(o["changes"])) for o in objects] == [
        (box, str(as_user.workspace), 1), (f"{box}:1", str(data), 3), (f"{box}:2", str(other), 1)]
    # One of them, or the one that lies here.
    assert purple(as_user, "diff", f"{box}:2", "--name-only").stdout == "file\n"
    here = as_user.run([as_user.purple, "diff", "--name-only"], cwd=data / "sub")
    assert here.stdout.splitlines() == ["file", "gone", "sub/new"] and here.stderr == ""
    raw = purple(as_user, "diff", "--raw", box)
    assert str(data) not in raw.stdout and f"purple diff {box}:1" in raw.stderr
    # Applied one by one, and all that is left.
    ok(purple(as_user, "apply", f"{box}:2"))
    assert (other / "file").read_text() == "3\n" and (data / "file").read_text() == "1\n"
    text = ok(purple(as_user, "apply", box))
    assert f"{data} ({box}:1)" in text
    assert (data / "file").read_text() == "2\n" and (data / "sub/new").read_text() == "new\n"
    assert not (data / "gone").exists() and (as_user.workspace / "mine").read_text() == "2\n"
    assert not stores(as_user, box)
    assert (data / "sub/new").stat().st_uid == as_user.uid


def decode_all(text):
    """JSON objects, one after the other."""
    found, decoder = [], json.JSONDecoder()
    text = text.strip()
    while text:
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:].strip()
    return found


def test_where_only_an_overlay_has_changes(as_user, data, name):
    box = name()
    ok(shell(as_user, f"echo 2 > {data}/file", options=["--name", box, "--overlay",
                                                       f"{data}:review"]))
    assert f"# {data} ({box}:1)" in purple(as_user, "diff", box).stdout
    waits = json.loads(ok(purple(as_user, "ps", "-a", "--json")))
    assert any(x["name"].split(":")[0] == box and x["changes_wait"] for x in waits)
    refused(shell(as_user, "true", options=["--name", box, "--overlay", f"{data}:review"]),
            125, "wait for review", "purple discard")
    ok(purple(as_user, "discard", box))
    assert not stores(as_user, box) and (data / "file").read_text() == "1\n"
    refused(purple(as_user, "discard", box), 125, "no sandbox")


def test_without_a_name(as_user, data):
    done = shell(as_user, f"echo 2 > {data}/file", options=["--overlay", f"{data}:review"])
    ok(done)
    box = done.stderr.split("purple diff ")[1].split(",")[0]
    assert "+2" in purple(as_user, "diff", box).stdout
    ok(purple(as_user, "discard", box))
    assert not stores(as_user, box)


def test_nothing_changed_leaves_nothing(as_user, data, name):
    box = name()
    done = shell(as_user, f"cat {data}/file", options=["--name", box, "--workspace=review",
                                                      "--overlay", f"{data}:review"])
    assert ok(done) == "1\n" and done.stderr == "" and not stores(as_user, box)


def test_in_a_policy(as_user, data, name):
    policy = as_user.home / "p.yaml"
    policy.write_text(f"name: x\nextends: default\nfilesystem:\n  overlays:\n"
                      f"    - {{path: {data}, mode: scratch}}\n")
    done = shell(as_user, EDIT.format(data=data), options=["-p", policy])
    assert ok(done) == "2\nnew\n" and (data / "file").read_text() == "1\n"
    plan = json.loads(ok(purple(as_user, "plan", "-p", policy, "--json")))
    mount, = [m for m in plan["mounts"] if m["kind"] == "overlay"]
    assert mount["target"] == str(data) and "discard" in mount["flags"]
    for text, word in (("{path: /srv}", "mode is missing"), ("{mode: review}", "path is missing"),
                       ("{path: /srv, mode: direct}", "review or scratch"), ("/srv", "a map with"),
                       ("{path: srv, mode: review}", "absolute"), ("{path: ./x, mode: review}",
                                                                  "filesystem.workspace")):
        policy.write_text(f"name: x\nfilesystem:\n  overlays:\n    - {text}\n")
        done = run(as_user, "true", options=["-p", policy])
        assert done.returncode == 125 and f"p.yaml:4:" in done.stderr and word in done.stderr, done


def test_the_limit_is_for_all(as_user, data, name):
    box = name()
    done = shell(as_user, f"head -c 6000000 /dev/zero > a; head -c 6000000 /dev/zero > {data}/a; "
                 "sleep 60", options=["--name", box, "--workspace=review", "--workspace-size=10M",
                                      "--overlay", f"{data}:review"])
    assert done.returncode != 0 and "changed more in the workspace than it may" in done.stderr
    assert stores(as_user, box) == [box, f"{box}:1"]


@pytest.mark.parametrize("options, words", [
    (["{data}/file:review"], ["is a file"]),
    (["/no/such:review"], ["/no/such"]),
    (["{data}:review", "{data}:scratch"], ["twice"]),
    (["{data}:review", "{data}/sub:review"], ["lies in"]),
    (["{work}:review"], ["would cover"]),
    (["{data}"], ["PATH:review or PATH:scratch"]),
    (["{data}:direct"], ["PATH:review or PATH:scratch"]),
    (["{base}/link:review"], ["link"]),
    (["/proc:review"], ["/proc"]),
    (["/dev:scratch"], ["/dev"]),
])
def test_bad_input(as_user, data, options, words):
    (as_user.base / "link").symlink_to(data)
    words_of = [w for o in options for w in
                ("--overlay", o.format(data=data, work=as_user.workspace, base=as_user.base))]
    done = run(as_user, "true", options=words_of)
    assert done.returncode == 125 and done.stdout == ""
    for word in words:
        assert word in done.stderr, done.stderr


def test_a_workspace_in_one(as_user, data):
    done = run(as_user, "true", options=["-w", data / "sub", "--overlay", f"{data}:review"])
    refused(done, 125, f"{data}/sub lies in {data}")


def test_what_gives_it_otherwise_is_refused(as_user, data):
    for option in (["--rw", f"{data}:/given"], ["--rw", f"{data}/sub"], ["--ro", f"{data}/sub"]):
        done = run(as_user, "true", options=["--overlay", f"{data}:review", *option])
        assert done.returncode == 125 and "filesystem.overlays" in done.stderr, done.stderr


def test_too_many(as_user, data):
    options = []
    for i in range(9):
        as_user.run(["mkdir", data / str(i)])
        options += ["--overlay", f"{data}/{i}:scratch"]
    done = run(as_user, "true", options=options)
    assert done.returncode == 125 and "more than 8" in done.stderr
    done = shell(as_user, f"for i in 0 1 2 3 4 5 6 7; do echo x > {data}/$i/f; done; "
                 f"cat {data}/*/f | wc -l", options=options[:16])
    assert ok(done).strip() == "8" and not list(data.glob("*/f"))


@pytest.mark.parametrize("mode", ["review", "scratch"])
def test_what_is_hidden_is_hidden_there_too(as_user, data, name, mode):
    (data / "sub" / ".env").write_text("secret\n")
    if os.geteuid() == 0:
        os.chown(data / "sub" / ".env", as_user.uid, as_user.uid)
    box = name()
    done = shell(as_user, f"cat {data}/sub/.env; echo x > {data}/file",
                 options=["--name", box, "--overlay", f"{data}:{mode}", "--hide", "**/.env"])
    assert done.stdout == "" and "ermission denied" in done.stderr
    assert (data / "sub" / ".env").read_text() == "secret\n"
    if mode == "review":
        names = as_user.run([as_user.purple, "diff", box, "--json"]).stdout
        assert [c["path"] for c in json.loads(names)["changes"]] == ["file"]


@needs_root
@pytest.mark.parametrize("options", [["--workspace=review"], ["--workspace=scratch"],
                                     ["--workspace=review", "--detach"],
                                     ["--workspace=none", "--overlay", "{work}:review"]])
def test_a_mount_below_is_named(as_user, options):
    """As it would not be seen inside, that is refused; who reads it knows which one it is."""
    as_user.write("sub/a b/file", "x\n")
    words = [o.format(work=as_user.workspace) for o in options]
    script = f"mount -t tmpfs none 'sub/a b' && exec setpriv --reuid {as_user.uid} " \
             f"--regid {as_user.uid} --clear-groups \"$@\""
    done = as_user.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
                        as_user.purple, "run", *words, "--", "cat", "sub/a b/file"],
                       user=0, group=0)
    refused(done, 125, f"{as_user.workspace}/sub/a b is mounted below", "unmount it")
