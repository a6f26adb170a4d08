# SPDX-License-Identifier: Apache-2.0
"""`purple diff`: what a sandbox in review has changed, for people and for programs."""
import itertools
import json
import os
import pty
import subprocess

import pytest

from running import ok, refused, shell, start

pytestmark = pytest.mark.usefixtures("as_user")
serial = itertools.count()

EDITS = r"""
    set -e
    printf 'one\n2\nthree\n\033[31mred\342\200\256\n' > a
    rm gone
    mv old new
    ln a hard
    ln -sf /etc link
    printf 'x\0y' >> binary
    mkdir -p .git/hooks empty
    echo 'exit 0' > .git/hooks/pre-commit
    chmod 600 mode
    printf 'no newline' > "$(printf 'a\nb')"
    echo bytes > "$(printf 'bad\377')"
"""


@pytest.fixture(name="review")
def fixture_review(as_user):
    """Run a script in review; the name of what is left, which goes at the end."""
    names = []
    as_user.write("a", "one\ntwo\nthree\n")
    as_user.write("gone", "gone\n")
    as_user.write("old/deep/file", "moved\n")
    as_user.write("mode", "mode\n")
    as_user.write("binary", "a\0b")
    as_user.run(["ln", "-s", "a", "link"])

    def review(script):
        name = f"diff-{as_user.name}-{os.getpid()}-{next(serial)}"
        names.append(name)
        ok(shell(as_user, script, options=["--workspace=review", "--name", name]))
        return name

    yield review
    state = "/var/lib/purple" if as_user.uid == 0 else as_user.home / ".local/state/purple"
    for name in names:
        as_user.run(["chmod", "-R", "u+rwX", f"{state}/workspaces/{name}"])
        as_user.run(["rm", "-rf", f"{state}/workspaces/{name}"])


def diff(runner, *words, **kw):
    done = runner.run([runner.purple, "diff", *words], **kw)
    assert done.returncode in (0, 1) and not done.stderr, (done.returncode, done.stderr)
    return done.stdout


def changes(runner, *words):
    return {c["path"]: c for c in json.loads(diff(runner, *words, "--json"))["changes"]}


def test_all_kinds(as_user, review):
    name = review(EDITS)
    found = changes(as_user, name)
    kinds = {p: c["kind"] for p, c in found.items()}
    assert kinds == {
        ".git": "added", ".git/hooks": "added", ".git/hooks/pre-commit": "added",
        "a": "modified", "a\nb": "added", "bad\xff": "added", "binary": "modified",
        "empty": "added", "gone": "deleted", "hard": "added", "link": "modified",
        "mode": "meta", "new": "added", "new/deep": "added", "new/deep/file": "added",
        "old": "deleted"}
    assert found["new/deep/file"]["renamed_from"] == "old/deep/file"
    assert found["hard"]["link_to"] == "a"
    assert found["mode"]["what"] == ["mode"] and found["mode"]["after"]["mode"] == "0600"
    assert found["link"]["before"]["target"] == "a" and found["link"]["after"]["target"] == "/etc"
    assert bytes.fromhex(found["bad\xff"]["path_hex"]) == b"bad\xff"
    flagged = {p: c["executes_on_host"]["kind"] for p, c in found.items()
               if "executes_on_host" in c}
    assert flagged == {".git/hooks/pre-commit": "git", "link": "link"}


def test_nothing_reaches_the_terminal_as_it_is(as_user, review):
    name = review(EDITS)
    for words in ([], ["--stat"], ["--name-only"], ["--json"]):
        text = diff(as_user, name, *words)
        assert all(c in "\n\t" or c.isprintable() for c in text), words
    text = diff(as_user, name)
    assert "+\\x1b[31mred\\u202e\n" in text
    assert '+++ "b/a\\012b"\n' in text and '"b/bad\\377"' in text
    assert "! executes-on-host (git): git runs it on commit" in text


def test_a_patch_that_git_takes(as_user, review):
    name = review("printf 'one\\n2\\nthree\\nfour' > a; rm gone; echo new > 'new file'")
    patch = as_user.run([as_user.purple, "diff", name, "--raw"])
    assert patch.returncode == 1
    ok(as_user.run(["git", "apply"], input=patch.stdout, stdin=None))
    assert (as_user.workspace / "a").read_text() == "one\n2\nthree\nfour"
    assert not (as_user.workspace / "gone").exists()
    assert (as_user.workspace / "new file").read_text() == "new\n"
    # What the host has by now is no change any more.
    assert diff(as_user, name) == ""


def test_exit_status_and_paths(as_user, review):
    name = review("echo 2 > a; mkdir d; echo 3 > d/e; rm -r old")
    none = as_user.run([as_user.purple, "diff", name, "mode"])
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "")
    assert diff(as_user, name, "d", "--name-only") == "d\nd/e\n"
    assert diff(as_user, name, "./d/../a", "--name-only") == "a\n"
    assert diff(as_user, name, as_user.workspace / "d/e", "--name-only", "-z") == "d/e\0"
    # Gone with all that was in it.
    assert diff(as_user, name, "old/deep/file", "--name-only") == "old\n"
    # From a directory of it, without a name, as paths are meant there.
    assert diff(as_user, "../d", "--name-only", cwd=as_user.workspace / "old") == "d\nd/e\n"
    assert diff(as_user, "--name-only") == "a\nd\nd/e\nold\n"
    refused(as_user.run([as_user.purple, "diff", name, "../.."]), 125, "not in the workspace")
    refused(as_user.run([as_user.purple, "diff", "no-such"], cwd="/"), 125, "no-such")
    refused(as_user.run([as_user.purple, "diff", name, "--stat", "--json"]), 125, "one of")


def test_two_of_one_workspace_want_a_name(as_user, review):
    first, second = review("echo 2 > a"), review("echo 3 > a")
    text = refused(as_user.run([as_user.purple, "diff"]), 125, "2 sandboxes", "name one")
    assert first in text or second in text
    assert "+3" in diff(as_user, second)


def test_a_huge_file_is_not_read(as_user, review):
    name = review("truncate -s 1T sparse; truncate -s 20M large")
    assert "now 1099511627776" in diff(as_user, name, "sparse")
    assert "binary or large" in diff(as_user, name, "large", "--stat")


def test_of_a_sandbox_that_lives(as_user, review):
    name = review("true")
    with start(as_user, "sh", "-c", "echo 2 > a; echo ready; read x",
               options=["--workspace=review", "--name", name], stdin=subprocess.PIPE) as box:
        assert box.stdout.readline() == b"ready\n"
        live = json.loads(diff(as_user, name, "--json"))
        assert live["live"] and [c["path"] for c in live["changes"]] == ["a"]
        box.communicate(b"\n", timeout=30)
    assert not json.loads(diff(as_user, name, "--json"))["live"]


def test_the_pager_and_colours_are_for_terminals(as_user, review):
    name = review("echo 2 > a")
    page = as_user.write("pager", "#!/bin/sh\nsed 's/^/paged:/'\n", 0o755)

    def on_terminal(*words, **env):
        main, terminal = pty.openpty()
        with as_user.popen([as_user.purple, "diff", name, *words], stdout=terminal,
                           env={**as_user.env, "PAGER": str(page), **env}) as child:
            os.close(terminal)
            text = b""
            while True:
                try:
                    more = os.read(main, 4096)
                except OSError:
                    break
                if not more:
                    break
                text += more
            assert child.wait(timeout=30) == 1
        os.close(main)
        return text.decode()

    assert "paged:" in on_terminal() and "\033[32m+2" in on_terminal()
    assert "\033[" not in on_terminal(NO_COLOR="1")
    assert "paged:" not in on_terminal("--no-pager")
    assert "paged:" not in on_terminal(PAGER="cat")
    assert "+2" in on_terminal(PAGER="/no/such/pager")
    assert "\033[" not in diff(as_user, name)
    assert "\033[32m" in diff(as_user, name, "--color=always")


def test_what_cannot_be_read_is_said(as_user, review):
    if as_user.uid == 0:
        pytest.skip("root reads all")
    name = review("mkdir shut; echo 1 > shut/x; chmod 0 shut; echo 2 > a; echo 3 > b; chmod 0 b")
    done = as_user.run([as_user.purple, "diff", name])
    assert done.returncode == 125 and "not all could be read" in done.stderr
    assert done.stdout.count("cannot be read: Permission denied") == 2
    assert "+2" in done.stdout


LINES = "".join(f"line {i} of the file\n" for i in range(100))


def test_a_file_that_moved_and_was_edited(as_user, review):
    as_user.write("moves", LINES)
    as_user.write("other", "".join(f"something else {i * 7}\n" for i in range(100)))
    as_user.write("tree/a/one", LINES.replace("line", "row"))
    name = review("""
        set -e
        mv moves moved && sed -i '10s/.*/edited/' moved
        mv tree bush && sed -i '20s/.*/edited/' bush/a/one
        rm other
        seq 1 100 > unlike
    """)
    found = changes(as_user, name)
    moved, one = found["moved"], found["bush/a/one"]
    assert moved["renamed_from"] == "moves" and 50 <= moved["similarity"] < 100
    assert found["moves"]["renamed_to"] == "moved"
    assert one["renamed_from"] == "tree/a/one" and 50 <= one["similarity"] < 100
    assert "renamed_from" not in found["unlike"] and "renamed_to" not in found["other"]
    text = diff(as_user, name)
    assert f"similarity index {moved['similarity']}%\nrename from moves\nrename to moved" in text
    assert "--- a/moves\n+++ b/moved\n" in text
    shown = text[text.index("rename to moved"):].split("diff --git")[0]
    assert shown.count("\n-") == 2 and shown.count("\n+") == 2 and "+edited" in shown
    assert "renamed to moved" in text
    stat = diff(as_user, name, "--stat")
    assert "moves => moved | renamed +1 -1\n" in stat


def test_a_rename_in_a_patch_that_git_takes(as_user, review):
    """There a rename is a file that is gone and one that is new."""
    as_user.write("moves", LINES)
    as_user.write("same", "the same\n" * 20)
    name = review("mv same samer; mv moves moved; sed -i 1d moved")
    raw = as_user.run([as_user.purple, "diff", name, "--raw"])
    assert raw.returncode == 1 and "rename" not in raw.stdout
    ok(as_user.run(["git", "apply"], input=raw.stdout, stdin=None))
    assert not (as_user.workspace / "moves").exists()
    assert (as_user.workspace / "samer").read_text() == "the same\n" * 20
    assert diff(as_user, name) == ""


def test_many_files_are_compared_in_bounds(as_user, review):
    """As many as there may be, and more: none is lost, and it takes no long."""
    for i in range(260):
        as_user.write(f"f/{i}", "".join(f"{i} {k}\n" for k in range(40)))
    name = review("""
        mkdir g; for i in f/*; do sed '1s/.*/new/' $i > g/new-${i#f/}; rm $i; done; rmdir f
        mkdir f; touch f/keep
    """)
    found = changes(as_user, name)
    added = [c for p, c in found.items() if p.startswith("g/")]
    assert len(added) == 260
    pairs = {c["path"]: c["renamed_from"] for c in added if "renamed_from" in c}
    assert len(pairs) >= 100 and len(set(pairs.values())) == len(pairs)
    assert all(new.replace("g/new-", "f/") == old for new, old in pairs.items())


def test_what_a_new_name_has_is_said(as_user, review):
    """A rename's rights and xattrs, and those of a directory that is new."""
    as_user.write("moves", LINES)
    name = review("""
        mv old/deep/file opened; chmod 666 opened
        mv moves edited; sed -i 1d edited; chmod 602 edited
        mkdir plain wide locked; touch plain/x wide/x locked/x; chmod 757 wide; chmod 555 locked
    """)
    text = diff(as_user, name)
    assert "rename from old/deep/file\nrename to opened\nmode 100666\n" in text
    assert "rename to edited\nmode 100602\n" in text
    assert "b/wide\nnew directory mode 040757\n" in text
    assert "b/plain\n" not in text
    assert " wide/ | added" in diff(as_user, name, "--stat")


def test_what_is_not_seen_is_written_out(as_user, review):
    """Text for agents in Unicode's tags and selectors, and what turns text around."""
    hidden = "\u061c\u00ad\u3164\u180e\ufe01\U000e0041\U000e0101"
    as_user.write("odd", f"a{hidden}b \u2764\ufe0f \u00e9\n")
    name = review("cat odd >> a; mv odd \"$(printf 'x\\363\\240\\201\\201')\"")
    text = diff(as_user, name)
    assert ("+a\\u061c\\u00ad\\u3164\\u180e\\ufe01\\U000e0041\\U000e0101b "
            "\u2764\ufe0f \u00e9\n") in text
    assert "\U000e0041" not in text and '"x\\363\\240\\201\\201"' in text
