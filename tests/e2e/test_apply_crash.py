# SPDX-License-Identifier: Apache-2.0
"""An apply that is killed at any of its steps, and one that the host does not let go on."""
import shutil

import pytest

from running import ok
from test_apply import EDITS, Project, temporaries, tree

STRACE = shutil.which("strace")
pytestmark = [pytest.mark.usefixtures("as_user"),
              pytest.mark.skipif(not STRACE, reason="needs strace"),
              pytest.mark.not_sanitized("strace and the runtime's own calls")]

# All by which an apply changes something, of the host's or of its own.
CALLS = ["renameat", "renameat2", "mkdirat", "mknodat", "linkat", "symlinkat", "unlinkat",
         "?chmod", "fchmod", "?fchmodat", "fsetxattr", "fremovexattr", "utimensat", "fchownat",
         "fdatasync", "fsync", "syncfs", "ftruncate", "copy_file_range", "write"]


@pytest.fixture(name="project")
def fixture_project(as_user):
    project = Project(as_user)
    yield project
    project.clean()


def killed(project, name, n, call, how="signal=KILL", command="apply"):
    """At its @n-th call of @call."""
    return project.runner.run([STRACE, "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                               f"inject={call}:{how}:when={n}", project.runner.purple, command,
                               name])


def renew(project):
    """The workspace as it was at the beginning, and the same changes of it waiting."""
    for path in project.top.iterdir():
        project.runner.run(["chmod", "-R", "u+rwX", path])
        project.runner.run(["rm", "-rf", path])
    project.fill()
    return project.review(EDITS)


def either(found, before, after):
    """Each path is as it was, or as it is to be; @found has no temporaries."""
    for path in found.keys() | before.keys() | after.keys():
        # What else has the inode is known when all has landed.
        now, was, will = (t[path][:-1] if path in t else None for t in (found, before, after))
        # Its owner could not write in it: for that time and until the next command.
        if now and path == b"shut":
            now[0] &= ~0o200
        assert now in (was, will), (path, now, was, will)


def without_temporaries(found):
    return {p: e for p, e in found.items() if b".purple-" not in p}


def check_killed(project, call, n, after):
    """Killed there: False: it did not come to it."""
    name = renew(project)
    before = tree(project.top, times=False)
    done = killed(project, name, n, call)
    if done.returncode == 0:
        assert tree(project.top, times=False) == after
        return False
    assert done.returncode in (-9, 137), (call, n, done)
    found = tree(project.top, times=False)
    either(without_temporaries(found), before, after)
    # The next command leaves it consistent.
    diff = project.purple("diff", name, "--name-only")
    assert not temporaries(project.top), (call, n)
    if diff.returncode == 125:
        assert not project.store(name).exists(), (call, n, diff.stderr)
        assert tree(project.top, times=False) == after, (call, n)
        return True
    assert diff.returncode in (0, 1), (call, n, diff.stderr)
    assert not (project.store(name) / "journal").exists(), (call, n)
    if "was cut off" not in diff.stderr:
        assert tree(project.top, times=False) == found, (call, n)
    either(tree(project.top, times=False), before, after)
    ok(project.apply(name))
    assert tree(project.top, times=False) == after, (call, n)
    return True


@pytest.mark.parametrize("call", CALLS)
def test_killed(project, call):
    """At some; which, by the user. The long one takes all."""
    after = project.fill().expected(EDITS)
    n = 1 if project.runner.uid == 0 else 6
    while check_killed(project, call, n, after):
        n += 31 if call == "unlinkat" else 11


@pytest.mark.long
@pytest.mark.parametrize("call", CALLS)
def test_killed_at_every_call(project, call):
    after = project.fill().expected(EDITS)
    n = 1
    while check_killed(project, call, n, after):
        n += 1


@pytest.mark.parametrize("call", ["renameat2", "unlinkat", "fsync"])
def test_killed_while_it_tidies_up(project, call):
    """Killed in the middle, and then whoever tidies up is killed at each of its steps."""
    after = project.fill().expected(EDITS)
    name = renew(project)
    before = tree(project.top, times=False)
    assert killed(project, name, 8, "renameat2").returncode in (-9, 137)
    for n in range(3, 200, 2):
        done = killed(project, name, 1 if call == "fsync" else n, call, command="diff")
        either(without_temporaries(tree(project.top, times=False)), before, after)
        if done.returncode in (0, 1):
            break
        if call == "fsync":
            ok(project.purple("discard", name))
            assert not temporaries(project.top)
            return
    assert not temporaries(project.top), done
    ok(project.apply(name))
    assert tree(project.top, times=False) == after


def test_discard_tidies_up(project):
    project.fill()
    name = renew(project)
    assert killed(project, name, 3, "renameat2").returncode in (-9, 137)
    assert temporaries(project.top)
    ok(project.purple("discard", name))
    assert not temporaries(project.top) and not project.store(name).exists()


@pytest.mark.parametrize("call", ["mkdirat", "linkat", "symlinkat", "fchmod", "ftruncate",
                                  "renameat2", "utimensat", "syncfs", "fdatasync"])
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_call_fails(project, call, error):
    """Said, with the path; nothing half; what landed is named; the rest can be applied."""
    after = project.fill().expected(EDITS)
    name = renew(project)
    before = tree(project.top, times=False)
    done = killed(project, name, 2, call, f"error={error}")
    if done.returncode == 0:
        assert tree(project.top, times=False) == after
        return
    assert done.returncode == 125 and done.stderr.startswith("purple: workspace: "), done
    found = tree(project.top, times=False)
    either(without_temporaries(found), before, after)
    landed = {line.split(" ", 2)[2] for line in done.stdout.splitlines()
              if line.startswith("applied: ")}
    for path in landed:
        if path.isascii() and '"' not in path:
            key = path.encode()
            assert found.get(key, [0])[:-1] == after.get(key, [0])[:-1], path
    if call != "renameat2":
        assert not landed and found == before
    project.purple("diff", name)
    assert not temporaries(project.top)
    ok(project.apply(name))
    assert tree(project.top, times=False) == after
