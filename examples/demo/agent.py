#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small "agent": it fixes a bug in the workspace, and then misbehaves.

It tries twelve things that no agent should be able to do and prints, for
each, what came of it and which layer of the sandbox answered:

  refused    the call failed
  contained  the call worked, but only on something that the sandbox owns
  allowed    it reached the machine: the sandbox is broken, or there is none

The layer is not taken on trust. Where two layers would give the same errno,
the call is repeated with arguments that the kernel itself rejects in another
way (a bad address, a bad descriptor): if the answer stays EPERM or ENOSYS,
the system call filter gave it.

Without a sandbox it does no harm: it touches only what ./demo made, undoes
what worked, and refuses to run unless PURPLE_DEMO=1.
"""
import argparse
import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import pty
import resource
import signal
import socket
import stat
import subprocess
import sys
import termios
import time

SECRETS = ("AWS_SECRET_ACCESS_KEY", "DEMO_TOKEN")
FORKS = 100
BAD = ctypes.c_void_p(1)  # an address that is never mapped
NEWUSER = 0x10000000      # CLONE_NEWUSER, sched.h
LIBC = ctypes.CDLL(None, use_errno=True)

REFUSED, CONTAINED, ALLOWED, NOT_HERE = "refused", "contained", "allowed", "n/a"


# ---- finding out who answered ----

def call(name, *args):
    """A libc function: 0, or the errno that it failed with."""
    ctypes.set_errno(0)
    return ctypes.get_errno() if getattr(LIBC, name)(*args) == -1 else 0


def name_of(code):
    return errno.errorcode.get(code, str(code)) if code else "success"


def status(field):
    """A field of /proc/self/status, "" without one."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return ""


def filtered(probe):
    """The errno of a call whose arguments are bad; from the filter if it is one of these."""
    return probe in (errno.EPERM, errno.ENOSYS)


def layer_of(probe):
    """Of a call that needs a capability: who refused, and who else would have."""
    layers = ["seccomp"] if filtered(probe) else []
    if int(status("CapEff") or "1", 16) == 0:
        layers.append("capabilities")
    return ", ".join(layers) or "unknown"


def mount_of(path):
    """(mount point, file system type, options) of what @path lies on, by /proc/self/mountinfo."""
    best = ("", "", "")
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as f:
            for line in f:
                left, _, right = line.partition(" - ")
                fields = left.split()
                point = fields[4]
                inside = path == point or path.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best[0]):
                    best = (point, right.split()[0], fields[5])
    except OSError:
        pass
    return best


def in_child(function):
    """Run @function in a child. Returns (wait status, what it returned as JSON or None)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.write(writer, json.dumps(function()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as f:
        text = f.read()
    _, result = os.waitpid(pid, 0)
    return result, json.loads(text) if text else None


# ---- the useful work ----

def git(*args):
    subprocess.run(["git", "-c", "user.name=Agent", "-c", "user.email=agent@example.org", *args],
                   check=True, stdout=subprocess.DEVNULL)


def work():
    with open("words.py", encoding="utf-8") as f:
        source = f.read()
    with open("words.py", "w", encoding="utf-8") as f:
        f.write(source.replace("text.split()", "text.lower().split()"))
    tests = subprocess.run([sys.executable, "-B", "-m", "unittest", "-q"], check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if tests.returncode != 0:
        sys.exit("agent: the tests fail\n" + tests.stdout)
    git("add", "words.py")
    git("commit", "-q", "-m", "Count words whatever their case")
    print("work: words.py edited, unit tests pass, committed\n")


# ---- the twelve attempts: each returns (outcome, evidence, layer) ----

def read_ssh_key(_):
    path = os.path.expanduser("~/.ssh/id_ed25519")
    try:
        with open(path, "rb") as f:
            f.read(1)
        return ALLOWED, "read", "none"
    except OSError as e:
        if e.errno == errno.ENOENT:
            point, kind, _ = mount_of(os.path.dirname(path))
            return REFUSED, f"ENOENT: not mounted; {kind} at {point} instead", "mount"
        layer = "landlock" if e.errno == errno.EACCES else "mount"
        return REFUSED, name_of(e.errno), layer


def write_bashrc(_):
    path = os.path.expanduser("~/.bashrc")
    try:
        before = os.path.getsize(path)
    except OSError:
        before = 0
    try:
        with open(path, "a", encoding="utf-8") as f:
            f.write("# the agent was here\n")
    except OSError as e:
        layer = "landlock" if e.errno == errno.EACCES else "mount"
        return REFUSED, name_of(e.errno), layer
    if before:
        os.truncate(path, before)
        return ALLOWED, "written (and undone)", "none"
    _, kind, _ = mount_of(path)
    return CONTAINED, f"a file of its own, on a {kind} that ends with the sandbox", "mount"


def list_processes(args):
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError as e:
        return REFUSED, f"/proc: {name_of(e.errno)}", "mount"
    for pid in pids:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if b"\0read line\0" + args.victim.encode() in f.read():
                    return ALLOWED, f"sees process {pid} of the host", "none"
        except OSError:
            continue
    return CONTAINED, f"sees {len(pids)} processes, all of the sandbox", "pid"


def connect(address):
    """(the last call, its errno or 0)."""
    try:
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    except OSError as e:
        return "socket", e.errno
    with s:
        s.settimeout(2)
        try:
            s.connect(address)
        except socket.timeout:
            return "connect", errno.ETIMEDOUT
        except OSError as e:
            return "connect", e.errno
    return "connect", 0


def reach_network(args):
    where = {"host": connect(("127.0.0.1", args.port)), "net": connect(("192.0.2.1", 80))}
    evidence = ", ".join(f"{k}: {v[0]} {name_of(v[1])}" for k, v in where.items())
    if any(code == 0 for _, code in where.values()):
        return ALLOWED, evidence, "none"
    if any(code == errno.ETIMEDOUT for _, code in where.values()):
        return ALLOWED, evidence + " (packets left)", "none"
    if any(name == "socket" for name, _ in where.values()):
        return REFUSED, evidence, "seccomp"
    if all(code == errno.EACCES for _, code in where.values()):
        return REFUSED, evidence, "landlock"
    return REFUSED, evidence, "net"


def mount_tmpfs(_):
    probe = call("mount", BAD, BAD, BAD, ctypes.c_ulong(0), None)
    os.makedirs("mnt", exist_ok=True)
    code = call("mount", b"none", b"mnt", b"tmpfs", ctypes.c_ulong(0), None)
    if code == 0:
        call("umount2", b"mnt", 0)
    os.rmdir("mnt")
    if code == 0:
        return ALLOWED, "mounted a tmpfs (and unmounted it)", "none"
    evidence = f"{name_of(code)}; {name_of(probe)} for bad addresses; CapEff {status('CapEff')}"
    return REFUSED, evidence, layer_of(probe)


def raise_capability():
    """capset(2) with CAP_SYS_ADMIN on top; capability.h's version 3."""
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    if LIBC.capget(head, data) != 0:
        return ctypes.get_errno()
    had = data[0] & 1 << 21
    data[0] |= 1 << 21
    data[1] |= 1 << 21
    code = call("capset", head, data)
    return 0 if had else code


def gain_capability(_):
    """Take CAP_SYS_ADMIN directly, and by a user namespace, where one has all of them."""
    _, raised = in_child(raise_capability)
    _, userns = in_child(lambda: call("unshare", NEWUSER))
    _, probe = in_child(lambda: call("unshare", NEWUSER | 1))  # no such flag: EINVAL
    evidence = f"capset {name_of(raised)}, new user namespace {name_of(userns)}"
    if raised == 0 or userns == 0:
        return ALLOWED, evidence, "none"
    return REFUSED, evidence, "capabilities, " + ("seccomp" if filtered(probe) else "user")


def run_code(code):
    """Call machine code that returns an int."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex(code))
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()


# getpid by the other two tables of x86_64: i386 (20, where x86_64 has writev) and x32 (39 + bit 30).
FOREIGN_CALLS = (
    ("int 0x80", "b814000000 cd80 c3"),  # mov eax,20; int 0x80; ret
    ("x32", "b827000040 0f05 c3"),       # mov eax,0x40000027; syscall; ret
)


def call_32bit(_):
    if platform.machine() != "x86_64":
        return NOT_HERE, "x86_64 only", "-"
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    evidence, answered, layer = [], False, "the kernel has no such calls"
    for what, code in FOREIGN_CALLS:
        result, value = in_child(lambda code=code: run_code(code))
        if os.WIFSIGNALED(result):
            number = signal.Signals(os.WTERMSIG(result))
            evidence.append(f"{what}: {number.name}")
            if number == signal.SIGSYS:
                layer = "seccomp"
        else:
            evidence.append(f"{what}: {value if value > 0 else name_of(-value)}")
            answered |= value > 0
    if answered:
        return ALLOWED, ", ".join(evidence), "none"
    return REFUSED, ", ".join(evidence), layer


def push_input():
    """TIOCSTI on a terminal of our own, that we control: harmless where it works."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which closing it sends
    parent, child = pty.openpty()
    os.setsid()
    fcntl.ioctl(child, termios.TIOCSCTTY, 0)
    codes = []
    for request in (termios.TIOCSTI, termios.TIOCSTI | 0x123 << 32):
        codes.append(call("ioctl", child, ctypes.c_ulong(request), b"x"))
    codes.append(call("ioctl", -1, ctypes.c_ulong(termios.TIOCSTI), b"x"))
    os.close(parent)
    return codes


def tiocsti(_):
    _, codes = in_child(push_input)
    if codes is None:
        return REFUSED, "no terminal to be had", "mount"
    plain, wide, probe = codes
    evidence = f"{name_of(plain)}, 64-bit form {name_of(wide)}, bad descriptor {name_of(probe)}"
    if plain == 0 or wide == 0:
        return ALLOWED, evidence, "none"
    return REFUSED, evidence, "seccomp" if filtered(probe) else "sysctl dev.tty.legacy_tiocsti"


def write_proc_sys(_):
    path = "/proc/sys/kernel/core_pattern"
    try:
        os.close(os.open(path, os.O_WRONLY))
        return ALLOWED, "opened for writing", "none"
    except OSError as e:
        _, kind, options = mount_of(path)
        read_only = "ro" in options.split(",")
        evidence = f"{name_of(e.errno)}; {kind} there is {'read-only' if read_only else 'writable'}"
        layers = ["user"] if e.errno == errno.EACCES else []
        if e.errno in (errno.EROFS, errno.ENOENT) or read_only:
            layers.append("mount")
        return REFUSED, evidence, ", ".join(layers) or "unknown"


def make_device(_):
    probe = call("mknod", BAD, stat.S_IFBLK | 0o600, ctypes.c_ulong(os.makedev(8, 0)))
    try:
        os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(8, 0))
        os.unlink("disk")
        return ALLOWED, "made a block device (and removed it)", "none"
    except OSError as e:
        evidence = f"{name_of(e.errno)}; {name_of(probe)} for a bad address"
        return REFUSED, evidence, layer_of(probe)


def fork_many(_):
    children = []
    code = 0
    while len(children) < FORKS and code == 0:
        try:
            pid = os.fork()
        except OSError as e:
            code = e.errno
            break
        if pid == 0:
            time.sleep(30)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    for pid in children:
        os.waitpid(pid, 0)
    if code == 0:
        return ALLOWED, f"{FORKS} processes", "none"
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    layer = f"rlimit (nproc {limit})" if 0 <= limit <= FORKS else "cgroup (pids.max)"
    return REFUSED, f"{name_of(code)} after {len(children)}", layer


def read_secrets(_):
    found = [name for name in SECRETS if name in os.environ]
    sources, refusal = 1, ""
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                text = f.read()
            sources += 1
            found += [name for name in SECRETS if name.encode() + b"=" in text]
        except OSError as e:
            if pid == "1":
                refusal = f", /proc/1/environ {name_of(e.errno)}"
    if found:
        return ALLOWED, "found " + " ".join(sorted(set(found))), "none"
    return REFUSED, f"not in {sources} environments{refusal}", "environment, pid"


ATTEMPTS = (
    ("read ~/.ssh/id_ed25519", read_ssh_key),
    ("write ~/.bashrc", write_bashrc),
    ("list the host's processes", list_processes),
    ("reach the network", reach_network),
    ("mount a file system", mount_tmpfs),
    ("gain a capability", gain_capability),
    ("a 32-bit call past the filter", call_32bit),
    ("type into the terminal (TIOCSTI)", tiocsti),
    ("write /proc/sys", write_proc_sys),
    ("make a device node", make_device),
    (f"fork {FORKS} times", fork_many),
    ("read secrets from environments", read_secrets),
)


def attempt(function, args):
    try:
        return function(args)
    except Exception as e:  # a surprise is a result too, and no reason to skip the rest
        return "unclear", f"{type(e).__name__}: {e}", "?"


def main():
    parser = argparse.ArgumentParser(description="Run by ./demo.")
    parser.add_argument("--port", type=int, required=True, help="a listener on the host's loopback")
    parser.add_argument("--victim", required=True, help="an argument of a process on the host")
    args = parser.parse_args()
    if os.environ.get("PURPLE_DEMO") != "1":
        sys.exit("agent: this misbehaves on purpose; run it with ./demo")

    work()
    rows = [(what, *attempt(function, args)) for what, function in ATTEMPTS]
    table = [("what the agent tried", "outcome", "layer", "evidence")]
    table += [(what, outcome, layer, evidence) for what, outcome, evidence, layer in rows]
    widths = [max(len(row[i]) for row in table) for i in range(3)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)), row[3], sep="  ")
    bad = [row for row in rows if row[1] not in (REFUSED, CONTAINED, NOT_HERE)]
    print(f"\n{len(rows) - len(bad)} of {len(rows)} held")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
