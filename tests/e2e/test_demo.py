# SPDX-License-Identifier: Apache-2.0
"""The demonstration, as everybody runs it; and that it can tell a sandbox from none."""
import pathlib
import shutil

import pytest

DEMO = pathlib.Path(__file__).resolve().parents[2] / "examples" / "demo"


@pytest.fixture
def demo(as_user):
    """A copy that the user can reach."""
    copy = as_user.base / "demo"
    shutil.copytree(DEMO, copy, ignore=shutil.ignore_patterns("__pycache__"))
    as_user.env["PURPLE"] = as_user.purple
    return copy / "demo"


def rows(output):
    """{what was tried: outcome} from the agent's table."""
    lines = output.split("what the agent tried", 1)[1].splitlines()[1:13]
    return {line[:32].strip(): line[32:].split()[0] for line in lines}


def test_all_twelve_hold(as_user, demo):
    done = as_user.run(["/usr/bin/python3", demo])
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(rows(done.stdout)) == 12
    assert set(rows(done.stdout).values()) <= {"refused", "contained", "n/a"}
    assert "12 of 12 held" in done.stdout


def test_without_purple_it_is_told(as_user, demo):
    """The attempts are real: bare, the agent reaches its victim, and the checks say so."""
    done = as_user.run(["/usr/bin/python3", demo, "--without-purple"])
    assert done.returncode == 1
    outcome = rows(done.stdout)
    for what in ("read ~/.ssh/id_ed25519", "write ~/.bashrc", "list the host's processes",
                 "reach the network", "fork 100 times", "read secrets from environments"):
        assert outcome[what] == "allowed", done.stdout
    assert "NO   nobody connected to the host's listener" in done.stdout
    assert "yes  the home directory is byte for byte what it was" in done.stdout


def test_the_agent_alone_refuses(as_user, demo):
    done = as_user.run(["/usr/bin/python3", demo.parent / "agent.py", "--port", "1", "--victim", "x"])
    assert done.returncode == 1
    assert "misbehaves on purpose" in done.stderr
