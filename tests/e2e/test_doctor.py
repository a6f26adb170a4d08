# SPDX-License-Identifier: Apache-2.0
"""`purple doctor` on hosts that lack something, made for real."""
import ctypes
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile

import pytest

LAYERS = ["user", "pid", "mount", "net", "ipc", "uts", "cgroup", "time",
          "capabilities", "no_new_privs", "landlock", "seccomp"]
FIELDS = {"id", "layer", "state", "why", "remedy", "required"}
STATES = {"ok", "degraded", "missing", "note"}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_proc = pytest.mark.not_sanitized("its runtime reads /proc/self/maps")


@pytest.fixture(scope="session")
def doctor(purple_prefix):
    return purple_prefix / "libexec" / "purple" / "purple-doctor"


def judge(argv, **options):
    """Run @argv, which prints the report as JSON: (exit status, {id: verdict})."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60,
                          check=False, **options)
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    verdicts = json.loads(done.stdout)
    assert all(set(v) == FIELDS and v["state"] in STATES for v in verdicts)
    assert [v["id"] for v in verdicts[:12]] == LAYERS
    assert all(v["why"] and v["remedy"] for v in verdicts if v["state"] == "missing")
    missing = [v["id"] for v in verdicts if v["required"] and v["state"] in ("missing", "degraded")]
    assert done.returncode == (1 if missing else 0)
    return done.returncode, {v["id"]: v for v in verdicts}


def can_userns():
    return subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False).returncode == 0


needs_userns = pytest.mark.skipif(not can_userns(), reason="no user namespaces here")


@needs_userns
def test_here(as_user):
    """As root and as a user: ready, through the launcher."""
    done = as_user.run([as_user.purple, "doctor", "--json"])
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {v["id"]: v for v in json.loads(done.stdout)}
    assert all(verdicts[layer]["state"] in ("ok", "degraded") for layer in LAYERS)
    idmapped = "ok" if as_user.uid == 0 else "note"
    assert verdicts["idmapped-mounts"]["state"] == idmapped


@needs_root
def test_leaves_nothing_behind(doctor):
    """In a mount namespace of its own, since others may mount meanwhile."""
    script = ('mount -t tmpfs none /run; cat /proc/self/mountinfo > a; "$0" > report; '
              'cat /proc/self/mountinfo > b; cmp a b && test -z "$(ls /run)"')
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["unshare", "-m", "sh", "-c", script, doctor], cwd=directory, check=True)
        assert sorted(os.listdir(directory)) == ["a", "b", "report"]


def test_text_and_json_agree(doctor):
    _, verdicts = judge([doctor, "--json"])
    text = subprocess.run([doctor], capture_output=True, text=True, check=False).stdout
    for verdict in verdicts.values():
        assert re.search(rf"^{re.escape(verdict['id'])} +{verdict['state']}\b", text, re.M)
    assert re.search(r"^(Ready|Not ready): ", text, re.M)


def test_wrong_call(doctor):
    done = subprocess.run([doctor, "--jsno"], capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert done.stdout == ""
    assert "no option --jsno" in done.stderr


def test_output_that_cannot_be_written(doctor):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([doctor], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 125
    assert "No space left" in done.stderr


@needs_userns
def test_user_namespaces_off(doctor):
    script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$0" --json'
    status, verdicts = judge(["unshare", "-Ur", "sh", "-c", script, doctor])
    assert status == 1
    assert verdicts["user"]["why"] == "user.max_user_namespaces is 0"
    assert "sysctl -w user.max_user_namespaces=" in verdicts["user"]["remedy"]
    assert verdicts["net"]["state"] == "missing"
    assert verdicts["landlock"]["state"] in ("ok", "degraded")


@needs_userns
@pytest.mark.parametrize("layer,sysctl", [("net", "net"), ("uts", "uts"), ("cgroup", "cgroup")])
def test_one_kind_of_namespace_off(doctor, layer, sysctl):
    script = f'echo 0 > /proc/sys/user/max_{sysctl}_namespaces; exec "$0" --json'
    status, verdicts = judge(["unshare", "-Ur", "sh", "-c", script, doctor])
    assert status == 1
    missing = [name for name in LAYERS if verdicts[name]["state"] == "missing"]
    assert missing == [layer]
    assert f"user.max_{sysctl}_namespaces" in verdicts[layer]["remedy"]


@needs_userns
@needs_root
def test_covered_proc(doctor):
    """What container engines do: parts of /proc hidden under other mounts."""
    script = 'mount -t tmpfs none /proc/sys/kernel && exec setpriv --reuid 12345 --clear-groups "$0" --json'
    status, verdicts = judge(["unshare", "-m", "sh", "-c", script, doctor])
    assert status == 1
    assert verdicts["user"]["state"] == "ok"
    assert verdicts["proc"]["state"] == "missing"
    assert "covered" in verdicts["proc"]["why"]
    assert "systempaths=unconfined" in verdicts["proc"]["remedy"]


# x86_64 and aarch64: clone, unshare, clone3 (as in Docker's default filter: EPERM, EPERM, ENOSYS).
NUMBERS = {"x86_64": (56, 272, 435), "aarch64": (220, 97, 435)}
NEWUSER = 0x10000000


def load_filter():
    """A seccomp filter on this process: no new user namespaces, no clone3."""
    def insn(code, yes, no, k):
        return struct.pack("HBBI", code, yes, no, k)

    clone, unshare, clone3 = NUMBERS[os.uname().machine]
    program = [
        insn(0x20, 0, 0, 0),             # A = number
        insn(0x15, 5, 0, clone3),
        insn(0x15, 1, 0, clone),
        insn(0x15, 0, 2, unshare),
        insn(0x20, 0, 0, 16),            # A = low half of argument 0
        insn(0x45, 2, 0, NEWUSER),       # A & NEWUSER
        insn(0x06, 0, 0, 0x7fff0000),    # allow
        insn(0x06, 0, 0, 0x00050000 | 38),  # ENOSYS
        insn(0x06, 0, 0, 0x00050000 | 1),   # EPERM
    ]
    code = ctypes.create_string_buffer(b"".join(program))

    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    prog = Program(len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(prog), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


@pytest.mark.skipif(os.uname().machine not in NUMBERS, reason="numbers not known")
def test_under_a_filter(doctor):
    status, verdicts = judge([doctor, "--json"], preexec_fn=load_filter)
    assert status == 1
    for name in ("user", "clone3"):
        assert verdicts[name]["state"] == "missing"
        assert "seccomp" in verdicts[name]["why"]
        assert "--security-opt seccomp=unconfined" in verdicts[name]["remedy"]
    assert verdicts["no_new_privs"]["state"] == "ok"


@needs_root
@pytest.mark.parametrize("command", [["doctor"], ["plan"], ["profile", "list"], ["run", "--", "id"]])
@needs_proc
def test_commands_without_proc(purple, tmp_path, command):
    """The cause is named, whatever the command."""
    done = subprocess.run(["unshare", "-m", "sh", "-c", 'umount -l /proc && exec "$@"', "sh",
                           purple, *command], capture_output=True, text=True, check=False,
                          cwd=tmp_path)
    assert done.returncode == 125
    assert "read /proc/self/exe: No such file" in done.stderr
    assert "mount -t proc proc /proc" in done.stderr


@pytest.fixture
def tree(tmp_path, doctor):
    """A root directory that holds the doctor and a shell, and what they load."""
    programs = [doctor, "/bin/sh", shutil.which("mount"), shutil.which("umount"),
                shutil.which("pivot_root", path="/usr/sbin:/sbin:/usr/bin:/bin")]
    for directory in ("proc", "mnt", "bin"):
        (tmp_path / directory).mkdir()
    tmp_path.chmod(0o755)
    for program in map(str, programs):
        shutil.copy(program, tmp_path / "bin")
        libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        for library in re.findall(r"(/\S+) \(0x", libraries.stdout):
            target = tmp_path / library[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    return tmp_path


def in_namespace(tree, script):
    """@script by sh in a mount namespace of its own, with /proc mounted in @tree ($0)."""
    return ["unshare", "-m", "sh", "-c", 'mount -t proc proc "$0/proc" && ' + script, tree]


@needs_root
@pytest.mark.parametrize("bound", ["", 'mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && '])
def test_chroot(tree, bound):
    """Also where the new root is a mount point, which looks less like a chroot."""
    status, verdicts = judge(in_namespace(
        tree, bound + 'exec chroot "$0" /bin/purple-doctor --json'))
    assert status == 1
    assert verdicts["user"]["why"] == "in a chroot, where the kernel refuses user namespaces"
    assert "pivot_root" in verdicts["user"]["remedy"]


@needs_root
def test_chroot_as_a_user(tree):
    status, verdicts = judge(in_namespace(
        tree, 'exec chroot --userspec=12345:12345 "$0" /bin/purple-doctor --json'))
    assert status == 1
    assert "chroot" in verdicts["user"]["why"]


@needs_root
@needs_userns
def test_the_remedy_for_chroot_works(tree):
    _, verdicts = judge(in_namespace(tree, 'exec chroot "$0" /bin/purple-doctor --json'))
    command = re.search(r"unshare -m sh -c '.*'", verdicts["user"]["remedy"]).group(0)
    command = command.replace("DIR", str(tree)).replace("purple doctor", "/bin/purple-doctor --json")
    _, verdicts = judge(in_namespace(tree, f'exec {command}'))
    assert all(verdicts[layer]["state"] in ("ok", "degraded") for layer in LAYERS)


@needs_root
@needs_userns
@needs_proc
def test_the_remedy_for_chroot_works_without_proc(tree):
    _, verdicts = judge(["chroot", tree, "/bin/purple-doctor", "--json"])
    assert "/proc is not mounted" in verdicts["user"]["why"]
    _, verdicts = judge(in_namespace(tree, 'exec chroot "$0" /bin/purple-doctor --json'))
    command = re.search(r"unshare -m sh -c '.*'", verdicts["user"]["remedy"]).group(0)
    command = command.replace("DIR", str(tree)).replace("purple doctor", "/bin/purple-doctor --json")
    _, verdicts = judge(["sh", "-c", f"exec {command}"])
    assert all(verdicts[layer]["state"] in ("ok", "degraded") for layer in LAYERS)


@needs_root
@needs_proc
def test_no_proc(tree):
    status, verdicts = judge(["chroot", tree, "/bin/purple-doctor", "--json"])
    assert status == 1
    assert verdicts["user"]["state"] == "missing"
    assert "/proc is not mounted" in verdicts["user"]["why"]
    assert "mount -t proc" in verdicts["user"]["remedy"]


def limit(kind):
    return ["unshare", "-Ur", "sh", "-c",
            f'echo 0 > /proc/sys/user/max_{kind}_namespaces; exec "$@"', "sh"]


COVERED = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc/sys/kernel && exec "$@"', "sh"]
READ_ONLY_RUN = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro none /run && exec "$@"', "sh"]
FRESH_RUN = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o mode=755 none /run && exec "$@"', "sh"]
HOSTS = {
    "as it is": ([], None, True),
    "in a user namespace": (["unshare", "-Ur"], None, True),
    "no user namespaces": (limit("user"), None, False),
    "no network namespaces": (limit("net"), None, False),
    "no time namespaces": (limit("time"), None, False),
    "run read-only": (READ_ONLY_RUN, None, False),
    "no run/purple yet": (FRESH_RUN, None, True),
    "proc covered": (COVERED, None, False),
    "filtered": ([], load_filter, False),
}


@needs_root
@needs_userns
@pytest.mark.parametrize("host", HOSTS)
def test_run_does_what_doctor_says(purple, host, tmp_path):
    """Ready is ready for `purple run -p default`, not ready ends it with 125."""
    before, preexec, ready = HOSTS[host]
    work = tmp_path / "work"
    work.mkdir()
    options = {"cwd": work, "env": {**os.environ, "HOME": str(tmp_path / "home")},
               "preexec_fn": preexec}
    assert judge([*before, purple, "doctor", "--json"], **options)[0] == (0 if ready else 1)
    done = subprocess.run([*before, purple, "run", "-p", "default", "--", "/bin/true"], check=False,
                          capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == (0 if ready else 125), done.stderr
