# SPDX-License-Identifier: Apache-2.0
"""
Ways out of a sandbox that has a network by name: each row of exfil_rows.py is tried as
it is, and the canary outside must have heard nothing but what the policy allows; then
with the row's guards off, and the canary must have heard what was said inside.
"""
import contextlib
import os
import secrets
import shutil

import pytest

import exfil_doors as doors
import exfil_rows as rows
from canary import DNS, Canary
from lab import CANNOT, CONTAINED, ESCAPED, Lab, build_directory

TOOLS = ("ip", "nsenter", "setpriv")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
    pytest.mark.skipif(any(not shutil.which(t, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
                           for t in TOOLS), reason=f"needs {', '.join(TOOLS)}"),
]


ROWS = rows.ROWS + doors.ROWS
CONTROLS = 150  # tries, with the guards off, until the canary hears one


class NetLab(Lab):
    """Runs purple beside a canary, with a network that is not isolated."""

    def __init__(self, runner, tools, canary, open_prefix):
        super().__init__(runner, tools)
        self.canary = canary
        self.profile = "default"
        self.open_purple = open_prefix / "bin" / "purple"

    def network(self, allow, block=(), incoming=()):
        self.write_policy(self.profile)
        with open(self.policy, "a", encoding="ascii") as file:
            file.write(f"network:\n  isolated: false\n  dns_servers: ['{DNS}']\n"
                       f"  allow_outgoing: {list(allow)}\n  blocked_ips: {list(block)}\n"
                       f"  allow_incoming: {list(incoming)}\n")

    def argv(self, command, options=(), before=(), wrapped=True):
        who = [] if self.runner.uid == 0 else [
            "setpriv", f"--reuid={self.runner.uid}", f"--regid={self.runner.uid}",
            "--clear-groups"]
        return [*self.canary.inside(), *who, *super().argv(command, options, before, wrapped)]

    # Who it is run as is in argv: only root can enter the namespace.
    AS = {"user": None, "group": None, "extra_groups": None}

    def run(self, command, options=(), before=(), **kw):
        return super().run(command, options, before, **self.AS, **kw)

    def popen(self, command, options=(), before=(), **kw):
        return super().popen(command, options, before, **self.AS, **kw)

    @contextlib.contextmanager
    def without(self, guards):
        """The programs have these @guards off."""
        purple = self.runner.purple
        self.runner.purple = str(self.open_purple)
        self.runner.env["PURPLE_OPEN"] = ",".join(guards)
        try:
            yield
        finally:
            self.runner.purple = purple
            del self.runner.env["PURPLE_OPEN"]


@pytest.fixture(scope="module")
def quiet():
    """The canary beside whole sandboxes."""
    canary = Canary()
    yield canary
    canary.close()


@pytest.fixture(scope="module")
def loud():
    """The one of the controls."""
    canary = Canary()
    yield canary
    canary.close()


@pytest.fixture(scope="session")
def open_prefix(purple_prefix):
    """purple, and purple-net, with guards that can be switched off."""
    prefix = purple_prefix.parent / "open"
    if not prefix.exists():
        shutil.copytree(purple_prefix, prefix, symlinks=True)
        shutil.copy2(build_directory() / "tests" / "escape" / "open-net",
                     prefix / "libexec" / "purple" / "purple-net")
        shutil.copy2(build_directory() / "tests" / "escape" / "open-run",
                     prefix / "bin" / "purple")
    return prefix


@pytest.fixture
def lab(as_user, tools, quiet, open_prefix):
    return NetLab(as_user, tools, quiet, open_prefix)


def new_token():
    """Of 15 characters, which is as long as the name of a service may be."""
    return "x" + secrets.token_hex(7)


def attempt(row, lab, canary, guards=()):
    """(the probe's result, what the canary heard of it, the other packets that are not allowed)"""
    token = new_token()
    programs = [g.split(":")[1] for g in guards if g.startswith(("net:", "run:"))]
    plan = [g for g in guards if g != "given" and not g.startswith(("net:", "run:"))]
    plan = [*row.base, *plan] if plan else []
    lab.canary = canary
    with contextlib.ExitStack() as stack:
        given = stack.enter_context(row.setup(lab, token, plan)) if row.setup else rows.Given()
        call = {"command": [str(word).format(**given.names) if given.names else str(word)
                            for word in row.probe(token)],
                "options": given.granted if "given" in guards else [], **given.call}
        canary.take()
        if programs:
            stack.enter_context(lab.without(programs))
        done = lab.run_edited(plan, **call) if plan else lab.run(**call)
        packets = canary.take()
        heard = [str(p) for p in packets if token.encode() in p.data]
        heard += ["what listens outside"] if given.hear(token) else []
    allowed = {("udp", DNS, 53), *row.reaches}
    strange = [str(p) for p in packets if not p.is_between(allowed)]
    return done, heard, strange


def said(done):
    return f"exit {done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_way_out(row, as_user, lab, quiet, loud):
    if as_user.name not in row.users:
        pytest.skip(f"is about {' and '.join(row.users)} only: {row.why}")
    lab.network(row.allow, row.block)
    done, heard, strange = attempt(row, lab, quiet)
    assert done.returncode in (row.status, CANNOT), said(done)
    assert not heard and not strange, f"the canary heard {heard} {strange}\n{said(done)}"
    for _ in range(CONTROLS):  # some ways out depend on who comes first
        done, heard, _ = attempt(row, lab, loud, row.guards)
        if heard or done.returncode == CANNOT:
            break
    if done.returncode == CANNOT:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    if row.seen:
        assert done.returncode == ESCAPED, f"without {row.guards}: {said(done)}"
    else:
        assert done.returncode in (CONTAINED, ESCAPED), said(done)
        assert heard, f"without {row.guards} the canary hears nothing\n{said(done)}"


@pytest.mark.parametrize("part", range(4))
def test_contained_under_an_agents_profile(part, as_user, lab, quiet):
    lab.profile = "coding-agent"
    for row in ROWS[part::4]:
        lab.network(row.allow, row.block)
        done, heard, strange = attempt(row, lab, quiet)
        assert done.returncode in (row.status, CANNOT), f"{row.id}: {said(done)}"
        assert not heard and not strange, f"{row.id}: {heard} {strange}\n{said(done)}"


@pytest.mark.parametrize("row", [row for row in ROWS if len(row.guards) > 1 and row.alone],
                         ids=lambda row: row.id)
def test_each_guard_alone_holds_it(row, as_user, lab, quiet):
    if as_user.name not in row.users:
        pytest.skip(f"is about {' and '.join(row.users)} only: {row.why}")
    lab.network(row.allow, row.block)
    for guard in row.guards:
        others = [g for g in row.guards if g != guard]
        done, heard, strange = attempt(row, lab, quiet, others)
        assert done.returncode in (row.status, CANNOT), f"with {guard} alone: {said(done)}"
        assert not heard and not strange, \
            f"with {guard} alone the canary heard {heard} {strange}\n{said(done)}"


@pytest.mark.parametrize("row", rows.ALLOWED, ids=lambda row: row.id)
def test_what_is_allowed_comes_out(row, as_user, lab, quiet):
    """Else the canary would be deaf, or nothing would have been tried."""
    lab.network(row.allow, row.block)
    done, heard, strange = attempt(row, lab, quiet)
    assert heard and not strange, f"{heard} {strange}\n{said(done)}"


def test_with_no_guard_off_the_open_one_holds(as_user, lab, quiet):
    """The controls differ from the product by what they switch off alone."""
    lab.network(rows.ALLOW, ())
    for row in ROWS:
        if row.guards[0].startswith("net:") and row.allow == rows.ALLOW and not row.setup:
            with lab.without([]):
                done, heard, strange = attempt(row, lab, quiet)
            assert not heard and not strange, f"{row.id}: {heard} {strange}\n{said(done)}"


def test_ids_are_unique():
    assert len({row.id for row in ROWS}) == len(ROWS)
