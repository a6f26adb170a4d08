# SPDX-License-Identifier: Apache-2.0
"""
The table of what is tried: each row one attack, the layer that it is about,
and how to weaken the plan so that this layer alone holds it.

Promises are kept by two layers each. `base` takes the others away by editing
the plan; with `base` the attack must still be contained, with `base + off` it
must succeed, or (`closed`) nothing may run with that plan because other layers
cannot be had without this one. EVERYWHERE is held by several layers and is
tried as it is, under every profile; its control shows that the attack works
where nothing holds it.
"""
import contextlib
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    id: str
    layer: str
    probe: tuple
    source: str = ""
    base: tuple = ()
    off: tuple = ()
    closed: str = ""  # part of the message, when switching off means that nothing runs
    options: tuple = ()
    users: tuple = ("root", "user")
    setup: object = None  # context manager of (lab); gives the names in probe, options and ops
    before: tuple = ()  # a program of probes/ that runs purple
    strict: tuple = ()  # the probe under the profile strict, where it differs
    control: str = ""  # where the attack works: in a sandbox that is bare, or outside of any


# ---- what a row needs on the host ----

@contextlib.contextmanager
def victim(lab):
    """A process of the same user outside."""
    process = lab.runner.popen(["sleep", "60"])
    try:
        yield {"pid": process.pid}
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def port(lab):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield {"port": listener.getsockname()[1]}


@contextlib.contextmanager
def abstract(lab):
    name = f"purple-test-{os.getpid()}-{id(lab)}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        yield {"name": name}


@contextlib.contextmanager
def segment(lab):
    key = 0x50000000 | os.getpid() << 8 & 0xffffff00 | id(lab) >> 4 & 0xff
    process = lab.runner.popen([lab.tools / "probes" / "shm", "make", hex(key)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    try:
        yield {"key": hex(key)}
    finally:
        process.communicate()


@contextlib.contextmanager
def identity(lab):
    links = {f"ns_{name}": os.readlink(f"/proc/self/ns/{name}") for name in ("cgroup", "time")}
    yield {"hostname": os.uname().nodename, **links}


@contextlib.contextmanager
def secret(lab):
    """A file that only root may read, in a directory that the sandbox is given."""
    directory = lab.runner.base / "secrets"
    directory.mkdir(mode=0o755, exist_ok=True)
    path = directory / "key"
    path.write_text("secret")
    path.chmod(0o600)
    yield {"secret": path, "dir": directory}


@contextlib.contextmanager
def given(lab):
    """
    A file of the user's own, in a directory that the sandbox may only read. Not
    below a scratch directory: Landlock's rights add up along a path.
    """
    directory = lab.runner.base / "given"
    directory.mkdir(exist_ok=True)
    directory.chmod(0o777)
    path = directory / "file"
    path.write_text("as it was")
    path.chmod(0o666)
    lab.own(path)
    lab.write_policy("default", given=directory)
    yield {}
    assert path.read_text() == "as it was"


@contextlib.contextmanager
def hidden(lab):
    """A file in the workspace that the policy hides, which has another name."""
    directory = lab.runner.workspace / "hidden"
    lab.own_dir(directory)
    path = directory / ".env"
    path.write_text("secret")
    path.chmod(0o644)
    lab.own(path)
    (directory / "known-link").hardlink_to(path)
    try:
        yield {"dir": directory}
    finally:
        for left in lab.runner.workspace.glob("hidden*"):
            shutil.rmtree(left)


@contextlib.contextmanager
def held(lab):
    """A file of the host that is standard input, opened for reading."""
    path = lab.runner.base / "held"
    path.write_text("as it was")
    path.chmod(0o666)
    lab.own(path)
    with open(path, encoding="ascii") as file:
        yield {"stdin": file}
    assert path.read_text() == "as it was"


@contextlib.contextmanager
def setuid(lab):
    """A program in the workspace with the setuid bit of somebody else."""
    path = lab.runner.workspace / "setid"
    path.write_bytes((lab.tools / "probes" / "setid").read_bytes())
    os.chown(path, 1, 1)
    path.chmod(0o4755)
    yield {"path": path}


@contextlib.contextmanager
def cgroup(lab):
    """A cgroup that purple is started in."""
    name = f"purple-test-{os.getpid()}-{id(lab)}"
    tops = [t for t in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids", "/sys/fs/cgroup")
            if os.path.exists(f"{t}/cgroup.procs") and os.access(t, os.W_OK)]
    if not tops:
        yield {"skip": "no cgroup can be made here"}
        return
    path = f"{tops[0]}/{name}"
    os.mkdir(path)
    try:
        yield {"cgroup": name, "cgroup_path": path}
    finally:
        os.rmdir(path)


BARE = ("off:seccomp", "off:landlock", "off:capabilities", "off:step:NO_NESTING")
NO_PROC = ("off:pid", "drop-mount:/proc")
SYSADMIN = ("--cap-add", "CAP_SYS_ADMIN")

# ---- one layer alone ----

ALONE = [
    # Eight namespaces.
    Row("user-root-files", "user", ("file", "read", "{secret}"), users=("root",), setup=secret,
        options=("--ro", "{dir}"), off=("off:user",)),
    Row("user-rootless", "user", ("setid", "flag"), users=("user",), off=("off:user",),
        closed="namespaces"),
    Row("user-nested", "user", ("call", "clone_user"), base=("off:seccomp",),
        off=("off:step:NO_NESTING",)),
    Row("pid-see", "pid", ("proc", "see", "{pid}"), setup=victim,
        base=("drop-mount:/proc",), off=("off:pid",)),
    Row("pid-slow", "pid", ("proc", "slow", "{pid}"), setup=victim, users=("user",),
        base=("drop-mount:/proc",), off=("off:pid",)),
    Row("pid-limit", "pid", ("proc", "limit", "{pid}"), setup=victim, users=("user",),
        base=("drop-mount:/proc",), off=("off:pid",)),
    Row("pid-proc", "pid", ("proc", "see", "{pid}"), setup=victim, off=("off:pid",),
        closed="proc"),
    Row("mount-none", "mount", ("file", "see", "/root/."), off=("off:mount",),
        closed="no mount namespace to build a root in"),
    Row("mount-chmod", "mount", ("file", "chmod", "/given/file"), users=("user",),
        setup=given, off=("set-mount-flags:/given:-ro",)),
    Row("mount-write", "mount", ("file", "write", "/given/file"), setup=given,
        base=("off:landlock",), off=("set-mount-flags:/given:-ro",)),
    Row("mount-mask", "mount", ("file", "real", "/proc/keys"), off=("drop-mount:/proc/keys",)),
    Row("net-loopback", "net", ("net", "tcp", "{port}"), setup=port, off=("off:net",)),
    Row("net-interfaces", "net", ("net", "interfaces"), off=("off:net",)),
    Row("net-abstract", "net", ("net", "abstract", "{name}"), setup=abstract,
        base=("off:landlock",), off=("off:net",)),
    Row("ipc-segment", "ipc", ("shm", "find", "{key}"), setup=segment, off=("off:ipc",)),
    Row("uts-name", "uts", ("ns", "hostname", "{hostname}"), setup=identity, off=("off:uts",)),
    Row("cgroup-ns", "cgroup", ("ns", "same", "cgroup", "{ns_cgroup}"), setup=identity,
        off=("off:cgroup",)),
    Row("cgroup-path", "cgroup", ("ns", "cgroup", "{cgroup}"), setup=cgroup,
        off=("off:cgroup",)),
    Row("time-ns", "time", ("ns", "same", "time", "{ns_time}"), setup=identity,
        off=("off:time",)),

    # Files that the policy hides: a mount over each.
    *(Row(f"hide-{mode}-{op}", "hide", ("alias", op, "{dir}", ".env"), setup=hidden,
          options=("--hide", "**/.env", f"--workspace={mode}", *extra), base=base,
          # Root's uid 0 inside cannot be mapped by who has no CAP_SETFCAP there.
          users=("user",) if op == "nested" else ("root", "user"), off=("off:hide",))
      for mode in ("direct", "review", "scratch")
      for op, extra, base in (
          *((op, (), ()) for op in (
              "plain", "chdir", "proc", "symlink", "link", "rename", "mode", "unmount")),
          ("nested", ("--nesting",), ("off:landlock",)))),

    # The process itself.
    Row("caps-sets", "capabilities", ("caps",), off=("off:capabilities",)),
    Row("caps-net-admin", "capabilities", ("net", "admin"), users=("root",),
        off=("off:capabilities",)),
    Row("caps-setuid", "capabilities", ("id",), users=("root",), off=("off:capabilities",)),
    Row("caps-trace-init", "capabilities", ("init", "trace"), users=("root",),
        base=("off:landlock",), off=("off:capabilities",)),
    Row("caps-raised", "capabilities", ("caps",), source="CVE-2022-27650", users=("root",),
        before=("raise",), off=("off:capabilities",)),
    Row("nnp-flag", "no_new_privs", ("setid", "flag"), options=SYSADMIN, users=("root",),
        off=("off:no_new_privs",)),
    Row("nnp-setuid", "no_new_privs", ("setid", "{path}"), users=("root",), setup=setuid,
        options=SYSADMIN, base=("set-mount-flags:.:-nosuid",), off=("off:no_new_privs",)),
    Row("nnp-closed", "no_new_privs", ("setid", "flag"), off=("off:no_new_privs",),
        closed="landlock"),
    Row("landlock-stdin", "landlock", ("file", "both", "/proc/self/fd/0"), setup=held,
        off=("off:landlock",)),
    Row("landlock-write", "landlock", ("file", "write", "/given/file"), setup=given,
        base=("set-mount-flags:/given:-ro",), off=("off:landlock",)),
    Row("landlock-create", "landlock", ("file", "create", "/given/new"), setup=given,
        base=("set-mount-flags:/given:-ro",), off=("off:landlock",)),
    Row("landlock-abstract", "landlock", ("net", "abstract", "{name}"), setup=abstract,
        base=("off:net",), off=("off:landlock",)),
    Row("landlock-abstract-shared", "landlock", ("net", "abstract", "{name}"), setup=abstract,
        options=("--isolated=false", "--share-host-network"), off=("off:landlock",)),
    Row("landlock-signal", "landlock", ("proc", "send", "{pid}"), setup=victim, users=("user",),
        base=NO_PROC, off=("off:landlock",)),
    Row("seccomp-io-uring", "seccomp", ("call", "io_uring", "38"), off=("off:seccomp",)),
    Row("seccomp-clone3", "seccomp", ("call", "clone3", "38"), off=("off:seccomp",)),
    Row("seccomp-keyctl", "seccomp", ("call", "keyctl_session", "1"), off=("off:seccomp",)),
    Row("seccomp-add-key", "seccomp", ("call", "add_key", "1"), off=("off:seccomp",)),
    Row("seccomp-userfaultfd", "seccomp", ("call", "userfaultfd", "1"), off=("off:seccomp",)),
    Row("seccomp-perf", "seccomp", ("call", "perf", "1"), off=("off:seccomp",)),
    Row("seccomp-personality", "seccomp", ("call", "personality", "1"), off=("off:seccomp",)),
    Row("seccomp-listener", "seccomp", ("call", "listener", "1"), source="notify stacking",
        off=("off:seccomp",)),
    Row("seccomp-vsock", "seccomp", ("call", "vsock", "97"), off=("off:seccomp",)),
    Row("seccomp-uevents", "seccomp", ("call", "uevents"), off=("off:seccomp",)),
    Row("seccomp-fanotify", "seccomp", ("call", "fanotify", "1"), off=("off:seccomp",)),
    Row("seccomp-ldt", "seccomp", ("call", "modify_ldt"), off=("off:seccomp",)),
    Row("seccomp-nested", "seccomp", ("call", "unshare_user", "1"), base=("off:step:NO_NESTING",),
        off=("off:seccomp",)),
    Row("seccomp-i386", "seccomp", ("abi", "i386"), source="arch unchecked",
        off=("off:seccomp",)),
    Row("seccomp-tiocsti", "seccomp", ("tty", "own", "32"), source="CVE-2017-5226",
        off=("off:seccomp",)),
    Row("seccomp-tiocsti-64", "seccomp", ("tty", "own", "64"), source="CVE-2019-10063",
        off=("off:seccomp",)),
    Row("seccomp-tioclinux", "seccomp", ("tty", "own", "linux"), off=("off:seccomp",)),

    # Steps beside the twelve layers.
    Row("init-undumpable", "init", ("init", "any"), base=("off:seccomp", "off:landlock")),
    Row("session-tiocsti", "session", ("tty", "ctl", "32"), source="CVE-2017-5226",
        base=("off:seccomp",), off=("off:step:NEW_SESSION",)),
    Row("keyring", "keyring", ("key", "find", "purple-test"), before=("key", "with",
        "purple-test"), base=("off:seccomp",), off=("off:step:KEYRING",)),
    Row("fds", "fds", ("fds",), source="CVE-2024-21626", off=("off:step:CLOSE_FDS",)),
]

# ---- held by several layers; tried under every profile ----

def call(name, errno=1, control="bare", strict=1):
    """
    A call that the filter answers with @errno, and under the profile `strict` with
    another: any other answer is the kernel's, and to have reached it is too far.
    """
    return Row(f"call-{name}", "several", ("call", name, str(errno)), control=control,
               strict=("call", name, str(strict)))


def file(name, op, path, **kw):
    """A file of the host; where there is none, nothing can be refused."""
    return Row(name, "several", ("file", op, path), control="outside", **kw,
               setup=lambda lab: contextlib.nullcontext(
                   {} if os.path.lexists(path) else {"skip": f"this host has no {path}"}))


def create(name, path):
    return Row(name, "several", ("file", "create", path))  # as landlock-create


EVERYWHERE = [
    Row("x32", "seccomp", ("abi", "x32")),
    *(call(name) for name in (
        "fs_open", "fs_pick", "open_tree", "move_mount", "mount_setattr", "mount_remount",
        "mount_cgroup", "mount_proc", "umount_proc", "pivot", "set_root", "join_ns", "raw",
        "module", "kexec", "host_time", "clone_user", "unshare_user", "add_key",
        "keyctl_session", "listener", "userfaultfd", "perf")),
    # What a user namespace does not give: only real root can show that they can succeed.
    *(call(name, control="outside") for name in (
        "bpf", "by_handle", "kernel_log", "set_groups", "device_node", "block_node")),
    *(call(name, 97) for name in ("packet", "vsock")),
    call("alg", 97, control="outside"),
    *(call(name, 38, strict=38) for name in ("io_uring", "clone3")),
    Row("init-exe", "several", ("init", "write"), source="CVE-2019-5736"),
    Row("init-root", "several", ("init", "root")),
    Row("init-any", "several", ("init", "any")),
    Row("init-trace", "several", ("init", "trace")),
    file("core-pattern", "write", "/proc/sys/kernel/core_pattern"),
    file("sysrq", "write", "/proc/sysrq-trigger"),
    file("modprobe", "write", "/proc/sys/kernel/modprobe"),
    file("oom", "write", "/proc/self/oom_score_adj"),
    file("kcore", "read", "/proc/kcore"),
    file("kmsg", "open", "/proc/kmsg"),
    file("uid-map", "write", "/proc/self/uid_map"),
    file("setgroups-file", "write", "/proc/self/setgroups", source="CVE-2014-8989"),
    create("usr", "/usr/bin/purple-test"),
    file("etc", "write", "/etc/passwd"),
    create("root-dir", "/purple-test"),
    create("dev", "/dev/purple-test"),
    file("shadow", "see", "/etc/shadow"),
    file("root-home", "see", "/root/."),
    file("ssh", "see", "/etc/ssh"),
    file("docker", "connect", "/var/run/docker.sock"),
    file("disk", "see", "/dev/mem"),
    *(Row(f"victim-{op}", "several", ("proc", op, "{pid}"), setup=victim, control="outside")
      for op in ("see", "send", "trace", "peek")),
    Row("port", "several", ("net", "tcp", "{port}"), setup=port, control="outside"),
    Row("abstract", "several", ("net", "abstract", "{name}"), setup=abstract,
        control="outside"),
    Row("shm", "several", ("shm", "find", "{key}"), setup=segment, control="outside"),
    Row("name", "several", ("ns", "sethostname"), control="bare"),
    Row("caps", "several", ("caps",), control="outside"),
    Row("fds-left", "several", ("fds",), source="CVE-2024-21626", control="outside"),
    Row("setid", "several", ("setid", "{path}"), setup=setuid, users=("root",)),
    Row("id", "several", ("id",), control="outside"),
]
