# SPDX-License-Identifier: Apache-2.0
"""A workspace in review or scratch: everything works inside, nothing happens to the host's."""
import hashlib
import json
import os
import pathlib
import signal
import socket
import stat

import pytest

from running import eventually, ok, refused, run, shell, start

pytestmark = pytest.mark.usefixtures("as_user")
MODES = ["review", "scratch"]


def fingerprint(top):
    """All of a tree, with its metadata; access times apart, which reading changes."""
    digest = hashlib.sha256()
    for directory, names, files in os.walk(os.fsencode(top)):
        names.sort()
        for name in sorted(files) + names + [b"."]:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            digest.update(repr((path, st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns,
                                st.st_ctime_ns, st.st_ino, st.st_nlink, st.st_size)).encode())
            if stat.S_ISLNK(st.st_mode):
                digest.update(os.readlink(path))
            elif stat.S_ISREG(st.st_mode) and st.st_size < 1 << 24:
                digest.update(pathlib.Path(os.fsdecode(path)).read_bytes())
    return digest.hexdigest()


def stores(runner):
    """The directories that hold what this user's sandboxes changed."""
    top = (pathlib.Path("/var/lib/purple") if runner.uid == 0
           else runner.home / ".local/state/purple") / "workspaces"
    return {p.name: p for p in top.iterdir() if p.name[0] != "."} if top.exists() else {}


def meta(store):
    return dict(line.split("=", 1) for line in (store / "meta").read_text().splitlines()
                if not line.startswith("layer="))


def is_of(runner, store):
    """Is it of this test? Those of others come and go meanwhile."""
    try:
        return meta(store)["path"].startswith(str(runner.workspace))
    except FileNotFoundError:
        return False


@pytest.fixture(name="kept")
def fixture_kept(as_user):
    """What of this user's stores is new since the test began; it is removed at the end."""
    before = set(stores(as_user))

    def new():
        return {n: p for n, p in stores(as_user).items()
                if n not in before and is_of(as_user, p)}

    yield new
    for path in new().values():
        as_user.run(["chmod", "-R", "u+rwX", path])
        as_user.run(["rm", "-rf", path])


@pytest.fixture(name="project")
def fixture_project(as_user):
    as_user.write("src/main.c", "int main(void)\n{\n\treturn 0;\n}\n")
    as_user.write("run.sh", "#!/bin/sh\necho ran\n", 0o755)
    as_user.write("deep/er/file", "deep\n")
    as_user.run(["ln", "run.sh", "hard"])
    as_user.run(["ln", "-s", "src/main.c", "link"])
    return as_user.workspace


EDITS = """
    set -e
    echo changed >> src/main.c
    echo new > new
    rm deep/er/file
    mkdir deep/er/file
    mv deep shallow
    chmod 600 run.sh
    echo more >> hard
    ln new another
    ln -sf run.sh link
    mkdir -p a/b/c && touch a/b/c/d
    mkfifo pipe
    test "$(./run.sh 2>/dev/null || sh run.sh)" = ran
    cat shallow/../src/main.c | grep -q changed
    ls -la . > /dev/null
    echo done
"""


@pytest.mark.parametrize("mode", MODES)
def test_the_host_is_untouched(as_user, project, kept, mode):
    before = fingerprint(project)
    done = shell(as_user, EDITS, options=[f"--workspace={mode}"])
    assert ok(done).endswith("done\n")
    assert fingerprint(project) == before
    if mode == "scratch":
        assert done.stderr == "" and not kept()
        return
    (name, store), = kept().items()
    assert f"purple diff {name}, purple apply {name}, purple discard {name}" in done.stderr
    m = meta(store)
    assert (m["mode"], m["form"], m["name"]) == ("review", "overlay", name)
    assert int(m["ino"]) == project.stat().st_ino and int(m["dev"]) == project.stat().st_dev
    layer = store / "layers" / "1"
    assert (layer / "new").read_text() == "new\n"
    assert layer.stat().st_uid == project.stat().st_uid
    assert (layer / "new").stat().st_uid == project.stat().st_uid
    st = (layer / "deep").lstat()
    assert stat.S_ISCHR(st.st_mode) and st.st_rdev == 0


@pytest.mark.parametrize("mode", MODES)
def test_no_change_leaves_nothing(as_user, project, kept, mode):
    before = fingerprint(project)
    done = shell(as_user, "cat src/main.c > /dev/null; find . | sort",
                 options=[f"--workspace={mode}"])
    assert len(ok(done).split()) == 9 and done.stderr == ""
    assert not kept() and fingerprint(project) == before


@pytest.mark.parametrize("change", ["chmod 700 src", "chmod 711 .", "rm link", "touch src/x",
                                    "mkdir src/empty", "chmod u-w run.sh"])
def test_one_change_is_one(as_user, project, kept, change):
    done = shell(as_user, change, options=["--workspace=review"])
    ok(done)
    assert project.exists()
    assert done.stderr.startswith("purple: 1 change waits: purple diff "), done.stderr
    assert len(kept()) == 1


def test_a_name_is_used_once(as_user, project, kept):
    options = ["--workspace=review", "--name", f"ws-{as_user.name}-{os.getpid()}"]
    name = options[-1]
    ok(shell(as_user, "echo 1 > one", options=options))
    assert list(kept()) == [name] and project.exists()
    refused(shell(as_user, "echo 2 > two", options=options), 125, "wait for review",
            f"purple discard {name}")
    assert (kept()[name] / "layers" / "1" / "one").exists()


@pytest.mark.parametrize("mode", MODES)
def test_after_sigkill(as_user, project, kept, mode):
    """Of the supervisor. What waits for a person stays; what nobody waits for is swept."""
    before = fingerprint(project)
    p = start(as_user, "sh", "-c", "echo 1 > one; echo ready; sleep 100",
              options=[f"--workspace={mode}", "--set", "workspace.max_bytes=100M"])
    assert p.stdout.readline() == b"ready\n"
    p.send_signal(signal.SIGKILL)
    p.wait()
    for stream in (p.stdout, p.stderr):
        stream.close()
    if mode == "review":
        (store,) = kept().values()
        assert (store / "layers" / "1" / "one").read_text() == "1\n"
    ok(run(as_user, "true", options=["--workspace=review"]))
    assert eventually(lambda: len(kept()) == (1 if mode == "review" else 0))
    assert fingerprint(project) == before


def test_quota_of_memory(as_user, project, kept):
    done = shell(as_user, "head -c 3M /dev/zero > big; echo $?; ls -l big | wc -l",
                 options=["--workspace=scratch", "--workspace-size", "2M"])
    assert project.exists()
    if "memory" in plan(as_user)["workspace"]["changes_in"]:
        assert done.stdout.splitlines()[0] != "0" and "No space" in done.stderr
    assert not kept()


def plan(runner, mode="scratch"):
    return json.loads(ok(runner.run([runner.purple, "plan", f"--workspace={mode}", "--json"])))


@pytest.mark.parametrize("mode", MODES)
def test_plan_names_it(as_user, mode):
    p = plan(as_user, mode)
    assert p["workspace"]["mode"] == mode and p["workspace"]["by"] == "overlay"
    text = ok(as_user.run([as_user.purple, "plan", f"--workspace={mode}"]))
    assert "the workspace is an overlay: changes go to" in text


def odd(top):
    (top / "new\nline").write_text("1")
    pathlib.Path(os.fsdecode(bytes(os.fsencode(top)) + b"/\xff\xfe")).write_text("2")
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(os.path.relpath(top / "socket"))
    with open(top / "sparse", "wb") as f:
        f.truncate(1 << 40)
    for path in top.iterdir():
        os.chown(path, top.stat().st_uid, top.stat().st_gid, follow_symlinks=False)


@pytest.mark.parametrize("mode", MODES)
def test_odd_files(as_user, kept, mode):
    odd(as_user.workspace)
    before = fingerprint(as_user.workspace)
    done = shell(as_user, r"""
        set -e
        test -p fifo && test -S socket
        test $(stat -c %s sparse) = 1099511627776
        mv "$(printf 'new\nline')" plain
        cat "$(printf '\377\376')" plain
        rm fifo socket
        """, options=[f"--workspace={mode}"])
    assert ok(done) == "21"
    assert fingerprint(as_user.workspace) == before
    assert len(kept()) == (1 if mode == "review" else 0)


@pytest.mark.parametrize("mode", MODES)
def test_without_write_permission(as_user, project, kept, mode):
    """What the sandbox could not do to the directory itself, it may do to the layer at most."""
    as_user.run(["chmod", "-R", "a-w", "."])
    before = fingerprint(project)
    shell(as_user, "echo x > new; echo y >> run.sh; chmod u+w . && echo z > new; true",
          options=[f"--workspace={mode}"])
    assert fingerprint(project) == before
    as_user.run(["chmod", "-R", "u+w", "."])
    assert len(kept()) <= 1


@pytest.mark.parametrize("mode", MODES)
def test_everyday_programs(as_user, kept, mode):
    as_user.write("Makefile", "out: in\n\tcp in out\n\nclean:\n\trm -f out\n")
    as_user.write("in", "input\n")
    as_user.write("old/file", "1\n")
    ok(as_user.run(["git", "init", "-q"]))
    ok(as_user.run(["git", "add", "-A"]))
    ok(as_user.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "1"]))
    before = fingerprint(as_user.workspace)
    out = ok(shell(as_user, """
        set -e
        export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
        make -s && make -s clean && make -s
        mv old new && git add -A && git commit -qm 2
        git checkout -qb side && echo 2 >> in && git commit -qam 3
        git checkout -q - && git merge -q side && git stash list
        git gc -q && git fsck
        git worktree add -q wt side~1 && git worktree remove wt
        python3 -c '
        import os, sqlite3, shutil, tempfile
        d = sqlite3.connect("db"); d.execute("create table t (a)"); d.commit()
        os.replace("db", "db2"); shutil.copytree("new", "copy"); shutil.rmtree("new")
        '
        git log --format=%s | tr '\\n' ' '
        """.replace("\n        ", "\n"), options=[f"--workspace={mode}"]))
    assert out.strip().endswith("3 2 1")
    assert fingerprint(as_user.workspace) == before
    assert len(kept()) == (1 if mode == "review" else 0)


@pytest.mark.parametrize("fill, limit", [
    ("head -c 9M /dev/zero > big", "max_bytes=4M"),
    ("i=0; while [ $i -lt 60 ]; do : > f$i; i=$((i+1)); done", "max_files=40"),
    ("mkdir -p hidden; head -c 9M /dev/zero > hidden/big; chmod 000 hidden", "max_bytes=4M"),
])
def test_quota_of_review(as_user, kept, fill, limit):
    report = as_user.home / "report.json"
    done = shell(as_user, f"{fill}; echo filled; exec sleep 100", options=[
        "--workspace=review", "--set", f"workspace.{limit}", "--report", str(report)])
    assert done.returncode == 143, done.stderr
    assert "it changed more in the workspace than it may" in done.stderr
    assert json.loads(report.read_text())["reason"] == "workspace full"
    assert len(kept()) == 1


def test_quota_that_is_kept(as_user, kept):
    done = shell(as_user, "head -c 1M /dev/zero > big; sleep 2; echo still here", options=[
        "--workspace=review", "--set", "workspace.max_bytes=4M", "--workspace-files=100"])
    assert ok(done) == "still here\n" and len(kept()) == 1


@pytest.mark.parametrize("mode", ["direct", "read-only", "review", "scratch"])
def test_mode_behind_the_directory(as_user, kept, mode):
    as_user.write("sub/file", "1\n")
    work = as_user.workspace / "sub"
    done = shell(as_user, "pwd; echo 2 > file", options=["-w", f"sub:{mode}"])
    assert done.stdout == f"{work}\n"
    assert (done.returncode == 0) == (mode != "read-only")
    assert (work / "file").read_text() == ("2\n" if mode == "direct" else "1\n")
    done = shell(as_user, "cat file; pwd", options=["-w", f":{mode}"])
    assert done.stdout == f"{as_user.workspace}\n"
    assert len(kept()) == (1 if mode == "review" else 0)


def test_directory_that_looks_like_a_mode(as_user, kept):
    as_user.run(["mkdir", "x:review"])
    ok(shell(as_user, "echo 1 > file", options=["-w", "x:review/"]))
    assert (as_user.workspace / "x:review" / "file").exists() and not kept()


def test_what_waits_is_landed_or_dropped(as_user, project, kept):
    name = f"ws-{as_user.name}-{os.getpid()}"
    options = ["--workspace=review", "--name", name]
    ok(shell(as_user, "echo more >> README; echo new > landed", options=options))
    shown = as_user.run([as_user.purple, "diff", "--raw", name])
    assert shown.returncode == 1
    ok(as_user.run(["patch", "-p1"], input=shown.stdout, stdin=None))
    assert (project / "landed").read_text() == "new\n"
    ok(as_user.run([as_user.purple, "discard", name]))
    assert not kept() and (project / "landed").exists()
    done = as_user.run([as_user.purple, "discard", name])
    assert done.returncode == 125 and f"no sandbox {name} has changes" in done.stderr


def test_what_a_live_one_changes_is_not_dropped(as_user, project, kept):
    name = f"ws-{as_user.name}-{os.getpid()}"
    purple = as_user.purple
    try:
        ok(as_user.run([purple, "create", "--workspace=review", name]))
        done = as_user.run([purple, "discard", name])
        assert done.returncode == 125 and "in use" in done.stderr and name in kept()
    finally:
        as_user.run([purple, "rm", "-f", name])
        as_user.run([purple, "discard", name])
