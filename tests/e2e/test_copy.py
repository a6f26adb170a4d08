# SPDX-License-Identifier: Apache-2.0
"""
Review and scratch where the kernel refuses an overlay: in a copy, of which the same comes.
tests/tools/nooverlay stands for such a kernel; and a state directory that lies on an
overlay itself, as in a container, is one that the real kernel refuses.
"""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import test_apply_random as at_random
from random_operations import program
from running import eventually, needs_root, ok
from test_apply import Project
from test_apply_crash import STRACE
from test_workspace import fingerprint, meta, stores

pytestmark = pytest.mark.usefixtures("as_user")
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NOTE = "refuses an overlay"


@pytest.fixture(name="old")
def fixture_old(as_user):
    """The runner, whose purple has no overlays."""
    tool = as_user.base / "nooverlay"
    shutil.copy(ROOT / os.environ.get("PURPLE_BUILD", "build") / "tests/tools/nooverlay", tool)
    tool.chmod(0o755)
    as_user.nooverlay = tool
    return as_user


@pytest.fixture(name="project")
def fixture_project(old):
    project = Project(old)
    yield project
    project.clean()


def inside(project, script, *options, mode="review", name=None):
    runner = project.runner
    words = ["--workspace", mode, *options]
    if name:
        project.names.append(name)
        words += ["--name", name]
    return runner.run([runner.nooverlay, runner.purple, "run", *words, "--", "sh", "-c", script])


def mine(runner):
    return {n for n, p in stores(runner).items() if meta(p)["path"] == str(runner.workspace)}


def fill(project):
    runner = project.runner
    ok(runner.run(["sh", "-ec", """
        mkdir -p a/b empty ren/in ro
        echo top > f; echo deep > a/b/g; echo k > a/k; ln a/k a/k2; ln -s a/k link
        echo x > ren/in/x
        echo r > ro/r; chmod 555 ro; truncate -s 1G sparse; mkfifo fifo; echo s > secret
        chmod 000 secret; printf 'odd' > 'new
line'
    """]))
    project.settle()
    return project.top


def name_of(project, what):
    return f"copy-{what}-{os.getpid()}-{project.runner.uid}"


def changes(project, name):
    done = project.runner.run([project.runner.purple, "diff", "--json", name])
    assert done.returncode in (0, 1), done.stderr
    return {c["path"]: c for c in json.loads(done.stdout)["changes"]}


def test_review(project):
    top, name = fill(project), name_of(project, "review")
    before = fingerprint(top)
    done = inside(project, """
        set -e
        echo more >> f; rm a/b/g; mkdir a/b/g; mv ren ren2; echo n > new; chmod 600 a/k; rm fifo
        rmdir empty; rm link; ln -s f link; ln f hard; truncate -s 2G sparse
        stat -c %b sparse
    """, name=name)
    assert int(ok(done)) < 2048, "the hole was filled"
    assert NOTE in done.stderr and "changes wait" in done.stderr
    assert fingerprint(top) == before
    found = {p: c["kind"] for p, c in changes(project, name).items()}
    assert found == {
        "a/b/g": "type", "a/k": "meta", "empty": "deleted", "f": "modified", "fifo": "deleted",
        "hard": "added", "link": "modified", "new": "added", "ren": "deleted", "ren2": "added",
        "ren2/in": "added", "ren2/in/x": "added", "sparse": "modified"}
    ok(project.runner.run([project.runner.purple, "apply", name]))
    assert (top / "f").read_text() == "top\nmore\n" and (top / "a/b/g").is_dir()
    assert (top / "hard").samefile(top / "f") and not (top / "ren").exists()
    assert (top / "a/k2").stat().st_mode & 0o777 == 0o644, "an overlay parts names, too"
    assert (top / "secret").exists() and name not in stores(project.runner)


def test_nothing_changed_leaves_nothing(project):
    fill(project)
    for mode in "review", "scratch":
        done = inside(project, "cat f a/b/g; ls -R . > /dev/null", mode=mode)
        assert ok(done) == "top\ndeep\n" and "wait" not in done.stderr
        assert not mine(project.runner)


def test_scratch(project):
    top = fill(project)
    before = fingerprint(top)
    assert ok(inside(project, "rm -rf *; echo new > f; cat f", mode="scratch")) == "new\n"
    assert fingerprint(top) == before and not mine(project.runner)


def running(project, name, script):
    runner = project.runner
    return runner.popen([runner.nooverlay, runner.purple, "run", "--workspace=review",
                         "--name", name, "--", "sh", "-c", f"{script}; touch done; sleep 100"],
                        stderr=subprocess.DEVNULL)


def test_while_it_runs_and_after_a_kill(project):
    """A supervisor that is killed leaves a copy; the next command makes layers of it."""
    runner, name = project.runner, name_of(project, "killed")
    top = fill(project)
    project.names.append(name)
    process = running(project, name, "echo more >> f; rm a/b/g")
    try:
        assert eventually(lambda: any(project.store(name).glob("layers/1/done")), 20)
        done = runner.run([runner.purple, "diff", name])
        assert done.returncode == 125 and "works in a copy" in done.stderr
    finally:
        process.kill()
        process.wait()
    found = {}
    assert eventually(lambda: runner.run([runner.purple, "diff", name]).returncode == 1, 10)
    found = {p: c["kind"] for p, c in changes(project, name).items()}
    assert found == {"f": "modified", "a/b/g": "deleted", "done": "added"}
    ok(runner.run([runner.purple, "apply", name]))
    assert not (top / "a/b/g").exists() and (top / "f").read_text() == "top\nmore\n"


@pytest.mark.skipif(not STRACE, reason="needs strace")
@pytest.mark.not_sanitized("strace and the runtime's own calls")
def test_killed_while_layers_are_made_of_it(project):
    """At any step of it; nothing is then taken for deleted that is not."""
    runner, name = project.runner, name_of(project, "steps")
    fill(project)
    project.names.append(name)
    process = running(project, name, "echo more >> f; rm a/b/g; mv ren r2")
    assert eventually(lambda: any(project.store(name).glob("layers/1/done")), 20)
    process.kill()
    process.wait()
    diff = [runner.purple, "diff", name]
    steps = [*(("unlinkat", n) for n in range(1, 8)), ("mknodat", 1), ("mknodat", 2),
             ("fdatasync", 1)]
    for call, n in steps:
        done = runner.run([STRACE, "-f", "-qq", "-o", "/dev/null", "-e",
                           f"inject={call}:signal=KILL:when={n}", *diff])
        assert done.returncode in (-9, 137), (call, n, done)
    found = {p: c["kind"] for p, c in changes(project, name).items()}
    assert found == {"f": "modified", "a/b/g": "deleted", "done": "added", "ren": "deleted",
                     "r2": "added", "r2/in": "added", "r2/in/x": "added"}


def test_notes_of_an_overlay_mean_nothing(project):
    """What overlayfs would take for its own is no deletion of what is on the host."""
    name = name_of(project, "notes")
    fill(project)
    done = inside(project, """
        python3 - <<'END'
import os
for path, key in ("a", "opaque"), ("f", "metacopy"), ("a/b", "redirect"):
    os.setxattr(path, "user.overlay." + key, b"y")
open("empty/x", "w").close()
os.setxattr("empty/x", "user.overlay.whiteout", b"y")
os.chmod("empty/x", 0o444)
END
    """, name=name)
    ok(done)
    assert {p: c["kind"] for p, c in changes(project, name).items()} == {"empty/x": "added"}


def test_it_cannot_be_resumed_without_an_overlay(project):
    runner, name = project.runner, name_of(project, "resume")
    top = fill(project)
    ok(inside(project, "echo more >> f", name=name))
    again = ["run", "--name", name, "--resume", "--", "cat", "f"]
    done = runner.run([runner.nooverlay, runner.purple, *again])
    assert done.returncode == 125 and "mount an overlay" in done.stderr and name in stores(runner)
    assert ok(runner.run([runner.purple, *again])) == "top\nmore\n"
    assert (top / "f").read_text() == "top\n"


def test_a_limit_is_of_what_is_changed(project):
    name = name_of(project, "limit")
    ok(project.runner.run(["sh", "-c", "head -c 3000000 /dev/zero > big"]))
    ok(inside(project, "sleep 1; echo x > y", "--workspace-size", "1M", name=name))
    done = inside(project, "head -c 3000000 /dev/zero > more; sleep 60", "--workspace-size", "1M")
    assert done.returncode != 0 and "more in the workspace than it may" in done.stderr


def test_many_files(project):
    name = name_of(project, "many")
    ok(project.runner.run(["sh", "-c", "for d in $(seq 30); do mkdir -p d$d/e; "
                                       "for i in $(seq 100); do echo $i > d$d/e/$i; done; done"]))
    project.settle()
    ok(inside(project, "echo x > d7/e/50; rm d9/e/1", name=name))
    assert {p: c["kind"] for p, c in changes(project, name).items()} == {
        "d7/e/50": "modified", "d9/e/1": "deleted"}
    left = list((project.store(name) / "layers/1").rglob("*"))
    assert len(left) < 10, "what is unchanged is taken out"


@pytest.mark.parametrize("seed", [77000, 78000])
def test_random_operations(project, seed):
    """As in an overlay: what is applied is what was seen inside."""
    runner = project.runner
    words = [at_random.OPERATIONS, at_random.BATCH]
    ok(runner.run(["/usr/bin/python3", "-c", program(at_random.MORE, at_random.EACH),
                   seed + 500000, *words]))
    project.settle()
    name = name_of(project, f"random{seed}")
    project.names.append(name)
    done = runner.run([runner.nooverlay, runner.purple, "run", "--workspace=review",
                       "--name", name, "--env", "PYTHONHASHSEED=0", "--", "/usr/bin/python3", "-c",
                       program(at_random.MORE, at_random.EACH + at_random.LIST), str(seed),
                       *map(str, words)])
    seen = at_random.listing(runner, ok(done))
    done = runner.run([runner.purple, "apply", name, "--json"])
    assert done.returncode == 0, (done.stdout, done.stderr)
    applied = {bytes.fromhex(c["path_hex"]) if "path_hex" in c else c["path"].encode()
               for c in json.loads(done.stdout)["changes"]}
    at_random.compare(seen, at_random.listing(runner), applied)


@needs_root
def test_a_state_directory_on_an_overlay(project):
    """As in a container without volumes. Root's copy needs id-mapped mounts, which it has not."""
    runner = project.runner
    if runner.uid == 0:
        pytest.skip("an overlay has no id-mapped mounts")
    fill(project)
    state = runner.home / ".local/state"
    ok(runner.run(["mkdir", "-p", state]))
    mounts = runner.base / "mounts"
    mounts.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", """
            mount -t tmpfs none "$1" || exit 77
            mkdir "$1/l" "$1/u" "$1/w"
            chown "$3:$3" "$1/u"
            mount -t overlay none -o "lowerdir=$1/l,upperdir=$1/u,workdir=$1/w" "$2" || exit 77
            shift 3
            exec "$@"
         """, "sh", mounts, state, str(runner.uid), "setpriv", f"--reuid={runner.uid}",
         f"--regid={runner.uid}", "--clear-groups", "sh", "-c", """
            "$0" run -w .:review --name over -- sh -c 'echo more >> f; rm a/b/g'
            "$0" diff --stat over
            "$0" apply over
            cat f
         """, runner.purple],
        cwd=project.top, env=runner.env, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == 77:
        pytest.skip("nothing can be mounted here")
    assert NOTE in done.stderr, done.stderr
    assert done.stdout.endswith("top\nmore\n"), (done.stdout, done.stderr)
    assert not (project.top / "a/b/g").exists()
