# SPDX-License-Identifier: Apache-2.0
"""`purple diff --json` against the truth: random operations inside, and the same on a copy."""
import json
import os
import pathlib
import random
import shutil
import stat

import pytest

from random_operations import program as operations
from running import ok, run

pytestmark = pytest.mark.usefixtures("as_user")
OPERATIONS = 60


def read_tree(top):
    """{path: what there is to say of it}, of links without following."""
    tree = {}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = pathlib.Path(directory, name)
            st = path.lstat()
            kind = stat.S_IFMT(st.st_mode)
            content = os.readlink(path) if kind == stat.S_IFLNK else \
                path.read_bytes() if kind == stat.S_IFREG else None
            mode = st.st_mode if kind != stat.S_IFLNK else kind
            xattrs = {} if kind not in (stat.S_IFREG, stat.S_IFDIR) else \
                {x: os.getxattr(path, x) for x in os.listxattr(path) if x.startswith("user.")}
            tree[str(path.relative_to(top))] = (kind, content, mode, xattrs)
    return tree


def expected(before, after):
    kinds = {}
    for path in before.keys() | after.keys():
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        if new is None:
            # One change for all of a directory that is gone, or is something else now.
            above = [str(p) for p in pathlib.PurePath(path).parents][:-1]
            if all(p in after and after[p][0] == stat.S_IFDIR for p in above):
                kinds[path] = "deleted"
        elif old is None:
            kinds[path] = "added"
        elif old[0] != new[0]:
            kinds[path] = "type"
        else:
            kinds[path] = "modified" if old[1] != new[1] else "meta"
    return kinds


@pytest.mark.parametrize("seed", range(12))
def test_random_operations(as_user, seed):
    name = f"random-{as_user.name}-{os.getpid()}-{seed}"
    program = ["/usr/bin/python3", "-c", operations()]
    as_user.run([*program, seed + 1000, OPERATIONS])
    before = read_tree(as_user.workspace)
    copy = as_user.home / "copy"
    as_user.run(["cp", "-a", "--preserve=all", as_user.workspace, copy])
    as_user.run([*program, seed, OPERATIONS], cwd=copy)
    after = read_tree(copy)
    state = pathlib.Path("/var/lib/purple" if as_user.uid == 0
                         else as_user.home / ".local/state/purple")
    try:
        ok(run(as_user, *program, str(seed), str(OPERATIONS),
               options=["--workspace=review", "--name", name]))
        assert read_tree(as_user.workspace) == before
        done = as_user.run([as_user.purple, "diff", name, "--json"])
        if done.returncode == 125 and not (state / "workspaces" / name).exists():
            assert before == after  # nothing was changed in the end
            return
        found = {c["path"]: c["kind"] for c in json.loads(done.stdout)["changes"]}
        assert found == expected(before, after)
        patch = as_user.run([as_user.purple, "diff", name])
        assert patch.returncode == (1 if found else 0) and patch.stderr == ""
    finally:
        as_user.run(["rm", "-rf", state / "workspaces" / name])
        shutil.rmtree(copy, ignore_errors=True)
