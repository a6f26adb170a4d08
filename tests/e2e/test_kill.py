# SPDX-License-Identifier: Apache-2.0
"""
SIGKILL of the launcher, the supervisor, PID 1, the command or whatever else
there is, at a random moment and at a call that strace holds up. Afterwards
`purple ps` is right, and no process, mount, control group, directory or socket
is left.

What a dead supervisor could not remove itself, its state directory and its
control group, is removed by the next `purple ps`, or the next start of that
name: it is looked for after one of these, and nothing else has run since. That
all processes are gone is looked for before.

A round that failed prints how to run it again: PURPLE_KILL_SEED chooses the
rounds, PURPLE_KILL_ROUND one of them. PURPLE_KILLS is how many there are.

As root the state directory, the cache and /tmp are the test's own: they are
mounted over in a namespace of mounts in which all of it runs. Root's control
groups are shared with what runs beside: there only what nobody locks counts as
left. A plan that was not written to its end may lie in the cache for a minute.
"""
import collections
import contextlib
import ctypes
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

import groups
from running import children_of, eventually
from test_leave_nothing import PR_SET_CHILD_SUBREAPER, children, is_zombie, tree

STRACE = shutil.which("strace")
FEW, MANY = 15, 125  # of each of four: root and user, at random and at a call
PAUSE_US, RANDOM_S, SETTLE_S = 200_000, 0.03, 15.0
LAST_S = 0.1  # for a call that comes when it runs already

STAYS = ["/bin/sh", "-c", "sleep 100 & setsid sleep 100 & wait"]
LINE = re.compile(r"^(\d+) +(\w+)\(")

# $0: the test's directory, $1: Purple's. Both stay where they are.
HOLDER = """
mkdir -p /run/purple /var/cache/purple "$0/run" "$0/tmp$0" "$0/tmp$1"
mkdir -m 700 "$0/cache"
chmod 1777 "$0/tmp/tmp"
mount --bind "$0/run" /run/purple
mount --bind "$0/cache" /var/cache/purple
mount --rbind "$0" "$0/tmp$0"
mount --rbind "$1" "$0/tmp$1"
mount --rbind "$0/tmp/tmp" /tmp
echo ready
exec sleep infinity
"""

# How a sandbox is started: has it a name, is it in the background, a command?
Way = collections.namedtuple("Way", "word options named background command")
WAYS = {
    "anonymous": Way("run", (), False, False, True),
    "quick": Way("run", (), False, False, True),
    "cold": Way("run", (), False, False, True),
    "uncached": Way("run", ("--no-cache",), False, False, True),
    "named": Way("run", (), True, False, True),
    "detached": Way("run", ("--detach",), True, True, True),
    "created": Way("create", (), True, True, False),
}
LIMITS = ("--memory", "256M")


def stat_of(pid):
    """Its name, and its pids in every namespace from ours downwards."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "", []
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    return fields["Name"], fields.get("NSpid", "").split()


def locked_inodes():
    return {line.split()[-3].rpartition(":")[2]
            for line in pathlib.Path("/proc/locks").read_text().splitlines() if "FLOCK" in line}


def leaves(parent):
    """Every control group of a sandbox in groups called @parent, and its inode."""
    found = {}
    for _, point, _ in groups.hierarchies():
        for path in (point / parent).glob("purple-*"):
            try:
                found[path] = str(path.stat().st_ino)
            except OSError:
                pass
    return found


def unlocked_leaves(parent):
    """Names of those of which no directory is locked: the one that tracks is."""
    found, locked = collections.defaultdict(bool), locked_inodes()
    for path, inode in leaves(parent).items():
        found[path.name] |= inode in locked
    return {name for name, is_locked in found.items() if not is_locked}


class Ground:
    """Where the rounds happen, and what must be the same after each."""

    def __init__(self, runner, prefix, parent, enter):
        """Groups are made in one called @parent; the words @enter get a user there."""
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.runner = runner
        self.parent, self.enter = parent, enter
        self.private = os.geteuid() == 0
        self.holder = None
        if self.private:
            self.holder = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-ec", HOLDER,
                 str(runner.base), str(pathlib.Path(prefix).parent)], stdout=subprocess.PIPE)
            assert self.holder.stdout.readline() == b"ready\n"
        self.before = children()
        self.runtime = runner.base / "run" if runner.uid == 0 else \
            runner.home / ".local/state/purple/run"
        self.cache = runner.base / "cache" if runner.uid == 0 else runner.home / ".cache/purple"
        self.run(runner.purple, "run", "--", "/bin/true")
        # Once, so that what appears only the first time is there.
        self.run(runner.purple, "run", "--name", "first", "--", "/bin/true")
        limited = self.run(runner.purple, "run", *LIMITS, "--", "/bin/true", check=False)
        self.limits = limited.returncode == 0
        assert self.limits or "control group" in limited.stderr, limited
        self.aside = runner.base / "plans"
        self.aside.mkdir()
        self.unchanged = self.state()

    def close(self):
        if self.holder:
            self.holder.kill()
            self.holder.communicate()

    def argv(self, argv):
        argv = [str(a) for a in argv]
        if not self.private:
            return argv
        identity = () if self.runner.uid == 0 else (
            *self.enter, "setpriv", f"--reuid={self.runner.uid}", f"--regid={self.runner.uid}",
            "--clear-groups", "--")
        # Each of them execs the next: the pid is the last one's.
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", *identity,
                "env", f"--chdir={self.runner.workspace}", *argv]

    def popen(self, *argv, **kw):
        options = {"env": self.runner.env, "stdin": subprocess.DEVNULL, "text": True,
                   "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kw}
        if not self.private:
            options["cwd"] = self.runner.workspace
        return subprocess.Popen(self.argv(argv), **options)

    def run(self, *argv, check=True):
        process = self.popen(*argv)
        out, err = process.communicate(timeout=60)
        done = subprocess.CompletedProcess(argv, process.returncode, out, err)
        assert not check or done.returncode == 0, done
        return done

    def state(self):
        holder = self.holder.pid if self.holder else "self"
        return {"mounts": pathlib.Path(f"/proc/{holder}/mountinfo").read_text(),
                "tmp": sorted(os.listdir(self.runner.base / "tmp/tmp")) if self.private else None,
                "home": [name for name in sorted(tree(self.runner.home))
                         if not pathlib.Path(name).is_relative_to(self.cache)],
                "work": sorted(tree(self.runner.workspace)),
                "runtime": sorted(tree(self.runtime))}

    def family(self):
        """Every process that is ours since the round began. What has ended is reaped."""
        found, todo = [], list(children() - self.before)
        while todo:
            pid = todo.pop()
            if not is_zombie(pid):
                found.append(pid)
            todo += children_of(pid)
        return found

    def reap(self, known):
        """Orphans that came to us and have ended."""
        for pid in children() - self.before - {known}:
            if is_zombie(pid):
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass

    def ps(self, *options):
        return {x["name"]: x for x in
                json.loads(self.run(self.runner.purple, "ps", "--json", *options).stdout)}


@pytest.fixture
def ground(as_user, purple_prefix):
    if os.geteuid() == 0 and not str(as_user.base).startswith("/tmp/"):
        pytest.skip("the temporary directory is not in /tmp")
    with contextlib.ExitStack() as stack:
        parent, enter = "purple", ()
        if os.geteuid() == 0 and as_user.uid != 0:
            parent = f"purple-kill-{os.getpid()}"
            stack.enter_context(groups.delegated(as_user, parent))
            inside = [str(point / parent / ("caller" if version == 2 else ""))
                      for version, point, _ in groups.hierarchies()]
            enter = ("sh", "-c", groups.ENTER, " ".join(inside))
        one = Ground(as_user, purple_prefix, parent, enter)
        stack.callback(one.close)
        # Otherwise half of this would not be tested.
        assert one.limits or os.geteuid() != 0 or not groups.hierarchies()
        yield one


class Round:
    """One sandbox, and who is who in it."""

    def __init__(self, ground, way, limited, name):
        self.ground, self.way, self.name = ground, WAYS[way], name
        self.limited = limited
        self.cold = way == "cold"
        self.process = self.log = None
        self.supervised = False  # when the kill came
        self.command = ["/bin/sleep", "0.004"] if way == "quick" else STAYS

    def argv(self):
        way = self.way
        argv = [self.ground.runner.purple, way.word, *way.options,
                *(LIMITS if self.limited else ())]
        if way.command:
            return [*argv, *(("--name", self.name) if way.named else ()), "--", *self.command]
        return [*argv, self.name]

    def start(self, strace=()):
        # The plans are laid aside, or back: who was killed has perhaps not made them anew.
        cache, aside = self.ground.cache, self.ground.aside
        for plan in list((cache if self.cold else aside).iterdir()):
            plan.rename((aside if self.cold else cache) / plan.name)
        if strace:
            self.log = self.ground.runner.base / "trace"
            self.log.write_text("")
            self.log.chmod(0o666)
            strace = [STRACE, "-f", "-qq", "-o", self.log, *strace]
        self.process = self.ground.popen(*strace, *self.argv())

    def roles(self):
        """Who is there by now; a role that nobody has is missing."""
        found, outside = {}, []
        for pid in sorted(self.ground.family()):
            name, pids = stat_of(pid)
            if len(pids) > 1 and pids[-1] == "1":
                found["pid1"] = pid
                inside = children_of(pid)
                if inside:
                    found["command"] = inside[0]
                    found.update({"last": child for child in children_of(inside[0])})
            elif len(pids) == 1 and name == "purple":
                outside.append(pid)
            elif len(pids) == 1 and name == "purple-compile":
                found["compiler"] = pid
        if self.way.background:
            launcher = [pid for pid in outside if pid == self.process.pid or
                        stat_of(self.parent(pid))[0] == "strace"]
            found.update({"launcher": pid for pid in launcher})
            found.update({"supervisor": pid for pid in outside if pid not in launcher})
        elif outside:
            found["supervisor"] = outside[0]
        return found

    @staticmethod
    def parent(pid):
        try:
            return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            return 0

    def paused(self, role, name, nth, deadline=10.0):
        """Whether @role has come to its call, before all is over. Others are held up too."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            seen = collections.Counter()
            for line in self.log.read_text().splitlines():
                match = LINE.match(line)
                if match and match[2] == name:
                    seen[int(match[1])] += 1
            at = self.roles().get(role)
            if seen[at] == nth:
                return True
            if self.gone(0):
                return False
            if self.is_up():
                end = min(end, time.monotonic() + LAST_S)
        return False

    def is_up(self):
        """Set up as far as it goes: written down as running."""
        if not self.way.named:
            return "command" in self.roles() and self.name_on_disk() is not None
        return "state=running" in self.written()

    def name_on_disk(self):
        try:
            names = [n for n in os.listdir(self.ground.runtime / "sandboxes") if n[0] != "."]
        except OSError:
            return None
        return names[0] if names else None

    def written(self):
        try:
            return (self.ground.runtime / "sandboxes" / self.name / "state").read_text()
        except OSError:
            return ""

    def gone(self, seconds=SETTLE_S):
        """Nobody is left; the launcher's output is read."""
        def nobody():
            self.process.poll()
            self.ground.reap(self.process.pid)
            # Twice: an orphan may have been on its way to us.
            return not self.ground.family() and not self.ground.family()
        return eventually(nobody, seconds)

    def end_foreground(self):
        """Whom the kill has not ended is ended as a caller would."""
        supervisor = self.roles().get("supervisor")
        if supervisor:
            try:
                os.kill(supervisor, signal.SIGTERM)
            except ProcessLookupError:
                pass


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def check_survivor(one):
    """ps has it right, and it can be killed."""
    ground = one.ground
    listed, roles = ground.ps(), one.roles()
    assert list(listed) == [one.name], (listed, roles)
    row = listed[one.name]
    assert row["state"] == "running" and row["supervisor"] == roles["supervisor"], (row, roles)
    assert row["pid1"] == roles["pid1"], (row, roles)
    ground.run(ground.runner.purple, "kill", one.name)


def check_end(one, victim, by_start):
    """Everything has ended: ps says so, and what is left goes."""
    ground = one.ground
    left = unlocked_leaves(ground.parent)
    found = {"groups": len(left), "directories": int(one.name_on_disk() is not None)}
    if by_start and one.way.named:
        done = ground.run(ground.runner.purple, "run", "--name", one.name, "--", "/bin/true",
                          check=False)
        # It has taken the name over, or there is a record of an end that holds it.
        record = ground.ps("-a").get(one.name)
        assert (done.returncode == 0) == (record is None), (done, record)
        if done.returncode:
            assert "has ended" in done.stderr, done
    assert ground.ps() == {}
    # Other tests' workspaces may wait in root's state meanwhile.
    records = {name: record for name, record in ground.ps("-a").items()
               if name == one.name or not record.get("changes_wait")}
    assert set(records) <= {one.name}
    if victim == "supervisor" or not one.way.background:
        assert records == {}
    for record in records.values():
        assert record["state"] == "ended", record
        if victim in ("pid1", "command"):
            assert record["exit_status"] == 137, record
        ground.run(ground.runner.purple, "rm", one.name)
    assert eventually(lambda: not left & {p.name for p in leaves(ground.parent)}, 2), left
    assert ground.state() == ground.unchanged
    for name in os.listdir(ground.cache):
        # One that was not finished: cache_store.c removes it a minute later.
        if not re.fullmatch("[0-9a-f]{64}", name):
            assert one.cold and name.startswith("."), name
            (ground.cache / name).unlink()
            found["plans"] = 1
    return found


def finish(one, victim, by_start):
    """@victim None: nobody was hit, or one whose end need not be the sandbox's."""
    if victim in (None, "launcher", "compiler", "last"):
        assert eventually(lambda: one.gone(0) or one.is_up(), SETTLE_S), one.roles()
        # With a supervisor it goes on, whatever becomes of who started it.
        assert one.is_up() or not (victim == "launcher" and one.supervised), one.log
        if one.is_up() and one.way.background:
            check_survivor(one)
        else:
            one.end_foreground()
    assert one.gone(), f"left: {one.roles()} {[(p, stat_of(p)) for p in one.ground.family()]}"
    out, err = one.process.communicate(timeout=10)
    assert one.process.returncode in (0, 125, 137, 143, -9, -signal.SIGTERM), (out, err)
    said = [line for line in err.splitlines() if line.startswith("purple: ")]
    assert len(said) <= 1, err
    return check_end(one, victim, by_start)


# What a round is made of: the same again for the same seed and number.
Draw = collections.namedtuple("Draw", "seed number chance story")


def rounds(ground, count, play):
    """@play(draw) for each; what failed says how to have it again."""
    seed = os.environ.get("PURPLE_KILL_SEED") or str(random.SystemRandom().randrange(1 << 32))
    only = os.environ.get("PURPLE_KILL_ROUND")
    count = int(os.environ.get("PURPLE_KILLS", count))
    tally = collections.Counter()
    for number in [int(only)] if only else range(count):
        draw = Draw(seed, number, random.Random(f"{seed}-{number}"), [])
        try:
            tally.update(play(draw))
        except BaseException:
            print(f"PURPLE_KILL_SEED={seed} PURPLE_KILL_ROUND={number}: {' '.join(draw.story)}")
            for pid in ground.family():
                kill(pid)
            raise
    print(f"seed {seed}, {count} rounds: {dict(sorted(tally.items()))}")


def choose(ground, draw):
    way = draw.chance.choice(list(WAYS))
    limited = ground.limits and draw.chance.random() < 0.5
    draw.story.extend([way, "limited" if limited else "unlimited"])
    return Round(ground, way, limited, f"kill-{draw.number}")


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
def test_killed_at_a_random_moment(ground, count):
    def play(draw):
        one, chance = choose(ground, draw), draw.chance
        delay, want = chance.random() * RANDOM_S, chance.random()
        by_start = chance.random() < 0.5
        one.start()
        eventually(lambda: stat_of(one.process.pid)[0] == "purple" or is_zombie(one.process.pid))
        time.sleep(delay)
        roles = sorted(one.roles().items())
        victim, pid = roles[int(want * len(roles))] if roles else (None, 0)
        draw.story.extend([f"{victim} after {delay * 1000:.1f} ms"])
        one.supervised = any(role == "supervisor" for role, _ in roles)
        victim = victim if victim and kill(pid) else None
        found = finish(one, victim, by_start)
        return {str(victim): 1, **found}
    rounds(ground, count, play)


def calls(ground, way, limited):
    """By role, and by name of a call, how often it is made on the way to a running sandbox."""
    one = Round(ground, way, limited, "reference")
    one.start(["-e", "trace=all"])
    assert eventually(lambda: one.is_up() or one.gone(0), SETTLE_S)
    who = {pid: role for role, pid in one.roles().items()}
    # The others go with it; if PID 1 went first, there might be a record.
    kill({role: pid for pid, role in who.items()}.get("supervisor", one.process.pid))
    assert one.gone()
    one.process.communicate()
    ground.ps()
    lines = [m.groups() for m in map(LINE.match, one.log.read_text().splitlines()) if m]
    who.setdefault(int(lines[0][0]), "launcher")
    found = collections.defaultdict(collections.Counter)
    for pid, name in lines:
        # The end, and what comes before strace holds up, are no part of it.
        if name not in ("exit_group", "exit", "execve"):
            found[who.get(int(pid), "compiler")][name] += 1
    return found


# Whose call is held up, in turn.
HELD = ("pid1", "supervisor", "pid1", "command", "pid1", "launcher", "compiler")


def choose_call(found, draw):
    """A role, each name of a call in turn, and which of them."""
    turn, place = divmod(draw.number, len(HELD))
    role = HELD[place] if HELD[place] in found else "pid1"
    if role not in found:  # too short-lived for us to see who is who
        role = sorted(found)[0]
    names = sorted(found[role])
    random.Random(draw.seed).shuffle(names)
    name = names[(turn * HELD.count(role) + HELD[:place].count(role)) % len(names)]
    return role, name, draw.chance.randint(1, found[role][name])


@pytest.mark.skipif(not STRACE, reason="needs strace")
@pytest.mark.not_sanitized("strace and the runtime's own calls")
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
def test_killed_in_the_middle_of_a_call(ground, count):
    """In a long run, of each name that PID 1 ever calls."""
    known = {}

    def play(draw):
        one, chance = choose(ground, draw), draw.chance
        # A short one does the same as another of its kind until it ends.
        way = draw.story[0]
        key = ("anonymous" if way == "quick" else way, one.limited)
        if key not in known:
            known[key] = calls(ground, *key)
        role, name, nth = choose_call(known[key], draw)
        want, by_start = chance.random(), chance.random() < 0.5
        one.start(["-e", f"trace={name}", "-e",
                   f"inject={name}:delay_enter={PAUSE_US}:when={nth}"])
        held = role if one.paused(role, name, nth) else "nobody"
        roles = sorted(one.roles().items())
        victim, pid = roles[int(want * len(roles))] if roles else (None, 0)
        draw.story.extend([f"{victim} while {name} {nth} holds up {held}"])
        one.supervised = any(role == "supervisor" for role, _ in roles)
        victim = victim if victim and kill(pid) else None
        kinds.add((held, name))
        return {str(victim): 1, f"held {held}": 1, **finish(one, victim, by_start)}

    kinds = set()
    rounds(ground, count, play)
    print({role: sorted(name for r, name in kinds if r == role) for role in {r for r, _ in kinds}})
