# SPDX-License-Identifier: Apache-2.0
"""A workspace in review, as the tests use it: run, diff, apply, discard, and what is left."""
import contextlib
import itertools
import json
import os
import pathlib

from running import eventually, ok, run

serial = itertools.count()


def state(runner):
    return pathlib.Path("/var/lib/purple" if runner.uid == 0
                        else runner.home / ".local/state/purple")


def stores(runner):
    top = state(runner) / "workspaces"
    return set(os.listdir(top)) if top.exists() else set()


def settle(runner, top=None):
    """Until the clock of files has gone on: what is as old as the stamp counts as younger."""
    probe = runner.home / f"probe-{next(serial)}"
    newest = max(os.lstat(os.path.join(directory, name)).st_ctime_ns
                 for directory, names, files in os.walk(top or runner.workspace)
                 for name in (".", *names, *files))

    def later():
        probe.write_text("")
        at = probe.stat().st_ctime_ns
        probe.unlink()
        return at > newest

    assert eventually(later)


class Review:
    """What one name stands for. Use as a context: what is left goes at the end."""

    def __init__(self, runner, mode="review"):
        self.runner, self.mode = runner, mode
        self.name = f"rv-{runner.name}-{os.getpid()}-{next(serial)}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.purple("rm", "-f", self.name)
        with contextlib.suppress(OSError):
            self.runner.run(["chmod", "-R", "u+rwX", self.store])
            self.runner.run(["rm", "-rf", self.store])

    @property
    def store(self):
        return state(self.runner) / "workspaces" / self.name

    @property
    def options(self):
        return [f"--workspace={self.mode}", "--name", self.name]

    def purple(self, *words, **kw):
        return self.runner.run([self.runner.purple, *words], **kw)

    def run(self, *command, options=(), **kw):
        return run(self.runner, *command, options=[*self.options, *options], **kw)

    def shell(self, script, **kw):
        return self.run("sh", "-c", script, **kw)

    def diff(self, *words, **kw):
        """The JSON of all changes, by path."""
        done = self.purple("diff", self.name, "--json", *words, **kw)
        assert done.returncode in (0, 1) and not done.stderr, (done.returncode, done.stderr)
        return {path_of(c): c for c in json.loads(done.stdout)["changes"]}

    def apply(self, *words, **kw):
        return self.purple("apply", self.name, *words, **kw)

    def discard(self):
        return ok(self.purple("discard", self.name))


def path_of(change):
    """As os.fsdecode() has it."""
    if "path_hex" in change:
        return os.fsdecode(bytes.fromhex(change["path_hex"]))
    return change["path"]
