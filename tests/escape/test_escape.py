# SPDX-License-Identifier: Apache-2.0
"""Every row of rows.py: contained with all layers, let through without the one it is about."""
import contextlib
import fcntl
import os
import pty
import subprocess
import termios

import pytest

import rows
from lab import CANNOT, CONTAINED, ESCAPED, REFUSED

PROFILES = ("default", "strict", "coding-agent", "honeypot")


@contextlib.contextmanager
def surroundings(row, lab):
    """The keywords for the call, with descriptors left open and terminals where a row asks."""
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(row.setup(lab)) if row.setup else {}
        kw = {}
        if "skip" in names:
            pytest.skip(names["skip"])
        if "stdin" in names:
            kw["stdin"] = names["stdin"]
        if row.probe[0] == "fds":
            fds = [os.open("/", os.O_RDONLY | os.O_DIRECTORY) for _ in range(20)]
            for fd in fds:
                stack.callback(os.close, fd)
            kw["pass_fds"] = fds
        if row.probe[0] == "tty":
            outer, inner = pty.openpty()
            stack.callback(os.close, outer)
            stack.callback(os.close, inner)
            if row.probe[1] == "own":
                kw["stdin"] = inner

            def own_terminal():
                os.setsid()
                fcntl.ioctl(inner, termios.TIOCSCTTY, 0)
            kw["pass_fds"] = [inner]
            kw["preexec_fn"] = own_terminal
        if "cgroup_path" in names:
            procs = os.open(f"{names['cgroup_path']}/cgroup.procs", os.O_WRONLY)
            stack.callback(os.close, procs)
            kw["preexec_fn"] = lambda: os.write(procs, b"0") and None
        yield names, kw


def filled(words, names):
    return [str(word).format(**names) for word in words]


def attempt(row, lab, ops, how=None, probe=None):
    """Run the probe under the plan as edited by @ops."""
    before = [str(lab.tools / "probes" / row.before[0]), *row.before[1:]] if row.before else []
    with surroundings(row, lab) as (names, kw):
        probe = filled(probe or row.probe, names)
        call = {"command": [f"/probes/{probe[0]}", *probe[1:]],
                "options": filled(row.options, names), "before": before, **kw}
        if ops:
            return (how or lab.run_edited)(filled(ops, names), **call)
        return lab.run(**call)


def expect(done, status, what):
    if done.returncode == CANNOT:
        pytest.skip(done.stdout.strip())
    assert done.returncode == status, \
        f"{what}: exit {done.returncode}\n{done.stdout}{done.stderr}"


def for_user(row, as_user):
    if as_user.name not in row.users:
        pytest.skip(f"is about {' and '.join(row.users)} only")


@pytest.mark.parametrize("row", rows.ALONE, ids=lambda row: row.id)
def test_contained(row, as_user, lab):
    """With every layer on."""
    for_user(row, as_user)
    expect(attempt(row, lab, ()), CONTAINED, "with all layers")


@pytest.mark.parametrize("row", rows.ALONE, ids=lambda row: row.id)
def test_held_by_this_layer_alone(row, as_user, lab):
    """The others out of the way, this layer holds; without it nothing does."""
    for_user(row, as_user)
    if row.base:
        expect(attempt(row, lab, row.base), CONTAINED, f"with {row.layer} alone")
    if not row.off:
        return  # what holds it cannot be switched off by a plan
    if not row.closed:
        expect(attempt(row, lab, row.base + row.off), ESCAPED, f"without {row.layer}")
        return
    done, anew = attempt(row, lab, row.base + row.off, lab.run_broken)
    if anew:
        # The broken plan started nothing; the one made in its place has the layer.
        expect(done, CONTAINED, f"{row.layer} back again")
        assert done.stdout.count("contained") == 1
    else:
        expect(done, REFUSED, f"without {row.layer}")
        assert row.closed in done.stderr
        assert not done.stdout


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("row", rows.EVERYWHERE, ids=lambda row: row.id)
def test_contained_everywhere(row, profile, as_user, lab):
    """What several layers hold, under each profile as it is."""
    for_user(row, as_user)
    lab.write_policy(profile)
    probe = row.strict if profile == "strict" else ()
    expect(attempt(row, lab, (), probe=probe), CONTAINED, f"under {profile}")


# Nothing of the host is changed: what could be is covered, in a mount namespace of its own.
OUTSIDE = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
           'mount -t tmpfs none /tmp && exec "$@"', "sh"]


def all_capabilities():
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        last = int(file.read())
    with open("/proc/self/status", encoding="ascii") as file:
        effective = next(line for line in file if line.startswith("CapEff:"))
    return int(effective.split()[1], 16) == (2 << last) - 1


def outside(row, lab):
    with surroundings(row, lab) as (names, kw):
        probe = filled(row.probe, names)
        # /tmp, where the probes are, is covered.
        with open(lab.tools / "probes" / probe[0], "rb") as file:
            kw["pass_fds"] = [*kw.get("pass_fds", ()), file.fileno()]
            return lab.runner.run([*OUTSIDE, f"/proc/self/fd/{file.fileno()}", *probe[1:]], **kw)


@pytest.mark.parametrize("row", [row for row in rows.EVERYWHERE if row.control],
                         ids=lambda row: row.id)
def test_it_works_where_nothing_holds_it(row, as_user, lab):
    """The control: root in a bare sandbox, or outside of any, gets through."""
    if as_user.uid != 0:
        pytest.skip("is about root only")
    done = outside(row, lab) if row.control == "outside" else attempt(row, lab, rows.BARE)
    if row.id == "call-alg" and done.returncode == CONTAINED:
        pytest.skip("this kernel has no AF_ALG, and gives the filter's answer")
    if row.control == "outside" and done.returncode == CONTAINED and not all_capabilities():
        pytest.skip(f"this root lacks capabilities itself: {done.stdout.strip()}")
    expect(done, ESCAPED, f"the control, {row.control}")
    assert "ESCAPED: " in done.stdout


def test_every_layer_has_its_row():
    layers = {"user", "pid", "mount", "net", "ipc", "uts", "cgroup", "time", "capabilities",
              "no_new_privs", "landlock", "seccomp"}
    assert layers <= {row.layer for row in rows.ALONE if row.off}
