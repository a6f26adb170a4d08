# SPDX-License-Identifier: Apache-2.0
"""What bash, zsh and fish complete: real shells, with the files that were installed."""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

# What is typed, and what must be among the offers.
TYPED = [("purple ru", "run"), ("purple run --memor", "--memory"),
         ("purple run -p code-", "code-analyst"), ("purple run --profile stri", "strict"),
         ("purple audit ver", "verify"), ("purple audit show --sever", "--severity"),
         ("purple profile show pyth", "python"), ("purple diff --sta", "--stat"),
         ("purple run -- chmo", "chmod"), ("purple run -p default chmo", "chmod"),
         ("purple run --memory 1M chmo", "chmod"), ("purple run -w canar", "canary"),
         ("purple run -- ls canar", "canary")]
BASH = """
source "$1"
COMP_WORDS=($2) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_purple
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(name="place")
def fixture_place(purple, tmp_path):
    """(where the shells' files are, an environment), in a directory with one file."""
    prefix = pathlib.Path(purple).parent.parent
    (tmp_path / "canary").mkdir()
    env = {"PATH": f"{prefix}/bin:/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb",
           "LANG": "C.UTF-8"}
    return prefix / "share", env


def needs(shell):
    return pytest.mark.skipif(not shutil.which(shell), reason=f"not installed: {shell}")


def offered(command, env, where):
    done = subprocess.run(command, env=env, cwd=where, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.stderr == "", done.stderr
    return [line.split("\t")[0].rstrip("/") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("typed,offer", TYPED)
def test_bash(place, tmp_path, typed, offer):
    share, env = place
    assert offer in offered(["bash", "-c", BASH, "bash",
                             share / "bash-completion/completions/purple", typed], env, tmp_path)


@needs("fish")
@pytest.mark.parametrize("typed,offer", TYPED)
def test_fish(place, tmp_path, typed, offer):
    share, env = place
    file = share / "fish/vendor_completions.d/purple.fish"
    assert offer in offered(["fish", "-N", "-c", f"source {file}; complete -C '{typed}'"],
                            env, tmp_path)


class Zsh:
    """An interactive one at a terminal: its completion does not run without."""

    def __init__(self, env, where, functions):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(where)
            os.execvpe("zsh", ["zsh", "-f", "-i"], env)
        self.type(f"PROMPT='>' fpath=({functions} $fpath); autoload -U compinit; compinit -u -D; "
                  "setopt no_beep no_list_beep; print rea''dy\n")
        self.until("ready")

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, word, seconds=30):
        seen, end = "", time.monotonic() + seconds
        while word not in seen:
            assert time.monotonic() < end, f"no {word} in {seen!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                seen += re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", os.read(self.fd, 4096).decode())
        return seen

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@needs("zsh")
def test_zsh(place, tmp_path):
    share, env = place
    shell = Zsh(env, tmp_path, share / "zsh/site-functions")
    try:
        for typed, offer in TYPED:
            shell.type("\x15" + typed + "\t")
            shell.until(offer)
    finally:
        shell.close()


def test_every_command_and_option_is_there(purple, place):
    """What the helps name, all three shells' files have."""
    share, _ = place
    texts = [(share / name).read_text(encoding="utf-8") for name in (
        "bash-completion/completions/purple", "zsh/site-functions/_purple",
        "fish/vendor_completions.d/purple.fish")]

    def helped(*words):
        return subprocess.run([purple, *words, "--help"], capture_output=True, text=True,
                              check=True).stdout
    commands = re.findall(r"^  ([a-z]+) ", helped(), re.M)
    assert len(commands) > 20
    for command in commands:
        options = re.findall(r"^  .{0,4}?--([a-z-]+)", helped(command), re.M)
        for text in texts:
            assert re.search(rf"\b{command}\b", text), command
            for option in options:
                assert re.search(rf"--{option}\b|-l {option}\b", text), (command, option)


def test_every_command_has_a_manual_page(purple):
    """And no page is of a command that is not there."""
    pages = {path.name.split(".")[0].removeprefix("purple-")
             for path in (pathlib.Path(purple).parent.parent / "share/man/man1").iterdir()}
    text = subprocess.run([purple, "--help"], capture_output=True, text=True, check=True).stdout
    assert pages - {"purple"} == set(re.findall(r"^  ([a-z]+) ", text, re.M))
