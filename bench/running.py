# SPDX-License-Identifier: Apache-2.0
"""One more command in a sandbox that runs: `purple exec`, the setns floor, `crun exec`."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from common import Alive, Target, identity, is_tiny, row_of, spawn, tree, works

TITLES = {
    "bare": "bare spawn",
    "setns": "floor: setns, all layers",
    "purple": "purple exec",
    "crun": "crun exec",
}
CRUN_NAMESPACES = ["user", "pid", "mount", "network", "ipc", "uts", "cgroup"]
HYBRID = pathlib.Path("/sys/fs/cgroup/unified")


def crun_view():
    """What to put before a command so that crun can work below it.

    crun refuses a host with both versions of cgroups once version 2 has a
    controller. Below this it sees version 1 alone.
    """
    if os.geteuid() != 0 or not (HYBRID / "cgroup.controllers").exists():
        return []
    return ["unshare", "--mount", "sh", "-c", f'umount {HYBRID} && exec "$@"', "sh"]


def crun_config(bundle, uid):
    """The least that is a container: its own namespaces, no capabilities, one seccomp filter."""
    one = [{"containerID": 0, "hostID": uid, "size": 1}]
    refused = ["mount", "umount2", "reboot", "bpf", "setns", "unshare"]
    return {
        "ociVersion": "1.0.0",
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "cwd": "/",
                    "args": ["/tiny", "sleep"], "env": ["PATH=/"], "noNewPrivileges": True,
                    "capabilities": {}},
        "root": {"path": str(bundle / "rootfs"), "readonly": True},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
        "linux": {"namespaces": [{"type": kind} for kind in CRUN_NAMESPACES],
                  "uidMappings": one, "gidMappings": one,
                  "seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                              "syscalls": [{"names": refused, "action": "SCMP_ACT_ERRNO"}]}},
    }


class Failed(Exception):
    """Why a row cannot be measured."""


def call(place, uid, argv, **kw):
    """Run, and raise its last words where it fails. No pipe: what it leaves running holds it."""
    with tempfile.TemporaryFile("w+") as errors:
        try:
            r = subprocess.run(argv, env=place.env(uid), stdin=subprocess.DEVNULL, timeout=60,
                               stdout=subprocess.DEVNULL, stderr=errors, check=False, **kw)
        except (OSError, subprocess.TimeoutExpired) as e:
            raise Failed(str(e)) from e
        if r.returncode != 0:
            errors.seek(0)
            raise Failed((errors.read().strip().splitlines()
                          or [f"exit status {r.returncode}"])[-1])


@contextlib.contextmanager
def crun_container(place, uid):
    """A container that sleeps; gives the command that runs tiny in it."""
    if not shutil.which("crun"):
        raise Failed("not there")
    bundle = place.base / f"crun-{uid}"
    (bundle / "rootfs" / "proc").mkdir(parents=True)
    (bundle / "rootfs" / "dev").mkdir()
    shutil.copy2(place.work / "tiny", bundle / "rootfs" / "tiny")
    (bundle / "config.json").write_text(json.dumps(crun_config(bundle, uid)))
    if uid != os.geteuid():
        os.chown(bundle, uid, uid)
    crun = ["crun", "--root", str(bundle / "state")]
    name = f"purple-bench-{os.getpid()}"
    prefix = crun_view()
    if uid != os.geteuid():
        prefix += ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
    try:
        call(place, uid, [*prefix, *crun, "run", "--detach", "--bundle", str(bundle), name])
        argv = [*crun, "exec", name, "/tiny"]
        call(place, uid, [*prefix, *argv])
        yield argv
    finally:
        with contextlib.suppress(Failed):
            call(place, uid, [*prefix, *crun, "delete", "--force", name])
        # A start that fails half-way leaves its groups.
        for group in pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}"):
            with contextlib.suppress(OSError):
                group.rmdir()


@contextlib.contextmanager
def purple_sandbox(place, uid):
    if not place.purple:
        raise Failed("not there")
    purple, name, tiny = str(place.purple), f"bench-{os.getpid()}", str(place.work / "tiny")
    how = {"cwd": place.work, **identity(uid)}
    try:
        call(place, uid, [purple, "run", "-p", "default", "--detach", "--name", name, "--",
                          tiny, "sleep"], **how)
        yield [purple, "exec", name, "--", tiny]
    finally:
        with contextlib.suppress(Failed):
            call(place, uid, [purple, "rm", "--force", name], **how)


@contextlib.contextmanager
def running_floor(place, uid):
    try:
        with Alive(place, uid, [str(place.work / "floor")], 1) as alive:
            pid = next(pid for pid in tree(alive.procs[0].pid) if is_tiny(pid))
            yield [str(place.work / "setns"), str(pid), str(place.work / "tiny")]
    except RuntimeError as e:
        raise Failed(str(e)) from e


def measure(place, uid, rounds):
    """Medians and p99 in milliseconds of every row, or its error."""
    rows, result = {"bare": [str(place.work / "tiny")]}, {}
    with contextlib.ExitStack() as stack:
        for key, sandbox in (("setns", running_floor), ("purple", purple_sandbox),
                             ("crun", crun_container)):
            try:
                argv = stack.enter_context(sandbox(place, uid))
                why = None if key == "crun" else works(place, uid, argv)
                if why:
                    raise Failed(why)
                rows[key] = argv
            except Failed as e:
                result[key] = {"error": str(e)}
        samples = spawn(place, uid, rounds, list(rows.values()),
                        prefix=crun_view() if "crun" in rows else [])
    result |= {key: row_of(values) for key, values in zip(rows, samples)}
    return {key: result[key] for key in TITLES}


def show(who, result):
    print(f"\nInto a running sandbox, tiny, as {who}, ms   median     p99   × bare  × floor")
    for key, title in TITLES.items():
        row = result[key]
        if "error" in row:
            print(f"  {title:42} {row['error']}")
            continue
        ratios = "".join(f"{row['median_ms'] / result[b]['median_ms']:9.2f}"
                         if "error" not in result[b] else " " * 9 for b in ("bare", "setns"))
        print(f"  {title:42} {row['median_ms']:7.3f} {row['p99_ms']:7.2f}{ratios}")


def targets(who, result):
    for a, b, limit, at_least in (("purple", "setns", 1.6, False), ("purple", "bare", 2.5, False),
                                  ("crun", "purple", 12, True)):
        if "error" not in result[a] and "error" not in result[b]:
            yield Target(f"{TITLES[a].split(':')[0]} / {TITLES[b]}, tiny, as {who}",
                         result[a]["median_ms"] / result[b]["median_ms"], limit, at_least)
