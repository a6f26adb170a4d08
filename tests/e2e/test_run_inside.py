# SPDX-License-Identifier: Apache-2.0
"""What a command finds inside: environment, workspace, directories, limits."""
import os
import pathlib
import re
import resource
import shutil
import signal
import stat
import textwrap
import time

import pytest

from running import descendants, eventually, needs_root, ok, refused, run, shell, start


# --- environment ----------------------------------------------------------

OURS = {"PATH", "HOME", "USER", "LOGNAME", "SHELL"}


def environment(runner, *options, **kw):
    out = ok(run(runner, "cat", "/proc/self/environ", options=options, **kw))
    return dict(entry.split("=", 1) for entry in out.split("\0") if entry)


def test_environment_is_scrubbed(as_user):
    secrets = ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "DATABASE_URL",
               "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "BASH_ENV", "ENV", "PROMPT_COMMAND",
               "GIT_DIR", "GIT_SSH_COMMAND", "GIT_CONFIG_GLOBAL", "NODE_OPTIONS", "PYTHONPATH",
               "PYTHONSTARTUP", "PERL5OPT", "RUBYOPT", "JAVA_TOOL_OPTIONS", "BASH_FUNC_ls%%",
               "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "XDG_RUNTIME_DIR", "TMPDIR", "IFS", "MAIL",
               "GCONV_PATH", "LOCPATH", "TZDIR", "TERMINFO", "LC", "LANGX", "TZX", "XLANG"]
    as_user.env.update({name: "secret" for name in secrets})
    as_user.env.update(LANG="C.UTF-8", LC_ALL="C", TZ="Asia/Tokyo", TERM="xterm",
                       PATH="/evil:/bin:/usr/bin")
    env = environment(as_user)
    assert set(env) == OURS | {"LANG", "LC_ALL", "TZ", "TERM"}
    assert "secret" not in env.values()
    assert env["TZ"] == "Asia/Tokyo" and env["LANG"] == "C.UTF-8"
    assert "/evil" not in env["PATH"]
    assert env["HOME"] == str(as_user.home)


def test_time_zone_works(as_user):
    if not os.path.exists("/usr/share/zoneinfo/Asia/Tokyo"):
        pytest.skip("no time zones installed")
    as_user.env["TZ"] = "Asia/Tokyo"
    assert ok(run(as_user, "date", "+%z")) == "+0900\n"


def test_environment_options(as_user):
    as_user.env.update(TOKEN="t", MINE_A="a", MINE_B="b", OTHER="o")
    env = environment(as_user, "--pass-env", "TOKEN", "--pass-env", "MINE_*", "--pass-env",
                      "ABSENT", "--env", "SET=1=2", "--env", "LANG=xx")
    assert env["TOKEN"] == "t" and env["MINE_A"] == "a" and env["MINE_B"] == "b"
    assert env["SET"] == "1=2" and env["LANG"] == "xx"
    assert "OTHER" not in env and "ABSENT" not in env


def test_environment_of_pid_1_tells_nothing(as_user):
    as_user.env["SECRET"] = "hidden-in-the-launcher"
    for delay in ("", "sleep 0.05; "):
        out = shell(as_user, delay + "cat /proc/*/environ /proc/1/cmdline 2>/dev/null")
        assert "hidden-in-the-launcher" not in out.stdout
        assert "SECRET" not in out.stdout


def test_malformed_environment(as_user):
    """Entries without =, doubled, empty, large: nothing of it matters."""
    as_user.env.update({"LC_X": "y" * 100000, "LC_EMPTY": "", "LC_NL": "a\nb"})
    env = environment(as_user)
    assert len(env["LC_X"]) == 100000 and env["LC_EMPTY"] == "" and env["LC_NL"] == "a\nb"


def test_too_many_variables(as_user):
    as_user.env.update({f"LC_{i}": "x" for i in range(600)})
    refused(run(as_user, "true"), 125, "environment")


def test_many_variables_that_stay_outside(as_user):
    as_user.env.update({f"X_{i}": "x" for i in range(5000)})
    assert set(environment(as_user)) <= OURS | {"LANG"}


# --- workspace ------------------------------------------------------------

def test_workspace_is_the_current_directory(as_user):
    as_user.write("file", "content\n")
    out = ok(shell(as_user, "pwd; cat file; echo new >made; ls -A"))
    assert out == f"{as_user.workspace}\ncontent\nfile\nmade\n"
    made = as_user.workspace / "made"
    assert made.read_text() == "new\n"
    assert (made.stat().st_uid, made.stat().st_gid) == (as_user.uid, as_user.uid)
    assert stat.S_IMODE(made.stat().st_mode) == 0o644


@pytest.mark.parametrize("how", ["absolute", "relative", "symlink", "trailing", "long option"])
def test_workspace_by_option(as_user, how):
    other = as_user.workspace / "other"
    as_user.write("other/file", "x")
    link = as_user.base / "link"
    link.symlink_to(other)
    options = {"absolute": ["-w", other], "relative": ["-w", "./other"], "symlink": ["-w", link],
               "trailing": ["-w", f"{other}//"], "long option": [f"--dir={other}"]}[how]
    out = ok(shell(as_user, "pwd; echo ..; ls -A ..; touch made", options=options))
    assert out == f"{other}\n..\nother\n", "the real path, and nothing beside it"
    assert (other / "made").exists()


@pytest.mark.parametrize("name", ["with space", "new\nline", "colon:comma,", "ünïcode-日本",
                                  "back\\slash", "-dash", "quote'\"", "x" * 200, "~", "..."])
def test_workspace_with_an_odd_name(as_user, name):
    directory = as_user.workspace / name
    directory.mkdir()
    os.chown(directory, as_user.uid, as_user.uid)
    ok(shell(as_user, "echo x >made; cat made", options=["-w", directory]))
    assert (directory / "made").read_text() == "x\n"
    ok(shell(as_user, "echo x >again", cwd=directory))


@pytest.mark.parametrize("where", ["/", "/etc", "/usr", "/usr/lib", "/bin", "/dev", "/dev/shm",
                                   "/proc", "/sys", "/run", "/var/lib", "/boot", "/var",
                                   "/home", "HOME",
                                   "above HOME", "far above HOME"])
def test_workspace_refused(as_user, where):
    where = {"HOME": as_user.home, "above HOME": as_user.base,
             "far above HOME": as_user.base.parent}.get(where, where)
    if not os.path.isdir(where):
        pytest.skip(f"there is no {where} here")
    err = refused(shell(as_user, "echo ran", options=["-w", where]), 125, "workspace")
    assert "-w DIR" in err
    if str(where) != "/proc" and os.access(where, os.X_OK):
        refused(shell(as_user, "echo ran", cwd=where), 125, "workspace")


@pytest.mark.parametrize("where,word", [("/no/such", "No such file"), ("file", "Not a directory"),
                                        ("", "needs a value"), ("loop", "ymbolic link"),
                                        ("x" * 5000, "too long")])
def test_workspace_that_cannot_be(as_user, where, word):
    as_user.write("file", "")
    (as_user.workspace / "loop").symlink_to("loop")
    refused(run(as_user, "true", options=["-w", where]), 125, word)


def test_workspace_that_was_deleted(as_user):
    gone = as_user.workspace / "gone"
    gone.mkdir()
    done = as_user.run(["sh", "-c", 'cd gone && rmdir ../gone && exec "$0" run -- true',
                        as_user.purple])
    if as_user.uid != 0 and gone.exists():
        pytest.skip("could not be deleted")
    refused(done, 125, "workspace")


def test_workspace_read_only_and_none(as_user):
    as_user.write("file", "x")
    done = shell(as_user, "cat file; echo y >file", options=["--workspace", "read-only"])
    assert done.stdout == "x" and done.returncode != 0
    assert (as_user.workspace / "file").read_text() == "x"
    out = ok(run(as_user, "pwd", options=["--workspace", "none"], cwd="/"))
    assert out == "/\n", "without a workspace, any directory will do"


def test_workspace_of_somebody_else(as_user):
    """Nothing becomes possible that was not before."""
    other = as_user.base / "foreign"
    other.mkdir(mode=0o755)
    os.chown(other, 4711, 4711) if os.geteuid() == 0 else None
    done = shell(as_user, "id -u; touch made", options=["-w", other])
    if as_user.uid == 0:
        assert done.stdout == "4711\n" and done.returncode == 0
        assert (other / "made").stat().st_uid == 4711
    elif os.geteuid() == 0:
        assert done.stdout == f"{as_user.uid}\n" and done.returncode != 0
        assert "Permission denied" in done.stderr and not (other / "made").exists()


@needs_root
def test_workspace_that_cannot_be_entered(as_user):
    if as_user.uid == 0:
        pytest.skip("root enters everything")
    locked = as_user.base / "locked"
    locked.mkdir(mode=0o700)
    done = shell(as_user, "ls -A", options=["-w", locked])
    assert done.returncode != 0 and "Permission denied" in done.stderr


@needs_root
def test_workspace_of_an_owner_outside_the_range(as_user):
    other = as_user.base / "high"
    other.mkdir()
    os.chown(other, 70000, 70000)
    done = run(as_user, "true", options=["-w", other])
    if as_user.uid == 0:
        refused(done, 125, "70000", "run purple as that user")
    else:
        ok(done)


@needs_root
@pytest.mark.parametrize("owner", [0, 1001, 65533])
def test_who_is_inside_has_a_name(as_user, owner):
    """ssh and others refuse to work for one without; as root it is the workspace's owner."""
    other = as_user.base / "other"
    other.mkdir()
    os.chown(other, owner, owner + 1 if owner == 1001 else owner)
    out = ok(shell(as_user, """
        id -un; id -gn
        test "$(getent passwd $(id -u) | cut -d: -f3,4)" = "$(id -u):$(id -g)"
        test "$(getent group $(id -g) | cut -d: -f3)" = "$(id -g)"
    """, options=["-w", other]))
    name = as_user.name if as_user.uid else "user" if owner else "root"
    assert out.split() == [name, name]


@needs_root
def test_root_does_not_work_with_host_ids(as_user):
    """What root starts runs under ids that are nobody's on the host."""
    with start(as_user, "sleep", "100") as p:
        try:
            assert eventually(lambda: len(descendants(p.pid)) == 2)
            time.sleep(0.05)
            status = pathlib.Path(f"/proc/{descendants(p.pid)[-1]}/status").read_text()
            uids = re.search(r"^Uid:\s+(.*)", status, re.M).group(1).split()
            groups = re.search(r"^Groups:[ \t]*(.*)", status, re.M).group(1).split()
            if as_user.uid == 0:
                assert all(0x70000000 <= int(u) < 0x80000000 for u in uids)
            else:
                assert set(uids) == {str(as_user.uid)}
            assert groups == []
        finally:
            p.kill()


# --- where and how --------------------------------------------------------

def test_working_directory(as_user):
    as_user.write("sub/file", "")
    assert ok(run(as_user, "pwd", options=["--workdir", "./sub"])).strip().endswith("/work/sub")
    assert ok(run(as_user, "pwd", options=["--workdir", "/tmp"])) == "/tmp\n"
    assert ok(run(as_user, "pwd", options=["--workdir", "~/"])) == f"{as_user.home}\n"
    refused(run(as_user, "pwd", options=["--workdir", "/no/such"]), 125, "/no/such")


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_umask_is_always_the_same(as_user, mask):
    out = ok(shell(as_user, "umask; touch made; mkdir dir", preexec_fn=lambda: os.umask(mask)))
    assert out == "0022\n"
    assert stat.S_IMODE((as_user.workspace / "made").stat().st_mode) == 0o644
    assert stat.S_IMODE((as_user.workspace / "dir").stat().st_mode) == 0o755


def test_modes_do_not_depend_on_the_umask(as_user):
    show = "stat -c '%a %n' / /etc /etc/passwd /tmp /dev /dev/shm /dev/null ~ /var /var/tmp"
    plain = ok(shell(as_user, show))
    assert "1777 /tmp\n" in plain and "644 /etc/passwd\n" in plain
    for mask in (0o077, 0o000):
        assert ok(shell(as_user, show, preexec_fn=lambda m=mask: os.umask(m))) == plain


def test_home_is_scratch(as_user):
    secret = as_user.home / ".netrc"
    secret.write_text("password")
    os.chown(secret, as_user.uid, as_user.uid)
    out = ok(shell(as_user, "ls -A ~; echo x >~/mine; mkdir -p ~/.config/a; cat ~/mine"))
    assert out == "x\n"
    assert not (as_user.home / "mine").exists() and not (as_user.home / ".config").exists()
    assert ok(shell(as_user, "ls -A ~")) == "", "each start has its own"


def test_home_that_is_odd(as_user):
    for home in ("/", "relative", "", "/no/such/home", "/tmp"):
        as_user.env["HOME"] = home
        as_user.env["XDG_CACHE_HOME"] = str(as_user.base / "home" / ".cache")
        done = run(as_user, "true", options=["--workspace", "none"])
        assert done.returncode in (0, 125), done.stderr
        if done.returncode:
            refused(done, 125)
    del as_user.env["HOME"]
    ok(shell(as_user, "cd; pwd"))


def test_system_is_read_only(as_user):
    out = ok(shell(as_user, """
        for d in / /usr /usr/bin /etc /bin /lib /dev /opt /var; do
            if touch $d/made 2>/dev/null; then echo $d; fi
        done
        for d in /tmp /var/tmp /dev/shm; do touch $d/made || echo "not $d"; done
    """))
    assert out == ""


def test_hostname_and_accounts(as_user):
    out = ok(shell(as_user, "uname -n; cat /etc/hostname 2>/dev/null; id -un; cat /etc/passwd"))
    lines = out.splitlines()
    assert lines[0] == "purple"
    assert len(lines) <= 6
    assert any(line.split(":")[2:3] == [str(as_user.uid)] for line in lines[2:])


# --- limits ---------------------------------------------------------------

def test_scratch_limit(as_user):
    out = ok(shell(as_user, """
        exec 2>&1
        head -c 3M /dev/zero >/tmp/a && echo a
        head -c 3M /dev/zero >/dev/shm/b && echo b
        rm -f /tmp/a /dev/shm/b; head -c 3M /dev/zero >~/c && echo c
    """, options=["--scratch-size", "4M"])).splitlines()
    assert (out[0], out[-1]) == ("a", "c")
    assert "b" not in out and "No space left" in out[1], "the limit is for all together"


def test_scratch_files_limit(as_user):
    """Names cost memory as well."""
    done = shell(as_user, "i=0; while [ $i -lt 3000 ]; do : >/tmp/$i || exit 9; i=$((i+1)); done",
                 options=["--scratch-size", "1M"])
    assert done.returncode in (2, 9) and "No space left" in done.stderr


def test_limits(as_user):
    options = ["--open-files", "40", "--pids-limit", "77", "--file-size", "1M", "--core-size",
               "0", "--stack-size", "2M", "--cpu-time", "50"]
    out = ok(run(as_user, "cat", "/proc/self/limits", options=options))
    limits = {line[:25].strip(): line[26:].split()[:2] for line in out.splitlines()[1:]}
    assert limits["Max open files"] == ["40", "40"]
    # One more where there is a group, which is to refuse first.
    assert limits["Max processes"] in (["77", "77"], ["93", "93"])
    assert limits["Max file size"] == ["1048576", "1048576"]
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max stack size"] == ["2097152", "2097152"]
    assert limits["Max cpu time"] == ["52", "52"]  # the supervisor comes first, at 50


def test_open_files_limit(as_user):
    done = shell(as_user, "for i in 3 4 5 6 7 8 9; do eval \"exec $i</dev/null\"; done",
                 options=["--open-files", "8"])
    assert done.returncode != 0


def test_file_size_limit(as_user):
    done = shell(as_user, "exec head -c 2M /dev/zero >big", options=["--file-size", "1M"])
    assert done.returncode == 128 + signal.SIGXFSZ
    assert (as_user.workspace / "big").stat().st_size == 1 << 20


def test_processor_time_limit(as_user):
    done = shell(as_user, "while :; do :; done", options=["--cpu-time", "1"])
    assert done.returncode == 124


def test_no_core_is_dumped(as_user):
    def unlimited():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    done = shell(as_user, "ulimit -c; kill -SEGV $$", preexec_fn=unlimited)
    assert done.stdout == "0\n" and done.returncode == 128 + signal.SIGSEGV
    assert list(as_user.workspace.iterdir()) == []


@pytest.mark.skipif(not shutil.which("python3", path="/usr/bin"), reason="needs python3")
def test_pids_limit(as_user):
    """Threads count too, and other processes of the same user do not."""
    others = [as_user.popen(["sleep", "60"]) for _ in range(25)]
    try:
        out = ok(run(as_user, "/usr/bin/python3", "-c", textwrap.dedent("""\
            import errno, os, threading, time
            n = 0
            try:
                for n in range(100):
                    if os.fork() == 0:
                        time.sleep(60)
            except OSError as e:
                print(n, errno.errorcode[e.errno])
            try:
                threading.Thread(target=print).start()
                print("thread")
            except RuntimeError:
                print("none")
            """), options=["--pids-limit", "20"]))
    finally:
        for p in others:
            p.kill()
            p.wait()
    count, error, thread = out.split()
    assert 16 <= int(count) <= 20 and error == "EAGAIN" and thread == "none"


@pytest.mark.parametrize("options", [[], ["--name", f"tight-{os.getpid()}"]], ids=["run", "named"])
def test_limit_of_the_caller_that_is_tighter_stays(as_user, options):
    """And holds for the supervisor's poll(2), which it would refuse to have more places."""
    def tight():
        resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))

    assert ok(shell(as_user, "ulimit -Hn", preexec_fn=tight, options=options)) == "50\n"
