# SPDX-License-Identifier: Apache-2.0
"""
A workspace that is direct: what the host would run or obey cannot be made, written, moved or
removed from inside, by whatever name, whether it is there or not, and nothing is left of the
attempt. Each has its control: without filesystem.protect it succeeds.
"""
import random
import signal
import subprocess

import pytest

from running import ok, run
from trees import listing, untouched

pytestmark = pytest.mark.usefixtures("as_user")
OFF = ["--protect", "!**"]

# CVE-2026-25725, 2025-59536, 2025-61260, 2026-48124, 2026-55607 and their kind.
NAMES = [
    *(f"{repository}.git/{name}" for repository in ("", "nested/", "a/b/c/")
      for name in ("hooks/pre-commit", "config", "config.worktree")),
    ".git/modules/sub/config", ".git/modules/sub/hooks/post-merge", "bare/config",
    "bare/hooks/update", ".envrc", "deep/.envrc", ".bashrc", ".zshenv", ".profile",
    ".config/fish/config.fish", ".ssh/config", ".vscode/tasks.json", "deep/.vscode/launch.json",
    ".idea/workspace.xml", "x.code-workspace", ".devcontainer/devcontainer.json", ".vimrc",
    ".nvim.lua", ".dir-locals.el", ".claude/settings.json", ".codex/config.toml",
    ".cursor/mcp.json", ".mcp.json", ".gemini/settings.json", ".husky/pre-commit",
    ".githooks/pre-push", "lefthook.yml", ".pre-commit-config.yaml", ".gitconfig", ".hg/hgrc",
    # The same to a file system that does not tell them apart.
    ".GIT/config", ".VSCode/tasks.json", ".Envrc",
]
# Directories by whose being there git takes "bare" and "sub" for its own.
GIT = ["bare/refs/heads", "bare/objects", ".git/modules/sub/refs", ".git/modules/sub/objects"]

ATTACK = r"""
import ctypes, errno, os, sys
how, names = sys.argv[1], sys.argv[2:]
libc = ctypes.CDLL(None, use_errno=True)
def parents(name):
    # What is not protected itself may be made.
    at = ""
    for part in os.path.dirname(name).split("/"):
        at = os.path.join(at, part)
        try:
            os.mkdir(at or ".")
        except OSError:
            pass
def put(path, flags=os.O_CREAT | os.O_TRUNC):
    fd = os.open(path, os.O_WRONLY | flags, 0o644)
    os.write(fd, b"planted\n")
    os.close(fd)
def stage():
    if os.path.lexists("staged"):
        os.unlink("staged")
    put("staged")
def clear(name):
    try:
        os.unlink(name)
    except OSError:
        pass
def write(name): put(name)
def fresh(name):
    clear(name)
    put(name, os.O_CREAT | os.O_EXCL)
def rename(name):
    stage(); os.rename("staged", name)
def link(name):
    stage(); clear(name); os.link("staged", name)
def unnamed(name):
    clear(name)
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o644)
    os.write(fd, b"planted\n")
    if libc.linkat(-100, f"/proc/self/fd/{fd}".encode(), -100, name.encode(), 0x400):
        raise OSError(ctypes.get_errno(), "linkat")
def symlink(name):
    stage(); clear(name); os.symlink(os.path.abspath("staged"), name)
def alias(name):
    clear("alias"); os.symlink(os.path.abspath(name), "alias"); put("alias")
def by_cwd(name): put("/proc/self/cwd/" + name)
def by_root(name): put("/proc/self/root" + os.path.abspath(name))
def by_dirfd(name):
    fd = os.open(os.path.dirname(name) or ".", os.O_RDONLY)
    done = libc.openat(fd, os.path.basename(name).encode(), os.O_WRONLY | os.O_CREAT, 0o644)
    if done < 0:
        raise OSError(ctypes.get_errno(), "openat")
    os.write(done, b"planted\n")
    os.ftruncate(done, 8)
def by_dots(name):
    os.makedirs("sub/dir", exist_ok=True)
    put("sub/dir/../../" + name)
def by_link_and_dots(name):
    os.makedirs("far/dir", exist_ok=True)
    clear("jump"); os.symlink("far/dir", "jump"); put("jump/../../" + name)
def reopened(name):
    fd = os.open(name, os.O_RDONLY)
    put(f"/proc/self/fd/{fd}", os.O_TRUNC)
def path_only(name):
    fd = os.open(name, os.O_PATH)
    put(f"/proc/self/fd/{fd}", os.O_TRUNC)
def second_name(name):
    clear("second"); os.link(name, "second"); put("second", os.O_TRUNC)
def cut(name):
    os.truncate(name, 0); put(name)
def exchange(name):
    stage()
    if libc.renameat2(-100, b"staged", -100, name.encode(), 2):
        raise OSError(ctypes.get_errno(), "renameat2")
def parent(name):
    where = os.path.dirname(name)
    if not where:
        return rename(name)
    os.makedirs("elsewhere", exist_ok=True)
    put("elsewhere/" + os.path.basename(name))
    if os.path.isdir(where):
        try:
            os.rename(where, "old" + where.replace("/", "-"))
        except OSError:
            os.unlink("elsewhere/" + os.path.basename(name))
            raise
    os.rename("elsewhere", where)
def away(name):
    os.rename(name, "away"); put("away"); os.rename("away", name)
for name in names:
    parents(name)
    try:
        globals()[how](name)
        print("planted", name, flush=True)
    except OSError as e:
        print(errno.errorcode[e.errno], name, flush=True)
    for left in ("staged", "alias", "second", "jump"):
        clear(left)
"""
HOWS = ["write", "fresh", "rename", "link", "unnamed", "symlink", "alias", "by_cwd", "by_root",
        "by_dirfd", "by_dots", "by_link_and_dots", "cut", "exchange", "parent"]
OF_WHAT_IS_THERE = ["reopened", "path_only", "second_name", "away"]


def attack(how, *names):
    return ["python3", "-c", ATTACK, how, *names]


@pytest.fixture(name="bare")
def fixture_bare(as_user):
    """Git directories without settings."""
    ok(as_user.run(["mkdir", "-p", *GIT, ".git/refs", "nested/.git/refs", "a/b/c/.git/refs"]))
    return as_user.workspace


@pytest.fixture(name="there")
def fixture_there(as_user, bare):
    for name in NAMES:
        ok(as_user.run(["mkdir", "-p", bare / name.rpartition("/")[0]]))
        as_user.write(name, "mine\n")
    return bare


def is_git(top, name):
    """Is what @name is of a git directory still? Without these git takes it for none."""
    at = name.split("/hooks/")[0] if "/hooks/" in name else name.rpartition("/")[0]
    return not name.startswith(tuple(g.rpartition("/")[0] for g in GIT)) or (top / at / "refs").exists()


def planted(top):
    return [n for n in NAMES if is_git(top, n) and
            ((top / n).is_symlink()
             or ((top / n).is_file() and (top / n).read_text() != "mine\n"))]


@pytest.mark.parametrize("how", HOWS)
def test_what_is_not_there_cannot_be_made(as_user, bare, how):
    done = ok(run(as_user, *attack(how, *NAMES)))
    assert "planted .git/config" not in done and "planted .envrc" not in done, done
    assert not planted(bare), done
    # Nor is there a stub that nobody asked for.
    assert not [p for p in listing(bare) if p.startswith((".vscode", ".envrc", ".claude", ".idea"))]


@pytest.mark.parametrize("how", HOWS + OF_WHAT_IS_THERE)
def test_what_is_there_stays_as_it_is(as_user, there, how):
    done = ok(run(as_user, *attack(how, *NAMES)))
    assert not planted(there), done
    for name in NAMES:
        # What git has in a nested repository may go: that plants nothing.
        free = "/config" in name or "/hooks/" in name
        own = name.startswith((".git/config", ".git/hooks", ".husky", ".config"))
        assert how == "parent" or free and not own or (there / name).read_text() == "mine\n", name


@pytest.mark.parametrize("how", HOWS + OF_WHAT_IS_THERE)
def test_control_it_is_planted(as_user, there, how):
    """Without protection every way does it."""
    done = ok(run(as_user, *attack(how, *NAMES), options=OFF))
    lines = done.splitlines()
    assert sum(x.startswith("planted") for x in lines) >= len(NAMES) * 3 // 4, done


@pytest.mark.parametrize("box", ["exec"])
def test_in_a_sandbox_that_stays(as_user, bare, box):
    name = f"protect-{as_user.name}-{random.randrange(1 << 30)}"
    ok(as_user.run([as_user.purple, "create", name]))
    try:
        for how in ("write", "rename", "by_cwd"):
            done = ok(as_user.run([as_user.purple, box, name, "--", *attack(how, *NAMES)]))
            assert "planted" not in done and not planted(bare), done
        ok(as_user.run([as_user.purple, box, name, "--", "sh", "-c",
                        "mkdir d && echo x >d/a && mv d/a d/b && rm d/b && rmdir d && echo y >mine"]))
        assert (bare / "mine").read_text() == "y\n"
    finally:
        as_user.run([as_user.purple, "rm", "-f", name])


# A thread that changes the path between any look at it and the call.
FLIP = r"""
import ctypes, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
good = sys.argv[2].encode()
bad = b".envrc\0"
path = ctypes.create_string_buffer(good)
stop = False
def flip():
    while not stop:
        ctypes.memmove(path, bad, len(bad))
        ctypes.memmove(path, good, len(good))
t = threading.Thread(target=flip); t.start()
hit = 0
for i in range(int(sys.argv[1])):
    if hit:
        break
    for call in (lambda: libc.open(path, os.O_CREAT | os.O_WRONLY, 0o644),
                 lambda: libc.mknod(path, 0o100644, 0), lambda: libc.rename(b"source", path),
                 lambda: libc.open(b"/tmp/x", os.O_CREAT | os.O_WRONLY, 0o644)):
        open("source", "w").close()
        fd = call()
        if fd > 2:
            os.close(fd)
        if os.path.lexists(".envrc"):
            hit += 1
            os.unlink(".envrc")
        for name in ("harmles", "source"):
            try:
                os.unlink(name)
            except OSError:
                pass
stop = True; t.join()
print("hit" if hit else "none")
"""


# To another name in the workspace, and to one that the kernel is left to open.
ELSEWHERE = ["harmles", "/var/tmp/x"]


@pytest.mark.parametrize("other", ELSEWHERE)
def test_a_thread_that_changes_the_path(as_user, other):
    assert ok(run(as_user, "python3", "-c", FLIP, "600", other)) == "none\n"
    assert not (as_user.workspace / ".envrc").exists()


@pytest.mark.parametrize("other", ELSEWHERE)
def test_control_the_thread_does_it(as_user, other):
    assert ok(run(as_user, "python3", "-c", FLIP, "100000", other, options=OFF)) == "hit\n"


# Directories that change places while a file is made in one of them.
SWAP = r"""
import ctypes, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
os.makedirs("plain", exist_ok=True)
if not os.path.lexists("link"):
    os.symlink(".git/hooks", "link")
stop = False
def swap():
    while not stop:
        libc.renameat2(-100, b"plain", -100, b"link", 2)
t = threading.Thread(target=swap); t.start()
for i in range(int(sys.argv[1])):
    try:
        os.close(os.open("plain/pre-commit", os.O_CREAT | os.O_WRONLY, 0o755))
    except OSError:
        pass
    if os.path.lexists(".git/hooks/pre-commit"):
        break
stop = True; t.join()
"""


@pytest.mark.parametrize("options", [[], OFF], ids=["on", "control"])
def test_directories_that_change_places(as_user, options):
    ok(as_user.run(["mkdir", "-p", ".git/hooks", ".git/refs"]))
    ok(run(as_user, "python3", "-c", SWAP, "500000" if options else "1500",
           options=options))
    assert (as_user.workspace / ".git/hooks/pre-commit").exists() == bool(options)


# Git directories of any name, put together from parts that are harmless alone.
ASSEMBLE = [
    "mkdir g && echo evil >g/config && mkdir g/objects g/refs",
    "mkdir g g/hooks && echo evil >g/hooks/pre-commit && mkdir g/refs",
    "mkdir g r && echo evil >g/config && mv r g/refs",
    "mkdir g && echo evil >g/config && echo ../x >g/commondir",
    "mkdir g && echo evil >g/config && ln -s /tmp g/refs",
    "mkdir g g/refs && echo evil >g/config",
    "mkdir g g/refs g/h && echo evil >g/h/pre-commit && mv g/h g/hooks",
    "mkdir g g/refs h && echo evil >h/pre-commit && ln -s ../h g/hooks",
    "mkdir g && echo evil >g/config && mkdir q && mv g q/.git",
    "mkdir -p g/fish && echo evil >g/fish/config.fish && mv g .config",
    "mkdir g && echo evil >g/settings.json && mv g .claude",
    "mkdir -p node_modules/p/.vscode && echo evil >node_modules/p/.vscode/tasks.json && "
    "mv node_modules/p p",
    "mkdir g && ln -s g .vscode", "mkdir g && ln -s g .git", "mkfifo .envrc",
    "mkdir .git .git/refs && printf '[core]\\n\\tpager = evil\\n' >.git/config.lock && "
    "mv .git/config.lock .git/config",
    "mkdir .git .git/refs && printf '[core]\\n\\tbare = false\\n' >.git/config.lock && "
    "exec 3>>.git/config.lock && mv .git/config.lock .git/config && "
    "printf '\\tpager = evil\\n' >&3 && grep evil .git/config",
]


@pytest.mark.parametrize("script", ASSEMBLE, ids=range(len(ASSEMBLE)))
def test_parts_that_are_harmless_alone(as_user, script):
    assert run(as_user, "sh", "-c", script).returncode != 0
    ok(run(as_user, "sh", "-c", "rm -rf g q p r h node_modules"))
    ok(as_user.run(["sh", "-c", "rm -rf ./* .git .config .claude .vscode .envrc"]))
    ok(run(as_user, "sh", "-c", script, options=OFF))


def test_a_directory_takes_its_protection_along(as_user):
    as_user.write("one/.vscode/tasks.json", "mine\n")
    ok(run(as_user, "sh", "-c", "mv one two && ! echo evil >two/.vscode/tasks.json && "
                                "! echo evil >two/.vscode/new && ! mv two/.vscode x"))
    assert (as_user.workspace / "two/.vscode/tasks.json").read_text() == "mine\n"


def test_it_is_told_of(as_user):
    done = run(as_user, "sh", "-c", "echo x >.envrc")
    assert done.returncode != 0 and "Permission denied" in done.stderr


def test_the_list_can_be_extended_and_emptied(as_user):
    as_user.write("p.yaml", "name: p\nextends: default\nfilesystem:\n"
                            "  protect: ['*.lock', '!.envrc']\n")
    done = run(as_user, "sh", "-c", "echo x >.envrc && ! echo x >a.lock && ! echo x >.mcp.json",
               options=["-p", "./p.yaml"])
    assert done.returncode == 0, done
    as_user.write("q.yaml", "name: q\nextends: default\nfilesystem: {protect: []}\n")
    ok(run(as_user, "sh", "-c", "echo x >.mcp.json && echo x >a.lock", options=["-p", "./q.yaml"]))


def test_a_way_in_by_another_writable_path(as_user):
    """The directory above the workspace is given too: it is no way around."""
    ok(as_user.run(["mkdir", "-p", as_user.home / "above/work"]))
    above, work = as_user.home / "above", as_user.home / "above/work"
    script = (f"cd {above} && echo x >free && ! echo x >{work}/.envrc && ! echo x >work/.mcp.json &&"
              f" mkdir other && echo y >other/z && ! echo x >other/.envrc")
    ok(run(as_user, "sh", "-c", script, options=["--rw", str(above)], cwd=work))
    assert (above / "free").exists() and not (work / ".envrc").exists()


def test_killed_at_any_moment(as_user, bare):
    """The supervisor, while it sets up or while names are made: no stub is left."""
    word, chance = untouched(bare), random.Random(as_user.uid)
    command = ["sh", "-c", 'while :; do python3 -c "$0" "$@"; done',
               *attack("rename", ".envrc", ".mcp.json", ".git/hooks/pre-commit")[2:]]
    for attempt in range(10):
        with as_user.popen([as_user.purple, "run", "--", *command], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL) as child:
            if attempt % 2:
                child.stdout.readline()
            try:
                child.wait(timeout=chance.random() * 0.1)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
            child.stdout.read()
        (bare / "staged").unlink(missing_ok=True)
        left = [p for p in listing(bare) if p.rpartition("/")[2] in
                (".envrc", ".mcp.json", "pre-commit")]
        assert not left and word, attempt
