# SPDX-License-Identifier: Apache-2.0
"""filesystem.output_paths: boxes that are written only, and collected when the sandbox ends."""
import json
import os
import stat

import pytest

from running import ok, refused, run, shell
from trail_reader import Trail

pytestmark = pytest.mark.usefixtures("as_user")


@pytest.fixture(name="results")
def fixture_results(as_user):
    path = as_user.base / "results"
    path.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(path, as_user.uid, as_user.uid)
    return path


def into(results, *more):
    return ["--output", f"{results}:/out", *more]


def tree(top):
    return {str(p.relative_to(top)): p.read_text() for p in top.rglob("*") if p.is_file()}


def reported(runner, results, script, *more):
    report = runner.home / "report.json"
    done = shell(runner, script, options=into(results, "--report", report, *more))
    return done, json.loads(report.read_text())


def test_results_are_collected(as_user, results):
    done, report = reported(as_user, results, """
        set -e
        echo one > /out/one
        mkdir -p /out/a/b
        printf two > /out/a/b/two
        echo x > /out/tmp && mv /out/tmp /out/three
        printf '#!/bin/sh\\n' > /out/run && chmod 755 /out/run
        echo hidden > /out/a/hidden && chmod 000 /out/a/hidden && chmod 000 /out/a/b
        touch -d 2020-01-01T00:00:00Z /out/one
    """)
    assert ok(done) == "" and done.stderr == ""
    found = tree(results)
    hidden = found.pop("a/hidden", None) if os.geteuid() == 0 else None
    assert found == {"one": "one\n", "a/b/two": "two", "three": "x\n", "run": "#!/bin/sh\n"}
    assert os.geteuid() != 0 or hidden == "hidden\n"
    assert stat.S_IMODE((results / "run").stat().st_mode) == 0o755
    assert (results / "one").stat().st_mtime == 1577836800
    for path in results.rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (as_user.uid, as_user.uid)
    assert {(x["path"], x["bytes"]) for x in report["outputs"]} == {
        (f"{results}/{n}", b) for n, b in (("one", 4), ("a/b/two", 3), ("three", 2), ("run", 10),
                                           ("a/hidden", 7))}
    assert report["outputs_lost"] == 0 and not any("error" in x for x in report["outputs"])


def test_nothing_of_the_host_is_overwritten(as_user, results):
    (results / "taken").write_text("old\n")
    (results / "link").symlink_to("/nowhere")
    (results / "dir").symlink_to("/tmp")
    done, report = reported(as_user, results, """
        echo new > /out/taken; echo new > /out/link; mkdir /out/dir; echo new > /out/dir/x
    """)
    ok(done)
    sandbox = report["id"]
    assert (results / "taken").read_text() == "old\n"
    assert (results / f"taken.{sandbox}").read_text() == "new\n"
    assert (results / "link").is_symlink() and (results / "dir").is_symlink()
    assert (results / f"link.{sandbox}").read_text() == "new\n"
    assert (results / f"dir.{sandbox}" / "x").read_text() == "new\n"
    assert not any(n.name.startswith(".purple") for n in results.iterdir())
    # The second time there is a directory to go on in.
    ok(shell(as_user, f"mkdir /out/dir.{sandbox}; echo 2 > /out/dir.{sandbox}/y",
             options=into(results)))
    assert (results / f"dir.{sandbox}" / "y").read_text() == "2\n"


def test_what_is_in_it_cannot_be_read(as_user, results):
    (results / "secret").write_text("secret\n")
    done = shell(as_user, """
        echo x > /out/x
        cat /out/x && echo readable
        ls /out && echo listable
        cat /out/secret && echo secret
        exit 0
    """, options=into(results))
    assert ok(done) == ""


def test_what_is_lost_is_told(as_user, results):
    """More than the box may hold, by hard links, is not collected, and no file in part."""
    done, report = reported(as_user, results, """
        head -c 600000 /dev/zero > /out/a
        for i in 1 2 3 4 5 6 7 8; do ln /out/a /out/a$i; done
        truncate -s 1T /out/sparse
    """, "--output-size=1M")
    assert done.returncode == 0
    assert "purple: outputs: " in done.stderr and "could not be collected" in done.stderr
    errors = {x["path"].rsplit("/", 1)[1]: x.get("error") for x in report["outputs"]}
    assert len(errors) == 10 and sorted(errors.values(), key=str).count("EFBIG") == 9
    assert report["outputs_lost"] == 9
    assert [p.stat().st_size for p in results.iterdir()] == [600000]


def test_holes_stay_holes(as_user, results):
    ok(shell(as_user, "truncate -s 64M /out/s; printf x | dd of=/out/s bs=1 seek=9000000 "
             "conv=notrunc 2>/dev/null", options=into(results)))
    st = (results / "s").stat()
    assert st.st_size == 64 << 20 and st.st_blocks * 512 < 1 << 20
    with open(results / "s", "rb") as f:
        assert f.seek(9000000) and f.read(2) == b"x\0"


def test_the_trail_and_its_account_list_them(as_user, results):
    trail = Trail(as_user)
    ok(shell(as_user, "echo one > /out/one; mkdir /out/d; echo 2 > /out/d/two",
             options=into(results, *trail.options())))
    found = {e["path"]: e["bytes"] for e in trail.of("output.collected")}
    assert found == {f"{results}/one": 4, f"{results}/d/two": 2}
    sandbox = trail.of("sandbox.ended")[0]["sandbox"]
    audit = [as_user.purple, "audit", "report", "--file", trail.path, sandbox]
    text = ok(as_user.run(audit))
    assert "Collected results" in text and f"{results}/d/two" in text
    account = json.loads(ok(as_user.run([*audit, "--format", "json"])))
    assert {o["path"] for o in account["outputs"]} == set(found)


def test_more_than_are_listed_are_counted(as_user, results):
    trail = Trail(as_user)
    done, report = reported(as_user, results, """
        i=0; while [ $i -lt 400 ]; do : > /out/$i; i=$((i+1)); done
    """, *trail.options())
    ok(done)
    assert len(list(results.iterdir())) == 400
    assert len(report["outputs"]) + report["outputs_not_listed"] == 400
    events = trail.of("output.collected")
    assert sum(e.get("count", 1) for e in events) == 400 and len(events) <= 300


def test_of_a_sandbox_that_stays(as_user, results):
    name = f"box-{as_user.name}-{os.getpid()}"
    ok(as_user.run([as_user.purple, "create", *into(results), name]))
    try:
        ok(as_user.run([as_user.purple, "exec", name, "--", "sh", "-c", "echo 1 > /out/one"]))
        assert refused_to_read(as_user, name)
        assert not list(results.iterdir())
    finally:
        ok(as_user.run([as_user.purple, "stop", name]))
        as_user.run([as_user.purple, "rm", "-f", name])
    assert tree(results) == {"one": "1\n"}


def refused_to_read(runner, name):
    done = runner.run([runner.purple, "exec", name, "--", "cat", "/out/one"])
    return done.returncode != 0 and done.stdout == ""


def test_of_a_command_that_fails_or_is_not_there(as_user, results):
    done = shell(as_user, "echo half > /out/half; exit 7", options=into(results))
    assert done.returncode == 7 and tree(results) == {"half": "half\n"}
    refused(run(as_user, "no-such-command", options=into(results)), 127)


@pytest.mark.parametrize("options, words", [
    (["--output", "/no/such"], ["/no/such"]),
    (["--output", "{results}/file:/out"], ["is a file"]),
    (["--output", "{results}:./out"], ["workspace"]),
    (["--output", "{results}:/tmp/out"], ["/tmp", "may be read", "sandbox_path: /out"]),
    (["--output", "{results}:/out", "--ro", "/usr/share:/out/share"], ["in the box"]),
    (["--output", "{results}:/out", "--output", "{results}/sub:/out/sub"], ["in the box"]),
    (["--output", "{results}:/out", "--output", "{results}/sub:/out"], ["taken"]),
    (["--output", "{results}/link:/out"], ["link"]),
])
def test_bad_input(as_user, results, options, words):
    (results / "file").write_text("x")
    (results / "sub").mkdir()
    (results / "link").symlink_to(results / "sub")
    options = [o.format(results=results) for o in options]
    done = run(as_user, "true", options=options)
    assert done.returncode == 125 and done.stdout == ""
    for word in words:
        assert word in done.stderr, done.stderr


def test_a_place_that_cannot_be_written_is_told_at_the_start(as_user, results):
    if as_user.uid == 0:
        pytest.skip("root may write anywhere")
    os.chmod(results, 0o555)
    refused(run(as_user, "true", options=into(results)), 125, "outputs: write in")


def test_too_many(as_user, results):
    options = []
    for i in range(9):
        (results / str(i)).mkdir()
        options += ["--output", f"{results}/{i}:/out{i}"]
    done = run(as_user, "true", options=options)
    assert done.returncode == 125 and "more than 8" in done.stderr


def test_in_the_plan(as_user, results):
    plan = json.loads(ok(as_user.run([as_user.purple, "plan", *into(results), "--json"])))
    mount, = [m for m in plan["mounts"] if m["kind"] == "output"]
    assert mount["source"] == str(results) and mount["target"] == "/out"
    assert not {"read_file", "read_dir", "execute", "make_sym"} & set(mount["landlock"])
    assert plan["output_bytes"] == 512 << 20
    assert "each output takes at most 512" in ok(as_user.run(
        [as_user.purple, "plan", *into(results)]))
