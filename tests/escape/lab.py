# SPDX-License-Identifier: Apache-2.0
"""
Runs purple with a plan that a test has edited. The cache is a directory of the
test's own, so the plan that was compiled for a call can be found, changed by
planedit, and put back; the next call loads it. As root the cache is a fixed
path, over which a private mount namespace puts the test's directory.
"""
import json
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CONTAINED, ESCAPED, REFUSED, CANNOT = 0, 1, 125, 77


def build_directory():
    return ROOT / os.environ.get("PURPLE_BUILD", "build")


class Lab:
    def __init__(self, runner, tools):
        self.runner = runner
        self.tools = tools
        self.root = runner.uid == 0 and os.geteuid() == 0
        self.policy = runner.base / "policy.yaml"
        self.bind = runner.base / "cache"
        self.cache = (self.bind if self.root else runner.home / ".cache") / "purple"
        self.bind.mkdir(mode=0o755)
        self.write_policy("default")

    def write_policy(self, extends, **binds):
        """A policy file: a profile, the probes, and more read-only @binds, by name at /NAME."""
        binds["probes"] = self.tools / "probes"
        paths = "".join(f"    - {{host_path: {host}, sandbox_path: /{name}}}\n"
                        for name, host in binds.items())
        self.policy.write_text(
            f"name: escape\nextends: {extends}\nfilesystem:\n  immutable_paths:\n{paths}")
        self.policy.chmod(0o644)

    def own(self, path, uid=None):
        """Give @path to the user."""
        if os.geteuid() == 0:
            os.chown(path, self.runner.uid if uid is None else uid,
                     self.runner.uid if uid is None else uid)
        return path

    def own_dir(self, path):
        path.mkdir(exist_ok=True)
        return self.own(path)

    def argv(self, command, options=(), before=(), wrapped=True):
        argv = [*before, self.runner.purple, "run", "-p", self.policy, *options, "--", *command]
        if self.root and wrapped:
            argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                    'mount --bind "$0" /var/cache && exec "$@"', self.bind, *argv]
        return [str(a) for a in argv]

    def popen(self, command, options=(), before=(), **kw):
        return self.runner.popen(self.argv(command, options, before), **kw)

    def run(self, command, options=(), before=(), **kw):
        return self.runner.run(self.argv(command, options, before), **kw)

    def plan_file(self):
        plans = list(self.cache.iterdir()) if self.cache.exists() else []
        assert len(plans) == 1, f"one plan is expected in {self.cache}: {plans}"
        return plans[0]

    def compile(self, options=()):
        """Have the plan of this call made; the file that it is kept in."""
        shutil.rmtree(self.cache, ignore_errors=True)
        done = self.run(["/probes/setid", "flag"], options)
        assert done.returncode in (0, 125, 126), done
        return self.plan_file()

    def edit(self, ops, options=()):
        """Put an edited plan in the place of the compiled one; its bytes."""
        plan = self.compile(options)
        edited = self.runner.base / "edited"
        done = subprocess.run([self.tools / "planedit", plan, edited, *ops], check=False,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        shutil.copyfile(edited, plan)  # keeps the owner and the mode
        return plan.read_bytes()

    def run_edited(self, ops, command, options=(), before=(), **kw):
        """Run with the plan edited, and make sure that this plan was the one used."""
        for _ in range(5):
            edited = self.edit(ops, options)
            done = self.run(command, options, before, **kw)
            # Not used (the host changed meanwhile): purple would have written it anew.
            if self.plan_file().read_bytes() == edited:
                return done
        raise AssertionError("the edited plan was not used")

    def run_broken(self, ops, command, options=(), before=(), **kw):
        """
        Run with a plan that cannot start. (result, was the plan made anew): when a
        cached plan fails, purple compiles the policy again and tries that once.
        """
        edited = self.edit(ops, options)
        done = self.run(command, options, before, **kw)
        return done, self.plan_file().read_bytes() != edited

    def run_plan(self, options=()):
        """What `purple plan --json` says for the same options."""
        libexec = pathlib.Path(self.runner.purple).parent.parent / "libexec" / "purple"
        if (libexec / "purple-plan").exists():
            argv = self.argv([], options)
            argv[argv.index("run")] = "plan"
            done = self.runner.run([*argv[:argv.index("--")], "--json"])
        else:
            done = self.runner.run([self.tools / "planedit", "--json", self.plan_file()])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
