# SPDX-License-Identifier: Apache-2.0
"""A program that does random things to the files of the directory it is started in."""
import textwrap

NAMES = ["a", "b", "c d", "e\nf"]

# Arguments: a seed, and how many. What fails does wherever it runs, if it is one of these (so
# no rename of directories, which an overlay refuses, but mv's way).
PROGRAM = textwrap.dedent("""
    import os, random, shutil, sys
    rng = random.Random(int(sys.argv[1]))
    names = %r
    def path():
        return "/".join(rng.choice(names) for _ in range(rng.randint(1, 3)))
    def write(p):
        with open(p, "w", opener=lambda n, f: os.open(n, f | os.O_NONBLOCK, 0o666)) as f:
            f.write(rng.choice(["", "one\\n", "two\\n", "three\\n" * 9]))
    def remove(p):
        shutil.rmtree(p) if os.path.isdir(p) and not os.path.islink(p) else os.unlink(p)
    def renew(p):
        os.listdir(p) # rmtree() would wait for a FIFO
        shutil.rmtree(p)
        os.mkdir(p)
    operations = [
        lambda: write(path()), lambda: os.mkdir(path()), lambda: os.makedirs(path()),
        lambda: remove(path()), lambda: renew(path()),
        lambda: shutil.move(path(), path()), lambda: os.link(path(), path()),
        lambda: os.symlink(path(), path()), lambda: os.truncate(path(), rng.randint(0, 9)),
        lambda: os.chmod(path(), rng.choice([0o700, 0o750, 0o755])),
        lambda: os.setxattr(path(), "user.x", rng.choice([b"1", b"2"])),
    ]
""") % NAMES

RUN = textwrap.dedent("""
    def work():
        for _ in range(int(sys.argv[2])):
            try:
                rng.choice(operations)()
            except (OSError, shutil.Error):
                pass
""")


def program(more="", end="work()\n"):
    """@more: lines that add to operations. @end: what is done with work()."""
    return PROGRAM + textwrap.dedent(more) + RUN + textwrap.dedent(end)
