# SPDX-License-Identifier: Apache-2.0
"""
`purple exec` brings in nobody: what it starts is bound by all that binds the
sandbox's own command, and is out of reach until it has become that command.
"""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import rows
from lab import CANNOT, CONTAINED, ESCAPED, build_directory
from test_attest import find_command, proc, status, wait_for

EXECS = 100
# Of /proc/PID/status: what tells one process from another, and what it happens to do.
OWN = re.compile(r"Name|State|T?N?gid|T?N?[pP]id|PPid|NS\w+|TracerPid|FDSize|Vm\w+|Rss\w+|Hugetlb\w+|"
                 r"Threads|SigQ|\w*Pnd|\w+_ctxt_switches|x86_\w+|untag_mask|Cpus\w+_list")
LIMITS = ("--memory", "200M", "--pids-limit", "50", "--cpus", "1", "--timeout", "120")


def same_file(path):
    st = os.stat(path)
    return st.st_dev, st.st_ino


def confinement(pid):
    """All of /proc that tells what a process may do, but not which one it is."""
    status_of = {key: value for key, value in status(pid).items() if not OWN.fullmatch(key)}
    assert {"Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters", "CapInh", "CapPrm",
            "CapEff", "CapBnd", "CapAmb", "SigBlk", "SigIgn", "Umask"} <= set(status_of)
    held = {"status": status_of}
    for name in ("cgroup", "limits", "oom_score_adj", "uid_map", "gid_map", "setgroups",
                 "timens_offsets", "loginuid", "personality", "coredump_filter", "environ",
                 "mountinfo", "attr/current"):
        with contextlib.suppress(FileNotFoundError, OSError):
            held[name] = proc(pid, name)
    for name in ("cgroup", "limits", "oom_score_adj", "uid_map", "mountinfo"):
        assert name in held
    held["ns"] = {name: os.readlink(f"/proc/{pid}/ns/{name}")
                  for name in os.listdir(f"/proc/{pid}/ns")}
    held["fds"] = sorted(os.listdir(f"/proc/{pid}/fd"))
    for name in ("root", "cwd", "exe"):
        held[name] = same_file(f"/proc/{pid}/{name}")
    # An undumpable process's files are root's, proc(5).
    held["dumpable owner"] = os.stat(f"/proc/{pid}/fd").st_uid
    held["nice"] = os.getpriority(os.PRIO_PROCESS, pid)
    held["scheduler"] = os.sched_getscheduler(pid), os.sched_getparam(pid).sched_priority
    return held


@pytest.fixture
def delegated(as_user, request):
    """Puts a process into groups in which it may set limits; as root any will do."""
    if as_user.uid == 0 or os.geteuid() != 0:
        yield None
        return
    made, procs = [], []
    tops = [p for p in map(pathlib.Path, ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"))
            if (p / "cgroup.procs").exists()]
    tops += [p for name in ("memory", "pids", "cpu", "freezer")
             if ((p := pathlib.Path("/sys/fs/cgroup") / name) / "cgroup.procs").exists()]
    for top in tops:
        group = top / f"purple-test-{os.getpid()}-exec"
        try:
            group.mkdir()
        except OSError:
            continue
        made.append(group)
        for path in (group, *group.iterdir()):
            os.chown(path, as_user.uid, as_user.uid)
        if (group / "cgroup.subtree_control").exists():
            (group / "leaf").mkdir()
            made.append(group / "leaf")
            for path in (group / "leaf", *(group / "leaf").iterdir()):
                os.chown(path, as_user.uid, as_user.uid)
            group = group / "leaf"
        procs.append(os.open(group / "cgroup.procs", os.O_WRONLY))

    def enter():
        for fd in procs:
            os.write(fd, b"0")
    yield enter
    for fd in procs:
        os.close(fd)
    for group in reversed(made):
        wait_for(lambda group=group: not (group / "cgroup.procs").read_text())
        for below in sorted((p for p in group.rglob("*") if p.is_dir()), reverse=True):
            below.rmdir()
        group.rmdir()


@contextlib.contextmanager
def sandbox(lab, options=(), command=("/bin/sh", "-c", "echo ready; exec sleep 600"), ready=True,
            **kw):
    """A named one; (its name, its supervisor), when its command has said that it is @ready."""
    name = f"exec-{os.getpid()}-{lab.runner.name}"
    p = lab.popen(command, (*options, "--name", name), stdout=subprocess.PIPE,
                  stderr=subprocess.PIPE, **kw)
    try:
        assert not ready or p.stdout.readline() == b"ready\n", p.communicate()
        yield name, p
    finally:
        p.terminate()
        p.communicate(timeout=20)


def enter(lab, name, *command, **kw):
    return lab.runner.run([lab.runner.purple, "exec", name, "--", *command], **kw)


@contextlib.contextmanager
def second(lab, name, launcher):
    """(the sandbox's own command, one that was exec'd beside it): the same program."""
    pid1, first = find_command(launcher, "sleep")
    p = lab.runner.popen([lab.runner.purple, "exec", name, "--", "/bin/sleep", "600"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def others():
        with contextlib.suppress(OSError):
            return [int(x) for x in proc(pid1, f"task/{pid1}/children").split()
                    if int(x) != first and proc(int(x), "comm") == "sleep\n"]
        return []
    try:
        wait_for(lambda: others() and len(os.listdir(f"/proc/{others()[0]}/fd")) == 3, 15)
        other, = others()
        for pid in (first, other):  # the loader is done
            wait_for(lambda pid=pid: "nanosleep" in proc(pid, "wchan"))
        yield first, other
    finally:
        p.terminate()
        p.communicate(timeout=20)


def check_same(lab, options, **kw):
    with sandbox(lab, options, ("/bin/sleep", "600"), False, **kw) as (name, launcher), \
            second(lab, name, launcher) as (first, other):
        want, have = confinement(first), confinement(other)
        for key, value in want.items():
            assert have[key] == value, key
        assert have == want
        assert have["fds"] == ["0", "1", "2"]
        assert have["status"]["Seccomp"] == "2" and have["status"]["NoNewPrivs"] == "1"
        assert set(have["status"][c] for c in ("CapInh", "CapPrm", "CapEff", "CapBnd",
                                               "CapAmb")) == {"0" * 16}
        have["supervisor's cgroup"] = proc(launcher.pid, "cgroup")
        return have


@pytest.mark.parametrize("profile", ["default", "strict", "coding-agent"])
def test_the_same_holds_it(lab, profile):
    lab.write_policy(profile)
    have = check_same(lab, ())
    here = {name: os.readlink(f"/proc/self/ns/{name}") for name in have["ns"]}
    assert not [name for name in here if have["ns"][name] == here[name]]


def test_the_same_limits_hold_it(lab, delegated):
    kw = {"preexec_fn": delegated} if delegated else {}
    probe = lab.run(["true"], LIMITS, **kw)
    if probe.returncode == 125 and "no control group" in probe.stderr:
        pytest.skip("no group can be delegated here")
    assert probe.returncode == 0, probe.stderr
    have = check_same(lab, LIMITS, **kw)
    outer = {line.split(":", 2)[1]: line for line in have["supervisor's cgroup"].splitlines()}
    for line in have["cgroup"].splitlines():
        kind = line.split(":", 2)[1]
        if kind in ("memory", "pids") or (kind == "" and "memory" not in outer):
            assert line != outer[kind], "exec'd, and not in the sandbox's group"


# ---- each layer alone, for one that was exec'd ----

ALONE = [row for row in rows.ALONE if row.id in (
    "mount-write", "mount-mask", "net-loopback", "net-interfaces", "net-abstract", "uts-name",
    "cgroup-ns", "time-ns", "ipc-segment", "caps-sets", "caps-net-admin", "landlock-write",
    "landlock-create", "landlock-abstract", "seccomp-io-uring", "user-nested", "pid-see")]


def attempt(row, lab, ops):
    """The probe of @row, exec'd into a sandbox whose plan was edited by @ops."""
    with row.setup(lab) if row.setup else contextlib.nullcontext({}) as names:
        if "skip" in names:
            pytest.skip(names["skip"])
        words = [str(w).format(**names) for w in row.probe]
        options = [str(w).format(**names) for w in row.options]
        if ops:
            lab.edit([str(op).format(**names) for op in ops], options)
            edited = lab.plan_file().read_bytes()
        with sandbox(lab, options) as (name, _):
            done = enter(lab, name, f"/probes/{words[0]}", *words[1:])
        assert not ops or lab.plan_file().read_bytes() == edited, "the edited plan was not used"
        return done


def expect(done, want, what):
    if done.returncode == CANNOT:
        pytest.skip(done.stdout.strip())
    assert done.returncode == want, f"{what}: {done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("row", ALONE, ids=lambda row: row.id)
def test_every_layer_holds_it(row, as_user, lab):
    if as_user.name not in row.users:
        pytest.skip(f"is about {' and '.join(row.users)} only")
    expect(attempt(row, lab, ()), CONTAINED, "with all layers")
    if row.base:
        expect(attempt(row, lab, row.base), CONTAINED, f"with {row.layer} alone")
    expect(attempt(row, lab, row.base + row.off), ESCAPED, f"without {row.layer}")


# ---- CVE-2016-9962, CVE-2022-31214: on the way in ----

def ambush(lab, count, options=()):
    """Exec many times into a sandbox that lies in wait; what it says of that."""
    with sandbox(lab, options, ("/probes/join",), stdin=subprocess.PIPE) as (name, p):
        for n in range(count):
            done = enter(lab, name, "/probes/join", "stay")
            assert done.returncode == 0, (n, done)
        out, err = p.communicate(timeout=20)
        return p.returncode, out.decode(), err.decode()


def test_nothing_is_had_of_one_that_comes_in(lab):
    """No descriptor, no program, no other root, no process to trace, at no moment of 100."""
    code, out, err = ambush(lab, EXECS)
    assert code == CONTAINED, out + err
    watched = re.findall(r"^(\w+): (\d+) processes, (\d+) looks, (\d+) before", out, re.M)
    assert [w[0] for w in watched] == ["fds", "exe", "root", "trace"]
    for way, seen, looks, _ in watched:
        # A watcher that is not scheduled for a while misses some.
        assert int(seen) >= EXECS // 10 and int(looks) >= int(seen), (way, out)
    assert sum(int(early) for *_, early in watched) > 0, "nobody was seen before its exec: " + out


def test_it_is_purple_init_that_keeps_them_away(lab, tools, purple_prefix):
    """
    The control: the same with a purple-init that is not undumpable. In a protected workspace each
    command has a Landlock domain of its own, which keeps them away as well.
    """
    prefix = lab.runner.base / "open"
    shutil.copytree(purple_prefix, prefix, symlinks=True)
    shutil.copy2(build_directory() / "tests" / "escape" / "open-init",
                 prefix / "libexec" / "purple" / "purple-init")
    lab.runner.purple = str(prefix / "bin" / "purple")
    code, out, err = ambush(lab, EXECS, ["--protect", "!**"])
    assert code == ESCAPED, out + err
