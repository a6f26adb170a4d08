# SPDX-License-Identifier: Apache-2.0
"""
The cache of compiled plans: used when nothing changed, left when anything did,
never believed.

purple-compile is wrapped by a script that writes a line for each run, so a test
counts how often a policy was compiled. As root the cache is /var/cache/purple:
each run sees a directory of the test's own there.
"""
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile

import pytest

from people import UNPRIVILEGED

WRAPPER = """#!/bin/sh
echo compiled >>"$COMPILE_LOG"
if [ -n "$SWAP" ]; then cp "$SWAP" "$SWAP_TO"; fi
exec "$0.real" "$@"
"""
# Root's cache is where the test wants it, for this run only.
OWN_CACHE = 'mount --bind "$0" /var/cache && exec "$@"'
MARK = "environment:\n  set: {MARK: %s}\n"


@pytest.fixture(scope="session")
def counted_purple(purple_prefix):
    with tempfile.TemporaryDirectory(prefix="purple-count-") as directory:
        os.chmod(directory, 0o755)
        prefix = pathlib.Path(directory) / "prefix"
        shutil.copytree(purple_prefix, prefix, symlinks=True)
        compiler = prefix / "libexec" / "purple" / "purple-compile"
        compiler.rename(compiler.with_name("purple-compile.real"))
        compiler.write_text(WRAPPER)
        compiler.chmod(0o755)
        yield prefix / "bin" / "purple"


class Cache:
    def __init__(self, runner, purple):
        self.runner = runner
        self.purple = purple
        self.log = runner.base / "compile.log"
        self.parent = runner.base / "cache"
        self.dir = self.parent / "purple"
        self.parent.mkdir()
        self.log.touch()
        for path in (self.log, self.parent):
            self.give(path)
        self.env = {**runner.env, "COMPILE_LOG": str(self.log),
                    "XDG_CACHE_HOME": str(self.parent)}

    def give(self, path, uid=None):
        if os.geteuid() == 0:
            uid = self.runner.uid if uid is None else uid
            os.chown(path, uid, uid, follow_symlinks=False)

    def argv(self, options, command):
        argv = [self.purple, "run", *options, "--", *command]
        if self.runner.uid == 0:
            argv = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", OWN_CACHE,
                    self.parent, *argv]
        return argv

    def run(self, *options, command=("/bin/sh", "-c", "echo ${MARK-ran}"), status=0):
        """What the command printed, and how often the compiler ran."""
        before = self.compiled()
        done = self.runner.run(self.argv(options, command), env=self.env)
        assert done.returncode == status, done.stderr
        return done.stdout.strip(), self.compiled() - before

    def compiled(self):
        return len(self.log.read_text().splitlines())

    def files(self):
        return sorted(self.dir.iterdir()) if self.dir.exists() else []

    def the_file(self):
        files = self.files()
        assert len(files) == 1, files
        return files[0]

    def policy(self, text, name="p.yaml"):
        return self.runner.write(name, text)


@pytest.fixture
def cache(as_user, counted_purple):
    return Cache(as_user, counted_purple)


def test_the_second_start_does_not_compile(cache):
    assert cache.run() == ("ran", 1)
    assert cache.run() == ("ran", 0)
    assert cache.run("--best-effort") == ("ran", 1), "another key"
    assert cache.run("--pids-limit=64") == ("ran", 1)
    assert cache.run("--pids-limit=64") == ("ran", 0)
    assert cache.run("--pids-limit=65") == ("ran", 1)
    assert cache.run() == ("ran", 0)


def test_what_is_written_is_the_callers_alone(cache):
    cache.run()
    st = cache.the_file().lstat()
    assert stat.S_ISREG(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o600
    assert st.st_uid == cache.runner.uid
    assert stat.S_IMODE(cache.dir.stat().st_mode) == 0o700


def test_the_workspace_and_the_command_need_no_new_plan(cache):
    cache.run()
    other = cache.runner.workspace / "other"
    other.mkdir()
    cache.give(other)
    assert cache.run("-w", other, command=("/bin/pwd",)) == (str(other), 0)


def test_a_change_of_the_policy(cache):
    path = cache.policy(MARK % "one")
    assert cache.run("-p", path) == ("one", 1)
    before = path.stat()
    cache.policy(MARK % "two")
    # Content counts: neither the time nor the size gives it away.
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.run("-p", path) == ("two", 1)
    cache.policy(MARK % "one")
    assert cache.run("-p", path) == ("one", 0)


def test_a_policy_that_changes_while_it_is_compiled(cache):
    """Between the launcher's look at it and the compiler's: one of the two it is."""
    path = cache.policy(MARK % "one")
    other = cache.policy(MARK % "two", "other.yaml")
    cache.env.update(SWAP=str(other), SWAP_TO=str(path))
    assert cache.run("-p", path) == ("two", 1)
    del cache.env["SWAP"]
    assert cache.run("-p", path)[0] == "two"
    cache.policy(MARK % "one")
    assert cache.run("-p", path)[0] == "one", "the plan of two is not kept as that of one"


def test_a_change_of_what_the_policy_extends(cache):
    cache.policy(MARK % "one", "grandparent.yaml")
    cache.policy("extends: ./grandparent.yaml\n", "parent.yaml")
    path = cache.policy("extends: ./parent.yaml\n")
    assert cache.run("-p", path) == ("one", 1)
    assert cache.run("-p", path) == ("one", 0)
    cache.policy(MARK % "two", "grandparent.yaml")
    assert cache.run("-p", path) == ("two", 1)
    assert cache.run("-p", path) == ("two", 0)
    cache.policy(MARK % "three", "parent.yaml")
    assert cache.run("-p", path) == ("three", 1)


def test_a_parent_that_is_gone_is_an_error(cache):
    parent = cache.policy(MARK % "one", "parent.yaml")
    path = cache.policy("extends: ./parent.yaml\n")
    assert cache.run("-p", path) == ("one", 1)
    parent.unlink()
    assert cache.run("-p", path, status=125) == ("", 1)


def test_a_profile_that_comes_before_the_parent(cache):
    """`extends: python` means the shipped one until the user writes another."""
    path = cache.policy("extends: python\n")
    assert cache.run("-p", path) == ("ran", 1)
    assert cache.run("-p", path) == ("ran", 0)
    mine = cache.runner.home / ".config" / "purple" / "profiles" / "python.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text(MARK % "mine")
    assert cache.run("-p", path) == ("mine", 1)


def test_an_optional_path_that_appears(cache):
    there = cache.runner.home / "settings"
    path = cache.policy("filesystem:\n  immutable_paths:\n"
                        "    - {host_path: ~/settings, optional: true}\n")
    look = ("/bin/sh", "-c", "cat ~/settings 2>/dev/null || echo none")
    assert cache.run("-p", path, command=look) == ("none", 1)
    assert cache.run("-p", path, command=look) == ("none", 0)
    there.write_text("here\n")
    assert cache.run("-p", path, command=look) == ("here", 1)
    assert cache.run("-p", path, command=look) == ("here", 0)


def test_a_link_that_leads_elsewhere(cache):
    for name in ("one", "two"):
        (cache.runner.home / name).write_text(name)
    link = cache.runner.home / "data"
    link.symlink_to("one")
    path = cache.policy("filesystem:\n  immutable_paths: [~/data]\n")
    look = ("/bin/cat", link)
    assert cache.run("-p", path, command=look) == ("one", 1)
    assert cache.run("-p", path, command=look) == ("one", 0)
    link.unlink()
    link.symlink_to("two")
    assert cache.run("-p", path, command=look) == ("two", 1)
    assert cache.run("-p", path, command=look) == ("two", 0)


def test_a_link_that_comes_to_lead_where_it_may_not(cache):
    link = cache.runner.home / "data"
    link.symlink_to("/srv")
    path = cache.policy("filesystem:\n  immutable_paths: [~/data]\n")
    assert cache.run("-p", path) == ("ran", 1)
    link.unlink()
    link.symlink_to("/proc")
    assert cache.run("-p", path, status=125) == ("", 1)


def test_a_file_that_is_written_anew(cache):
    """As editors do: another file takes the name."""
    data = cache.runner.home / "data"
    data.write_text("old")
    path = cache.policy("filesystem:\n  immutable_paths: [~/data]\n")
    look = ("/bin/cat", data)
    assert cache.run("-p", path, command=look) == ("old", 1)
    other = data.with_name("new")
    other.write_text("new")
    other.rename(data)
    assert cache.run("-p", path, command=look)[0] == "new"
    data.unlink()
    data.mkdir()
    (data / "x").write_text("inside")
    assert cache.run("-p", path, command=("/bin/cat", data / "x"))[0] == "inside"


def test_a_path_that_goes_is_an_error(cache):
    gone = cache.runner.home / "data"
    gone.write_text("here\n")
    path = cache.policy("filesystem:\n  immutable_paths: [~/data]\n")
    assert cache.run("-p", path, command=("/bin/sh", "-c", "cat ~/data")) == ("here", 1)
    gone.unlink()
    cache.run("-p", path, status=125)
    gone.write_text("again\n")
    assert cache.run("-p", path, command=("/bin/sh", "-c", "cat ~/data"))[0] == "again"


def truncated(cache, path, data):
    path.write_bytes(data[:len(data) // 2])


def cut_to_the_header(cache, path, data):
    path.write_bytes(data[:64])


def empty(cache, path, data):
    path.write_bytes(b"")


def garbage(cache, path, data):
    path.write_bytes(os.urandom(len(data)))


def too_long(cache, path, data):
    path.write_bytes(data + b"\0" * 8)


def huge(cache, path, data):
    os.truncate(path, 1 << 40)


def bit_flipped(cache, path, data):
    at = len(data) * 2 // 3
    path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:])


def group_writable(cache, path, data):
    path.chmod(0o620)


def world_writable(cache, path, data):
    path.chmod(0o602)


def unreadable(cache, path, data):
    path.chmod(0)


def foreign(cache, path, data):
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    cache.give(path, UNPRIVILEGED + 1)
    path.chmod(0o644)


def symlinked(cache, path, data):
    real = cache.parent / "elsewhere"
    path.rename(real)
    path.symlink_to(real)
    cache.give(path)


def a_fifo(cache, path, data):
    path.unlink()
    os.mkfifo(path, 0o600)
    cache.give(path)


def of_another_key(cache, path, data):
    """A whole plan, under the wrong name."""
    cache.run("--env", "MARK=other")
    other = [f for f in cache.files() if f != path]
    path.write_bytes(other[0].read_bytes())
    other[0].unlink()


@pytest.mark.parametrize("damage", [
    truncated, cut_to_the_header, empty, garbage, too_long, huge, bit_flipped, group_writable,
    world_writable, unreadable, foreign, symlinked, a_fifo, of_another_key,
], ids=lambda f: f.__name__)
def test_a_bad_file_is_not_believed(cache, damage):
    if damage is unreadable and cache.runner.uid == 0:
        pytest.skip("root reads it")
    cache.run()
    path = cache.the_file()
    good = path.read_bytes()
    damage(cache, path, good)
    assert cache.run() == ("ran", 1)
    assert path.lstat().st_uid == cache.runner.uid
    assert stat.S_ISREG(path.lstat().st_mode) and path.read_bytes() == good, "it was replaced"
    assert cache.run() == ("ran", 0)


def test_every_byte_of_damage_is_seen(cache):
    """One bit in every 97th byte; whatever is broken, the run is right."""
    cache.run()
    path = cache.the_file()
    good = path.read_bytes()
    for at in range(0, len(good), 97 if cache.runner.uid else 397):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        assert cache.run(command=("/bin/echo", "ran")) == ("ran", 1), f"byte {at}"


def test_a_directory_in_the_files_place(cache):
    cache.run()
    path = cache.the_file()
    path.unlink()
    path.mkdir()
    (path / "x").touch()
    assert cache.run() == ("ran", 1)
    assert cache.run() == ("ran", 1), "it cannot be kept, and that harms nobody"


def test_no_cache_writes_nothing_and_reads_nothing(cache):
    assert cache.run("--no-cache") == ("ran", 1)
    assert list(cache.parent.iterdir()) == []
    cache.run()
    file = cache.the_file()
    before = file.stat()
    assert cache.run("--no-cache") == ("ran", 1)
    assert file.stat() == before


def test_an_unwritable_cache(cache):
    cache.parent.chmod(0o555)
    if cache.runner.uid == 0:
        cache.parent.chmod(0o755)
        cache.dir.write_text("a file where the directory would be\n")
    assert cache.run() == ("ran", 1)
    assert cache.run() == ("ran", 1)


def test_a_cache_directory_that_others_may_write(cache):
    cache.dir.mkdir()
    cache.give(cache.dir)
    cache.dir.chmod(0o777)
    assert cache.run() == ("ran", 1)
    assert cache.files() == []


def test_a_cache_directory_of_somebody_else(cache):
    if os.geteuid() != 0:
        pytest.skip("needs root to give a directory away")
    cache.dir.mkdir()
    cache.give(cache.dir, UNPRIVILEGED + 1)
    cache.dir.chmod(0o755)
    assert cache.run() == ("ran", 1)
    assert cache.files() == []


def test_a_cache_directory_that_is_a_link(cache):
    elsewhere = cache.parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    cache.give(elsewhere)
    cache.dir.symlink_to(elsewhere)
    assert cache.run() == ("ran", 1)
    assert list(elsewhere.iterdir()) == []


def test_without_a_home_there_is_no_cache(cache):
    if cache.runner.uid == 0:
        pytest.skip("root's cache is not in its home")
    del cache.env["HOME"], cache.env["XDG_CACHE_HOME"]
    assert cache.run() == ("ran", 1)
    assert cache.run() == ("ran", 1)


def test_what_does_not_compile_is_not_kept(cache):
    path = cache.policy("resources:\n  pids_limit: none\n")
    assert cache.run("-p", path, status=125) == ("", 1)
    assert cache.run("-p", path, status=125) == ("", 1)
    assert cache.files() == []


def test_twenty_first_starts_at_once(cache):
    running = [cache.runner.popen(cache.argv((), ("/bin/echo", "ran")), env=cache.env,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for _ in range(20)]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "ran\n", "")
    assert 1 <= cache.compiled() <= 20
    cache.the_file()
    assert cache.run() == ("ran", 0)


def test_a_compiler_that_is_killed_leaves_no_half_plan(cache):
    """Killed at moments all through its life: what is in the cache is a whole plan or none."""
    for delay in range(12):
        process = cache.runner.popen(cache.argv((f"--env=MARK={delay}",), ("/bin/true",)),
                                     env=cache.env, stderr=subprocess.DEVNULL,
                                     start_new_session=True)
        try:
            process.wait(timeout=0.002 * delay)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for file in cache.files():
        if len(file.name) == 64:
            data = file.read_bytes()
            assert data[:8] == b"PUPLEPLN" and len(data) == int.from_bytes(data[12:16], "little")
    assert cache.run() == ("ran", 1)


def test_what_a_killed_compiler_left_goes(cache):
    cache.run()
    old, new = cache.dir / f".{'a' * 64}.12.34", cache.dir / f".{'b' * 64}.56.78"
    for file in (old, new):
        file.touch(mode=0o600)
        cache.give(file)
    os.utime(old, (1000, 1000))
    cache.run("--env=MARK=x")
    assert not old.exists()
    assert new.exists(), "somebody may be writing it"


def test_the_oldest_plans_go(cache):
    cache.dir.mkdir(mode=0o700)
    cache.give(cache.dir)
    for i in range(140):
        file = cache.dir / f"{i:064x}"
        file.touch(mode=0o600)
        cache.give(file)
        os.utime(file, (1000 + i, 1000 + i))
    for i in range(3):
        cache.run(f"--env=MARK={i}")
    names = {f.name for f in cache.files()}
    assert f"{0:064x}" not in names and f"{2:064x}" not in names
    assert f"{139:064x}" in names
    assert len(names) == 140
