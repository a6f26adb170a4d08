# SPDX-License-Identifier: Apache-2.0
"""Random operations in a real sandbox in review, and then `purple apply`: what the host has is
what was there inside, file by file and with metadata."""
import json
import os
import stat

import pytest

from random_operations import program
from running import ok, run
from test_apply import Project, temporaries

pytestmark = pytest.mark.usefixtures("as_user")
OPERATIONS = 60
BATCH = 25

# What a copy on the host would not take as an overlay does, or not at the same time.
MORE = """
    def sparse(p):
        with open(p, "r+b", buffering=0) as f:
            f.seek(rng.randint(0, 1 << 22))
            f.write(b"x")
    def read_only(p):
        os.chmod(p, 0o555 if os.path.isdir(p) else 0o444)
    operations += [
        lambda: os.mkfifo(path()), lambda: sparse(path()), lambda: read_only(path()),
        lambda: os.utime(path(), ns=(0, rng.randint(0, 2 * 10**18)), follow_symlinks=False),
        lambda: os.removexattr(path(), "user.x"), lambda: os.rename(path(), path()),
        lambda: os.replace(path(), path()),
    ]
"""
# Of the host's nothing of the kind is seen inside.
INSIDE = """
    operations.append(lambda: os.setxattr(path(), "user.overlay.opaque", b"y"))
"""
# In each directory of the workspace, each with a seed of its own.
EACH = """
    first = int(sys.argv[1])
    top = os.getcwd()
    for k in range(int(sys.argv[3])):
        rng.seed(first + k)
        os.makedirs(f"{top}/{k}", exist_ok=True)
        os.chdir(f"{top}/{k}")
        work()
"""
# All that is there to be seen, by an own inode each.
LIST = """
    import json, stat
    os.chdir(top)
    seen = {}
    for directory, dirs, files in os.walk(b"."):
        for name in dirs + files:
            p = os.path.join(directory, name)
            st = os.lstat(p)
            what = os.readlink(p).hex() if stat.S_ISLNK(st.st_mode) else None
            if stat.S_ISREG(st.st_mode):
                with open(p, "rb") as f:
                    what = f.read().hex() if st.st_size < 1000 else str(hash(f.read()))
            xattrs = {} if not (stat.S_ISREG(st.st_mode) or stat.S_ISDIR(st.st_mode)) else {
                x: os.getxattr(p, x).hex() for x in os.listxattr(p)}
            seen[p[2:].hex()] = [st.st_mode, what, xattrs, st.st_mtime_ns, st.st_ino]
    print(json.dumps(seen))
"""


def listing(runner, inside=None):
    """Of the workspace as it is on the host, by the same program; or @inside's output."""
    if inside is None:
        source = "import os, sys\ntop = os.getcwd()\n" + program(end=LIST).split("def work")[1]
        source = source[source.index("import json"):]
        inside = ok(runner.run(["/usr/bin/python3", "-c",
                                "import os\ntop = os.getcwd()\n" + source],
                               env={**runner.env, "PYTHONHASHSEED": "0"}))
    return {bytes.fromhex(p): e for p, e in json.loads(inside).items()}


def compare(inside, host, applied):
    assert host.keys() == inside.keys()
    for path, entry in inside.items():
        assert host[path][:3] == entry[:3], path
        # Times are what was applied with the rest; a file that was only touched has not changed.
        if path in applied and not stat.S_ISDIR(entry[0]):
            assert host[path][3] == entry[3], path
    # Names of one file are that. (An overlay may show two inodes for what is one in its layer.)
    one = {}
    for path in applied & inside.keys():
        if stat.S_ISREG(inside[path][0]):
            one.setdefault(inside[path][4], set()).add(host[path][4])
    assert all(len(inodes) == 1 for inodes in one.values())


def check(runner, seed):
    project = Project(runner)
    words = [OPERATIONS, BATCH]
    try:
        ok(runner.run(["/usr/bin/python3", "-c", program(MORE, EACH), seed + 500000, *words]))
        project.settle()
        name = f"random-{runner.name}-{os.getpid()}-{seed}"
        project.names.append(name)
        seen = ok(run(runner, "/usr/bin/python3", "-c", program(MORE + INSIDE, EACH + LIST), str(seed),
                      *map(str, words), options=["--workspace=review", "--name", name,
                                                 "--env", "PYTHONHASHSEED=0"]))
        inside = listing(runner, seen)
        done = runner.run([runner.purple, "apply", name, "--json"])
        assert done.returncode == 0, (done.stdout, done.stderr)
        applied = {bytes.fromhex(c["path_hex"]) if "path_hex" in c else c["path"].encode()
                   for c in json.loads(done.stdout)["changes"]}
        compare(inside, listing(runner), applied)
        assert not temporaries(project.top) and not project.store(name).exists()
        assert all(p.lstat().st_uid == runner.uid for p in project.top.rglob("*"))
    finally:
        project.clean()


@pytest.mark.parametrize("seed", [0, 1000])
def test_random_operations(as_user, seed):
    """100 sequences, 25 in each sandbox."""
    check(as_user, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2000, 42000, 1000))
def test_many_random_operations(as_user, seed):
    """2,000 more."""
    check(as_user, seed)
