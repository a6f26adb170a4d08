# SPDX-License-Identifier: Apache-2.0
"""
Rows of the regression list that need more than one probe: races, two sandboxes
at once, hosts that were made to deceive.
"""
import contextlib
import hashlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from lab import CONTAINED

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
FILE, NET, SHM, CALL = ("/probes/file", "/probes/net", "/probes/shm", "/probes/call")


def hashes(directory):
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in pathlib.Path(directory).rglob("*") if p.is_file()}


# ---- CVE-2019-5736: our own programs ----

def test_our_programs_are_unchanged(lab, purple_prefix):
    """Nothing inside can write what runs outside, whoever owns it."""
    before = hashes(purple_prefix)
    script = ("for f in /proc/1/exe /proc/self/exe /proc/$$/exe; do echo x >$f; done; "
              "for d in /proc/[0-9]*; do echo x >$d/exe; cp /bin/true $d/exe; done; "
              f"echo x >{lab.runner.purple}")
    done = lab.run(["/bin/sh", "-c", script])
    assert done.returncode != 0 and "urple-init" not in done.stdout
    assert hashes(purple_prefix) == before


# ---- CVE-2024-21626: directories by descriptor ----

@pytest.mark.parametrize("flags", [os.O_RDONLY | os.O_DIRECTORY, os.O_PATH], ids=["dir", "path"])
@pytest.mark.parametrize("fd", [0, 1, 2])
def test_a_directory_is_no_stdio(lab, fd, flags):
    handle = os.open("/", flags)
    try:
        redirect = {("stdin", "stdout", "stderr")[fd]: handle}
        for other in {"stdout", "stderr"} - set(redirect):
            redirect[other] = subprocess.PIPE
        done = lab.run([FILE, "create", str(lab.runner.workspace / "marker")], **redirect)
    finally:
        os.close(handle)
    assert done.returncode == 125
    if fd != 2:
        assert f"descriptor {fd} is a directory" in done.stderr
    assert not (lab.runner.workspace / "marker").exists()


def test_working_directory_by_descriptor(lab):
    """The caller's cwd may be /proc/self/fd/N: what counts is where it leads."""
    handle = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        done = lab.run(["/probes/fds"], cwd=f"/proc/{os.getpid()}/fd/{handle}")
    finally:
        os.close(handle)
    assert done.returncode == 125
    assert "/ is refused as a workspace" in done.stderr


# ---- two sandboxes ----

@contextlib.contextmanager
def beside(lab, command):
    """A first sandbox that says "ready" and stays."""
    first = lab.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert first.stdout.readline() == b"ready\n"
        yield
    finally:
        first.communicate()


@pytest.mark.parametrize("name,make,find", [
    ("segment", [SHM, "make", "0x51515151"], [SHM, "find", "0x51515151"]),
    ("abstract", [NET, "listen", "purple-covert"], [NET, "abstract", "purple-covert"]),
    ("dev-shm", ["/bin/sh", "-c", "echo >/dev/shm/covert; echo ready; cat"],
     [FILE, "see", "/dev/shm/covert"]),
    ("tmp", ["/bin/sh", "-c", "echo >/tmp/covert; echo ready; cat"],
     [FILE, "see", "/tmp/covert"]),
    ("vsock", ["/bin/sh", "-c", "echo ready; cat"], [CALL, "vsock"]),
], ids=lambda v: v if isinstance(v, str) else "")
def test_no_covert_channel(lab, name, make, find):
    with beside(lab, make):
        done = lab.run(find)
    assert done.returncode == CONTAINED, done.stdout + done.stderr


@needs_root
def test_two_sandboxes_of_root_have_different_ids(lab):
    if not lab.root:
        pytest.skip("one id is all that a user has")
    maps = []
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            one = lab.popen(["/bin/sh", "-c", "cat /proc/self/uid_map; echo ready; cat"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.callback(one.communicate)
            maps.append(one.stdout.readline().split()[1])
            assert one.stdout.readline() == b"ready\n"
    assert len(set(maps)) == 4


# ---- swapped paths ----

RACER = """
import ctypes, sys
libc = ctypes.CDLL(None)
a, b = (p.encode() for p in sys.argv[1:3])
print("ready", flush=True)
while True:
    libc.renameat2(-100, a, -100, b, 2)  # RENAME_EXCHANGE
"""


@contextlib.contextmanager
def exchanged(lab, one, other):
    """@one and @other change places all the time."""
    racer = lab.runner.popen([sys.executable, "-c", RACER, one, other], stdout=subprocess.PIPE)
    try:
        assert racer.stdout.readline() == b"ready\n"
        yield
    finally:
        racer.kill()
        racer.communicate()


def decoy_for(lab):
    """A directory of the host that nobody named, which the user might even write."""
    decoy = lab.runner.base / "decoy"
    decoy.mkdir()
    (decoy / "inner").mkdir()
    (decoy / "file").write_text("decoy")
    for path in (decoy, decoy / "inner", decoy / "file"):
        lab.own(path)
    return decoy


def swap_pair(lab, parent, decoy):
    """parent/real, a directory, and parent/link, a link to the decoy."""
    parent.mkdir(exist_ok=True)
    lab.own(parent)
    (parent / "real").mkdir()
    lab.own(parent / "real")
    (parent / "real" / "file").write_text("real")
    lab.own(parent / "real" / "file")
    (parent / "link").symlink_to(decoy)
    return parent / "real", parent / "link"


STARTS = 100


def race(lab, command, options, check, **kw):
    """Start many times; each ends well or is refused, and never shows the decoy."""
    refused = ran = 0
    for _ in range(STARTS):
        done = lab.run(command, options, **kw)
        assert "decoy" not in done.stdout, done
        if done.returncode == 125:
            refused += 1
            assert done.stderr.count("purple: ") == 1, done.stderr
        else:
            ran += 1
            assert done.returncode == 0, done
        check()
    return ran, refused


def test_bind_source_swap(lab):
    """CVE-2021-30465, flatpak CVE-2024-42472: a source that becomes a link."""
    decoy = decoy_for(lab)
    real, link = swap_pair(lab, lab.runner.base / "pair", decoy)
    options = ("--set", f"filesystem.writable_paths+={real}")
    lab.compile(options)
    command = ["/bin/sh", "-c", f"cat {real}/file; touch {real}/new"]
    with exchanged(lab, real, link):
        race(lab, command, options, lambda: None)
    assert sorted(os.listdir(decoy)) == ["file", "inner"]


def test_workspace_swap(lab):
    """The workspace was opened by the launcher; its name then leads elsewhere."""
    decoy = decoy_for(lab)
    real, link = swap_pair(lab, lab.runner.base / "pair", decoy)
    handle = os.open(real, os.O_RDONLY | os.O_DIRECTORY)
    lab.compile()
    try:
        with exchanged(lab, real, link):
            race(lab, ["/bin/sh", "-c", "cat file; touch new"], (), lambda: None,
                 cwd=f"/proc/{os.getpid()}/fd/{handle}")
    finally:
        os.close(handle)
    assert sorted(os.listdir(decoy)) == ["file", "inner"]


def test_mount_target_swap(lab):
    """A target inside the workspace that becomes a link out of it."""
    decoy = decoy_for(lab)
    given = lab.runner.base / "given"
    given.mkdir()
    (given / "file").write_text("given")
    real, link = swap_pair(lab, lab.runner.workspace, decoy)
    lab.write_policy("default", **{"given": given})
    text = lab.policy.read_text().replace("sandbox_path: /given", "sandbox_path: ./real")
    lab.policy.write_text(text)
    lab.compile()
    with exchanged(lab, real, link):
        ran, refused = race(lab, ["/bin/sh", "-c", "cat real/file link/file 2>/dev/null; true"],
                            (), lambda: None)
    assert sorted(os.listdir(decoy)) == ["file", "inner"]
    assert (decoy / "file").read_text() == "decoy"
    assert ran + refused == STARTS


# ---- hosts that deceive ----

def in_mount_namespace(lab, script, *argv):
    """@script as root in a mount namespace of its own; "$@" is purple with @argv."""
    return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-ec", script,
                           str(lab.runner.base), *lab.argv(*argv, wrapped=False)],
                          check=False, capture_output=True, text=True, timeout=60,
                          cwd=lab.runner.workspace, env=lab.runner.env)


FAKE_DEV = """
mount -t tmpfs none "$0/dev"
for n in null zero full random urandom tty; do
	touch "$0/dev/$n"; mount --bind "/dev/$n" "$0/dev/$n"
done
umount "$0/dev/{node}"; rm "$0/dev/{node}"
{make} "$0/dev/{node}"
mount --rbind "$0/dev" /dev
exec "$@"
"""


@needs_root
@pytest.mark.parametrize("make", ['ln -s "$0/decoy"', "touch", "mknod -m 666 %s c 1 5"],
                         ids=["link", "file", "other"])
@pytest.mark.parametrize("node", ["zero", "full", "tty"])
def test_device_replaced(lab, node, make):
    """CVE-2025-31133, CVE-2026-41579: a node of /dev that is something else."""
    if not lab.root:
        pytest.skip("the host is root's to change")
    if node == "zero" and "mknod" in make:
        pytest.skip("is the real one")
    (lab.runner.base / "dev").mkdir()
    decoy = lab.runner.base / "decoy"
    decoy.write_text("as it was")
    decoy.chmod(0o666)
    if "%s" in make:
        script = FAKE_DEV.replace('{make} "$0/dev/{node}"', make % '"$0/dev/{node}"')
    else:
        script = FAKE_DEV.replace("{make}", make)
    done = in_mount_namespace(lab, script.replace("{node}", node),
                              ["/bin/sh", "-c", f"echo x >/dev/{node}; cat /dev/{node}"],
                              ("--no-cache",))
    assert done.returncode == 125, done
    assert f"/dev/{node}" in done.stderr
    assert "as it was" not in done.stdout
    assert decoy.read_text() == "as it was"


# ---- propagation ----

PROPAGATION = """
mount -t tmpfs none "$0/shared"
mount --make-shared "$0/shared"
mkdir "$0/shared/work" "$0/shared/work/sub"; chown -R "{uid}:{uid}" "$0/shared/work"
cat /proc/self/mountinfo >"$0/before"
cd "$0/shared/work"
"$@" >"$0/said" 2>&1 &
n=0
while [ ! -e up ] && [ $n -lt 500 ]; do sleep 0.01; n=$((n+1)); done
cat /proc/self/mountinfo >"$0/during"
mount -t tmpfs none "$0/shared/work/sub"
touch "$0/shared/work/sub/later"
touch go
wait $!
umount "$0/shared/work/sub"
cat /proc/self/mountinfo >"$0/after"
cat "$0/said"
"""


@needs_root
def test_propagation(lab):
    """No mount of the sandbox reaches the host, and none made later on the host goes in."""
    base = lab.runner.base
    (base / "shared").mkdir()
    command = ["/bin/sh", "-c",
               "touch up; while [ ! -e go ]; do sleep 0.01; done; ls sub; echo done"]
    argv = lab.argv(command, ("--no-cache",), wrapped=False)
    if not lab.root:
        argv = ["setpriv", f"--reuid={lab.runner.uid}", f"--regid={lab.runner.uid}",
                "--clear-groups", "--", *argv]
    done = subprocess.run(["unshare", "--mount", "--propagation", "unchanged", "sh", "-ec",
                           "mount --make-rprivate /\n" +
                           PROPAGATION.replace("{uid}", str(lab.runner.uid)),
                           str(base), *argv], check=False, capture_output=True, text=True,
                          timeout=60, env=lab.runner.env)
    assert done.stdout == "done\n", done
    before = (base / "before").read_text()
    assert (base / "during").read_text() == before
    assert (base / "after").read_text() == before


# ---- signals and sessions ----

def test_no_signal_from_inside_reaches_the_caller(lab):
    """kill(0), kill(-1), and the process group of the caller."""
    done = lab.run(["/bin/sh", "-c", "trap '' TERM; kill -TERM 0; kill -TERM -1; "
                    f"kill -TERM -{os.getpgid(0)}; kill -KILL {os.getppid()}; echo alive"])
    assert done.stdout.endswith("alive\n")
    os.kill(os.getppid(), 0)


def test_what_is_left_running_ends_with_the_command(lab):
    """A daemon that a payload leaves behind does not outlive its sandbox."""
    marker = lab.runner.workspace / "late"
    done = lab.run(["/bin/sh", "-c", f"(sleep 1; touch {marker}) & (setsid sh -c 'sleep 1; "
                    f"touch {marker}') >/dev/null 2>&1 & exit 3"])
    assert done.returncode == 3
    time.sleep(1.5)
    assert not marker.exists()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_go_to_the_command(lab, sig):
    launcher = lab.popen(["/bin/sh", "-c", "echo ready; exec sleep 60"], stdout=subprocess.PIPE)
    assert launcher.stdout.readline() == b"ready\n"
    time.sleep(0.05)
    launcher.send_signal(sig)
    launcher.communicate(timeout=10)
    assert launcher.returncode == 128 + sig


# ---- what the next sandbox may is not for this one to write ----

@pytest.mark.parametrize("where", [".cache", ".cache/purple", ".config", ".config/purple",
                                   ".config/purple/profiles"])
def test_our_own_state_is_no_workspace(lab, where):
    """Who writes a cached plan or a policy decides what the next run allows."""
    directory = lab.runner.home
    for part in where.split("/"):
        directory /= part
        directory.mkdir(exist_ok=True)
        lab.own(directory)
    if lab.root and where.startswith(".cache"):
        directory = pathlib.Path("/var/cache" if where == ".cache" else "/var")
    marker = directory / "purple-planted"
    done = lab.run(["/bin/sh", "-c", f"echo >{marker}"], ("-w", directory))
    assert done.returncode == 125
    assert "is refused as a workspace" in done.stderr
    assert not marker.exists()


def test_our_own_state_through_a_link(lab):
    """The cache may be named through a link; the workspace is where it leads."""
    real = lab.own_dir(lab.runner.base / "real")
    (lab.runner.base / "link").symlink_to(real)
    if lab.root:
        pytest.skip("root's cache has one place")
    env = {**lab.runner.env, "XDG_CACHE_HOME": str(lab.runner.base / "link")}
    lab.own_dir(real / "purple")
    done = lab.run(["/bin/sh", "-c", f"echo >{real}/planted"], ("-w", real), env=env)
    assert done.returncode == 125
    assert "is refused as a workspace" in done.stderr
    assert not (real / "planted").exists()


@needs_root
@pytest.mark.not_sanitized("its runtime reads /proc/self/maps")
def test_no_proc_on_the_host(lab):
    """Without /proc nothing that Purple knows of itself is certain."""
    if not lab.root:
        pytest.skip("the host is root's to change")
    for options in ((), ("--no-cache",)):
        done = in_mount_namespace(lab, "mount -t tmpfs none /proc; exec \"$@\"",
                                  ["/bin/sh", "-c", "echo ran"], options)
        assert done.returncode == 125
        assert done.stdout == ""
        assert done.stderr.count("purple: ") == 1
