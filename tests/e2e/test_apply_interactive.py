# SPDX-License-Identifier: Apache-2.0
"""`purple apply --interactive`: what a person chooses lands, and nothing else."""
import random
import re

import pytest

from running import ok, refused
from test_apply import Project, tree

pytestmark = pytest.mark.usefixtures("as_user")


@pytest.fixture(name="project")
def fixture_project(as_user):
    project = Project(as_user)
    yield project
    project.clean()


def ask(project, name, answers, *words):
    return project.apply(name, "--interactive", *words, input="\n".join(answers) + "\n",
                         stdin=None)


def test_change_by_change(project):
    project.fill()
    name = project.review("rm gone; mkdir -p d/e; echo 1 > d/e/f; echo 2 > d/g; chmod 600 mode;"
                          "mkdir empty; ln -sf b link")
    before = tree(project.top)
    # In order: d/e/f, d/g, empty, gone, link, mode.
    done = ask(project, name, ["?", "z", "y", "n", "y", "n", "n", "q"])
    text = ok(done)
    assert text.count("y - apply this change") == 2
    assert "Apply this change to d/e/f [y,n,q,a,d,?]?" in text
    assert "deleted file mode 100644" in text and "+1\n" in text
    assert (project.top / "d/e/f").read_text() == "1\n" and (project.top / "empty").is_dir()
    after = tree(project.top)
    assert after.keys() - before.keys() == {b"d", b"d/e", b"d/e/f", b"empty"}
    assert all(after[p] == e for p, e in before.items())
    # "a": this and all that follow. What was applied is not asked for again.
    done = ask(project, name, ["n", "a"])
    assert ok(done).count("Apply this change") == 2
    assert not (project.top / "gone").exists() and not (project.top / "d/g").exists()
    # The end of the input is no.
    done = project.apply(name, "-i")
    assert ok(done).startswith("diff --git a/d/g b/d/g") and "0 paths applied; 1 waits" in done.stdout


LINES = [f"line {n}" for n in range(1, 61)]


def edit(project, answers, *, split=False):
    """Of three hunks, the last of which is two."""
    project.runner.write("text", "\n".join(LINES) + "\n")
    name = project.review("sed -i -e '3s/.*/three/' -e 30d -e '50s/.*/fifty/' "
                          "-e '54s/.*/fifty-four/' text; chmod 700 text")
    done = ask(project, name, answers)
    ok(done)
    want = list(LINES)
    return name, done.stdout, want


def test_hunk_by_hunk(project):
    name, text, want = edit(project, ["n", "y", "n"])
    assert re.findall(r"\(\d/\d\)", text) == ["(1/3)", "(2/3)", "(3/3)"]
    assert "@@ -27,7 +27,6 @@" in text and "old mode 100644" in text
    del want[29]
    path = project.top / "text"
    assert path.read_text() == "\n".join(want) + "\n"
    assert path.stat().st_mode & 0o777 == 0o644, "what is left of it waits"
    # And that is no conflict.
    text = ok(ask(project, name, ["y", "s", "n", "y"]))
    assert re.findall(r"\(\d/\d\)", text) == ["(1/2)", "(2/2)", "(2/3)", "(3/3)"]
    want[2], want[52] = "three", "fifty-four"
    assert path.read_text() == "\n".join(want) + "\n"
    ok(ask(project, name, ["y"]))
    want[48] = "fifty"
    assert path.read_text() == "\n".join(want) + "\n"
    assert path.stat().st_mode & 0o777 == 0o700 and not project.store(name).exists()


@pytest.mark.parametrize("answers,lines", [
    (["a"], {3, 30, 50, 54}), (["n", "a"], {30, 50, 54}), (["y", "d"], {3}), (["q"], set()),
    (["y", "q"], {3}), (["d"], set()), (["n", "n", "s", "y", "n"], {50})])
def test_answers(project, answers, lines):
    _, _, want = edit(project, answers)
    changed = {3: "three", 50: "fifty", 54: "fifty-four"}
    for n, line in changed.items():
        if n in lines:
            want[n - 1] = line
    if 30 in lines:
        del want[29]
    assert (project.top / "text").read_text() == "\n".join(want) + "\n"


def test_no_newline_at_the_end(project):
    project.runner.write("text", "a\n" + "x\n" * 20 + "b")
    name = project.review("printf 'A\\n' > text; yes x | head -20 >> text; printf 'b\\nc' >> text")
    text = ok(ask(project, name, ["n", "y"]))
    assert "\\ No newline at end of file" in text
    assert (project.top / "text").read_text() == "a\n" + "x\n" * 20 + "b\nc"
    ok(ask(project, name, ["y"]))
    assert (project.top / "text").read_text() == "A\n" + "x\n" * 20 + "b\nc"


def test_what_is_escaped_and_what_is_marked(project):
    project.runner.write("text", "one\n")
    name = project.review("printf '\\033[31mred\\n' > text; mkdir .vscode; echo > .vscode/tasks.json")
    text = ok(ask(project, name, ["n", "n"]))
    assert "\\x1b[31mred" in text and "\033" not in text and "! executes-on-host" in text


def test_conflicts_are_not_asked_for(project):
    project.fill()
    name = project.review("echo 1 > a; echo 2 > b")
    (project.top / "a").write_text("host\n")
    done = ask(project, name, ["y"])
    assert done.returncode == 1
    assert done.stdout.startswith("conflict: modified a: was changed on the host meanwhile\n")
    assert done.stdout.count("Apply this") == 1 and (project.top / "b").exists()
    assert (project.top / "a").read_text() == "host\n"
    refused(ask(project, name, [], "--json"), 125, "one of --interactive and --json")


@pytest.mark.parametrize("seed", range(4))
def test_random_hunks(project, seed):
    """Whatever is chosen, each choice at the same time is the sum of all."""
    rng = random.Random(seed)
    old = [f"{rng.randint(0, 9)}" for _ in range(80)]
    new = [line for line in old]
    for _ in range(12):
        at = rng.randrange(len(new))
        new[at:at + rng.randint(0, 2)] = [f"new {rng.randint(0, 9)}"] * rng.randint(0, 2)
    project.runner.write("text", "\n".join(old) + "\n")
    name = project.review("cat > text <<'EOF'\n" + "\n".join(new) + "\nEOF")
    for _ in range(200):
        if not project.store(name).exists():
            break
        done = ask(project, name, [rng.choice("nnys") for _ in range(30)] + ["a"])
        ok(done)
    assert (project.top / "text").read_text() == "\n".join(new) + "\n"
