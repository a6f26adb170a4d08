# SPDX-License-Identifier: Apache-2.0
"""What the plan says is what the kernel says of the process: nothing more, nothing less."""
import os
import pathlib
import subprocess
import time

import pytest

LAYERS = ["user", "pid", "mount", "net", "ipc", "uts", "cgroup", "time", "capabilities",
          "no_new_privs", "landlock", "seccomp"]
NS_FILES = {"mount": "mnt"}
SHIPPED = ["default", "strict", "coding-agent", "python", "node", "ci-worker", "code-analyst",
           "data-retriever", "honeypot"]
MOUNTED = {"bind", "workspace", "tmpfs", "scratch", "proc", "sysfs", "devpts", "device",
           "mask_file", "mask_dir"}
LIMITS = {"RLIMIT_NPROC": "Max processes", "RLIMIT_NOFILE": "Max open files",
          "RLIMIT_FSIZE": "Max file size", "RLIMIT_CORE": "Max core file size",
          "RLIMIT_STACK": "Max stack size", "RLIMIT_CPU": "Max cpu time",
          "RLIMIT_SIGPENDING": "Max pending signals", "RLIMIT_MSGQUEUE": "Max msgqueue size",
          "RLIMIT_MEMLOCK": "Max locked memory"}


def children(pid):
    try:
        return [int(c) for c in
                pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def find_command(launcher, name, deadline=10.0):
    """The host's pid of the command, once it has been executed."""
    end = time.monotonic() + deadline
    while time.monotonic() < end and launcher.poll() is None:
        for pid1 in children(launcher.pid):
            for pid in children(pid1):
                try:
                    if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name:
                        return pid1, pid
                except OSError:
                    pass
        time.sleep(0.005)
    raise AssertionError(f"no {name} was started: {launcher.communicate()}")


def wait_for(condition, deadline=5.0):
    """PID 1 locks itself and becomes purple-init a few milliseconds after the command starts."""
    end = time.monotonic() + deadline
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)


@pytest.fixture(params=SHIPPED)
def attested(request, lab):
    """(plan as JSON, launcher, pid of PID 1, pid of the command, lab)"""
    lab.write_policy(request.param)
    lab.compile()
    shown = lab.run_plan()
    launcher = lab.popen(["/bin/sleep", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        pid1, pid = find_command(launcher, "sleep")
        wait_for(lambda: proc(pid1, "comm") != proc(launcher.pid, "comm"))
        wait_for(lambda: status(pid1)["Seccomp"] == "2")
        yield shown, pid1, pid, lab
    finally:
        launcher.terminate()
        launcher.communicate()


def proc(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}").read_text()


def status(pid):
    return dict(line.split(":\t", 1) for line in proc(pid, "status").splitlines()
                if ":\t" in line)


def cap_mask(names):
    header = pathlib.Path("/usr/include/linux/capability.h").read_text()
    numbers = {w[1]: int(w[2]) for w in map(str.split, header.splitlines())
               if len(w) >= 3 and w[0] == "#define" and w[1].startswith("CAP_") and w[2].isdigit()}
    return sum(1 << numbers[name] for name in names)


def mounts_of(pid):
    """Mount point → the set of its options, in the order of mounting; the last one counts."""
    table = {}
    for line in proc(pid, "mountinfo").splitlines():
        fields = line.split()
        table[fields[4].encode().decode("unicode_escape")] = set(fields[5].split(","))
    return table


def compare_mounts(plan, pid, workspace):
    table = mounts_of(pid)
    root = table.pop("/")
    assert {"ro", "nosuid", "nodev"} <= root
    recursive = []
    for mount in plan["mounts"]:
        if mount["kind"] not in MOUNTED:
            continue
        target = mount["target"]
        if mount["kind"] == "workspace":
            target = workspace
        elif target.startswith("."):
            target = workspace + target[1:]
        options = table.pop(target, None)
        # What this kernel does not have needs no mask, and must not be there.
        if options is None and mount["kind"].startswith("mask") and \
                not os.path.lexists(f"/proc/{pid}/root{target}"):
            continue
        assert options is not None, f"{target} is in the plan and not mounted"
        want = {f for f in mount["flags"] if f in ("ro", "nosuid", "nodev", "noexec")}
        have = options & {"ro", "nosuid", "nodev", "noexec"}
        # A bind keeps what its source had; the plan only adds.
        if mount["kind"] in ("bind", "workspace", "device"):
            assert want <= have, (target, want, have)
        else:
            assert want == have, (target, want, have)
        if "rec" in mount["flags"]:
            recursive.append(target)
    left = [t for t in table if not any(t.startswith(r.rstrip("/") + "/") for r in recursive)]
    assert not left, f"mounted and not in the plan: {left}"


def test_twelve_layers(attested):
    plan, *_ = attested
    assert [layer["layer"] for layer in plan["layers"]] == LAYERS
    assert {layer["state"] for layer in plan["layers"]} == {"enforced"}
    assert plan["downgrades"] == []


def test_process(attested):
    plan, pid1, pid, lab = attested
    names = {"CapInh": "inheritable", "CapPrm": "permitted", "CapEff": "effective",
             "CapBnd": "bounding", "CapAmb": "ambient"}
    for who in (pid, pid1):
        have = status(who)
        for field, key in names.items():
            assert int(have[field], 16) == cap_mask(plan["capabilities"][key]), (who, field)
        assert have["NoNewPrivs"] == "1"
        assert have["Seccomp"] == "2"
        assert have["Seccomp_filters"] == "1"
        uids, gids = set(have["Uid"].split()), set(have["Gid"].split())
        assert len(uids) == len(gids) == 1
        if plan["identity"]["idmap"] == "range":
            # 65536 ids from 0x70000000 up; never the host's 0, no group left over.
            assert 0x70000000 <= int(uids.pop()) < 0x80000000
            assert have["Groups"].split() == []
        else:
            assert uids == {str(lab.runner.uid)}
        assert (int(have["NStgid"].split()[-1]) == 1) == (who == pid1)


def test_namespaces(attested):
    plan, pid1, pid, _ = attested
    assert sorted(plan["namespaces"]) == sorted(LAYERS[:8])
    for name in plan["namespaces"]:
        file = NS_FILES.get(name, name)
        own, inner = os.readlink(f"/proc/self/ns/{file}"), os.readlink(f"/proc/{pid}/ns/{file}")
        assert own != inner, f"{name}: the host's"
        assert inner == os.readlink(f"/proc/{pid1}/ns/{file}"), name


def test_id_maps(attested):
    plan, _, pid, lab = attested
    assert proc(pid, "setgroups").strip() == "deny"
    for file in ("uid_map", "gid_map"):
        (line,) = proc(pid, file).splitlines()
        inside, outside, count = map(int, line.split())
        if plan["identity"]["idmap"] == "range":
            assert (inside, count) == (0, 65536)
            assert 0x70000000 <= outside < 0x80000000 and outside % 65536 == 0
        else:
            assert (inside, outside, count) == (lab.runner.uid, lab.runner.uid, 1)


def test_mounts(attested):
    plan, _, pid, lab = attested
    compare_mounts(plan, pid, str(lab.runner.workspace))


def test_limits(attested):
    plan, _, pid, _ = attested
    table = {line[:26].strip(): line[26:].split()[:2] for line in
             proc(pid, "limits").splitlines()}
    for limit in plan["rlimits"]:
        name = limit["resource"] if limit["resource"].startswith("RLIMIT_") else \
            f"RLIMIT_{limit['resource'].upper()}"
        have = table[LIMITS[name]]
        for value, want in zip(have, (limit["soft"], limit["hard"])):
            if want is None:
                continue
            # The caller may have had less, and never gets more by it.
            assert value != "unlimited" and int(value) <= want, (name, value, want)


def test_environment(attested):
    plan, _, pid, lab = attested
    have = [v for v in proc(pid, "environ").split("\0") if v]
    passed = plan["environment"]["pass"]
    for entry in have:
        name = entry.split("=")[0]
        assert entry in plan["environment"]["set"] or any(
            name.startswith(p[:-1]) if p.endswith("*") else name == p for p in passed), entry
    assert set(plan["environment"]["set"]) <= set(have)


def test_descriptors_and_places(attested):
    plan, _, pid, lab = attested
    # The loader has its libraries open for a moment.
    wait_for(lambda: sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"])
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    where = plan["identity"]["working_dir"]
    cwd = os.readlink(f"/proc/{pid}/cwd")
    if where:
        assert cwd.rstrip("/") == where.rstrip("/")
    else:
        assert cwd == str(lab.runner.workspace)


def test_security_module(attested):
    """No module's profile is promised by these plans, and none is shown: as the caller's."""
    _, _, pid, _ = attested
    try:
        inner = proc(pid, "attr/current")
    except OSError:
        pytest.skip("no security module that labels processes")
    assert inner.rstrip("\0\n") in (proc("self", "attr/current").rstrip("\0\n"), "unconfined")
