# SPDX-License-Identifier: Apache-2.0
"""
A failure, or a SIGKILL, at every call that builds a sandbox (crun#2262: an
ignored ELOOP fell back to a path). strace makes the calls fail. Each time:
exit 125 with one message, the command not run, nothing left behind.
"""
import os
import re
import shutil
from collections import Counter

import pytest

from hostmounts import host_mounts

STRACE = shutil.which("strace")
pytestmark = pytest.mark.skipif(not STRACE, reason="needs strace")

# Every call that a sandbox is built with. Of those that the launcher makes for
# other ends too (openat, read, close …) only the ones that build are listed.
CALLS = ("clone3 clone setsid keyctl sethostname landlock_create_ruleset landlock_add_rule "
         "landlock_restrict_self open_tree mount_setattr move_mount fsopen fsconfig fsmount "
         "openat2 mkdirat symlinkat mount pivot_root umount2 fchdir setresuid setresgid "
         "capset prctl seccomp execveat unshare setns socketpair "
         "sendmsg recvmsg").split()

LINE = re.compile(r"^(?:(\d+) +)?(?:\[pid +(\d+)\] )?(\w+)\(")


def marker(lab):
    return lab.runner.workspace / "marker"


def command(lab):
    return ["/probes/file", "stay", str(marker(lab))]


def traced(lab, *options, **kw):
    """Run under strace with a plan from the cache; the marker is removed before."""
    marker(lab).unlink(missing_ok=True)
    log = lab.runner.base / "trace"
    log.write_text("")
    lab.own(log)
    return log, lab.run(command(lab), before=[STRACE, "-f", "-qq", "-o", log, *options], **kw)


def call_counts(lab):
    """How often each call is made by the process that makes it most, up to the exec of init."""
    log, done = traced(lab, "-e", "trace=" + ",".join(CALLS))
    assert done.returncode == 1 and marker(lab).exists(), done
    counts, stopped = Counter(), set()
    for line in log.read_text().splitlines():
        match = LINE.match(line)
        if not match or match[1] in stopped:
            continue
        counts[match[1], match[3]] += 1
        if match[3] == "execveat":
            stopped.add(match[1])
    most = Counter()
    for (_, name), n in counts.items():
        most[name] = max(most[name], n)
    return most


def check(lab, done, what, statuses):
    assert done.returncode in statuses, f"{what}: {done}"
    # A command beside which purple-init fails to start may have begun.
    if not what.startswith("execveat"):
        assert not marker(lab).exists(), f"{what}: the command has run"
    if done.returncode == 125:
        lines = [line for line in done.stderr.splitlines() if line.startswith("purple: ")]
        assert len(lines) == 1, f"{what}: {done.stderr}"


def points(counts, everything):
    for name in CALLS:
        last = counts[name]
        if last:
            yield from ((name, n) for n in (range(1, last + 1) if everything
                                            else sorted({1, last})))


def sweep(lab, everything, how, statuses):
    """@how: what strace shall do to the Nth call."""
    lab.compile()
    counts = call_counts(lab)
    assert counts["move_mount"] > 10 and counts["seccomp"] == 1
    before = host_mounts(lab.runner.base)
    plans = set(os.listdir(lab.cache))
    for name, n in points(counts, everything):
        what = f"{name} {n} {how}"
        _, done = traced(lab, "-e", f"trace={name}", "-e", f"inject={name}:{how}:when={n}")
        check(lab, done, what, statuses)
        assert host_mounts(lab.runner.base) == before, what
        # strace ends with the last process: none is left. Files neither:
        assert sorted(os.listdir(lab.runner.workspace)) == \
            (["marker"] if marker(lab).exists() else []), what
        # The launcher looks anew at what the kernel has when a start fails: another plan then.
        if name == "landlock_create_ruleset":
            plans |= set(os.listdir(lab.cache))
        assert set(os.listdir(lab.cache)) == plans, what
        home = set(os.listdir(lab.runner.home))
        assert home == set() if lab.root else {".cache"} <= home <= {".cache", ".local"}, what


@pytest.mark.parametrize("everything", [False, pytest.param(True, marks=pytest.mark.long)],
                         ids=["some", "every"])
@pytest.mark.parametrize("error", ["ELOOP", pytest.param("ENOMEM", marks=pytest.mark.long)])
def test_a_failing_call_ends_the_start(lab, error, everything):
    sweep(lab, everything, f"error={error}", {125})


@pytest.mark.parametrize("everything", [False, pytest.param(True, marks=pytest.mark.long)],
                         ids=["some", "every"])
def test_killed_at_a_call(lab, everything):
    """PID 1, or the launcher, gets SIGKILL: then the launcher says so, or is gone itself."""
    sweep(lab, everything, "signal=SIGKILL", {125, 128 + 9, -9})


def test_nothing_undoes_that_nobody_may_trace_the_launcher(lab):
    """
    PID 1 and the command's task run in the launcher's memory. A change of ids in either makes it
    what fs.suid_dumpable says, possibly traceable (commit_creds() in the kernel), at whatever
    time: so each says once more that it is not, after its last one and before the command runs.
    """
    lab.compile()
    log, done = traced(lab, "-e", "trace=setresuid,setresgid,capset,prctl,execve,execveat")
    assert done.returncode == 1 and marker(lab).exists(), done
    calls = {}
    for line in log.read_text().splitlines():
        match = LINE.match(line)
        if match and match[1] not in ("", None):
            calls.setdefault(match[1], []).append((match[3], line))
    changed = [of for of in calls.values() if any(name == "setresuid" for name, _ in of)]
    assert len(changed) == 2  # PID 1 and the task
    for of in changed:
        names = [name for name, _ in of]
        last = max(i for i, name in enumerate(names)
                   if name in ("setresuid", "setresgid", "capset"))
        end = next((i for i, name in enumerate(names) if i > last and name.startswith("exec")),
                   len(names))
        assert any("PR_SET_DUMPABLE, SUID_DUMP_DISABLE" in line for _, line in of[last:end]), of
